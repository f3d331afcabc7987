"""Quotas, forecast and failure rates over HTTP: what is asked, what is answered, what is refused."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from qa_sampling.inspection_tasks import Risk, open_risky
from qa_sampling.verify import verify_bundle
from services.api.sampling import FailureRateList, ForecastAnswer, QuotaList
from services.quota_tasks import (
    raise_shortfalls_if_possible,
    replace_failing_if_possible,
    sweep_risks_if_possible,
)
from tests.conftest import SettableClock
from tests.gate_facts import write_registers
from tests.qa_sampling.sampled_sales import add_agency_sales, add_draw, add_sales, by_ticket, drawn_in, submit
from tests.qa_sampling.test_quotas import OVER
from tests.qa_sampling.test_replacements import ENDS, move_end, with_recordings
from tests.sale_bodies import SALE
from tests.services.documented import as_documented

ClientFor = Callable[..., TestClient]
STRATUM = {"sales_mode": "own_centre", "centre_id": "centre-1", "class": "over_1y"}
MONTH = {"from": "2026-11-01", "to": "2026-11-30"}
QUOTAS, FORECAST, RATES = "/v1/sampling/quotas", "/v1/sampling/forecast", "/v1/sampling/failure-rates"


@pytest.fixture
def officer(client_for: ClientFor, engine: Engine, clock: SettableClock) -> TestClient:
    """An officer two days before the windows end: ten sales, three of them drawn, one of these done."""
    clock.at = ENDS - timedelta(days=2)
    with engine.begin() as connection:
        write_registers(connection)
        names = add_sales(connection, 10, now=clock.at)
        with_recordings(connection, *names)
        drawn = drawn_in(connection, add_draw(connection, OVER, now=clock.at))
        submit(connection, drawn[0], at=clock.at - timedelta(days=1), outcome="failed", inspector="anna")
    return client_for("officer")


def test_quotas_are_answered_as_the_contract_says(officer: TestClient) -> None:
    answer = officer.get(QUOTAS, params=MONTH).raise_for_status().json()

    assert as_documented(QuotaList, answer) == answer
    assert answer == {
        "items": [
            {
                "sales_mode": "own_centre",
                "centre_id": "centre-1",
                "class": "over_1y",
                "from": "2026-11-01",
                "to": "2026-11-30",
                "rate_bp": 3000,
                "sales": 10,
                "required": 3,
                "required_by_day": 3,
                "drawn": 3,
                "done_in_time": 1,
                "done_late": 0,
                "shortfall": 2,
                "due_soon": 2,
                "open": 2,
                "still_possible": 2,
                "extra_done_in_time": 0,
            }
        ]
    }


def test_quotas_by_day_name_the_day(officer: TestClient) -> None:
    [item] = officer.get(QUOTAS, params={**MONTH, "granularity": "day"}).json()["items"]

    assert (item["from"], item["to"], item["sales"]) == ("2026-11-02", "2026-11-02", 10)


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"sales_mode": "agency"}, ["agency-1"]),
        ({"centre_id": "centre-1"}, ["centre-1"]),
        ({"class": "over_1y"}, ["agency-1", "centre-1"]),
        ({"class": "gift"}, []),
    ],
)
def test_quotas_can_be_asked_of_a_part(
    officer: TestClient, engine: Engine, chosen: dict[str, str], found: list[str]
) -> None:
    with engine.begin() as connection:
        add_agency_sales(connection, 1, prefix="A")

    items = officer.get(QUOTAS, params={**MONTH, **chosen}).json()["items"]

    assert [one["centre_id"] for one in items] == found


def test_a_sale_registered_for_a_closed_day_is_demanded_at_once(officer: TestClient) -> None:
    officer.post("/v1/sales", json={**SALE, "policy_no": "BACK-1"}).raise_for_status()

    [item] = officer.get(QUOTAS, params=MONTH).json()["items"]

    assert (item["sales"], item["required"], item["shortfall"]) == (11, 4, 3)


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        pytest.param(QUOTAS, {"from": "2026-11-02", "to": "2026-11-01"}, "to", id="ends before it begins"),
        pytest.param(QUOTAS, {"from": "2026-11-02"}, "to", id="no end"),
        pytest.param(QUOTAS, {"to": "2026-11-02"}, "from", id="no beginning"),
        pytest.param(QUOTAS, {"from": "2026-13-01", "to": "2026-11-01"}, "from", id="no date"),
        pytest.param(QUOTAS, {**MONTH, "granularity": "week"}, "granularity", id="weeks"),
        pytest.param(QUOTAS, {**MONTH, "class": "over"}, "class", id="no class"),
        pytest.param(QUOTAS, {**MONTH, "centre_id": "a\x00"}, "centre_id", id="NUL"),
        pytest.param(QUOTAS, {**MONTH, "centre": "a"}, "centre", id="a misspelt filter"),
        pytest.param(
            QUOTAS,
            {"from": "2025-01-01", "to": "2026-01-02", "granularity": "day"},
            "to",
            id="more than a year of days",
        ),
        pytest.param(FORECAST, {"days": "0"}, "days", id="no day ahead"),
        pytest.param(FORECAST, {"days": "93"}, "days", id="too far ahead"),
        pytest.param(RATES, {"from": "2026-11-02", "to": "2026-11-01"}, "to", id="rates that end before"),
        pytest.param(RATES, {**MONTH, "confidence": "1"}, "confidence", id="certainty"),
        pytest.param(RATES, {**MONTH, "confidence": "nan"}, "confidence", id="no number"),
    ],
)
def test_what_cannot_be_asked_is_422_and_names_the_field(
    officer: TestClient, path: str, query: dict[str, str], field: str
) -> None:
    answer = officer.get(path, params=query)

    assert answer.status_code == 422
    assert [one["loc"] for one in answer.json()["errors"]] == [field]


def test_a_year_by_day_can_be_asked(officer: TestClient) -> None:
    query = {"from": "2025-12-01", "to": "2026-11-30", "granularity": "day"}

    assert len(officer.get(QUOTAS, params=query).raise_for_status().json()["items"]) == 1


def test_the_forecast_says_what_is_due_and_whether_it_will_be_done(officer: TestClient) -> None:
    answer = officer.get(FORECAST, params={"days": 3}).raise_for_status().json()

    assert as_documented(ForecastAnswer, answer) == answer
    assert answer["pace"]["inspectors"] == [
        {
            "inspector": "anna",
            "results": 1,
            "heard_ms": 0,
            "results_per_working_day": 0.1,
            "heard_ms_per_working_day": 0,
        }
    ]
    assert [(one["day"], one["due"], one["will_be_met"]) for one in answer["days"]] == [
        ("2026-11-16", 0, True),
        ("2026-11-17", 2, False),
        ("2026-11-18", 0, True),
    ]
    assert [(one["closed_on"], one["open"], one["expected_shortfall"]) for one in answer["strata"]] == [
        ("2026-11-02", 2, 2)
    ]
    assert (answer["expected_shortfall"], answer["will_be_met"], answer["note"]) == (2, False, None)


def test_without_inspectors_the_forecast_says_so(client_for: ClientFor) -> None:
    answer = client_for("inspector").get(FORECAST).raise_for_status().json()

    assert (answer["pace"]["results"], len(answer["days"]), answer["strata"]) == (0, 14, [])
    assert answer["note"].startswith("No inspection was finished")


def test_what_is_due_after_the_days_asked_for_is_not_listed(officer: TestClient) -> None:
    answer = officer.get(FORECAST, params={"days": 1}).json()

    assert (answer["strata"], answer["will_be_met"]) == ([], True)


def test_failure_rates_have_their_interval_and_none_without_inspections(officer: TestClient) -> None:
    answer = officer.get(RATES, params=MONTH).raise_for_status().json()
    none = officer.get(RATES, params={"from": "2026-12-01", "to": "2026-12-31"}).json()

    assert as_documented(FailureRateList, answer) == answer
    [item] = answer["items"]
    assert (item["class"], item["inspected"], item["failed"], item["rate"]) == ("over_1y", 1, 1, 1.0)
    assert item["interval"] == pytest.approx([0.025, 1.0])
    assert (none["items"], none["total"]) == ([], {"inspected": 0, "failed": 0, "rate": None, "interval": None})


def test_failure_rates_of_items_are_given_when_asked_for(officer: TestClient) -> None:
    plain = officer.get(RATES, params=MONTH).json()
    answer = officer.get(RATES, params={**MONTH, "by_item": "true"}).raise_for_status().json()

    assert as_documented(FailureRateList, answer) == answer
    assert plain["scorecard_items"] is None
    assert [(one["item_id"], one["inspected"], one["failed"]) for one in answer["scorecard_items"]] == [
        ("consent", 1, 0)
    ]


@pytest.mark.parametrize("path", [QUOTAS, FORECAST, RATES])
def test_no_answer_names_a_customer_or_a_policy(officer: TestClient, path: str) -> None:
    query = {} if path == FORECAST else MONTH

    text = officer.get(path, params=query).text

    assert "P-0" not in text
    assert "13800138000" not in text


def test_a_draw_with_replacements_and_late_sales_verifies(
    client_for: ClientFor, engine: Engine, clock: SettableClock
) -> None:
    clock.at = ENDS - timedelta(days=3)
    with engine.begin() as connection:
        write_registers(connection)
        names = add_sales(connection, 6, now=clock.at)
    officer = client_for("officer")
    order = {"stratum": STRATUM, "from": "2026-11-02", "to": "2026-11-02"}
    drawn = officer.post("/v1/draws", json=order).raise_for_status().json()
    sample = [one["policy_no"] for one in drawn["sample"]]
    with engine.begin() as connection:
        with_recordings(connection, *sorted({*names} - {*sample}))
    officer.post("/v1/sales", json={**SALE, "policy_no": "LATE-0"}).raise_for_status()
    clock.at = ENDS - timedelta(days=1)
    replace_failing_if_possible(engine, clock)
    for number in range(1, 20):
        officer.post("/v1/sales", json={**SALE, "policy_no": f"LATE-{number}"}).raise_for_status()

    bundle = officer.get(f"/v1/draws/{drawn['draw_id']}/bundle")
    [item] = officer.get(QUOTAS, params=MONTH).json()["items"]
    found = bundle.json()
    first = found["replacements"][0]
    [failing] = officer.get("/v1/inspections", params={"policy_no": first["replaces"]}).json()["items"]

    everybody = {one["policy_no"] for one in (*found["sample"], *found["replacements"])}
    everybody |= {one["policy_no"] for one in found["additions"] if one["drawn"]}
    told = {"policy_no": first["policy_no"], "reason": first["reason"], "at": "2026-11-17T00:00:00+08:00"}
    assert failing["replaced_by"] == told
    assert verify_bundle(bundle.content).problems == []
    assert {*sample} <= {one["replaces"] for one in found["replacements"]}
    assert (item["sales"], item["required"], item["drawn"]) == (26, 8, len(everybody))


def test_metrics_show_what_waits_and_what_was_missed_by_class(
    officer: TestClient, engine: Engine, clock: SettableClock
) -> None:
    with engine.begin() as connection:
        open_risky(connection, [Risk("P-010", "complaint")], now=clock.at)
    clock.at = ENDS
    raise_shortfalls_if_possible(engine, clock)

    lines = officer.get("/metrics").text.splitlines()

    found = [line for line in lines if line.startswith(("telesales_inspections_w", "telesales_sampling_s"))]
    assert [line for line in found if 'class="over_1y"' in line] == [
        'telesales_inspections_waiting{inspection_class="over_1y",state="open"} 3.0',
        'telesales_inspections_waiting{inspection_class="over_1y",state="overdue"} 3.0',
        'telesales_inspections_waiting{inspection_class="over_1y",state="due_soon"} 0.0',
        'telesales_sampling_shortfall{inspection_class="over_1y"} 2.0',
    ]
    assert len(found) == 12


def test_the_tasks_do_their_work_and_commit_it(engine: Engine, clock: SettableClock) -> None:
    clock.at = ENDS
    with engine.begin() as connection:
        names = add_sales(connection, 4)
        with_recordings(connection, *names)
        add_draw(connection, OVER, rate_bp=2500)
        move_end(connection, ENDS + timedelta(days=9), *by_ticket(names)[1:])
        add_sales(connection, 1, prefix="E", closed_on=ENDS.date(), applicant_birth_date=ENDS.date().replace(year=1940))

    sweep_risks_if_possible(engine, clock)
    replace_failing_if_possible(engine, clock)
    clock.advance(timedelta(days=60))
    raise_shortfalls_if_possible(engine, clock)

    with engine.connect() as connection:
        origins = connection.exec_driver_sql("SELECT origin FROM inspections ORDER BY 1").scalars().all()
        alerts = connection.exec_driver_sql("SELECT kind FROM sampling_alerts").scalars().all()
    assert (origins, alerts) == (["draw", "replacement", "risk"], ["missed", "missed"])


def test_a_database_that_cannot_answer_stops_no_task(clock: SettableClock, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE inspections RENAME TO elsewhere")

    sweep_risks_if_possible(engine, clock)
    replace_failing_if_possible(engine, clock)
    raise_shortfalls_if_possible(engine, clock)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sampling_alerts").scalar_one() == 0
