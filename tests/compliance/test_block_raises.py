"""Existing blocks are raised when the policy is tightened: every one that is too short, none ever lowered."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, select, text

from compliance import block_raises
from compliance.block_entries import BlockSource, read_entry
from compliance.block_list import Refusal, block_person
from compliance.block_raises import COUNTED_THROUGH, raise_own_changes, run_raise_job
from compliance.block_release import release_entry, release_payload
from compliance.do_not_call import PERMANENT, blocked_through
from compliance.policy import parse_policy
from compliance.policy_store import policy_for_blocks
from compliance.shanghai import midnight
from infra.jobs import LostJobError, read_job
from infra.tables import jobs
from tests.compliance.raises import (
    MARCH,
    MORE_THAN_ENOUGH_S,
    PHONE,
    SECOND,
    RefusalChanges,
    adopt,
    adopted,
    count_raises,
    end_of,
    ends,
    history_of,
    in_a_thread,
    refuse,
    refuse_many,
    refused,
    release,
    run,
    running_job,
    wait_until_somebody_waits,
)
from tests.conftest import NOON
from tests.releases import approve_release

EVERY_DAY = [date(1990, 1, 1) + timedelta(days=days) for days in range((date(2101, 1, 1) - date(1990, 1, 1)).days)]


@pytest.mark.parametrize(
    ("within_day", "months"),
    [
        pytest.param(timedelta(), range(6, 61), id="first instants"),
        pytest.param(timedelta(days=1, microseconds=-1), (6,), id="last instants"),
    ],
)
def test_the_database_counts_every_day_as_the_rule_does(
    connection: Connection, within_day: timedelta, months: range
) -> None:
    last_instants = [midnight(day + timedelta(days=1)) for day in EVERY_DAY] if within_day else []
    instants = [at.astimezone(UTC) - timedelta(microseconds=1) for at in last_instants] or [
        midnight(day).astimezone(UTC) for day in EVERY_DAY
    ]
    connection.execute(text("CREATE TEMPORARY TABLE days (day date, refused_at timestamptz) ON COMMIT DROP"))
    connection.execute(
        text("INSERT INTO days SELECT * FROM unnest(CAST(:days AS date[]), CAST(:instants AS timestamptz[]))"),
        {"days": EVERY_DAY, "instants": instants},
    )
    counted = text(f"SELECT {COUNTED_THROUGH} FROM days e ORDER BY day")  # noqa: S608 - a constant

    wrong = [
        (day, number, through)
        for number in months
        for day, through in zip(EVERY_DAY, connection.execute(counted, {"months": number}).scalars(), strict=True)
        if through != blocked_through(day, number)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("refused_at", "more", "through"),
    [
        pytest.param(MARCH, {}, date(2027, 3, 15), id="a block that has run out"),
        pytest.param(NOON, {}, date(2027, 11, 23), id="a block in force"),
        pytest.param(datetime(2026, 3, 15, 16, tzinfo=UTC), {}, date(2027, 3, 16), id="midnight in Shanghai"),
        pytest.param(datetime(2024, 2, 29, 4, tzinfo=UTC), {}, date(2025, 2, 28), id="29 February"),
        pytest.param(datetime(2025, 8, 31, 4, tzinfo=UTC), {}, date(2026, 8, 31), id="the 31st, counted anew"),
        pytest.param(MARCH, {"source": BlockSource.KEY_PHRASE}, date(2027, 3, 15), id="found by a machine"),
        pytest.param(MARCH, {"months": 12}, date(2027, 3, 15), id="as long already"),
        pytest.param(MARCH, {"months": 13}, date(2027, 4, 15), id="longer"),
        pytest.param(MARCH, {"permanent": True}, PERMANENT, id="permanent"),
    ],
)
def test_a_tighter_policy_raises_blocks_that_are_too_short_and_no_others(
    engine: Engine, refused_at: datetime, more: RefusalChanges, through: date
) -> None:
    entry_id = refused(engine, refused_at, **more)

    run(engine, adopted(engine, 12))

    assert end_of(engine, entry_id) == through


def test_a_block_is_counted_from_the_latest_refusal_in_whatever_order_they_were_entered(engine: Engine) -> None:
    entry_id = refused(engine, NOON)
    refused(engine, MARCH)

    run(engine, adopted(engine, 12))

    assert end_of(engine, entry_id) == date(2027, 11, 23)


def test_a_raise_moves_the_end_and_nothing_else(engine: Engine) -> None:
    entry_id = refused(engine, source=BlockSource.KEY_PHRASE, reason="spoken", customer_id="c-1")
    with engine.begin() as connection:
        before = read_entry(connection, entry_id)

    run(engine, adopted(engine, 12))

    with engine.begin() as connection:
        after = read_entry(connection, entry_id)
    changed = {
        name for name in before.entry.__dataclass_fields__ if getattr(before.entry, name) != getattr(after.entry, name)
    }
    assert changed == {"blocked_through"}
    assert after.phones_e164 == before.phones_e164


def test_the_history_names_the_policy_and_the_months_and_tells_of_no_refusal(engine: Engine) -> None:
    entry_id = refused(engine)
    job_id = adopted(engine, 12)

    run(engine, job_id)

    filed, raised = history_of(engine, entry_id)
    digest = parse_policy("[do_not_call]\nblock_months = 12\n", on=NOON.date()).digest
    assert (filed.kind, filed.blocked_through) == ("refusal", date(2026, 9, 15))
    assert (raised.kind, raised.refused_at, raised.blocked_through) == ("raised", None, date(2027, 3, 15))
    assert raised.details == {"months": 12, "policy_digest": digest}
    assert (raised.actor, raised.recorded_at) == ("second", NOON + SECOND)


def test_a_released_entry_stays_as_it_is_and_binds_again_by_the_policy_of_its_day(engine: Engine) -> None:
    entry_id = refused(engine, NOON)
    with engine.begin() as connection:
        release(connection, entry_id, now=NOON)

    found = run(engine, adopted(engine, 12))

    assert found.result["raised"] == 0
    assert end_of(engine, entry_id) == date(2027, 5, 23)
    with engine.begin() as connection:
        assert read_entry(connection, entry_id).entry.released_at == NOON


def test_a_later_looser_policy_lowers_nothing(engine: Engine) -> None:
    entry_id = refused(engine)
    run(engine, adopted(engine, 12))

    with engine.begin() as connection:
        assert adopt(connection, 9, now=NOON + timedelta(days=1)) is None
        again = refuse(connection, NOON)
        fresh = block_person(
            connection,
            Refusal(phone_e164="+8613800138001", source=BlockSource.CALL, refused_at=NOON),
            block_months=9,
            person="agent",
            now=NOON,
        )

    assert again.entry.entry_id == entry_id
    assert end_of(engine, entry_id) == date(2027, 5, 23)
    assert fresh.entry.blocked_through == date(2027, 8, 23)


def test_a_job_run_twice_raises_once(engine: Engine) -> None:
    refuse_many(engine, 7)
    first = run(engine, adopted(engine, 12))
    with engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET state = 'queued', progress = NULL"))
        [job_id] = connection.execute(select(jobs.c.job_id)).scalars()

    second = run(engine, job_id)

    assert (first.result["raised"], second.result["raised"]) == (7, 0)
    assert count_raises(engine) == 7


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the later one first"])
def test_of_two_jobs_the_longer_term_stands_whichever_runs_first(engine: Engine, order: tuple[int, int]) -> None:
    refuse_many(engine, 3)
    both = [adopted(engine, 12), adopted(engine, 24)]

    for place in order:
        run(engine, both[place])

    assert ends(engine) == {date(2028, 3, 15)}


def test_two_jobs_at_once_neither_fail_nor_shorten(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_raises, "CHUNK_ENTRIES", 7)
    refuse_many(engine, 100)
    both = [running_job(engine, adopted(engine, months)) for months in (12, 24)]

    with ThreadPoolExecutor(2) as workers:
        found = [one.result["raised"] for one in workers.map(run_raise_job, both)]

    assert ends(engine) == {date(2028, 3, 15)}
    assert found[1] == 100
    assert count_raises(engine) == sum(int(str(one)) for one in found)


def test_a_job_counts_what_it_raises_chunk_by_chunk(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_raises, "CHUNK_ENTRIES", 3)
    refuse_many(engine, 7)
    job_id = adopted(engine, 12)

    found = run(engine, job_id)

    with engine.begin() as connection:
        job = read_job(connection, job_id)
    assert found.result["raised"] == 7
    assert (job.state, job.done, job.total) == ("done", 7, 7)


KILLED_PROGRAM = """
import os, signal, sys
from datetime import datetime
from uuid import UUID
from compliance import block_raises
from infra.database import make_engine
from tests.compliance.raises import running_job

