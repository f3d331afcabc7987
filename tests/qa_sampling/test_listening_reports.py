"""Reports of listening: one after the other for each inspector, bounded by the time that has passed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from infra.application_role import application_url
from infra.database import make_engine
from qa_sampling.claims import claim_next
from qa_sampling.listening import ListeningRefusedError, Span
from qa_sampling.listening_reports import report
from qa_sampling.sale_recordings import RecordingCoverage, coverage_of, is_whole
from qa_sampling.sittings import NotHeldError
from tests.conftest import NOON
from tests.qa_sampling.inspection_desk import (
    CALLED_AT,
    add_call,
    add_inspection,
    add_recording,
    add_sale,
    add_scorecard,
    open_inspection,
    recording_of,
    reports_of,
)

LATER = NOON + timedelta(minutes=10)


def heard(
    connection: Connection, inspection_id: UUID, *spans: Span, policy_no: str = "P-1", after: float = 600
) -> RecordingCoverage:
    now = NOON + timedelta(seconds=after)
    recording_id = recording_of(connection, policy_no)
    return report(connection, inspection_id, recording_id, spans, inspector="ins", now=now)


@pytest.fixture
def inspection_id(connection: Connection) -> UUID:
    """A sale of one recording of a minute, claimed at noon."""
    made = add_inspection(connection)
    claim_next(connection, "ins", now=NOON)
    return made


def test_what_overlaps_counts_once(connection: Connection, inspection_id: UUID) -> None:
    heard(connection, inspection_id, (0, 30_000))
    found = heard(connection, inspection_id, (20_000, 40_000), (35_000, 40_000))

    assert (found.covered, found.covered_ms, found.coverage_bp) == (((0, 40_000),), 40_000, 6666)
    assert [one.added_ms for one in reports_of(connection)] == [30_000, 10_000]


def test_a_retry_adds_nothing_and_leaves_no_trace(connection: Connection, inspection_id: UUID) -> None:
    first = heard(connection, inspection_id, (0, 30_000))

    assert heard(connection, inspection_id, (0, 30_000)) == first
    assert len(reports_of(connection)) == 1


def test_one_missing_millisecond_is_not_the_whole(connection: Connection, inspection_id: UUID) -> None:
    found = heard(connection, inspection_id, (0, 59_999))

    assert (found.coverage_bp, found.missing) == (9999, ((59_999, 60_000),))
    assert not is_whole(coverage_of(connection, inspection_id, "ins"))
    heard(connection, inspection_id, (59_999, 60_000))
    assert is_whole(coverage_of(connection, inspection_id, "ins"))


def test_a_sale_without_a_recording_was_never_heard(connection: Connection) -> None:
    add_scorecard(connection)
    add_sale(connection)

    assert not is_whole(coverage_of(connection, open_inspection(connection), "ins"))


def test_what_one_inspector_heard_is_not_what_another_heard(connection: Connection, inspection_id: UUID) -> None:
    heard(connection, inspection_id, (0, 60_000))

    assert [one.covered_ms for one in coverage_of(connection, inspection_id, "ins-2")] == [0]


def test_nothing_counts_of_a_report_of_which_a_part_is_wrong(connection: Connection, inspection_id: UUID) -> None:
    with pytest.raises(ListeningRefusedError, match="beyond the end"):
        heard(connection, inspection_id, (0, 1000), (59_000, 60_001))

    assert reports_of(connection) == []


@pytest.mark.parametrize(("after", "is_taken"), [(29.999, False), (30, True)])
def test_a_minute_takes_half_a_minute_at_least(
    connection: Connection, inspection_id: UUID, after: float, *, is_taken: bool
) -> None:
    if is_taken:
        assert heard(connection, inspection_id, (0, 60_000), after=after).coverage_bp == 10_000
    else:
        with pytest.raises(ListeningRefusedError, match="2-fold"):
            heard(connection, inspection_id, (0, 60_000), after=after)


def test_time_that_was_used_for_another_inspection_cannot_be_used_again(connection: Connection) -> None:
    first, second = add_inspection(connection, "P-1"), add_inspection(connection, "P-2")
    claim_next(connection, "ins", now=NOON)
    claim_next(connection, "ins", now=NOON)
    heard(connection, first, (0, 40_000), after=30)

    with pytest.raises(ListeningRefusedError, match="over all inspections together"):
        heard(connection, second, (0, 20_001), policy_no="P-2", after=30)
    assert heard(connection, second, (0, 20_000), policy_no="P-2", after=30).covered_ms == 20_000


def test_what_was_heard_before_the_claim_does_not_take_its_time(connection: Connection) -> None:
    first = add_inspection(connection, "P-1", seconds=600)
    claim_next(connection, "ins", now=NOON)
    heard(connection, first, (0, 600_000), after=300)
    second = add_inspection(connection, "P-2")
    claim_next(connection, "ins", now=LATER)

    assert heard(connection, second, (0, 20_000), policy_no="P-2", after=610).covered_ms == 20_000


def test_only_the_holder_reports(connection: Connection, inspection_id: UUID) -> None:
    with pytest.raises(NotHeldError, match="another inspector"):
        report(connection, inspection_id, recording_of(connection), [(0, 1)], inspector="ins-2", now=LATER)


def test_nobody_reports_of_what_nobody_holds(connection: Connection) -> None:
    inspection_id = add_inspection(connection)

    with pytest.raises(NotHeldError, match="nobody holds"):
        heard(connection, inspection_id, (0, 1))


def test_a_claim_that_is_over_takes_no_report(connection: Connection, inspection_id: UUID) -> None:
    with pytest.raises(NotHeldError, match="ended at 2026-11-23T20:00:00"):
        heard(connection, inspection_id, (0, 1), after=8 * 3600)


def test_a_recording_that_was_disposed_of_is_none_of_the_sale(connection: Connection, inspection_id: UUID) -> None:
    connection.execute(text("UPDATE recordings SET disposed_at = :now"), {"now": NOON})

    with pytest.raises(ListeningRefusedError, match="no recording of sale P-1"):
        heard(connection, inspection_id, (0, 1))


def test_ringing_and_holds_need_not_be_heard(connection: Connection) -> None:
    add_scorecard(connection)
    add_sale(connection)
    recording_id = add_recording(connection, call_id="call-of-P-1", seconds=60)
    add_call(connection, "call-of-P-1", answered_at=CALLED_AT + timedelta(seconds=10))
    connection.execute(
        text("INSERT INTO recording_segments VALUES (:id, 20000, 30000, 'hold', :now)"),
        {"id": recording_id, "now": NOON},
    )
    inspection_id = open_inspection(connection)
    claim_next(connection, "ins", now=NOON)

    found = heard(connection, inspection_id, (10_000, 20_000), (30_000, 60_000))

    assert (found.covered_ms, found.excused_ms, found.coverage_bp, found.missing) == (40_000, 20_000, 10_000, ())


def test_two_reports_at_once_share_the_time(engine: Engine) -> None:
    with engine.begin() as connection:
        ids = [add_inspection(connection, policy_no) for policy_no in ("P-1", "P-2")]
        claim_next(connection, "ins", now=NOON)
        claim_next(connection, "ins", now=NOON)
    ready = Barrier(2)

    def listen(number: int) -> bool:
        with engine.connect() as connection, connection.begin():
            recording_id = recording_of(connection, f"P-{number + 1}")
            ready.wait()
            now = NOON + timedelta(seconds=30)
            try:
                report(connection, ids[number], recording_id, [(0, 60_000)], inspector="ins", now=now)
            except ListeningRefusedError:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(listen, range(2))) == [False, True]


def test_the_database_takes_no_change_of_a_report(engine: Engine, database: str) -> None:
    with engine.begin() as connection:
        inspection_id = add_inspection(connection)
        claim_next(connection, "ins", now=NOON)
        heard(connection, inspection_id, (0, 1000))
    application = make_engine(application_url(database), application_name="tests")

    with application.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
        connection.execute(text("UPDATE listening_reports SET added_ms = 60000"))
    application.dispose()
