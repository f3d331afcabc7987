"""Checks the bundle of a draw with Python's standard library alone: python verify.py BUNDLE [--json].

One file that stands for itself: it imports nothing of the product, runs on Python 3.9 and later, and may be read in
half an hour. Exit status 0: the bundle holds; 1: it does not, and every problem is listed; 2: wrong usage.

It computes everything again: the canonical form and the digest of the frame, the commitment from the seed, every
ticket, the sample and its order, which late sales are drawn and whom they promote, the tickets of replacements. What
only the ledger can prove is listed as not checked. Nothing in a file, however made, raises out of here. The
specification is docs/draw.md.
"""

from __future__ import annotations

import argparse
import bisect
import hashlib
import json
import re
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

ALGORITHM = "telesales-draw-1"
WHOLE_BP = 10_000
LONGEST_POLICY_NO = 64
LONGEST_NUMBER = 18
MOST_OF_A_KIND = 20
"""So many problems of a kind are told one by one; then how many more there are."""

_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|([+-])(\d\d):(\d\d))", re.ASCII)
_ENDS_AS_CONTROL, _CONTROL_AGAIN = 0x20, range(0x7F, 0xA0)
_MODES, _CLASSES = ("own_centre", "agency"), ("over_1y", "within_1y", "gift")

NOT_CHECKED = (
    "that frame and additions hold every sale there was, and when it was drawn: see the ledger (draws, draw_tickets)",
    "that the commitment came before its day: see its own ledger entry (seed_commitments.insert)",
    "why a sale was replaced, and which ones were passed over because they could not be inspected either",
)


class BundleError(Exception):
    """The bundle cannot be read any further; the message says where and why."""


class Problem(NamedTuple):
    """One thing that is wrong; `where` names the field."""

    where: str
    message: str


class Report:
    """What was found: how much was read, and all problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.counts: dict[str, int] = {}
        self._kinds: dict[str, int] = {}

    @property
    def ok(self) -> bool:
        return not self.problems

    def add(self, where: str, message: str, *, kind: str = "") -> None:
        """Note a problem; of those of one `kind` only the first are told one by one."""
        if kind:
            self._kinds[kind] = self._kinds.get(kind, 0) + 1
            if self._kinds[kind] > MOST_OF_A_KIND:
                return
        self.problems.append(Problem(where, message))

    def finish(self) -> None:
        """Say how many problems were not told one by one."""
        for kind, number in sorted(self._kinds.items()):
            if number > MOST_OF_A_KIND:
                self.problems.append(Problem(kind, f"and {number - MOST_OF_A_KIND} more of this kind"))

    def as_json(self) -> dict[str, object]:
        return {
            "ok": self.ok,
            **self.counts,
            "not_checked": list(NOT_CHECKED),
            "problems": [one._asdict() for one in self.problems],
        }


def ticket_of(begun: Any, policy_no: str) -> str:  # noqa: ANN401 - hashlib's state has no public type
    """Return the ticket of a policy number in hex; `begun` has hashed algorithm, seed and public number."""
    state = begun.copy()
    _feed(state, policy_no.encode())
    return str(state.hexdigest())


def _feed(state: Any, part: bytes) -> None:  # noqa: ANN401 - hashlib's state has no public type
    state.update(len(part).to_bytes(8, "big") + part)


def size_of(number: int, rate_bp: int) -> int:
    """Return how many of `number` are drawn, rounded up."""
    return -(-number * rate_bp // WHOLE_BP)


def read_bundle(content: bytes) -> dict[str, Any]:
    """Return the object that the file holds.

    Raises:
        BundleError: it holds none, or one that can be read in more than one way.
    """
    try:
        found = json.loads(
            content.decode("utf-8"), object_pairs_hook=_object, parse_int=_whole_number, parse_constant=_no_number
        )
    except UnicodeDecodeError as error:
        raise BundleError(f"the file is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise BundleError("the file nests more deeply than any bundle does") from None
    except ValueError as error:
        raise BundleError(f"the file is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BundleError("the file holds JSON, but no object")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BundleError(f"the field {name[:40]!a} stands twice in one object, and readers differ in which counts")
        found[name] = value
    return found


def _whole_number(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise BundleError(f"a number has {len(digits)} digits; no number of a bundle has more than {LONGEST_NUMBER}")
    return int(digits)


def _no_number(name: str) -> float:
    raise BundleError(f"{name} is no number of JSON")


def is_text(value: object) -> bool:
    """Return whether this is text that has a form in UTF-8, which half of a surrogate pair has not."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_policy_no(value: object) -> bool:
    return (
        isinstance(value, str)
        and is_text(value)
        and 1 <= len(value) <= LONGEST_POLICY_NO
        and not any(sign.isspace() or ord(sign) < _ENDS_AS_CONTROL or ord(sign) in _CONTROL_AGAIN for sign in value)
    )


