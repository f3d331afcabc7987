"""Inspections over HTTP: in the order of their deadlines, to who may have them, heard before they count."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine

from tests.conftest import NOON, SettableClock
from tests.gate_facts import write_registers
from tests.qa_sampling.inspection_desk import (
    DUE,
    add_agent,
    add_inspection,
    add_recording,
    add_sale,
    add_scorecard,
    open_inspection,
    recording_of,
    reports_of,
)

ClientFor = Callable[..., httpx2.Client]


@pytest.fixture
def inspector(client_for: ClientFor) -> httpx2.Client:
    return client_for("inspector")


def added(engine: Engine, policy_no: str = "P-1", **values: Any) -> UUID:
    with engine.begin() as connection:
        return add_inspection(connection, policy_no, **values)


def recorded(engine: Engine, policy_no: str = "P-1") -> str:
    with engine.begin() as connection:
        return str(recording_of(connection, policy_no))


def listened(client: httpx2.Client, inspection_id: object, recording_id: str, *spans: list[int]) -> httpx2.Response:
    body = {"recording_id": recording_id, "intervals_ms": list(spans)}
    return client.post(f"/v1/inspections/{inspection_id}/listened", json=body)


def test_the_list_is_in_the_order_of_the_deadlines(engine: Engine, inspector: httpx2.Client) -> None:
    added(engine, "P-2", inspect_before=DUE + timedelta(days=1))
    added(engine, "P-3", inspect_before=DUE)
    added(engine, "P-1", inspect_before=DUE + timedelta(days=2))

    items = inspector.get("/v1/inspections", params={"state": "open"}).json()["items"]

    assert [one["policy_no"] for one in items] == ["P-3", "P-2", "P-1"]
    assert "scorecard" not in items[0]


def test_the_list_can_be_asked_by_policy_centre_and_state(engine: Engine, inspector: httpx2.Client) -> None:
    added(engine, "P-1")
    added(engine, "P-2", centre_id="centre-2")

    def policies(**query: str) -> list[str]:
        return [one["policy_no"] for one in inspector.get("/v1/inspections", params=query).json()["items"]]

    assert policies(policy_no="P-2") == ["P-2"]
    assert policies(centre_id="centre-1") == ["P-1"]
    assert policies(state="claimed") == []
    assert policies() == ["P-1", "P-2"]


def test_an_inspection_shows_what_there_is_to_hear_and_to_judge(engine: Engine, inspector: httpx2.Client) -> None:
    inspection_id = added(engine)

    shown = inspector.get(f"/v1/inspections/{inspection_id}").json()

    assert shown["inspection_id"] == str(inspection_id)
    assert (shown["state"], shown["claimed_by"], shown["origin"]) == ("open", None, "draw")
    assert (shown["due_before"], shown["due_basis"]) == ("2026-12-06T00:00:00+08:00", "closing_day")
    assert (shown["class"], shown["sales_mode"], shown["centre_id"]) == ("over_1y", "own_centre", "centre-1")
    assert shown["closed_on"] == "2026-11-20"
    assert shown["keep_through"] == "2056-11-20"
    assert shown["recordings"][0]["recording_id"] == recorded(engine)
    assert (shown["recordings"][0]["duration_ms"], shown["recordings"][0]["coverage_bp"]) == (60_000, 0)
    assert shown["scorecard"]["version"] >= 1
    assert set(shown["scorecard"]["items"][0]) >= {"item_id", "text", "article", "fatal", "weight"}


def test_an_unknown_inspection_is_404(inspector: httpx2.Client) -> None:
    nobodys = "01a20951-105f-70d7-b2ae-2a5916dca676"

    assert inspector.get(f"/v1/inspections/{nobodys}").status_code == 404
    assert inspector.post(f"/v1/inspections/{nobodys}/claim").status_code == 404
    assert listened(inspector, nobodys, nobodys, [0, 1]).status_code == 404


def test_claiming_gives_the_earliest_and_then_nothing(engine: Engine, inspector: httpx2.Client) -> None:
    added(engine, "P-2", inspect_before=DUE + timedelta(days=1))
    first = added(engine, "P-1")

    answers = [inspector.post("/v1/inspections/claim") for _ in range(3)]

    assert [one.status_code for one in answers] == [200, 200, 204]
    assert answers[0].json()["inspection_id"] == str(first)
    assert (answers[0].json()["state"], answers[0].json()["claimed_by"]) == ("claimed", "inspector")
    assert answers[0].json()["claim_expires_at"] == "2026-11-23T20:00:00+08:00"


def test_overdue_inspections_come_after_those_in_time(
    engine: Engine, inspector: httpx2.Client, clock: SettableClock
) -> None:
    added(engine, "P-over", inspect_before=NOON)
    added(engine, "P-last-moment", inspect_before=NOON + timedelta(milliseconds=1))

    given = [inspector.post("/v1/inspections/claim").json() for _ in range(2)]

    assert [(one["policy_no"], one["overdue"]) for one in given] == [("P-last-moment", False), ("P-over", True)]


def test_a_claim_by_name_is_409_while_an_earlier_one_waits(engine: Engine, inspector: httpx2.Client) -> None:
    later = added(engine, "P-2", inspect_before=DUE + timedelta(days=1))
    first = added(engine, "P-1")

    refused = inspector.post(f"/v1/inspections/{later}/claim")

    assert refused.status_code == 409
    assert str(first) in refused.json()["detail"]
    assert inspector.post(f"/v1/inspections/{first}/claim").status_code == 200
    assert inspector.post(f"/v1/inspections/{later}/claim").status_code == 200


def test_a_claim_of_the_holder_again_changes_nothing(
    engine: Engine, inspector: httpx2.Client, clock: SettableClock
) -> None:
    inspection_id = added(engine)
    first = inspector.post(f"/v1/inspections/{inspection_id}/claim").json()
    clock.advance(timedelta(hours=1))

    assert inspector.post(f"/v1/inspections/{inspection_id}/claim").json() == first


def test_what_another_holds_is_409(engine: Engine, inspector: httpx2.Client, client_for: ClientFor) -> None:
    inspection_id = added(engine)
    inspector.post("/v1/inspections/claim")
    other = client_for("inspector", owner="inspector2")

    assert other.post(f"/v1/inspections/{inspection_id}/claim").status_code == 409
    assert listened(other, inspection_id, recorded(engine), [0, 1]).status_code == 409
    assert other.put(f"/v1/inspections/{inspection_id}/draft", json={"answers": []}).status_code == 409


def test_a_seller_is_403_and_told_why(engine: Engine, inspector: httpx2.Client) -> None:
    inspection_id = added(engine)
    with engine.begin() as connection:
        add_agent(connection, "agent-9", {"user_id": "inspector"})

    refused = inspector.post("/v1/inspections/claim")

    assert refused.status_code == 403
    assert "selling role" in refused.json()["detail"]
    assert inspector.post(f"/v1/inspections/{inspection_id}/claim").status_code == 403


def test_what_was_played_is_merged_and_told(engine: Engine, inspector: httpx2.Client, clock: SettableClock) -> None:
    inspection_id, recording_id = added(engine), recorded(engine)
    inspector.post("/v1/inspections/claim")
    clock.advance(timedelta(seconds=30))

    first = listened(inspector, inspection_id, recording_id, [0, 5000], [4000, 9000])
    again = listened(inspector, inspection_id, recording_id, [0, 5000], [4000, 9000])
    then = listened(inspector, inspection_id, recording_id, [9000, 60_000])

    assert first.status_code == 200
    assert first.json()["covered_ms"] == [[0, 9000]]
    assert first.json()["coverage_bp"] == 1500
    assert again.json() == first.json()
    assert then.json() == {
        "recording_id": recording_id,
        "covered_ms": [[0, 60_000]],
        "coverage_bp": 10_000,
        "missing_ms": [],
    }
    with engine.begin() as connection:
        assert sum(one.added_ms for one in reports_of(connection)) == 60_000


@pytest.mark.parametrize(
    ("spans", "loc"),
    [
        pytest.param([[5000, 0]], "intervals_ms.0", id="reversed"),
        pytest.param([[0, 1], [5, 5]], "intervals_ms.1", id="empty"),
        pytest.param([[-1, 5]], "intervals_ms.0", id="before the beginning"),
        pytest.param([[0, 60_001]], "intervals_ms.0", id="beyond the end"),
        pytest.param([[0, 59_000]], "intervals_ms", id="faster than time"),
        pytest.param([[0, 15_000], [0, 15_000], [0, 15_000]], "intervals_ms", id="three times at once"),
    ],
)
def test_what_cannot_have_been_heard_is_422_and_nothing_counts(
    engine: Engine, inspector: httpx2.Client, clock: SettableClock, spans: list[list[int]], loc: str
) -> None:
    inspection_id, recording_id = added(engine), recorded(engine)
    inspector.post("/v1/inspections/claim")
    clock.advance(timedelta(seconds=20))

    refused = listened(inspector, inspection_id, recording_id, *spans)

    assert refused.status_code == 422
    assert [one["loc"] for one in refused.json()["errors"]] == [loc]
    with engine.begin() as connection:
        assert reports_of(connection) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"intervals_ms": []}, id="no intervals"),
        pytest.param({"intervals_ms": [[0, 1]] * 1001}, id="too many"),
        pytest.param({"intervals_ms": [[0]]}, id="half an interval"),
        pytest.param({"intervals_ms": [[0, 1, 2]]}, id="three ends"),
        pytest.param({"intervals_ms": [[0, 1.5]]}, id="a fraction"),
        pytest.param({"intervals_ms": [[0, True]]}, id="a truth"),
        pytest.param({"intervals_ms": [[0, "1"]]}, id="a text"),
        pytest.param({"intervals_ms": [[0, 10**30]]}, id="beyond all"),
        pytest.param({"intervals_ms": [[0, 1]], "coverage_bp": 10_000}, id="a field of its own"),
    ],
)
def test_a_report_of_another_form_is_422(engine: Engine, inspector: httpx2.Client, body: dict[str, Any]) -> None:
    inspection_id, recording_id = added(engine), recorded(engine)
    inspector.post("/v1/inspections/claim")
    path = f"/v1/inspections/{inspection_id}/listened"

    assert inspector.post(path, json={"recording_id": recording_id, **body}).status_code == 422


def test_a_recording_of_another_sale_is_422(engine: Engine, inspector: httpx2.Client, clock: SettableClock) -> None:
    inspection_id = added(engine)
    inspector.post("/v1/inspections/claim")
    added(engine, "P-2")
    clock.advance(timedelta(minutes=1))

    refused = listened(inspector, inspection_id, recorded(engine, "P-2"), [0, 1000])

    assert refused.status_code == 422
    assert [one["loc"] for one in refused.json()["errors"]] == ["recording_id"]


def test_listening_to_two_at_once_does_not_pay(engine: Engine, inspector: httpx2.Client, clock: SettableClock) -> None:
    first, second = added(engine, "P-1"), added(engine, "P-2")
    inspector.post("/v1/inspections/claim")
    inspector.post("/v1/inspections/claim")
    clock.advance(timedelta(seconds=30))

    assert listened(inspector, first, recorded(engine, "P-1"), [0, 60_000]).status_code == 200
    refused = listened(inspector, second, recorded(engine, "P-2"), [0, 1])
    clock.advance(timedelta(seconds=30))

    assert refused.status_code == 422
    assert listened(inspector, second, recorded(engine, "P-2"), [0, 60_000]).status_code == 200


def test_a_recording_that_arrives_after_the_claim_must_be_heard_too(
    engine: Engine, inspector: httpx2.Client, clock: SettableClock
) -> None:
    inspection_id = added(engine)
    inspector.post("/v1/inspections/claim")
    clock.advance(timedelta(minutes=1))
    listened(inspector, inspection_id, recorded(engine), [0, 60_000])

    with engine.begin() as connection:
        late = add_recording(connection, policy_no="P-1", seconds=10)

    shown = inspector.get(f"/v1/inspections/{inspection_id}").json()["recordings"]
    assert {one["recording_id"]: one["coverage_bp"] for one in shown} == {recorded(engine): 10_000, str(late): 0}


def test_the_draft_is_kept_and_shown_to_the_holder_alone(
    engine: Engine, inspector: httpx2.Client, client_for: ClientFor
) -> None:
    inspection_id = added(engine)
    inspector.post("/v1/inspections/claim")
    path = f"/v1/inspections/{inspection_id}"
    draft = {"answers": [{"item_id": "consent", "answer": "fail", "at_ms": 9, "note": "没有询问"}], "comment": "…"}

    kept = inspector.put(f"{path}/draft", json=draft)

    assert kept.status_code == 200
    answer = inspector.get(path).json()["draft"]["answers"][0]
    assert (answer["answer"], answer["note"]) == ("fail", "没有询问")
    assert client_for("inspector", owner="inspector2").get(path).json()["draft"] is None
    assert client_for("officer").get(path).json()["draft"] is None


def test_a_draft_with_a_nul_is_422(engine: Engine, inspector: httpx2.Client) -> None:
    inspection_id = added(engine)
    inspector.post("/v1/inspections/claim")

    refused = inspector.put(f"/v1/inspections/{inspection_id}/draft", json={"comment": "a\0b"})

    assert refused.status_code == 422


def test_a_claim_that_is_over_gives_the_work_to_others_and_back_with_what_was_done(
    engine: Engine, inspector: httpx2.Client, client_for: ClientFor, clock: SettableClock
) -> None:
    inspection_id, recording_id = added(engine), recorded(engine)
    path = f"/v1/inspections/{inspection_id}"
    inspector.post("/v1/inspections/claim")
    clock.advance(timedelta(seconds=30))
    listened(inspector, inspection_id, recording_id, [0, 30_000])
    inspector.put(f"{path}/draft", json={"comment": "half"})
    clock.advance(timedelta(hours=8))

    assert listened(inspector, inspection_id, recording_id, [30_000, 60_000]).status_code == 409
    other = client_for("inspector", owner="inspector2")
    assert other.post("/v1/inspections/claim").json()["recordings"][0]["coverage_bp"] == 0
    clock.advance(timedelta(hours=8))

    again = inspector.post("/v1/inspections/claim").json()
    assert again["draft"]["comment"] == "half"
    assert again["recordings"][0]["covered_ms"] == [[0, 30_000]]


def test_reports_let_the_claim_last(engine: Engine, inspector: httpx2.Client, clock: SettableClock) -> None:
    inspection_id, recording_id = added(engine), recorded(engine)
    inspector.post("/v1/inspections/claim")
    clock.advance(timedelta(hours=7))
    listened(inspector, inspection_id, recording_id, [0, 1000])

    shown = inspector.get(f"/v1/inspections/{inspection_id}").json()

    assert shown["claim_expires_at"] == "2026-11-24T03:00:00+08:00"


def test_a_sale_without_a_recording_has_nothing_to_hear(engine: Engine, inspector: httpx2.Client) -> None:
    with engine.begin() as connection:
        add_scorecard(connection)
        add_sale(connection)
        open_inspection(connection)

    assert inspector.post("/v1/inspections/claim").json()["recordings"] == []


def test_the_same_key_gives_the_same_inspection(engine: Engine, inspector: httpx2.Client) -> None:
    added(engine, "P-1")
    added(engine, "P-2")
    headers = {"Idempotency-Key": "one"}

    first, again = (inspector.post("/v1/inspections/claim", headers=headers) for _ in range(2))

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"


def test_an_inspector_who_turned_seller_inspects_nothing_until_a_month_after_that_ended(
    engine: Engine, inspector: httpx2.Client, client_for: ClientFor, clock: SettableClock
) -> None:
    added(engine, inspect_before=DUE + timedelta(days=90))
    admin = client_for("admin")
    with engine.begin() as connection:
        write_registers(connection)
    agent = admin.post("/v1/agents", json={"name": "示例", "centre_id": "centre-1", "user_id": "inspector"}).json()
    sells = inspector.post("/v1/inspections/claim")
    admin.patch(f"/v1/agents/{agent['agent_id']}", json={"user_id": None}).raise_for_status()
    clock.advance(timedelta(days=30))
    rests = inspector.post("/v1/inspections/claim")
    clock.advance(timedelta(days=2))

    assert (sells.status_code, rests.status_code) == (403, 403)
    assert "from 2026-12-25 on" in rests.json()["detail"]
    assert inspector.post("/v1/inspections/claim").status_code == 200


def test_a_supervisor_of_the_seller_is_given_the_next_one(
    engine: Engine, inspector: httpx2.Client, client_for: ClientFor
) -> None:
    added(engine, "P-1")
    added(engine, "P-2", agent_id="agent-2")
    admin = client_for("admin")
    with engine.begin() as connection:
        write_registers(connection)
    admin.patch("/v1/agents/agent-1", json={"supervisor_user_id": "inspector"}).raise_for_status()

    assert inspector.post("/v1/inspections/claim").json()["policy_no"] == "P-2"
    assert inspector.post("/v1/inspections/claim").status_code == 204
