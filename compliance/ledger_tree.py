"""The stored tree: leaves are added, and proofs are read, in a few statements however long the log is.

Hashes lie in tiles of 256 (C2SP tlog-tiles, height 8). The tile at `level` and `index` holds the hashes of 256 perfect
subtrees of 256^level leaves each, and its root is one hash of the tile above. Only full tiles are stored. Those at the
right edge, still filling, are put together from the leaves, or from the roots of the tiles below.

Nothing here checks a hash against another: who has a checkpoint and a proof does.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from compliance.merkle import (
    EMPTY_ROOT,
    Range,
    Subtree,
    consistency_ranges,
    fold,
    inclusion_ranges,
    node_hash,
    perfect_subtrees,
)
from infra.binary_rows import copy_in

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

_HASH = 32
_WITHIN = TILE_WIDTH - 1
_LEAF_ROW = struct.Struct(">hiqiqi32s")
_TILE_HEAD = struct.Struct(">hiiiqi")
_LENGTH = struct.Struct(">i")

_TILES = text("""
    SELECT t.level, t.index, t.hashes
      FROM unnest(CAST(:levels AS int[]), CAST(:indexes AS bigint[])) AS w (level, index)
      JOIN ledger_tiles t ON t.level = w.level AND t.index = w.index""")
_LEAVES = text("""
    SELECT l.entry, l.leaf FROM unnest(CAST(:begins AS bigint[]), CAST(:ends AS bigint[])) AS w (first, past)
      JOIN ledger_leaves l ON l.entry >= w.first AND l.entry < w.past""")
_ROOTS = text("""
    SELECT t.level, t.index, t.root
      FROM unnest(CAST(:levels AS int[]), CAST(:begins AS bigint[]), CAST(:ends AS bigint[])) AS w (level, first, past)
      JOIN ledger_tiles t ON t.level = w.level AND t.index >= w.first AND t.index < w.past""")


class MissingHashError(LookupError):
    """The stored tree lacks a hash that it must have: rows of the ledger's own tables are gone."""


class _Tile(NamedTuple):
    level: int
    place: int
    hashes: bytes
    root: bytes


class _Row(NamedTuple):
    """Neighbouring hashes of one level of tiles: of the subtrees of 256^level leaves from `begin` to `end`."""

    level: int
    begin: int
    end: int

    @property
    def tile(self) -> tuple[int, int]:
        return self.level, self.begin >> TILE_HEIGHT


def append_leaves(connection: Connection, size: int, sources: Sequence[int], leaves: Sequence[bytes]) -> bytes:
    """Add the leaves of the entries `size`, `size` + 1, … in the caller's transaction; return the new root.

    `sources[i]` is the row of ledger_entries whose line has the leaf hash `leaves[i]`. The caller holds the sealer's
    lock: two that extend the same tree would collide in its primary keys.

    Raises:
        MissingHashError: the stored tree of `size` is not whole.
    """
    edge = _edge(connection, size)
    edge[0].extend(leaves)
    full: list[_Tile] = []
    starts = {level: (size >> TILE_HEIGHT * level) >> TILE_HEIGHT for level in edge}
    level = 0
    while level in edge:
        hashes, index = edge[level], starts.get(level, 0)
        whole = len(hashes) >> TILE_HEIGHT
        for place in range(whole):
            piece = hashes[place << TILE_HEIGHT : (place + 1) << TILE_HEIGHT]
            tile = _Tile(level, index + place, b"".join(piece), _root_of(piece))
            full.append(tile)
            edge.setdefault(level + 1, []).append(tile.root)
        del hashes[: whole << TILE_HEIGHT]
        level += 1
    _copy_leaves(connection, size, sources, leaves)
    _copy_tiles(connection, full)
    return _root_at_edge(edge, size + len(leaves))


def _edge(connection: Connection, size: int) -> dict[int, list[bytes]]:
    """Return the hashes of the tiles that are still filling, by level; level 0 always stands there."""
    rows = []
    level = 0
    while size >> TILE_HEIGHT * level:
        count = size >> TILE_HEIGHT * level
        rows.append(_Row(level, count & ~_WITHIN, count))
        level += 1
    found = _read(connection, [], rows)
    return {
        0: [],
        **{row.level: [_hash_at(found, row.level, index) for index in range(row.begin, row.end)] for row in rows},
    }


def _root_at_edge(edge: dict[int, list[bytes]], size: int) -> bytes:
    """Return the root of a tree from the tiles at its right edge, where all its perfect subtrees lie."""
    if size == 0:
        return EMPTY_ROOT
    hashes = []
    for subtree in perfect_subtrees(Range(0, size)):
        row = _row_under(subtree)
        hashes.append(_root_of(edge[row.level][row.begin & _WITHIN :][: row.end - row.begin]))
    return fold(hashes)


def root_at(connection: Connection, size: int) -> bytes:
    """Return the root over the first `size` entries.

    Raises:
        MissingHashError: the stored tree is not whole, or smaller.
    """
    return EMPTY_ROOT if size == 0 else _folded(connection, [Range(0, size)], size)[0]


