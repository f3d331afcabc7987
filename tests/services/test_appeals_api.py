"""Appeals and corrections: in time, judged by somebody else who hears everything, every version kept."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from compliance.shanghai import SHANGHAI
from qa_sampling.appeals import close_inspections, note_overdue_appeals
from services.api.inspection_results import AppealAnswer
from services.result_care import care_for_results_if_possible
from tests.conftest import SettableClock
from tests.qa_sampling.inspection_desk import add_agent
from tests.services.documented import as_documented
from tests.services.judging_house import FATAL, FIRST, SECOND, THIRD, URL, ClientFor, House, failed

LAST_MOMENT = datetime(2026, 11, 30, 23, 59, 59, 999_000, tzinfo=SHANGHAI)
TOO_LATE = datetime(2026, 12, 1, tzinfo=SHANGHAI)


@pytest.fixture
def house(client_for: ClientFor, engine: Engine, clock: SettableClock) -> House:
    return House(client_for, engine, clock)


ROLES = ("inspector", "officer")


def test_an_appeal_is_judged_by_another_who_hears_everything_and_may_change_the_outcome(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST, failed(FATAL))

    filed = house.appeal(inspection_id, item_ids=[FATAL])
    given = house.claim(SECOND)
    done = house.finish(SECOND, given)

    assert filed.status_code == 201
    assert as_documented(AppealAnswer, filed.json()) == filed.json()
    assert filed.json()["decide_before"] == "2026-12-01T00:00:00+08:00"
    assert (given["inspection_id"], given["state"]) == (str(inspection_id), "claimed")
    assert (done["state"], done["result"]["version"], done["result"]["outcome"]) == ("closed", 2, "passed")
    shown = house.officer.get(f"{URL}/{inspection_id}/results").json()
    assert [(one["version"], one["purpose"], one["outcome"]) for one in shown["items"]] == [
        (1, "inspection", "failed"),
        (2, "appeal", "passed"),
    ]
    assert (shown["appeal"]["decision"], shown["appeal"]["decided_by"]) == ("changed", SECOND)
    assert shown["appeal"]["decided_result_id"] == done["result"]["result_id"]


DECISIONS = {
    "the same judgement": ((failed(FATAL),), [FATAL], "confirmed"),
    "another answer to what was contested": ((failed(FATAL), failed("service_told")), ["service_told"], "changed"),
    "another answer to what was not": ((failed(FATAL), failed("service_told")), [FATAL], "confirmed"),
    "another answer, all contested": ((failed(FATAL), failed("service_told")), [], "changed"),
    "another outcome": ((), ["service_told"], "changed"),
}


@pytest.mark.parametrize(("judged", "contested", "decision"), DECISIONS.values(), ids=DECISIONS.keys())
def test_an_appeal_is_decided_by_comparing_what_was_contested(
    house: House, judged: tuple[dict[str, object], ...], contested: list[str], decision: str
) -> None:
    inspection_id = house.add()
    house.judge(FIRST, failed(FATAL))
    house.appeal(inspection_id, item_ids=contested)

    house.judge(SECOND, *judged)

    shown = house.officer.get(f"{URL}/{inspection_id}/results").json()
    assert shown["appeal"]["decision"] == decision


def test_the_author_of_a_result_is_not_given_its_appeal(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    house.appeal(inspection_id)

    assert house.client(FIRST).post(f"{URL}/claim").status_code == 204
    assert house.client(FIRST).post(f"{URL}/{inspection_id}/claim").status_code == 409
    assert house.client(SECOND).post(f"{URL}/{inspection_id}/claim").status_code == 200
    assert house.client(THIRD).post(f"{URL}/claim").status_code == 204


def test_who_judges_an_appeal_must_hear_all_of_it_himself(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    house.appeal(inspection_id)
    house.claim(SECOND)

    assert house.submit(SECOND, inspection_id).status_code == 409
    assert house.state(inspection_id) == "appealed"


def test_an_appeal_whose_claim_expired_waits_again(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    house.appeal(inspection_id)
    house.claim(SECOND)
    house.clock.advance(timedelta(hours=8))

    assert house.claim(THIRD)["inspection_id"] == str(inspection_id)


@pytest.mark.parametrize(("at", "status"), [(LAST_MOMENT, 201), (TOO_LATE, 409)], ids=["last moment", "00:00"])
def test_an_appeal_is_filed_by_24_00_of_the_seventh_day(house: House, at: datetime, status: int) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    house.at(at)

    assert house.appeal(inspection_id).status_code == status


def test_an_inspection_is_appealed_against_once_and_only_with_a_result(house: House) -> None:
    inspection_id = house.add()

    early = house.appeal(inspection_id)
    house.judge(FIRST)
    unknown = house.appeal(inspection_id, item_ids=["sung"])
    first = house.appeal(inspection_id)
    second = house.appeal(inspection_id)

    assert [one.status_code for one in (early, unknown, first, second)] == [409, 422, 201, 409]
    assert "has no result yet" in early.json()["detail"]
    assert unknown.json()["errors"][0]["loc"] == "item_ids"
    assert "there is one for each inspection" in second.json()["detail"]


def test_who_judged_may_not_appeal_in_any_role_and_another_inspector_may(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    body = {"reason": "不同意"}

    judged = [house.client(FIRST, role).post(f"{URL}/{inspection_id}/appeal", json=body) for role in ROLES]
    other = house.client(SECOND).post(f"{URL}/{inspection_id}/appeal", json=body)

    assert [one.status_code for one in (*judged, other)] == [403, 403, 201]


def test_without_an_appeal_an_inspection_is_closed_when_the_time_is_over(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    house.at(LAST_MOMENT)
    care_for_results_if_possible(house.engine, house.clock)
    before = house.state(inspection_id)

    house.at(TOO_LATE)
    care_for_results_if_possible(house.engine, house.clock)

    assert (before, house.state(inspection_id)) == ("submitted", "closed")
    with house.engine.begin() as connection:
        assert close_inspections(connection, now=TOO_LATE) == 0


def test_an_appeal_that_is_not_decided_in_time_is_an_incident_once(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    filed = house.appeal(inspection_id).json()
    house.at(LAST_MOMENT)
    care_for_results_if_possible(house.engine, house.clock)
    before = house.incidents("appeal_overdue")

    house.at(TOO_LATE)
    care_for_results_if_possible(house.engine, house.clock)
    care_for_results_if_possible(house.engine, house.clock)
    house.judge(SECOND)

    assert before == []
    [incident] = house.incidents("appeal_overdue")
    assert (incident["article"], incident["details"]["appeal_id"]) == ("33", filed["appeal_id"])
    assert incident["details"]["policy_no"] == "P-1"


def test_an_appeal_that_is_decided_late_before_anybody_looked_is_an_incident_too(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    house.appeal(inspection_id)
    house.at(TOO_LATE)

    house.judge(SECOND)

    assert len(house.incidents("appeal_overdue")) == 1
    with house.engine.begin() as connection:
        assert note_overdue_appeals(connection, now=TOO_LATE) == 0


def test_a_correction_is_a_new_version_by_another_person_who_heard_everything(house: House) -> None:
    inspection_id = house.add()
    first = house.judge(FIRST, failed(FATAL))

    claimed = house.correct(SECOND, inspection_id)
    unheard = house.submit(SECOND, inspection_id)
    done = house.finish(SECOND, claimed.json())

    assert (claimed.status_code, unheard.status_code) == (200, 409)
    assert (done["result"]["version"], done["result"]["purpose"]) == (2, "correction")
    assert house.results(inspection_id)[0] == first["result"]
    assert [(one["outcome"], one["reason"]) for one in house.results(inspection_id)] == [
        ("failed", None),
        ("passed", "听错一句"),
    ]
    assert done["in_time"] is True


def test_the_author_of_any_version_may_not_correct(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    by_author = house.correct(FIRST, inspection_id)
    house.finish(SECOND, house.correct(SECOND, inspection_id).json())

    assert by_author.status_code == 403
    assert house.correct(FIRST, inspection_id).status_code == 403
    assert house.correct(SECOND, inspection_id).status_code == 403
    assert house.correct(THIRD, inspection_id).status_code == 200


def test_only_what_has_a_result_and_no_appeal_can_be_corrected_by_one_at_a_time(house: House) -> None:
    inspection_id = house.add()
    open_ = house.correct(SECOND, inspection_id)
    house.judge(FIRST)
    mine = house.correct(SECOND, inspection_id)
    again = house.correct(SECOND, inspection_id)
    at_work = house.correct(THIRD, inspection_id)
    house.clock.advance(timedelta(hours=8))
    expired = house.correct(THIRD, inspection_id)
    house.finish(THIRD, expired.json())
    house.appeal(inspection_id)
    appealed = house.correct(SECOND, inspection_id)

    assert [one.status_code for one in (open_, mine, again, at_work, expired, appealed)] == [
        409,
        200,
        200,
        409,
        200,
        409,
    ]


def test_a_seller_may_not_correct(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    with house.engine.begin() as connection:
        add_agent(connection, "agent-9", {"user_id": SECOND})

    assert house.correct(SECOND, inspection_id).status_code == 403


def test_a_correction_of_a_closed_inspection_can_be_appealed_against_anew(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    house.at(TOO_LATE)
    care_for_results_if_possible(house.engine, house.clock)

    house.finish(SECOND, house.correct(SECOND, inspection_id).json(), failed(FATAL))
    care_for_results_if_possible(house.engine, house.clock)

    assert house.state(inspection_id) == "submitted"
    assert house.appeal(inspection_id).status_code == 201


def test_an_item_that_failed_before_opens_no_second_incident(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST, failed(FATAL))

    done = house.finish(SECOND, house.correct(SECOND, inspection_id).json(), failed(FATAL), failed("no_misstatement"))

    assert [one["details"]["items"] for one in house.incidents("failed_fatal_item")] == [
        [{"item_id": "no_misstatement", "article": "28"}],
        [{"item_id": FATAL, "article": "29(4)"}],
    ]
    assert done["result"]["failed_fatal"] == [FATAL, "no_misstatement"]


def test_what_is_corrected_or_appealed_is_judged_by_the_scorecard_of_its_result(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    item = {"item_id": "smiled", "text": "微笑服务", "article": "company:smile", "fatal": False, "weight": 1}
    card = {"name": "another", "items": [item], "pass_bp": 1, "effective_from": "2026-11-23", "reason": "another"}
    house.officer.post("/v1/scorecards", json=card).raise_for_status()

    assert house.correct(SECOND, inspection_id).json()["scorecard"]["version"] == 1


def test_an_unknown_inspection_is_404(house: House) -> None:
    nobodys = "01a20951-105f-70d7-b2ae-2a5916dca676"

    assert house.submit(FIRST, nobodys).status_code == 404
    assert house.appeal(nobodys).status_code == 404
    assert house.correct(FIRST, nobodys).status_code == 404
    assert house.officer.get(f"{URL}/{nobodys}/results").status_code == 404
