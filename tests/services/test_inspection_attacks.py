"""What a lazy inspector, an appellant in his own cause and a curious second scorer try."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.conftest import SettableClock
from tests.qa_sampling.inspection_desk import DUE
from tests.services.judging_house import DRAWN, FATAL, FIRST, SECOND, THIRD, URL, ClientFor, House, failed


@pytest.fixture
def house(client_for: ClientFor, engine: Engine, clock: SettableClock) -> House:
    return House(client_for, engine, clock)


def filed_by(house: House, person: str, inspection_id: object, **body: object) -> Any:
    return house.client(person).post(f"{URL}/{inspection_id}/appeal", json={"reason": "坐席已告知犹豫期", **body})


def test_who_filed_an_appeal_is_not_given_it_to_judge(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST, failed(FATAL))
    filed = filed_by(house, SECOND, inspection_id)

    assert filed.status_code == 201
    assert house.client(SECOND).post(f"{URL}/claim").status_code == 204
    assert house.client(SECOND).post(f"{URL}/{inspection_id}/claim").status_code == 409
    assert house.claim(THIRD)["inspection_id"] == str(inspection_id)


def test_who_filed_an_appeal_may_not_correct_what_became_of_it(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST, failed(FATAL))
    filed_by(house, SECOND, inspection_id)
    house.judge(THIRD, failed(FATAL))

    assert house.correct(SECOND, inspection_id).status_code == 403


def test_who_filed_an_appeal_is_not_given_the_second_scoring(house: House) -> None:
    inspection_id = house.add()
    house.lot = DRAWN
    house.judge(FIRST, failed(FATAL))
    filed_by(house, SECOND, inspection_id)

    assert house.client(SECOND).post(f"{URL}/claim").status_code == 204


def test_who_scored_a_second_time_hears_all_of_it_anew_to_correct_it(house: House) -> None:
    inspection_id = house.add()
    house.lot = DRAWN
    house.judge(FIRST, failed(FATAL))
    house.judge(SECOND, failed(FATAL))

    given = house.correct(SECOND, inspection_id).json()
    unheard = house.submit(SECOND, inspection_id)

    assert [one["coverage_bp"] for one in given["recordings"]] == [0]
    assert unheard.status_code == 409
    assert house.finish(SECOND, given)["result"]["version"] == 2


def test_who_scored_a_second_time_and_saw_the_first_is_not_given_the_appeal(house: House) -> None:
    inspection_id = house.add()
    house.lot = DRAWN
    house.judge(FIRST, failed(FATAL))
    house.judge(SECOND)
    house.appeal(inspection_id)

    assert house.client(SECOND).post(f"{URL}/claim").status_code == 204
    assert house.claim(THIRD)["inspection_id"] == str(inspection_id)


PROBES: Mapping[str, dict[str, object]] = {"all of it": {}, "an item that there is not": {"item_ids": ["nothing"]}}


@pytest.mark.parametrize("body", PROBES.values(), ids=PROBES.keys())
def test_who_scores_a_second_time_learns_nothing_from_appealing(house: House, body: dict[str, object]) -> None:
    house.add("P-1")
    house.lot = DRAWN
    house.judge(FIRST)
    second = house.claim(SECOND)["inspection_id"]
    house.add("P-2")
    first = house.claim(SECOND)["inspection_id"]

    asked = [filed_by(house, SECOND, one, **body) for one in (second, first)]

    assert [one.status_code for one in asked] == [409, 409]
    assert asked[0].json()["detail"].replace(second, "") == asked[1].json()["detail"].replace(first, "")


def test_the_refusal_of_a_named_claim_does_not_tell_a_second_scoring_by_its_deadline(house: House) -> None:
    first = house.add("P-1")
    house.lot = DRAWN
    house.judge(FIRST)
    later = house.add("P-2", inspect_before=DUE + timedelta(days=30))

    refused = house.client(SECOND).post(f"{URL}/{later}/claim")

    assert refused.status_code == 409
    assert str(first) in refused.json()["detail"]
    assert "2026-12-08" not in refused.json()["detail"]


def test_a_number_in_the_items_of_an_appeal_is_not_told_again(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)

    refused = house.appeal(inspection_id, item_ids=["13800138000"])

    assert refused.status_code == 422
    assert "13800138000" not in refused.text


def test_a_number_in_the_items_of_an_answer_is_not_told_again(house: House) -> None:
    house.add()
    given = house.claim(FIRST)
    house.hear(FIRST, given)

    twice = [{"item_id": "13800138000", "answer": "pass"}] * 2
    refused = house.submit(FIRST, given["inspection_id"], twice)

    assert refused.status_code == 422
    assert "13800138000" not in refused.text


def test_a_sale_whose_only_recording_has_no_length_was_not_heard(house: House) -> None:
    house.add(seconds=0)
    given = house.claim(FIRST)

    assert house.submit(FIRST, given["inspection_id"]).status_code == 409
