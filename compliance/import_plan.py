"""What the rows of a list change in the do-not-call list, worked out in memory, one row after the other.

The rules are those of `block_list`, a row at a time: one entry per person, the latest end of all, a released entry
binds again, people who turn out to be one grow together. A test holds the two equal. What differs is the cost:
nothing is read or written here, so that a chunk of rows needs a handful of statements, whoever its people are.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from uuid import UUID

import msgspec

from compliance.block_entries import BlockSource
from compliance.do_not_call import PERMANENT
from compliance.import_rows import ImportedRefusal
from compliance.phone_numbers import masked
from infra.ids import new_id_bytes

_MOBILE_LENGTH = len("+8613800138000")
_IMPORT = BlockSource.IMPORT
_encode = msgspec.json.Encoder().encode


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What one row asks for, with the details of its event (JSON): all of it that does not depend on other rows."""

    phone_digits: int | None
    customer_id: str | None
    refused_at: datetime
    through: date
    reason: str | None
    details: bytes


class _RefusalDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What an event of refusal keeps beside number and evidence: with them, the fields of one that comes alone."""

    source: BlockSource = _IMPORT
    customer_id: str | None
    months: int | None = None
    permanent: bool
    demanded_through: date | None
    reason: str | None
    call_id: str | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event, `details` as JSON. All are recorded by one person at one instant."""

    event_id: bytes
    entry_id: bytes
    kind: str
    refused_at: datetime | None
    blocked_through: date | None
    details: bytes


def demand_of(refusal: ImportedRefusal, *, job_id: UUID | None) -> Demand:
    """Return what a row read as part of the job `job_id`, if there is one, asks for."""
    phone, customer_id, reason = refusal.phone_e164, refusal.customer_id, refusal.reason
    # Most rows of a list differ in nothing but the number and the line: the rest is written once for all of them.
    is_plain = customer_id is None and reason is None
    rest = _plain_rest(refusal.through) if is_plain else _rest(customer_id, refusal.through, reason)
    shown = b"null" if phone is None else b'"%b"' % _masked(phone).encode()
    details = b'{"phone":%b,"evidence":{"job_id":%b,"line":%d},%b' % (shown, _encode(job_id), refusal.line, rest)
    digits = None if phone is None else int(phone)
    return Demand(digits, customer_id, refusal.refused_at, refusal.through, reason, details)


@lru_cache(1 << 14)
def _plain_rest(through: date) -> bytes:
    return _rest(None, through, None)


def _rest(customer_id: str | None, through: date, reason: str | None) -> bytes:
    """Return the details of a refusal without their beginning, the number and the evidence."""
    is_permanent = through == PERMANENT
    details = _RefusalDetails(
        customer_id=customer_id,
        permanent=is_permanent,
        demanded_through=None if is_permanent else through,
        reason=reason,
    )
    return _encode(details)[1:]


def _masked(phone_e164: str) -> str:
    """Return `masked(phone_e164)`, the usual case in a tenth of the time."""
    if len(phone_e164) == _MOBILE_LENGTH and phone_e164.startswith("+861") and phone_e164[4] > "2":
        return f"{phone_e164[3:6]}****{phone_e164[-4:]}"
    return masked(phone_e164)


class PlannedEntry(msgspec.Struct, gc=False):
    """An entry as it will be. `entry_id` is the bytes of a UUID, which sort as the UUID does."""

    entry_id: bytes
    customer_id: str | None
    blocked_from: datetime
    refused_at: datetime
    blocked_through: date
    source: str
    reason: str | None
    released_at: datetime | None
    created_at: datetime
    is_stored: bool = True
    is_changed: bool = False
    """Of a stored one: whether anything of it, or its numbers, must be written."""


@dataclass(slots=True)
class KnownPersons:
    """What is stored of the people of a chunk: who holds which numbers, and which entries these lead to."""

    holders: dict[int, set[str]] = field(default_factory=dict)
    held: dict[str, set[int]] = field(default_factory=dict)
    by_phone: dict[int, bytes] = field(default_factory=dict)
    by_customer: dict[str, bytes] = field(default_factory=dict)
    entries: dict[bytes, PlannedEntry] = field(default_factory=dict)

    def link(self, phone: int, customer_id: str) -> None:
        """Note that a customer holds, or held, a number."""
        self.holders.setdefault(phone, set()).add(customer_id)
        self.held.setdefault(customer_id, set()).add(phone)


@dataclass(slots=True)
class Tally:
    """How many rows did what."""

    created: int = 0
    extended: int = 0
    unchanged: int = 0


