"""Blind second scorings: chosen by chance, given like any work, seen by nobody who might be given them; and kappa."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from compliance.shanghai import SHANGHAI
from qa_sampling.second_scorings import SECOND_SCORING_BP, is_chosen
from services.api.calibration import CalibrationAnswer
from services.result_care import care_for_results_if_possible
from tests.conftest import SettableClock
from tests.services.documented import as_documented
from tests.services.judging_house import DRAWN, FATAL, FIRST, NOT_DRAWN, SECOND, THIRD, URL, ClientFor, House, failed

DAYS = {"from": "2026-11-23", "to": "2026-12-31"}
LATER = datetime(2027, 1, 1, tzinfo=SHANGHAI)


@pytest.fixture
def house(client_for: ClientFor, engine: Engine, clock: SettableClock) -> House:
    return House(client_for, engine, clock, lot=DRAWN)


@pytest.mark.parametrize(("lot", "chosen"), [(0, True), (499, True), (500, False), (9_999, False)])
def test_five_in_a_hundred_lots_are_drawn(lot: int, chosen: bool) -> None:
    assert SECOND_SCORING_BP == 500
    assert is_chosen(lot) is chosen


@pytest.mark.parametrize("lot", [-1, 10_000])
def test_a_lot_that_cannot_be_is_an_error(lot: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 9999"):
        is_chosen(lot)


def test_a_result_that_is_not_drawn_is_given_to_nobody_again(house: House) -> None:
    house.lot = NOT_DRAWN
    house.add()
    house.judge(FIRST)

    assert house.client(SECOND).post(f"{URL}/claim").status_code == 204


def test_a_second_scoring_looks_like_any_inspection_until_it_is_submitted(house: House) -> None:
    first_id = house.add("P-1")
    house.add("P-2", inspect_before=LATER)
    ordinary = house.claim(THIRD)
    house.client(THIRD).post(f"{URL}/claim")
    house.clock.advance(timedelta(hours=9))
    house.judge(FIRST, failed(FATAL))

    given = house.claim(SECOND)
    results = house.client(SECOND).get(f"{URL}/{first_id}/results").json()
    shown = house.client(SECOND).get(f"{URL}/{first_id}").json()

    assert given["inspection_id"] == str(first_id)
    assert set(given) == set(ordinary)
    unlike = {name for name in given if given[name] != ordinary[name]}
    assert unlike == {"claimed_by", "claim_expires_at"}
    assert shown == given
    assert results == {"items": [], "appeal_before": None, "appeal": None}


def test_who_scores_a_second_time_learns_nothing_from_asking_for_a_correction(house: House) -> None:
    inspection_id = house.add()
    claimed = house.claim(THIRD)
    ordinary = house.correct(THIRD, inspection_id)
    house.clock.advance(timedelta(hours=9))
    house.judge(FIRST)
    house.claim(SECOND)

    asked = house.correct(SECOND, inspection_id)

    assert claimed["inspection_id"] == str(inspection_id)
    assert (asked.status_code, asked.json()) == (409, ordinary.json())


def test_a_second_scoring_has_no_version_and_changes_nothing_and_then_shows_the_first(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    before = house.officer.get(f"{URL}/{inspection_id}").json()

    done = house.judge(SECOND, failed("service_told"))

    assert (done["result"]["version"], done["result"]["purpose"]) == (None, "second_scoring")
    assert house.officer.get(f"{URL}/{inspection_id}").json() == before
    assert [one["version"] for one in house.results(inspection_id, SECOND, "inspector")] == [1, None]
    assert house.client(THIRD).post(f"{URL}/claim").status_code == 204


def test_the_author_is_never_given_his_own_again(house: House) -> None:
    house.add()
    house.judge(FIRST)

    assert house.client(FIRST).post(f"{URL}/claim").status_code == 204


def test_a_wrong_that_only_the_second_heard_is_an_incident_all_the_same(house: House) -> None:
    house.add()
    house.judge(FIRST)

    done = house.judge(SECOND, failed(FATAL))

    assert done["incident_id"] is not None
    assert len(house.incidents("failed_fatal_item")) == 1


def test_results_are_shown_to_an_inspector_once_he_cannot_be_given_the_sale(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)

    def seen(person: str, role: str = "inspector") -> int:
        return len(house.results(inspection_id, person, role))

    assert (seen(FIRST), seen(SECOND), seen("auditor", "auditor")) == (1, 0, 1)
    house.at(datetime(2026, 12, 1, tzinfo=SHANGHAI))
    care_for_results_if_possible(house.engine, house.clock)
    assert (house.state(inspection_id), seen(THIRD)) == ("closed", 0)
    house.judge(SECOND)
    assert seen(THIRD) == 2


def test_work_is_given_in_the_order_of_its_deadlines_whatever_it_is(house: House) -> None:
    appealed = house.add("P-1", inspect_before=datetime(2026, 12, 20, tzinfo=SHANGHAI))
    house.lot = NOT_DRAWN
    house.judge(FIRST)
    house.appeal(appealed)  # to be decided before 1 December
    house.lot = DRAWN
    scored = house.add("P-2", inspect_before=datetime(2026, 12, 15, tzinfo=SHANGHAI))
    house.judge(FIRST)  # to be scored again before 15 December
    last = house.add("P-3", inspect_before=datetime(2026, 12, 16, tzinfo=SHANGHAI))
    first = house.add("P-4", inspect_before=datetime(2026, 11, 25, tzinfo=SHANGHAI))

    given = [house.claim(SECOND)["inspection_id"] for _ in range(4)]

    assert given == [str(first), str(appealed), str(scored), str(last)]


def test_a_second_scoring_has_fourteen_days_or_the_time_of_the_inspection(house: House) -> None:
    house.add("P-1", inspect_before=datetime(2026, 11, 25, tzinfo=SHANGHAI))
    house.judge(FIRST)

    given = house.claim(SECOND)

    with house.engine.begin() as connection:
        found = connection.exec_driver_sql("SELECT score_before FROM second_scorings").scalar_one()
    assert found == datetime(2026, 12, 8, tzinfo=SHANGHAI)
    assert given["due_before"] == "2026-11-25T00:00:00+08:00"


def calibration(house: House, **days: str) -> dict[str, Any]:
    shown = house.officer.get("/v1/calibration", params={**DAYS, **days}).raise_for_status().json()
    assert as_documented(CalibrationAnswer, shown) == shown
    found: dict[str, Any] = shown
    return found


def test_calibration_counts_pairs_item_by_item_and_over_all(house: House) -> None:
    for number in range(3):
        house.add(f"P-{number}")
        house.judge(FIRST, *([failed(FATAL)] if number else []))
        house.judge(SECOND, *([failed(FATAL)] if number == 1 else []))

    shown = calibration(house)

    of_item = {one["item_id"]: one for one in shown["items"]}
    # Two of three agree; by chance 1/3 · 2/3 + 2/3 · 1/3 = 4/9 would: (6/9 − 4/9) / (5/9).
    assert (of_item[FATAL]["pairs"], of_item[FATAL]["agreement"], of_item[FATAL]["kappa"]) == (3, 0.6667, 0.4)
    assert (of_item["number_shown"]["agreement"], of_item["number_shown"]["kappa"]) == (1.0, None)
    assert of_item["number_shown"]["kappa_undefined"] == "one_answer_only"
    assert (shown["overall"]["pairs"], shown["overall"]["agreement"]) == (42, 0.9762)
    assert (shown["outcomes"]["pairs"], shown["outcomes"]["kappa"], shown["left_out"]) == (3, 0.4, 0)


def test_calibration_is_of_the_days_on_which_second_scorings_were_done(house: House) -> None:
    house.add()
    house.judge(FIRST)
    house.clock.advance(timedelta(days=1))
    house.judge(SECOND)

    assert calibration(house, **{"from": "2026-11-24", "to": "2026-11-24"})["outcomes"]["pairs"] == 1
    before = calibration(house, **{"from": "2026-11-23", "to": "2026-11-23"})
    assert before["outcomes"] == {"pairs": 0, "agreement": None, "kappa": None, "kappa_undefined": "no_pairs"}
    assert before["items"] == []


def test_pairs_of_two_scorecards_are_left_out(house: House) -> None:
    house.add()
    house.judge(FIRST)
    house.judge(SECOND)
    house.officer.post(
        "/v1/scorecards",
        json={
            "name": "another",
            "items": [{"item_id": "told", "text": "告知", "article": "29(4)", "fatal": True, "weight": 1}],
            "pass_bp": 1,
            "effective_from": date(2026, 11, 23).isoformat(),
            "reason": "another",
        },
    ).raise_for_status()
    # As a later version of the product might have written it: ours pins the second to the scorecard of the first.
    with house.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE inspection_results SET scorecard_version = 2 WHERE version IS NULL")

    shown = calibration(house)

    assert (shown["outcomes"]["pairs"], shown["left_out"]) == (0, 1)


def test_days_that_end_before_they_begin_and_inspectors_are_refused(house: House) -> None:
    backwards = house.officer.get("/v1/calibration", params={"from": "2026-11-24", "to": "2026-11-23"})

    assert backwards.status_code == 422
    assert house.client(FIRST).get("/v1/calibration", params=DAYS).status_code == 403
