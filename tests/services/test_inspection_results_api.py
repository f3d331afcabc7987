"""Submitting: only what was really heard, by who may judge, once, in time or not, and for good."""

import threading
from datetime import date, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from compliance.shanghai import SHANGHAI
from infra.application_role import application_url
from infra.database import make_engine
from services.api.inspection_results import ResultList, SubmittedAnswer
from tests.conftest import SettableClock
from tests.qa_sampling.inspection_desk import add_agent, add_recording, add_sale, open_inspection, set_due
from tests.services.documented import as_documented
from tests.services.judging_house import FATAL, FIRST, SECOND, URL, ClientFor, House, answer, answers, failed


@pytest.fixture
def house(client_for: ClientFor, engine: Engine, clock: SettableClock) -> House:
    return House(client_for, engine, clock)


def test_what_was_heard_and_judged_is_a_result_for_good(house: House) -> None:
    inspection_id = house.add()

    done = house.judge(FIRST, failed("service_told"))

    assert as_documented(SubmittedAnswer, done) == done
    assert (done["state"], done["in_time"], done["incident_id"]) == ("submitted", True, None)
    assert (done["result"]["version"], done["result"]["outcome"]) == (1, "passed")
    assert done["result"]["score_bp"] == 9_583
    assert done["result"]["coverage"][0]["covered_ms"] == 60_000
    shown = house.officer.get(f"{URL}/{inspection_id}/results").json()
    assert as_documented(ResultList, shown) == shown
    assert shown["items"] == [done["result"]]
    assert shown["appeal_before"] == "2026-12-01T00:00:00+08:00"


def test_a_failed_moment_without_a_recording_is_kept_with_the_recording_in_which_it_lies(house: House) -> None:
    house.add()
    house.do("UPDATE recordings SET policy_no = NULL")
    with house.engine.begin() as connection:
        second = add_recording(connection, seconds=30, policy_no="P-1", started_at=house.clock() - timedelta(days=1))

    done = house.judge(FIRST, failed("service_told", at_ms=61_000))

    [kept] = [one for one in done["result"]["answers"] if one["answer"] == "fail"]
    assert (kept["recording_id"], kept["at_ms"]) == (str(second), 1_000)


def test_at_999_permille_nothing_can_be_submitted_and_the_rest_is_named(house: House) -> None:
    inspection_id = house.add()
    claimed = house.claim()
    [recording] = claimed["recordings"]
    house.play(FIRST, claimed, recording["recording_id"], 0, 59_940)

    refused = house.submit(FIRST, inspection_id)

    assert refused.status_code == 409
    assert "60 ms of" in refused.json()["detail"]
    [error] = refused.json()["errors"]
    assert (error["loc"], error["missing_ms"], error["coverage_bp"]) == (recording["recording_id"], 60, 9_990)
    assert house.results(inspection_id) == []
    house.play(FIRST, claimed, recording["recording_id"], 59_940, 60_000)
    assert house.submit(FIRST, inspection_id).status_code == 200


def test_a_recording_that_came_after_the_claim_must_be_heard_too(house: House) -> None:
    inspection_id = house.add()
    claimed = house.claim()
    house.hear(FIRST, claimed)
    with house.engine.begin() as connection:
        late = add_recording(connection, seconds=5, policy_no="P-1")

    refused = house.submit(FIRST, inspection_id)

    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (409, str(late))


def test_a_sale_without_a_recording_cannot_be_submitted(house: House) -> None:
    house.client(FIRST)
    with house.engine.begin() as connection:
        add_sale(connection)
        inspection_id = open_inspection(connection)
    house.claim()

    refused = house.submit(FIRST, inspection_id)

    assert refused.status_code == 409
    assert "has no recording" in refused.json()["detail"]


def test_open_items_are_409_and_named(house: House) -> None:
    inspection_id = house.add()
    house.hear(FIRST, house.claim())

    refused = house.submit(FIRST, inspection_id, answers()[1:])

    assert refused.status_code == 409
    assert [one["loc"] for one in refused.json()["errors"]] == ["identity_told"]


