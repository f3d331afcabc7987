"""A shortfall is told of while it can be helped, and when it stands, once each."""

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, insert

from compliance.incidents import Incident, IncidentFilter, list_incidents, read_incident
from compliance.sale_terms import InspectionClass
from compliance.shanghai import SHANGHAI, midnight
from compliance.working_days import package_calendar
from infra.ids import new_id
from qa_sampling.replacements import replace_failing
from qa_sampling.shortfalls import InspectorPace, look_ahead, raise_shortfalls, read_missed
from qa_sampling.tables import inspection_sittings, listening_reports, seed_commitments
from tests.conftest import NOON
from tests.qa_sampling.sampled_sales import DAY, WITHIN_1Y, add_draw, add_result, add_sales, by_ticket, drawn_in, submit
from tests.qa_sampling.test_quotas import OVER
from tests.qa_sampling.test_replacements import ENDS, move_end, with_recordings
from tests.recordings.archive_rows import add_recording

CALENDAR = package_calendar()
BEGAN_AT = midnight(DAY) - timedelta(days=1)


def begin_sampling(connection: Connection, *, at: datetime = BEGAN_AT) -> None:
    """Publish a commitment: from then on sales are sampled."""
    row = {"day": DAY, "seed_commitment": bytes(32), "published_at": at}
    connection.execute(insert(seed_commitments).values(row))


def raise_at(connection: Connection, now: datetime) -> int:
    return raise_shortfalls(connection, calendar=CALENDAR, now=now)


def incidents(connection: Connection) -> list[Incident]:
    """Return the incidents there are, oldest first."""
    return list_incidents(connection, IncidentFilter(), before=None, limit=100)[::-1]


def kinds(connection: Connection) -> list[str]:
    return [one.kind for one in incidents(connection) if one.kind.startswith("sampling")]


def work_before(connection: Connection, results: int, *, now: datetime) -> None:
    """Let an inspector have finished so many inspections of an earlier day in the last two weeks."""
    earlier = DAY - timedelta(days=20)
    names = add_sales(connection, results, prefix="W", closed_on=earlier, cooling_off_days=60)
    add_draw(connection, OVER, earlier, rate_bp=10_000)
    for name in names:
        submit(connection, name, at=now - timedelta(days=3))


def add_heard(connection: Connection, inspection_id: UUID, heard_ms: int, *, at: datetime, inspector: str) -> None:
    sitting_id = new_id()
    about = {"sitting_id": sitting_id, "inspection_id": inspection_id, "inspector": inspector}
    sitting = {"purpose": "inspection", "scorecard_version": 1, "claimed_at": at, "expires_at": at}
    connection.execute(insert(inspection_sittings).values(**about, **sitting, ended_at=at, ending="expired"))
    recording_id = add_recording(connection, call_id=None)
    report = {"report_id": new_id(), "recording_id": recording_id, "intervals": [], "added_ms": heard_ms}
    connection.execute(insert(listening_reports).values(**about, **report, reported_at=at))


def test_without_any_inspector_all_is_at_risk(connection: Connection) -> None:
    add_sales(connection, 10)
    add_draw(connection, OVER)

    found = look_ahead(connection, calendar=CALENDAR, now=ENDS - timedelta(days=5), days=14)

    assert (found.pace.results, found.inspectors) == (0, ())
    assert [(one.cohort.needed, one.in_time, one.shortfall) for one in found.expected.cohorts] == [(3, 0, 3)]


def test_the_pace_is_that_of_the_last_14_days_by_inspector(connection: Connection) -> None:
    names = add_sales(connection, 3)
    add_draw(connection, OVER, rate_bp=10_000)
    first = submit(connection, names[0], at=NOON - timedelta(days=13), inspector="anna")
    submit(connection, names[1], at=NOON - timedelta(days=14), inspector="anna")
    submit(connection, names[2], at=NOON - timedelta(hours=1), inspector="ben")
    add_result(connection, first, None, at=NOON - timedelta(days=1), inspector="carla")
    add_heard(connection, first, 90_000, at=NOON - timedelta(days=13), inspector="anna")
    add_heard(connection, first, 10_000, at=NOON - timedelta(days=20), inspector="anna")

    found = look_ahead(connection, calendar=CALENDAR, now=NOON, days=14)

    assert found.inspectors == (InspectorPace("anna", 1, 90_000), InspectorPace("ben", 1, 0))
    assert found.pace == (2, 90_000, 10)
    assert (found.from_on, found.to_on) == (date(2026, 11, 10), date(2026, 11, 23))


