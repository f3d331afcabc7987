"""The demo's do-not-call list: who refused when, what followed, and when each block ends.

Pure. The histories follow the same rules as `compliance.block_list`: one entry per person, an end that only
moves later, a release that the next refusal undoes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from compliance.block_entries import BlockSource
from compliance.do_not_call import PERMANENT, blocked_through
from compliance.phone_numbers import masked
from compliance.shanghai import midnight, shanghai_day
from services.demo.chance import Chance, Dice
from services.demo.people_plan import PlannedCustomer
from services.demo.phone_plan import NumberUse, mobile_digits

PERMANENT_ENTRIES = range(60)
CALLED_ENTRIES = range(60, 3000)
"""Entries older than the demo's checks that run on beyond them: calling these numbers is refused."""

_RELEASED = range(3000, 3120)
_REFUSED_AGAIN_AFTER_RELEASE = range(3120, 3180)
_OF_CUSTOMERS = range(3200, 3230)
_REFUSED_TWICE = range(3300, 4800)

FRESH_DAYS = 30
"""Entries of the last 30 days come from other channels: the refusals on the telephone are those of the demo's calls."""

_SOURCES = (
    *[BlockSource.CALL] * 11,
    *[BlockSource.INBOUND_CALL] * 3,
    *[BlockSource.MESSAGE] * 2,
    BlockSource.COMPLAINT,
    BlockSource.COUNTER,
    BlockSource.IMPORT,
    BlockSource.OTHER,
)
_OTHER_SOURCES = _SOURCES[11:]
_REASONS = {
    BlockSource.CALL: ("客户明确表示不需要", "客户要求不要再拨打", None),
    BlockSource.INBOUND_CALL: ("客户来电要求停止营销", None),
    BlockSource.MESSAGE: ("短信回复退订",),
    BlockSource.COMPLAINT: ("投诉中要求不再来电",),
    BlockSource.COUNTER: ("柜面填写拒绝来电申请",),
    BlockSource.IMPORT: (None,),
    BlockSource.OTHER: (None, "合作机构转告"),
}
_MONTHS = (*[None] * 22, 12, 12, 24)
"""Months beyond the policy's figure are asked for now and then."""

_FROM_OTHER_PEOPLE = frozenset({BlockSource.CALL, BlockSource.INBOUND_CALL})


