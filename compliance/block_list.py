"""Writes the do-not-call list: who refused is blocked at once, and no path makes a block shorter (art. 25(2)).

One entry per person. What leads to the same person by any number or customer id extends the same entry; where
people turn out to be one, each further refusal extends all their entries, and all of them bind.

Writers of one person wait for one another on the rows themselves: entries are locked in the order of their
ids, new numbers are claimed in ascending order. Who loses a claim undoes its own part (a savepoint) and looks
again. Statements run under READ COMMITTED, each with a snapshot taken after the wait before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, text, update
from sqlalchemy.exc import IntegrityError

from compliance.block_entries import (
    BlockSource,
    Entry,
    EntryIds,
    Holdings,
    Person,
    PersonKey,
    lock_entries,
    read_entry_ids,
    read_holdings,
)
from compliance.do_not_call import PERMANENT, blocked_through
from compliance.phone_numbers import masked
from compliance.register_tables import customer_phones
from compliance.row_sets import add_missing_rows, add_rows, rows_json
from compliance.shanghai import shanghai_day
from compliance.tables import do_not_call_entries, do_not_call_events, do_not_call_phones
from infra.ids import new_id

CLOCKS_MAY_DIFFER = timedelta(minutes=5)
"""How far a sender's clock may run ahead of ours."""

_MOST_ROUNDS = 20


class FutureRefusalError(ValueError):
    """The refusal lies further in the future than clocks differ."""


class NobodyRefusedError(ValueError):
    """A refusal names neither a number nor a customer."""


class PersonContendedError(RuntimeError):
    """Others kept writing the same person's numbers at the same time; nothing was stored, try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A person's refusal of further sales calls. `months` None stands for the policy's figure.

    `refused_at` of a key phrase counts for nothing: its block is counted from the moment of its entry.
    """

    phone_e164: str | None = None
    customer_id: str | None = None
    source: BlockSource
    refused_at: datetime
    months: int | None = None
    permanent: bool = False
    reason: str | None = None
    evidence: Mapping[str, object] | None = None
    call_id: str | None = None


class BlockChange(StrEnum):
    CREATED = "created"
    EXTENDED = "extended"
    UNCHANGED = "unchanged"
    """Recorded, but no date moved."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What a refusal did. `raised_to_months` is set when more months count than were asked for."""

    change: BlockChange
    entry: Entry
    raised_to_months: int | None


@dataclass(frozen=True, slots=True)
class _Demand:
    """What one refusal alone asks for."""

    refusal: Refusal
    refused_at: datetime
    bites_at: datetime
    through: date
    raised_to_months: int | None

    @property
    def key(self) -> PersonKey:
        phone = self.refusal.phone_e164
        return PersonKey(None if phone is None else int(phone), self.refusal.customer_id)


@dataclass(slots=True)
class _Round:
    """One attempt to write a set of refusals: the entries as they will be, and what is new in them."""

    holdings: Holdings
    ids: EntryIds
    entries: dict[UUID, Entry]
    stored: dict[UUID, Entry]
    new_phones: dict[int, UUID] = field(default_factory=dict)
    links: set[tuple[int, str]] = field(default_factory=set)
    events: list[dict[str, object]] = field(default_factory=list)
    results: list[BlockResult] = field(default_factory=list)

    def claims_anything(self) -> bool:
        """Say whether the round adds a number or a customer id, which a concurrent writer may add too."""
        named = any(
            entry.customer_id is not None and (entry_id not in self.stored or self.stored[entry_id].customer_id is None)
            for entry_id, entry in self.entries.items()
        )
        return named or bool(self.new_phones or self.links) or len(self.entries) > len(self.stored)


class _LostClaimError(RuntimeError):
    """A concurrent writer added one of the numbers or customer ids first."""


def block_person(
    connection: Connection, refusal: Refusal, *, block_months: int, person: str, now: datetime
) -> BlockResult:
    """Block who refused, from now on and in the caller's transaction; see `block_persons`."""
    return block_persons(connection, [refusal], block_months=block_months, person=person, now=now)[0]


def block_persons(
    connection: Connection, refusals: Sequence[Refusal], *, block_months: int, person: str, now: datetime
) -> list[BlockResult]:
    """Block all who refused, in order; `block_months` is the policy's figure, `person` who enters them.

    Each block runs through the day that lies the greater of the policy's and the refusal's months after the
    Shanghai day of the refusal. An entry takes the latest end of all; a released one binds again.

    Raises:
        FutureRefusalError: a refusal is later than `now` and five minutes.
        NobodyRefusedError: a refusal names nobody.
        PeriodOutOfRangeError: a block would end after the year 9999.
        PersonContendedError: concurrent writers took the numbers away too often.
    """
    demands = [_demand(refusal, block_months=block_months, now=now) for refusal in refusals]
    for _ in range(_MOST_ROUNDS if demands else 0):
        turn = _plan(connection, demands, person=person, now=now)
        if _try_to_write(connection, turn, now=now):
            return turn.results
    if not demands:
        return []
    msg = "other writers keep adding the same numbers to the do-not-call list; nothing was stored, try again"
    raise PersonContendedError(msg)


