"""Evidence about a recording: everything that is known of it, in files that anybody can check with standard tools.

Numbers are masked unless it is said otherwise. A recording that was disposed of has evidence, too: the certificate and
all that was recorded, without audio. Art. 35: the contents are confidential, so whoever takes them is noted before.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Table, or_, select

from compliance.number_lists import neutralise
from compliance.numbers_in_words import masked_words
from compliance.phone_numbers import masked
from compliance.policy_store import policy_in_force
from compliance.sale_tables import sales
from compliance.shanghai import SHANGHAI
from compliance.tables import call_records, incidents
from recordings.audio_layout import suffix_of
from recordings.copy_bytes import Finding, Look
from recordings.copy_rows import CopyName, Kept, read_kept, sales_of
from recordings.disposals import read_disposal
from recordings.evidence_howto import HOWTO
from recordings.evidence_ledger import ledger_of
from recordings.retention import read_retention
from recordings.tables import (
    recording_accesses,
    recording_copies,
    recording_events,
    recording_holds,
    recording_segments,
    recordings,
)

SUMS = "SHA256SUMS"
_PIECE_BYTES = 1 << 20
_ARTICLE = "35"
_PHONES = ("phone_digits", "caller_digits", "callee_digits")
_WORDS = ("reason", "case", "release_reason")
_NOT_TOLD = frozenset({"content", "content_digest", "is_lock_due"})
_RETENTION_KINDS = frozenset(
    {"held", "dated", "extended", "shortened", "released", "locked", "hold_placed", "hold_released", "disposed"}
)

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who takes evidence, for which purpose, with or without whole numbers."""

    person: str
    role: str
    purpose: str
    is_unmasked: bool


def gather(
    connection: Connection, recording_id: UUID, wish: Wish, looks: Mapping[CopyName, Look], *, now: datetime
) -> dict[str, bytes]:
    """Return all files but the audio by name; `looks` say what was found of each copy just now.

    Raises:
        UnknownRecordingError: there is none with this id.
        MissingHashError: rows of the ledger's own tables are gone.
    """
    kept = read_kept(connection, recording_id)
    rows = {table.name: _rows_of(connection, table, recording_id) for table in _TABLES}
    found: dict[str, bytes] = {
        "HOWTO.txt": HOWTO.encode(),
        "metadata.json": _json(
            {**_metadata(connection, kept, wish, now=now), "holds_ms": _spans(rows[recording_segments.name])}
        ),
        "retention.json": _json(_retention(connection, kept, rows[recording_events.name], now=now)),
        "holds.json": _json([_shown(one, wish) for one in rows[recording_holds.name]]),
        "events.json": _json([_shown(one, wish) for one in rows[recording_events.name]]),
        "accesses.csv": _accesses(rows[recording_accesses.name]),
        "copies.json": _json(_copies(rows[recording_copies.name], looks)),
        "incidents.json": _json([_shown(one, wish) for one in _incidents(connection, kept)]),
    }
    own = connection.execute(select(recordings).where(recordings.c.recording_id == recording_id)).mappings().one()
    if own["disposal_id"] is not None:
        disposal = read_disposal(connection, own["disposal_id"])
        reason = _words(disposal.reason, wish)
        found["certificate.json"] = _json(
            {**disposal.certificate, "reason": reason, "copies": [_plain(one) for one in disposal.copies]}
        )
    checkpoint, ledger = ledger_of(connection, _ledger_keys(kept, rows), _instants(own, rows))
    found["ledger.json"] = _json(ledger)
    if checkpoint is not None:
        found["checkpoint.txt"] = checkpoint.note.encode()
    return found


_TABLES: tuple[Table, ...] = (
    recording_copies,
    recording_holds,
    recording_events,
    recording_accesses,
    recording_segments,
)
_ORDERS = {
    "recording_copies": ("copy",),
    "recording_holds": ("placed_at", "hold_id"),
    "recording_events": ("recorded_at", "event_id"),
    "recording_accesses": ("accessed_at", "access_id"),
    "recording_segments": ("start_ms",),
}


def _rows_of(connection: Connection, table: Table, recording_id: UUID) -> Sequence[RowMapping]:
    order = [table.c[name] for name in _ORDERS[table.name]]
    wanted = select(table).where(table.c.recording_id == recording_id).order_by(*order)
    return connection.execute(wanted).mappings().all()


def _metadata(connection: Connection, kept: Kept, wish: Wish, *, now: datetime) -> dict[str, object]:
    own = connection.execute(select(recordings).where(recordings.c.recording_id == kept.recording_id)).mappings().one()
    calls = select(call_records).where(call_records.c.call_id == kept.call_id)
    call = connection.execute(calls).mappings().one_or_none()
    return {
        "recording": _shown(own, wish),
        "call": None if call is None else _shown(call, wish),
        "policies": sales_of(connection, kept),
        "numbers": "whole" if wish.is_unmasked else "masked",
        "taken": {"at": _value(now), "by": wish.person, "role": wish.role, "purpose": wish.purpose},
    }


def _spans(rows: Sequence[RowMapping]) -> list[list[int]]:
    """Return when the customer was on hold, as the recorder declared it, in milliseconds of the recording."""
    return [[one["start_ms"], one["end_ms"]] for one in rows]


