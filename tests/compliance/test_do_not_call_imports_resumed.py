"""Imports that are killed, taken over or run as jobs: each ends with the counts of one that was left alone."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from compliance.do_not_call_imports import JOB_KIND, REJECTED_FILE, ImportMode, Standing, run_import_job
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from infra.ids import new_id
from infra.jobs import JobResult, LostJobError, RunningJob, claim, create_job, finish, read_job
from tests.compliance.import_lists import DAY, MORE_THAN_ENOUGH_S, Importer, counts, in_a_thread
from tests.conftest import NOON, SettableClock


class KilledError(RuntimeError):
    """The end of an import, for a test."""


def keep(standings: list[Standing], *, until: int) -> Callable[[Connection, Standing, int], None]:
    """Keep each standing noted, and end the import in its transaction number `until`, before it commits."""

    def note(_connection: Connection, standing: Standing, _total: int) -> None:
        if len(standings) == until:
            raise KilledError
        standings.append(standing)

    return note


LONG = "phone,refused_at\n" + "".join(
    f"1380013{index % 7:04},2026-0{index % 8 + 1}-01\n" if index % 5 else "bad,\n" for index in range(40)
)


@pytest.mark.parametrize("survived", [0, 1, 5, 12, 13])
def test_a_killed_import_goes_on_where_it_stopped(importer: Importer, survived: int) -> None:
    standings: list[Standing] = []
    with pytest.raises(KilledError):
        importer.run(LONG, note=keep(standings, until=survived))
    found = importer.run(LONG, standing=standings[-1] if standings else None)
    assert found == counts(created=7, extended=4, unchanged=21, rejected=8)
    assert len(importer.rejected()) == 8
    assert importer.read("SELECT count(*) FROM do_not_call_events") == [(32,)]


def test_the_moment_of_import_stays_that_of_its_beginning(importer: Importer, clock: SettableClock) -> None:
    standings: list[Standing] = []
    listed = "phone\n" + "".join(f"1380013800{index}\n" for index in range(6))
    with pytest.raises(KilledError):
        importer.run(listed, note=keep(standings, until=1))
    clock.advance(2 * DAY)
    importer.run(listed, standing=standings[-1])
    assert importer.read("SELECT DISTINCT refused_at FROM do_not_call_entries") == [(NOON,)]
    assert importer.read("SELECT DISTINCT recorded_at FROM do_not_call_events ORDER BY 1") == [(NOON,), (clock(),)]


def test_a_strict_import_killed_in_the_middle_has_stored_nothing(importer: Importer) -> None:
    with pytest.raises(KilledError):
        importer.run("phone\n13800138000\n", ImportMode.STRICT, note=keep([], until=0))
    assert importer.ends() == {}


def test_a_strict_import_stored_but_not_reported_is_not_stored_again(importer: Importer) -> None:
    standings: list[Standing] = []
    listed = "phone\n13800138000\n"
    importer.run(listed, ImportMode.STRICT, note=keep(standings, until=1))
    found = importer.run(listed, ImportMode.STRICT, standing=standings[-1])
    assert found == {**counts(created=1), "stored": True}
    assert importer.read("SELECT count(*) FROM do_not_call_events") == [(1,)]


def running_job(importer: Importer, job_id: UUID, source: Path) -> RunningJob:
    with importer.engine.begin() as connection:
        job = read_job(connection, job_id)
    (importer.directory / "files").mkdir(exist_ok=True)
    return RunningJob(
        engine=importer.engine,
        clock=importer.clock,
        job_id=job_id,
        role=job.role,
        actor=job.actor,
        parameters=job.parameters,
        progress=job.progress,
        input_path=source,
        output_dir=importer.directory / "files",
        cache_dir=importer.directory,
        report_progress=lambda _done, _total, _progress=None: None,
    )


def queued_job(importer: Importer, mode: ImportMode) -> UUID:
    job_id = new_id()
    with importer.engine.begin() as connection:
        create_job(
            connection,
            job_id=job_id,
            kind=JOB_KIND,
            role="officer",
            actor="officer",
            parameters={"mode": mode},
            now=NOON,
        )
    return job_id


@pytest.mark.parametrize("mode", list(ImportMode))
def test_a_job_tells_how_far_it_is_and_leaves_the_rejected_rows(importer: Importer, mode: ImportMode) -> None:
    job_id, source = queued_job(importer, mode), importer.directory / "list.csv"
    source.write_text("phone\n13800138000\n\n13800138001\n")
    with importer.engine.begin() as connection:
        job = claim(connection, job_id, now=NOON)
    assert job is not None
    running = running_job(importer, job_id, source)
    found: JobResult = in_a_thread(lambda: run_import_job(running)).result(MORE_THAN_ENOUGH_S)
    with importer.engine.begin() as connection:
        finish(connection, job, found, now=NOON)
        done = read_job(connection, job_id)
    assert (done.state, done.done, done.total, done.files) == ("done", 3, 3, (REJECTED_FILE,))
    assert done.result == {**counts(created=2), **({"stored": True} if mode is ImportMode.STRICT else {})}
    assert (running.output_dir / REJECTED_FILE).is_file()


def test_an_import_whose_job_was_taken_over_stores_nothing_more(importer: Importer) -> None:
    job_id, source = queued_job(importer, ImportMode.TOLERANT), importer.directory / "list.csv"
    source.write_text("phone\n13800138000\n")
    running = running_job(importer, job_id, source)
    with pytest.raises(LostJobError):
        in_a_thread(lambda: run_import_job(running)).result(MORE_THAN_ENOUGH_S)
    assert importer.ends() == {}


KILLED_PROGRAM = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from uuid import UUID
from compliance import do_not_call_imports as imports
from infra.database import make_engine
from infra.jobs import note_progress, read_job

url, source, job_id, now = sys.argv[1], Path(sys.argv[2]), UUID(sys.argv[3]), datetime.fromisoformat(sys.argv[4])
engine = make_engine(url, application_name="killed")
with engine.begin() as connection:
    job = read_job(connection, job_id)

def note(connection, standing, total):
    note_progress(connection, job, done=standing.read, total=total, progress=standing.stored(), now=now)
    if standing.read >= 20:
        os.kill(os.getpid(), signal.SIGKILL)

imports.run_import(imports.ListImport(
    engine=engine, source=source, rejected=source.with_name("rejected.csv"), mode=imports.ImportMode.TOLERANT,
    person="officer", clock=lambda: now, job_id=job_id, note=note, chunk_rows=3))
"""