def _demand(refusal: Refusal, *, block_months: int, now: datetime) -> _Demand:
    if refusal.phone_e164 is None and refusal.customer_id is None:
        msg = "a refusal needs a telephone number or a customer_id"
        raise NobodyRefusedError(msg)
    refused_at = now if refusal.source is BlockSource.KEY_PHRASE else refusal.refused_at
    if refused_at > now + CLOCKS_MAY_DIFFER:
        msg = "refused_at lies more than five minutes in the future; correct it or the sender's clock"
        raise FutureRefusalError(msg)
    asked = block_months if refusal.months is None else refusal.months
    months = max(block_months, asked)
    is_raised = months > asked and not refusal.permanent
    return _Demand(
        refusal=refusal,
        refused_at=refused_at,
        bites_at=min(refused_at, now),
        through=PERMANENT if refusal.permanent else blocked_through(shanghai_day(refused_at), months),
        raised_to_months=months if is_raised else None,
    )


def _plan(connection: Connection, demands: Sequence[_Demand], *, person: str, now: datetime) -> _Round:
    holdings = read_holdings(connection, [demand.key for demand in demands])
    ids = read_entry_ids(connection, [holdings.person(demand.key) for demand in demands])
    locked = lock_entries(connection, {*ids.by_phone.values(), *ids.by_customer.values()})
    turn = _Round(holdings=holdings, ids=ids, entries=dict(locked), stored=locked)
    for demand in demands:
        # Anew for each: a refusal before it may have told that two customers share a number.
        _apply(turn, demand, holdings.person(demand.key), by=person, now=now)
    return turn


def _apply(turn: _Round, demand: _Demand, who: Person, *, by: str, now: datetime) -> None:
    """Work one refusal into the entries of its person, all of them, and answer with the oldest."""
    found = turn.ids.of(who)
    change = BlockChange.UNCHANGED if found else BlockChange.CREATED
    if not found:
        entry = _new_entry(demand, now=now)
        turn.entries[entry.entry_id] = entry
        found = {entry.entry_id}
    for entry_id in found:
        before = turn.entries[entry_id]
        after = _grown(before, demand)
        turn.entries[entry_id] = after
        if (before.blocked_through, before.released_at) != (after.blocked_through, after.released_at):
            change = BlockChange.EXTENDED
        turn.events.append(_refusal_event(after, demand, by=by, now=now))
    oldest = min(found, key=lambda entry_id: (turn.entries[entry_id].created_at, entry_id))
    _name_person(turn, oldest, demand, who)
    unlisted = [phone for phone in who.phones if phone not in turn.ids.by_phone]
    if change is not BlockChange.CREATED:
        turn.events.extend(_phone_event(oldest, phone, by=by, now=now) for phone in unlisted)
    for phone in unlisted:
        turn.ids.by_phone[phone] = turn.new_phones[phone] = oldest
    turn.results.append(BlockResult(change, turn.entries[oldest], demand.raised_to_months))


def _new_entry(demand: _Demand, *, now: datetime) -> Entry:
    return Entry(
        entry_id=new_id(),
        customer_id=None,
        blocked_from=demand.bites_at,
        refused_at=demand.refused_at,
        blocked_through=demand.through,
        source=demand.refusal.source,
        reason=demand.refusal.reason,
        released_at=None,
        created_at=now,
    )


def _grown(entry: Entry, demand: _Demand) -> Entry:
    refusal = demand.refusal
    grown = replace(
        entry,
        blocked_from=min(entry.blocked_from, demand.bites_at),
        refused_at=max(entry.refused_at, demand.refused_at),
        blocked_through=max(entry.blocked_through, demand.through),
        released_at=None,
    )
    return replace(grown, source=refusal.source, reason=refusal.reason) if _takes_over(entry, demand) else grown


def _takes_over(entry: Entry, demand: _Demand) -> bool:
    """Say whether the entry now rests on this refusal: the latest one, but people's word before a machine's."""
    if entry.released_at is not None:
        return True
    if demand.refusal.source is BlockSource.KEY_PHRASE:
        return False
    return entry.source is BlockSource.KEY_PHRASE or demand.refused_at > entry.refused_at


