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

_LEAVES = text("""
SELECT l.entry, l.leaf, e.source IS NULL, e.recorded_at, e.kind, e.keys, e.digests
  FROM ledger_leaves l LEFT JOIN ledger_entries e ON e.source = l.source
 WHERE l.entry >= :begin AND l.entry < :end ORDER BY l.entry
""")
_TILES = text("""
SELECT level, index, hashes, root FROM ledger_tiles
 WHERE index << (:height * (level + 1)) >= :begin AND (index + 1) << (:height * (level + 1)) <= :end
 ORDER BY (index + 1) << (:height * (level + 1)), level
""")


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
        self.bad.update(range(begin, end))

    def _check_line(self, entry: int, leaf: bytes, stored: list[Any]) -> None:
        is_gone, at, kind, keys, digests = stored
        if is_gone:
            self._report.add("entry_missing", "the entry is numbered, and gone from ledger_entries", entry=entry)
            self.bad.add(entry)
            return
        try:
            is_same = leaf_hash(line_of(entry, at, kind, keys, digests)) == leaf
        except (BrokenEntryError, OverflowError, UnicodeEncodeError):
            is_same = False
        if not is_same:
            self._name(entry, kind, keys, "the entry is not what was sealed under its number")

    def _name(self, entry: int, kind: str, keys: list[str], message: str) -> None:
        self.bad.add(entry)
        table = kind.partition(".")[0]
        place = (table, keys[0]) if len(keys) == 1 else None
        about = "" if place else f"; it is about {len(keys)} rows of {table}: {', '.join(keys[:_MOST_KEYS_NAMED])} …"
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
        height, begin = TILE_HEIGHT, self._leaves.begin
        return self._streamed(_TILES, {"height": height, "begin": begin, "end": self._leaves.end})

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
            if len(row) < TILE_WIDTH:
                return tile  # it began before the range
            index, found = end // width - 1, root_of(row)
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
        if tile.level == 0 and wrong:
            for place in wrong:
                entry = tile.index * TILE_WIDTH + place
                if entry not in self.bad:
                    self.bad.add(entry)
                    self._report.add("entry_changed", "the stored tree has another hash for the entry", entry=entry)
        elif not self.bad:
            message = f"the tile {tile.index} of level {tile.level} of the stored tree is not over what lies below it"
            self._report.add("checkpoint", message)
