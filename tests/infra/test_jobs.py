"""Jobs as rows: claimed by one worker at a time, taken over from dead ones, given up in the end."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from infra.ids import new_id
from infra.jobs import (
    MOST_ATTEMPTS,
    STALE_AFTER,
    Job,
    JobResult,
    LostJobError,
    UnknownJobError,
    beat,
    claim,
    create_job,
    fail,
    finish,
    note_progress,
    read_job,
    waiting_jobs,
)
from tests.conftest import NOON

MOMENT = timedelta(seconds=1)


def queued(connection: Connection, *, parameters: dict[str, object] | None = None) -> UUID:
    job_id = new_id()
    create_job(
        connection, job_id=job_id, kind="scrub", role="dialer", actor="d1", parameters=parameters or {}, now=NOON
    )
    return job_id


def claimed(connection: Connection) -> Job:
    job = claim(connection, queued(connection), now=NOON)
    assert job is not None
    return job


def test_a_new_job_waits_with_what_it_was_given(connection: Connection) -> None:
    job_id = queued(connection, parameters={"a": ["b", 1]})

    job = read_job(connection, job_id)

    assert (job.state, job.role, job.actor, job.parameters) == ("queued", "dialer", "d1", {"a": ["b", 1]})
    assert (job.done, job.total, job.result, job.error, job.files, job.attempts) == (0, None, None, None, (), 0)
    assert waiting_jobs(connection, now=NOON) == [job_id]


def test_an_unknown_job_is_an_error(connection: Connection) -> None:
    with pytest.raises(UnknownJobError):
        read_job(connection, new_id())


def test_a_claimed_job_runs_and_cannot_be_claimed_again(connection: Connection) -> None:
    job = claimed(connection)

    assert (job.state, job.attempts) == ("running", 1)
    assert claim(connection, job.job_id, now=NOON + MOMENT) is None
    assert waiting_jobs(connection, now=NOON + MOMENT) == []


def test_of_two_workers_at_once_one_gets_the_job_and_the_other_does_not_wait(engine: Engine) -> None:
    with engine.begin() as connection:
        job_id = queued(connection)

    with engine.begin() as first, engine.begin() as second:
        assert claim(first, job_id, now=NOON) is not None
        assert claim(second, job_id, now=NOON) is None


@pytest.mark.parametrize(
    ("silent_for", "is_claimable"),
    [
        pytest.param(STALE_AFTER, False, id="just alive"),
        pytest.param(STALE_AFTER + MOMENT, True, id="silent for too long"),
    ],
)
def test_a_job_whose_worker_fell_silent_can_be_claimed_again(
    connection: Connection, silent_for: timedelta, *, is_claimable: bool
) -> None:
    job = claimed(connection)

    again = claim(connection, job.job_id, now=NOON + silent_for)

    assert (again is not None) is is_claimable


def test_a_heartbeat_keeps_a_job(connection: Connection) -> None:
    job = claimed(connection)

    beat(connection, job, now=NOON + STALE_AFTER)

    assert claim(connection, job.job_id, now=NOON + STALE_AFTER + MOMENT) is None


def test_a_later_claim_sees_the_progress_of_the_one_before(connection: Connection) -> None:
    job = claimed(connection)
    note_progress(connection, job, done=5, total=10, progress={"read": 5}, now=NOON)
    note_progress(connection, job, done=6, total=10, progress=None, now=NOON)

    again = claim(connection, job.job_id, now=NOON + STALE_AFTER + MOMENT)

    assert again is not None
    assert (again.attempts, again.done, again.total, again.progress) == (2, 6, 10, {"read": 5})


def test_a_worker_that_lost_its_job_can_write_nothing_more(connection: Connection) -> None:
    job = claimed(connection)
    claim(connection, job.job_id, now=NOON + STALE_AFTER + MOMENT)

    with pytest.raises(LostJobError):
        beat(connection, job, now=NOON)
    with pytest.raises(LostJobError):
        note_progress(connection, job, done=1, total=None, progress=None, now=NOON)
    with pytest.raises(LostJobError):
        finish(connection, job, JobResult({}), now=NOON)
    with pytest.raises(LostJobError):
        fail(connection, job, {}, now=NOON)


def test_a_finished_job_has_its_result_and_files_and_never_waits_again(connection: Connection) -> None:
    job = claimed(connection)

    finish(connection, job, JobResult({"rows": 3}, ("scrubbed.csv",)), now=NOON)

    done = read_job(connection, job.job_id)
    assert (done.state, done.result, done.files) == ("done", {"rows": 3}, ("scrubbed.csv",))
    assert waiting_jobs(connection, now=NOON + timedelta(days=1)) == []
    with pytest.raises(LostJobError):
        fail(connection, job, {}, now=NOON)


def test_a_failed_job_says_why(connection: Connection) -> None:
    job = claimed(connection)

    fail(connection, job, {"title": "Unreadable"}, now=NOON)

    failed = read_job(connection, job.job_id)
    assert (failed.state, failed.error, failed.result) == ("failed", {"title": "Unreadable"}, None)


def test_after_the_last_attempt_a_job_fails_and_says_so(connection: Connection) -> None:
    job_id = queued(connection)
    attempts = [
        claim(connection, job_id, now=NOON + number * (STALE_AFTER + MOMENT)) for number in range(MOST_ATTEMPTS + 1)
    ]

    abandoned = read_job(connection, job_id)

    assert [attempt is not None for attempt in attempts] == [True] * MOST_ATTEMPTS + [False]
    assert abandoned.state == "failed"
    assert abandoned.error is not None
    assert abandoned.error["title"] == "Job abandoned"
