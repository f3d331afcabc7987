"""The clock: aware, in UTC, shifted as a demo asks, and untouched by the host's zone."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from infra.clock import clock_with_offset, seconds_running, utc_now
from infra.ids import new_id, new_id_text
from infra.settings import child_environment

_SAY_NOW = "from infra.clock import utc_now; print(utc_now().isoformat())"


def test_now_is_aware_and_in_utc() -> None:
    before = time.time()
    now = utc_now()
    after = time.time()

    assert now.utcoffset() == timedelta()
    assert before <= now.timestamp() <= after


@pytest.mark.parametrize("hours", [-24, 1, 24 * 365 * 3])
def test_a_shifted_clock_runs_on_at_its_offset(hours: int) -> None:
    clock = clock_with_offset(timedelta(hours=hours))

    before, shifted, after = utc_now(), clock(), utc_now()

    assert before <= shifted - timedelta(hours=hours) <= after
    assert clock() >= shifted


def test_without_an_offset_the_clock_is_the_machines_own() -> None:
    assert clock_with_offset(timedelta()) is utc_now


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai", "Pacific/Kiritimati"])
def test_the_hosts_zone_makes_no_difference(zone: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _SAY_NOW], env=child_environment(TZ=zone), capture_output=True, text=True, check=True
    )

    found = datetime.fromisoformat(said.stdout.strip())
    assert found.utcoffset() == timedelta()
    assert timedelta() <= datetime.now(UTC) - found < timedelta(minutes=1)


def test_running_seconds_never_go_back() -> None:
    found = [seconds_running() for _ in range(1000)]

    assert found == sorted(found)


def test_ids_are_uuid7_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1000)]

    assert {one.version for one in ids} == {7}
    assert ids == sorted(set(ids))
    assert new_id_text() > str(ids[-1])
