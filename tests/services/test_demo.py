"""The demo data on a real database: what `make run` shows must hold under the real rules."""

import csv
import io
import json
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, Engine, select, text

from compliance.call_checks import simulate_calls
from compliance.call_facts import ProposedCall
from compliance.call_records import CallRecord, record_calls
from compliance.check_rows import JudgedCall, read_check, replay
from compliance.decision import Decision, Verdict
from compliance.phone_numbers import normalise
from compliance.shanghai import SHANGHAI, shanghai_day
from compliance.tables import call_checks, call_records
from compliance.working_days import package_calendar
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from services.demo.facts import DemoFacts, demo_facts
from services.demo.files import OWNERS
from services.demo.load import is_loaded, load_demo
from services.tokens import find_token, hash_token
from tests.recordings.desk import places_below
from tests.services.demo_digests import digests
from tests.unguarded import unguarded

AFTERNOON = datetime(2026, 11, 23, 16, 0, tzinfo=SHANGHAI)
FACTS = demo_facts()


@dataclass(frozen=True, slots=True)
class Loaded:
    engine: Engine
    data_dir: Path
    facts: DemoFacts
    messages: list[tuple[str, float]]


def _load(engine: Engine, data_dir: Path) -> Loaded:
    messages: list[tuple[str, float]] = []
    facts = load_demo(
        engine,
        now=AFTERNOON,
        data_dir=data_dir,
        places=places_below(data_dir),
        progress=lambda what, share: messages.append((what, share)),
    )
    return Loaded(engine, data_dir, facts, messages)


def _new_database(server: EmbeddedPostgres, template: str, name: str) -> Engine:
    administrator = make_engine(server.url("postgres"), application_name="tests")
    with administrator.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    administrator.dispose()
    return make_engine(server.url(name), application_name="tests")


