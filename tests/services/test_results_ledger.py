"""Results under the ledger: whoever rewrites one past every guard of the database is found."""

from typing import Any

import httpx2
import pytest

from tests.ledger_evidence import Firm, told
from tests.services.judging_house import DRAWN, FATAL, FIRST, SECOND, THIRD, House, failed


@pytest.fixture
def house(firm: Firm) -> House:
    """A house with a result, an appeal that is decided, and a second scoring, all sealed."""

    def client_for(role: str, *, owner: str) -> httpx2.Client:
        made: httpx2.Client = firm.client(role, owner)
        return made

    made = House(client_for, firm.owner, firm.clock, lot=DRAWN)
    inspection_id = made.add()
    made.judge(FIRST, failed(FATAL))
    made.judge(SECOND)
    made.appeal(inspection_id)
    made.judge(THIRD)
    firm.seal()
    return made


def test_what_was_judged_is_as_its_ledger_says(firm: Firm, house: House) -> None:
    assert told(firm.verified()) == []


RESULT = "UPDATE inspection_results SET {} WHERE version = 1"
REWRITTEN: dict[str, tuple[str, str, str]] = {
    "an outcome": ("inspection_results", RESULT.format("outcome = 'passed'"), "changed"),
    "answers": ("inspection_results", RESULT.format("answers = '[]'"), "changed"),
    "what was heard": ("inspection_results", RESULT.format("coverage = '[]'"), "changed"),
    "who judged": ("inspection_results", RESULT.format("inspector = 'x'"), "changed"),
    "a decision": ("inspection_appeals", "UPDATE inspection_appeals SET decision = 'confirmed'", "changed"),
    "in time": ("inspections", "UPDATE inspections SET is_in_time = false", "changed"),
    "a scorecard": ("scorecards", "UPDATE scorecards SET pass_bp = 1", "changed"),
    "a second scoring that is gone": ("second_scorings", "DELETE FROM second_scorings", "missing"),
}


@pytest.mark.parametrize(("table", "statement", "what"), REWRITTEN.values(), ids=REWRITTEN.keys())
def test_what_is_rewritten_past_the_guards_is_found(
    firm: Firm, house: House, table: str, statement: str, what: str
) -> None:
    firm.edit(statement)

    found: list[Any] = told(firm.verified())

    assert {(one[1], one[3]) for one in found} == {(table, f"row_{what}")}
