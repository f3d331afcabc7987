"""Scorecards over HTTP: the one that comes with the product, versions from a day on, none ever changed."""

import threading
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, text

from qa_sampling.first_scorecard import ITEMS
from qa_sampling.scorecards import adopt_first_scorecard, scorecard_in_force
from services.api.scorecards import ScorecardAnswer, ScorecardList
from tests.conftest import NOON, SettableClock
from tests.services.documented import as_documented
from tests.services.judging_house import ClientFor

URL = "/v1/scorecards"
ITEM: dict[str, Any] = {"item_id": "told", "text": "告知犹豫期", "article": "29(4)", "fatal": True, "weight": 3}
CARD: dict[str, Any] = {
    "name": "2027",
    "items": [ITEM],
    "pass_bp": 9000,
    "effective_from": "2026-11-24",
    "reason": "new product",
}


@pytest.fixture
def officer(client_for: ClientFor) -> httpx2.Client:
    return client_for("officer")


def test_a_house_begins_with_the_scorecard_that_comes_with_the_product(officer: httpx2.Client) -> None:
    [shipped] = officer.get(URL).json()["items"]

    assert as_documented(ScorecardAnswer, shipped) == shipped
    assert (shipped["version"], shipped["pass_bp"], shipped["actor"]) == (1, 8000, "shipped")
    assert [one["item_id"] for one in shipped["items"]] == [item.item_id for item in ITEMS]
    assert officer.get(f"{URL}/1").json() == shipped


def test_a_version_counts_from_its_day_on(officer: httpx2.Client, engine: Engine, clock: SettableClock) -> None:
    added = officer.post(URL, json=CARD)

    assert added.status_code == 201
    assert (added.json()["version"], added.json()["actor"], added.json()["items"]) == (2, "officer", [ITEM])
    listed = officer.get(URL).json()
    assert as_documented(ScorecardList, listed) == listed
    assert [one["version"] for one in listed["items"]] == [2, 1]
    with engine.begin() as connection:
        assert scorecard_in_force(connection, now=NOON).card.version == 1
        assert scorecard_in_force(connection, now=NOON.replace(day=24)).card.version == 2


def test_the_last_version_added_takes_the_place_of_all_that_count_by_then(
    officer: httpx2.Client, engine: Engine
) -> None:
    officer.post(URL, json={**CARD, "effective_from": "2026-12-01"})
    officer.post(URL, json=CARD)

    with engine.begin() as connection:
        assert scorecard_in_force(connection, now=NOON.replace(month=12)).card.version == 3


BAD = {
    "a day that is over": ({"effective_from": "2026-11-22"}, "effective_from"),
    "no items": ({"items": []}, "items"),
    "an item twice": ({"items": [ITEM, ITEM]}, "items"),
    "no article": ({"items": [{**ITEM, "article": "law"}]}, "items.0.article"),
    "no threshold": ({"pass_bp": 0}, "pass_bp"),
    "a weight in words": ({"items": [{**ITEM, "weight": "3"}]}, "items.0.weight"),
    "a field of another": ({"version": 7}, "version"),
    "no reason": ({"reason": " "}, "reason"),
}


@pytest.mark.parametrize(("change", "loc"), BAD.values(), ids=BAD.keys())
def test_what_nobody_can_be_judged_by_is_422(officer: httpx2.Client, change: dict[str, Any], loc: str) -> None:
    refused = officer.post(URL, json={**CARD, **change})

    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, loc)
    assert len(officer.get(URL).json()["items"]) == 1


def test_unknown_versions_are_404_and_what_is_no_version_422(officer: httpx2.Client) -> None:
    assert officer.get(f"{URL}/9").status_code == 404
    assert [officer.get(f"{URL}/{version}").status_code for version in ("x", "-1", "9" * 30)] == [422, 422, 422]


def test_versions_added_at_once_are_numbered_without_a_gap(officer: httpx2.Client) -> None:
    given: list[int] = []
    threads = [
        threading.Thread(target=lambda: given.append(officer.post(URL, json=CARD).json()["version"])) for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(given) == [2, 3, 4, 5]


def test_a_database_that_was_away_at_the_start_has_the_first_scorecard_when_it_is_needed(engine: Engine) -> None:
    with engine.begin() as connection:
        assert scorecard_in_force(connection, now=NOON).card.version == 1
        adopt_first_scorecard(connection, now=NOON)

        assert connection.execute(text("SELECT count(*) FROM scorecards")).scalar_one() == 1
