"""Who may not inspect: whoever sells, sold, or answers for the seller; by dated facts, at every boundary."""

from datetime import date, timedelta

import pytest

from qa_sampling.eligibility import (
    SELLING_ROLE_RESTS_DAYS,
    MayNotInspectError,
    RoleKind,
    RoleSpell,
    SoldBy,
    bars_from_all,
    bars_from_sale,
)

TODAY = date(2026, 11, 23)
CLOSED, CALLED = date(2026, 10, 10), date(2026, 10, 8)
SALE = SoldBy(agent_ids=frozenset({"agent-1"}), days=frozenset({CLOSED, CALLED}))


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def seller(from_on: date, through_on: date | None, agent_id: str = "agent-9") -> RoleSpell:
    return RoleSpell(agent_id=agent_id, kind=RoleKind.SELLER, from_on=from_on, through_on=through_on)


def supervisor(from_on: date, through_on: date | None, agent_id: str = "agent-1") -> RoleSpell:
    return RoleSpell(agent_id=agent_id, kind=RoleKind.SUPERVISOR, from_on=from_on, through_on=through_on)


def codes_of_all(*spells: RoleSpell) -> list[str]:
    return [bar.code for bar in bars_from_all(spells, today=TODAY)]


def codes_of_sale(*spells: RoleSpell) -> list[str]:
    return [bar.code for bar in bars_from_sale(spells, SALE, today=TODAY)]


@pytest.mark.parametrize(
    ("spell", "codes"),
    [
        pytest.param(seller(days_ago(9), None), ["seller_now"], id="sells"),
        pytest.param(seller(TODAY, None), ["seller_now"], id="sells from today on"),
        pytest.param(seller(days_ago(9), TODAY), ["seller_now"], id="sells until tonight"),
        pytest.param(seller(TODAY + timedelta(days=1), None), [], id="sells from tomorrow on"),
        pytest.param(seller(days_ago(99), days_ago(1)), ["seller_lately"], id="ended today"),
        pytest.param(seller(days_ago(99), days_ago(31)), ["seller_lately"], id="ended thirty days ago"),
        pytest.param(seller(days_ago(99), days_ago(32)), [], id="ended thirty-one days ago"),
        pytest.param(supervisor(days_ago(99), None), [], id="supervises only"),
    ],
)
def test_a_selling_role_bars_from_everything_and_for_thirty_days_more(spell: RoleSpell, codes: list[str]) -> None:
    assert SELLING_ROLE_RESTS_DAYS == 30
    assert codes_of_all(spell) == codes


def test_nobody_in_the_register_may_inspect() -> None:
    assert codes_of_all() == []
    assert codes_of_sale() == []


def test_the_last_of_several_roles_counts() -> None:
    assert codes_of_all(seller(days_ago(400), days_ago(300)), seller(days_ago(99), days_ago(5))) == ["seller_lately"]
    assert codes_of_all(seller(days_ago(99), days_ago(5)), seller(days_ago(4), None)) == ["seller_now"]


def test_who_rests_is_told_until_when() -> None:
    [bar] = bars_from_all([seller(days_ago(99), days_ago(31))], today=TODAY)

    assert "from 2026-11-24 on" in bar.message


@pytest.mark.parametrize(
    ("spell", "codes"),
    [
        pytest.param(seller(date(2026, 1, 1), date(2026, 2, 1), "agent-1"), ["sold_it"], id="was the agent, once"),
        pytest.param(seller(date(2026, 1, 1), CALLED), ["seller_then"], id="sold on the day of the call, the last one"),
        pytest.param(seller(CLOSED, CLOSED), ["seller_then"], id="sold on the closing day alone"),
        pytest.param(seller(date(2026, 1, 1), CALLED - timedelta(days=1)), [], id="until the day before the call"),
        pytest.param(seller(CALLED + timedelta(days=1), CLOSED - timedelta(days=1)), [], id="between call and closing"),
        pytest.param(seller(CLOSED + timedelta(days=1), None), [], id="from the day after"),
        pytest.param(supervisor(date(2026, 1, 1), CALLED), ["supervises"], id="supervised on the day of the call"),
        pytest.param(supervisor(CLOSED, CLOSED), ["supervises"], id="supervised on the closing day"),
        pytest.param(supervisor(TODAY, None), ["supervises"], id="supervises now"),
        pytest.param(supervisor(CLOSED + timedelta(days=1), TODAY - timedelta(days=1)), [], id="supervised in between"),
        pytest.param(supervisor(date(2026, 1, 1), None, "agent-2"), [], id="supervises another"),
    ],
)
def test_a_sale_bars_who_had_to_do_with_it(spell: RoleSpell, codes: list[str]) -> None:
    assert codes_of_sale(spell) == codes


def test_all_reasons_are_named() -> None:
    found = bars_from_sale([seller(CALLED, None, "agent-1"), supervisor(CALLED, None)], SALE, today=TODAY)

    assert [bar.code for bar in found] == ["sold_it", "seller_then", "supervises"]
    assert "2026-10-08" in str(MayNotInspectError(found))