def test_what_is_due_stands_on_the_last_day_on_which_it_can_be_done(connection: Connection) -> None:
    add_sales(connection, 10)
    add_draw(connection, OVER)

    found = look_ahead(connection, calendar=CALENDAR, now=ENDS - timedelta(days=2), days=3)

    assert [(one.day, one.due) for one in found.expected.days] == [
        (date(2026, 11, 16), 0),
        (date(2026, 11, 17), 3),
        (date(2026, 11, 18), 0),
    ]


@pytest.mark.parametrize(
    ("before_the_end", "results", "told"),
    [
        pytest.param(timedelta(days=2, microseconds=1), 0, [], id="too early to say"),
        pytest.param(timedelta(days=2), 0, ["sampling_shortfall_ahead"], id="two days before"),
        pytest.param(timedelta(days=2), 10, ["sampling_shortfall_ahead"], id="one a day is not enough for three"),
        pytest.param(timedelta(days=2), 15, [], id="three in two days are"),
        pytest.param(timedelta(hours=1), 15, ["sampling_shortfall_ahead"], id="not in the last hour"),
    ],
)
def test_two_days_before_the_end_a_shortfall_is_foreseen(
    connection: Connection, before_the_end: timedelta, results: int, told: list[str]
) -> None:
    now = ENDS - before_the_end
    add_sales(connection, 10)
    add_draw(connection, OVER)
    work_before(connection, results, now=now)

    raise_at(connection, now)

    assert kinds(connection) == told


def test_what_is_foreseen_has_its_numbers_and_its_article(connection: Connection) -> None:
    names = add_sales(connection, 10)
    add_draw(connection, OVER)
    submit(connection, by_ticket(names)[0], at=ENDS - timedelta(days=10))

    raise_at(connection, ENDS - timedelta(days=1))

    [found] = [one for one in incidents(connection) if one.kind.startswith("sampling")]
    assert (found.article, found.details) == (
        "34(1)",
        {
            "sales_mode": "own_centre",
            "centre_id": "centre-1",
            "class": "over_1y",
            "closed_on": "2026-11-02",
            "required": 3,
            "done_in_time": 1,
            "open": 2,
            "expected_in_time": 0,
            "expected_shortfall": 2,
            "last_due_before": "2026-11-18T00:00:00+08:00",
            "results": 1,
            "working_days": 10,
        },
    )


def test_each_shortfall_is_told_of_once_ahead_and_once_when_it_stands(connection: Connection) -> None:
    begin_sampling(connection)
    add_sales(connection, 10)
    add_draw(connection, OVER)
    times = [ENDS - timedelta(days=2), ENDS - timedelta(days=1), ENDS - timedelta(seconds=1), ENDS, ENDS, NOON]

    assert [raise_at(connection, now) for now in times] == [1, 0, 0, 1, 0, 0]
    assert kinds(connection) == ["sampling_shortfall_ahead", "sampling_shortfall"]


def test_a_shortfall_that_grew_since_it_was_told_is_told_anew(connection: Connection) -> None:
    begin_sampling(connection)
    add_sales(connection, 1)
    raise_at(connection, ENDS)
    add_sales(connection, 9, prefix="BACK")

    assert [raise_at(connection, ENDS) for _ in range(2)] == [1, 0]
    told = [one.details["shortfall"] for one in incidents(connection) if one.kind == "sampling_shortfall"]
    assert told == [1, 3]
    assert read_missed(connection, now=ENDS) == {InspectionClass.OVER_1Y: 3}


