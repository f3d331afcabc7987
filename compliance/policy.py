"""The policy file of a company: how far it goes beyond the law, and the refusal of anything less.

Owns the TOML format, its limits and its digest. A policy can only tighten: whatever is looser than the
statutory floor is an offence naming the article, and what a file leaves out stands at the floor. Reading
collects every offence instead of stopping at the first, so that one correction can mend the file.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time

from compliance.calling_windows import EVERY_DAY, DailyWindow, WeekPattern, covers, week_pattern
from compliance.legal import DatedValue, in_force
from compliance.policy_text import PolicyTextError, read_document
from compliance.regions import callee_region


@dataclass(frozen=True, slots=True)
class RegionalWindows:
    """Additional prohibited hours for customers of the region `code` (six digits)."""

    code: str
    pattern: WeekPattern


@dataclass(frozen=True, slots=True)
class SegmentWindows:
    """Additional prohibited hours for customers of the company's segment `name`."""

    name: str
    pattern: WeekPattern


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Prohibited hours: `general` for everyone, the rest added to it; sorted, one item per code and name."""

    general: WeekPattern
    regions: tuple[RegionalWindows, ...]
    segments: tuple[SegmentWindows, ...]


@dataclass(frozen=True, slots=True)
class SamplingRates:
    """Shares of closed sales to inspect, in basis points."""

    over_1y_bp: int
    within_1y_bp: int
    gift_bp: int


@dataclass(frozen=True, slots=True)
class RetentionYears:
    """Calendar years after the end of the contract, by class; after a call without a sale; after a dispute (0: off)."""

    years_5y: int
    years_10y: int
    years_without_sale: int
    dispute_years: int


@dataclass(frozen=True, slots=True)
class ComplaintTerms:
    """Working days from the first receipt; `business_close` ends the due day, 24:00 if None."""

    explain_working_days: int
    resolve_working_days: int
    business_close: time | None


@dataclass(frozen=True, slots=True)
class ContactLimit:
    """At most `attempts` calls to a person in any `per_hours` hours."""

    attempts: int
    per_hours: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that keeps the law of the day for which it was read. `digest` is that of the exact `text`."""

    text: str
    digest: str
    block_months: int
    quiet_hours: QuietHours
    sampling: SamplingRates
    retention: RetentionYears
    complaints: ComplaintTerms
    contact_limit: ContactLimit | None


@dataclass(frozen=True, slots=True)
class Offence:
    """One thing wrong with a policy file. `article` is set when it is looser than the law."""

    loc: str
    msg: str
    article: str | None


class PolicyError(ValueError):
    """The policy file is refused; `offences` are all of them, in the order of the format."""

    def __init__(self, offences: Sequence[Offence]) -> None:
        self.offences = tuple(offences)
        super().__init__("; ".join(f"{offence.loc}: {offence.msg}" for offence in self.offences))


def parse_policy(text: str, *, on: date) -> Policy:
    """Return the policy that `text` holds, judged by the law of the Shanghai day `on`.

    Raises PolicyError with all offences, and NotInForceError when the law has no floor on that day.
    """
    try:
        document = read_document(text)
    except PolicyTextError as error:
        raise PolicyError([Offence("policy", str(error), None)]) from error
    reader = _Reader(on)
    reader.refuse_unknown("", document, _SECTIONS)
    block_months = reader.figures(document, "do_not_call")["block_months"]
    quiet_hours = _quiet_hours(reader, document)
    sampling = SamplingRates(**reader.figures(document, "sampling"))
    retention = RetentionYears(**reader.figures(document, "retention"))
    terms = reader.figures(document, "complaints")
    business_close = reader.optional_time(document, "complaints", "business_close")
    contact_limit = None
    if "contact_limit" in document:
        contact_limit = ContactLimit(**reader.figures(document, "contact_limit"))
    if reader.offences:
        raise PolicyError(reader.offences)
    return Policy(
        text=text,
        digest="sha256:" + hashlib.sha256(text.encode()).hexdigest(),
        block_months=block_months,
        quiet_hours=quiet_hours,
        sampling=sampling,
        retention=retention,
        complaints=ComplaintTerms(**terms, business_close=business_close),
        contact_limit=contact_limit,
    )


def floor_policy(*, on: date) -> Policy:
    """Return the policy of a company that does exactly what the law of the Shanghai day `on` demands."""
    return parse_policy(floor_policy_text(on=on), on=on)


def floor_policy_text(*, on: date) -> str:
    """Return the law of the Shanghai day `on` as a complete policy file, each line with its article.

    The text, and with it the digest, is the same on every day until the law changes.
    """
    lines = [
        "# The legal floor: what the law demands of every company, and nothing beyond it.",
        "# Every line may be tightened. Anything looser is refused, naming the article.",
    ]
    for section in _SECTIONS:
        floors = {figure.key: figure.law for figure in _FIGURES.get(section, ()) if figure.law}
        if section == "quiet_hours":
            floors = {"daily": _HOURS}
        if floors:
            lines += [
                "",
                f"[{section}]",
                *(_floor_line(key, in_force(law, on)) for key, law in floors.items()),
            ]
    return "\n".join(lines) + "\n"


