"""The demo's month of samples and inspections: what the product itself would say of it at its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from compliance.shanghai import SHANGHAI
from compliance.working_days import package_calendar
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from qa_sampling.appeals import close_inspections, note_overdue_appeals
from qa_sampling.claims import claim_next
from qa_sampling.due_draws import due_draws
from qa_sampling.inspection_tasks import follow_sales
from qa_sampling.quotas import QuotaFilter, read_quotas, read_waiting
from qa_sampling.replacements import replace_failing
from qa_sampling.risk_sweep import sweep_risks
from qa_sampling.sale_recordings import coverage_of
from qa_sampling.second_scorings import calibration
from qa_sampling.shortfalls import raise_shortfalls
from qa_sampling.sittings import SittingPurpose, end_expired
from services.demo.load import load_demo
from tests.recordings.desk import places_below
from tests.services.shared_app import fresh_database

AFTERNOON = datetime(2026, 11, 23, 16, 0, tzinfo=SHANGHAI)
MONTH = QuotaFilter(from_on=date(2026, 10, 25), to_on=date(2026, 11, 22))


@dataclass(frozen=True, slots=True)
class Loaded:
    engine: Engine
    directory: Path


@pytest.fixture(scope="module")
def demo(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    directory = tmp_path_factory.mktemp("demo")
    with fresh_database(server, template) as url:
        engine = make_engine(url, application_name="tests")
        places = places_below(directory)
        load_demo(engine, now=AFTERNOON, data_dir=directory, places=places, progress=lambda _what, _share: None)
        yield Loaded(engine, directory)
        engine.dispose()


@pytest.fixture
def reader(demo: Loaded) -> Iterator[Connection]:
    with demo.engine.connect() as connection:
        yield connection
        connection.rollback()


def counted(connection: Connection, what: str) -> int:
    return int(connection.execute(text(f"SELECT count(*) FROM {what}")).scalar_one())  # noqa: S608 - our own words


KINDS = {
    "draws": ("draws", 60, 120),
    "a sale that came late and was drawn": ("draw_tickets WHERE kind IN ('late', 'promoted') AND is_drawn", 1, 9),
    "a sale that came late and was not drawn": ("draw_tickets WHERE NOT is_drawn", 1, 9),
    "a replacement": ("draw_tickets WHERE kind = 'replacement'", 1, 1),
    "open with a recording": (
        """inspections i WHERE state = 'open' AND EXISTS (
             SELECT FROM sale_calls c JOIN recordings r USING (call_id) WHERE c.policy_no = i.policy_no)""",
        20,
        40,
    ),
    "claimed with a draft": ("inspection_sittings WHERE ended_at IS NULL AND draft IS NOT NULL", 1, 1),
    "passed": ("inspections WHERE outcome = 'passed'", 60, 200),
    "failed": ("inspections WHERE outcome = 'failed'", 3, 30),
    "done late": ("inspections WHERE NOT is_in_time", 1, 1),
    "overdue and never done": (
        "inspections WHERE submitted_at IS NULL AND due_before <= '2026-11-23T16:00+08'",
        1,
        1,
    ),
    "incidents of fatal items": ("incidents WHERE kind = 'failed_fatal_item'", 2, 15),
    "incidents of shortfalls": ("incidents WHERE kind LIKE 'sampling%'", 1, 2),
    "corrections": ("inspection_results WHERE purpose = 'correction'", 1, 1),
    "appeals decided": ("inspection_appeals WHERE decided_at IS NOT NULL", 1, 1),
    "appeals that wait": ("inspection_appeals WHERE decided_at IS NULL", 1, 1),
    "over 65": ("""inspections WHERE risk_reasons @> '["customer_over_65"]'""", 2, 20),
    "new agents": ("""inspections WHERE risk_reasons @> '["new_agent"]'""", 3, 20),
    "late and risky": ("""inspections WHERE risk_reasons @> '["late_sale"]'""", 1, 5),
    "recordings": ("recordings", 100, 250),
    "holds": ("recording_segments", 2, 20),
    "commitments that would be faked": ("draws WHERE committed_before", 0, 0),
}


@pytest.mark.parametrize(("what", "least", "most"), KINDS.values(), ids=KINDS.keys())
def test_there_is_enough_of_every_kind_and_not_too_much(reader: Connection, what: str, least: int, most: int) -> None:
    assert least <= counted(reader, what) <= most


def test_the_worker_finds_nothing_to_make_up_for_at_the_first_start(reader: Connection) -> None:
    assert due_draws(reader, person="schedule", now=AFTERNOON) == []
    assert [
        work(reader, now=AFTERNOON)
        for work in (replace_failing, sweep_risks, close_inspections, note_overdue_appeals, follow_sales, end_expired)
    ] == [0] * 6
    assert raise_shortfalls(reader, calendar=package_calendar(), now=AFTERNOON) == 0


def test_of_each_centre_the_minimum_is_met_over_the_month_though_not_on_each_day(reader: Connection) -> None:
    by_day = QuotaFilter(from_on=MONTH.from_on, to_on=MONTH.to_on, by_day=True)

    met = [one for one in read_quotas(reader, MONTH, now=AFTERNOON) if not one.shortfall]
    missed = [
        one.stratum.inspection_class
        for one in read_quotas(reader, by_day, now=AFTERNOON)
        if one.shortfall and not one.progress.still_possible
    ]

    assert len(met) >= 4
    assert missed == ["over_1y"]


def test_something_is_due_soon(reader: Connection) -> None:
    waiting = read_waiting(reader, now=AFTERNOON)

    assert 2 <= sum(one.due_soon for one in waiting.values()) <= 6


@pytest.mark.parametrize("inspector", ["inspector", "inspector2", "somebody new"])
def test_what_an_inspector_is_given_first_can_be_heard(reader: Connection, inspector: str) -> None:
    sitting = claim_next(reader, inspector, now=AFTERNOON)

    assert sitting is not None
    assert sitting.purpose is SittingPurpose.INSPECTION
    assert coverage_of(reader, sitting.inspection_id, inspector)[0].duration_ms < 120_000


def test_every_result_was_heard_as_a_whole(reader: Connection) -> None:
    rows = reader.execute(text("SELECT inspection_id, inspector FROM inspection_results")).all()

    heard = [one for row in rows for one in coverage_of(reader, row.inspection_id, row.inspector)]

    assert len(heard) >= len(rows)
    assert {one.coverage_bp for one in heard} == {10_000}


def test_inspectors_mostly_agree_where_two_scored(reader: Connection) -> None:
    found = calibration(reader, from_day=date(2026, 10, 1), to_day=date(2026, 11, 23))

    assert found.outcomes.pairs >= 4
    assert found.left_out == 0


def test_what_happened_stands_at_the_instants_at_which_it_would_have(reader: Connection) -> None:
    drawn_at = reader.execute(text("SELECT drawn_at, from_on FROM draws WHERE drawn_at < '2026-11-22'")).all()
    ids = reader.execute(text("SELECT inspection_id, created_at FROM inspections")).all()

    assert {row.drawn_at.astimezone(SHANGHAI).date() - row.from_on for row in drawn_at} == {timedelta(days=1)}
    assert max(abs(_made_at(row.inspection_id) - row.created_at) for row in ids) < timedelta(days=1)


def _made_at(made: UUID) -> datetime:
    return datetime.fromtimestamp((made.int >> 80) / 1000, tz=SHANGHAI)


def test_a_second_load_after_one_that_was_cut_short_finds_the_recordings_in_place(
    demo: Loaded, server: EmbeddedPostgres, template: str
) -> None:
    objects = sorted((demo.directory / "recordings").rglob("*+*"))
    places = places_below(demo.directory)
    with fresh_database(server, template) as url:
        engine = make_engine(url, application_name="tests")
        load_demo(engine, now=AFTERNOON, data_dir=demo.directory, places=places, progress=lambda _what, _share: None)
        with engine.connect() as connection:
            recordings = counted(connection, "recordings")
        engine.dispose()

    assert sorted((demo.directory / "recordings").rglob("*+*")) == objects
    assert 2 * recordings <= len(objects) + 2
    assert list((demo.directory / "staging").iterdir()) == []
