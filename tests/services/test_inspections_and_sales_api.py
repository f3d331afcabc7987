"""An inspection follows its sale while it has no result, and keeps the recordings that it needs."""

from datetime import timedelta
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine, text

from infra.ids import new_id
from qa_sampling.claims import claim_next
from qa_sampling.inspection_tasks import follow_sales, open_drawn
from qa_sampling.listening_reports import report
from recordings.retention import refresh
from services.inspection_clock import bring_deadlines, end_claims
from services.sales_service import archive_follows
from tests.conftest import NOON, ClientFor, SettableClock
from tests.gate_facts import write_registers
from tests.qa_sampling.inspection_desk import add_inspection, add_recording, add_scorecard, set_due
from tests.recordings import archive_rows
from tests.sale_bodies import SALE


@pytest.fixture
def officer(client_for: ClientFor, engine: Engine) -> httpx2.Client:
    with engine.begin() as connection:
        write_registers(connection)
        add_scorecard(connection)
    return client_for("officer")


def sold(officer: httpx2.Client, engine: Engine, **facts: object) -> UUID:
    officer.post("/v1/sales", json={**SALE, "consented_at": "2026-11-20T10:00:00+08:00", **facts}).raise_for_status()
    with engine.begin() as connection:
        return open_drawn(connection, ["P-1"], now=NOON)["P-1"]


def received(officer: httpx2.Client, day: str) -> None:
    officer.patch("/v1/sales/P-1", json={"receipt_confirmed_on": day}).raise_for_status()


def due(officer: httpx2.Client, inspection_id: UUID) -> tuple[str, str]:
    shown = officer.get(f"/v1/inspections/{inspection_id}").json()
    return shown["due_before"][:10], shown["due_basis"]


def submit(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE inspections SET state = 'submitted', submitted_at = :now, is_in_time = true"), {"now": NOON}
        )


def test_a_receipt_corrected_back_and_forth_moves_the_deadline_only_earlier(
    officer: httpx2.Client, engine: Engine
) -> None:
    inspection_id = sold(officer, engine)
    closing_day = due(officer, inspection_id)

    received(officer, "2026-11-23")
    first = due(officer, inspection_id)
    received(officer, "2026-11-21")
    earlier = due(officer, inspection_id)
    received(officer, "2026-11-22")

    assert closing_day == ("2026-12-06", "closing_day")
    assert first == ("2026-12-09", "cooling_off")
    assert earlier == ("2026-12-07", "cooling_off")
    assert due(officer, inspection_id) == earlier


def test_a_result_stays_judged_as_it_was(officer: httpx2.Client, engine: Engine) -> None:
    inspection_id = sold(officer, engine)
    received(officer, "2026-11-23")
    submit(engine)

    received(officer, "2026-11-21")

    shown = officer.get(f"/v1/inspections/{inspection_id}").json()
    assert (shown["due_before"], shown["in_time"]) == ("2026-12-09T00:00:00+08:00", True)
    with engine.begin() as connection:
        assert follow_sales(connection, now=NOON) == 0


def test_a_termination_brings_the_deadline_of_a_short_contract_forward(officer: httpx2.Client, engine: Engine) -> None:
    inspection_id = sold(
        officer, engine, cover_start="2026-11-20", cover_end_exclusive="2027-05-20", declared_term_months=6
    )
    before = due(officer, inspection_id)

    ending = {"ended_on": "2026-11-22", "reason": "surrender"}
    officer.post("/v1/sales/P-1/termination", json=ending).raise_for_status()

    assert before == ("2027-05-20", "policy_term")
    assert due(officer, inspection_id) == ("2026-11-23", "policy_term")


def test_an_earlier_end_that_two_agree_on_brings_it_forward_too(
    officer: httpx2.Client, engine: Engine, client_for: ClientFor
) -> None:
    inspection_id = sold(
        officer, engine, cover_start="2026-11-20", cover_end_exclusive="2027-05-20", declared_term_months=6
    )
    officer.post("/v1/sales/P-1/termination", json={"ended_on": "2026-11-22", "reason": "surrender"})
    asked = officer.post("/v1/sales/P-1/termination", json={"ended_on": "2026-11-21", "reason": "mistyped"})
    request_id = asked.json()["request_id"]

    client_for("officer", owner="officer2").post(f"/v1/approvals/{request_id}", json={}).raise_for_status()

    assert due(officer, inspection_id) == ("2026-11-22", "policy_term")


def test_the_worker_brings_along_a_deadline_that_stayed_behind(
    officer: httpx2.Client, engine: Engine, clock: SettableClock
) -> None:
    inspection_id = sold(officer, engine)
    with engine.begin() as connection:
        set_due(connection, "P-1", NOON)

    bring_deadlines(engine, clock)

    assert due(officer, inspection_id)[0] == "2026-12-06"


