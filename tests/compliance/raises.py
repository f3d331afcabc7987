"""Refusals, policies and jobs for tests of raised blocks."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Connection, Engine, func, select, text

from compliance.block_entries import BlockSource, EntryEvent, read_entry, read_history
from compliance.block_list import BlockResult, Refusal, block_person
from compliance.block_raises import EVENT_KIND, run_raise_job
from compliance.block_release import release_entry, release_payload
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.tables import do_not_call_events
from infra.ids import new_id
from infra.jobs import JobResult, RunningJob, claim, finish, read_job
from tests.conftest import NOON
from tests.infra.deadline import wait_until
from tests.releases import approve_release

PHONE = "+8613800138000"
MARCH = datetime(2026, 3, 15, 4, tzinfo=UTC)
"""A refusal whose six months are over at NOON, and whose twelve are not."""

MORE_THAN_ENOUGH_S = 60
SECOND = timedelta(seconds=1)


def adopt(connection: Connection, months: int, *, now: datetime = NOON) -> UUID | None:
    policy = parse_policy(f"[do_not_call]\nblock_months = {months}\n", on=now.date())
    return store_policy(connection, policy, policy_id=new_id(), source="api", approved_by="second", now=now)


def adopted(engine: Engine, months: int) -> UUID:
    with engine.begin() as connection:
        job_id = adopt(connection, months)
    assert job_id is not None
    return job_id


class RefusalChanges(TypedDict, total=False):
    """What differs from a refusal in a call of PHONE, by the fields of `Refusal`."""

    phone_e164: str | None
    customer_id: str | None
    source: BlockSource
    months: int | None
    permanent: bool
    reason: str | None


def refuse(connection: Connection, refused_at: datetime = MARCH, **changes: Unpack[RefusalChanges]) -> BlockResult:
    known: RefusalChanges = {"phone_e164": PHONE, "source": BlockSource.CALL, **changes}
    refusal, now = Refusal(refused_at=refused_at, **known), max(refused_at, MARCH)
    return block_person(connection, refusal, block_months=6, person="agent", now=now)


def refused(engine: Engine, refused_at: datetime = MARCH, **changes: Unpack[RefusalChanges]) -> UUID:
    with engine.begin() as connection:
        return refuse(connection, refused_at, **changes).entry.entry_id


def refuse_many(engine: Engine, count: int) -> None:
    with engine.begin() as connection:
        for place in range(count):
            refuse(connection, phone_e164=f"+8613800138{place:03d}")


def release(connection: Connection, entry_id: UUID, *, now: datetime) -> None:
    asked = release_payload(connection, entry_id, reason="asked", evidence={}, now=now)
    release_entry(connection, asked, person="second", now=now)
    approve_release(connection, entry_id, at=now)


def running_job(engine: Engine, job_id: UUID, *, now: datetime = NOON + SECOND) -> RunningJob:
    """Return a job as its worker gets it, claimed."""
    with engine.begin() as connection:
        job = claim(connection, job_id, now=now)
    assert job is not None
    return RunningJob(
        engine=engine,
        clock=lambda: now,
        job_id=job_id,
        role=job.role,
        actor=job.actor,
        parameters=job.parameters,
        progress=job.progress,
        input_path=Path("none"),
        output_dir=Path("none"),
        cache_dir=Path("none"),
        report_progress=lambda _done, _total, _progress=None: None,
    )


def run(engine: Engine, job_id: UUID, *, now: datetime = NOON + SECOND) -> JobResult:
    running = running_job(engine, job_id, now=now)
    found = run_raise_job(running)
    with engine.begin() as connection:
        finish(connection, read_job(connection, job_id), found, now=now)
    return found


def end_of(engine: Engine, entry_id: UUID) -> date:
    with engine.begin() as connection:
        return read_entry(connection, entry_id).entry.blocked_through


def ends(engine: Engine) -> set[date]:
    with engine.begin() as connection:
        return set(connection.execute(text("SELECT blocked_through FROM do_not_call_entries")).scalars())


def history_of(engine: Engine, entry_id: UUID) -> list[EntryEvent]:
    with engine.begin() as connection:
        return read_history(connection, entry_id)


def count_raises(engine: Engine) -> int:
    with engine.begin() as connection:
        statement = select(func.count()).where(do_not_call_events.c.kind == EVENT_KIND)
        return connection.execute(statement).scalar_one()


def in_a_thread(work: Callable[[], object]) -> Future[object]:
    executor = ThreadPoolExecutor(1)
    future: Future[object] = executor.submit(work)
    executor.shutdown(wait=False)
    return future


def wait_until_somebody_waits(engine: Engine) -> None:
    waiting = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")

    def look() -> bool:
        with engine.begin() as connection:
            return connection.execute(waiting).first() is not None

    wait_until(look)