def test_a_shortfall_that_stands_has_its_numbers(connection: Connection) -> None:
    begin_sampling(connection)
    add_sales(connection, 10)
    drawn = drawn_in(connection, add_draw(connection, OVER))
    submit(connection, drawn[0], at=ENDS - timedelta(days=5))
    submit(connection, drawn[1], at=ENDS)

    raise_at(connection, ENDS)

    [found] = [one for one in incidents(connection) if one.kind == "sampling_shortfall"]
    assert found.article == "34(1)"
    assert found.details == {
        "sales_mode": "own_centre",
        "centre_id": "centre-1",
        "class": "over_1y",
        "closed_on": "2026-11-02",
        "sales": 10,
        "rate_bp": 3000,
        "required": 3,
        "drawn": 3,
        "done_in_time": 1,
        "done_late": 1,
        "shortfall": 2,
    }
    assert read_missed(connection, now=ENDS) == {InspectionClass.OVER_1Y: 2}


@pytest.mark.parametrize(("published_at", "told"), [(ENDS, 0), (ENDS - timedelta(microseconds=1), 1)])
def test_of_windows_that_ended_before_sampling_began_nothing_is_missed(
    connection: Connection, published_at: datetime, told: int
) -> None:
    add_sales(connection, 10)
    before = raise_at(connection, ENDS)

    begin_sampling(connection, at=published_at)

    assert (before, raise_at(connection, ENDS + timedelta(days=1))) == (0, told)


def test_what_was_never_drawn_is_missed_as_well(connection: Connection) -> None:
    begin_sampling(connection)
    add_sales(connection, 1)

    assert [raise_at(connection, now) for now in (ENDS - timedelta(seconds=1), ENDS)] == [0, 1]


def test_a_minimum_that_was_met_is_no_shortfall(connection: Connection) -> None:
    add_sales(connection, 10)
    for policy_no in drawn_in(connection, add_draw(connection, OVER)):
        submit(connection, policy_no, at=ENDS - timedelta(days=5))

    assert raise_at(connection, ENDS) == 0


def test_while_another_sale_of_the_cohort_can_still_be_inspected_nothing_is_missed(connection: Connection) -> None:
    names = add_sales(connection, 4)
    with_recordings(connection, *names)
    add_draw(connection, OVER, rate_bp=2500)
    order = by_ticket(names)
    move_end(connection, ENDS + timedelta(days=20), order[1])
    replace_failing(connection, now=ENDS)

    assert raise_at(connection, ENDS) == 0
    assert raise_at(connection, ENDS + timedelta(days=20)) == 1


def test_gifts_stand_under_their_own_article(connection: Connection) -> None:
    begin_sampling(connection)
    add_sales(connection, 1, gift=True)
    now = datetime(2027, 1, 1, tzinfo=SHANGHAI)

    assert [raise_at(connection, at) for at in (now - timedelta(seconds=1), now)] == [0, 1]
    assert [one.article for one in incidents(connection) if one.kind == "sampling_shortfall"] == ["37"]


def test_within_a_year_stands_under_its_own_item(connection: Connection) -> None:
    begin_sampling(connection)
    add_sales(connection, 1, **WITHIN_1Y)

    raise_at(connection, datetime(2027, 5, 3, tzinfo=SHANGHAI))

    assert [one.article for one in incidents(connection) if one.kind == "sampling_shortfall"] == ["34(2)"]


def test_two_workers_at_once_tell_once(engine: Engine) -> None:
    with engine.begin() as connection:
        begin_sampling(connection)
        add_sales(connection, 1)
    with engine.begin() as one, engine.begin() as other:
        found = raise_at(one, ENDS), raise_at(other, ENDS)
    with engine.begin() as connection:
        again = raise_at(connection, ENDS)

        assert (found, again, kinds(connection)) == ((1, 0), 0, ["sampling_shortfall"])


def test_an_incident_is_closed_like_any_other(connection: Connection) -> None:
    begin_sampling(connection)
    add_sales(connection, 1)
    raise_at(connection, ENDS)
    [found] = [one for one in incidents(connection) if one.kind == "sampling_shortfall"]

    assert read_incident(connection, found.incident_id).state == "open"
