"""Keeps the rows of recordings at what the law demands of them now (art. 35), and says why.

`refresh` and `refresh_sale` bring rows to what `retention_rules` decides of their facts; a row that changed is due at
the stores (`is_lock_due`), which `locks` brings to it. `read_retention` answers people, with what runs beside the row:
the do-not-call block of the number is read when it is asked for and locks nothing.

A sale and a recording of it may be written at the same time, neither seeing the other. So both take an advisory lock
on each policy number and call that links them, until they commit: the second sees the first. These locks come before
those of rows, in the order of their names.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BOOLEAN, DATE, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.block_entries import PersonKey, read_entry_ids, read_persons
from compliance.do_not_call import PERMANENT, first_callable
from compliance.policy import Policy, RetentionYears
from compliance.row_sets import add_rows
from compliance.shanghai import shanghai_day
from compliance.working_days import package_calendar
from infra.advisory_locks import PartLock, hold_part
from infra.ids import new_id
from recordings.retention_rules import EarlierEnd, LinkedSale, Retention, RetentionFacts, decide, term_of
from recordings.retention_words import Sentence, why
from recordings.tables import recording_events

CLOCK = "retention clock"
"""The actor of what follows from facts by itself."""


class Standing(NamedTuple):
    """How a recording stands, why in words, and the facts behind it."""

    retention: Retention
    why: tuple[Sentence, ...]
    facts: RetentionFacts


class _Stored(NamedTuple):
    """What a row says of its own retention."""

    is_held: bool
    retention_class: str | None
    keep_through: date | None
    retention_basis: str


_ids = bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))

_ROWS_SQL = """
    SELECT recording_id, call_id, policy_no, phone_digits, started_at, is_held, retention_class, keep_through,
           retention_basis, disposed_at
      FROM recordings WHERE recording_id = ANY(:ids) ORDER BY recording_id"""
_ROWS = text(_ROWS_SQL).bindparams(_ids)
# Not the key: who only refers to a recording, such as a report of listening to it, need not wait, nor wait in a circle.
_LOCKED_ROWS = text(f"{_ROWS_SQL} FOR NO KEY UPDATE").bindparams(_ids)

_SALES = text("""
    SELECT r.recording_id, s.policy_no, s.retention_class, s.ended_on
      FROM recordings r JOIN sales s ON s.policy_no = r.policy_no WHERE r.recording_id = ANY(:ids)
     UNION
    SELECT r.recording_id, s.policy_no, s.retention_class, s.ended_on
      FROM recordings r JOIN sale_calls c ON c.call_id = r.call_id JOIN sales s ON s.policy_no = c.policy_no
     WHERE r.recording_id = ANY(:ids) ORDER BY 1, 2""").bindparams(_ids)

_HOLDS = text("""
    SELECT recording_id, placed_at, released_at, "case" IS NOT NULL AS is_dispute
      FROM recording_holds WHERE recording_id = ANY(:ids) ORDER BY recording_id, placed_at""").bindparams(_ids)

# A recording sent with its call alone has the number of the customer in that call.
_NUMBERS = text("""
    SELECT r.recording_id, coalesce(r.phone_digits, CASE c.direction WHEN 'inbound' THEN c.caller_digits
                                                                    ELSE c.callee_digits END) AS phone_digits
      FROM recordings r LEFT JOIN call_records c ON c.call_id = r.call_id
     WHERE r.recording_id = ANY(:ids)""").bindparams(_ids)

_BLOCKS = text("""
    SELECT entry_id, blocked_through FROM do_not_call_entries
     WHERE entry_id = ANY(:ids) AND released_at IS NULL""").bindparams(_ids)

_LINKS = text("""
    SELECT DISTINCT l.link FROM recordings r,
           LATERAL (VALUES ('policy ' || r.policy_no), ('call ' || r.call_id)) AS l (link)
     WHERE r.recording_id = ANY(:ids) AND l.link IS NOT NULL ORDER BY 1""").bindparams(_ids)
_LINKS_OF_SALE = text("""
    SELECT 'call ' || call_id AS link FROM sale_calls WHERE policy_no = :policy_no
     UNION SELECT 'policy ' || CAST(:policy_no AS text) ORDER BY 1""")
_TRY_LINKS = text("""
    SELECT l.link, pg_try_advisory_xact_lock(:lock, hashtext(l.link)) AS is_mine
      FROM unnest(:links) AS l (link)""").bindparams(bindparam("links", type_=ARRAY(TEXT)))

_OF_SALE = text("""
    SELECT recording_id FROM recordings WHERE policy_no = :policy_no
     UNION
    SELECT r.recording_id FROM recordings r JOIN sale_calls c ON c.call_id = r.call_id WHERE c.policy_no = :policy_no
     ORDER BY 1""")

_WRITE = text("""
    UPDATE recordings r
       SET is_held = n.is_held, retention_class = n.retention_class, keep_through = n.keep_through,
           retention_basis = n.retention_basis,
           is_lock_due = r.is_lock_due OR r.is_held <> n.is_held OR r.keep_through IS DISTINCT FROM n.keep_through
      FROM unnest(:ids, :holds, :classes, :throughs, :bases)
           AS n (recording_id, is_held, retention_class, keep_through, retention_basis)
     WHERE r.recording_id = n.recording_id""").bindparams(
    _ids,
    bindparam("holds", type_=ARRAY(BOOLEAN)),
    bindparam("classes", type_=ARRAY(TEXT)),
    bindparam("throughs", type_=ARRAY(DATE)),
    bindparam("bases", type_=ARRAY(TEXT)),
)


def link_names(*, call_id: str | None, policy_no: str | None) -> list[str]:
    """Return under which names what a recording names is locked."""
    named = {"call": call_id, "policy": policy_no}
    return [f"{kind} {name}" for kind, name in named.items() if name is not None]


def lock_links(connection: Connection, *, call_id: str | None, policy_no: str | None) -> None:
    """Take the locks of what a recording names, before its row is locked, written or refreshed."""
    for link in sorted(link_names(call_id=call_id, policy_no=policy_no)):
        hold_part(connection, PartLock.RECORDING_LINKS, link)


def try_lock_links(connection: Connection, links: Collection[str]) -> frozenset[str]:
    """Take those locks of `links` that nobody else has now, and return their links; nobody is waited for."""
    wanted = {"lock": PartLock.RECORDING_LINKS, "links": sorted(links)}
    rows = connection.execute(_TRY_LINKS, wanted) if links else ()
    return frozenset(row.link for row in rows if row.is_mine)


def refresh(connection: Connection, recording_ids: Collection[UUID], *, policy: Policy, now: datetime) -> list[UUID]:
    """Bring these recordings to what their facts demand, in the caller's transaction; return those that changed.

    Call it where a recording was stored or got another call, policy number or hold. What was given is never shortened.
    """
    _lock(connection, _LINKS, {"ids": sorted(recording_ids)})
    return bring(connection, recording_ids, policy=policy, now=now)


def refresh_sale(connection: Connection, policy_no: str, *, policy: Policy, now: datetime) -> list[UUID]:
    """Bring all recordings of a sale to what it demands now; return those that changed.

    Call it after each change of the sale, in the transaction of that change.
    """
    return bring(connection, _recordings_of_sale(connection, policy_no), policy=policy, now=now)


def shorten_sale(
    connection: Connection, policy_no: str, *, earlier: EarlierEnd, policy: Policy, now: datetime
) -> list[UUID]:
    """Bring all recordings of a sale to an earlier end that two officers agreed on; return those that changed.

    The one way in which a date moves earlier. What the stores have locked stays locked in them until its own date.
    """
    return bring(connection, _recordings_of_sale(connection, policy_no), policy=policy, now=now, earlier=earlier)


def read_retention(
    connection: Connection, recording_ids: Collection[UUID], *, policy: Policy, now: datetime
) -> dict[UUID, Standing]:
    """Return how each of these recordings stands now, a running block of its number counted in. Changes nothing."""
    rows = connection.execute(_ROWS, {"ids": sorted(recording_ids)}).all()
    return judge_rows(connection, rows, policy=policy, now=now)


def lock_retention(
    connection: Connection, recording_ids: Collection[UUID], *, policy: Policy, now: datetime
) -> dict[UUID, Standing]:
    """Return the same with the rows locked, so that no hold comes in between until the transaction ends."""
    rows = connection.execute(_LOCKED_ROWS, {"ids": sorted(recording_ids)}).all()
    return judge_rows(connection, rows, policy=policy, now=now)


def judge_rows(
    connection: Connection, rows: Sequence[Row[Any]], *, policy: Policy, now: datetime
) -> dict[UUID, Standing]:
    """Return how the recordings of `rows`, read before, stand now."""
    years, today = policy.retention, shanghai_day(now)
    facts = _read_facts(connection, rows)
    blocks = _running_blocks(connection, list(facts), today=today)
    found: dict[UUID, Standing] = {}
    for recording_id, plain in facts.items():
        whole = replace(plain, blocked_through=blocks.get(recording_id))
        retention = decide(whole, years, today=today)
        found[recording_id] = Standing(retention, tuple(why(whole, retention, years, today=today)), whole)
    return found


def bring(
    connection: Connection,
    recording_ids: Collection[UUID],
    *,
    policy: Policy,
    now: datetime,
    earlier: EarlierEnd | None = None,
) -> list[UUID]:
    """Bring the rows of recordings, whose links the caller has locked, to what their facts demand."""
    rows = connection.execute(_LOCKED_ROWS, {"ids": sorted(recording_ids)}).all()
    standing = [row for row in rows if row.disposed_at is None]
    facts = _read_facts(connection, standing)
    years, today = policy.retention, shanghai_day(now)
    changes: list[tuple[UUID, _Stored, _Stored]] = []
    for row in standing:
        found = facts[row.recording_id]
        if earlier is not None and found.given_through is not None and not _is_running(found, years, today=today):
            found = replace(found, given_through=earlier.moved(found.given_through))
        before = _Stored(row.is_held, row.retention_class, row.keep_through, row.retention_basis)
        after = _wanted(decide(found, years, today=today))
        if after != before:
            changes.append((row.recording_id, before, after))
    _write(connection, changes, policy_digest=policy.digest, now=now)
    return [recording_id for recording_id, _, _ in changes]


def _is_running(facts: RetentionFacts, years: RetentionYears, *, today: date) -> bool:
    return term_of(facts, years, today=today).through is None


def _wanted(retention: Retention) -> _Stored:
    return _Stored(retention.is_held, retention.retention_class, retention.locked_through, retention.basis.value)


def _write(
    connection: Connection, changes: Sequence[tuple[UUID, _Stored, _Stored]], *, policy_digest: str, now: datetime
) -> None:
    if not changes:
        return
    wanted = [after for _, _, after in changes]
    columns = {
        "ids": [recording_id for recording_id, _, _ in changes],
        "holds": [one.is_held for one in wanted],
        "classes": [one.retention_class for one in wanted],
        "throughs": [one.keep_through for one in wanted],
        "bases": [one.retention_basis for one in wanted],
    }
    connection.execute(_WRITE, columns)
    events = [
        {
            "event_id": new_id(),
            "recording_id": recording_id,
            "kind": kind,
            "details": {"policy_digest": policy_digest, "before": _shown(before), "after": _shown(after)},
            "actor": CLOCK,
            "recorded_at": now,
        }
        for recording_id, before, after in changes
        for kind in _kinds(before, after)
    ]
    add_rows(connection, recording_events, events)


def _shown(stored: _Stored) -> dict[str, object]:
    day = stored.keep_through
    return {**stored._asdict(), "keep_through": None if day is None else day.isoformat()}


def _kinds(before: _Stored, after: _Stored) -> Iterator[str]:
    """Name what changed: the date first, as the stores get it first."""
    if before.keep_through != after.keep_through:
        if before.keep_through is None:
            yield "dated"
        else:
            # A date is only moved earlier where two officers agreed on it, and is never taken away.
            yield "extended" if after.keep_through and after.keep_through > before.keep_through else "shortened"
    if before.is_held != after.is_held:
        yield "held" if after.is_held else "released"


def _read_facts(connection: Connection, rows: Sequence[Row[Any]]) -> dict[UUID, RetentionFacts]:
    """Return the facts behind the rows, all but blocks. Statements of their own: they see what a lock waited for."""
    ids = {"ids": [row.recording_id for row in rows]}
    sales: dict[UUID, list[LinkedSale]] = {}
    for recording_id, *sale in connection.execute(_SALES, ids):
        sales.setdefault(recording_id, []).append(LinkedSale(*sale))
    holds: dict[UUID, list[Row[Any]]] = {}
    for hold in connection.execute(_HOLDS, ids):
        holds.setdefault(hold.recording_id, []).append(hold)
    return {
        row.recording_id: _facts(row, sales.get(row.recording_id, ()), holds.get(row.recording_id, ())) for row in rows
    }


def _facts(row: Row[Any], sales: Sequence[LinkedSale], holds: Sequence[Row[Any]]) -> RetentionFacts:
    is_unknown = row.policy_no is not None and row.policy_no not in {sale.policy_no for sale in sales}
    disputes = [hold.released_at for hold in holds if hold.is_dispute and hold.released_at is not None]
    return RetentionFacts(
        call_day=shanghai_day(row.started_at),
        sales=tuple(sales),
        names_unknown_policy=is_unknown,
        held_since=tuple(shanghai_day(hold.placed_at) for hold in holds if hold.released_at is None),
        dispute_ended_on=shanghai_day(max(disputes)) if disputes else None,
        given_through=row.keep_through,
        disposed_on=None if row.disposed_at is None else shanghai_day(row.disposed_at),
    )


def _running_blocks(connection: Connection, recording_ids: Sequence[UUID], *, today: date) -> dict[UUID, date]:
    """Return the last day on which the do-not-call list keeps each recording's number, where it still does."""
    numbers = connection.execute(_NUMBERS, {"ids": recording_ids}).all()
    known = [row for row in numbers if row.phone_digits is not None]
    if not known:
        return {}
    persons = read_persons(connection, [PersonKey(row.phone_digits, None) for row in known])
    entries = read_entry_ids(connection, persons)
    theirs = [entries.of(person) for person in persons]
    ends = _ends_of(connection, sorted(set().union(*theirs)))
    found: dict[UUID, date] = {}
    for row, entry_ids in zip(known, theirs, strict=True):
        last = max((ends[one] for one in entry_ids if one in ends), default=None)
        if last is not None and last >= today:
            found[row.recording_id] = last
    return found


def _ends_of(connection: Connection, entry_ids: Sequence[UUID]) -> Mapping[UUID, date]:
    """Return the day before the gate opens, by entry that is not released."""
    calendar = package_calendar()
    rows = connection.execute(_BLOCKS, {"ids": entry_ids}).all()
    return {
        row.entry_id: PERMANENT
        if row.blocked_through == PERMANENT
        else first_callable(row.blocked_through, calendar).on - timedelta(days=1)
        for row in rows
    }


def _recordings_of_sale(connection: Connection, policy_no: str) -> list[UUID]:
    """Return the recordings of a sale, its links locked first so that none can be stored unseen."""
    _lock(connection, _LINKS_OF_SALE, {"policy_no": policy_no})
    return list(connection.execute(_OF_SALE, {"policy_no": policy_no}).scalars())


def _lock(connection: Connection, links: TextClause, values: Mapping[str, object]) -> None:
    for link in connection.execute(links, values).scalars().all():
        hold_part(connection, PartLock.RECORDING_LINKS, link)
