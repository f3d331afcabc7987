"""The stored tree against what it is over: lines, leaves, tiles, and the roots that were signed.

Everything is read once, in order, a little at a time.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, text

from compliance.ledger_reading import BrokenEntryError, line_of
from compliance.ledger_tree import TILE_HEIGHT, TILE_WIDTH, MissingHashError, subtree_hashes
from compliance.ledger_verifier import Report
from compliance.merkle import HASH_BYTES, Frontier, Range, cover, leaf_hash, root_of

_AT_ONCE = 2000
_MOST_KEYS_NAMED = 5

# An instant that no datetime can be is read as none: no line is of it.
_LEAVES = text("""
SELECT l.entry, l.leaf, e.source IS NULL,
       CASE WHEN e.recorded_at BETWEEN '0001-01-02' AND '9999-12-30' THEN e.recorded_at END, e.kind, e.keys, e.digests
  FROM ledger_leaves l LEFT JOIN ledger_entries e ON e.source = l.source
 WHERE l.entry >= :begin AND l.entry < :end ORDER BY l.entry
""")
# Shifted to the right alone: nothing that may stand in the table overflows.
_TILES = text("""
SELECT level, index, hashes, root FROM ledger_tiles
 WHERE level BETWEEN 0 AND :highest AND index >= -(-CAST(:begin AS bigint) >> :height * (level + 1))
   AND index < CAST(:end AS bigint) >> :height * (level + 1)
 ORDER BY (index + 1) << (:height * (level + 1)), level
""")
_STRAYS = text("""
SELECT t.level, t.index FROM ledger_tiles t,
       (SELECT greatest(:size, count(*)) AS size FROM ledger_leaves) l
 WHERE CASE WHEN t.level BETWEEN 0 AND :highest
            THEN t.index < 0 OR t.index >= l.size >> :height * (t.level + 1) ELSE true END
 ORDER BY t.level, t.index
