"""Seeds and what binds us to them: a day's commitment is published before the day begins, its seed after it is drawn.

A seed is opened in one place, and there only for a day that is over and whose frames the caller has frozen in the same
transaction. From then on it is public.
"""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from compliance.shanghai import midnight, shanghai_day
from infra.advisory_locks import AdvisoryLock, hold
from qa_sampling.draw import SEED_BYTES
from qa_sampling.seed_vault import SealedSeedError, SeedKeyError, SeedVault
from qa_sampling.tables import draw_seeds, seed_commitments

DAYS_AHEAD = 7
"""For so many days after today a commitment stands; so long may whoever publishes them be away."""


class DayNotOverError(ValueError):
    """The day whose sales are to be drawn has not ended in Shanghai."""


class LostSeedError(RuntimeError):
    """The seed that a day's commitment is about cannot be had; the message says why and what to do."""


class Commitment(NamedTuple):
    """A day's commitment; seed, public number and instant are None until the day is drawn."""

    day: date
    seed_commitment: bytes
    published_at: datetime
    seed: bytes | None
    public_number: str | None
    revealed_at: datetime | None

    @property
    def is_before_its_day(self) -> bool:
        return self.published_at < midnight(self.day)


_columns = seed_commitments.c


def commitment_of(seed: bytes) -> bytes:
    """Return what is published of a seed while it is secret: SHA-256 over its 32 bytes."""
    return hashlib.sha256(seed).digest()


def publish_commitments(connection: Connection, vault: SeedVault, *, now: datetime) -> list[date]:
    """Publish a commitment for each of the next days that has none, and return these days.

    Raises:
        SeedKeyError: the seeds could not be kept secret; nothing is published.
    """
    today = shanghai_day(now)
    wanted = [today + timedelta(days=ahead) for ahead in range(1, DAYS_AHEAD + 1)]
    hold(connection, AdvisoryLock.SEEDS)
    known = set(connection.execute(select(_columns.day).where(_columns.day.in_(wanted))).scalars())
    fresh = [day for day in wanted if day not in known]
    for day in fresh:
        seed = vault.new_seed(SEED_BYTES)
        row = {"day": day, "seed_commitment": commitment_of(seed), "published_at": now}
        connection.execute(insert(seed_commitments).values(row))
        connection.execute(insert(draw_seeds).values(day=day, sealed_seed=vault.seal(day, seed)))
    return fresh


def read_commitment(connection: Connection, day: date) -> Commitment | None:
    """Return the commitment of a day, None if it has none."""
    found = read_commitments(connection, from_day=day, to_day=day)
    return found[0] if found else None


def read_commitments(connection: Connection, *, from_day: date, to_day: date) -> list[Commitment]:
    """Return the commitments of these days, both included, the latest day first."""
    chosen = select(*(_columns[name] for name in Commitment._fields)).where(_columns.day.between(from_day, to_day))
    return [Commitment(*row) for row in connection.execute(chosen.order_by(_columns.day.desc()))]


def reveal_seed(
    connection: Connection,
    vault: SeedVault,
    commitment: Commitment,
    frames: Sequence[bytes],
    *,
    public_number: str,
    now: datetime,
) -> bytes:
    """Open the seed of a day that is over and whose frames are frozen, and make it public with the public number.

    The caller holds the day alone, and stores these frames in the same transaction.

    Raises:
        DayNotOverError: the day is not over, or nothing is frozen.
        LostSeedError: the seed cannot be opened, or is not the one committed to; nothing is revealed.
    """
    day = commitment.day
    if now < midnight(day + timedelta(days=1)) or not frames:
        raise DayNotOverError(f"the seed of {day} stays secret until that day is over and its frames are frozen")
    sealed = connection.execute(select(draw_seeds.c.sealed_seed).where(draw_seeds.c.day == day)).scalar_one_or_none()
    if sealed is None:
        raise LostSeedError(f"no sealed seed of {day} is stored any more, though its commitment is")
    try:
        seed = vault.open(day, sealed)
    except (SeedKeyError, SealedSeedError) as error:
        raise LostSeedError(str(error)) from error
    if commitment_of(seed) != commitment.seed_commitment:
        raise LostSeedError(f"the seed stored for {day} is not the one committed to")
    revealed = {"seed": seed, "public_number": public_number, "revealed_at": now}
    connection.execute(update(seed_commitments).where(_columns.day == day).values(revealed))
    return seed
