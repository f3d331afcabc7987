"""Evidence about a recording as one file, for a regulator, a court or a complainant (arts. 35, 42).

Whoever takes it is noted, in the transaction that is committed before the first byte is sent. The audio is proven
before that: it is read into a file of our own and hashed, from whichever copy is good. No transaction is open and no
place among the requests at work is held while bytes flow.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from compliance.audit import note
from compliance.shanghai import SHANGHAI
from infra.zip_stream import ZipFiles, zip_pieces
from recordings.accesses import Listener, ListeningPurpose, note_access
from recordings.copies import find_source
from recordings.copy_bytes import Look
from recordings.copy_rows import CopyName, CopyRow, Keeping, Kept, add_event, read_kept
from recordings.evidence import Wish, audio_name, gather, is_lost, whole_evidence
from recordings.recording_rows import read_recording
from recordings.stored_audio import AudioUnavailableError
from services.archive_places import keeping_in
from services.dependencies import State, requires
from services.problems import ForbiddenError
from services.sealing import seal_if_possible
from services.state import AppState
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/recordings", tags=["Recordings"])

Reader = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]
For = Annotated[ListeningPurpose, Query(description="What it is taken for; each taking is noted with it.")]
Unmask = Annotated[bool, Query(description="Officers only, and noted: numbers whole instead of masked.")]
UNMASKED = "evidence_unmasked"


class EvidenceFile(StreamingResponse):
    media_type = "application/zip"


@router.get("/{recording_id}/evidence.zip", response_class=EvidenceFile)
def evidence(
    *, recording_id: UUID, request: Request, state: State, actor: Reader, purpose: For, unmask: Unmask = False
) -> EvidenceFile:
    """Send everything that is known of a recording, with the sums of all files and how to check them.

    The audio is proven just before. Where no copy has it, or the recording was disposed of, it is not among the files,
    and these say why. 503 when a store that may have it cannot be asked.
    """
    if unmask and actor.role is not Role.OFFICER:
        raise ForbiddenError(f"The role {actor.role} may not see whole numbers. Roles that may: officer.")
    wish = Wish(person=actor.owner, role=actor.role, purpose=purpose, is_unmasked=unmask)
    address = request.client.host if request.client is not None else None
    kept = _note(state, recording_id, wish, Listener(actor.owner, actor.role, address))
    seal_if_possible(state.ledger)
    keeping = keeping_in(state.places, state.engine, state.clock)
    with ExitStack() as opened:
        file = opened.enter_context(_unnamed_file(keeping))
        source, looks = _prove_audio(keeping, kept, file)
        with state.engine.begin() as connection:
            files = gather(connection, recording_id, wish, looks, now=state.clock())
            container = read_recording(connection, recording_id).container
        opened.pop_all()  # whoever sends it closes it
    audio = None if source is None else (audio_name(container, recording_id), file, kept.sha256)
    headers = {"Content-Disposition": f'attachment; filename="evidence-{recording_id}.zip"'}
    return EvidenceFile(_flow(file, whole_evidence(files, audio), dated=state.clock()), headers=headers)


def _note(state: AppState, recording_id: UUID, wish: Wish, listener: Listener) -> Kept:
    """Note who takes evidence, committed when this returns."""
    now = state.clock()
    details = {"purpose": wish.purpose, "unmasked": wish.is_unmasked}
    with state.engine.begin() as connection:
        kept = read_kept(connection, recording_id)
        note_access(connection, recording_id, ListeningPurpose(wish.purpose), listener, now=now)
        add_event(connection, recording_id, "evidence_taken", details, person=wish.person, now=now)
        if wish.is_unmasked:
            subject = str(recording_id)
            note(connection, kind=UNMASKED, subject=subject, details=details, person=wish.person, now=now)
    return kept


def _unnamed_file(keeping: Keeping) -> IO[bytes]:
    """Return a file without a name: whatever becomes of this process, no audio is left behind."""
    keeping.staging.mkdir(mode=0o700, parents=True, exist_ok=True)
    return TemporaryFile(dir=keeping.staging)


def _prove_audio(keeping: Keeping, kept: Kept, file: IO[bytes]) -> tuple[CopyRow | None, dict[CopyName, Look]]:
    """Return the copy whose bytes are in `file`, proven, and what was found of each copy asked.

    Raises:
        AudioUnavailableError: no copy has shown it, and a store that may have it cannot be asked.
    """
    if kept.disposed_at is not None:
        return None, {}
    source, looks = find_source(keeping, kept, file)
    if source is None and not is_lost(looks):
        msg = "no store that has this audio can be read now, and evidence without it would be wrong; try again"
        raise AudioUnavailableError(msg)
    return source, looks


def _flow(file: IO[bytes], files: ZipFiles, *, dated: datetime) -> Iterator[bytes]:
    with file:
        yield from zip_pieces(files, dated=dated.astimezone(SHANGHAI))