def inclusion_path(connection: Connection, entry: int, size: int) -> list[bytes]:
    """Return the path of `entry` in the tree of `size`, from the leaf up (RFC 9162 2.1.3.1).

    Raises:
        ProofError: the entry is not in a tree of this size.
        MissingHashError: the stored tree is not whole, or smaller.
    """
    return _folded(connection, inclusion_ranges(entry, size), size)


def consistency_path(connection: Connection, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` begins with that of `old`, which is not empty (RFC 9162 2.1.4.1).

    Raises:
        ProofError: there can be none for these sizes.
        MissingHashError: the stored tree is not whole, or smaller.
    """
    return _folded(connection, consistency_ranges(old, new), new)


def _folded(connection: Connection, ranges: Sequence[Range], size: int) -> list[bytes]:
    """Return the hash over each range, all of them read together."""
    parts = [perfect_subtrees(one) for one in ranges]
    found = subtree_hashes(connection, [subtree for part in parts for subtree in part], size)
    return [fold([found[subtree] for subtree in part]) for part in parts]


def subtree_hashes(connection: Connection, wanted: Sequence[Subtree], size: int) -> dict[Subtree, bytes]:
    """Return the hashes of perfect subtrees of the tree of `size`, with at most three statements.

    Raises:
        MissingHashError: the stored tree is not whole, or smaller than `size`.
    """
    rows = {subtree: _row_under(subtree) for subtree in wanted}
    in_tiles = [row for row in rows.values() if _is_full(row, size)]
    at_edge = [row for row in rows.values() if not _is_full(row, size)]
    found = _read(connection, in_tiles, at_edge)
    return {
        subtree: _root_of([_hash_at(found, row.level, index) for index in range(row.begin, row.end)])
        for subtree, row in rows.items()
    }


def _row_under(subtree: Subtree) -> _Row:
    """Return the hashes of one tile whose root is that of the subtree."""
    level, height = divmod(subtree.level, TILE_HEIGHT)
    return _Row(level, subtree.index << height, (subtree.index + 1) << height)


def _is_full(row: _Row, size: int) -> bool:
    level, index = row.tile
    return (index + 1) << TILE_HEIGHT * (level + 1) <= size


_Found = dict[tuple[int, int], bytes]
"""Hashes by level of tiles and place in that level."""


def _read(connection: Connection, in_tiles: Sequence[_Row], at_edge: Sequence[_Row]) -> _Found:
    """Read hashes: of full tiles from these, of others from the leaves or the roots of the tiles below."""
    found: _Found = {}
    tiles = sorted({row.tile for row in in_tiles})
    if tiles:
        asked = {"levels": [level for level, _ in tiles], "indexes": [index for _, index in tiles]}
        for level, index, hashes in connection.execute(_TILES, asked):
            for place in range(TILE_WIDTH):
                found[level, (index << TILE_HEIGHT) + place] = hashes[place * _HASH : (place + 1) * _HASH]
    edge = _spans(at_edge)
    leaves = [row for row in edge if row.level == 0]
    if leaves:
        asked = {"begins": [row.begin for row in leaves], "ends": [row.end for row in leaves]}
        found.update(((0, entry), leaf) for entry, leaf in connection.execute(_LEAVES, asked))
    roots = [row for row in edge if row.level]
    if roots:
        below = {"levels": [row.level - 1 for row in roots]}
        asked = {**below, "begins": [row.begin for row in roots], "ends": [row.end for row in roots]}
        found.update(((level + 1, index), root) for level, index, root in connection.execute(_ROOTS, asked))
    return found


def _spans(rows: Sequence[_Row]) -> list[_Row]:
    """Return a row per level that spans all of that level: at the edge they lie in one tile."""
    levels = {row.level for row in rows}
    return [
        _Row(
            level,
            min(row.begin for row in rows if row.level == level),
            max(row.end for row in rows if row.level == level),
        )
        for level in sorted(levels)
    ]


def _hash_at(found: _Found, level: int, index: int) -> bytes:
    try:
        return found[level, index]
    except KeyError:
        first, past = index << TILE_HEIGHT * level, (index + 1) << TILE_HEIGHT * level
        raise MissingHashError(
            f"the stored tree has no hash over the entries {first} to {past - 1}: rows of ledger_leaves or"
            " ledger_tiles are gone; restore the database from a backup, see docs/ledger.md"
        ) from None


def _root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of neighbouring hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[place], level[place + 1]) for place in range(0, len(level), 2)]
    return level[0]


def _copy_leaves(connection: Connection, size: int, sources: Sequence[int], leaves: Sequence[bytes]) -> None:
    rows = (
        _LEAF_ROW.pack(3, 8, size + place, 8, source, _HASH, leaf)
        for place, (source, leaf) in enumerate(zip(sources, leaves, strict=True))
    )
    copy_in(connection, "COPY ledger_leaves (entry, source, leaf) FROM STDIN (FORMAT binary)", rows)


def _copy_tiles(connection: Connection, tiles: Sequence[_Tile]) -> None:
    rows = (
        _TILE_HEAD.pack(4, 4, tile.level, 8, tile.place, len(tile.hashes))
        + tile.hashes
        + _LENGTH.pack(_HASH)
        + tile.root
        for tile in tiles
    )
    copy_in(connection, "COPY ledger_tiles (level, index, hashes, root) FROM STDIN (FORMAT binary)", rows)
