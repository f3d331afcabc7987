"""Raises the blocks that stand already when a policy with a longer term comes into force (art. 25(2)).

A tightening counts for existing blocks too: each is counted anew from its latest refusal, by the same arithmetic as
`do_not_call.blocked_through`, and takes the later end. A raise is the company's doing and no refusal: the entry keeps
its `refused_at`, its history gets an event of kind `raised`, and the longer end counts from the instant of that event.

Released entries stay as they are; a later refusal makes them bind by the policy of its day. Blocks that have run out
are raised like all others, and bind again if the longer term has not run out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, DATE
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.row_sets import add_rows
from compliance.tables import do_not_call_events
from infra.ids import new_id
from infra.jobs import JobResult, RunningJob, create_job, note_progress, read_job

JOB_KIND = "raise_blocks"
EVENT_KIND = "raised"

CHUNK_ENTRIES = 5_000
"""Entries raised in one transaction. It holds their rows for a quarter of a second, for which a refusal may wait."""

_BEFORE_ALL = UUID(int=0)


class Term(NamedTuple):
    """How many calendar months a block lasts at least, and the digest of the policy that says so."""

    months: int
    policy_digest: str


@dataclass(frozen=True, slots=True)
class _Standing:
    """How far a job is: the last entry that it raised, and how many it raised."""

    after: UUID = _BEFORE_ALL
    raised: int = 0

    def stored(self) -> dict[str, object]:
        return {"after": str(self.after), "raised": self.raised}


# The same day as `do_not_call.blocked_through` gives; a test compares the two for every day of more than a century.
COUNTED_THROUGH = "((e.refused_at AT TIME ZONE 'Asia/Shanghai')::date + make_interval(months => :months))::date"
"""The last blocked day of an entry `e` counted by `:months` from its latest refusal, in SQL."""

_IS_SHORT = f"e.entry_id > :after AND e.released_at IS NULL AND e.blocked_through < {COUNTED_THROUGH}"
_COUNT_SHORT = text(f"SELECT count(*) FROM do_not_call_entries e WHERE {_IS_SHORT}")  # noqa: S608 - constants only


def _lock_short(condition: str) -> TextClause:
    # In the order of ids, like every writer of the list, so that none waits for another in a circle.
    return text(f"""
        SELECT e.entry_id, {COUNTED_THROUGH} AS through FROM do_not_call_entries e
         WHERE {_IS_SHORT} AND {condition} ORDER BY e.entry_id LIMIT :most FOR UPDATE""")  # noqa: S608 - constants only


_LOCK_SHORT = _lock_short("true")
_LOCK_OWN_SHORT = _lock_short("e.changed_in = pg_current_xact_id()::text::bigint")

_RAISE = text("""
    UPDATE do_not_call_entries e
       SET blocked_through = greatest(e.blocked_through, n.through), raised_at = greatest(e.raised_at, :now)
      FROM unnest(:ids, :throughs) AS n (entry_id, through) WHERE e.entry_id = n.entry_id""").bindparams(
    bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))), bindparam("throughs", type_=ARRAY(DATE))
)


def order_raise(connection: Connection, term: Term, *, actor: str, now: datetime) -> UUID:
    """Queue the raise of all blocks to `term` in the transaction that puts its policy in force; return the job.

    It may be watched by officers. Wake a worker after the commit, or leave it to the sweep.
    """
    job_id = new_id()
    create_job(
        connection,
        job_id=job_id,
        kind=JOB_KIND,
        role="officer",
        actor=actor,
        parameters=term._asdict(),
        now=now,
    )
    return job_id


def raise_own_changes(connection: Connection, term: Term, *, person: str, now: datetime) -> int:
    """Raise what the caller's transaction has written by a shorter term; return how many entries.

    For writers that learn of a longer term only when they have written.
    """
    raised, after = 0, _BEFORE_ALL
    while chunk := _raise_chunk(connection, _LOCK_OWN_SHORT, term, after=after, person=person, now=now):
        raised, after = raised + len(chunk), chunk[-1]
    return raised


def run_raise_job(running: RunningJob) -> JobResult:
    """Run the job that `order_raise` queued: a transaction for each chunk, each with how far the job is.

    Twice, or beside another raise, it does no harm: an entry that is long enough is left alone.

    Raises:
        LostJobError: another worker has taken the job over.
    """
    term = Term(**running.parameters)
    standing = _standing_of(running.progress)
    with running.engine.begin() as connection:
        job = read_job(connection, running.job_id)
        values = {"after": standing.after, "months": term.months}
        total = standing.raised + connection.execute(_COUNT_SHORT, values).scalar_one()
    while True:
        now = running.clock()
        with running.engine.begin() as connection:
            chunk = _raise_chunk(connection, _LOCK_SHORT, term, after=standing.after, person=running.actor, now=now)
            if not chunk:
                return JobResult({"raised": standing.raised, **term._asdict()})
            standing = _Standing(chunk[-1], standing.raised + len(chunk))
            done = standing.raised
            note_progress(connection, job, done=done, total=max(total, done), progress=standing.stored(), now=now)


def _standing_of(progress: Mapping[str, Any] | None) -> _Standing:
    return _Standing() if progress is None else _Standing(UUID(progress["after"]), progress["raised"])


def _raise_chunk(
    connection: Connection, lock_short: TextClause, term: Term, *, after: UUID, person: str, now: datetime
) -> list[UUID]:
    """Raise the next entries after the id `after` that are too short; return their ids, ascending."""
    values = {"after": after, "months": term.months, "most": CHUNK_ENTRIES}
    short = connection.execute(lock_short, values).all()
    if not short:
        return []
    ids = [row.entry_id for row in short]
    connection.execute(_RAISE, {"ids": ids, "throughs": [row.through for row in short], "now": now})
    events = [
        {
            "event_id": new_id(),
            "entry_id": row.entry_id,
            "kind": EVENT_KIND,
            "blocked_through": row.through,
            "details": term._asdict(),
            "actor": person,
            "recorded_at": now,
        }
        for row in short
    ]
    add_rows(connection, do_not_call_events, events)
    return ids
