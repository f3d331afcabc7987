"""Prohibited hours: daily windows, merged into the pattern of a week, and judged at an instant.

Owns the arithmetic of hours and weekdays in Asia/Shanghai. Which windows apply to a call, and what they
are called in an answer, is the rules' business.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone

from compliance.shanghai import SHANGHAI

EVERY_DAY = frozenset(range(7))

_DAY = 86_400_000_000
_WEEK = 7 * _DAY

# China has had one fixed offset since the last summer time ended in 1991. From here on the place in the week
# follows from subtraction alone; the midnight below is a Monday, and the zone has no change after it.
_FIXED_FROM = datetime(1992, 1, 6, tzinfo=timezone(timedelta(hours=8)))
_FIXED_FROM_IN_SHANGHAI = datetime(1992, 1, 6, tzinfo=SHANGHAI)


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """The time [start, end) of each of `weekdays` (Monday 0), in Shanghai local time.

    An `end` not after `start` is on the next day, and the window belongs to the weekday on which it starts:
    21:00 to 09:00 on Sunday ends on Monday. `start == end` is the 24 hours from `start`.
    """

    start: time
    end: time
    weekdays: frozenset[int] = EVERY_DAY


@dataclass(frozen=True, slots=True)
class WeekPattern:
    """The merged prohibited time of a week; equal patterns prohibit the same instants.

    `edges` are the places at which prohibited and open time meet, in microseconds from Monday 00:00,
    ascending; `begins_prohibited` is what holds before the first of them. Build it with `week_pattern`.
    """

    edges: tuple[int, ...]
    begins_prohibited: bool


@dataclass(frozen=True, slots=True)
class WindowState:
    """Whether an instant is prohibited, and the first later instant at which that flips.

    `changes_at` is in Asia/Shanghai; None if it never flips.
    """

    prohibited: bool
    changes_at: datetime | None


def week_pattern(windows: Iterable[DailyWindow]) -> WeekPattern:
    """Return the union of `windows`, touching and overlapping ones merged, also over the end of the week."""
    return _merged(span for window in windows for span in _spans(window))


def covers(outer: WeekPattern, inner: WeekPattern) -> bool:
    """Say whether every instant that `inner` prohibits is prohibited by `outer` too."""
    return _merged([*_spans_of(outer), *_spans_of(inner)]) == outer


def state(pattern: WeekPattern, at: datetime) -> WindowState:
    """Judge the instant `at` (aware, in any zone) to the microsecond.

    A window from 21:00 to 09:00 holds 21:00:00.000000 and does not hold 09:00:00.000000.
    """
    elapsed = at - _FIXED_FROM
    if elapsed.days < 0:
        return _state_before_fixed_offset(pattern, at)
    place = ((elapsed.days % 7) * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
    prohibited, wait = _look_up(pattern, place)
    if wait is None:
        return WindowState(prohibited, None)
    try:
        # By position: naming the microseconds costs half a microsecond, a quarter of the whole judgement.
        return WindowState(prohibited, _FIXED_FROM_IN_SHANGHAI + elapsed + timedelta(0, 0, wait))
    except OverflowError:
        # The flip would be after the year 9999, where the calendar of Python ends.
        return WindowState(prohibited, None)


def _spans(window: DailyWindow) -> Iterable[tuple[int, int]]:
    start, end = _microseconds(window.start), _microseconds(window.end)
    length = end - start if end > start else end - start + _DAY
    return ((day * _DAY + start, day * _DAY + start + length) for day in window.weekdays)


def _microseconds(clock: time) -> int:
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1_000_000 + clock.microsecond


def _merged(spans: Iterable[tuple[int, int]]) -> WeekPattern:
    """Merge spans that start inside the week; the part of a span beyond Sunday belongs to Monday."""
    pieces: list[tuple[int, int]] = []
    for start, end in spans:
        pieces.append((start, min(end, _WEEK)))
        if end > _WEEK:
            pieces.append((0, end - _WEEK))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(pieces):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    ends_prohibited = bool(merged) and merged[-1][1] == _WEEK
    edges = {edge % _WEEK for span in merged for edge in span}
    if ends_prohibited and merged[0][0] == 0:
        # Sunday's last span goes on into Monday: there is no edge at midnight between them.
        edges.discard(0)
    return WeekPattern(tuple(sorted(edges)), ends_prohibited)


def _spans_of(pattern: WeekPattern) -> list[tuple[int, int]]:
    marks = [0, *pattern.edges, _WEEK] if pattern.begins_prohibited else [*pattern.edges]
    pairs = zip(marks[::2], marks[1::2], strict=True)
    # A pattern that opens at midnight between Sunday and Monday has an edge at 0, and no time before it.
    return [(start, end) for start, end in pairs if start < end]


def _look_up(pattern: WeekPattern, place: int) -> tuple[bool, int | None]:
    """Return whether `place` in the week is prohibited, and the microseconds to the next flip."""
    edges = pattern.edges
    passed = bisect_right(edges, place)
    prohibited = pattern.begins_prohibited ^ bool(passed & 1)
    if not edges:
        return prohibited, None
    following = edges[passed] if passed < len(edges) else edges[0] + _WEEK
    return prohibited, following - place


def _state_before_fixed_offset(pattern: WeekPattern, at: datetime) -> WindowState:
    """Judge an instant of the years in which Shanghai changed its clocks, such as the summers to 1991."""
    local = at.astimezone(SHANGHAI)
    place = local.weekday() * _DAY + _microseconds(local.time())
    prohibited, wait = _look_up(pattern, place)
    if wait is None:
        return WindowState(prohibited, None)
    flip = _later(local, timedelta(microseconds=wait))
    if flip.utcoffset() == local.utcoffset():
        return WindowState(prohibited, flip)
    # The clocks change in between. Up to that change nothing flips; what follows starts from there.
    change = _first_instant_of_new_offset(local, flip)
    after = state(pattern, change)
    return after if after.prohibited == prohibited else WindowState(prohibited, change)


def _first_instant_of_new_offset(before: datetime, after: datetime) -> datetime:
    """Return the change of clocks between two Shanghai times, by halving.

    Clocks change on whole seconds, so that cutting both times to the second keeps the change between them.
    """
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    while (seconds := int(after.timestamp() - before.timestamp())) > 1:
        middle = _later(before, timedelta(seconds=seconds // 2))
        if middle.utcoffset() == before.utcoffset():
            before = middle
        else:
            after = middle
    return after


def _later(local: datetime, wait: timedelta) -> datetime:
    """Add elapsed time; adding to a Shanghai time directly would move its clock face instead."""
    return (local.astimezone(_FIXED_FROM.tzinfo) + wait).astimezone(SHANGHAI)