BAD = {
    "an unknown item": ([*answers(), answer("sung")], "answers.14.item_id"),
    "an item twice": ([*answers(), answer(FATAL)], "answers"),
    "a moment beyond": (answers(failed(FATAL, at_ms=60_001)), "answers.5.at_ms"),
    "a fail without a moment": (answers(answer(FATAL, "fail", note="没有")), "answers.5.at_ms"),
    "a fail without words": (answers(answer(FATAL, "fail", at_ms=1)), "answers.5.note"),
    "fatal does not apply, without words": (answers(answer(FATAL, "na")), "answers.5.note"),
    "no such verdict": (answers(answer(FATAL, "maybe")), "answers.5.answer"),
}


@pytest.mark.parametrize(("given", "loc"), BAD.values(), ids=BAD.keys())
def test_answers_that_cannot_be_used_are_422(house: House, given: list[dict[str, object]], loc: str) -> None:
    inspection_id = house.add()
    house.hear(FIRST, house.claim())

    refused = house.submit(FIRST, inspection_id, given)

    assert (refused.status_code, [one["loc"] for one in refused.json()["errors"]]) == (422, [loc])
    assert house.results(inspection_id) == []


def test_who_does_not_hold_the_inspection_cannot_submit_it(house: House) -> None:
    inspection_id = house.add()

    unclaimed = house.submit(FIRST, inspection_id)
    claimed = house.claim()
    house.hear(FIRST, claimed)
    anothers = house.submit(SECOND, inspection_id)
    house.clock.advance(timedelta(hours=8))
    expired = house.submit(FIRST, inspection_id)

    assert [one.status_code for one in (unclaimed, anothers, expired)] == [409, 409, 409]
    assert "claim it again" in expired.json()["detail"]


def test_submitted_twice_is_409_and_with_the_same_key_the_same_answer(house: House) -> None:
    inspection_id = house.add()
    house.hear(FIRST, house.claim())
    keyed = {"Idempotency-Key": "once"}

    first = house.submit(FIRST, inspection_id, headers=keyed)
    replayed = house.submit(FIRST, inspection_id, headers=keyed)
    again = house.submit(FIRST, inspection_id)

    assert first.status_code == 200
    assert (replayed.status_code, replayed.json()) == (200, first.json())
    assert replayed.headers["Idempotency-Replayed"] == "true"
    assert again.status_code == 409
    assert len(house.results(inspection_id)) == 1