def test_an_import_killed_with_sigkill_ends_with_the_counts_of_one_that_was_not(
    importer: Importer, database: str
) -> None:
    job_id, source = queued_job(importer, ImportMode.TOLERANT), importer.directory / "list.csv"
    source.write_text(LONG)
    with importer.engine.begin() as connection:
        claim(connection, job_id, now=NOON)
    program = [sys.executable, "-c", KILLED_PROGRAM, database, str(source), str(job_id), NOON.isoformat()]
    assert subprocess.run(program, check=False, timeout=MORE_THAN_ENOUGH_S).returncode == -signal.SIGKILL
    running = running_job(importer, job_id, source)
    assert running.progress is not None
    assert running.progress["read"] == 18
    found: JobResult = in_a_thread(lambda: run_import_job(running)).result(MORE_THAN_ENOUGH_S)
    assert found.result == counts(created=7, extended=4, unchanged=21, rejected=8)


class TighteningClock(SettableClock):
    """Has a policy of 12 months adopted when it is read for the second time: the import knows its term by then."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(NOON)
        self.engine = engine
        self.readings = 0

    def __call__(self) -> datetime:
        self.readings += 1
        if self.readings == 2:
            policy = parse_policy("[do_not_call]\nblock_months = 12\n", on=NOON.date())
            with self.engine.begin() as connection:
                store_policy(connection, policy, policy_id=new_id(), source="api", now=NOON)
        return self.at


@pytest.mark.parametrize("mode", list(ImportMode))
def test_an_import_during_which_the_policy_is_tightened_leaves_no_block_that_is_too_short(
    importer: Importer, mode: ImportMode
) -> None:
    listed = "phone,refused_at,blocked_through\n" + "".join(
        f"138001380{place:02d},2026-03-15,{'2028-01-31' if place == 7 else ''}\n" for place in range(10)
    )

    found = importer.run(listed, mode, clock=TighteningClock(importer.engine))

    assert found["created"] == 10
    assert set(importer.ends().values()) == {date(2027, 3, 15), date(2028, 1, 31)}
    assert importer.read("SELECT kind, count(*) FROM do_not_call_events GROUP BY 1 ORDER BY 1") == [
        ("raised", 9),
        ("refusal", 10),
    ]