def is_number(value: object) -> bool:
    return type(value) is int and value >= 0


def is_matching(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_day(value: object) -> bool:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def instant_of(value: object) -> datetime | None:
    """Return an RFC 3339 instant with offset, None if it is none."""
    shape = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if shape is None:
        return None
    text, fraction, _zone, sign, hours, minutes = shape.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        zone = timezone(-offset if sign == "-" else offset)
        return datetime.fromisoformat(text).replace(microsecond=int((fraction or "0").ljust(6, "0")), tzinfo=zone)
    except (ValueError, OverflowError):
        return None


FIELDS = {
    "draw_id": (lambda one: is_matching(one, _UUID), "a UUID"),
    "stratum": (lambda one: isinstance(one, dict), "an object"),
    "from": (is_day, "a day YYYY-MM-DD"),
    "to": (is_day, "a day YYYY-MM-DD"),
    "frame": (is_text, "text"),
    "frame_digest": (lambda one: is_matching(one, _DIGEST), "sha256: and 64 lower-case hex digits"),
    "frame_size": (is_number, "a whole number"),
    "rate_bp": (lambda one: is_number(one) and 1 <= one <= WHOLE_BP, "a whole number from 1 to 10000"),
    "sample_size": (is_number, "a whole number"),
    "seed": (lambda one: is_matching(one, _HEX), "64 lower-case hex digits"),
    "seed_commitment": (lambda one: is_matching(one, _DIGEST), "sha256: and 64 lower-case hex digits"),
    "committed_before": (lambda one: isinstance(one, bool), "true or false"),
    "public_number": (is_text, "text, empty if there was none"),
    "algorithm": (lambda one: one == ALGORITHM, ALGORITHM),
    "policy_digest": (lambda one: is_matching(one, _DIGEST), "sha256: and 64 lower-case hex digits"),
    "drawn_at": (lambda one: instant_of(one) is not None, "an instant with offset"),
    "ledger_entry": (lambda one: one is None or is_number(one), "the number of an entry, or null"),
    "sample": (lambda one: isinstance(one, list), "a list"),
    "additions": (lambda one: isinstance(one, list), "a list"),
    "replacements": (lambda one: isinstance(one, list), "a list"),
}
"""What a bundle must hold, each with what tells its form."""

_TICKET = {
    "policy_no": (is_policy_no, "1 to 64 characters without white space"),
    "ticket": (lambda one: is_matching(one, _HEX), "64 lower-case hex digits"),
}
_INSPECTED = {"inspection_id": (lambda one: is_matching(one, _UUID), "a UUID")}
_RECORDED = {"recorded_at": (lambda one: instant_of(one) is not None, "an instant with offset")}
ITEMS = {
    "stratum": {
        "sales_mode": (lambda one: one in _MODES, "own_centre or agency"),
        "centre_id": (lambda one: is_text(one) and one, "text"),
        "class": (lambda one: one in _CLASSES, "over_1y, within_1y or gift"),
    },
    "sample": {**_TICKET, **_INSPECTED},
    "additions": {
        **_TICKET,
        **_RECORDED,
        "closed_on": (is_day, "a day YYYY-MM-DD"),
        "drawn": (lambda one: isinstance(one, bool), "true or false"),
        "in_frame": (lambda one: isinstance(one, bool), "true or false"),
        "inspection_id": (lambda one: one is None or is_matching(one, _UUID), "a UUID, or null"),
    },
    "replacements": {
        **_TICKET,
        **_INSPECTED,
        **_RECORDED,
        "replaces": (is_policy_no, "1 to 64 characters without white space"),
        "reason": (lambda one: is_text(one) and one.strip(), "text"),
    },
}


class Draw:
    """A bundle whose fields have the right form, and what follows from seed and frame."""

    def __init__(self, bundle: dict[str, Any], report: Report) -> None:
        self.bundle, self.report = bundle, report
        self.begun = hashlib.sha256()
        for part in (ALGORITHM.encode(), bytes.fromhex(bundle["seed"]), bundle["public_number"].encode()):
            _feed(self.begun, part)
        self.frame: dict[str, str] = {}
        """Ticket by policy number."""
        self.sample: set[str] = {one["policy_no"] for one in bundle["sample"]}
        self.replacements: set[str] = {one["policy_no"] for one in bundle["replacements"]}

    def check(self) -> None:
        """List everything that is wrong."""
        self.check_seed()
        self.check_frame()
        in_order = sorted((ticket, policy_no) for policy_no, ticket in self.frame.items())
        self.check_sample(in_order)
        self.check_additions(in_order)
        self.check_replacements()
        self.check_inspections()

    def check_seed(self) -> None:
        bundle = self.bundle
        if "sha256:" + hashlib.sha256(bytes.fromhex(bundle["seed"])).hexdigest() != bundle["seed_commitment"]:
            self.report.add("seed_commitment", "is not SHA-256 of the seed: this is not the seed committed to")
        if bundle["from"] > bundle["to"]:
            self.report.add("to", "lies before from")
        if bundle["committed_before"] and bundle["from"] != bundle["to"]:
            self.report.add("committed_before", "a seed is committed to for one day, and the period has several")

    def check_frame(self) -> None:
        """Check the canonical form: lines in the order of the bytes of their policy numbers, each once."""
        bundle, before = self.bundle, b""
        lines = bundle["frame"].split("\n")
        if lines.pop() or not lines:
            self.report.add("frame", "must be lines that each end with LF, and at least one")
        for number, line in enumerate(lines, 1):
            policy_no = self.check_line(number, line)
            if policy_no is None:
                continue
            written = policy_no.encode()
            if written <= before:
                same = "stands twice" if policy_no in self.frame else "is not in the order of the bytes of policy_no"
                self.report.add("frame", f"line {number}, {policy_no}, {same}", kind="order of the frame")
            before = max(before, written)
            self.frame[policy_no] = ticket_of(self.begun, policy_no)
        if "sha256:" + hashlib.sha256(bundle["frame"].encode()).hexdigest() != bundle["frame_digest"]:
            self.report.add("frame_digest", "is not SHA-256 of the frame: the frame is not the one that was frozen")
        if bundle["frame_size"] != len(lines):
            self.report.add("frame_size", f"says {bundle['frame_size']}, and the frame has {len(lines)} lines")
        self.report.counts["frame"] = len(lines)

    def check_line(self, number: int, line: str) -> str | None:
        fields = line.split("\t")
        if len(fields) != 3 or not is_policy_no(fields[0]) or not is_day(fields[1]):  # noqa: PLR2004 - as the spec says
            message = f"line {number} is not policy_no TAB closed_on TAB inspection_class"
            self.report.add("frame", message, kind="lines of the frame")
            return None
        policy_no, closed_on, class_ = fields
        if not self.bundle["from"] <= closed_on <= self.bundle["to"]:
            message = f"line {number}, {policy_no}, was closed on {closed_on}, outside the period"
            self.report.add("frame", message, kind="days of the frame")
        if class_ != self.bundle["stratum"]["class"]:
            message = f"line {number}, {policy_no}, is not of the class of the stratum"
            self.report.add("frame", message, kind="classes of the frame")
        return policy_no

    def check_ticket(self, where: str, item: dict[str, Any]) -> None:
        if item["ticket"] != ticket_of(self.begun, item["policy_no"]):
            message = f"is not the ticket of {item['policy_no']} under this seed and public number"
            self.report.add(f"{where}.ticket", message, kind=f"tickets of {where.partition('[')[0]}")

    def check_sample(self, in_order: list[tuple[str, str]]) -> None:
        """Check that the sample is the smallest tickets of the frame, in their order."""
        bundle, report = self.bundle, self.report
        size = size_of(len(self.frame), bundle["rate_bp"])
        if bundle["sample_size"] != size:
            report.add("sample_size", f"says {bundle['sample_size']}; {bundle['rate_bp']} bp of the frame are {size}")
        wanted = [policy_no for _, policy_no in in_order[:size]]
        found = [one["policy_no"] for one in bundle["sample"]]
        for place, item in enumerate(bundle["sample"]):
            self.check_ticket(f"sample[{place}]", item)
        for policy_no in sorted(set(wanted) - set(found)):
            report.add("sample", f"{policy_no} has one of the smallest tickets and is missing", kind="left out")
        for policy_no in sorted(set(found) - set(wanted)):
            why = "has none of the smallest tickets" if policy_no in self.frame else "is not in the frame"
            report.add("sample", f"{policy_no} {why}", kind="added to the sample")
        if len(set(found)) != len(found):
            report.add("sample", "names a sale twice")
        elif sorted(found) == sorted(wanted) and found != wanted:
            report.add("sample", "is not in the order of the tickets, smallest first")
        report.counts["sample"] = len(found)

    def check_additions(self, in_order: list[tuple[str, str]]) -> None:
        """Let the late sales come again in their order, and compare who is drawn at each."""
        items = self.bundle["additions"]
        self.report.counts["additions"] = len(items)
        drawn = {policy_no for _, policy_no in in_order[: size_of(len(in_order), self.bundle["rate_bp"])]}
        ranks, place = list(in_order), 0
        late: list[dict[str, Any]] = []
        came: set[str] = set()
        last = instant_of(self.bundle["drawn_at"])
        while place < len(items):
            item, where = items[place], f"additions[{place}]"
            place += 1
            at = instant_of(item["recorded_at"])
            if not self.check_addition(where, item, came):
                continue
            if last is not None and at is not None and at <= last:
                self.report.add(f"{where}.recorded_at", "must be later than the draw and every late sale before")
            last = at
            came.add(item["policy_no"])
            late.append(item)
            promoted = self.grow(ranks, drawn, item)
            place = self.check_promoted(items, place, promoted, at)
        for item in late:
            # Who replaces another was drawn by that, and is not drawn once more.
            is_drawn = item["policy_no"] in drawn and item["policy_no"] not in self.replacements
            if item["drawn"] != is_drawn:
                rule = "is" if is_drawn else "is not"
                message = f"{item['policy_no']} {rule} to be drawn by its ticket, and the bundle says otherwise"
                self.report.add("additions.drawn", message, kind="late sales")

    def check_addition(self, where: str, item: dict[str, Any], came: set[str]) -> bool:
        """Check what can be said of a late sale alone; return whether it can come again."""
        self.check_ticket(where, item)
        if item["in_frame"]:
            message = f"{item['policy_no']} is not drawn by the growth of the frame at this place"
            self.report.add(where, message, kind="promoted sales")
            return False
        if item["policy_no"] in self.frame or item["policy_no"] in came:
            self.report.add(where, f"{item['policy_no']} is in the frame or came late already", kind="late twice")
            return False
        if not self.bundle["from"] <= item["closed_on"] <= self.bundle["to"]:
            self.report.add(f"{where}.closed_on", "lies outside the period", kind="days of late sales")
        return True

    def grow(self, ranks: list[tuple[str, str]], drawn: set[str], item: dict[str, Any]) -> list[str]:
        """Add a late sale, and return which sales of the frame its coming has drawn.

        At most one sale more is drawn each time: the one that came, or the one whose rank is now the last drawn.
        """
        its = (ticket_of(self.begun, item["policy_no"]), item["policy_no"])
        bisect.insort(ranks, its)
        last = ranks[size_of(len(ranks), self.bundle["rate_bp"]) - 1]
        promoted = []
        for one in (its, last):
            if one <= last and one[1] not in drawn:
                drawn.add(one[1])
                if one[1] in self.frame and one[1] not in self.replacements:
                    promoted.append(one[1])
        return promoted

    def check_promoted(self, items: list[dict[str, Any]], place: int, promoted: list[str], at: datetime | None) -> int:
        """Check that those promoted follow the late sale that did it; return the place after them."""
        for policy_no in promoted:
            item = items[place] if place < len(items) else None
            if item is None or item["policy_no"] != policy_no or not item["in_frame"]:
                message = f"{policy_no} is drawn because the frame grew, and is missing at place {place}"
                self.report.add("additions", message, kind="promoted sales")
                continue
            self.check_ticket(f"additions[{place}]", item)
            if not item["drawn"] or instant_of(item["recorded_at"]) != at:
                message = f"{policy_no} is drawn, at the instant of the late sale before it"
                self.report.add(f"additions[{place}]", message, kind="promoted sales")
            place += 1
        return place

    def check_replacements(self) -> None:
        """Check tickets, and that each stands for a sale that is drawn, as far as the bundle proves it."""
        items, additions = self.bundle["replacements"], self.bundle["additions"]
        self.report.counts["replacements"] = len(items)
        drawn = self.sample | {one["policy_no"] for one in additions if one["drawn"]}
        known = set(self.frame) | {one["policy_no"] for one in additions}
        replaced: set[str] = set()
        replacing: set[str] = set()
        for place, item in enumerate(items):
            where, policy_no = f"replacements[{place}]", item["policy_no"]
            self.check_ticket(where, item)
            if policy_no not in known:
                self.report.add(where, f"{policy_no} is neither in the frame nor in the additions", kind="replacements")
            if policy_no in drawn or policy_no in replacing:
                self.report.add(where, f"{policy_no} was drawn already", kind="replacements")
            is_drawn = item["replaces"] in drawn or item["replaces"] in replacing
            if not is_drawn or item["replaces"] in replaced:
                message = f"{item['replaces']}, which it replaces, is not drawn, or was replaced before"
                self.report.add(f"{where}.replaces", message, kind="replacements")
            replaced.add(item["replaces"])
            replacing.add(policy_no)

    def check_inspections(self) -> None:
        """Check that each drawn sale has an inspection of its own, and no other has one."""
        lists = (self.bundle[name] for name in ("sample", "additions", "replacements"))
        seen: dict[str, str] = {}
        for item in (one for items in lists for one in items):
            inspection_id, policy_no = item["inspection_id"], item["policy_no"]
            if (inspection_id is None) == item.get("drawn", True):
                self.report.add("inspection_id", f"{policy_no} has one exactly if it is drawn", kind="inspections")
            if inspection_id is not None and seen.setdefault(inspection_id, policy_no) != policy_no:
                self.report.add("inspection_id", f"{policy_no} shares one with another sale", kind="inspections")


def _check_form(where: str, found: object, fields: dict[str, Any], report: Report) -> None:
    if not isinstance(found, dict):
        report.add(where, "must be an object", kind=f"form of {where.partition('[')[0]}")
        return
    for name, (is_right, form) in fields.items():
        path = f"{where}.{name}" if where else name
        if name not in found:
            report.add(path, "is missing", kind=f"form of {where.partition('[')[0]}")
        elif not is_right(found[name]):
            report.add(path, f"must be {form}", kind=f"form of {where.partition('[')[0]}")


def verify_bundle(content: bytes) -> Report:
    """Check the bytes of a bundle and return everything that is wrong with it."""
    report = Report()
    try:
        bundle = read_bundle(content)
    except BundleError as error:
        report.add("bundle", str(error))
        return report
    _check_form("", bundle, FIELDS, report)
    if isinstance(bundle.get("stratum"), dict):
        _check_form("stratum", bundle["stratum"], ITEMS["stratum"], report)
    for name in ("sample", "additions", "replacements"):
        items = bundle.get(name)
        for place, item in enumerate(items if isinstance(items, list) else []):
            _check_form(f"{name}[{place}]", item, ITEMS[name], report)
    if report.ok:
        Draw(bundle, report).check()
    report.finish()
    return report


def verify_file(path: Path) -> Report:
    """Check a bundle on disk."""
    try:
        content = path.read_bytes()
    except OSError as error:
        report = Report()
        report.add("bundle", f"cannot be read ({type(error).__name__})")
        return report
    return verify_bundle(content)


def describe(report: Report) -> str:
    """Return in words what was found."""
    if not report.ok:
        lines = [f"{one.where}: {one.message}" for one in report.problems]
        return "\n".join([f"The draw does not hold; problems: {len(lines)}", *lines])
    counted = ", ".join(f"{name} {number}" for name, number in report.counts.items())
    return "\n".join([f"The draw holds: {counted}", *(f"Not checked: {one}" for one in NOT_CHECKED)])


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the bundle of a draw, with Python alone.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object for programs")
    arguments = parser.parse_args()
    report = verify_file(arguments.bundle)
    text = json.dumps(report.as_json()) if arguments.json else describe(report)
    sys.stdout.buffer.write((text + "\n").encode("utf-8", "backslashreplace"))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