def test_of_two_submits_at_once_one_counts(house: House) -> None:
    inspection_id = house.add()
    house.hear(FIRST, house.claim())
    given: list[httpx2.Response] = []
    threads = [threading.Thread(target=lambda: given.append(house.submit(FIRST, inspection_id))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.status_code for one in given) == [200, 409, 409, 409]
    assert [one["version"] for one in house.results(inspection_id)] == [1]


def test_an_inspector_who_turned_seller_after_the_claim_is_refused(house: House) -> None:
    inspection_id = house.add()
    house.hear(FIRST, house.claim())
    with house.engine.begin() as connection:
        add_agent(connection, "agent-9", {"user_id": FIRST}, since=date(2026, 11, 23))

    refused = house.submit(FIRST, inspection_id)

    assert refused.status_code == 403
    assert "selling role" in refused.json()["detail"]
    assert house.results(inspection_id) == []


MIDNIGHT = datetime(2026, 12, 6, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("at", "in_time"), [(MIDNIGHT - timedelta(milliseconds=1), True), (MIDNIGHT, False)], ids=["last moment", "00:00"]
)
def test_in_time_is_before_the_end_of_the_window_and_judged_once(house: House, at: datetime, in_time: bool) -> None:
    inspection_id = house.add()
    house.at(MIDNIGHT - timedelta(hours=1))
    house.hear(FIRST, house.claim())
    house.at(at)

    done = house.submit(FIRST, inspection_id).json()
    with house.engine.begin() as connection:
        set_due(connection, "P-1", MIDNIGHT - timedelta(days=3) if in_time else MIDNIGHT + timedelta(days=3))

    assert done["in_time"] is in_time
    assert house.officer.get(f"{URL}/{inspection_id}").json()["in_time"] is in_time


def test_a_scorecard_changed_while_in_use_changes_nothing_for_it(house: House) -> None:
    inspection_id = house.add("P-1")
    house.add("P-2", inspect_before=datetime(2026, 12, 7, tzinfo=SHANGHAI))
    claimed = house.claim()
    item = {"item_id": "smiled", "text": "微笑服务", "article": "company:smile", "fatal": False, "weight": 1}
    card = {"name": "another", "items": [item], "pass_bp": 1, "effective_from": "2026-11-23", "reason": "another"}
    house.officer.post("/v1/scorecards", json=card).raise_for_status()

    shown = house.client(FIRST).get(f"{URL}/{inspection_id}").json()
    done = house.finish(FIRST, claimed)

    assert (shown["scorecard"]["version"], done["result"]["scorecard_version"]) == (1, 1)
    assert house.claim(SECOND)["scorecard"]["version"] == 2


@pytest.mark.parametrize(
    ("right_through", "standing"),
    [
        (None, ("not_begun", None)),
        (date(2026, 11, 22), ("over", None)),
        (date(2026, 11, 23), ("running", "2026-11-23")),
    ],
    ids=["not begun", "over", "its last day"],
)
def test_a_failed_fatal_item_fails_the_sale_and_says_until_when_it_can_be_put_right(
    house: House, right_through: date | None, standing: tuple[str, str | None]
) -> None:
    inspection_id = house.add(right_through=right_through)

    done = house.judge(FIRST, failed(FATAL))

    assert done["result"]["outcome"] == "failed"
    assert done["result"]["failed_fatal"] == [FATAL]
    assert (done["cooling_off"], done["put_right_through"]) == standing
    [incident] = house.incidents("failed_fatal_item")
    assert (incident["incident_id"], incident["article"]) == (done["incident_id"], "29(4)")
    assert incident["details"] == {
        "policy_no": "P-1",
        "inspection_id": str(inspection_id),
        "items": [{"item_id": FATAL, "article": "29(4)"}],
        "agent_id": "agent-1",
        "centre_id": "centre-1",
        "cooling_off": standing[0],
        "put_right_through": standing[1],
    }


def test_too_many_light_failures_fail_the_sale_without_an_incident(house: House) -> None:
    house.add()
    light = ("identity_told", "agency_nature_told", "cover_told")

    done = house.judge(FIRST, *(failed(item_id) for item_id in light))

    assert (done["result"]["outcome"], done["result"]["score_bp"]) == ("failed", 7_500)
    assert house.incidents("failed_fatal_item") == []


def test_numbers_in_notes_are_whole_to_officers_alone(house: House) -> None:
    inspection_id = house.add()

    done = house.judge(FIRST, failed("service_told", note="客户改用 13800138000"))

    def note(items: list[dict[str, Any]]) -> str:
        [kept] = [one["note"] for one in items[0]["answers"] if one["note"]]
        return str(kept)

    assert "138****8000" in note([done["result"]])
    assert "13800138000" in note(house.results(inspection_id))
    assert "138****8000" in note(house.results(inspection_id, "auditor", "auditor"))


def test_the_database_refuses_to_change_or_take_away_a_result(house: House, database: str) -> None:
    house.add()
    house.judge()
    product = make_engine(application_url(database), application_name="tests")

    for statement in (
        "UPDATE inspection_results SET outcome = 'failed'",
        "UPDATE inspection_results SET answers = '[]'",
        "DELETE FROM inspection_results",
        "UPDATE scorecards SET pass_bp = 1",
    ):
        with product.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))
    product.dispose()