def _retention(connection: Connection, kept: Kept, events: Sequence[RowMapping], *, now: datetime) -> dict[str, object]:
    policy = policy_in_force(connection, now=now)
    standing = read_retention(connection, [kept.recording_id], policy=policy, now=now)[kept.recording_id]
    retention = standing.retention
    named = sales_of(connection, kept)
    ends = select(sales.c.policy_no, sales.c.retention_class, sales.c.ended_on).where(sales.c.policy_no.in_(named))
    return {
        "article": _ARTICLE,
        "state": retention.state.value,
        "class": retention.retention_class,
        "keep_through": _value(retention.keep_through),
        "earliest_disposal_on": _value(retention.earliest_disposal_on),
        "why": [one.english for one in standing.why],
        "why_zh": [one.chinese for one in standing.why],
        "contracts": [_plain(row) for row in connection.execute(ends.order_by(sales.c.policy_no)).mappings()],
        "policy_digest": policy.digest,
        "history": [_plain(one) for one in events if one["kind"] in _RETENTION_KINDS],
    }


def _copies(rows: Sequence[RowMapping], looks: Mapping[CopyName, Look]) -> list[dict[str, object]]:
    return [{**_plain(one), "found_now": _found(looks.get(CopyName(one["copy"])))} for one in rows]


def _found(look: Look | None) -> dict[str, object] | None:
    """Return what was found of a copy; None if it was not asked, because another was good or there is none."""
    if look is None:
        return None
    digest = None if look.sha256 is None else look.sha256.hex()
    return {"finding": look.finding.value, "sha256": digest, "detail": look.detail}


def _incidents(connection: Connection, kept: Kept) -> Sequence[RowMapping]:
    columns = incidents.c
    fixity = (columns.kind == "fixity") & (columns.details["recording_id"].as_string() == str(kept.recording_id))
    about = fixity if kept.call_id is None else or_(fixity, columns.call_id == kept.call_id)
    return connection.execute(select(incidents).where(about).order_by(columns.incident_id)).mappings().all()


def _accesses(rows: Sequence[RowMapping]) -> bytes:
    written = io.StringIO()
    sheet = csv.writer(written, lineterminator="\n")
    names = ("accessed_at", "actor", "role", "purpose", "address")
    sheet.writerow(("at", "user", "role", "purpose", "address"))
    sheet.writerows([_cell(_value(one[name])) for name in names] for one in rows)
    return written.getvalue().encode("utf-8-sig")


def _cell(value: object) -> str:
    return "" if value is None else neutralise(str(value))


def _ledger_keys(kept: Kept, rows: Mapping[str, Sequence[RowMapping]]) -> list[str]:
    keys = [str(kept.recording_id), *(f"{kept.recording_id}/{one['copy']}" for one in rows[recording_copies.name])]
    keys += [f"{kept.recording_id}/{one['start_ms']}" for one in rows[recording_segments.name]]
    named = {recording_events.name: "event_id", recording_holds.name: "hold_id", recording_accesses.name: "access_id"}
    return keys + [str(one[key]) for name, key in named.items() for one in rows[name]]


def _instants(own: RowMapping, rows: Mapping[str, Sequence[RowMapping]]) -> list[datetime]:
    """Return when something about the recording was written."""
    found = [own["recorded_at"], *(one["recorded_at"] for one in rows[recording_events.name])]
    found += [one["accessed_at"] for one in rows[recording_accesses.name]]
    return found + [one["placed_at"] for one in rows[recording_holds.name]]


def _shown(row: RowMapping, wish: Wish) -> dict[str, object]:
    """Return a row with its numbers, also those in words, as they may be seen."""
    found: dict[str, object] = {}
    for name, value in _plain(row).items():
        if name in _WORDS and isinstance(value, str):
            found[name] = _words(value, wish)
        elif name not in _PHONES:
            found[name] = value
        elif value is None:
            found[name.removesuffix("_digits")] = None
        else:
            found[name.removesuffix("_digits")] = f"+{value}" if wish.is_unmasked else masked(f"+{value}")
    return found


def _words(words: str, wish: Wish) -> str:
    return words if wish.is_unmasked else masked_words(words)


def _plain(row: Mapping[Any, Any]) -> dict[str, object]:
    return {name: _value(value) for name, value in row.items() if name not in _NOT_TOLD}


def _value(value: Any) -> object:  # noqa: ANN401 - a value of any column
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, date | UUID) else value


def _json(content: object) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def audio_name(container: str, recording_id: UUID) -> str:
    """Return the name of the audio among the files."""
    return f"audio/{recording_id}.{suffix_of(container)}"


def whole_evidence(files: Files, audio: tuple[str, IO[bytes], bytes] | None) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Yield every file, the audio from its start, and at the end the sums of all of them as sha256sum writes them.

    `audio`: its name, the file with its bytes, and their SHA-256, proven before.
    """
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
    if audio is not None:
        name, file, digest = audio
        sums.append(f"{digest.hex()}  {name}\n")
        yield name, _pieces(file)
    for name, content in files.items():
        yield name, [content]
    yield SUMS, ["".join(sums).encode()]


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        yield piece


def is_lost(looks: Mapping[CopyName, Look]) -> bool:
    """Say whether no copy has the audio, rather than that some store cannot say now."""
    return all(one.finding not in {Finding.GOOD, Finding.AWAY} for one in looks.values())