@dataclass(frozen=True, slots=True)
class BlockEvent:
    """`blocked_through` is the entry's end after a refusal, None for a release."""

    kind: str
    refused_at: datetime | None
    blocked_through: date | None
    details: Mapping[str, object]
    actor: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class PlannedBlock:
    """One entry with its history, oldest event first; `key` is unique among entries."""

    key: str
    customer_id: str | None
    phones: tuple[int, ...]
    events: tuple[BlockEvent, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """What all entries of the plan share."""

    chance: Chance
    today: date
    block_months: int


@dataclass(frozen=True, slots=True)
class _Person:
    """One person of the list: number `index`, found by `phone`, and the dice that are thrown for the history."""

    listing: Listing
    index: int
    phone: int
    dice: Dice

    def at(self, age_days: int) -> datetime:
        """Return an instant between 8:00 and 21:00, `age_days` before the day of loading."""
        seconds = 8 * 3600 + self.dice.below(13 * 3600)
        return midnight(self.listing.today - timedelta(days=age_days)) + timedelta(seconds=seconds)


def _person(listing: Listing, index: int, phone: int | None = None) -> _Person:
    number = mobile_digits(NumberUse.LISTED, index) if phone is None else phone
    return _Person(listing, index, number, listing.chance.dice("listed", index))


def planned_blocks(listing: Listing, customers: Mapping[int, PlannedCustomer], *, count: int) -> Iterator[PlannedBlock]:
    """Yield the first `count` entries, all made before the last 30 days."""
    for index in range(count):
        if index in _OF_CUSTOMERS:
            yield _of_customer(listing, customers[index - _OF_CUSTOMERS.start], index)
        else:
            person = _person(listing, index)
            yield PlannedBlock(f"listed-{index}", None, (person.phone,), _history(person))


def fresh_blocks(listing: Listing, *, first: int, count: int) -> Iterator[PlannedBlock]:
    """Yield entries of the last 30 days, numbered from `first` on."""
    for index in range(first, first + count):
        person = _person(listing, index)
        refused_at = person.at(1 + person.dice.below(FRESH_DAYS))
        event = _refusal(person, refused_at, person.dice.pick(_OTHER_SOURCES))
        yield PlannedBlock(f"listed-{index}", None, (person.phone,), (event,))


def call_refusal(
    phone: int, refused_at: datetime, recorded_at: datetime, call_id: str, block_months: int
) -> BlockEvent:
    """Return the refusal that a call record with the outcome `refused` files."""
    through = blocked_through(shanghai_day(refused_at), block_months)
    details = _details(BlockSource.CALL, phone, through, call_id=call_id)
    return BlockEvent("refusal", refused_at, through, details, "dialer", recorded_at)


def _details(source: BlockSource, phone: int, through: date, **more: object) -> dict[str, object]:
    is_permanent = through == PERMANENT
    return {
        "source": source.value,
        "phone": masked(f"+{phone}"),
        "customer_id": None,
        "months": None,
        "permanent": is_permanent,
        "demanded_through": None if is_permanent else through.isoformat(),
        "reason": None,
        "evidence": None,
        "call_id": None,
        **more,
    }


def _refusal(person: _Person, refused_at: datetime, source: BlockSource, **more: object) -> BlockEvent:
    listing, dice = person.listing, person.dice
    months = dice.pick(_MONTHS)
    through = blocked_through(shanghai_day(refused_at), max(listing.block_months, months or 0))
    if person.index in PERMANENT_ENTRIES:
        through, months = PERMANENT, None
    delay_s = 5 + dice.below(1200)
    if source is BlockSource.IMPORT:
        delay_s += 3600 * (12 + dice.below(60))
    evidence = {"inbound_call_id": f"IB-{person.index:06d}"} if source is BlockSource.INBOUND_CALL else None
    reason = dice.pick(_REASONS[source])
    details = _details(source, person.phone, through, months=months, reason=reason, evidence=evidence, **more)
    actor = "dialer" if source in _FROM_OTHER_PEOPLE else "officer"
    recorded_at = min(refused_at + timedelta(seconds=delay_s), midnight(listing.today))
    return BlockEvent("refusal", refused_at, through, details, actor, recorded_at)


def _age_days(person: _Person) -> int:
    dice, index = person.dice, person.index
    if index in CALLED_ENTRIES:
        return 60 + dice.below(100)
    if index < _REFUSED_TWICE.stop:
        return 100 + dice.below(60)
    return 186 + dice.below(300) if dice.hits(200) else 36 + dice.below(145)


def _history(person: _Person) -> tuple[BlockEvent, ...]:
    refused_at = person.at(_age_days(person))
    first = _refusal(person, refused_at, person.dice.pick(_SOURCES))
    if person.index in _RELEASED:
        return first, _release(person, first)
    if person.index in _REFUSED_AGAIN_AFTER_RELEASE:
        return first, _release(person, first), _repeated(person, first)
    if person.index in _REFUSED_TWICE:
        return first, _repeated(person, first)
    return (first,)


def _repeated(person: _Person, first: BlockEvent) -> BlockEvent:
    """Return a later refusal of the same person, 36 to 55 days ago: the entry keeps the later end."""
    event = _refusal(person, person.at(36 + person.dice.below(20)), BlockSource.INBOUND_CALL)
    ends = [end for end in (first.blocked_through, event.blocked_through) if end is not None]
    return replace(event, blocked_through=max(ends))


def _release(person: _Person, first: BlockEvent) -> BlockEvent:
    """Return the release 5 to 34 days after the refusal, at the person's own written wish."""
    asked_at = first.recorded_at + timedelta(days=5 + person.dice.below(30))
    evidence = {"document": f"RELEASE-{person.index:06d}"}
    details = {"reason": "客户书面要求恢复联系", "evidence": evidence, "asked_at": asked_at.isoformat()}
    return BlockEvent("release", None, None, details, "officer2", asked_at + timedelta(hours=3))


def _of_customer(listing: Listing, customer: PlannedCustomer, index: int) -> PlannedBlock:
    """Return the entry of a customer: all numbers known at the time of the refusal are blocked."""
    phones = customer.first_phones
    person = _person(listing, index, phones[0])
    known_for_days = (listing.today - customer.versions[0].effective_from).days
    refused_at = person.at(min(_age_days(person), known_for_days) - 1)
    event = _refusal(person, refused_at, BlockSource.INBOUND_CALL, customer_id=customer.customer_id)
    return PlannedBlock(f"listed-{index}", customer.customer_id, phones, (event,))
