"""Recordings named as evidence: an unknown one opens nothing, and takes no protection from anybody."""

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import Engine, insert, update
from starlette.testclient import TestClient

from infra.ids import new_id
from recordings.tables import disposals, recordings
from services.api.do_not_call import BlockAnswer
from tests.conftest import NOON
from tests.recordings.archive_rows import add_recording
from tests.services.documented import as_documented

ClientFor = Callable[..., TestClient]
UNKNOWN = ["01a20960-4a56-73d0-b2d4-88bed749ba2c", "r-1", "号码 1"]
PHONE = "138 0013 8000"
SLOT = {"phone": PHONE, "from": "2026-11-23T22:00:00+08:00", "to": "2026-11-23T23:00:00+08:00"}


@pytest.fixture
def known(engine: Engine) -> UUID:
    with engine.begin() as connection:
        return add_recording(connection)


@pytest.fixture
def disposed(engine: Engine, known: UUID) -> UUID:
    disposal = {"disposal_id": new_id(), "reason": "over", "requested_by": "officer", "approved_by": "officer2"}
    with engine.begin() as connection:
        connection.execute(insert(disposals).values(**disposal, certificate={}, approved_at=NOON))
        gone = {"disposal_id": disposal["disposal_id"], "disposed_at": NOON}
        connection.execute(update(recordings).where(recordings.c.recording_id == known).values(**gone))
    return known


def test_a_callback_on_a_recording_that_is_here_is_taken(client_for: ClientFor, known: UUID) -> None:
    evidence = {"recording_id": str(known), "offset_ms": 5}

    answer = client_for("dialer").post("/v1/callback-requests", json={**SLOT, "evidence": evidence})

    assert (answer.status_code, answer.json()["evidence"]) == (201, evidence)


@pytest.mark.parametrize("named", UNKNOWN)
def test_a_callback_on_an_unknown_recording_is_refused(client_for: ClientFor, named: str) -> None:
    body = {**SLOT, "evidence": {"recording_id": named, "document": "d-1"}}

    answer = client_for("dialer").post("/v1/callback-requests", json=body)

    [error] = answer.json()["errors"]
    assert (answer.status_code, error["loc"]) == (422, "evidence.recording_id")
    assert "no such recording" in error["msg"]


def test_a_callback_on_a_recording_that_nobody_can_hear_any_more_is_refused(
    client_for: ClientFor, disposed: UUID
) -> None:
    body = {**SLOT, "evidence": {"recording_id": str(disposed)}}

    answer = client_for("dialer").post("/v1/callback-requests", json=body)

    assert answer.status_code == 422
    assert "disposed of" in answer.json()["errors"][0]["msg"]


def test_a_release_on_an_unknown_recording_is_refused(client_for: ClientFor, known: UUID) -> None:
    officer = client_for("officer")
    entry_id = officer.post("/v1/do-not-call", json={"phone": PHONE}).json()["entry_id"]
    url = f"/v1/do-not-call/{entry_id}/release"
    asked = [{"reason": "r", "evidence": {"recording_id": named}} for named in (UNKNOWN[0], str(known))]

    refused, taken = (officer.post(url, json=body) for body in asked)

    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, "evidence.recording_id")
    assert taken.status_code == 202


@pytest.mark.parametrize("named", UNKNOWN)
def test_a_refusal_with_an_unknown_recording_blocks_all_the_same_and_says_so(client_for: ClientFor, named: str) -> None:
    body = {"phone": PHONE, "evidence": {"recording_id": named}}

    answer = client_for("dialer").post("/v1/do-not-call", json=body)

    assert answer.status_code == 201
    assert as_documented(BlockAnswer, answer.json()) == answer.json()
    assert [one["code"] for one in answer.json()["warnings"]] == ["evidence_not_found"]


def test_a_refusal_with_a_recording_that_is_here_has_no_warning(client_for: ClientFor, known: UUID) -> None:
    body = {"phone": PHONE, "evidence": {"recording_id": str(known)}}

    assert client_for("dialer").post("/v1/do-not-call", json=body).json()["warnings"] == []
