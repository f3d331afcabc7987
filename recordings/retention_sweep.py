"""Finds recordings that did not follow what changed around them, and raises dates to a stricter policy (art. 35).

A sale brings its recordings along in its own transaction, and a recording looks at its sales when it is stored. The
sweep is for what slipped between: a recording that names what became known later, one that waits for a store that no
longer locks it. The raise is a job, queued by a policy that keeps longer: dates are raised, never lowered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from compliance.policy import RetentionYears
from compliance.policy_store import policy_by_digest, policy_for_blocks
from infra.ids import new_id
from infra.jobs import JobResult, RunningJob, create_job, note_progress, read_job
from recordings.removal import find_unlocked
from recordings.retention import refresh

JOB_KIND = "raise_retention"
CHUNK_RECORDINGS = 500
"""Recordings brought along in one transaction; a sale of one of them may wait for it."""

_BEFORE_ALL = UUID(int=0)

_STRAGGLERS = text("""
    SELECT r.recording_id FROM recordings r
     WHERE r.disposed_at IS NULL AND (
             (r.retention_basis = 'unknown_sale' AND (
               r.policy_no IS NULL OR EXISTS (SELECT FROM sales s WHERE s.policy_no = r.policy_no)))
          OR (r.retention_basis = 'company' AND EXISTS (SELECT FROM sale_calls c WHERE c.call_id = r.call_id))
          OR (NOT r.is_held AND EXISTS (
               SELECT FROM sales s WHERE s.policy_no = r.policy_no AND s.ended_on IS NULL))
          OR (NOT r.is_held AND EXISTS (
               SELECT FROM sale_calls c JOIN sales s ON s.policy_no = c.policy_no
                WHERE c.call_id = r.call_id AND s.ended_on IS NULL)))
     ORDER BY r.recording_id LIMIT :most""")

_DATED = "r.disposed_at IS NULL AND r.keep_through IS NOT NULL AND r.recording_id > :after"
_NEXT_DATED = text(f"SELECT r.recording_id FROM recordings r WHERE {_DATED} ORDER BY 1 LIMIT :most")  # noqa: S608 - constants only
_COUNT_DATED = text(f"SELECT count(*) FROM recordings r WHERE {_DATED}")  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True)
class _Standing:
    """How far a job is: the last recording that it looked at, how many it looked at, and how many it raised."""

    after: UUID = _BEFORE_ALL
    seen: int = 0
    raised: int = 0

    def stored(self) -> dict[str, object]:
        return {"after": str(self.after), "seen": self.seen, "raised": self.raised}


def sweep_retention(connection: Connection, *, now: datetime) -> int:
    """Bring along recordings that stayed behind, and make due what a store no longer locks; return how many changed.

    A part of them at most, so that the transaction is short: the next sweep goes on.
    """
    unlocked = find_unlocked(connection, now=now)
    behind = list(connection.execute(_STRAGGLERS, {"most": CHUNK_RECORDINGS}).scalars())
    if not behind:
        return unlocked
    policy = policy_for_blocks(connection, now=now)
    return unlocked + len(refresh(connection, behind, policy=policy, now=now))


def is_stricter(years: RetentionYears, before: RetentionYears) -> bool:
    """Say whether by `years` some recording is kept longer than by `before`."""
    names = RetentionYears.__dataclass_fields__
    return any(getattr(years, name) > getattr(before, name) for name in names)


def order_raise(connection: Connection, *, policy_digest: str, actor: str, now: datetime) -> UUID:
    """Queue the raise of all dates in the transaction that puts a policy in force; return the job.

    It may be watched by officers. Wake a worker after the commit, or leave it to the sweep.
    """
    job_id = new_id()
    create_job(
        connection,
        job_id=job_id,
        kind=JOB_KIND,
        role="officer",
        actor=actor,
        parameters={"policy_digest": policy_digest},
        now=now,
    )
    return job_id


def run_raise_job(running: RunningJob) -> JobResult:
    """Run the job that `order_raise` queued: a transaction for each chunk, each with how far the job is.

    Dates are raised to the policy that ordered it, also where a looser one has come into force since: what was kept
    longer under it stays so. Twice, or beside another, it does no harm.

    Raises:
        LostJobError: another worker has taken the job over.
    """
    standing = _standing_of(running.progress)
    with running.engine.begin() as connection:
        job = read_job(connection, running.job_id)
        policy = policy_by_digest(connection, running.parameters["policy_digest"], used_at=running.clock())
        total = standing.seen + connection.execute(_COUNT_DATED, {"after": standing.after}).scalar_one()
    while True:
        now = running.clock()
        with running.engine.begin() as connection:
            values = {"after": standing.after, "most": CHUNK_RECORDINGS}
            chunk = list(connection.execute(_NEXT_DATED, values).scalars())
            if not chunk:
                return JobResult({"raised": standing.raised, **running.parameters})
            raised = refresh(connection, chunk, policy=policy, now=now)
            standing = _Standing(chunk[-1], standing.seen + len(chunk), standing.raised + len(raised))
            done = standing.seen
            note_progress(connection, job, done=done, total=max(total, done), progress=standing.stored(), now=now)


def _standing_of(progress: Mapping[str, Any] | None) -> _Standing:
    return _Standing() if progress is None else _Standing(UUID(progress["after"]), progress["seen"], progress["raised"])
