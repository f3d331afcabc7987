"""Who sold what, as the registers and calls say: read from dated versions and from the calls of a sale."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection

from qa_sampling.eligibility import MayNotInspectError, RoleKind, RoleSpell
from qa_sampling.inspector_roles import check_may_inspect, read_asker
from tests.conftest import NOON
from tests.gate_facts import write_registers
from tests.qa_sampling.inspection_desk import (
    CLOSED_ON,
    Link,
    add_agent,
    add_call,
    add_recording,
    add_sale,
    change_agent,
)

LONG_AGO, TODAY = date(2026, 1, 1), date(2026, 11, 23)


@pytest.fixture(autouse=True)
def registers(connection: Connection) -> None:
    write_registers(connection)


def spells(connection: Connection, person: str = "ins") -> list[tuple[str, RoleKind, date, date | None]]:
    found: tuple[RoleSpell, ...] = read_asker(connection, person, now=NOON).spells
    return [(one.agent_id, one.kind, one.from_on, one.through_on) for one in found]


def refused(connection: Connection, policy_no: str = "P-1", person: str = "ins") -> list[str]:
    with pytest.raises(MayNotInspectError) as error:
        check_may_inspect(connection, policy_no, person, now=NOON)
    return [bar.code for bar in error.value.bars]


def test_a_person_whom_no_agent_names_may_inspect(connection: Connection) -> None:
    add_sale(connection)
    add_agent(connection, "agent-9", {"user_id": "somebody"})

    check_may_inspect(connection, "P-1", "ins", now=NOON)

    assert spells(connection) == []


def test_a_role_lasts_until_the_version_that_ends_it(connection: Connection) -> None:
    add_agent(connection, "agent-9", {"user_id": "ins"}, since=LONG_AGO)
    change_agent(connection, "agent-9", {"user_id": None}, since=date(2026, 3, 1))
    change_agent(connection, "agent-9", {"supervisor_user_id": "ins"}, since=date(2026, 4, 1))

    assert spells(connection) == [
        ("agent-9", RoleKind.SELLER, LONG_AGO, date(2026, 2, 28)),
        ("agent-9", RoleKind.SUPERVISOR, date(2026, 4, 1), None),
    ]


def test_a_role_that_is_taken_back_from_its_first_day_lasted_until_then(connection: Connection) -> None:
    add_agent(connection, "agent-9", {"user_id": "ins"}, since=LONG_AGO)
    change_agent(connection, "agent-9", {"user_id": "other"}, since=LONG_AGO)

    assert spells(connection) == [("agent-9", RoleKind.SELLER, LONG_AGO, TODAY)]
    assert spells(connection, "other") == [("agent-9", RoleKind.SELLER, LONG_AGO, None)]


def test_a_role_that_began_and_ended_today_is_one(connection: Connection) -> None:
    add_agent(connection, "agent-9", {"user_id": "ins"}, since=TODAY)
    change_agent(connection, "agent-9", {"user_id": None}, since=TODAY)

    assert spells(connection) == [("agent-9", RoleKind.SELLER, TODAY, TODAY)]


def test_a_role_that_is_taken_back_before_it_begins_never_was(connection: Connection) -> None:
    add_agent(connection, "agent-9", {"user_id": None}, since=LONG_AGO)
    change_agent(connection, "agent-9", {"user_id": "ins"}, since=date(2026, 12, 1))
    change_agent(connection, "agent-9", {"user_id": None}, since=date(2026, 12, 1))

    assert spells(connection) == []


def test_a_role_whose_end_lies_in_the_past_ended_then(connection: Connection) -> None:
    add_agent(connection, "agent-9", {"user_id": "ins"}, since=LONG_AGO)
    change_agent(connection, "agent-9", {"user_id": None}, since=TODAY - timedelta(days=31))
    add_sale(connection)

    check_may_inspect(connection, "P-1", "ins", now=NOON)


def test_who_sold_the_policy_may_not_inspect_it(connection: Connection) -> None:
    add_sale(connection)
    change_agent(connection, "agent-1", {"user_id": "ins"}, since=date(2026, 1, 1))
    change_agent(connection, "agent-1", {"user_id": None}, since=date(2026, 2, 1))

    assert refused(connection) == ["sold_it"]


def test_who_only_made_one_of_its_calls_may_not_inspect_it(connection: Connection) -> None:
    add_sale(connection)
    add_agent(connection, "agent-9", {"user_id": "ins"}, since=date(2026, 1, 1))
    change_agent(connection, "agent-9", {"user_id": None}, since=date(2026, 2, 1))
    add_call(connection, "call-of-P-1", agent_id="agent-9")

    assert refused(connection) == ["sold_it"]


@pytest.mark.parametrize("linked_by", [{"policy_no": "P-1"}, {"call_id": "call-of-P-1"}])
def test_a_call_of_which_only_the_recording_is_known_has_a_day_too(connection: Connection, linked_by: Link) -> None:
    add_sale(connection)
    started_at = datetime(2026, 8, 31, 16, 0, tzinfo=UTC)
    add_recording(connection, started_at=started_at, **linked_by)
    add_agent(connection, "agent-9", {"user_id": "ins"}, since=date(2026, 9, 1))
    change_agent(connection, "agent-9", {"user_id": None}, since=date(2026, 9, 2))

    assert refused(connection) == ["seller_then"]


def test_a_supervisor_of_the_seller_may_not_inspect(connection: Connection) -> None:
    add_sale(connection)
    change_agent(connection, "agent-1", {"supervisor_user_id": "ins"}, since=CLOSED_ON)
    change_agent(connection, "agent-1", {"supervisor_user_id": None}, since=CLOSED_ON + timedelta(days=1))

    assert refused(connection) == ["supervises"]


def test_who_became_a_seller_with_an_earlier_date_is_refused_from_then_on(connection: Connection) -> None:
    add_sale(connection)
    check_may_inspect(connection, "P-1", "ins", now=NOON)

    add_agent(connection, "agent-9", {"user_id": "ins"}, since=LONG_AGO)

    assert refused(connection) == ["seller_now"]


SPELLINGS = {
    "as it is": "ins-1",
    "with a capital": "Ins-1",
    "a blank before": " ins-1",
    "a blank and a tab behind": "ins-1 \t",
    "an ideographic blank": "\u3000ins-1",
    "full width": "ｉｎｓ－１",
}


@pytest.mark.parametrize("user_id", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_seller_is_known_however_his_user_id_is_spelt(connection: Connection, user_id: str) -> None:
    add_sale(connection)
    change_agent(connection, "agent-1", {"user_id": user_id}, since=CLOSED_ON)

    assert refused(connection, person="ins-1") == ["seller_now"]


def test_a_supervisor_is_known_however_his_user_id_is_spelt(connection: Connection) -> None:
    add_sale(connection)
    change_agent(connection, "agent-1", {"supervisor_user_id": " INS-1"}, since=CLOSED_ON)

    assert refused(connection, person="ins-1") == ["supervises"]


def test_who_asks_is_known_however_his_own_is_spelt(connection: Connection) -> None:
    add_agent(connection, "agent-9", {"user_id": "ins"})

    assert spells(connection, "INS ") == spells(connection, "ins") != []
