"""Edits of the ledger's own tables as the database's superuser makes them, drawn from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from compliance.ledger_tree import TILE_WIDTH
from tests.ledger_edits import Place, Touched

_ENTRIES = text("""
SELECT l.entry, e.source, e.kind, e.keys FROM ledger_entries e JOIN ledger_leaves l USING (source) ORDER BY l.entry
""")
_AGAIN = """
WITH gone AS (DELETE FROM ledger_entries WHERE source = :source RETURNING *)
INSERT INTO ledger_entries (source, tx, recorded_at, kind, keys, digests, salts) OVERRIDING SYSTEM VALUE
SELECT {source}, tx, recorded_at, kind, keys, digests, salts FROM gone"""
_FLIP = "set_byte({0}, {1}, 255 - get_byte({0}, {1}))"


@dataclass(frozen=True, slots=True)
class Written:
    """A sealed entry, with the rows that it speaks of."""

    number: int
    source: int
    kind: str
    keys: tuple[str, ...]

    @property
    def table(self) -> str:
        return self.kind.partition(".")[0]

    @property
    def places(self) -> set[Place]:
        return {(self.table, key) for key in self.keys}


@dataclass(slots=True)
class LedgerEditor:
    """Makes edits of entries, leaves, tiles and checkpoints from a seed."""

    chance: random.Random
    entries: tuple[Written, ...]
    sizes: tuple[int, ...]
    tiles: int

    @classmethod
    def over(cls, connection: Connection, seed: int) -> "LedgerEditor":
        entries = tuple(
            Written(number, source, kind, tuple(keys)) for number, source, kind, keys in connection.execute(_ENTRIES)
        )
        sizes = connection.execute(text("SELECT size FROM ledger_checkpoints ORDER BY size")).scalars()
        tiles = connection.execute(text("SELECT count(*) FROM ledger_tiles")).scalar_one()
        return cls(random.Random(seed), entries, tuple(sizes), tiles)

    @property
    def size(self) -> int:
        return len(self.entries)

    def entry(self, connection: Connection) -> Touched:
        """Change a column of an entry that its line shows, or its place in the order of writing."""
        one = self.chance.choice(self.entries)
        other = self.chance.choice([its for its in self.entries if its.table != one.table])
        values = {
            "recorded_at": ["recorded_at + interval '1 microsecond'", "recorded_at - interval '1 day'", "'infinity'"],
            "kind": ["kind || 's'", f"'{other.kind}'", f"'{one.table}.delete'", "''", "'保险🚫.insert'"],
            "keys": [
                "keys || CAST('x' AS text)",
                "keys[2:]",
                f"ARRAY['{other.keys[0]}']",
                "ARRAY[NULL]",
                "ARRAY[keys]",
            ],
            "digests": [_FLIP.format("digests", self.chance.randrange(32)), "substr(digests, 2)", "digests || digests"],
        }
        column = self.chance.choice(list(values))
        value = self.chance.choice([its for its in values[column] if its != f"'{one.kind}'"])
        connection.execute(
            text(f"UPDATE ledger_entries SET {column} = {value} WHERE source = :source"),  # noqa: S608 - our names
            {"source": one.source},
        )
        places = one.places | {(other.table, key) for key in (*one.keys, *other.keys)} | {(one.table, other.keys[0])}
        strange: set[Place] = {
            (table, key) for table in (one.table, f"{one.table}s", "", "保险🚫") for key in (*one.keys, "x", "", None)
        }
        return Touched(entries={one.number}, places=places | strange)

    def salt(self, connection: Connection) -> Touched:
        """Change the salt of a row in the latest entry about it: the row can no longer be shown to be the one."""
        latest = {place: one for one in self.entries for place in one.places}
        place = self.chance.choice([its for its, one in latest.items() if not one.kind.endswith(".delete")])
        one = latest[place]
        at = one.keys.index(place[1]) * 16 + self.chance.randrange(16)
        statement = f"UPDATE ledger_entries SET salts = {_FLIP.format('salts', at)} WHERE source = :source"  # noqa: S608
        connection.execute(text(statement), {"source": one.source})
        return Touched([(one.number, *place, "row_changed")])

    def source(self, connection: Connection) -> Touched:
        """Write an entry under another place in the order of writing."""
        one = self.chance.choice(self.entries)
        source = self.chance.choice([-5, 0, one.source + 1_000_000])
        connection.execute(text(_AGAIN.format(source=source)), {"source": one.source})
        return Touched(entries={one.number}, places=one.places)

    def swapped_entries(self, connection: Connection) -> Touched:
        one, other = self.chance.sample(self.entries, 2)
        columns = "recorded_at = o.recorded_at, kind = o.kind, keys = o.keys, digests = o.digests, salts = o.salts"
        connection.execute(
            text(
                f"UPDATE ledger_entries t SET {columns} FROM ledger_entries o WHERE t.source IN (:one, :other)"  # noqa: S608
                " AND o.source IN (:one, :other) AND t.source <> o.source"
            ),
            {"one": one.source, "other": other.source},
        )
        return Touched(entries={one.number, other.number}, places=one.places | other.places)

    def deleted_entry(self, connection: Connection) -> Touched:
        one = self.chance.choice(self.entries)
        connection.execute(text("DELETE FROM ledger_entries WHERE source = :source"), {"source": one.source})
        return Touched(entries={one.number}, places=one.places)

    def copied_entry(self, connection: Connection) -> Touched:
        """Add an entry like another that looks as old as those that are sealed."""
        one = self.chance.choice(self.entries)
        connection.execute(
            text(
                "INSERT INTO ledger_entries (tx, recorded_at, kind, keys, digests, salts)"
                " SELECT tx, recorded_at, kind, keys, digests, salts FROM ledger_entries WHERE source = :source"
            ),
            {"source": one.source},
        )
        return Touched(places=one.places)

    def leaf(self, connection: Connection) -> Touched:
        one = self.chance.choice(self.entries)
        values = {
            "leaf": [_FLIP.format("leaf", self.chance.randrange(32)), "substr(leaf, 2)", "leaf || leaf", "''"],
            "entry": ["-1 - entry", f"entry + {self.size}", "entry + (1::bigint << 60)"],
            "source": ["-1 - source", "source + 1000000"],
        }
        column = self.chance.choice(list(values))
        value = self.chance.choice(values[column])
        statement = f"UPDATE ledger_leaves SET {column} = {value} WHERE entry = :entry"  # noqa: S608 - our names
        connection.execute(text(statement), {"entry": one.number})
        places = one.places if column != "leaf" else set()
        return Touched(entries={one.number}, places=places, words=("numbered beyond",) if column == "entry" else ())

    def swapped_leaves(self, connection: Connection) -> Touched:
        one, other = self.chance.sample(self.entries, 2)
        connection.execute(
            text("UPDATE ledger_leaves SET entry = -1 - entry WHERE entry IN (:one, :other)"),
            {"one": one.number, "other": other.number},
        )
        connection.execute(
            text("UPDATE ledger_leaves SET entry = CAST(:sum AS bigint) + 1 + entry WHERE entry < 0"),
            {"sum": one.number + other.number},
        )
        return Touched(entries={one.number, other.number}, places=one.places | other.places)

    def deleted_leaf(self, connection: Connection) -> Touched:
        one = self.chance.choice(self.entries)
        connection.execute(text("DELETE FROM ledger_leaves WHERE entry = :entry"), {"entry": one.number})
        return Touched(entries={one.number}, places=one.places)

    def copied_leaf(self, connection: Connection) -> Touched:
        one = self.chance.choice(self.entries)
        number = self.chance.choice([-1 - one.number, self.size, self.size + 77, 1 << 60])
        connection.execute(
            text(
                "INSERT INTO ledger_leaves SELECT :number, source + 1000000, leaf FROM ledger_leaves"
                " WHERE entry = :entry"
            ),
            {"number": number, "entry": one.number},
        )
        return Touched(words=("numbered beyond",))

    def tile(self, connection: Connection) -> Touched:
        """Change a tile; a hash of an entry in it is named by the entry."""
        index, place = self.chance.randrange(self.tiles), self.chance.randrange(TILE_WIDTH)
        flipped = _FLIP.format("hashes", place * 32 + self.chance.randrange(32))
        values = {
            "hashes": [flipped, "hashes || '\\x00'", "''", "substr(hashes, 1, 32 * 255)"],
            "root": [_FLIP.format("root", 0), "''"],
            "level": ["1", "-1", "7", "100"],
            "index": ["index + 2", "-1 - index", "index + (1::bigint << 55)"],
        }
        column = self.chance.choice(list(values))
        value = self.chance.choice(values[column])
        statement = f'UPDATE ledger_tiles SET "{column}" = {value} WHERE index = :index'  # noqa: S608 - our names
        connection.execute(text(statement), {"index": index})
        if value == flipped:
            return Touched([(index * TILE_WIDTH + place, None, None, "entry_changed")])
        its = set(range(index * TILE_WIDTH, (index + 1) * TILE_WIDTH)) if column == "hashes" else set[int]()
        return Touched(entries=its, words=(f"tile {index} ", "has no place"))

    def deleted_tile(self, connection: Connection) -> Touched:
        index = self.chance.randrange(self.tiles)
        connection.execute(text("DELETE FROM ledger_tiles WHERE index = :index"), {"index": index})
        return Touched([(None, None, None, "checkpoint")])

    def copied_tile(self, connection: Connection) -> Touched:
        level, index = self.chance.choice([(0, 99), (0, -1), (1, 0), (-1, 0), (7, 0), (31, 0), (0, 1 << 55)])
        connection.execute(
            text("INSERT INTO ledger_tiles SELECT :level, :index, hashes, root FROM ledger_tiles WHERE index = 0"),
            {"level": level, "index": index},
        )
        return Touched([(None, None, None, "checkpoint")])

    def checkpoint(self, connection: Connection) -> Touched:
        size = self.chance.choice(self.sizes)
        values = {
            "size": ["size + 1", "size - 1", "size + 1000", "-size", "0"],
            "root": [_FLIP.format("root", self.chance.randrange(32)), "''", "root || root"],
            "note": [
                "replace(note, 'sealed 2026', 'sealed 2027')",
                "note || ' '",
                "''",
                "left(note, -9)",
                "note || note",
            ],
            "key_id": ["''", "reverse(key_id)"],
            "sealed_at": ["sealed_at + interval '1 microsecond'", "'-infinity'"],
        }
        column = self.chance.choice(list(values))
        value = self.chance.choice(values[column])
        statement = f"UPDATE ledger_checkpoints SET {column} = {value} WHERE size = :size"  # noqa: S608 - our names
        connection.execute(text(statement), {"size": size})
        return Touched(words=(f"of {size} entries", "numbered beyond", *self._sizes_like(size)))

    def _sizes_like(self, size: int) -> Sequence[str]:
        return [f"of {other} entries" for other in (size + 1, size - 1, size + 1000, -size, 0)]

    def swapped_checkpoints(self, connection: Connection) -> Touched:
        one, other = self.chance.sample(self.sizes, 2)
        connection.execute(
            text(
                "UPDATE ledger_checkpoints t SET note = o.note FROM ledger_checkpoints o WHERE t.size IN (:one, :other)"
                " AND o.size IN (:one, :other) AND t.size <> o.size"
            ),
            {"one": one, "other": other},
        )
        return Touched(words=(f"of {one} entries", f"of {other} entries", "numbered beyond"))

    def deleted_checkpoint(self, connection: Connection) -> Touched:
        size = self.chance.choice(self.sizes)
        connection.execute(text("DELETE FROM ledger_checkpoints WHERE size = :size"), {"size": size})
        return Touched(words=(f"of {size} entries", "numbered beyond"))

    def copied_checkpoint(self, connection: Connection) -> Touched:
        size, fresh = (
            self.chance.choice(self.sizes),
            self.chance.choice([-1, 0, 5, self.size - 1, self.size + 1, 1 << 60]),
        )
        columns = "root, note, key_id, sealed_at, horizon, cluster, checks_through, checks_after"
        connection.execute(
            text(
                f"INSERT INTO ledger_checkpoints (size, {columns})"  # noqa: S608 - our names
                f" SELECT :fresh, {columns} FROM ledger_checkpoints WHERE size = :size"
            ),
            {"fresh": fresh, "size": size},
        )
        return Touched(words=(f"of {fresh} entries",))
