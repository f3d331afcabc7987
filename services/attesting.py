"""Who attests the ledger's checkpoints, by the settings, and asking them by the worker's clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.x509 import load_pem_x509_certificates
from sqlalchemy.exc import SQLAlchemyError

from compliance.cosignatures import read_witness_key
from compliance.ledger_attestations import AttestationKind
from compliance.ledger_runs import Ledger
from compliance.ledger_timestamps import TimestampAuthority, stamp_newest
from compliance.ledger_witness import Witness, show_to_witness
from compliance.signed_notes import NoteError
from infra.logs import logger
from infra.settings import Settings

ATTEST = "telesales.attest"
ATTEST_EVERY_SECONDS = 60.0

log = logger(__name__)


class AttesterSettingsError(ValueError):
    """What the settings say of a witness or a time stamp authority cannot be used; the start stops."""


@dataclass(frozen=True, slots=True)
class Attesters:
    """Who is asked to attest; None: nobody."""

    witness: Witness | None = None
    authority: TimestampAuthority | None = None


NOBODY = Attesters()


def attester_names(settings: Settings) -> Mapping[AttestationKind, str]:
    """Return under which name each configured attester's attestations are kept."""
    found = {}
    if settings.witness_key is not None:
        found[AttestationKind.WITNESS] = settings.witness_key.partition("+")[0]
    if settings.timestamp_url is not None:
        found[AttestationKind.TIMESTAMP] = urlsplit(settings.timestamp_url).hostname or ""
    return found


def read_attesters(settings: Settings) -> Attesters:
    """Return who is to be asked.

    Raises:
        AttesterSettingsError: naming the variable and what it should be.
    """
    names = attester_names(settings)
    witness, authority = None, None
    if settings.witness_url is not None and settings.witness_key is not None:
        try:
            witness = Witness(settings.witness_url, read_witness_key(settings.witness_key))
        except NoteError as error:
            raise AttesterSettingsError(f"WITNESS_KEY cannot be used: {error}. Copy it from the witness.") from error
    if settings.timestamp_url is not None:
        authority = _authority(settings, settings.timestamp_url, names[AttestationKind.TIMESTAMP])
    return Attesters(witness, authority)


def _authority(settings: Settings, url: str, name: str) -> TimestampAuthority | None:
    path = settings.timestamp_roots
    if path is None:
        return None  # the settings have both or none
    try:
        return TimestampAuthority(name, url, tuple(load_pem_x509_certificates(path.read_bytes())))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no certificates in PEM, or a broken one"
        raise AttesterSettingsError(
            f"TIMESTAMP_ROOTS {path} cannot be used: {reason}. Name a file with the authority's root certificates."
        ) from error


def attest_if_possible(ledger: Ledger, attesters: Attesters) -> None:
    """Have the newest checkpoint attested, in at most about ten seconds. What stands in the way is logged."""
    witness, authority = attesters.witness, attesters.authority
    if witness is not None:
        _attempt(AttestationKind.WITNESS, lambda: show_to_witness(ledger.engine, witness, clock=ledger.clock))
    if authority is not None:
        _attempt(AttestationKind.TIMESTAMP, lambda: stamp_newest(ledger.engine, authority, clock=ledger.clock))


def _attempt(kind: AttestationKind, ask: Callable[[], object]) -> None:
    try:
        ask()
    except SQLAlchemyError as error:
        log.warning("ledger_not_attested", kind=kind.value, error=type(error).__name__)
    except Exception:
        # Whatever it is, the other attester has no part in it.
        log.exception("ledger_not_attested", kind=kind.value)
