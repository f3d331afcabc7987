"""What stayed behind is found, and a stricter policy raises every date that it makes later."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, select

from compliance.policy import RetentionYears, parse_policy
from compliance.policy_store import store_policy
from infra.ids import new_id
from infra.jobs import JobResult, RunningJob, claim
from recordings.retention import refresh
from recordings.retention_sweep import is_stricter, order_raise, run_raise_job, sweep_retention
from recordings.tables import recordings
from tests.conftest import NOON
from tests.recordings.archive_rows import POLICY, add_recording, add_sale, end_sale

YEARS = RetentionYears(years_5y=5, years_10y=10, years_without_sale=3, dispute_years=0)
STRICT = parse_policy("[retention]\nyears_5y = 7\n", on=date(2026, 11, 23))


def through(connection: Connection, recording_id: UUID) -> tuple[bool, date | None]:
    c = recordings.c
    row = connection.execute(select(c.is_held, c.keep_through).where(c.recording_id == recording_id)).one()
    return row.is_held, row.keep_through


def test_a_recording_whose_sale_nobody_brought_along_is_found(connection: Connection) -> None:
    named = add_recording(connection, policy_no="P-1")
    called = add_recording(connection, call_id="C-1")
    refresh(connection, [named, called], policy=POLICY, now=NOON)
    add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    add_sale(connection, "P-2", call_ids=("C-1",))

    changed = sweep_retention(connection, now=NOON)

    assert changed == 2
    assert through(connection, named) == (False, date(2029, 1, 1))
    assert through(connection, called) == (True, date(2023, 3, 1))
    assert sweep_retention(connection, now=NOON) == 0


def test_a_recording_that_was_let_go_while_its_contract_runs_is_held_again(connection: Connection) -> None:
    one = add_recording(connection, policy_no="P-1")
    add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    refresh(connection, [one], policy=POLICY, now=NOON)
    end_sale(connection, "P-1", None)

    sweep_retention(connection, now=NOON)

    assert through(connection, one) == (True, date(2029, 1, 1))


@pytest.mark.parametrize("name", ["years_5y", "years_10y", "years_without_sale", "dispute_years"])
def test_each_longer_term_is_stricter_and_no_shorter_one(name: str) -> None:
    longer = replace(YEARS, **{name: getattr(YEARS, name) + 1})

    assert is_stricter(longer, YEARS)
    assert not is_stricter(YEARS, longer)
    assert not is_stricter(YEARS, YEARS)


def run(engine: Engine, job_id: UUID, directory: Path) -> JobResult:
    with engine.begin() as connection:
        job = claim(connection, job_id, now=NOON)
    assert job is not None
    return run_raise_job(
        RunningJob(
            engine=engine,
            clock=lambda: NOON,
            job_id=job_id,
            role=job.role,
            actor=job.actor,
            parameters=job.parameters,
            progress=job.progress,
            input_path=directory,
            output_dir=directory,
            cache_dir=directory,
            report_progress=lambda *_: None,
        )
    )


def test_a_raise_that_a_looser_policy_overtakes_raises_all_the_same(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2024, 2, 29))
        one = add_recording(connection, policy_no="P-1")
        refresh(connection, [one], policy=POLICY, now=NOON)
        store_policy(connection, STRICT, policy_id=new_id(), source="api", now=NOON)
        job_id = order_raise(connection, policy_digest=STRICT.digest, actor="officer", now=NOON)
        store_policy(connection, POLICY, policy_id=new_id(), source="api", now=NOON + timedelta(seconds=1))

    assert run(engine, job_id, tmp_path).result["raised"] == 1
    with engine.begin() as connection:
        assert through(connection, one) == (False, date(2031, 2, 28))


def test_a_stricter_policy_raises_existing_dates_and_a_looser_one_none(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2024, 2, 29))
        one = add_recording(connection, policy_no="P-1")
        other = add_recording(connection)
        refresh(connection, [one, other], policy=POLICY, now=NOON)
        store_policy(connection, STRICT, policy_id=new_id(), source="api", now=NOON)
        first = order_raise(connection, policy_digest=STRICT.digest, actor="officer", now=NOON)
    raised = run(engine, first, tmp_path)
    with engine.begin() as connection:
        store_policy(connection, POLICY, policy_id=new_id(), source="api", now=NOON)
        second = order_raise(connection, policy_digest=POLICY.digest, actor="officer", now=NOON)

    lowered = run(engine, second, tmp_path)

    assert (raised.result["raised"], lowered.result["raised"]) == (1, 0)
    with engine.begin() as connection:
        assert through(connection, one) == (False, date(2031, 2, 28))
        assert through(connection, other) == (False, date(2023, 3, 1))
