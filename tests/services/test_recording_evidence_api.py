"""Evidence about a recording: checked as a stranger would, with zipfile, sha256sum and the proofs of the ledger."""

import base64
import csv
import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, insert, select

from compliance.merkle import check_inclusion, leaf_hash
from compliance.policy import floor_policy
from compliance.policy_store import store_policy
from compliance.shanghai import shanghai_day
from compliance.tables import audit_events, call_records
from infra.clock import utc_now
from infra.ids import new_id
from recordings.declared_holds import keep_holds
from recordings.disposals import disposal_payload, dispose
from recordings.holds import place_hold
from recordings.retention import refresh
from recordings.tables import disposals, recording_accesses
from tests.conftest import SettableClock
from tests.recordings.archive_rows import add_sale
from tests.recordings.kept_copies import TwoCopies, two_copies

ClientFor = Callable[..., TestClient]
PHONE = 8613800138000


@pytest.fixture
def archive(engine: Engine, clock: SettableClock, tmp_path: Path) -> TwoCopies:
    clock.at = utc_now()  # the ledger goes by the machine's clock
    return two_copies(engine, clock, tmp_path)


@pytest.fixture
def recording_id(archive: TwoCopies) -> UUID:
    """A recording of a call of a sale, with the customer's number, held for a case."""
    now = archive.clock()
    with archive.engine.begin() as connection:
        store_policy(
            connection, floor_policy(on=shanghai_day(now)), policy_id=new_id(), source="floor", now=now - timedelta(1)
        )
        add_sale(connection, "P-1", call_ids=("call-1",))
        call = {"call_id": "call-1", "direction": "outbound", "callee_digits": PHONE, "outcome": "sold"}
        sent = {"content": {"callee": "13800138000"}, "content_digest": b"", "started_at": now, "recorded_at": now}
        connection.execute(insert(call_records).values(**call, **sent, actor="dialer"))
    recording_id = archive.add(b"RIFF voice", call_id="call-1")
    archive.change(recording_id, phone_digits=PHONE)
    with archive.engine.begin() as connection:
        place_hold(connection, recording_id, reason="complaint", case="C-1", person="officer", now=now)
    return recording_id


def ask(client: TestClient, recording_id: UUID, **query: str) -> httpx2.Response:
    return client.get(f"/v1/recordings/{recording_id}/evidence.zip", params={"purpose": "regulator", **query})


def opened(answer: httpx2.Response) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def read(archive: zipfile.ZipFile, name: str) -> Any:
    return json.loads(archive.read(name))


def test_the_sums_are_right_by_sha256sum_itself(client_for: ClientFor, recording_id: UUID, tmp_path: Path) -> None:
    with opened(ask(client_for("officer"), recording_id)) as found:
        names = found.namelist()
        found.extractall(tmp_path / "evidence")

    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"],
        cwd=tmp_path / "evidence",
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == len(names) - 1
    assert set(names) == {
        f"audio/{recording_id}.wav",
        "HOWTO.txt",
        "SHA256SUMS",
        "accesses.csv",
        "checkpoint.txt",
        "copies.json",
        "events.json",
        "holds.json",
        "incidents.json",
        "ledger.json",
        "metadata.json",
        "retention.json",
    }


def test_the_audio_is_the_one_received(client_for: ClientFor, recording_id: UUID) -> None:
    with opened(ask(client_for("auditor"), recording_id)) as found:
        audio = found.read(f"audio/{recording_id}.wav")
        recorded = read(found, "metadata.json")["recording"]

    assert audio == b"RIFF voice"
    assert recorded["sha256"] == hashlib.sha256(audio).hexdigest()


def test_it_tells_how_long_it_is_kept_who_held_it_and_who_listened(client_for: ClientFor, recording_id: UUID) -> None:
    with opened(ask(client_for("officer"), recording_id)) as found:
        retention, holds = read(found, "retention.json"), read(found, "holds.json")
        listeners = list(csv.DictReader(io.StringIO(found.read("accesses.csv").decode("utf-8-sig"))))
        events = read(found, "events.json")

    assert (retention["state"], retention["article"]) == ("held", "35")
    assert retention["contracts"] == [{"policy_no": "P-1", "retention_class": "5y", "ended_on": None}]
    assert [(one["reason"], one["case"]) for one in holds] == [("complaint", "C-1")]
    assert [(one["user"], one["role"], one["purpose"]) for one in listeners] == [("officer", "officer", "regulator")]
    assert events[-1]["kind"] == "evidence_taken"


