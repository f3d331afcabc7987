"""Edits of evidence as the database's superuser makes them, drawn from a seed, each with what must be named.

An edit is tried in a transaction that its caller rolls back. What a constraint refuses was no edit, and another value
is tried: whoever edits wants a database that still works.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from compliance.ledger_lines import hidden_key, joined_key
from compliance.ledger_verifier import Problem

Place = tuple[str, str | None]

CHANGES, DELETIONS, COPIES, SWAPS = 28, 6, 5, 5
"""So many edits of a covered table; truncated once, too."""

_ODD = "保险🚫"
_VALUES = {
    "text": (
        "{} || U&'\\200B'", "upper({})", "''", f"'{_ODD}'", "normalize({}, NFD) || U&'e\\0301'", "left({}, -1)",
        "{} || ' '", "reverse({})",
    ),
    "bigint": ("{} + 1", "{} - 1", "-{}", "{} * 10", "0"),
    "uuid": ("CAST('{random}' AS uuid)",),
    "timestamp with time zone": (
        "{} + interval '1 microsecond'", "{} - interval '1 microsecond'", "{} + interval '1 day'", "'infinity'",
    ),
    "date": ("{} + 1", "{} - 1", "'infinity'"),
    "jsonb": (
        "{} || '{{\"x\" : null}}'", "jsonb_build_array({})", "CAST(replace(CAST({} AS text), '1', '1.0') AS jsonb)",
        f"'\"{_ODD}\"'", "'null'",
    ),
    "json": ("CAST(' ' || CAST({} AS text) AS json)", "'{{}}'", "'[1, 1.0]'"),
    "bytea": ("set_byte({0}, 0, 255 - get_byte({0}, 0))", "{} || '\\x00'", "substr({}, 2)", "''"),
}  # fmt: skip
"""Expressions for another value of each type; `{}` is the present one."""
_INSTEAD_OF_NULL = {
    "text": f"'{_ODD}'",
    "bigint": "0",
    "uuid": "CAST('{random}' AS uuid)",
    "timestamp with time zone": "'2026-11-23 04:00:00.000001+00'",
    "date": "'2026-11-23'",
    "jsonb": "'{{}}'",
}
_COLUMNS = text("""
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey)),
       a.attidentity = 'a', (SELECT string_agg(pg_get_constraintdef(c.oid), ' ') FROM pg_constraint c
         WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND a.attnum = ANY (c.conkey))
  FROM pg_attribute a WHERE a.attrelid = CAST(:name AS regclass) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
""")
_REFERRING = text("""
SELECT conrelid::regclass::text FROM pg_constraint
 WHERE contype = 'f' AND confrelid = CAST(:name AS regclass) AND conrelid <> confrelid
""")
_LATEST = text("""
SELECT split_part(e.kind, '.', 1), k, max(l.entry)
  FROM ledger_leaves l JOIN ledger_entries e USING (source) CROSS JOIN LATERAL unnest(e.keys) k
 GROUP BY 1, 2
