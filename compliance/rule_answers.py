"""What one rule of the gate answers, and the days and instants on which answers turn.

Owns the value that every call rule returns and the arithmetic that the rules share: the instant judged, the
version of a register row on a day, the next midnight or instant at which something changes. It knows no rule.

An answer names the instant at which it may next change, so that the gate can tell until when it holds
without trying every second. A day begins at 00:00 in Asia/Shanghai, a `through` date ends with its 24:00.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeVar

from compliance.call_facts import Centre, Facts, ProposedCall, Purpose, Version
from compliance.decision import Outcome
from compliance.policy import Policy
from compliance.shanghai import SHANGHAI

SALES_PURPOSES = frozenset({Purpose.SALES, Purpose.GIFT, Purpose.APPOINTMENT})
"""Purposes that are sales calls to the rules: gifts by art. 37, appointments because they lead to a sale."""

LAST_YEAR = 9000
"""Later dates ("for ever", typed as 9999-12-31) count as never: civil dates stop at the year 9999."""

AnyVersion = TypeVar("AnyVersion", bound=Version)


class NaiveInstantError(ValueError):
    """An instant without an offset, whose Shanghai day nobody can tell."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: everything that a rule reads, except the moment."""

    call: ProposedCall
    facts: Facts
    policy: Policy


@dataclass(frozen=True, slots=True)
class Moment:
    """The instant judged, in Asia/Shanghai, and its day there."""

    at: datetime
    day: date


@dataclass(frozen=True, slots=True)
class Wording:
    """Why a rule refuses and what to do about it, in English and Chinese; never a number or a name."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one rule says of one call at one moment.

    `changes_at` is an instant after the moment up to which (exclusive) the outcome surely stays; None if it
    stays for ever. `why` is set when the answer is listed as a reason: always with a refusal, and with an
    undetermined answer only if no other rule speaks for the missing fact. `facts` names missing facts.
    `opened` says that the rule would have refused without the callback request.
    """

    outcome: Outcome
    changes_at: datetime | None
    why: Wording | None = None
    facts: tuple[str, ...] = ()
    opened: bool = False


ALWAYS_PERMITTED = Answer(Outcome.PERMIT, None)


def moment_of(at: datetime) -> Moment:
    """Return the moment of the instant `at`, whatever its zone.

    Raises:
        NaiveInstantError: `at` has no offset.
    """
    if at.utcoffset() is None:
        raise NaiveInstantError(f"{at.isoformat()} has no offset; give an aware instant")
    local = at.astimezone(SHANGHAI)
    return Moment(local, local.date())


def permit(changes_at: datetime | None) -> Answer:
    return Answer(Outcome.PERMIT, changes_at)


def refuse(why: Wording, changes_at: datetime | None) -> Answer:
    return Answer(Outcome.REFUSE, changes_at, why)


def undetermined(changes_at: datetime | None) -> Answer:
    """Answer that a fact is missing for which another rule gives the reason."""
    return Answer(Outcome.UNDETERMINED, changes_at)


def judged(fault: Wording | None, changes_at: datetime | None) -> Answer:
    """Refuse for `fault`, or permit if there is none."""
    return permit(changes_at) if fault is None else refuse(fault, changes_at)


def is_sales(case: Case) -> bool:
    return case.call.purpose in SALES_PURPOSES


def is_centre_known(case: Case) -> bool:
    return case.call.centre_id is not None and bool(case.facts.side.centre)


def centre_on(case: Case, day: date) -> Centre | None:
    """Return the calling centre's version in force on `day`; None if it has none or is unknown."""
    return version_on(case.facts.side.centre, day) if is_centre_known(case) else None


def is_stated(text: str | None) -> bool:
    """Say whether a register field holds more than blanks."""
    return text is not None and bool(text.strip())


def version_on(versions: Sequence[AnyVersion], day: date) -> AnyVersion | None:
    """Return the version of a row in force on `day`; None before its first one and after an ended one.

    Only the last version that has begun counts: when it has ended, no earlier one comes back.
    """
    for version in reversed(versions):
        if version.effective_from <= day:
            ended = version.effective_through is not None and day > version.effective_through
            return None if ended else version
    return None


def version_days(versions: Sequence[Version]) -> list[date | None]:
    """Return every day on which another version of a row, or none, comes into force."""
    days: list[date | None] = []
    for version in versions:
        days += (version.effective_from, day_after(version.effective_through))
    return days


def day_after(through: date | None) -> date | None:
    """Return the first day outside a period whose last day is `through`; None if it does not end."""
    if through is None or through.year > LAST_YEAR:
        return None
    return through + timedelta(days=1)


def midnight_of(day: date | None) -> datetime | None:
    """Return 00:00 of `day` in Asia/Shanghai; None for no day, and for one that never comes."""
    if day is None or day.year > LAST_YEAR:
        return None
    return datetime.combine(day, time(), SHANGHAI)


def next_day_of(days: Sequence[date | None], day: date) -> datetime | None:
    """Return the 00:00 of the first of `days` after `day`, None if there is none."""
    return midnight_of(min((later for later in days if later is not None and later > day), default=None))


def next_instant_of(instants: Sequence[datetime | None], at: datetime) -> datetime | None:
    """Return the first of `instants` after `at`, in Asia/Shanghai, None if there is none."""
    later = [instant for instant in instants if instant is not None and at < instant]
    if not later or (first := min(later)).year > LAST_YEAR:
        return None
    return first.astimezone(SHANGHAI)
