"""Recordings that came when their sale had been judged: told once each, and no more when somebody has heard them."""

import pytest
from sqlalchemy import Engine

from services.result_care import tell_unheard_if_possible
from tests.conftest import SettableClock
from tests.qa_sampling.inspection_desk import Link, add_recording
from tests.services.judging_house import FIRST, SECOND, ClientFor, House

KIND = "recording_unheard"


@pytest.fixture
def house(client_for: ClientFor, engine: Engine, clock: SettableClock) -> House:
    return House(client_for, engine, clock)


def look(house: House) -> list[dict[str, object]]:
    tell_unheard_if_possible(house.engine, house.clock)
    return house.incidents(KIND)


@pytest.mark.parametrize("link", [{"policy_no": "P-1"}, {"call_id": "call-of-P-1"}], ids=["by policy", "by call"])
def test_a_recording_that_came_after_the_result_is_told_once(house: House, link: Link) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    before = look(house)
    with house.engine.begin() as connection:
        recording_id = add_recording(connection, **link)

    told = [look(house), look(house)]

    assert before == []
    assert [[one["details"] for one in found] for found in told] == [
        [{"inspection_id": str(inspection_id), "policy_no": "P-1", "recording_id": str(recording_id)}]
    ] * 2


def test_what_a_correction_has_heard_is_not_told(house: House) -> None:
    inspection_id = house.add()
    house.judge(FIRST)
    with house.engine.begin() as connection:
        add_recording(connection, policy_no="P-1")
    corrected = house.correct(SECOND, inspection_id)
    house.finish(SECOND, corrected.json())

    assert look(house) == []


def test_a_sale_that_nobody_has_judged_yet_is_not_told(house: House) -> None:
    house.add()
    with house.engine.begin() as connection:
        add_recording(connection, policy_no="P-1")

    assert look(house) == []
