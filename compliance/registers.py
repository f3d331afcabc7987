"""The registers as rows with dated versions: added to, never changed, never deleted.

A row's content on a day is its last version begun by then, by `effective_from` and then by the order of
entry, unless that version has ended. Whoever adds a version holds the row's lock. Owns the storage of all
registers but the customers, whose numbers are looked up, and the checks that need other rows.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, insert, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.dialects.postgresql import insert as pg_insert

from compliance.caller_number_terms import NumberVersion, early_retirement, overlap, uses
from compliance.register_book import INSURER_ROW
from compliance.register_fields import NAMED_ROWS, RegisterFieldError, backward_period, unknown_row
from compliance.register_tables import register_rows, register_versions
from compliance.shanghai import shanghai_day
from infra.ids import new_id


class Register(StrEnum):
    INSURER = "insurer"
    CENTRES = "centres"
    AGENTS = "agents"
    CALLER_NUMBERS = "caller-numbers"
    PRODUCTS = "products"
    SCRIPTS = "scripts"
    CAMPAIGNS = "campaigns"
    CUSTOMERS = "customers"


class UnknownRowError(LookupError):
    """The register has no such row, or the row has no version on the day asked for."""


class RowExistsError(ValueError):
    """The caller's own id is already in the register."""


class NumberInUseError(ValueError):
    """The owner has another number in use at the same time (art. 20)."""


class StoredVersion(NamedTuple):
    """One version of a row; `body` is JSON as stored, the row's id included. Both ends are inclusive."""

    version_id: UUID
    row_id: str
    effective_from: date
    effective_through: date | None
    body: Mapping[str, Any]
    recorded_at: datetime

    def lasts_on(self, day: date) -> bool:
        return self.effective_through is None or day <= self.effective_through


class ListedRow(NamedTuple):
    """A row of a list; `position` is the order of entry."""

    position: int
    version: StoredVersion


@dataclass(frozen=True, slots=True)
class Change:
    """What a new version says: `fields` are JSON, only those that change; `effective_from` None means today.

    Without `sets_end` the new version ends when the one that it is made from does.
    """

    fields: Mapping[str, object]
    effective_from: date | None = None
    effective_through: date | None = None
    sets_end: bool = False


class _Writing(NamedTuple):
    """What all writing of one version shares."""

    register: Register
    row_id: str
    person: str
    now: datetime


_ID_FIELDS: Mapping[Register, str] = {
    Register.CENTRES: "centre_id",
    Register.AGENTS: "agent_id",
    Register.CALLER_NUMBERS: "caller_number_id",
    Register.PRODUCTS: "product_code",
    Register.SCRIPTS: "script_id",
    Register.CAMPAIGNS: "campaign_id",
    Register.CUSTOMERS: "customer_id",
}
"""The name under which a body holds the id of its row; the insurer's single row has none."""

_rows, _columns = register_rows.c, register_versions.c
_VERSION_COLUMNS = (
    _columns.version_id,
    _columns.row_id,
    _columns.effective_from,
    _columns.effective_through,
    _columns.body,
    _columns.recorded_at,
)
_LOCK_ROW = text("SELECT lock_register_row(:register, :row_id)")
_LOCK_REGISTER = text("SELECT FROM register_counters WHERE register = :register FOR UPDATE")
"""The counter is written with every version of its register anyway, so its lock makes nobody wait longer."""

_VERSIONS = (
    select(*_VERSION_COLUMNS)
    .where(_columns.register == bindparam("register"), _columns.row_id == bindparam("row_id"))
    .order_by(_columns.effective_from, _columns.version_id)
)
_ALL_VERSIONS = (
    select(*_VERSION_COLUMNS)
    .where(_columns.register == bindparam("register"))
    .order_by(_columns.row_id, _columns.effective_from, _columns.version_id)
)
_LIST = text("""
    SELECT r.position, v.* FROM register_rows r, LATERAL (
        SELECT version_id, row_id, effective_from, effective_through, body, recorded_at FROM register_versions
         WHERE register = r.register AND row_id = r.row_id
         ORDER BY effective_from > :day, CASE WHEN effective_from <= :day THEN effective_from END DESC,
                  effective_from, version_id DESC
         LIMIT 1) v
     WHERE r.register = :register AND r.position < :before AND (:everyone OR r.row_id = ANY(:among))
     ORDER BY r.position DESC LIMIT :limit""").bindparams(bindparam("among", type_=ARRAY(TEXT)))
_AFTER_ALL = 2**63 - 1