@pytest.fixture(scope="module")
def demo(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """One loaded demo for all tests of this module that leave it as it is."""
    engine = _new_database(server, template, "demo_first")
    yield _load(engine, tmp_path_factory.mktemp("demo"))
    engine.dispose()


@pytest.fixture
def reader(demo: Loaded) -> Iterator[Connection]:
    """A transaction on the loaded demo, rolled back."""
    with demo.engine.connect() as connection:
        yield connection
        connection.rollback()


def _simulated(connection: Connection, call: ProposedCall, at: datetime) -> Decision:
    judged = simulate_calls(connection, [call], policy=None, calendar=package_calendar(), at=at, now=AFTERNOON)
    return judged[0].decision


def _codes(decision: Decision) -> list[str]:
    return [reason.code.value for reason in decision.reasons]


def _call_of(path: Path) -> ProposedCall:
    return msgspec.json.decode(path.read_bytes(), type=ProposedCall)


@pytest.mark.parametrize(
    ("table", "least", "most"),
    [
        ("do_not_call_entries", 50_000, 50_000),
        ("call_checks", 20_000, 20_000),
        ("call_records", 7_500, 8_500),
        ("incidents", 5, 40),
        ("customer_phones", 350, 900),
        ("sales", 400, 700),
    ],
)
def test_the_demo_is_large_enough_to_look_at(reader: Connection, table: str, least: int, most: int) -> None:
    assert least <= reader.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() <= most  # noqa: S608 - our own table names


@pytest.mark.parametrize(
    ("register", "rows"),
    [("insurer", 1), ("centres", 3), ("agents", 60), ("products", 12), ("customers", 300), ("caller-numbers", 4)],
)
def test_every_register_is_filled(reader: Connection, register: str, rows: int) -> None:
    counted = text("SELECT count(*) FROM register_rows WHERE register = :register")
    assert reader.execute(counted, {"register": register}).scalar_one() == rows


_LATEST = """
    SELECT greatest(
      (SELECT max(checked_at) FROM call_checks), (SELECT max(recorded_at) FROM call_records),
      (SELECT max(recorded_at) FROM do_not_call_events), (SELECT max(recorded_at) FROM incident_events),
      (SELECT max(recorded_at) FROM sale_events), (SELECT max(changed_at) FROM sales),
      (SELECT max(recorded_at) FROM register_versions), (SELECT max(decided_at) FROM approvals),
      (SELECT max(requested_at) FROM approvals), (SELECT max(recorded_at) FROM audit_events),
      (SELECT max(drawn_at) FROM draws), (SELECT max(recorded_at) FROM draw_tickets),
      (SELECT max(changed_at) FROM inspections), (SELECT max(submitted_at) FROM inspection_results),
      (SELECT max(reported_at) FROM listening_reports), (SELECT max(recorded_at) FROM recordings))"""


def test_the_demo_ends_at_the_clock(reader: Connection) -> None:
    assert reader.execute(text(_LATEST)).scalar_one() == AFTERNOON


def test_no_register_row_is_newer_than_the_first_check(reader: Connection) -> None:
    newest = reader.execute(text("SELECT max(recorded_at) FROM register_versions")).scalar_one()
    assert newest < reader.execute(text("SELECT min(checked_at) FROM call_checks")).scalar_one()


def test_progress_is_told_from_nothing_to_all(demo: Loaded) -> None:
    shares = [share for _, share in demo.messages]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_a_second_load_changes_nothing(demo: Loaded) -> None:
    before, tokens = digests(demo.engine), (demo.data_dir / "demo-tokens.json").read_bytes()

    again = _load(demo.engine, demo.data_dir)

    assert again.facts == demo.facts
    assert again.messages == []
    assert digests(demo.engine) == before
    assert (demo.data_dir / "demo-tokens.json").read_bytes() == tokens


@pytest.mark.slow
def test_the_same_clock_gives_the_same_data(
    demo: Loaded, server: EmbeddedPostgres, template: str, tmp_path: Path
) -> None:
    engine = _new_database(server, template, "demo_second")
    again = _load(engine, tmp_path)

    assert digests(engine) == digests(demo.engine)
    assert (tmp_path / "demo-check.json").read_bytes() == (demo.data_dir / "demo-check.json").read_bytes()
    assert (tmp_path / "demo-tokens.json").read_bytes() != (demo.data_dir / "demo-tokens.json").read_bytes()
    assert again.facts == demo.facts
    engine.dispose()


class _KilledError(RuntimeError):
    """Stands for a load that is cut short."""


def test_a_load_cut_short_leaves_an_empty_database(engine: Engine, tmp_path: Path) -> None:
    def killed_half_way(_what: str, share: float) -> None:
        if share >= 0.4:
            raise _KilledError

    with pytest.raises(_KilledError):
        load_demo(engine, now=AFTERNOON, data_dir=tmp_path, places=places_below(tmp_path), progress=killed_half_way)

    with engine.connect() as connection:
        assert not is_loaded(connection)
        assert connection.execute(text("SELECT count(*) FROM register_rows")).scalar_one() == 0


def test_a_database_with_data_of_its_own_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO register_rows VALUES ('products', 'P1', DEFAULT, now())"))
    before = digests(engine)

    _load(engine, tmp_path)

    assert digests(engine) == before
    assert list(tmp_path.iterdir()) == []


def _sample(connection: Connection) -> list[JudgedCall]:
    """Return 50 checks, spread over all days."""
    ids = connection.execute(select(call_checks.c.check_id).order_by(call_checks.c.check_id)).scalars().all()
    return [read_check(connection, check_id).judged for check_id in ids[::400]]


def test_replaying_the_demo_checks_gives_the_same_answers(reader: Connection) -> None:
    sample = _sample(reader)

    assert len(sample) == 50
    assert {judged.decision.verdict for judged in sample} == {Verdict.ALLOW, Verdict.DENY}
    assert [replay(judged)[0] for judged in sample] == [True] * 50


def _simulated_as_then(connection: Connection, judged: JudgedCall) -> JudgedCall:
    calls, calendar = [judged.call], package_calendar()
    return simulate_calls(connection, calls, policy=judged.policy, calendar=calendar, at=judged.at, now=AFTERNOON)[0]


def test_the_demo_checks_rest_on_what_was_known_then(reader: Connection) -> None:
    sample = _sample(reader)

    again = [_simulated_as_then(reader, judged) for judged in sample]

    assert [(one.decision, one.callee, one.side.digest) for one in again] == [
        (one.decision, one.callee, one.side.digest) for one in sample
    ]


def test_the_incidents_are_those_that_recording_the_calls_would_open(reader: Connection) -> None:
    stored = reader.execute(
        text("SELECT call_id, array_agg(kind) AS kinds FROM incidents WHERE call_id IS NOT NULL GROUP BY 1")
    )
    found = {row.call_id: row.kinds for row in stored}
    records = [msgspec.convert(one, CallRecord) for one in reader.execute(select(call_records.c.content)).scalars()]
    with unguarded(reader):
        for table in ("incident_events", "incidents", "call_records"):
            reader.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our names

    results = record_calls(reader, records, person="dialer", calendar=package_calendar(), now=AFTERNOON)

    assert {one.call_id: [kind for _, kind in one.incidents] for one in results if one.incidents} == found


def test_sending_the_demo_calls_again_is_a_repeat(reader: Connection) -> None:
    stored = reader.execute(
        select(call_records.c.content, call_records.c.do_not_call_entry_id).where(call_records.c.outcome == "refused")
    ).all()
    records = [msgspec.convert(content, CallRecord) for content, _ in stored]

    results = record_calls(reader, records, person="dialer", calendar=package_calendar(), now=AFTERNOON)

    assert [one.do_not_call_entry_id for one in results] == [entry for _, entry in stored]


_AT = {
    "the first days": datetime(2015, 1, 5, 12, 0, tzinfo=SHANGHAI),
    "the demo's afternoon": AFTERNOON,
    "noon": datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI),
    "first second of the day": datetime(2026, 11, 23, 9, 0, tzinfo=SHANGHAI),
    "last second of the day": datetime(2026, 11, 23, 20, 59, 59, tzinfo=SHANGHAI),
    "years later": datetime(2045, 7, 1, 10, 0, tzinfo=SHANGHAI),
}


