"""Several sealers at once, sealers that are killed, a clock that is set back: one tree, everything in it once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from compliance.checkpoint_stores import CheckpointDirectory
from compliance.ledger_bundle import write_bundle
from compliance.ledger_health import read_health
from compliance.ledger_keys import DIRECTORY, read_public_keys, rotate_key
from compliance.ledger_live import verify_live
from compliance.ledger_reading import read_origin
from compliance.ledger_runs import Ledger, check_outside, seal_waiting
from compliance.ledger_verifier import Report, verify_bundle
from infra.database import make_engine
from infra.ids import new_id
from infra.logs import configure_logs
from tests.conftest import NOON, SettableClock
from tests.infra.deadline import wait_until
from tests.services.processes import PROJECT

DAY = timedelta(days=1)
ROUNDS, SEALERS = 40, 3
KILLS = 60

_EVENTS = text("""
INSERT INTO audit_events (event_id, kind, actor, recorded_at) SELECT gen_random_uuid(), 'test', :actor, now()
  FROM generate_series(1, :count)""")
_CHECKS = text("""
INSERT INTO call_checks (check_id, actor, purpose, phone_digits, call, side_digest, callee_facts, policy_digest,
                         verdict, reasons, checked_at)
SELECT gen_random_uuid(), 'dialer', 'sales', 8613800138000, '{}', '\\x00', '{}', 'sha256:0', 'deny', '[]', now()
  FROM generate_series(1, :count)""")


@pytest.fixture
def ledger(engine: Engine, clock: SettableClock, tmp_path: Path) -> Ledger:
    return Ledger(engine, clock, tmp_path / "data", CheckpointDirectory(tmp_path / "outside"))


def write(engine: Engine, rounds: int) -> None:
    """Write events with an entry each, and checks, in transactions of their own."""
    for number in range(rounds):
        with engine.begin() as connection:
            connection.execute(_EVENTS, {"actor": str(number), "count": 1 + number % 3})
            connection.execute(_CHECKS, {"count": number % 4})


def verified(ledger: Ledger) -> Report:
    """Verify the database, with the newest outside checkpoint."""
    keys = [key.as_json() for key in read_public_keys(ledger.data_dir)]
    note = ledger.store.newest()
    with ledger.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return verify_live(connection, keys=keys, outside=[] if note is None else [note])


def bundled(ledger: Ledger, path: Path) -> Report:
    keys = [key.as_json() for key in read_public_keys(ledger.data_dir)]
    with ledger.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        write_bundle(connection, path, begin=0, end=None, keys=keys, now=ledger.clock())
    return verify_bundle(path)


def nothing_waits(ledger: Ledger) -> bool:
    """Seal, unless the connection of a killed sealer is not yet gone; say whether all is sealed."""
    seal_waiting(ledger)
    with ledger.engine.connect() as connection:
        return read_health(connection).waiting_since is None


def assert_all_is_sealed_once(ledger: Ledger) -> None:
    counted = text("""
        SELECT (SELECT count(*) FROM ledger_entries), (SELECT count(*) FROM ledger_leaves),
               (SELECT count(DISTINCT source) FROM ledger_leaves), (SELECT max(entry) + 1 FROM ledger_leaves),
               (SELECT max(size) FROM ledger_checkpoints),
               (SELECT count(*) FROM call_checks),
               (SELECT count(*) FROM ledger_entries, unnest(keys) WHERE kind = 'call_checks.range')""")
    with ledger.engine.connect() as connection:
        entries, leaves, sources, numbers, size, checks, sealed_checks = connection.execute(counted).one()
    assert entries == leaves == sources == numbers == size
    assert checks == sealed_checks
    report = verified(ledger)
    assert (report.problems, report.unsealed, report.entries) == ([], 0, size)
    assert check_outside(ledger) == (None, None)


def test_sealers_that_run_at_once_make_one_tree(ledger: Ledger, database: str) -> None:
    def seal_often(_sealer: int) -> None:
        engine = make_engine(database, application_name="tests-sealer")
        own = Ledger(engine, ledger.clock, ledger.data_dir, ledger.store)
        for _ in range(ROUNDS):
            seal_waiting(own)
        engine.dispose()

    with ThreadPoolExecutor(SEALERS + 1) as pool:
        writing = pool.submit(write, ledger.engine, 150)
        sealing = list(pool.map(seal_often, range(SEALERS)))
        writing.result()
    seal_waiting(ledger)

    assert sealing == [None] * SEALERS
    assert_all_is_sealed_once(ledger)


def test_sealers_killed_at_any_moment_leave_nothing_half_and_nothing_out(
    ledger: Ledger, database: str, tmp_path: Path
) -> None:
    program = [sys.executable, "-m", "tests.compliance.seal_until_killed", database, str(tmp_path), "7", str(KILLS)]
    with subprocess.Popen(program, cwd=PROJECT) as killing:
        while killing.poll() is None:
            write(ledger.engine, 5)
    wait_until(lambda: nothing_waits(ledger))

    assert killing.returncode == 0
    assert_all_is_sealed_once(ledger)


@pytest.fixture
def rotated(ledger: Ledger, clock: SettableClock) -> StringIO:
    """A ledger that has sealed something; what it logs."""
    logged = StringIO()
    configure_logs("INFO", stream=logged)
    write(ledger.engine, 3)
    seal_waiting(ledger)
    clock.advance(timedelta(minutes=1))
    return logged


@pytest.mark.parametrize("overlap", [timedelta(), timedelta(minutes=30), 7 * DAY], ids=["none", "short", "a week"])
@pytest.mark.parametrize("sealed_between", [False, True], ids=["at once", "after a sealing"])
def test_a_clock_set_back_right_after_a_rotation_breaks_no_chain(
    ledger: Ledger, clock: SettableClock, tmp_path: Path, rotated: StringIO, overlap: timedelta, *, sealed_between: bool
) -> None:
    with ledger.engine.connect() as connection:
        rotate_key(ledger.data_dir, read_origin(connection), now=clock(), overlap=overlap)
    if sealed_between:
        clock.advance(timedelta(hours=1))
        write(ledger.engine, 3)
        seal_waiting(ledger)
    clock.advance(-DAY)
    write(ledger.engine, 3)

    done = seal_waiting(ledger)

    assert done.checkpoint is not None
    assert done.checkpoint.key_id == read_public_keys(ledger.data_dir)[-1].key_id
    assert "ledger_clock_set_back" in rotated.getvalue()
    with ledger.engine.connect() as connection:
        times = connection.execute(text("SELECT sealed_at FROM ledger_checkpoints ORDER BY size")).scalars().all()
    assert times == sorted(times)
    assert_all_is_sealed_once(ledger)
    assert bundled(ledger, tmp_path / "b.zip").problems == []


def test_a_clock_set_back_after_the_old_key_is_gone_breaks_no_chain(
    ledger: Ledger, clock: SettableClock, tmp_path: Path, rotated: StringIO
) -> None:
    next((ledger.data_dir / DIRECTORY).glob("*.key")).unlink()
    with ledger.engine.connect() as connection:
        rotate_key(ledger.data_dir, read_origin(connection), now=clock(), overlap=timedelta())
    clock.advance(-DAY)
    write(ledger.engine, 3)

    done = seal_waiting(ledger)

    assert done.contradiction is None
    assert_all_is_sealed_once(ledger)
    assert bundled(ledger, tmp_path / "b.zip").problems == []


def test_a_clock_that_was_ahead_when_the_first_key_was_made_breaks_no_chain(
    ledger: Ledger, clock: SettableClock, tmp_path: Path
) -> None:
    assert seal_waiting(ledger).checkpoint is None or clock() == NOON
    clock.advance(-DAY)
    write(ledger.engine, 1)

    seal_waiting(ledger)

    assert_all_is_sealed_once(ledger)
    assert bundled(ledger, tmp_path / "b.zip").problems == []


def test_a_key_whose_time_ends_while_much_is_sealed_signs_no_longer(ledger: Ledger, tmp_path: Path) -> None:
    at = iter([NOON, NOON, *[NOON + 2 * DAY] * 50])
    ticking = Ledger(ledger.engine, lambda: next(at), ledger.data_dir, ledger.store)
    with ledger.engine.begin() as connection:
        origin = read_origin(connection)
        rotate_key(ledger.data_dir, origin, now=NOON - DAY)
        rotate_key(ledger.data_dir, origin, now=NOON - DAY / 2, overlap=DAY)
    write(ledger.engine, 2)

    done = seal_waiting(ticking)

    assert done.checkpoint is not None
    assert verified(ledger).problems == []
    assert bundled(ledger, tmp_path / f"{new_id()}.zip").problems == []