def add_row(
    connection: Connection, register: Register, row_id: str, change: Change, *, person: str, now: datetime
) -> StoredVersion:
    """Add a row with its first version; `change.fields` are all its fields.

    Raises:
        RowExistsError: the register has a row with this id.
        RegisterFieldError: a value is not allowed.
        NumberInUseError: the owner of a caller number has one already.
    """
    _lock_whole(connection, register)
    if not _insert_row(connection, register, row_id, now=now):
        msg = f"{register} already has {row_id}; change it with PATCH, which keeps its history"
        raise RowExistsError(msg)
    return _add_version(connection, _Writing(register, row_id, person, now), change, history=())


def amend_row(
    connection: Connection, register: Register, row_id: str, change: Change, *, person: str, now: datetime
) -> StoredVersion:
    """Add a version that says what the one of its first day says, save for `change.fields`.

    On a day without a version, the latest one is what it is made from.

    Raises:
        UnknownRowError: there is no such row.
        RegisterFieldError: a value is not allowed.
        NumberInUseError: the owner of a caller number has another one.
    """
    _lock_whole(connection, register)
    lock_row(connection, register, row_id)
    history = read_versions(connection, register, row_id)
    return _add_version(connection, _Writing(register, row_id, person, now), change, history=history)


def amend_insurer(
    connection: Connection, change: Change, *, defaults: Mapping[str, object], person: str, now: datetime
) -> StoredVersion:
    """Do as `amend_row` for the insurer's one row, which the first change makes out of `defaults`."""
    if not _insert_row(connection, Register.INSURER, INSURER_ROW, now=now):
        return amend_row(connection, Register.INSURER, INSURER_ROW, change, person=person, now=now)
    writing = _Writing(Register.INSURER, INSURER_ROW, person, now)
    return _add_version(connection, writing, replace(change, fields={**defaults, **change.fields}), history=())


def read_versions(connection: Connection, register: Register, row_id: str) -> list[StoredVersion]:
    """Return all versions of a row, in the order in which they follow one another.

    Raises:
        UnknownRowError: there is no such row.
    """
    rows = connection.execute(_VERSIONS, {"register": register, "row_id": row_id}).all()
    if not rows:
        msg = f"{register} has no {row_id}"
        raise UnknownRowError(msg)
    return [_stored(row) for row in rows]


def read_version(
    connection: Connection, register: Register, row_id: str, *, on: date | None, today: date
) -> StoredVersion:
    """Return the version of the day `on`; with None the one that `today` shows, even if ended or yet to begin.

    Raises:
        UnknownRowError: there is no such row, or none of its versions is in force on that day.
    """
    versions = read_versions(connection, register, row_id)
    if on is None:
        day = max(today, versions[0].effective_from)
        return [version for version in versions if version.effective_from <= day][-1]
    found = version_of(versions, on)
    if found is None:
        msg = f"{register} has no version of {row_id} in force on {on}"
        raise UnknownRowError(msg)
    return found


def version_of(versions: Sequence[StoredVersion], day: date) -> StoredVersion | None:
    """Return the version in force on `day` of a row whose versions come in order, None if none is."""
    found = _begun(versions, day)
    return found if found is not None and found.lasts_on(day) else None


def list_rows(
    connection: Connection,
    register: Register,
    *,
    day: date,
    before: int | None,
    limit: int,
    among: Collection[str] | None = None,
) -> list[ListedRow]:
    """Return rows, newest first, each as `day` shows it: its last version begun by then, or else its first.

    `before` is the position of the last row of the page before; `among` None asks for all rows.
    """
    asked = {
        "register": register,
        "day": day,
        "before": _AFTER_ALL if before is None else before,
        "limit": limit,
        "everyone": among is None,
        "among": sorted(among or ()),
    }
    return [ListedRow(row.position, _stored(row)) for row in connection.execute(_LIST, asked)]


def make_version(
    row_id: str, change: Change, *, history: Sequence[StoredVersion], id_field: str | None, now: datetime
) -> StoredVersion:
    """Return the version that `change` adds to a row with this `history`, not yet stored.

    Raises:
        RegisterFieldError: it would end before it begins.
    """
    effective_from = change.effective_from or shanghai_day(now)
    source = version_of(history, effective_from) or (history[-1] if history else None)
    through = change.effective_through
    if not change.sets_end and source is not None and source.lasts_on(effective_from):
        through = source.effective_through
    if through is not None and through < effective_from:
        reason = f"must not be before effective_from, which is {effective_from}"
        raise RegisterFieldError("effective_through", reason)
    body = {**(source.body if source else {}), **change.fields, **({id_field: row_id} if id_field else {})}
    return StoredVersion(_id_after(history), row_id, effective_from, through, body, now)


