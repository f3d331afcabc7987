"""The tree of RFC 9162: against its recursive definition, known vectors, and every pair of sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    Range,
    Subtree,
    check_consistency,
    check_inclusion,
    consistency_ranges,
    cover,
    fold,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    perfect_subtrees,
    root_of,
    split,
)

LEAVES = [leaf_hash(bytes([number])) for number in range(130)]
KNOWN_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
KNOWN_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Roots over the first 0, 1, ... 8 of the leaves: the vectors of Certificate Transparency."""

sizes = st.integers(1, len(LEAVES))


def defined(leaves: list[bytes]) -> bytes:
    """Return the root as section 2.1.1 defines it."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    middle = split(len(leaves))
    return node_hash(defined(leaves[:middle]), defined(leaves[middle:]))


def stored(subtree: Subtree) -> bytes:
    return defined(LEAVES[subtree.index << subtree.level : (subtree.index + 1) << subtree.level])


def hash_of(leaves: Range) -> bytes:
    return fold([stored(one) for one in perfect_subtrees(leaves)])


def inclusion(entry: int, size: int) -> list[bytes]:
    return [hash_of(one) for one in inclusion_ranges(entry, size)]


def consistency(old: int, new: int) -> list[bytes]:
    return [hash_of(one) for one in consistency_ranges(old, new)]


def test_the_roots_are_those_of_the_known_vectors() -> None:
    hashes = [leaf_hash(bytes.fromhex(one)) for one in KNOWN_LEAVES]

    assert [root_of(hashes[:size]).hex() for size in range(9)] == KNOWN_ROOTS


@given(sizes)
def test_a_growing_tree_has_the_root_of_the_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == defined(LEAVES[:size])


@given(sizes, st.data())
def test_every_entry_is_shown_to_be_in_the_tree_and_no_other(size: int, data: st.DataObject) -> None:
    entry, other = (data.draw(st.integers(0, size - 1)) for _ in range(2))
    root, path = defined(LEAVES[:size]), inclusion(entry, size)

    check_inclusion(LEAVES[entry], entry, size, path, root)

    if other != entry:
        with pytest.raises(ProofError):
            check_inclusion(LEAVES[other], entry, size, path, root)
        with pytest.raises(ProofError):
            check_inclusion(LEAVES[entry], other, size, path, root)


@given(sizes, sizes)
def test_every_tree_begins_with_every_smaller_one_and_with_no_other(one: int, other: int) -> None:
    old, new = sorted((one, other))
    path, old_root, new_root = consistency(old, new), defined(LEAVES[:old]), defined(LEAVES[:new])

    check_consistency(old, new, path, old_root, new_root)

    with pytest.raises(ProofError):
        check_consistency(old, new, path, leaf_hash(b"another"), new_root)
    with pytest.raises(ProofError):
        check_consistency(old, new, path, old_root, leaf_hash(b"another"))


def test_a_proof_of_another_length_is_refused() -> None:
    with pytest.raises(ProofError, match="hashes, not"):
        check_consistency(3, 7, consistency(3, 7)[:-1], defined(LEAVES[:3]), defined(LEAVES[:7]))
    with pytest.raises(ProofError, match="hashes, not"):
        check_inclusion(LEAVES[3], 3, 7, inclusion(3, 7)[:-1], defined(LEAVES[:7]))


@pytest.mark.parametrize("size", [1, 6])
def test_two_trees_of_one_size_have_one_root(size: int) -> None:
    check_consistency(size, size, [], defined(LEAVES[:size]), defined(LEAVES[:size]))

    with pytest.raises(ProofError, match="different roots"):
        check_consistency(size, size, [], defined(LEAVES[:size]), leaf_hash(b"another"))


@given(sizes, st.data())
def test_no_changed_byte_of_a_path_passes(size: int, data: st.DataObject) -> None:
    entry = data.draw(st.integers(0, size - 1))
    path = inclusion(entry, size)
    place = data.draw(st.integers(0, max(len(path) - 1, 0)))
    changed = [leaf_hash(hashed) if number == place else hashed for number, hashed in enumerate(path)]

    with pytest.raises(ProofError):
        check_inclusion(LEAVES[entry], entry, size, changed or [b""], defined(LEAVES[:size]))


def test_an_empty_tree_needs_no_proof_and_takes_none() -> None:
    check_consistency(0, 3, [], EMPTY_ROOT, defined(LEAVES[:3]))

    with pytest.raises(ProofError):
        check_consistency(0, 3, [EMPTY_ROOT], EMPTY_ROOT, defined(LEAVES[:3]))


@pytest.mark.parametrize(("old", "new"), [(4, 3), (-1, 3), (0, 0)])
def test_what_cannot_be_shown_is_refused(old: int, new: int) -> None:
    with pytest.raises(ProofError):
        consistency_ranges(old, new)


@pytest.mark.parametrize("entry", [-1, 3])
def test_an_entry_outside_the_tree_has_no_path(entry: int) -> None:
    with pytest.raises(ProofError):
        inclusion_ranges(entry, 3)


@given(sizes, st.data())
def test_a_part_of_the_log_with_what_lies_beside_it_gives_the_root(size: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, size))
    end = data.draw(st.integers(begin, size))

    tree = Frontier(begin, [stored(one) for one in cover(Range(0, begin))])
    for leaf in LEAVES[begin:end]:
        tree.append(leaf)
    for one in cover(Range(end, size)):
        tree.append_subtree(one.level, stored(one))

    assert (tree.size, tree.root()) == (size, defined(LEAVES[:size]))


def test_a_frontier_is_made_of_as_many_subtrees_as_its_size_has_bits() -> None:
    with pytest.raises(ProofError):
        Frontier(3, [EMPTY_ROOT])


def test_a_subtree_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ProofError):
        Frontier(1, [LEAVES[0]]).append_subtree(1, LEAVES[1])
