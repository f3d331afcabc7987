"""PostgreSQL's advisory locks: all that there are, and how one is taken.

A lock of a transaction is released at its end and by nothing else. A key is a number of one's own here, a number
with a part of what it locks, or made of a name by `lock_key`; keys of the three kinds never meet, but for a name that
comes to a number by chance.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from sqlalchemy import Connection, Engine, text


class AdvisoryLock(IntEnum):
    """What is locked by number. A number stays what it is: processes before and after an update run side by side."""

    MIGRATIONS = 7_346_201
    BROKER_TABLES = 7_346_202
    SEALING = 7_346_203
    DEMO = 7_346_204
    POLICY = 7_346_205
    """Shared by who writes blocks by the policy in force, held alone by who puts another in force."""
    SPOOL = 7_346_207
    LEDGER_ALARMS = 7_346_211
    COMPLETENESS = 7_346_231
    FIXITY_FIGURES = 7_346_232
    SCORECARDS = 7_346_233
    SEEDS = 7_346_240
    REPLACEMENTS = 7_346_243
    SHORTFALLS = 7_346_244
    RISK_SALES = 7_346_245


class PartLock(IntEnum):
    """What is locked by number and part: a name, or a number itself. These numbers stay what they are, too."""

    CALLEES = 7_346_202
    RECORDING_LINKS = 7_346_206
    DRAW_FRAMES = 7_346_241
    LATE_SALES = 7_346_242
    LISTENING_REPORTS = 7_346_301


_HOLD = text("SELECT pg_advisory_xact_lock(:key)")
_HOLD_IF_FREE = text("SELECT pg_try_advisory_xact_lock(:key)")
_SHARE = text("SELECT pg_advisory_xact_lock_shared(:key)")
_HOLD_NAMED = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:part))")
_HOLD_NUMBERED = text("SELECT pg_advisory_xact_lock(:lock, :part)")
_SHARE_NUMBERED = text("SELECT pg_advisory_xact_lock_shared(:lock, :part)")
_TAKE_IF_FREE = text("SELECT pg_try_advisory_lock(:key)")
_GIVE_BACK = text("SELECT pg_advisory_unlock(:key)")


def lock_key(name: bytes) -> int:
    """Return the key of the advisory lock of this name.

    Two names share one by chance alone, and wait for each other then.
    """
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), signed=True)


def hold(connection: Connection, key: int) -> None:
    """Wait for a lock, and hold it until the transaction ends. The next statement sees what was waited for."""
    connection.execute(_HOLD, {"key": key})


def hold_if_free(connection: Connection, key: int) -> bool:
    """Hold a lock until the transaction ends if nobody else has it now, and say whether."""
    is_mine: bool = connection.execute(_HOLD_IF_FREE, {"key": key}).scalar_one()
    return is_mine


def share(connection: Connection, key: int) -> None:
    """Wait for who holds a lock alone, and keep others from that until the transaction ends."""
    connection.execute(_SHARE, {"key": key})


def hold_part(connection: Connection, lock: PartLock, part: str | int) -> None:
    """Wait for one part of a lock, and hold it until the transaction ends. Names share one by chance alone."""
    connection.execute(_HOLD_NAMED if isinstance(part, str) else _HOLD_NUMBERED, {"lock": lock, "part": part})


def share_part(connection: Connection, lock: PartLock, part: int) -> None:
    """Wait for who holds one part alone, and keep others from that until the transaction ends."""
    connection.execute(_SHARE_NUMBERED, {"lock": lock, "part": part})


@contextmanager
def held_if_free(engine: Engine, key: int) -> Iterator[bool]:
    """Hold a lock by a connection of its own and no transaction if nobody else has it now, and say whether."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_mine: bool = connection.execute(_TAKE_IF_FREE, {"key": key}).scalar_one()
        try:
            yield is_mine
        finally:
            if is_mine:
                connection.execute(_GIVE_BACK, {"key": key})