def _id_after(history: Sequence[StoredVersion]) -> UUID:
    """Return a new id greater than those of `history`: ids order versions of the same day, whoever's clock is late."""
    latest = max((version.version_id.int for version in history), default=0)
    return max(new_id(), UUID(int=latest + 1))


def _add_version(
    connection: Connection, writing: _Writing, change: Change, *, history: Sequence[StoredVersion]
) -> StoredVersion:
    register, row_id, person, now = writing
    version = make_version(row_id, change, history=history, id_field=_ID_FIELDS.get(register), now=now)
    _check_fields(connection, register, version.body)
    if register is Register.CALLER_NUMBERS:
        _check_number(connection, sorted([*history, version], key=_order), now=now)
    connection.execute(
        insert(register_versions).values(
            version_id=version.version_id,
            register=register,
            row_id=row_id,
            effective_from=version.effective_from,
            effective_through=version.effective_through,
            body=dict(version.body),
            actor=person,
            recorded_at=now,
        )
    )
    return version


def _insert_row(connection: Connection, register: Register, row_id: str, *, now: datetime) -> bool:
    """Insert the row and say whether it is new; waits for whoever else inserts the same one."""
    statement = pg_insert(register_rows).values(register=register, row_id=row_id, recorded_at=now)
    done = connection.execute(statement.on_conflict_do_nothing().returning(register_rows.c.row_id))
    return done.one_or_none() is not None


def lock_row(connection: Connection, register: Register, row_id: str) -> None:
    """Hold the row, if it exists, until the transaction ends."""
    # A statement of its own: the reading that follows must see what the holder before wrote.
    connection.execute(_LOCK_ROW, {"register": register, "row_id": row_id})


def _lock_whole(connection: Connection, register: Register) -> None:
    """Let the caller numbers change one after the other: which may be added depends on all of them."""
    if register is Register.CALLER_NUMBERS:
        connection.execute(_LOCK_REGISTER, {"register": register})


def _begun(versions: Sequence[StoredVersion], day: date) -> StoredVersion | None:
    return next((version for version in reversed(versions) if version.effective_from <= day), None)


def _order(version: StoredVersion) -> tuple[date, UUID]:
    return version.effective_from, version.version_id


def _stored(row: Row[*tuple[Any, ...]]) -> StoredVersion:
    return StoredVersion(
        row.version_id, row.row_id, row.effective_from, row.effective_through, row.body, row.recorded_at
    )


def _check_fields(connection: Connection, register: Register, body: Mapping[str, Any]) -> None:
    """Refuse a row with a period that runs backwards, or that names a row which its register does not have."""
    error = backward_period(body)
    if error is not None:
        raise error
    for field, named in NAMED_ROWS.items():
        row_id = body.get(field)
        if row_id is None or field == _ID_FIELDS.get(register):
            continue
        known = select(_rows.row_id).where(_rows.register == named, _rows.row_id == row_id)
        if connection.execute(known).one_or_none() is None:
            raise unknown_row(field, row_id)


def _check_number(connection: Connection, versions: Sequence[StoredVersion], *, now: datetime) -> None:
    """Refuse a number that retires too early, or a second one for the same owner (art. 20)."""
    numbers = _numbers(versions)
    found = early_retirement(numbers, on=shanghai_day(now))
    if found is not None:
        words = f"art. {found.citation.article}: {found.citation.words}"
        reason = f"the number may be out of use from {found.first_day} on, got {found.ends_on} ({words})"
        raise RegisterFieldError(found.field, reason, article=found.citation.article)
    rows: dict[str, list[StoredVersion]] = {}
    for row in connection.execute(_ALL_VERSIONS, {"register": Register.CALLER_NUMBERS}):
        rows.setdefault(row.row_id, []).append(_stored(row))
    for row_id, others in rows.items():
        clash = None if row_id == versions[0].row_id else overlap(uses(_numbers(others)), uses(numbers))
        if clash is not None:
            msg = (
                f"its owner already has a number in use after {clash.from_on}: caller number {row_id}. "
                f"Each owner shows one number (art. 20); retire that one first"
            )
            raise NumberInUseError(msg)


def _numbers(versions: Sequence[StoredVersion]) -> list[NumberVersion]:
    return [
        NumberVersion(
            effective_from=version.effective_from,
            effective_through=version.effective_through,
            phone_e164=version.body["phone"],
            owner=version.body["centre_id"],
            in_use_from=date.fromisoformat(version.body["in_use_from"]),
            retired_on=date.fromisoformat(retired_on) if (retired_on := version.body["retired_on"]) else None,
        )
        for version in versions
    ]
