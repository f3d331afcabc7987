"""Spans of a recording: what was heard, what is missing, and how fast a person can have heard it.

A span is `(start_ms, end_ms)`, half-open: it holds the millisecond at its start and not the one at its end. Owns the
arithmetic of 全程 (art. 34): a recording was heard as a whole when no millisecond of it is missing, and never before.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

FASTEST_SPEED = 2
"""How many times faster than it was spoken a recording may be played to an inspector; the company's figure."""

MOST_SPANS = 1000
"""So many spans one report may have; a player that sends every few seconds has one or two."""

WHOLE_BP = 10_000
"""All of it, in basis points."""

_MS = timedelta(milliseconds=1)

Span = tuple[int, int]


class ListeningRefusedError(ValueError):
    """What a report says to have been heard cannot have been; `field` names where. Nothing of it counts."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the same milliseconds as spans in order that neither overlap nor touch.

    >>> union([(3000, 8000), (0, 5000), (8000, 9000), (20, 20)])
    [(0, 9000)]
    """
    found: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def length(spans: Iterable[Span]) -> int:
    """Return how many milliseconds spans have together; those that overlap count as often as they are there.

    >>> length([(0, 5000), (0, 5000)])
    10000
    """
    return sum(end - start for start, end in spans)


def missing(covered: Iterable[Span], duration_ms: int) -> list[Span]:
    """Return what of [0, `duration_ms`) no span covers.

    >>> missing([(0, 1000), (2000, 9000)], 8000)
    [(1000, 2000)]
    """
    found: list[Span] = []
    at = 0
    for start, end in union(covered):
        if start > at:
            found.append((at, min(start, duration_ms)))
        at = max(at, end)
    found.append((at, duration_ms))
    return [(start, end) for start, end in found if start < end]


def coverage_bp(missing_ms: int, duration_ms: int) -> int:
    """Return the covered share in basis points, rounded down: one missing millisecond is never the whole.

    >>> coverage_bp(1, 3_600_000)
    9999
    """
    if missing_ms <= 0:
        return WHOLE_BP
    return WHOLE_BP * (duration_ms - missing_ms) // duration_ms


def check_spans(spans: Sequence[Span], duration_ms: int) -> None:
    """Refuse spans that no player of this recording can have played.

    Raises:
        ListeningRefusedError: there are none or too many, one runs backwards, or lies outside the recording.
    """
    if not 1 <= len(spans) <= MOST_SPANS:
        raise ListeningRefusedError("intervals_ms", f"give 1 to {MOST_SPANS} intervals, got {len(spans)}")
    for number, (start, end) in enumerate(spans):
        field = f"intervals_ms.{number}"
        if start < 0:
            raise ListeningRefusedError(field, f"begins before the recording, at {start}; intervals begin at 0")
        if end <= start:
            raise ListeningRefusedError(field, f"ends at {end}, which is not after its start at {start}")
        if end > duration_ms:
            raise ListeningRefusedError(field, f"ends at {end}, beyond the end of the recording at {duration_ms}")


def check_pace(spans: Sequence[Span], *, added_ms: int, before_ms: int, since_claim: timedelta) -> None:
    """Refuse more than a person can have heard since the claim at the fastest speed.

    `added_ms` are the milliseconds of this report that the inspector had not heard before; `before_ms` those that his
    other reports since the claim have added, of whatever inspection: who plays two recordings at once hears neither.

    Raises:
        ListeningRefusedError: the report alone, or all reports since the claim together, are too much.
    """
    most = FASTEST_SPEED * max(since_claim // _MS, 0)
    if length(spans) > most:
        reason = (
            f"are {length(spans)} ms, but since the claim at most {most} ms can have been played at "
            f"{FASTEST_SPEED}-fold speed; nothing was counted"
        )
        raise ListeningRefusedError("intervals_ms", reason)
    if before_ms + added_ms > most:
        reason = (
            f"add {added_ms} ms to the {before_ms} ms heard since the claim, of which at {FASTEST_SPEED}-fold speed "
            f"there can be at most {most} ms over all inspections together; nothing was counted"
        )
        raise ListeningRefusedError("intervals_ms", reason)
