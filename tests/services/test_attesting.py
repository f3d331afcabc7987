"""Who attests, by the settings; the worker's task that asks them; and what readiness, metrics and checkpoint show."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from compliance.ledger_attestations import AttestationKind, read_attestations
from compliance.ledger_keys import read_public_keys
from compliance.ledger_reading import latest_checkpoint, read_origin
from compliance.ledger_runs import seal_waiting
from infra.application_role import application_url
from infra.clock import seconds_running, utc_now
from infra.ids import new_id
from infra.settings import Settings
from services.api.ledger import CheckpointAnswer
from services.app import create_app
from services.attesting import (
    ATTEST,
    NOBODY,
    AttesterSettingsError,
    attester_names,
    read_attesters,
)
from services.tasks import Worker, attest
from services.tokens import Role, create_token
from services.worker import make_worker_app
from tests.compliance.ledger_rows import write_entries
from tests.compliance.time_stamp_authority import Authority, Chain, time_stamp_authority
from tests.compliance.witness_server import WitnessServer, witness_server
from tests.infra.raw_server import raw_server, says_and_hangs
from tests.services.documented import as_documented
from tests.services.processes import finished

CHAIN = Chain()
KEY_TEXT = WitnessServer().key_text


@pytest.fixture
def witness() -> Iterator[WitnessServer]:
    with witness_server() as running:
        yield running


@pytest.fixture
def authority() -> Iterator[Authority]:
    with time_stamp_authority(chain=CHAIN) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, witness: WitnessServer, authority: Authority) -> Settings:
    return Settings(
        data_dir=tmp_path,
        broker_url="memory://",
        witness_url=witness.url,
        witness_key=witness.key_text,
        timestamp_url=authority.url,
        timestamp_roots=CHAIN.write_root(tmp_path / "roots.pem"),
    )


def attested(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {one.kind: one.size for one in read_attestations(connection)}


def seal(engine: Engine, settings: Settings, database: str, witness: WitnessServer) -> int:
    """Seal as the worker does, and tell the witness which key signs."""
    with engine.begin() as connection:
        write_entries(connection, 3)
    make_worker_app(settings, database_url=application_url(database)).tasks["telesales.seal"]()
    with engine.connect() as connection:
        newest, origin = latest_checkpoint(connection), read_origin(connection)
    witness.logs[origin] = read_public_keys(settings.data_dir)[0].verifier.text()
    assert newest is not None
    return newest.size


def test_nobody_is_asked_unless_the_settings_say_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    assert read_attesters(settings) == NOBODY
    assert attester_names(settings) == {}


def test_attestations_are_kept_under_the_key_s_name_and_the_host(settings: Settings) -> None:
    found = read_attesters(settings)

    assert attester_names(settings) == {"witness": "witness.example/w1", "timestamp": "127.0.0.1"}
    assert found.witness is not None
    assert found.authority is not None
    assert (found.witness.key.text(), found.authority.name) == (KEY_TEXT, "127.0.0.1")
    assert found.authority.roots == (CHAIN.root,)


def test_a_password_in_the_address_is_no_part_of_the_name(settings: Settings) -> None:
    with_password = settings.model_copy(update={"timestamp_url": "https://me:secret@TSA.example:8443/stamp"})

    assert attester_names(with_password)[AttestationKind.TIMESTAMP] == "tsa.example"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"witness_key": KEY_TEXT.replace("+", "+0", 1)}, "WITNESS_KEY", id="another hash"),
        pytest.param(
            {"witness_key": "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"}, "is 4", id="kind"
        ),
        pytest.param({"timestamp_roots": Path("/nowhere/roots.pem")}, "No such file", id="no file"),
        pytest.param({"timestamp_roots": Path("/")}, "TIMESTAMP_ROOTS / cannot be used", id="a directory"),
        pytest.param({"timestamp_roots": Path(__file__)}, "no certificates in PEM", id="no certificates"),
    ],
)
def test_what_cannot_be_used_is_named_at_the_start(settings: Settings, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(AttesterSettingsError, match=said):
        read_attesters(settings.model_copy(update=changed))


@pytest.mark.parametrize("command", ["worker", "run"])
def test_a_bad_key_of_a_witness_ends_the_start_with_2(tmp_path: Path, command: str) -> None:
    key = KEY_TEXT.replace(KEY_TEXT.split("+")[1], "00000000")
    ended = finished(command, DATA_DIR=tmp_path, WITNESS_URL="http://127.0.0.1:1", WITNESS_KEY=key)

    assert ended.returncode == 2
    assert "WITNESS_KEY cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_task_has_the_newest_checkpoint_attested_by_both(
    engine: Engine, database: str, settings: Settings, witness: WitnessServer
) -> None:
    size = seal(engine, settings, database, witness)
    application = make_worker_app(settings, database_url=application_url(database))

    application.tasks[ATTEST]()
    application.tasks[ATTEST]()

    assert attested(engine) == {"witness": size, "timestamp": size}
    assert len(witness.asked) == 1


def test_a_lying_witness_does_not_keep_the_authority_from_stamping(
    engine: Engine, database: str, settings: Settings, witness: WitnessServer
) -> None:
    size = seal(engine, settings, database, witness)
    witness.manner = lambda _witness, _body, _honest: (200, b"lies")

    make_worker_app(settings, database_url=application_url(database)).tasks[ATTEST]()

    assert attested(engine) == {"timestamp": size}


def test_sealing_goes_on_while_a_witness_and_an_authority_hang(
    engine: Engine, database: str, settings: Settings, witness: WitnessServer
) -> None:
    size = seal(engine, settings, database, witness)
    with raw_server(says_and_hangs()) as one, raw_server(says_and_hangs()) as other:
        hanging = settings.model_copy(update={"witness_url": one, "timestamp_url": other})
        application = make_worker_app(hanging, database_url=application_url(database))
        with engine.begin() as connection:
            write_entries(connection, 5)
        began = seconds_running()
        application.tasks[ATTEST]()
        taken = seconds_running() - began

    with engine.connect() as connection:
        newest = latest_checkpoint(connection)
    assert newest is not None
    assert newest.size >= size + 5
    assert taken < 10


def test_a_database_that_is_away_is_no_error_of_the_task(tmp_path: Path, settings: Settings) -> None:
    application = make_worker_app(settings, database_url=f"postgresql://postgres@/none?host={tmp_path}")

    application.tasks[ATTEST]()


def client_of(settings: Settings, database: str, engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(settings, database_url=application_url(database), clock=utc_now)) as client:
        with engine.begin() as connection:
            token = create_token(connection, token_id=new_id(), role=Role.AUDITOR, owner="a", now=utc_now())
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@pytest.fixture
def client(settings: Settings, database: str, engine: Engine) -> Iterator[TestClient]:
    yield from client_of(settings, database, engine)


@pytest.fixture
def unattested(settings: Settings, database: str, engine: Engine) -> Iterator[TestClient]:
    """A client of a process whose settings name nobody who attests."""
    nobody = dict.fromkeys(("witness_url", "witness_key", "timestamp_url", "timestamp_roots"))
    yield from client_of(settings.model_copy(update=nobody), database, engine)


METERS = ("telesales_ledger_last_witnessed_timestamp_seconds", "telesales_ledger_last_timestamped_timestamp_seconds")


def meters(client: TestClient) -> list[float]:
    lines = dict(one.rsplit(" ", 1) for one in client.get("/metrics").text.splitlines() if not one.startswith("#"))
    return [float(lines[name]) for name in METERS]


def shown_times(client: TestClient) -> list[object]:
    figures = client.get("/readyz").json()["ledger"]
    return [figures["last_witnessed_at"], figures["last_timestamped_at"]]


def test_readiness_and_metrics_tell_when_it_was_last_attested(
    engine: Engine,
    database: str,
    settings: Settings,
    witness: WitnessServer,
    client: TestClient,
    unattested: TestClient,
) -> None:
    seal(engine, settings, database, witness)
    before, meters_before = shown_times(client), meters(client)
    began = utc_now().timestamp()

    make_worker_app(settings, database_url=application_url(database)).tasks[ATTEST]()

    assert (before, meters_before) == ([None, None], [0, 0])
    assert all(str(one).endswith("+08:00") for one in shown_times(client))
    assert all(began <= one <= utc_now().timestamp() for one in meters(client))
    assert (shown_times(unattested), meters(unattested)) == ([None, None], [0, 0])


def test_a_witness_that_disagrees_does_not_turn_readiness_red(
    engine: Engine, database: str, settings: Settings, witness: WitnessServer, client: TestClient
) -> None:
    seal(engine, settings, database, witness)
    witness.manner = lambda _witness, _body, _honest: (409, b"1000000\n")

    make_worker_app(settings, database_url=application_url(database)).tasks[ATTEST]()

    assert client.get("/readyz").status_code == 200
    [incident] = client.get("/v1/incidents?kind=ledger_witness").json()["items"]
    detailed = client.get(f"/v1/incidents/{incident['incident_id']}").json()
    assert detailed["details"]["fault"] == "larger_tree"


def test_the_checkpoint_comes_with_the_newest_attestations_and_the_notes_they_are_about(
    engine: Engine, database: str, settings: Settings, witness: WitnessServer, client: TestClient
) -> None:
    seal(engine, settings, database, witness)
    none = client.get("/v1/ledger/checkpoint").json()
    application = make_worker_app(settings, database_url=application_url(database))
    application.tasks[ATTEST]()
    stamped = client.get("/v1/ledger/checkpoint").json()
    seal(engine, settings, database, witness)
    application.tasks[ATTEST]()
    newest = seal(engine, settings, database, witness)

    shown = client.get("/v1/ledger/checkpoint").json()

    assert as_documented(CheckpointAnswer, shown) == shown
    assert none["attestations"] == []
    assert shown["size"] == newest
    by_kind = {one["kind"]: one for one in shown["attestations"]}
    assert [one["kind"] for one in shown["attestations"]] == ["timestamp", "witness"]
    assert (by_kind["witness"]["name"], by_kind["witness"]["at"]) == (
        "witness.example/w1",
        "2026-11-23T12:00:05+08:00",
    )
    assert by_kind["timestamp"]["size"] == stamped["size"] < by_kind["witness"]["size"] < newest
    assert by_kind["timestamp"]["note"] == stamped["note"]
    assert base64.b64decode(by_kind["witness"]["content"]) == witness.answered[-1][1]


def test_a_worker_without_attesters_asks_nobody(engine: Engine, tmp_path: Path) -> None:
    worker = Worker(engine, clock=utc_now, data_dir=tmp_path, owns_broker=False, runners={})
    with engine.begin() as connection:
        write_entries(connection, 1)
    seal_waiting(worker.ledger)

    attest(worker)

    assert attested(engine) == {}