""")
_HIGHEST = 6
"""The highest level of tiles: one above would be over more entries than there are numbers."""


class TreeCheck:
    """Goes through the entries of a range; `bad` are those that are not as they were sealed."""

    def __init__(self, connection: Connection, report: Report, leaves: Range, roots: Mapping[int, bytes]) -> None:
        self._connection, self._report, self._leaves, self._roots = connection, report, leaves, roots
        self._size = max(roots, default=0)
        self._levels: dict[int, list[bytes]] = {}
        self._last_good = leaves.begin
        self.bad: set[int] = set()

    def run(self) -> None:
        """Report every entry, tile and root that does not fit the others."""
        tree = self._frontier()
        tiles = self._tiles()
        tile = next(tiles, None)
        waiting = self._leaves.begin
        for entry, leaf, *stored in self._streamed(_LEAVES, {"begin": self._leaves.begin, "end": self._leaves.end}):
            if entry > waiting:
                self._miss(waiting, entry)
                tree = None
            waiting = entry + 1
            self._check_line(entry, leaf, stored)
            self._report.entries += 1
            if tree is not None:
                tree.append(leaf)
                self._check_root(tree)
            tile = self._check_tiles(entry, leaf, tile, tiles)
        if waiting < self._leaves.end:
            self._miss(waiting, self._leaves.end)
        elif tree is not None and self._size > tree.size:
            self._finish(tree)

    def check_strays(self, size: int) -> None:
        """Report tiles that a tree of `size` entries, or of all that have a number, does not have.

        The next sealing would run into them.
        """
        for level, index in self._connection.execute(_STRAYS, self._heights() | {"size": size}):
            message = f"the tile {index} of level {level} has no place in the tree: it was added"
            self._report.add("checkpoint", message)

    def _heights(self) -> dict[str, int]:
        return {"height": TILE_HEIGHT, "highest": _HIGHEST}

    def _streamed(self, statement: Any, asked: dict[str, int]) -> Iterator[Any]:  # noqa: ANN401 - a text clause
        options = {"stream_results": True, "yield_per": _AT_ONCE}
        return iter(self._connection.execute(statement, asked, execution_options=options))

    def _frontier(self) -> Frontier | None:
        found = self._subtrees(Range(0, self._leaves.begin))
        return None if found is None else Frontier(self._leaves.begin, [one for _, one in found])

    def _finish(self, tree: Frontier) -> None:
        """Lead the tree from the end of the range to the newest root."""
        for level, found in self._subtrees(Range(tree.size, self._size)) or ():
            tree.append_subtree(level, found)
        if tree.size == self._size:
            self._check_root(tree)

    def _subtrees(self, leaves: Range) -> list[tuple[int, bytes]] | None:
        wanted = cover(leaves)
        try:
            found = subtree_hashes(self._connection, wanted, self._size)
        except MissingHashError as error:
            self._report.add("checkpoint", str(error))
            return None
        return [(one.level, found[one]) for one in wanted]

    def _miss(self, begin: int, end: int) -> None:
        several = f"entries {begin} to {end - 1} are" if end - begin > 1 else f"entry {begin} is"
        self._report.add("entry_missing", f"{several} missing: there is a gap in the numbering", entry=begin)
        self.bad.add(begin)

    def _check_line(self, entry: int, leaf: bytes, stored: list[Any]) -> None:
        is_gone, at, kind, keys, digests = stored
        if is_gone:
            self._report.add("entry_missing", "the entry is numbered, and gone from ledger_entries", entry=entry)
            self.bad.add(entry)
            return
        try:
            is_same = at is not None and leaf_hash(line_of(entry, at, kind, keys, digests)) == leaf
        except (BrokenEntryError, OverflowError, UnicodeEncodeError):
            is_same = False
        if not is_same:
            self._name(entry, kind, keys, "the entry is not what was sealed under its number")

    def _name(self, entry: int, kind: str, keys: list[str], message: str) -> None:
        self.bad.add(entry)
        table = kind.partition(".")[0]
        named = [str(one) for one in keys[:_MOST_KEYS_NAMED]]
        place = (table, named[0]) if len(keys) == 1 else None
        about = "" if place else f"; it is about {len(keys)} rows of {table}: {', '.join(named)} …"
        self._report.add("entry_changed", message + about, entry=entry, place=place)

    def _check_root(self, tree: Frontier) -> None:
        root = self._roots.get(tree.size)
        if root is None:
            return
        if root == tree.root() or self.bad:
            self._last_good = tree.size  # after a bad entry no root fits: what is wrong is said already
            return
        span = f"between entry {self._last_good} and {tree.size - 1}"
        message = f"the tree does not lead to the root that was signed over {tree.size} entries: one {span} was changed"
        self._report.add("checkpoint", message)
        self.bad.add(-1)

    def _tiles(self) -> Iterator[Any]:
        return self._streamed(_TILES, self._heights() | {"begin": self._leaves.begin, "end": self._leaves.end})

    def _check_tiles(self, entry: int, leaf: bytes, tile: Any, tiles: Iterator[Any]) -> Any:  # noqa: ANN401 - a row
        """Compare the tiles that `entry` fills with what lies below them; return the tile that comes next."""
        level, end, found = 0, entry + 1, leaf
        while True:
            row = self._levels.setdefault(level, [])
            row.append(found)
            width = TILE_WIDTH ** (level + 1)
            if end % width:
                return tile
            self._levels[level] = []
            index = end // width - 1
            # Tiles over entries of which some are missing were passed over.
            while tile is not None and _order(tile.level, tile.index) < (end, level):
                tile = next(tiles, None)
            if len(row) < TILE_WIDTH:
                return tile  # it began before the range, or an entry is missing
            found = root_of(row)
            if tile is not None and (tile.level, tile.index) == (level, index):
                self._compare(tile, row, found)
                tile = next(tiles, None)
            else:
                self._report.add("checkpoint", f"the tile {index} of level {level} of the stored tree is missing")
            level += 1

    def _compare(self, tile: Any, row: list[bytes], root: bytes) -> None:  # noqa: ANN401 - a row
        if tile.hashes == b"".join(row) and tile.root == root:
            return
        stored = [tile.hashes[at : at + HASH_BYTES] for at in range(0, len(tile.hashes), HASH_BYTES)]
        wrong = [place for place, one in enumerate(row) if place >= len(stored) or stored[place] != one]
        if tile.level == 0 and wrong and len(stored) == len(row):
            for place in wrong:
                entry = tile.index * TILE_WIDTH + place
                if entry not in self.bad:
                    self.bad.add(entry)
                    self._report.add("entry_changed", "the stored tree has another hash for the entry", entry=entry)
        elif not self.bad:
            message = f"the tile {tile.index} of level {tile.level} of the stored tree is not over what lies below it"
            self._report.add("checkpoint", message)


def _order(level: int, index: int) -> tuple[int, int]:
    """Return where a tile stands among all: behind the last entry that it is over, and those of lower levels."""
    return (index + 1) * TILE_WIDTH ** (level + 1), level
