"""The ledger: its checkpoint, its entries, and proofs that these are in it (arts. 35, 36, 47)."""

import base64
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from compliance.ledger_attestations import Attestation, read_attestations
from compliance.ledger_reading import (
    EntrySpan,
    SealedEntry,
    StoredCheckpoint,
    UnknownLedgerEntryError,
    covered_tables,
    list_entries,
    present_checkpoint,
    read_line,
    read_origin,
)
from compliance.ledger_runs import seal_waiting
from compliance.ledger_tree import inclusion_path
from compliance.shanghai import SHANGHAI
from services.dependencies import Now, State, Transaction, requires
from services.json_answers import json_response
from services.ledger_checks import export_bundle
from services.ledger_spans import MOST, LedgerEdgeError, read_edge, span_between
from services.paging import Cursor, Limit, not_a_cursor, page, read_cursor
from services.problems import input_error
from services.sealing import seal_if_possible
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/ledger", tags=["Ledger"])

Reader = Annotated[Actor, Depends(requires(Role.OFFICER, Role.ADMIN, Role.AUDITOR))]
Admin = Annotated[Actor, Depends(requires(Role.ADMIN))]

_CHUNK = 1 << 20

EntryNumber = Annotated[int, Query(ge=0, le=MOST, description="Number of the entry, from 0.")]
Edge = Annotated[str, Query(max_length=20, description="A civil date in Shanghai, or the number of an entry.")]


class AttestationAnswer(BaseModel):
    """What somebody else says of the checkpoint `note`: `content` is a cosignature's line or a response's DER."""

    kind: str
    name: str
    size: int
    at: datetime
    content: str
    note: str


class CheckpointAnswer(BaseModel):
    """A checkpoint, and the newest attestation by each who gives any; these may be of an earlier one."""

    note: str
    origin: str
    size: int
    root: str
    key_id: str
    attestations: list[AttestationAnswer]


class SealedEntryAnswer(BaseModel):
    entry: int
    at: datetime
    kind: str
    digest: str


class SealedEntryList(BaseModel):
    items: list[SealedEntryAnswer]
    next_cursor: str | None


class ProofAnswer(BaseModel):
    entry: int
    size: int
    leaf: str
    path: list[str]
    line: str
    checkpoint: CheckpointAnswer


class CoveredAnswer(BaseModel):
    table: str
    key: str
    columns: list[str]


class CoverageList(BaseModel):
    items: list[CoveredAnswer]
    next_cursor: None


class SealAnswer(BaseModel):
    sealed: int
    checkpoint: CheckpointAnswer | None
    problems: list[str]


def _shown(connection: Transaction, found: StoredCheckpoint) -> dict[str, object]:
    return {
        "note": found.note,
        "origin": read_origin(connection),
        "size": found.size,
        "root": found.root.hex(),
        "key_id": found.key_id,
        "attestations": [_attestation(one) for one in read_attestations(connection)],
    }


def _attestation(one: Attestation) -> dict[str, object]:
    return {
        "kind": one.kind.value,
        "name": one.name,
        "size": one.size,
        "at": one.attested_at.astimezone(SHANGHAI),
        "content": base64.b64encode(one.content).decode(),
        "note": one.note,
    }


@router.get("/checkpoint", response_model=None, responses={200: {"model": CheckpointAnswer}})
def checkpoint(connection: Transaction, _actor: Reader) -> Response:
    """Show the newest checkpoint, signed; 404 before the first."""
    return json_response(_shown(connection, present_checkpoint(connection)))


