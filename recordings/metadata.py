"""What is said of a recording when it comes in: one reading of it for the API, the command line and the spool.

Owns which facts there are, their forms and their limits. Every fault is found and named at once.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from compliance.phone_numbers import normalise, normalise_caller

CLOCKS_MAY_DIFFER = timedelta(minutes=5)
"""A recording may have begun so much later than now: the clocks of two systems are never quite the same."""

CHANNELS = ("agent", "customer", "mixed")
DIRECTIONS = ("outbound", "inbound")
RAW_CODECS = ("alaw", "ulaw")
WHOSE = ("call_id", "policy_no", "agent_id", "phone")
"""A recording must name one of these, or nobody would ever find it."""

MOST_HOLDS = 200
_LONGEST_MS = 10**10
_LONGEST_ID = 100
_LONGEST_PHONE = 200
_MOST_SAMPLES_A_SECOND = 192_000
_FIRST_YEAR, _LAST_YEAR = 1990, 2200
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SHA256 = re.compile(r"(?:sha256:)?([0-9A-Fa-f]{64})", re.ASCII)
_HOLD_CELL = re.compile(r"\s*(\d{1,10})\s*-\s*(\d{1,10})\s*", re.ASCII)
_POLICY_NO = re.compile(r"\S{1,64}")


class Fault(NamedTuple):
    """What is wrong with one field, and what it should be."""

    loc: str
    msg: str


class MetadataError(ValueError):
    """What is said of a recording cannot be used; `faults` has every reason."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{one.loc}: {one.msg}" for one in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The facts about a recording, in normal form. `channels` says whose voice is in each channel, in order.

    `raw_codec` and `raw_sample_rate` describe a file without a header; they are given together or not at all.
    `holds_ms` are the times during which the customer was on hold, half-open, in milliseconds of the recording.
    """

    started_at: datetime
    channels: tuple[str, ...]
    call_id: str | None = None
    policy_no: str | None = None
    agent_id: str | None = None
    phone_e164: str | None = None
    direction: str | None = None
    sha256: bytes | None = None
    raw_codec: Literal["alaw", "ulaw"] | None = None
    raw_sample_rate: int | None = None
    holds_ms: tuple[tuple[int, int], ...] | None = None

    @property
    def phone_digits(self) -> int | None:
        return None if self.phone_e164 is None else int(self.phone_e164)


def parse_metadata(text: str | bytes, *, now: datetime) -> Metadata:
    """Return the facts in a JSON object.

    Raises:
        MetadataError: it is no JSON object, or its fields cannot be used.
    """
    try:
        found, repeated = msgspec.json.decode(text), _repeated_names(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found, repeated = None, []
    if not isinstance(found, dict):
        raise MetadataError((Fault("metadata", "must be one JSON object in UTF-8"),))
    if repeated:
        raise MetadataError(tuple(Fault(_shown_name(name), "stands more than once; give it once") for name in repeated))
    return read_metadata(found, now=now)


def _repeated_names(text: str | bytes) -> list[str]:
    """Return the names that an object in `text` has twice: one reader takes the first value, and another the last."""
    repeated: list[str] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        repeated.extend(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)

    json.loads(text, object_pairs_hook=note)
    return repeated


def read_cells(cells: Mapping[str, str], *, now: datetime) -> Metadata:
    """Return the facts in a row of a table: an empty cell says nothing; channels, and holds as `1000-5000`, by `;`.

    Raises:
        MetadataError: a cell cannot be used.
    """
    fields: dict[str, object] = {name: text.strip() for name, text in cells.items() if text.strip()}
    channels = fields.get("channels")
    if isinstance(channels, str):
        fields["channels"] = [one.strip() for one in channels.split(";")]
    rate = fields.get("raw_sample_rate")
    if isinstance(rate, str) and rate.isascii() and rate.isdecimal() and len(rate) <= len(str(_MOST_SAMPLES_A_SECOND)):
        fields["raw_sample_rate"] = int(rate)
    holds = [_HOLD_CELL.fullmatch(one) for one in str(fields.get("holds_ms", "")).split(";")]
    if all(holds):
        fields["holds_ms"] = [[int(one[1]), int(one[2])] for one in holds if one is not None]
    return read_metadata(fields, now=now)


def read_metadata(fields: Mapping[str, object], *, now: datetime) -> Metadata:
    """Return the facts in `fields`, named and formed as the API has them; null is the same as left out.

    Raises:
        MetadataError: naming every field that is unknown, missing or bad.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    faults = [Fault(_shown_name(name), "is no field of a recording") for name in given if name not in _READERS]
    read: dict[str, Any] = {}
    for name, reader in _READERS.items():
        if name in given:
            try:
                read[name] = reader(given[name])
            except ValueError as error:
                faults.append(Fault(name, str(error)))
    faults += _faults_together(given, read, now=now)
    if faults:
        raise MetadataError(tuple(faults))
    read["phone_e164"] = read.pop("phone", None)
    return Metadata(**read)