def test_it_tells_when_the_customer_was_on_hold_and_that_the_ledger_has_it(
    client_for: ClientFor, archive: TwoCopies, recording_id: UUID
) -> None:
    with archive.engine.begin() as connection:
        keep_holds(connection, {recording_id: [(5_000, 9_000), (100, 500)]}, now=archive.clock())

    with opened(ask(client_for("officer"), recording_id)) as found:
        metadata, ledger = read(found, "metadata.json"), read(found, "ledger.json")

    assert metadata["holds_ms"] == [[100, 500], [5_000, 9_000]]
    assert "recording_segments.insert" in {one["kind"] for one in ledger["entries"]}


def test_a_recording_without_a_hold_says_so(client_for: ClientFor, recording_id: UUID) -> None:
    with opened(ask(client_for("officer"), recording_id)) as found:
        assert read(found, "metadata.json")["holds_ms"] == []


def test_numbers_are_masked_unless_an_officer_asks_and_that_is_noted(client_for: ClientFor, recording_id: UUID) -> None:
    officer = client_for("officer")
    officer.post(f"/v1/recordings/{recording_id}/holds", json={"reason": "asked by 13800138000"})
    masked, whole = ask(officer, recording_id), ask(officer, recording_id, unmask="true")

    assert b"13800138000" not in masked.content
    with opened(masked) as found:
        assert read(found, "metadata.json")["recording"]["phone"] == "138****8000"
        assert [one["reason"] for one in read(found, "holds.json")][-1] == "asked by 138****8000"
    with opened(whole) as found:
        assert [one["reason"] for one in read(found, "holds.json")][-1] == "asked by 13800138000"
        assert read(found, "metadata.json")["recording"]["phone"] == "+8613800138000"
        assert read(found, "metadata.json")["call"]["callee"] == "+8613800138000"


def test_unmasking_is_noted_in_the_ledger(client_for: ClientFor, recording_id: UUID, engine: Engine) -> None:
    ask(client_for("officer"), recording_id)
    ask(client_for("officer"), recording_id, unmask="true")

    columns = audit_events.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(columns.subject, columns.actor).where(columns.kind == "evidence_unmasked")
        ).all()
    assert [tuple(one) for one in rows] == [(str(recording_id), "officer")]


@pytest.mark.parametrize("role", ["inspector", "auditor"])
def test_others_than_officers_may_not_unmask(client_for: ClientFor, recording_id: UUID, role: str) -> None:
    assert ask(client_for(role), recording_id, unmask="true").status_code == 403


@pytest.mark.parametrize("query", [{}, {"purpose": "marketing"}])
def test_without_a_purpose_nothing_is_sent_or_noted(
    client_for: ClientFor, recording_id: UUID, engine: Engine, query: dict[str, str]
) -> None:
    answer = client_for("officer").get(f"/v1/recordings/{recording_id}/evidence.zip", params=query)

    assert answer.status_code == 422
    with engine.connect() as connection:
        assert connection.execute(select(recording_accesses)).first() is None


def test_entries_of_the_ledger_are_proven_under_the_signed_checkpoint(
    client_for: ClientFor, recording_id: UUID
) -> None:
    with opened(ask(client_for("officer"), recording_id)) as found:
        ledger, note = read(found, "ledger.json"), found.read("checkpoint.txt").decode()

    _origin, size, root, *_ = note.splitlines()
    assert int(size) == ledger["checkpoint_size"]
    assert {"recordings.insert", "recording_holds.insert", "recording_accesses.insert"} <= {
        one["kind"] for one in ledger["entries"]
    }
    for one in ledger["entries"]:
        check(one, int(size), base64.b64decode(root))