# The format.

_MAX_NAME = 64
_HOURS = "calling_hours.prohibited"
_WEEKDAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REGION_CODE = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class _Figure:
    """A whole number, bounded by the value of `law`, sane from `least` to `most`; left out, the law's or `default`."""

    key: str
    law: str | None
    least: int
    most: int
    default: int | None = None


_FIGURES: Mapping[str, tuple[_Figure, ...]] = {
    "do_not_call": (_Figure("block_months", "do_not_call.block_months", 1, 1200),),
    "sampling": (
        _Figure("over_1y_bp", "sampling.over_1y_bp", 1, 10_000),
        _Figure("within_1y_bp", "sampling.within_1y_bp", 1, 10_000),
        _Figure("gift_bp", "sampling.gift_bp", 1, 10_000),
    ),
    "retention": (
        _Figure("years_5y", "retention.years_5y", 1, 100),
        _Figure("years_10y", "retention.years_10y", 1, 100),
        _Figure("years_without_sale", None, 1, 100, default=3),
        _Figure("dispute_years", None, 0, 100, default=0),
    ),
    "complaints": (
        _Figure("explain_working_days", "complaints.explain_working_days", 1, 260),
        _Figure("resolve_working_days", "complaints.resolve_working_days", 1, 260),
    ),
    "contact_limit": (_Figure("attempts", None, 1, 1000), _Figure("per_hours", None, 1, 8760)),
}
_OTHER_KEYS = {"complaints": {"business_close"}}
_WINDOW_KEYS = {"daily", "weekdays"}
_SECTIONS = ("do_not_call", "quiet_hours", "sampling", "retention", "complaints", "contact_limit")
_KINDS = {
    bool: "a boolean",
    int: "a number",
    float: "a decimal number",
    str: "text",
    list: "a list",
    dict: "a table",
    time: "a time",
}


class _Reader:
    """Reads parts of a document by the law of one day, and keeps every offence found on the way.

    In the place of an offence a value is returned that lets the reading go on; no policy is made of it.
    """

    def __init__(self, on: date) -> None:
        self.on = on
        self.offences: list[Offence] = []

    def offend(self, loc: str, msg: str, article: str | None = None) -> None:
        self.offences.append(Offence(loc, msg, article))

    def refuse_unknown(self, loc: str, table: Mapping[str, object], known: Collection[str]) -> None:
        for key in table:
            if key in known:
                continue
            if _PLAIN_KEY.fullmatch(key):
                self.offend(f"{loc}.{key}" if loc else key, f"unknown key; known are {', '.join(sorted(known))}")
            else:
                # The key may hold anything, and offences are shown to people and kept in logs.
                self.offend(loc or "policy", "unknown key, not made of 1 to 64 letters, digits, _ and -")

    def section(self, document: Mapping[str, object], name: str) -> Mapping[str, object]:
        found = document.get(name, {})
        if isinstance(found, dict):
            return found
        self.offend(name, f"must be a table [{name}], not {_kind(found)}")
        return {}

    def figures(self, document: Mapping[str, object], section: str) -> dict[str, int]:
        """Return all whole numbers of `section`, those left out at the floor."""
        table = self.section(document, section)
        found = {figure.key: self._figure(section, table, figure) for figure in _FIGURES[section]}
        self.refuse_unknown(section, table, {*found, *_OTHER_KEYS.get(section, ())})
        return found

    def _figure(self, section: str, table: Mapping[str, object], figure: _Figure) -> int:
        loc = f"{section}.{figure.key}"
        floor = in_force(figure.law, self.on) if figure.law else None
        value = table.get(figure.key, floor.number if floor else figure.default)
        # True and False are whole numbers to isinstance.
        if type(value) is not int:
            self.offend(loc, f"must be a whole number, not {_kind(value)}")
            return figure.least
        if floor and not floor.is_kept_by(value):
            self.offend(loc, f"is looser than the law; {_demand(floor)}", floor.citation.article)
        elif not figure.least <= value <= figure.most:
            self.offend(loc, f"must be from {figure.least} to {figure.most}")
        return value

    def optional_time(self, document: Mapping[str, object], section: str, key: str) -> time | None:
        table = document.get(section)
        found = table.get(key) if isinstance(table, dict) else None
        if found is None or isinstance(found, time):
            return found
        self.offend(f"{section}.{key}", f"must be a local time such as 17:30:00, not {_kind(found)}")
        return None

    def tables(self, document: Mapping[str, object], section: str, key: str) -> list[tuple[str, Mapping[str, object]]]:
        """Return the tables of [[section.key]] with the place of each."""
        found = document.get(key, [])
        loc = f"{section}.{key}"
        if not isinstance(found, list):
            self.offend(loc, f"must be a list of tables [[{loc}]], not {_kind(found)}")
            return []
        places = [(f"{loc}[{index}]", item) for index, item in enumerate(found)]
        for place, item in places:
            if not isinstance(item, dict):
                self.offend(place, f"must be a table [[{loc}]], not {_kind(item)}")
        return [(place, item) for place, item in places if isinstance(item, dict)]

    def window(self, loc: str, table: Mapping[str, object], default: object = None) -> DailyWindow:
        """Return the window that `daily` and `weekdays` of `table` describe."""
        weekdays = self._weekdays(f"{loc}.weekdays", table.get("weekdays", [*_WEEKDAYS]))
        match table.get("daily", default):
            case [time() as start, time() as end]:
                return DailyWindow(start, end, weekdays)
            case other:
                got = "a list of anything else" if isinstance(other, list) else _kind(other)
                self.offend(f"{loc}.daily", f"must be two local times such as [21:00:00, 09:00:00], not {got}")
                return DailyWindow(time(), time(), weekdays)

    def _weekdays(self, loc: str, found: object) -> frozenset[int]:
        names = f"one or more of {', '.join(_WEEKDAYS)}"
        if not isinstance(found, list) or not found:
            self.offend(loc, f"must be a list of {names}; leave it out for every day")
            return EVERY_DAY
        unknown = [i for i, name in enumerate(found) if not isinstance(name, str) or name not in _WEEKDAYS]
        for index in unknown:
            self.offend(f"{loc}[{index}]", f"must be {names}")
        return EVERY_DAY if unknown else frozenset(_WEEKDAYS[name] for name in found)