def _shown_name(name: str) -> str:
    """Return a field's name as it may be sent back: what cannot be one may be a number or a name of a person."""
    return name if re.fullmatch(r"[A-Za-z_]{1,64}", name, re.ASCII) else "metadata"


def _faults_together(given: Mapping[str, object], read: Mapping[str, Any], *, now: datetime) -> list[Fault]:
    """Find what is missing, and what does not go together."""
    faults = [Fault(name, "is required") for name in ("started_at", "channels") if name not in given]
    if not any(name in given for name in WHOSE):
        faults.append(Fault("call_id", f"give at least one of {', '.join(WHOSE)}: it could never be found otherwise"))
    if "started_at" in read and read["started_at"] > now + CLOCKS_MAY_DIFFER:
        faults.append(Fault("started_at", "lies more than five minutes in the future; correct it or the clock"))
    if ("raw_codec" in given) != ("raw_sample_rate" in given):
        faults.append(Fault("raw_codec", "and raw_sample_rate describe a file without a header: give both or neither"))
    return faults


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest or "\0" in value:
        msg = f"must be a text of 1 to {longest} characters without NUL"
        raise ValueError(msg)
    return value


def _identifier(value: object) -> str:
    return _text(value, _LONGEST_ID)


def _policy_no(value: object) -> str:
    found = value if isinstance(value, str) else ""
    if not _POLICY_NO.fullmatch(found) or not found.isprintable():
        msg = "must have 1 to 64 printable characters and no white space"
        raise ValueError(msg)
    return found


def _phone(value: object) -> str:
    text = _text(value, _LONGEST_PHONE)
    number = normalise(text)
    found = normalise_caller(text) if number is None else number.e164
    if found is None:
        msg = "is no telephone number; leave it out if it is not known"
        raise ValueError(msg)
    return found


def _instant(value: object) -> datetime:
    msg = "must be an RFC 3339 instant with an offset, such as 2026-11-23T16:00:00+08:00"
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError(msg)
    try:
        found = datetime.fromisoformat(value.upper())
        found.utctimetuple()  # a local time whose UTC no calendar has
    except (ValueError, OverflowError):
        raise ValueError(msg) from None
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        msg = f"must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}"
        raise ValueError(msg)
    return found


def _one_of(*allowed: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            msg = f"must be one of {', '.join(allowed)}"
            raise ValueError(msg)
        return value

    return read


def _channels(value: object) -> tuple[str, ...]:
    msg = 'must be a list with the voice of each channel: "agent" and "customer" in their order, or "mixed" alone'
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise ValueError(msg)
    found = tuple(value)
    if set(found) - set(CHANNELS) or len(set(found)) != len(found) or ("mixed" in found and len(found) > 1):
        raise ValueError(msg)
    return found


def _sha256(value: object) -> bytes:
    found = _SHA256.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        msg = "must be the SHA-256 of the file in 64 hexadecimal digits"
        raise ValueError(msg)
    return bytes.fromhex(found[1])


def _holds_ms(value: object) -> tuple[tuple[int, int], ...]:
    msg = (
        f"must be a list of at most {MOST_HOLDS} pairs of milliseconds [start, end], each end after its start, in "
        "order and without overlap"
    )
    if not isinstance(value, list) or len(value) > MOST_HOLDS:
        raise ValueError(msg)
    found: list[tuple[int, int]] = []
    for one in value:
        if not isinstance(one, list) or [type(at) for at in one] != [int, int]:
            raise ValueError(msg)
        start, end = one
        if not (found[-1][1] if found else 0) <= start < end <= _LONGEST_MS:
            raise ValueError(msg)
        found.append((start, end))
    return tuple(found)


def _sample_rate(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_SAMPLES_A_SECOND:
        msg = f"must be samples a second, 1 to {_MOST_SAMPLES_A_SECOND}"
        raise ValueError(msg)
    return value


_READERS: Mapping[str, Callable[[object], object]] = {
    "call_id": _identifier,
    "policy_no": _policy_no,
    "agent_id": _identifier,
    "phone": _phone,
    "started_at": _instant,
    "direction": _one_of(*DIRECTIONS),
    "channels": _channels,
    "sha256": _sha256,
    "raw_codec": _one_of(*RAW_CODECS),
    "raw_sample_rate": _sample_rate,
    "holds_ms": _holds_ms,
}
FIELDS = tuple(_READERS)
"""Names of all facts, in the order in which people are told of them."""