def check(one: dict[str, Any], size: int, root: bytes) -> None:
    """Raise unless the entry is in the tree, as anybody can find out by RFC 9162."""
    path = [bytes.fromhex(step) for step in one["path"]]
    check_inclusion(leaf_hash(one["line"].encode()), one["entry"], size, path, root)


def test_a_damaged_first_copy_is_told_and_the_audio_comes_from_the_second(
    client_for: ClientFor, archive: TwoCopies, recording_id: UUID
) -> None:
    officer = client_for("officer")
    officer.post(f"/v1/recordings/{recording_id}/verify")
    archive.flip(recording_id, "first")

    with opened(ask(officer, recording_id)) as found:
        audio = found.read(f"audio/{recording_id}.wav")
        copies, told = read(found, "copies.json"), read(found, "incidents.json")

    assert audio == b"RIFF voice"
    assert [one["found_now"]["finding"] for one in copies] == ["changed", "good"]
    assert [one["kind"] for one in told] == ["fixity"]


def test_with_both_copies_damaged_there_is_evidence_that_says_so(
    client_for: ClientFor, archive: TwoCopies, recording_id: UUID
) -> None:
    officer = client_for("officer")
    officer.post(f"/v1/recordings/{recording_id}/verify")
    left = hashlib.sha256(archive.flip(recording_id, "first")).hexdigest()
    archive.bytes_path(recording_id, "second").unlink()

    with opened(ask(officer, recording_id)) as found:
        names, copies = found.namelist(), read(found, "copies.json")

    assert not [name for name in names if name.startswith("audio/")]
    assert [one["found_now"]["finding"] for one in copies] == ["changed", "missing"]
    assert copies[0]["found_now"]["sha256"] == left
    assert [one["state"] for one in copies] == ["changed", "missing"]


def test_while_a_store_that_may_have_it_is_away_there_is_no_evidence(
    client_for: ClientFor, archive: TwoCopies, recording_id: UUID
) -> None:
    archive.directory.joinpath("recordings").rename(archive.directory / "away")
    archive.directory.joinpath("recordings").write_text("no directory")

    assert ask(client_for("officer"), recording_id).status_code == 503


def test_what_was_disposed_of_has_its_certificate_and_no_audio(
    client_for: ClientFor, archive: TwoCopies, recording_id: UUID
) -> None:
    disposal_id, now = new_id(), archive.clock()
    row = {"disposal_id": disposal_id, "reason": "time is over", "requested_by": "officer", "approved_by": "officer2"}
    with archive.engine.begin() as connection:
        connection.execute(insert(disposals).values(**row, certificate={"reason": "time is over"}, approved_at=now))
    archive.change(recording_id, disposal_id=disposal_id, disposed_at=now, is_held=False)

    with opened(ask(client_for("officer"), recording_id)) as found:
        names, certificate = found.namelist(), read(found, "certificate.json")

    assert not [name for name in names if name.startswith("audio/")]
    assert certificate["reason"] == "time is over"


def test_the_certificate_tells_what_became_of_each_copy(
    client_for: ClientFor, archive: TwoCopies, recording_id: UUID
) -> None:
    now, expired = archive.clock(), archive.add(b"RIFF old")
    with archive.engine.begin() as connection:
        refresh(connection, [expired], policy=floor_policy(on=shanghai_day(now)), now=now)
        payload = disposal_payload(connection, [expired], reason="time is over", person="officer", now=now)
        dispose(connection, payload, person="officer2", now=now)

    with opened(ask(client_for("officer"), expired)) as found:
        certificate = read(found, "certificate.json")

    assert [one["sha256"] for one in certificate["recordings"]] == [hashlib.sha256(b"RIFF old").hexdigest()]
    assert [(one["recording_id"], one["copy"], one["removed_at"]) for one in certificate["copies"]] == [
        (str(expired), "first", None),
        (str(expired), "second", None),
    ]


def test_an_unknown_recording_is_404(client_for: ClientFor, archive: TwoCopies) -> None:
    assert ask(client_for("officer"), new_id()).status_code == 404


def test_no_bytes_are_left_behind(client_for: ClientFor, archive: TwoCopies, recording_id: UUID) -> None:
    ask(client_for("officer"), recording_id)

    assert list(archive.keeping.staging.iterdir()) == []