@pytest.mark.parametrize("at", _AT.values(), ids=_AT)
@pytest.mark.parametrize("file", ["demo-check.json", "demo-check-agency.json"])
def test_the_example_checks_are_allowed_in_calling_hours(
    demo: Loaded, reader: Connection, file: str, at: datetime
) -> None:
    assert _simulated(reader, _call_of(demo.data_dir / file), at).verdict is Verdict.ALLOW


@pytest.mark.parametrize("file", ["demo-check.json", "demo-check-agency.json"])
def test_the_example_checks_are_refused_at_nine_in_the_evening(demo: Loaded, reader: Connection, file: str) -> None:
    decision = _simulated(reader, _call_of(demo.data_dir / file), datetime(2026, 11, 23, 21, 0, tzinfo=SHANGHAI))

    assert decision.verdict is Verdict.DENY
    assert _codes(decision) == ["quiet_hours"]
    assert decision.next_callable_at == datetime(2026, 11, 24, 9, 0, tzinfo=SHANGHAI)


def test_the_file_holds_what_the_facts_say(demo: Loaded) -> None:
    assert _call_of(demo.data_dir / "demo-check.json") == FACTS.own.call(FACTS.callee)


OWN = FACTS.own.call(FACTS.callee)
_GUANGDONG = "13802880001"

REFUSED = {
    "blocked": (replace(OWN, callee=FACTS.blocked_callee), ["do_not_call"]),
    "universal": (replace(OWN, product_code=FACTS.universal_product), ["product_not_permitted", "no_approved_script"]),
    "without script": (replace(OWN, product_code=FACTS.product_without_script), ["no_approved_script"]),
    "expired leads": (replace(OWN, campaign_id=FACTS.expired_campaign_id), ["no_lead_provenance"]),
    "number of the agency": (replace(OWN, caller_number=FACTS.agency.caller_number), ["caller_number_not_registered"]),
    "outside the region": (FACTS.regional_agency.call(FACTS.callee), ["outside_sales_region"]),
    "agent of the agency": (replace(OWN, agent_id=FACTS.agency.agent_id), ["agent_not_qualified"]),
}