def _name_person(turn: _Round, entry_id: UUID, demand: _Demand, who: Person) -> None:
    """See that the customer named leads to the entry, as every number does."""
    customer_id = demand.refusal.customer_id
    if customer_id is None or customer_id in turn.ids.by_customer:
        return
    entry = turn.entries[entry_id]
    if entry.customer_id is None:
        turn.entries[entry_id] = replace(entry, customer_id=customer_id)
        turn.ids.by_customer[customer_id] = entry_id
        return
    # The entry has another customer's name already. That this one has the number, too, is what the
    # refusal says; kept in the register of numbers ever held, it leads from this customer to the entry.
    turn.links.update((phone, customer_id) for phone in who.phones)
    for phone in who.phones:
        turn.holdings.link(phone, customer_id)


def _refusal_event(entry: Entry, demand: _Demand, *, by: str, now: datetime) -> dict[str, object]:
    refusal = demand.refusal
    details = {
        "source": refusal.source,
        "phone": None if refusal.phone_e164 is None else masked(refusal.phone_e164),
        "customer_id": refusal.customer_id,
        "months": refusal.months,
        "permanent": refusal.permanent,
        "demanded_through": None if refusal.permanent else demand.through.isoformat(),
        "reason": refusal.reason,
        "evidence": None if refusal.evidence is None else dict(refusal.evidence),
        "call_id": refusal.call_id,
    }
    return {
        "event_id": new_id(),
        "entry_id": entry.entry_id,
        "kind": "refusal",
        "refused_at": demand.refused_at,
        "blocked_through": entry.blocked_through,
        "details": details,
        "actor": by,
        "recorded_at": now,
    }


def _phone_event(entry_id: UUID, phone: int, *, by: str, now: datetime) -> dict[str, object]:
    return {
        "event_id": new_id(),
        "entry_id": entry_id,
        "kind": "phone_added",
        "refused_at": None,
        "blocked_through": None,
        # Masked for good: events outlive the erasure of a person's data.
        "details": {"phone": masked(f"+{phone}")},
        "actor": by,
        "recorded_at": now,
    }


def _try_to_write(connection: Connection, turn: _Round, *, now: datetime) -> bool:
    """Write the round; say False, with nothing written, if a concurrent writer was first somewhere."""
    if turn.claims_anything():
        try:
            with connection.begin_nested():
                _claim(connection, turn, now=now)
        except _LostClaimError:
            return False
        except IntegrityError as error:
            if isinstance(error.orig, UniqueViolation):
                return False
            raise
    _update_entries(connection, [entry for entry_id, entry in turn.entries.items() if entry_id in turn.stored])
    add_rows(connection, do_not_call_events, turn.events)
    return True


def _claim(connection: Connection, turn: _Round, *, now: datetime) -> None:
    new = [entry for entry_id, entry in turn.entries.items() if entry_id not in turn.stored]
    if new:
        new.sort(key=lambda entry: (entry.customer_id or "", entry.entry_id))
        add_rows(connection, do_not_call_entries, [_row(entry) for entry in new])
    for entry_id in sorted(turn.stored):
        customer_id = turn.entries[entry_id].customer_id
        if customer_id != turn.stored[entry_id].customer_id:
            statement = update(do_not_call_entries).where(do_not_call_entries.c.entry_id == entry_id)
            connection.execute(statement.values(customer_id=customer_id))
    if turn.new_phones:
        rows = [{"phone_digits": phone, "entry_id": turn.new_phones[phone]} for phone in sorted(turn.new_phones)]
        if len(add_missing_rows(connection, do_not_call_phones, rows)) < len(rows):
            raise _LostClaimError
    links = [{"phone_digits": phone, "customer_id": one, "recorded_at": now} for phone, one in sorted(turn.links)]
    add_missing_rows(connection, customer_phones, links)


def _row(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in Entry.__dataclass_fields__}


_GROW = text("""
    UPDATE do_not_call_entries e
       SET blocked_from = least(e.blocked_from, n.blocked_from), refused_at = greatest(e.refused_at, n.refused_at),
           blocked_through = greatest(e.blocked_through, n.blocked_through), source = n.source, reason = n.reason,
           released_at = NULL
      FROM jsonb_populate_recordset(NULL::do_not_call_entries, CAST(:rows AS jsonb)) n
     WHERE e.entry_id = n.entry_id""")


def _update_entries(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write entries as they have grown. Every one is touched: readers of changes must see new numbers, too."""
    if entries:
        connection.execute(_GROW, {"rows": rows_json([_row(entry) for entry in entries])})