class Plan:
    """The changes of one chunk, worked out at `now` on top of what is `known`."""

    def __init__(self, known: KnownPersons, *, now: datetime) -> None:
        self._known = known
        self._now = now
        self.tally = Tally()
        self.new_phones: dict[int, bytes] = {}
        self.new_links: set[tuple[int, str]] = set()
        self.events: list[Event] = []

    def new_entries(self) -> list[PlannedEntry]:
        return [entry for entry in self._known.entries.values() if not entry.is_stored]

    def changed_entries(self) -> list[PlannedEntry]:
        return [entry for entry in self._known.entries.values() if entry.is_stored and entry.is_changed]

    def apply(self, demand: Demand) -> None:
        """Work one row into all entries of its person."""
        if demand.customer_id is None and demand.phone_digits not in self._known.holders:
            # Nearly every row: a number that no customer is known to have is a person of its own.
            phone = demand.phone_digits or 0
            entry_id = self._known.by_phone.get(phone)
            phones, found = [phone], [] if entry_id is None else [self._known.entries[entry_id]]
        else:
            customers = self._customers_of(demand)
            phones = self._phones_of(demand, customers)
            found = self._entries_of(phones, customers)
        if found:
            self._extend(found, phones, demand)
        else:
            self._create(phones, demand)

    def _customers_of(self, demand: Demand) -> set[str]:
        customers = self._known.holders.get(demand.phone_digits or 0, set())
        return customers if demand.customer_id is None else customers | {demand.customer_id}

    def _phones_of(self, demand: Demand, customers: set[str]) -> list[int]:
        """Return all numbers of the person whom a row names, ascending."""
        phones = {phone for customer_id in customers for phone in self._known.held.get(customer_id, ())}
        return sorted(phones if demand.phone_digits is None else phones | {demand.phone_digits})

    def _entries_of(self, phones: list[int], customers: set[str]) -> list[PlannedEntry]:
        known = self._known
        ids = {known.by_phone[phone] for phone in phones if phone in known.by_phone}
        ids |= {known.by_customer[one] for one in customers if one in known.by_customer}
        return [known.entries[entry_id] for entry_id in sorted(ids)]

    def _create(self, phones: list[int], demand: Demand) -> None:
        entry = PlannedEntry(
            new_id_bytes(),
            None,
            min(demand.refused_at, self._now),
            demand.refused_at,
            demand.through,
            _IMPORT,
            demand.reason,
            None,
            self._now,
            is_stored=False,
        )
        self._known.entries[entry.entry_id] = entry
        self._add_refusal(entry, demand)
        if demand.customer_id is not None:
            self._name(entry, demand.customer_id, phones)
        for phone in phones:
            self._known.by_phone[phone] = self.new_phones[phone] = entry.entry_id
        self.tally.created += 1

    def _extend(self, found: list[PlannedEntry], phones: list[int], demand: Demand) -> None:
        """Let all entries of a person grow; new names and numbers of the person go to the oldest."""
        last_longer = False
        for entry in found:
            last_longer = _grow(entry, demand, self._now) or last_longer
            self._add_refusal(entry, demand)
        oldest = found[0] if len(found) == 1 else min(found, key=lambda entry: (entry.created_at, entry.entry_id))
        if demand.customer_id is not None:
            self._name(oldest, demand.customer_id, phones)
        for phone in phones:
            if phone not in self._known.by_phone:
                self._known.by_phone[phone] = self.new_phones[phone] = oldest.entry_id
                oldest.is_changed = True
                self._add_phone(oldest, phone)
        if last_longer:
            self.tally.extended += 1
        else:
            self.tally.unchanged += 1

    def _name(self, entry: PlannedEntry, customer_id: str, phones: list[int]) -> None:
        """See that the customer named leads to the entry, as every number does."""
        if customer_id in self._known.by_customer:
            return
        if entry.customer_id is None:
            entry.customer_id = customer_id
            entry.is_changed = True
            self._known.by_customer[customer_id] = entry.entry_id
            return
        # The entry has another customer's name already: the numbers lead from this customer to it.
        self.new_links.update((phone, customer_id) for phone in phones)
        for phone in phones:
            self._known.link(phone, customer_id)

    def _add_refusal(self, entry: PlannedEntry, demand: Demand) -> None:
        event = Event(
            new_id_bytes(), entry.entry_id, "refusal", demand.refused_at, entry.blocked_through, demand.details
        )
        self.events.append(event)

    def _add_phone(self, entry: PlannedEntry, phone: int) -> None:
        # Masked for good: events outlive the erasure of a person's data.
        details = _encode({"phone": masked(f"+{phone}")})
        self.events.append(Event(new_id_bytes(), entry.entry_id, "phone_added", None, None, details))


def _grow(entry: PlannedEntry, demand: Demand, now: datetime) -> bool:
    """Let an entry grow by what a row demands; say whether its protection now lasts longer."""
    is_released = entry.released_at is not None
    lasts_longer = is_released or demand.through > entry.blocked_through
    is_latest = is_released or entry.source == BlockSource.KEY_PHRASE or demand.refused_at > entry.refused_at
    if is_latest:
        # The entry now rests on this row: the latest refusal, and people's word before a machine's.
        entry.source, entry.reason = _IMPORT, demand.reason
    blocked_from = min(entry.blocked_from, demand.refused_at, now)
    entry.is_changed = entry.is_changed or lasts_longer or is_latest or blocked_from < entry.blocked_from
    entry.blocked_from = blocked_from
    entry.refused_at = max(entry.refused_at, demand.refused_at)
    entry.blocked_through = max(entry.blocked_through, demand.through)
    entry.released_at = None
    return lasts_longer