def _quiet_hours(reader: _Reader, document: Mapping[str, object]) -> QuietHours:
    table = reader.section(document, "quiet_hours")
    general = [_general_window(reader, table)]
    regions: dict[str, list[DailyWindow]] = {}
    segments: dict[str, list[DailyWindow]] = {}
    for loc, item in reader.tables(table, "quiet_hours", "region"):
        regions.setdefault(_region_code(reader, loc, item), []).append(reader.window(loc, item))
        reader.refuse_unknown(loc, item, {"code", *_WINDOW_KEYS})
    for loc, item in reader.tables(table, "quiet_hours", "segment"):
        segments.setdefault(_segment_name(reader, loc, item), []).append(reader.window(loc, item))
        reader.refuse_unknown(loc, item, {"name", *_WINDOW_KEYS})
    for loc, item in reader.tables(table, "quiet_hours", "extra"):
        general.append(reader.window(loc, item))
        reader.refuse_unknown(loc, item, _WINDOW_KEYS)
    reader.refuse_unknown("quiet_hours", table, {"region", "segment", "extra", *_WINDOW_KEYS})
    return QuietHours(
        general=week_pattern(general),
        regions=tuple(RegionalWindows(code, week_pattern(regions[code])) for code in sorted(regions)),
        segments=tuple(SegmentWindows(name, week_pattern(segments[name])) for name in sorted(segments)),
    )


def _general_window(reader: _Reader, table: Mapping[str, object]) -> DailyWindow:
    """Return the one window that must hold the statutory hours of every day by itself."""
    floor = in_force(_HOURS, reader.on)
    window = reader.window("quiet_hours", table, default=floor.window)
    start, end = floor.window
    pattern = week_pattern([window])
    open_days = [
        name
        for name, number in _WEEKDAYS.items()
        if not covers(pattern, week_pattern([DailyWindow(start, end, frozenset({number}))]))
    ]
    if open_days:
        on_every_day = week_pattern([DailyWindow(window.start, window.end)])
        is_too_short = not covers(on_every_day, week_pattern([DailyWindow(start, end)]))
        reader.offend(
            "quiet_hours.daily" if is_too_short else "quiet_hours.weekdays",
            f"leaves time open that begins on {', '.join(open_days)}; {_demand(floor)}",
            floor.citation.article,
        )
    return window


def _region_code(reader: _Reader, loc: str, table: Mapping[str, object]) -> str:
    code = table.get("code")
    if isinstance(code, str) and _REGION_CODE.fullmatch(code) and callee_region(code) == code:
        return code
    reader.offend(
        f"{loc}.code",
        "must be the six-digit code of a mainland province, or of 210200, 330200, 350200, 370200 or 440300",
    )
    return ""


def _segment_name(reader: _Reader, loc: str, table: Mapping[str, object]) -> str:
    name = table.get("name")
    if isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable() and name == name.strip():
        return name
    reader.offend(f"{loc}.name", f"must be 1 to {_MAX_NAME} printable characters without space around them")
    return ""


def _demand(floor: DatedValue) -> str:
    cited = f"art. {floor.citation.article}: 「{floor.citation.words}」"
    return f"the law demands {floor.bound} {_written(floor)} ({floor.unit}), {cited}"


def _written(floor: DatedValue) -> str:
    if isinstance(floor.value, int):
        return str(floor.value)
    return f"[{', '.join(end.isoformat() for end in floor.value)}]"


def _floor_line(key: str, floor: DatedValue) -> str:
    source = f"art. {floor.citation.article}, {floor.bound}, {floor.unit}: {floor.citation.words}"
    return f"{key} = {_written(floor)}  # {source}"


def _kind(value: object) -> str:
    return "nothing" if value is None else _KINDS.get(type(value), "a date")
