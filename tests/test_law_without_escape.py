"""The law is a floor: no setting, field, option, role or policy file turns a legal check off."""

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
import typer.main
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.calling_windows import state
from compliance.legal import in_force
from compliance.policy import Policy, PolicyError, floor_policy, parse_policy
from compliance.shanghai import SHANGHAI
from infra.embedded_postgres import EmbeddedPostgres
from infra.settings import Settings
from services.cli.main import commands
from tests.gate_facts import CALL
from tests.services.shared_app import SharedApp, published_document, shared_app

TODAY = date(2026, 11, 23)
ESCAPE = re.compile(
    r"force|overrid|skip|ignor|bypass|disabl|enable|unsafe|exempt|whitelist|allowlist|debug|dry|test_mode"
)


def every_name(value: object) -> Iterator[str]:
    """Return the names of all properties and parameters in a document."""
    if isinstance(value, dict):
        yield from value.get("properties", {})
        if "in" in value and "name" in value:
            yield str(value["name"])
        for one in value.values():
            yield from every_name(one)
    elif isinstance(value, list):
        for one in value:
            yield from every_name(one)


def test_no_field_of_any_request_or_answer_sounds_like_a_way_around() -> None:
    names = set(every_name(published_document()))

    assert {"callee", "phone", "limit"} <= names
    assert sorted(name for name in names if ESCAPE.search(name)) == []


def test_no_setting_sounds_like_a_way_around() -> None:
    assert sorted(name for name in Settings.model_fields if ESCAPE.search(name)) == []


def test_no_option_of_a_command_sounds_like_a_way_around() -> None:
    group: Any = typer.main.get_command(commands)
    options = {option.name for command in group.commands.values() for option in command.params}

    assert "at" in options
    assert sorted(name for name in options if ESCAPE.search(name)) == []


def test_nothing_of_the_list_can_be_put_or_deleted() -> None:
    methods = {
        method
        for path, operations in published_document()["paths"].items()
        if path.startswith(("/v1/do-not-call", "/v1/call-checks", "/v1/calls"))
        for method in operations
    }

    assert methods <= {"get", "post"}


@pytest.fixture(scope="module")
def shared(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApp]:
    with shared_app(server, template, tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.mark.parametrize("role", ["dialer", "officer", "admin", "auditor"])
@pytest.mark.parametrize("purpose", ["sales", "gift", "appointment", "service"])
@pytest.mark.parametrize("at", ["2026-11-23T21:00:00+08:00", "2026-11-24T08:59:59+08:00", "2026-11-23T22:00:00+09:00"])
def test_nobody_may_call_at_night_for_any_purpose(shared: SharedApp, role: str, purpose: str, at: str) -> None:
    body = {**CALL, "purpose": purpose, "at": at}

    found = shared.client(role).post("/v1/call-checks/simulate", json=body).raise_for_status().json()

    assert found["decision"] == "deny"
    assert "quiet_hours" in [one["code"] for one in found["reasons"]]


@pytest.mark.parametrize("purpose", ["sales", "gift", "appointment"])
def test_who_refused_is_blocked_under_every_spelling_and_for_every_agency(shared: SharedApp, purpose: str) -> None:
    shared.client("officer").post("/v1/do-not-call", json={"phone": "139 0000 1111", "source": "call"})
    spellings = [
        "13900001111",
        "+86 139-0000-1111",
        "0086 13900001111",
        "013900001111",
        "１３９００００１１１１",
        "9,13900001111",
    ]
    checks = [{**CALL, "callee": one, "purpose": purpose} for one in spellings]

    found = shared.client("dialer").post("/v1/call-checks/batch", json={"checks": checks}).raise_for_status().json()

    assert [one["decision"] for one in found["results"]] == ["deny"] * len(spellings)
    assert all("do_not_call" in [reason["code"] for reason in one["reasons"]] for one in found["results"])


times = st.times(min_value=time(0), max_value=time(23, 59)).map(lambda at: at.replace(microsecond=0))
figures = st.integers(-1, 20_000) | st.sampled_from([0, 5, 6, 7, 100, 2000, 3000, 10_000])


@st.composite
def policy_texts(draw: st.DrawFn) -> str:
    """Policies of every kind, many of them just above or below the floor."""
    lines = []
    tables = {
        "do_not_call": ["block_months"],
        "sampling": ["over_1y_bp", "within_1y_bp", "gift_bp"],
        "retention": ["years_5y", "years_10y"],
        "complaints": ["explain_working_days", "resolve_working_days"],
    }
    for table, keys in tables.items():
        chosen = draw(st.lists(st.sampled_from(keys), unique=True))
        if chosen:
            lines += [f"[{table}]", *(f"{key} = {draw(figures)}" for key in chosen)]
    if draw(st.booleans()):
        start, end = draw(times | st.just(time(21))), draw(times | st.just(time(9)))
        lines += ["[quiet_hours]", f"daily = [{start}, {end}]"]
    return "\n".join(lines)


def accepted(text: str) -> Policy | None:
    try:
        return parse_policy(text, on=TODAY)
    except PolicyError:
        return None


def figures_of(policy: Policy) -> dict[str, int]:
    return {
        "block_months": policy.block_months,
        "over_1y_bp": policy.sampling.over_1y_bp,
        "within_1y_bp": policy.sampling.within_1y_bp,
        "gift_bp": policy.sampling.gift_bp,
        "years_5y": policy.retention.years_5y,
        "years_10y": policy.retention.years_10y,
        "explain_working_days": -policy.complaints.explain_working_days,
        "resolve_working_days": -policy.complaints.resolve_working_days,
    }


@settings(max_examples=300, deadline=None)
@given(policy_texts())
def test_no_policy_that_is_accepted_is_looser_than_the_floor(text: str) -> None:
    policy = accepted(text)
    if policy is None:
        return
    floor = figures_of(floor_policy(on=TODAY))

    looser = {name: value for name, value in figures_of(policy).items() if value < floor[name]}
    assert looser == {}
    midnight = datetime(2026, 11, 23, tzinfo=SHANGHAI)
    night = [midnight + timedelta(days=day, minutes=minute) for day in range(8) for minute in (*range(0, 540, 7), 539)]
    evening = [
        midnight + timedelta(days=day, minutes=minute) for day in range(8) for minute in (1260, 1261, 1380, 1439)
    ]
    assert [at for at in night + evening if not state(policy.quiet_hours.general, at).prohibited] == []


def test_the_floor_itself_is_accepted_and_is_the_law() -> None:
    floor = floor_policy(on=TODAY)

    assert floor.block_months == in_force("do_not_call.block_months", TODAY).value == 6
    assert accepted(floor.text) == floor
    assert accepted("") is not None