""")


class RefusedError(Exception):
    """The database takes no value that was tried; the edit is none."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    is_required: bool
    is_unique: bool
    is_generated: bool
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that the ledger covers; `entry` is the latest about it."""

    ctid: str
    place: Place
    entry: int


@dataclass(frozen=True, slots=True)
class Covered:
    """A covered table with all its rows."""

    name: str
    key: tuple[str, ...]
    hides_key: bool
    covered: tuple[str, ...]
    columns: dict[str, Column]
    rows: tuple[Kept, ...]
    referring: tuple[str, ...]


@dataclass(slots=True)
class Touched:
    """What an edit touched, and how that may be named.

    `exactly`: the findings that there must be, and no others. Else each finding must be about one of `entries` or
    `places` or, if `words` are given, say them of a checkpoint or tile, and at least one there must be.
    """

    exactly: list[tuple[int | None, str | None, str | None, str]] | None = None
    entries: set[int] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    words: tuple[str, ...] = ()

    def wrongs(self, problems: Sequence[Problem]) -> list[str]:
        """Return what is said and should not be, and what should be said and is not."""
        found = [(one.entry, one.table, one.key, one.what) for one in problems]
        if self.exactly is not None:
            said = [f"not said: {one}" for one in self.exactly if one not in found]
            return said + [f"said: {one}" for one in found if one not in self.exactly or found.count(one) > 1]
        said = [f"said: {one} {problem.message}" for one, problem in zip(found, problems, strict=True)
                if not self._is_about(problem)]  # fmt: skip
        return said if found else ["nothing is said"]

    def _is_about(self, one: Problem) -> bool:
        if one.entry in self.entries or (one.table, one.key) in self.places:
            return True
        return one.what == "checkpoint" and any(word in one.message for word in self.words)


@dataclass(slots=True)
class Editor:
    """Makes edits from a seed."""

    chance: random.Random
    tables: dict[str, Covered]
    secret: bytes
    size: int

    @classmethod
    def over(cls, connection: Connection, seed: int) -> "Editor":
        secret = connection.execute(text("SELECT key_secret FROM ledger_identity")).scalar_one()
        size = connection.execute(text("SELECT count(*) FROM ledger_leaves")).scalar_one()
        latest = {(table, key): entry for table, key, entry in connection.execute(_LATEST)}
        found = text("SELECT table_name, key_columns, columns, hides_key FROM ledger_coverage ORDER BY table_name")
        tables = {}
        for name, key, covered, hides_key in connection.execute(found).all():
            parts = ", ".join(f"CAST({one} AS text)" for one in key)
            rows = connection.execute(text(f"SELECT CAST(ctid AS text), ARRAY[{parts}] FROM {name} ORDER BY 2"))  # noqa: S608 - our names
            places = [(ctid, (name, _key(secret, its, hides_key=hides_key))) for ctid, its in rows]
            kept = tuple(Kept(ctid, place, latest[place]) for ctid, place in places)
            columns = {row[0]: _column(row) for row in connection.execute(_COLUMNS, {"name": name})}
            referring = tuple(connection.execute(_REFERRING, {"name": name}).scalars())
            tables[name] = Covered(name, tuple(key), hides_key, tuple(covered), columns, kept, referring)
        return cls(random.Random(seed), tables, secret, size)

    def change(self, connection: Connection, table: Covered, number: int) -> Touched:
        """Change one covered column of one row; `number` says which column."""
        column = table.columns[table.covered[number % len(table.covered)]]
        row = self.chance.choice(table.rows)
        _let_write(connection, table)
        is_null = f"SELECT {column.name} IS NULL FROM {table.name} WHERE ctid = :ctid"  # noqa: S608 - our names
        at = {"ctid": row.ctid}
        returned = self._key_of(table)
        for value in self._others(column, is_null=connection.execute(text(is_null), at).scalar_one()):
            statement = (
                f"UPDATE {table.name} SET {column.name} = {value} WHERE ctid = :ctid"  # noqa: S608 - our names
                f" AND CAST({value} AS text) IS DISTINCT FROM CAST({column.name} AS text) RETURNING {returned}"
            )
            if (key := self._tried(connection, statement, at)) is not None:
                return self._moved(table, [(row, key[0])])
        raise RefusedError(column.name)

    def delete(self, connection: Connection, table: Covered, _number: int) -> Touched:
        row = self.chance.choice(table.rows)
        connection.execute(text(f"DELETE FROM {table.name} WHERE ctid = :ctid"), {"ctid": row.ctid})  # noqa: S608 - our names
        return Touched([(row.entry, *row.place, "row_missing")])

    def copy(self, connection: Connection, table: Covered, number: int) -> Touched:
        """Add a copy of a row under another key, and with other values where none may stand twice."""
        row = self.chance.choice(table.rows)
        fresh = {table.key[number % len(table.key)]} | {
            one.name for one in table.columns.values() if one.is_unique and one.name not in table.key
        }
        names = ", ".join(table.columns)
        for _ in range(20):
            values = [self._some_value(one) if name in fresh else name for name, one in table.columns.items()]
            statement = (
                f"INSERT INTO {table.name} ({names}) OVERRIDING SYSTEM VALUE SELECT {', '.join(values)}"  # noqa: S608 - our names
                f" FROM {table.name} WHERE ctid = :ctid RETURNING {self._key_of(table)}"
            )
            if (key := self._tried(connection, statement, {"ctid": row.ctid})) is not None:
                place = (table.name, _key(self.secret, key[0], hides_key=table.hides_key))
                return Touched([(None, *place, "row_unknown")])
        raise RefusedError(table.name)

    def swap(self, connection: Connection, table: Covered, _number: int) -> Touched:
        """Give two rows each other's value of a column."""
        _let_write(connection, table)
        for _ in range(200):
            one, other = self.chance.sample(table.rows, 2)
            name = self.chance.choice([its for its in table.covered if not table.columns[its].is_unique])
            statement = (
                f"UPDATE {table.name} t SET {name} = o.{name} FROM {table.name} o"  # noqa: S608 - our names
                " WHERE t.ctid IN (:one, :other) AND o.ctid IN (:one, :other) AND t.ctid <> o.ctid"
                f" AND CAST(t.{name} AS text) IS DISTINCT FROM CAST(o.{name} AS text) RETURNING 1"
            )
            if self._tried(connection, statement, {"one": one.ctid, "other": other.ctid}) is not None:
                return Touched([(row.entry, *row.place, "row_changed") for row in (one, other)])
        raise RefusedError(table.name)

    def truncate(self, connection: Connection, table: Covered, _number: int) -> Touched:
        connection.execute(text(f"TRUNCATE {table.name} CASCADE"))
        emptied = [table, *(self.tables[name] for name in table.referring)]
        return Touched([(row.entry, *row.place, "row_missing") for its in emptied for row in its.rows])

    def _moved(self, table: Covered, changed: Sequence[tuple[Kept, list[str]]]) -> Touched:
        exactly: list[tuple[int | None, str | None, str | None, str]] = []
        for row, parts in changed:
            place = (table.name, _key(self.secret, parts, hides_key=table.hides_key))
            if place == row.place:
                exactly.append((row.entry, *place, "row_changed"))
            else:
                exactly += [(row.entry, *row.place, "row_missing"), (None, *place, "row_unknown")]
        return Touched(exactly)

    def _others(self, column: Column, *, is_null: bool) -> Iterator[str]:
        """Give expressions for another value of a column, in any order."""
        if is_null:
            yield self._filled(_INSTEAD_OF_NULL[column.type], column)
            return
        values = [self._filled(one, column) for one in _VALUES[column.type]]
        self.chance.shuffle(values)
        allowed = [f"'{one}'" for one in column.allowed]
        self.chance.shuffle(allowed)
        wanted = ([] if column.is_required else ["NULL"]) if self.chance.random() < 0.3 else []
        yield from (*wanted, *allowed, *values)

    def _some_value(self, column: Column) -> str:
        return self._filled(self.chance.choice(_VALUES[column.type]), column)

    def _filled(self, value: str, column: Column) -> str:
        # Not as parameters: an untyped one would have to be cast to each of the types.
        return value.format(column.name, random=UUID(int=self.chance.getrandbits(128)))

    def _key_of(self, table: Covered) -> str:
        return "ARRAY[" + ", ".join(f"CAST({one} AS text)" for one in table.key) + "]"

    def _tried(self, connection: Connection, statement: str, asked: dict[str, str]) -> Row[list[str]] | None:
        """Return what a statement gives; None if a constraint refuses it or it changes nothing."""
        try:
            with connection.begin_nested():
                found: Row[list[str]] | None = connection.execute(text(statement), asked).first()
        except DBAPIError:
            return None
        return found


def _let_write(connection: Connection, table: Covered) -> None:
    """Let columns that the database fills be written, as the owner can."""
    for one in table.columns.values():
        if one.is_generated:
            connection.execute(text(f"ALTER TABLE {table.name} ALTER {one.name} SET GENERATED BY DEFAULT"))


def _column(row: Row[str, str, bool, bool, bool, str | None]) -> Column:
    name, type_, is_required, is_unique, is_generated, checks = row
    return Column(
        name, type_, is_required, is_unique, is_generated, tuple(re.findall(r"'([^']*)'::text", checks or ""))
    )


def _key(secret: bytes, parts: Sequence[str], *, hides_key: bool) -> str:
    key = joined_key(parts)
    return hidden_key(secret, key) if hides_key else key
