"""The Merkle tree of RFC 9162, section 2.1: hashes, roots, and proofs that a stranger can check.

Pure. A tree over a log of `size` leaves is made of perfect subtrees: the one at `level` and `index` covers the leaves
from `index << level` on, `1 << level` of them, and never changes once it is full. Whoever makes proofs says first which
perfect subtrees are needed (`inclusion_ranges`, `consistency_ranges`, `perfect_subtrees`), reads these, and folds them
together (`fold`), so that a proof costs the logarithm of the size however long the log is.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

HASH_BYTES = 32


class ProofError(ValueError):
    """A proof does not show what it should, or cannot be a proof at all."""


class Range(NamedTuple):
    """Leaves from `begin` to `end`, `end` not included."""

    begin: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.begin


class Subtree(NamedTuple):
    """The perfect subtree over the leaves from `index << level` to `(index + 1) << level`."""

    level: int
    index: int  # type: ignore[assignment]  # nobody looks for the place of a value in a subtree


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf (2.1.1).

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two subtrees (2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root over no leaf at all (2.1.1)."""


def split(size: int) -> int:
    """Return the largest power of two that is less than `size`, which is at least 2 (2.1.1)."""
    return 1 << (size - 1).bit_length() - 1


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over these leaf hashes.

    >>> root_of([]).hex()[:8]
    'e3b0c442'
    """
    tree = Frontier()
    for one in hashes:
        tree.append(one)
    return tree.root()


class Frontier:
    """The perfect subtrees at the right edge of a growing tree, largest first: all that is needed to go on."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count():
            raise ProofError(f"a tree of {size} leaves has {size.bit_count()} perfect subtrees, not {len(self.hashes)}")

    def append(self, leaf: bytes) -> None:
        """Add the hash of one more leaf."""
        self.append_subtree(0, leaf)

    def append_subtree(self, level: int, found: bytes) -> None:
        """Add the hash of a perfect subtree, which must fit: the size so far is a multiple of its own."""
        if self.size % (1 << level):
            raise ProofError(f"a subtree of {1 << level} leaves cannot follow {self.size} leaves")
        above = self.size >> level
        while above & 1:
            found = node_hash(self.hashes.pop(), found)
            above >>= 1
        self.hashes.append(found)
        self.size += 1 << level

    def root(self) -> bytes:
        return fold(self.hashes) if self.hashes else EMPTY_ROOT


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over neighbouring perfect subtrees that become smaller from left to right."""
    found = hashes[-1]
    for one in reversed(hashes[:-1]):
        found = node_hash(one, found)
    return found


def perfect_subtrees(leaves: Range) -> list[Subtree]:
    """Return the perfect subtrees over a range that a proof names, left to right, each smaller than the one before.

    Such a range begins at a multiple of the smallest power of two that is not less than its size.
    """
    found, begin = [], leaves.begin
    while begin < leaves.end:
        level = (leaves.end - begin).bit_length() - 1
        found.append(Subtree(level, begin >> level))
        begin += 1 << level
    return found


def cover(leaves: Range) -> list[Subtree]:
    """Return the fewest perfect subtrees over any range, left to right."""
    found, begin = [], leaves.begin
    while begin < leaves.end:
        level = (leaves.end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        found.append(Subtree(level, begin >> level))
        begin += 1 << level
    return found


def inclusion_ranges(entry: int, size: int) -> list[Range]:
    """Return the ranges whose hashes are the path of leaf `entry` in a tree of `size`, from the leaf up (2.1.3.1)."""
    if not 0 <= entry < size:
        raise ProofError(f"entry {entry} is not in a tree of {size}")
    leaves, path = Range(0, size), []
    while leaves.size > 1:
        middle = leaves.begin + split(leaves.size)
        if entry < middle:
            path.append(Range(middle, leaves.end))
            leaves = Range(leaves.begin, middle)
        else:
            path.append(Range(leaves.begin, middle))
            leaves = Range(middle, leaves.end)
    return path[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """Return the ranges whose hashes show that a tree of `new` leaves begins with one of `old` (2.1.4.1)."""
    if not 0 < old <= new:
        raise ProofError(f"a tree of {new} cannot be shown to begin with one of {old}")
    leaves, path, is_whole = Range(0, new), [], True
    while old != leaves.end:
        middle = leaves.begin + split(leaves.size)
        if old <= middle:
            path.append(Range(middle, leaves.end))
            leaves = Range(leaves.begin, middle)
        else:
            path.append(Range(leaves.begin, middle))
            leaves, is_whole = Range(middle, leaves.end), False
    return path[::-1] if is_whole else [leaves, *path[::-1]]


def check_inclusion(leaf: bytes, entry: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` is the hash of `entry` in the tree of `size` with this root (2.1.3.2).

    Raises:
        ProofError: the path does not show it.
    """
    ranges = inclusion_ranges(entry, size)
    if len(path) != len(ranges):
        raise ProofError(f"the path of entry {entry} in a tree of {size} has {len(ranges)} hashes, not {len(path)}")
    found = leaf
    for leaves, beside in zip(ranges, path, strict=True):
        found = node_hash(found, beside) if leaves.begin > entry else node_hash(beside, found)
    if found != root:
        raise ProofError(f"the path of entry {entry} does not lead to the root of the tree of {size}")


def check_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree of `new` leaves begins with that of `old` (2.1.4.2).

    Raises:
        ProofError: the path does not show it.
    """
    if old == 0:
        if path or old_root != EMPTY_ROOT:
            raise ProofError("an empty tree has the empty root and needs no proof")
        return
    ranges = consistency_ranges(old, new)
    if len(path) != len(ranges):
        raise ProofError(f"the proof from {old} to {new} has {len(ranges)} hashes, not {len(path)}")
    if not ranges:
        if old_root != new_root:
            raise ProofError(f"two trees of {old} leaves have different roots")
        return
    found_old, found_new = _roots_of(old, ranges, path, old_root)
    if found_old != old_root:
        raise ProofError(f"the tree of {new} does not begin with the tree of {old} that was signed")
    if found_new != new_root:
        raise ProofError(f"the proof from {old} does not lead to the root of the tree of {new}")


def _roots_of(old: int, ranges: Sequence[Range], path: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """Return the roots of both trees that the proof leads to."""
    if ranges[0].end == old:
        # The last perfect subtree of the old tree comes first.
        found_old = found_new = path[0]
        others = zip(ranges[1:], path[1:], strict=True)
    else:
        # The old tree is itself a subtree of the new one.
        found_old = found_new = old_root
        others = zip(ranges, path, strict=True)
    for leaves, beside in others:
        if leaves.begin >= old:
            found_new = node_hash(found_new, beside)
        else:
            found_old, found_new = node_hash(beside, found_old), node_hash(beside, found_new)
    return found_old, found_new
