"""For how long, and by whom, a number is shown to customers: arts. 20 and 22 of the Measures, as pure rules.

Each owner (an agency or centre, or the insurer itself) has one number, nationwide and stable. Owns how the
versions of a register row become stretches of use, when a number may be retired, and which stretches collide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

from compliance.legal import Citation, in_force
from compliance.periods import add_years

IN_USE_YEARS = "caller_numbers.in_use_years"
"""Name of the law's figure: full years for which a number stays in use."""


@dataclass(frozen=True, slots=True)
class NumberVersion:
    """One version of a row of the register. `retired_on` is the first day without the number."""

    effective_from: date
    effective_through: date | None
    phone_e164: str
    owner: str | None
    in_use_from: date
    retired_on: date | None


@dataclass(frozen=True, slots=True)
class Use:
    """A stretch [from_on, until_on) in which `owner` shows the number; `until_on` None: without an end in sight.

    `counted_from` is the day from which the years of use are counted.
    """

    phone_e164: str
    owner: str | None
    counted_from: date
    from_on: date
    until_on: date | None


@dataclass(frozen=True, slots=True)
class EarlyRetirement:
    """Why a row is refused: by `field`, its number would be out of use on `ends_on`, before `first_day` (art. 20)."""

    field: str
    ends_on: date
    first_day: date
    citation: Citation


def first_retirement_day(in_use_from: date, *, on: date) -> date:
    """Return the first day on which a number in use from `in_use_from` may be out of use, by the law of `on`.

    >>> first_retirement_day(date(2026, 3, 1), on=date(2026, 11, 23))
    datetime.date(2027, 3, 2)
    """
    return add_years(in_use_from, in_force(IN_USE_YEARS, on).number) + timedelta(days=1)


def uses(versions: Sequence[NumberVersion]) -> list[Use]:
    """Return the stretches in which a row's number is in use, from its versions, oldest first.

    A version counts until the next one begins; one that begins on the same day as its successor counts for
    nothing. What the first one says of the days before it was recorded is believed.
    """
    successors = [later.effective_from for _, later in pairwise(versions)]
    lasting = zip(versions, [*successors, None], strict=True)
    seen = [(version, until) for version, until in lasting if until is None or version.effective_from < until]
    found = [_use(version, until, is_first=index == 0) for index, (version, until) in enumerate(seen)]
    return _joined(use for use in found if use.until_on is None or use.from_on < use.until_on)


def _use(version: NumberVersion, replaced_on: date | None, *, is_first: bool) -> Use:
    from_on = version.in_use_from if is_first else max(version.in_use_from, version.effective_from)
    ended_on = None if version.effective_through is None else version.effective_through + timedelta(days=1)
    ends = [day for day in (ended_on, replaced_on, version.retired_on) if day is not None]
    return Use(
        phone_e164=version.phone_e164,
        owner=version.owner,
        counted_from=version.in_use_from,
        from_on=from_on,
        until_on=min(ends, default=None),
    )


def _joined(found: Iterable[Use]) -> list[Use]:
    """Join stretches of the same number and owner that touch: a new version alone ends no use."""
    joined: list[Use] = []
    for use in found:
        last = joined[-1] if joined else None
        if last is not None and last.owner == use.owner and _goes_on(last, use):
            counted_from = min(last.counted_from, use.counted_from)
            joined[-1] = replace(last, counted_from=counted_from, until_on=use.until_on)
        else:
            joined.append(use)
    return joined


def _goes_on(use: Use, following: Use) -> bool:
    """Say whether the same number stays in use when `use` ends, whoever owns it then."""
    return (use.phone_e164, use.until_on) == (following.phone_e164, following.from_on)


def early_retirement(versions: Sequence[NumberVersion], *, on: date) -> EarlyRetirement | None:
    """Return what takes the number of a row out of use too early by the law of `on`, None if nothing does.

    `versions` come oldest first. A change of owner alone ends no use of the number.
    """
    law = in_force(IN_USE_YEARS, on)
    for version in versions:
        first_day = first_retirement_day(version.in_use_from, on=on)
        if version.retired_on is not None and version.retired_on < first_day:
            return EarlyRetirement("retired_on", version.retired_on, first_day, law.citation)
    found = uses(versions)
    for use, following in zip(found, [*found[1:], None], strict=True):
        first_day = first_retirement_day(use.counted_from, on=on)
        if use.until_on is None or use.until_on >= first_day or (following is not None and _goes_on(use, following)):
            continue
        is_changed = following is not None and following.phone_e164 != use.phone_e164
        return EarlyRetirement("phone" if is_changed else "effective_through", use.until_on, first_day, law.citation)
    return None


def overlap(one: Iterable[Use], other: Iterable[Use]) -> Use | None:
    """Return the first stretch of `other` in which its owner already has a number by `one`, None without any."""
    mine = list(one)
    return next((theirs for theirs in other if any(_overlap(use, theirs) for use in mine)), None)


def _overlap(one: Use, other: Use) -> bool:
    return (
        one.owner == other.owner
        and (one.until_on is None or other.from_on < one.until_on)
        and (other.until_on is None or one.from_on < other.until_on)
    )