def test_the_worker_puts_back_what_nobody_finished(
    officer: httpx2.Client, engine: Engine, client_for: ClientFor, clock: SettableClock
) -> None:
    inspection_id = sold(officer, engine)
    client_for("inspector").post("/v1/inspections/claim").raise_for_status()
    clock.advance(timedelta(hours=8))

    end_claims(engine, clock)

    shown = officer.get(f"/v1/inspections/{inspection_id}").json()
    assert (shown["state"], shown["claimed_by"], shown["claim_expires_at"]) == ("open", None, None)


@pytest.fixture
def expired(engine: Engine) -> UUID:
    """A recording of a contract that ended long ago, and whose sale waits for an inspection."""
    with engine.begin() as connection:
        archive_rows.add_sale(connection, "P-old", ended_on=archive_rows.CALLED_AT.date())
        recording_id = archive_rows.add_recording(connection, policy_no="P-old")
        refresh(connection, [recording_id], policy=archive_rows.POLICY, now=NOON)
        open_drawn(connection, ["P-old"], now=NOON)
    return recording_id


def disposal_of(client: httpx2.Client, recording_id: UUID) -> httpx2.Response:
    return client.post("/v1/disposals", json={"recording_ids": [str(recording_id)], "reason": "over"})


def test_a_recording_that_an_inspection_needs_is_not_disposed_of(
    officer: httpx2.Client, engine: Engine, expired: UUID
) -> None:
    listed = officer.get("/v1/disposals/due").json()["items"]
    refused = disposal_of(officer, expired)
    submit(engine)

    assert listed == []
    assert refused.status_code == 409
    [error] = refused.json()["errors"]
    assert (error["loc"], error["state"]) == (str(expired), "held")
    assert "P-old" in error["msg"]
    assert "第三十四条" in error["msg_zh"]
    assert [one["recording_id"] for one in officer.get("/v1/disposals/due").json()["items"]] == [str(expired)]
    assert disposal_of(officer, expired).status_code == 202


def test_an_inspection_that_is_opened_before_the_approval_stops_it(
    officer: httpx2.Client, engine: Engine, client_for: ClientFor, expired: UUID
) -> None:
    submit(engine)
    request_id = disposal_of(officer, expired).json()["request_id"]
    with engine.begin() as connection:
        connection.execute(text("UPDATE inspections SET state = 'appealed'"))

    stopped = client_for("officer", owner="officer2").post(f"/v1/approvals/{request_id}", json={})

    assert stopped.status_code == 409
    assert officer.get(f"/v1/recordings/{expired}").json()["retention"]["state"] == "expired"


def test_who_works_on_it_sees_it_as_claimed_by_himself_and_nothing_of_the_first_result(
    officer: httpx2.Client, engine: Engine, client_for: ClientFor
) -> None:
    with engine.begin() as connection:
        inspection_id = add_inspection(connection, "P-2")
        sitting = {"id": new_id(), "inspection": inspection_id, "now": NOON, "until": NOON + timedelta(hours=8)}
        connection.execute(
            text(
                "UPDATE inspections SET state = 'submitted', claimed_by = 'first', submitted_at = :now,"
                " is_in_time = true"
            ),
            {"now": NOON},
        )
        connection.execute(
            text(
                "INSERT INTO inspection_sittings (sitting_id, inspection_id, purpose, inspector, scorecard_version,"
                " claimed_at, expires_at) VALUES (:id, :inspection, 'second_scoring', 'second', 1, :now, :until)"
            ),
            sitting,
        )
    second, third, path = (
        client_for("inspector", owner="second"),
        client_for("inspector", owner="third"),
        f"/v1/inspections/{inspection_id}",
    )

    shown = second.get(path).json()

    assert (shown["state"], shown["claimed_by"]) == ("claimed", "second")
    assert (shown["submitted_at"], shown["in_time"], shown["early"]) == (None, None, None)
    assert [one["inspection_id"] for one in second.get("/v1/inspections?state=claimed").json()["items"]] == [
        str(inspection_id)
    ]
    assert second.get("/v1/inspections?state=submitted").json()["items"] == []
    assert second.get("/v1/inspections").json()["items"][0]["state"] == "claimed"
    assert (third.get(path).json()["claimed_by"], third.get(path).json()["submitted_at"]) == (None, None)
    assert client_for("inspector", owner="first").get(path).json()["in_time"]
    assert (officer.get(path).json()["state"], officer.get(path).json()["claimed_by"]) == ("submitted", "first")


def test_a_report_of_listening_does_not_wait_for_who_changes_the_sale(officer: httpx2.Client, engine: Engine) -> None:
    # Who changes a sale holds its recordings and then asks for the inspection; who reports comes the other way.
    inspection_id = sold(officer, engine)
    with engine.begin() as connection:
        recording_id = add_recording(connection, policy_no="P-1")
        claim_next(connection, "ins", now=NOON)

    with engine.begin() as changing, engine.begin() as reporting:
        archive_follows(changing, "P-1", now=NOON)
        reporting.execute(text("SET LOCAL lock_timeout = '2s'"))
        later = NOON + timedelta(seconds=30)
        heard = report(reporting, inspection_id, recording_id, [(0, 60_000)], inspector="ins", now=later)

    assert heard.coverage_bp == 10_000