@pytest.mark.parametrize(("call", "codes"), REFUSED.values(), ids=REFUSED)
def test_named_parts_of_the_demo_are_refused_for_their_reason(
    reader: Connection, call: ProposedCall, codes: Sequence[str]
) -> None:
    assert _codes(_simulated(reader, call, AFTERNOON)) == codes


ALLOWED = {
    "participating product": replace(OWN, product_code=FACTS.participating_product),
    "regional agency in its region": FACTS.regional_agency.call(_GUANGDONG),
    "customer": replace(OWN, callee=FACTS.customer_phone, customer_id=FACTS.customer_id),
}


@pytest.mark.parametrize("call", ALLOWED.values(), ids=ALLOWED)
def test_named_parts_of_the_demo_are_allowed(reader: Connection, call: ProposedCall) -> None:
    assert _simulated(reader, call, AFTERNOON).verdict is Verdict.ALLOW


def test_the_example_callee_is_on_no_list_and_no_customers(reader: Connection) -> None:
    held = text("""SELECT phone_digits FROM do_not_call_phones WHERE phone_digits = 8613800138000
                   UNION ALL SELECT phone_digits FROM customer_phones WHERE phone_digits = 8613800138000""")
    assert reader.execute(held).all() == []


def test_some_number_is_in_its_first_year(reader: Connection) -> None:
    began = text("SELECT max((body ->> 'in_use_from')::date) FROM register_versions WHERE register = 'caller-numbers'")
    assert shanghai_day(AFTERNOON) - reader.execute(began).scalar_one() < timedelta(days=365)


def test_every_number_is_one_that_can_be_called_and_stands_in_normal_form(reader: Connection) -> None:
    numbers = reader.execute(
        text("SELECT '+' || phone_digits FROM do_not_call_phones UNION SELECT '+' || phone_digits FROM customer_phones")
    )
    odd = [one for one in numbers.scalars() if (found := normalise(one)) is None or found.e164 != one]
    assert odd == []


def test_the_end_of_every_block_is_that_of_its_refusals(reader: Connection) -> None:
    differing = text("""
        SELECT e.entry_id FROM do_not_call_entries e JOIN do_not_call_events h USING (entry_id)
         WHERE h.kind = 'refusal' GROUP BY e.entry_id
        HAVING e.blocked_through <> max(h.blocked_through) OR e.refused_at <> max(h.refused_at)
            OR e.blocked_from <> min(least(h.refused_at, h.recorded_at))""")
    assert reader.execute(differing).all() == []


@pytest.mark.parametrize("file", ["demo-tokens.json", "demo-users.json"])
def test_secrets_are_for_the_owner_alone(demo: Loaded, file: str) -> None:
    assert stat.S_IMODE((demo.data_dir / file).stat().st_mode) == 0o600


@pytest.mark.parametrize("owner", OWNERS)
def test_each_key_has_a_live_token_of_its_own_and_a_login(demo: Loaded, reader: Connection, owner: str) -> None:
    token = json.loads((demo.data_dir / "demo-tokens.json").read_text())[owner]
    user = json.loads((demo.data_dir / "demo-users.json").read_text())[owner]

    found = find_token(reader, hash_token(token))

    assert found is not None
    assert found.is_live(AFTERNOON + timedelta(days=364))
    assert (found.actor.owner, found.actor.role) == (owner, OWNERS[owner])
    assert set(user) == {"login", "password", "user_id"}
    assert user["user_id"] == owner


def test_the_lead_list_has_numbers_of_every_kind(demo: Loaded, reader: Connection) -> None:
    content = (demo.data_dir / "demo-list.csv").read_bytes().decode("gb18030")
    header, *rows = list(csv.reader(io.StringIO(content)))
    codes = [_codes(_simulated(reader, FACTS.own.call(row[1]), AFTERNOON)) for row in rows]

    assert header == ["姓名", "手机号", "省份"]
    assert ["", "", ""] in rows
    assert codes.count(["do_not_call"]) == 4
    assert sum("invalid_number" in one for one in codes) == 6
    assert codes.count([]) == 8
