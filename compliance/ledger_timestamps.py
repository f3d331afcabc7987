"""Has the newest checkpoint stamped with the time by an authority (RFC 3161), at most once an hour.

A time stamp says that the bytes of the note existed at its instant, whoever signs for the ledger later. The authority
is somebody else's: that it is away, refuses or lies stops nothing here. Nothing is asked while a connection is held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from cryptography.x509 import Certificate
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)
from sqlalchemy import Engine

from compliance.ledger_alarms import open_once
from compliance.ledger_attestations import Attestation, AttestationKind, last_attested, record_attestation
from compliance.ledger_reading import latest_checkpoint
from infra.logs import logger
from infra.web_request import WebRequestError, post

INCIDENT = "ledger_timestamp"
EVERY = timedelta(hours=1)
ANSWER_WITHIN_S = 4.0

_MOST_BYTES = 256 * 1024
_CONTENT_TYPE = "application/timestamp-query"

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """Where time stamps are made, under which name they are kept, and the roots that vouch for whoever signs them."""

    name: str
    url: str
    roots: tuple[Certificate, ...]


class AuthorityAwayError(RuntimeError):
    """The authority stamps nothing now; it is asked again the next time."""


class TimestampError(ValueError):
    """The authority lies: what it sent is no time stamp of what was asked, or not by whom the roots vouch for."""


def stamp_newest(engine: Engine, authority: TimestampAuthority, *, clock: Callable[[], datetime]) -> Attestation | None:
    """Have the newest checkpoint stamped if it is time; return the attestation, None if there is no new one.

    Whatever the authority does is logged and told here, and no error.
    """
    with engine.connect() as connection:
        newest = latest_checkpoint(connection)
        last = last_attested(connection, AttestationKind.TIMESTAMP, authority.name)
    if newest is None or not _is_due(last, newest.size, now=clock()):
        return None
    try:
        content, at = _stamped(authority, newest.note.encode())
    except AuthorityAwayError as error:
        log.warning("ledger_timestamp_away", authority=authority.name, detail=str(error))
        return None
    except TimestampError as error:
        log.error(INCIDENT, authority=authority.name, detail=str(error))  # noqa: TRY400 - says all
        details = {"authority": authority.name, "detail": str(error), "size": newest.size}
        with engine.begin() as connection:
            open_once(connection, INCIDENT, details, same="authority", now=clock())
        return None
    found = Attestation(
        kind=AttestationKind.TIMESTAMP,
        name=authority.name,
        size=newest.size,
        note=newest.note,
        content=content,
        attested_at=at,
        recorded_at=clock(),
    )
    with engine.begin() as connection:
        record_attestation(connection, found)
    log.info("ledger_timestamped", authority=authority.name, size=newest.size)
    return found


def _is_due(last: tuple[int, datetime] | None, size: int, *, now: datetime) -> bool:
    """Tell whether there is a newer checkpoint and the last stamp is old; a clock set back makes it so, too."""
    if last is None:
        return True
    stamped_size, recorded_at = last
    return stamped_size != size and not timedelta() <= now - recorded_at < EVERY


def _stamped(authority: TimestampAuthority, note: bytes) -> tuple[bytes, datetime]:
    """Return the DER of a verified response over `note`, and the instant that it states."""
    # The nonce is the library's, 64 bits of the system's chance: it takes none from outside.
    request = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        answer = post(
            authority.url,
            request.as_bytes(),
            content_type=_CONTENT_TYPE,
            within_s=ANSWER_WITHIN_S,
            most_bytes=_MOST_BYTES,
        )
    except WebRequestError as error:
        raise AuthorityAwayError(str(error)) from error
    if answer.status != HTTPStatus.OK:
        raise AuthorityAwayError(f"it answered with status {answer.status}")
    try:
        response = decode_timestamp_response(answer.content)
    except ValueError as error:
        raise TimestampError("the answer is no response of a time stamp authority") from error
    if response.status != PKIStatus.GRANTED:
        raise AuthorityAwayError(f"it refuses to stamp (PKI status {response.status})")
    return answer.content, _verified(response, request, authority.roots, note)


def _verified(
    response: TimeStampResponse, request: TimeStampRequest, roots: Sequence[Certificate], note: bytes
) -> datetime:
    """Check nonce, digest, signature and chain; return the instant, as of which the certificates are judged."""
    builder = VerifierBuilder(nonce=request.nonce, roots=list(roots))
    try:
        builder.build().verify_message(response, note)  # raises or is True
        at = response.tst_info.gen_time
    except (VerificationError, ValueError) as error:
        # The first words say what is wrong; what follows is OpenSSL's account of where.
        raise TimestampError(f"the time stamp is wrong: {str(error).partition(': ErrorStack')[0]}") from error
    return at
