"""Two readings of one form agree: what the product writes and proves, and what the stranger's verifier reads."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.ledger_lines import entry_line, instant_text
from compliance.ledger_lines import row_digest as product_digest
from compliance.ledger_verifier import BundleError, Note, Tree, is_consistent, is_included, read_entry, read_note
from compliance.ledger_verifier import row_digest as verifier_digest
from compliance.merkle import (
    Frontier,
    ProofError,
    Range,
    check_consistency,
    check_inclusion,
    consistency_ranges,
    cover,
    inclusion_ranges,
    leaf_hash,
    perfect_subtrees,
    root_of,
)
from compliance.signed_notes import Checkpoint, read_checkpoint, sign, verifier_key, verify

LEAVES = [leaf_hash(str(number).encode()) for number in range(300)]
ORIGIN = "telesales-ledger/7d3c"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

sizes = st.integers(1, len(LEAVES))
hashes = st.binary(min_size=32, max_size=32)
# As PostgreSQL has them: any text but NUL and lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - given a zone
kinds = st.from_regex(r"[a-z_][a-z0-9_]*\.(insert|update|delete|range)", fullmatch=True)


def holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except ProofError:
        return False
    return True


class Spoilt(NamedTuple):
    """How a proof is changed before it is checked: which hash, and what stands there instead (None: nothing)."""

    place: int
    instead: bytes | None


spoils = st.none() | st.builds(Spoilt, st.integers(0, 20), st.none() | hashes)


def spoil(path: list[bytes], spoilt: Spoilt | None) -> list[bytes]:
    if spoilt is None:
        return path
    place = spoilt.place % (len(path) + 1)
    return [*path[:place], *([] if spoilt.instead is None else [spoilt.instead]), *path[place + 1 :]]


@settings(max_examples=300, deadline=None)
@given(size=sizes, entry=st.integers(0, 299), spoilt=spoils, other=st.integers(0, 300))
def test_both_judge_a_proof_of_inclusion_alike(size: int, entry: int, spoilt: Spoilt | None, other: int) -> None:
    entry %= size
    claimed = entry if spoilt is None or other % 2 else other % size
    path = spoil([root_of(LEAVES[one.begin : one.end]) for one in inclusion_ranges(entry, size)], spoilt)
    root = root_of(LEAVES[:size])

    product = holds(lambda: check_inclusion(LEAVES[entry], claimed, size, path, root))

    assert is_included(LEAVES[entry], claimed, size, path, root) == product
    assert product or spoilt is not None


def noted(size: int, root: bytes) -> Note:
    return Note("", ORIGIN, size, root, "", [])


@settings(max_examples=300, deadline=None)
@given(old=st.integers(0, 300), new=sizes, spoilt=spoils)
def test_both_judge_a_proof_of_consistency_alike(old: int, new: int, spoilt: Spoilt | None) -> None:
    old %= new + 1
    ranges = consistency_ranges(old, new) if old else []
    path = spoil([root_of(LEAVES[one.begin : one.end]) for one in ranges], spoilt)
    roots = root_of(LEAVES[:old]), root_of(LEAVES[:new])

    product = holds(lambda: check_consistency(old, new, path, *roots))

    assert is_consistent(noted(old, roots[0]), noted(new, roots[1]), path) == product
    assert product or spoilt is not None


@settings(max_examples=200, deadline=None)
@given(one=sizes, other=sizes, forged=hashes)
def test_no_two_different_trees_are_consistent_in_either_direction(one: int, other: int, forged: bytes) -> None:
    old, new = sorted((one, other))
    path = [root_of(LEAVES[its.begin : its.end]) for its in consistency_ranges(old, new)]
    right, wrong = root_of(LEAVES[:old]), root_of([*LEAVES[: old - 1], forged])
    newest = root_of(LEAVES[:new])

    assert holds(lambda: check_consistency(old, new, path, right, newest))
    assert not holds(lambda: check_consistency(old, new, path, wrong, newest))
    assert not is_consistent(noted(old, wrong), noted(new, newest), path)
    assert old == new or not is_consistent(noted(new, newest), noted(old, right), path)
    with pytest.raises(ProofError):
        check_consistency(new + 1, old, path, newest, right)


@settings(max_examples=200, deadline=None)
@given(size=st.integers(0, 300), begin=st.integers(0, 300), end=st.integers(0, 300))
def test_both_trees_have_the_same_root_however_they_are_put_together(size: int, begin: int, end: int) -> None:
    begin, end = sorted((begin % (size + 1), end % (size + 1)))
    left, right = (
        [root_of(LEAVES[one.index << one.level : (one.index + 1) << one.level]) for one in cover(leaves)]
        for leaves in (Range(0, begin), Range(end, size))
    )
    tree, frontier = Tree(begin, left), Frontier(begin, left)
    for leaf in LEAVES[begin:end]:
        tree.append(leaf)
        frontier.append(leaf)

    tree.fill(size, right)

    assert tree.root() == root_of(LEAVES[:size])
    assert frontier.root() == root_of(LEAVES[:end])
    assert len(perfect_subtrees(Range(0, size))) == size.bit_count()


@settings(max_examples=300, deadline=None)
@given(
    entry=st.integers(0, 10**18),
    at=instants,
    kind=kinds,
    rows=st.lists(st.tuples(texts, hashes), min_size=1, max_size=5),
)
def test_a_line_is_read_as_it_was_written(entry: int, at: datetime, kind: str, rows: list[tuple[str, bytes]]) -> None:
    line = entry_line(entry, at, kind, rows)

    found = read_entry(line, "here")

    table, _, action = kind.rpartition(".")
    assert found == (entry, table, action == "delete", action == "range", rows)
    assert entry_line(found.number, at, kind, found.rows) == line


LINE = entry_line(7, datetime(2026, 11, 23, tzinfo=UTC), "a.insert", [('保"\\', bytes(32))])


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, len(LINE) - 1), byte=st.integers(0, 255))
def test_a_line_is_read_only_in_the_one_way_in_which_it_is_written(place: int, byte: int) -> None:
    changed = LINE[:place] + bytes([byte]) + LINE[place + 1 :]
    try:
        read_entry(changed, "here")
    except BundleError:
        assert changed != LINE
        return

    assert json.dumps(json.loads(changed), ensure_ascii=False, separators=(",", ":")).encode() == changed


@settings(max_examples=200, deadline=None)
@given(size=st.integers(0, 10**18), root=hashes, at=instants)
def test_a_checkpoint_is_read_as_it_was_signed_by_both(size: int, root: bytes, at: datetime) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root, at)

    note = sign(checkpoint.text(), ORIGIN, PRIVATE)

    said, key = verify(note, [verifier_key(ORIGIN, PRIVATE)])
    found = read_note(note, "here")
    assert read_checkpoint(said) == checkpoint
    assert (found.origin, found.size, found.root, found.sealed_at) == (ORIGIN, size, root, instant_text(at))
    assert (found.text, found.signatures[0][1][:4]) == (said, key.key_hash)


@settings(max_examples=200, deadline=None)
@given(salt=st.binary(min_size=16, max_size=16), row=texts)
def test_both_digest_a_row_alike(salt: bytes, row: str) -> None:
    assert product_digest(salt, row) == verifier_digest(salt, row)
