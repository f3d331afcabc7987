"""A recording from its upload to its end, first copy in a bucket with Object Lock: what the API and the tasks do."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from infra.settings import Settings
from recordings.copy_rows import Keeping
from services.archive_care import restore_copies, verify_copies
from services.archive_clock import apply_locks_if_possible, sweep_retention_if_possible
from services.archive_places import keeping_in, open_places
from tests.conftest import ClientFor, SettableClock
from tests.gate_facts import write_registers
from tests.lock_bucket import LockVersion
from tests.recordings.desk import METADATA, stereo
from tests.s3_simulator import Fault, Simulator, s3_simulator
from tests.sale_bodies import SALE

KEPT_UNTIL = datetime(2036, 11, 23, 16, tzinfo=UTC)
"""Ten years after the contract ended on the 23rd, its own day not counted, midnight in Shanghai."""

TEN_YEARS = timedelta(days=3660)
LISTEN = {"purpose": "inspection"}


@pytest.fixture
def simulator(credentials: None) -> Iterator[Simulator]:
    with s3_simulator() as made:
        yield made


@pytest.fixture
def app_settings(simulator: Simulator, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, recordings_url=simulator.place(), recordings_copy_url=str(tmp_path / "disk"))


@dataclass(frozen=True, slots=True)
class House:
    """The service with its worker, the bucket behind it, and the sound that is sent."""

    client_for: ClientFor
    keeping: Keeping
    simulator: Simulator
    clock: SettableClock
    disk: Path
    sound: bytes

    def send(self) -> httpx2.Response:
        files = {"file": ("call.wav", self.sound, "audio/wav")}
        return self.client_for("dialer").post("/v1/recordings", files=files, data={"metadata": json.dumps(METADATA)})

    def sell(self) -> None:
        assert self.client_for("officer").post("/v1/sales", json=SALE).status_code == 201

    def end_the_contract(self) -> None:
        body = {"ended_on": "2026-11-23", "reason": "surrendered"}
        assert self.client_for("officer").post("/v1/sales/P-1/termination", json=body).status_code == 200

    def key(self) -> str:
        """Return the one key of a recording; the others are those of the probe."""
        [found] = [key for key in self.simulator.bucket.keys if "/probe/" not in key]
        return found

    def versions(self) -> list[LockVersion]:
        return self.simulator.bucket.keys[self.key()]

    def on_disk(self) -> Path:
        return next(path for path in self.disk.rglob("*+*") if not path.name.endswith(".jsonl"))

    def get(self, path: str, role: str = "inspector", **headers: str) -> httpx2.Response:
        return self.client_for(role).get(path, params=LISTEN, headers=headers)

    def verify(self, recording_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client_for("officer").post(f"/v1/recordings/{recording_id}/verify").json()
        return found

    def advance(self, by: timedelta) -> None:
        self.clock.advance(by)
        self.simulator.ahead += by


@pytest.fixture
def house(
    client_for: ClientFor,
    app_settings: Settings,
    engine: Engine,
    clock: SettableClock,
    simulator: Simulator,
    tmp_path: Path,
) -> Iterator[House]:
    with engine.begin() as connection:
        write_registers(connection)
    places = open_places(app_settings, clock=clock)
    keeping = keeping_in(places, engine, clock)
    sound = stereo(tmp_path / "call.wav").read_bytes()
    yield House(client_for, keeping, simulator, clock, tmp_path / "disk", sound)
    places.close()


@pytest.fixture
def recording_id(house: House) -> str:
    """A recording of a sale, in both stores."""
    house.sell()
    found: str = house.send().json()["recording_id"]
    restore_copies(house.keeping)
    return found


def ask_to_dispose(house: House, recording_id: str) -> httpx2.Response:
    body = {"recording_ids": [recording_id], "reason": "over"}
    return house.client_for("officer").post("/v1/disposals", json=body)


def approve(house: House, asked: httpx2.Response) -> httpx2.Response:
    second = house.client_for("officer", owner="officer2")
    return second.post(f"/v1/approvals/{asked.json()['request_id']}", json={})


def test_it_lies_in_the_bucket_under_hold_and_is_heard_in_ranges(house: House, recording_id: str) -> None:
    heard = house.get(f"/v1/recordings/{recording_id}/audio", Range="bytes=100-199")

    assert (heard.status_code, heard.content) == (206, house.sound[100:200])
    assert [(one.body, one.is_held, one.mode) for one in house.versions()] == [(house.sound, True, None)]
    assert house.on_disk().read_bytes() == house.sound


def test_the_end_of_the_contract_locks_it_in_compliance_and_then_lifts_the_hold(
    house: House, recording_id: str
) -> None:
    house.end_the_contract()

    apply_locks_if_possible(house.keeping)

    assert [(one.is_held, one.mode, one.until) for one in house.versions()] == [(False, "COMPLIANCE", KEPT_UNTIL)]
    shown = house.client_for("officer").get(f"/v1/recordings/{recording_id}").json()
    assert {one["retain_until"] for one in shown["copies"]} == {"2036-11-24T00:00:00+08:00"}
    assert house.verify(recording_id)["ok"] is True


@pytest.mark.parametrize("fault", [Fault.FAILS, Fault.NO_LOCK, Fault.OTHER_DATE])
def test_a_bucket_that_errs_while_it_locks_keeps_the_hold_until_it_does_as_it_is_told(
    house: House, recording_id: str, fault: Fault
) -> None:
    house.end_the_contract()
    house.simulator.fails(fault, "lock")
    apply_locks_if_possible(house.keeping)
    assert [one.is_held for one in house.versions()] == [True]
    house.simulator.fails(Fault.NONE)

    apply_locks_if_possible(house.keeping)

    assert [(one.is_held, one.until) for one in house.versions()] == [(False, KEPT_UNTIL)]


@pytest.mark.parametrize("fault", [Fault.FAILS, Fault.NO_LOCK, Fault.FORGETS, Fault.OTHER_CHECKSUM])
def test_what_the_bucket_does_not_keep_is_not_acknowledged_and_the_repeat_is_one_recording(
    house: House, fault: Fault
) -> None:
    house.simulator.fails(fault, "put")
    refused = house.send()
    house.simulator.fails(Fault.NONE)
    repeated, again = house.send(), house.send()

    assert (refused.status_code, repeated.status_code, again.status_code) == (503, 201, 200)
    assert repeated.json()["recording_id"] == again.json()["recording_id"]


def overwrite(house: House) -> None:
    house.versions()[0].body = b"noise"


def take_away(house: House) -> None:
    house.simulator.bucket.keys.clear()


def cut_on_disk(house: House) -> None:
    path = house.on_disk()
    path.chmod(0o600)
    path.write_bytes(house.sound[:-1])


def remove_on_disk(house: House) -> None:
    house.on_disk().unlink()


@pytest.mark.parametrize("tamper", [overwrite, take_away, cut_on_disk, remove_on_disk])
def test_a_copy_that_was_tampered_with_is_found_by_the_task_told_and_mended(
    house: House, recording_id: str, tamper: Callable[[House], None]
) -> None:
    tamper(house)
    house.advance(timedelta(days=91))

    verify_copies(house.keeping, bytes_per_second=10**9)

    assert house.verify(recording_id)["ok"] is True
    assert house.versions()[-1].body == house.on_disk().read_bytes() == house.sound
    incidents = house.client_for("officer").get("/v1/incidents", params={"kind": "fixity"}).json()["items"]
    assert [one["kind"] for one in incidents] == ["fixity"]


@pytest.mark.parametrize("fault", [Fault.FAILS, Fault.CUT])
def test_a_bucket_that_errs_while_copies_are_verified_is_no_damage(
    house: House, recording_id: str, fault: Fault
) -> None:
    house.simulator.fails(fault, "get")

    found = house.verify(recording_id)

    assert [one["finding"] for one in found["copies"]] == ["away", "good"]
    assert (found["repaired"], found["incident_id"]) == (False, None)


def test_a_hold_that_somebody_cleared_is_told_and_put_back(house: House, recording_id: str) -> None:
    house.versions()[0].is_held = False

    found = house.verify(recording_id)
    apply_locks_if_possible(house.keeping)

    assert [one["weaknesses"] for one in found["copies"]] == [["hold_lifted"], []]
    assert house.versions()[0].is_held


def test_under_a_delete_marker_it_is_heard_and_the_marker_is_taken_away(house: House, recording_id: str) -> None:
    house.simulator.bucket.delete(house.key(), None, now=house.simulator.now())

    heard = house.get(f"/v1/recordings/{recording_id}/audio")
    found = house.verify(recording_id)

    assert (heard.status_code, heard.content) == (200, house.sound)
    assert found["copies"][0]["weaknesses"] == ["hidden"]
    assert [one.body for one in house.versions()] == [house.sound]


@pytest.mark.parametrize("fault", [Fault.FAILS, Fault.CUT, Fault.SHORTER])
def test_while_the_bucket_errs_it_is_heard_from_the_disk(house: House, recording_id: str, fault: Fault) -> None:
    house.simulator.fails(fault, "get", "head")

    heard = house.get(f"/v1/recordings/{recording_id}/audio")

    assert (heard.status_code, heard.content) == (200, house.sound)


def test_after_its_years_two_officers_dispose_of_it_and_no_store_has_any_of_it(
    house: House, recording_id: str, engine: Engine
) -> None:
    house.end_the_contract()
    apply_locks_if_possible(house.keeping)
    early = ask_to_dispose(house, recording_id)
    house.advance(TEN_YEARS)
    sweep_retention_if_possible(engine, house.clock)

    given = approve(house, ask_to_dispose(house, recording_id))
    apply_locks_if_possible(house.keeping)

    assert (early.status_code, given.status_code) == (409, 200)
    assert house.versions() == []
    assert [path for path in house.disk.rglob("*+*") if not path.name.endswith(".jsonl")] == []
    assert house.get(f"/v1/recordings/{recording_id}/audio").status_code == 410
    assert house.send().status_code == 409
