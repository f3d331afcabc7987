"""What waits to be sealed, written straight into the ledger's tables, and a key to seal it with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, text

from compliance.ledger_reading import read_lines, read_origin
from compliance.ledger_sealer import Sealed, seal
from compliance.merkle import Frontier, leaf_hash
from compliance.signed_notes import VerifierKey, sign, verifier_key
from tests.conftest import NOON

_ENTRIES = text("""
    INSERT INTO ledger_entries (recorded_at, kind, keys, digests, salts)
    SELECT :at, 'incidents.insert', ARRAY[gen_random_uuid()::text], sha256(n::text::bytea), uuid_send(gen_random_uuid())
      FROM generate_series(1, :count) n""")
_CHECKS = text("""
    INSERT INTO call_checks (check_id, actor, purpose, phone_digits, call, side_digest, callee_facts, policy_digest,
                             verdict, reasons, checked_at)
    SELECT gen_random_uuid(), 'dialer', 'sales', 8613800138000, '{}', '\\x00', '{}', 'sha256:0', 'deny', '[]', :at
      FROM generate_series(1, :count)""")
_COVER_CHECKS = text("""
    INSERT INTO ledger_coverage (table_name, version, key_columns, columns, hides_key, mode)
    VALUES ('call_checks', 100, '{check_id}', '{check_id,actor,verdict,checked_at}', false, 'ranges')""")
_WRITTEN_IN = text("""
    ALTER TABLE call_checks
      ADD COLUMN IF NOT EXISTS written_in bigint DEFAULT pg_current_xact_id()::text::bigint""")


@dataclass(frozen=True, slots=True)
class OneKey:
    """Signs with one key that lies nowhere."""

    origin: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> VerifierKey:
        return verifier_key(self.origin, self.private)

    @property
    def key_id(self) -> str:
        return self.verifier.key_id

    @property
    def since(self) -> datetime:
        return NOON - timedelta(days=365)

    def sign(self, words: str, *, at: datetime) -> str:  # noqa: ARG002 - its key signs at any time
        return sign(words, self.origin, self.private)


def one_key(connection: Connection) -> OneKey:
    return OneKey(read_origin(connection), Ed25519PrivateKey.generate())


def write_entries(connection: Connection, count: int, *, at: datetime = NOON) -> None:
    """Let `count` entries of one row each wait."""
    connection.execute(_ENTRIES, {"count": count, "at": at})


def write_checks(connection: Connection, count: int, *, at: datetime = NOON) -> None:
    connection.execute(_CHECKS, {"count": count, "at": at})


def cover_checks(connection: Connection) -> None:
    """Have call checks covered."""
    connection.execute(_WRITTEN_IN)
    connection.execute(_COVER_CHECKS)


def seal_all(engine: Engine, key: OneKey, *, clock: Callable[[], datetime] = lambda: NOON) -> list[Sealed]:
    """Seal until nothing waits, a transaction at a time."""
    found: list[Sealed] = []
    while True:
        with engine.begin() as connection:
            one = seal(connection, signer=key, now=clock(), position=found[-1].rest if found else None)
        if one is None:
            return found
        found.append(one)
        if one.rest is None:
            return found


def root_of_lines(connection: Connection, size: int) -> bytes:
    """Return the root over the lines themselves."""
    tree = Frontier()
    for number, line in read_lines(connection, 0, size):
        assert number == tree.size
        tree.append(leaf_hash(line))
    return tree.root()