@router.get("/entries", response_model=None, responses={200: {"model": SealedEntryList}})
def entries(
    *,
    connection: Transaction,
    _actor: Reader,
    from_edge: Annotated[Edge | None, Query(alias="from")] = None,
    to_edge: Annotated[Edge | None, Query(alias="to")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List sealed entries in the order of their numbers, from and to included: days of recording, or numbers."""
    query = {"list": "ledger", "from": from_edge, "to": to_edge}
    begun = read_cursor(query, cursor)
    span = _span(connection, from_edge, to_edge, begun)
    found = list_entries(connection, span, limit=limit + 1)
    names = [f"{one.entry} {span.end}" for one in found]
    return json_response(page([_listed(one) for one in found], limit=limit, query=query, names=names))


def _listed(one: SealedEntry) -> dict[str, object]:
    return {
        "entry": one.entry,
        "at": one.at.astimezone(SHANGHAI),
        "kind": one.kind,
        "digest": one.leaf.hex(),
    }


def _span(connection: Transaction, from_edge: str | None, to_edge: str | None, begun: str | None) -> EntrySpan:
    """Return which entries are asked for; the cursor has the end, which is looked for only once."""
    try:
        if begun is None:
            return span_between(connection, from_edge, to_edge)
        _, from_at = read_edge("from", from_edge)
        _, to_at = read_edge("to", to_edge)
    except LedgerEdgeError as error:
        raise input_error(error.name, error.message) from error
    last, stop = _read_place(begun)
    return EntrySpan(last + 1, stop, from_at, None if to_at is None else to_at + timedelta(days=1))


def _read_place(begun: str) -> tuple[int, int]:
    shape = re.fullmatch(r"(\d{1,18}) (\d{1,19})", begun, re.ASCII)
    if shape is None:
        raise not_a_cursor()
    return int(shape[1]), min(int(shape[2]), MOST)


@router.get("/proof", response_model=None, responses={200: {"model": ProofAnswer}})
def proof(entry: EntryNumber, connection: Transaction, _actor: Reader) -> Response:
    """Prove that an entry is in the tree of the newest checkpoint (RFC 9162 2.1.3); 404 if it is not."""
    newest = present_checkpoint(connection)
    if entry >= newest.size:
        raise UnknownLedgerEntryError(f"the ledger has no sealed entry {entry}; the last is {newest.size - 1}")
    line, leaf = read_line(connection, entry)
    path = inclusion_path(connection, entry, newest.size)
    found = {
        "entry": entry,
        "size": newest.size,
        "leaf": leaf.hex(),
        "path": [one.hex() for one in path],
        "line": line.decode(),
        "checkpoint": _shown(connection, newest),
    }
    return json_response(found)


@router.get("/coverage", response_model=None, responses={200: {"model": CoverageList}})
def coverage(connection: Transaction, _actor: Reader) -> Response:
    """List the tables and columns of which each change is visible to verification."""
    items = [
        {"table": one.table, "key": "/".join(one.key_columns), "columns": list(one.columns)}
        for one in covered_tables(connection)
    ]
    return json_response({"items": items, "next_cursor": None})


class BundleFile(StreamingResponse):
    media_type = "application/zip"


@router.get("/bundle", response_class=BundleFile)
def bundle(
    *,
    state: State,
    now: Now,
    actor: Reader,
    from_edge: Annotated[Edge | None, Query(alias="from")] = None,
    to_edge: Annotated[Edge | None, Query(alias="to")] = None,
) -> BundleFile:
    """Send one file with which anybody can check these entries, from and to included, and their rows as they are now.

    What waits is sealed first. The rows are sent in full. Who took them is noted. 404 if nothing could ever be sealed.
    """
    seal_if_possible(state.ledger)
    # The file loses its name at once: whatever becomes of this process, no copy of the rows is left behind.
    with tempfile.TemporaryDirectory(dir=state.settings.data_dir) as directory:
        path = Path(directory) / "bundle.zip"
        edges = (from_edge, to_edge)
        data_dir = state.settings.data_dir
        try:
            written = export_bundle(state.engine, path, edges=edges, data_dir=data_dir, person=actor.owner, now=now)
        except LedgerEdgeError as error:
            raise input_error(error.name, error.message) from error
        size, file = path.stat().st_size, path.open("rb")
    name = f"ledger-{written.begin}-{written.end}.zip"
    headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="{name}"'}
    return BundleFile(_chunks(file), headers=headers)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk


@router.post("/seal", response_model=None, responses={200: {"model": SealAnswer}})
def seal_now(state: State, _actor: Admin) -> Response:
    """Seal what waits, at once; what another sealer has in hand stays with it."""
    done = seal_waiting(state.ledger)
    problems = [done.contradiction.detail] if done.contradiction is not None else []
    with state.engine.connect() as connection:
        shown = None if done.checkpoint is None else _shown(connection, done.checkpoint)
    return json_response({"sealed": done.entries, "checkpoint": shown, "problems": problems})
