"""Shows the newest checkpoint to a witness, and keeps its cosignature.

A witness signs a checkpoint only with the proof that it continues what it signed before, so that nobody who trusts the
witness can be shown a second history. It is somebody else's: that it is away, or lies, stops nothing here. Only when it
contradicts us, or answers what no witness may, does an incident say so. Nothing is asked while a connection is held.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus

from sqlalchemy import Engine

from compliance.cosignatures import add_checkpoint_request, read_cosignature, read_known_size
from compliance.ledger_alarms import open_once
from compliance.ledger_attestations import Attestation, AttestationKind, last_attested, record_attestation
from compliance.ledger_reading import StoredCheckpoint, latest_checkpoint
from compliance.ledger_tree import consistency_path, root_at
from compliance.merkle import check_consistency
from compliance.signed_notes import NoteError, VerifierKey
from infra.logs import logger
from infra.web_request import WebAnswer, WebRequestError, post

INCIDENT = "ledger_witness"
ANSWER_WITHIN_S = 3.0
"""For each of at most two requests."""

_MOST_BYTES = 64 * 1024

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Witness:
    """Where a witness is asked (the submission prefix of tlog-witness), and the key it signs with."""

    url: str
    key: VerifierKey


class WitnessFault(StrEnum):
    """What is wrong with a witness, or with us, in its eyes."""

    BAD_ANSWER = "bad_answer"
    """It lies: what it sent is no cosignature of this checkpoint by its key, or nothing that a witness may answer."""
    LARGER_TREE = "larger_tree"
    """It says that it signed more than our ledger has: we were rolled back, or it lies."""
    ANOTHER_HISTORY = "another_history"
    """It refuses a proof that is good: what it signed before was of another history, or it lies."""


class WitnessAwayError(RuntimeError):
    """The witness gives no cosignature now; it is asked again the next time."""


class WitnessFaultError(ValueError):
    """The witness lies or disagrees."""

    def __init__(self, fault: WitnessFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


def show_to_witness(engine: Engine, witness: Witness, *, clock: Callable[[], datetime]) -> Attestation | None:
    """Have the newest checkpoint cosigned unless it is; return the attestation, None if there is no new one.

    Whatever the witness does is logged and told here, and no error.
    """
    name = witness.key.name
    with engine.connect() as connection:
        newest = latest_checkpoint(connection)
        last = last_attested(connection, AttestationKind.WITNESS, name)
    cosigned = 0 if last is None else last[0]
    if newest is None or newest.size == cosigned:
        return None
    try:
        found = _cosigned(engine, witness, newest, cosigned, clock)
    except WitnessAwayError as error:
        log.warning("ledger_witness_away", witness=name, detail=str(error))
        return None
    except WitnessFaultError as error:
        log.error(INCIDENT, witness=name, fault=error.fault.value, detail=str(error))  # noqa: TRY400 - says all
        details = {"fault": error.fault.value, "witness": name, "detail": str(error), "size": newest.size}
        with engine.begin() as connection:
            open_once(connection, INCIDENT, details, same="fault", now=clock())
        return None
    with engine.begin() as connection:
        record_attestation(connection, found)
    log.info("ledger_witnessed", witness=name, size=found.size)
    return found


def _cosigned(
    engine: Engine, witness: Witness, newest: StoredCheckpoint, cosigned: int, clock: Callable[[], datetime]
) -> Attestation:
    """Ask the witness, once more if it began elsewhere than we thought, and read its cosignature."""
    # If our own tree is smaller than what was cosigned, the witness will say so to whatever it is shown.
    begun = cosigned if cosigned < newest.size else 0
    answer = _show(engine, witness, newest, begun)
    if answer.status == HTTPStatus.CONFLICT:
        begun = _known_size(engine, answer, newest)
        answer = _show(engine, witness, newest, begun)
    match answer.status:
        case HTTPStatus.OK:
            return _read(witness, newest, answer, now=clock())
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            raise _another_history(newest, begun)
        case HTTPStatus.CONFLICT:
            if _is_elsewhere(answer, begun):
                raise WitnessAwayError("it went on while it was asked: another process asks it, too")
            raise _another_history(newest, begun)
        case HTTPStatus.FORBIDDEN:
            raise WitnessAwayError("it does not know our key (403): give it the verifier key of the ledger")
        case HTTPStatus.NOT_FOUND:
            raise WitnessAwayError(
                "it does not know our ledger (404): give it the verifier key, or correct WITNESS_URL"
            )
        case status:
            raise WitnessAwayError(f"it answered with status {status}")


def _show(engine: Engine, witness: Witness, newest: StoredCheckpoint, begun: int) -> WebAnswer:
    """Send the checkpoint with the proof that it continues the tree of `begun` entries."""
    body = add_checkpoint_request(begun, _proof(engine, newest, begun), newest.note)
    url = f"{witness.url.rstrip('/')}/add-checkpoint"
    try:
        return post(url, body, content_type="text/plain", within_s=ANSWER_WITHIN_S, most_bytes=_MOST_BYTES)
    except WebRequestError as error:
        raise WitnessAwayError(str(error)) from error


def _proof(engine: Engine, newest: StoredCheckpoint, begun: int) -> list[bytes]:
    """Return the proof, which is checked here first: who refuses it then has seen another history.

    Raises:
        ProofError: our own tree is not that of our own checkpoint.
        MissingHashError: it is not whole.
    """
    if begun == 0:
        return []
    with engine.connect() as connection:
        path = consistency_path(connection, begun, newest.size)
        root = root_at(connection, begun)
    check_consistency(begun, newest.size, path, root, newest.root)
    return path


def _known_size(engine: Engine, answer: WebAnswer, newest: StoredCheckpoint) -> int:
    """Return the size that the witness says it knows, which is not more than ours."""
    try:
        known = read_known_size(answer.content)
    except NoteError as error:
        raise WitnessFaultError(WitnessFault.BAD_ANSWER, str(error)) from error
    if known <= newest.size:
        return known
    with engine.connect() as connection:
        present = latest_checkpoint(connection)
    if present is not None and known <= present.size:
        raise WitnessAwayError("it has seen a newer checkpoint by now: another process asks it, too")
    raise WitnessFaultError(
        WitnessFault.LARGER_TREE,
        f"the witness says that it signed {known} entries, and the ledger has {newest.size}: the database is an older"
        " copy, or the witness lies; see 'Witness and time stamps' in docs/ledger.md",
    )


def _is_elsewhere(answer: WebAnswer, begun: int) -> bool:
    try:
        return read_known_size(answer.content) != begun
    except NoteError:
        return False


def _another_history(newest: StoredCheckpoint, begun: int) -> WitnessFaultError:
    return WitnessFaultError(
        WitnessFault.ANOTHER_HISTORY,
        f"the witness refuses the proof from {begun} to {newest.size} entries, which is good: it signed another"
        " history of this ledger before, or lies; see 'Witness and time stamps' in docs/ledger.md",
    )


def _read(witness: Witness, newest: StoredCheckpoint, answer: WebAnswer, *, now: datetime) -> Attestation:
    try:
        cosignature = read_cosignature(newest.note, answer.content, witness.key)
    except NoteError as error:
        raise WitnessFaultError(WitnessFault.BAD_ANSWER, str(error)) from error
    return Attestation(
        kind=AttestationKind.WITNESS,
        name=witness.key.name,
        size=newest.size,
        note=newest.note,
        content=cosignature.line.encode(),
        attested_at=cosignature.at,
        recorded_at=now,
    )