engine = make_engine(sys.argv[1], application_name="killed")
block_raises.CHUNK_ENTRIES = 3
keep = block_raises.note_progress

def killed_in_the_third_chunk(connection, job, *, done, **more):
    keep(connection, job, done=done, **more)
    if done > 6:
        os.kill(os.getpid(), signal.SIGKILL)

block_raises.note_progress = killed_in_the_third_chunk
block_raises.run_raise_job(running_job(engine, UUID(sys.argv[2])))
"""


def test_a_job_killed_with_sigkill_is_resumed_without_loss(engine: Engine, database: str) -> None:
    refuse_many(engine, 10)
    job_id = adopted(engine, 12)
    program = [sys.executable, "-c", KILLED_PROGRAM, database, str(job_id)]
    killed = subprocess.run(program, check=False, timeout=MORE_THAN_ENOUGH_S)
    raised_before = count_raises(engine)

    found = run(engine, job_id, now=NOON + timedelta(minutes=1))

    assert (killed.returncode, raised_before) == (-signal.SIGKILL, 6)
    assert found.result["raised"] == 10
    assert ends(engine) == {date(2027, 3, 15)}
    assert count_raises(engine) == 10


def test_a_worker_that_lost_its_job_raises_nothing_more(engine: Engine) -> None:
    refuse_many(engine, 2)
    job_id = adopted(engine, 12)
    believed_dead = running_job(engine, job_id)
    with engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET state = 'failed'"))

    with pytest.raises(LostJobError):
        run_raise_job(believed_dead)

    assert count_raises(engine) == 0


def test_a_block_written_by_the_old_term_while_the_policy_is_adopted_is_raised_too(engine: Engine) -> None:
    found: list[UUID] = []
    with engine.connect() as filing:
        months = policy_for_blocks(filing, now=NOON).block_months
        adoption = in_a_thread(lambda: found.append(adopted(engine, 12)))
        wait_until_somebody_waits(engine)
        wanted = Refusal(phone_e164=PHONE, source=BlockSource.CALL, refused_at=NOON)
        entry = block_person(filing, wanted, block_months=months, person="agent", now=NOON).entry
        filing.commit()
        adoption.result(MORE_THAN_ENOUGH_S)

    run(engine, found[0])

    assert entry.blocked_through == date(2027, 5, 23)
    assert end_of(engine, entry.entry_id) == date(2027, 11, 23)


def test_an_entry_released_while_the_job_waits_for_it_stays_released(engine: Engine) -> None:
    entry_id = refused(engine, NOON)
    running = running_job(engine, adopted(engine, 12))
    with engine.connect() as releasing:
        release(releasing, entry_id, now=NOON)
        raising = in_a_thread(lambda: run_raise_job(running))
        wait_until_somebody_waits(engine)
        releasing.commit()
    raising.result(MORE_THAN_ENOUGH_S)

    assert end_of(engine, entry_id) == date(2027, 5, 23)
    assert [event.kind for event in history_of(engine, entry_id)] == ["refusal", "release"]


def test_an_entry_that_refuses_again_while_the_job_waits_for_it_is_counted_from_then(engine: Engine) -> None:
    entry_id = refused(engine)
    running = running_job(engine, adopted(engine, 12))
    with engine.connect() as filing:
        refuse(filing, NOON)
        raising = in_a_thread(lambda: run_raise_job(running))
        wait_until_somebody_waits(engine)
        filing.commit()
    raising.result(MORE_THAN_ENOUGH_S)

    assert end_of(engine, entry_id) == date(2027, 11, 23)


def test_a_release_asked_for_before_a_raise_can_be_approved_after_it(engine: Engine) -> None:
    entry_id = refused(engine, NOON)
    with engine.begin() as connection:
        asked = release_payload(connection, entry_id, reason="asked", evidence={}, now=NOON)
    run(engine, adopted(engine, 12))

    with engine.begin() as connection:
        release_entry(connection, asked, person="second", now=NOON + 2 * SECOND)
        approve_release(connection, entry_id, at=NOON + 2 * SECOND)

        assert read_entry(connection, entry_id).entry.released_at == NOON + 2 * SECOND


def test_a_transaction_raises_only_what_it_wrote_itself(engine: Engine) -> None:
    other = refused(engine)
    with engine.begin() as connection:
        own = refuse(connection, phone_e164="+8613800138001").entry.entry_id
        term = block_raises.Term(12, "sha256:new")

        raised = raise_own_changes(connection, term, person="importer", now=NOON)

    assert raised == 1
    assert (end_of(engine, own), end_of(engine, other)) == (date(2027, 3, 15), date(2026, 9, 15))
