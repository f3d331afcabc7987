"""A change of a sale reaches the recordings of its calls in the same transaction."""

from datetime import date
from uuid import UUID

from sqlalchemy import Connection, select

from compliance.incidents import IncidentFilter, list_incidents
from compliance.register_book import read_book
from compliance.working_days import package_calendar
from recordings.disposals import disposal_payload, dispose
from recordings.retention import refresh
from recordings.tables import recordings
from services.sales_service import register, reinstate, shorten_termination, terminate
from tests.compliance.test_sales import SALE
from tests.conftest import NOON
from tests.recordings.archive_rows import POLICY, add_recording


def kept(connection: Connection, recording_id: UUID) -> tuple[object, ...]:
    columns = recordings.c
    asked = select(columns.retention_basis, columns.is_held, columns.keep_through)
    return tuple(connection.execute(asked.where(columns.recording_id == recording_id)).one())


def registered(connection: Connection) -> UUID:
    recording_id = add_recording(connection, call_id="call-1")
    book = read_book(connection, now=NOON)
    register(connection, SALE, book=book, calendar=package_calendar(), person="officer", now=NOON)
    return recording_id


def test_a_sale_that_arrives_after_its_recording_holds_it(connection: Connection) -> None:
    assert kept(connection, registered(connection)) == ("sale", True, None)


def test_an_end_dates_the_recordings_and_a_reinstatement_holds_them_again(connection: Connection) -> None:
    recording_id = registered(connection)
    terminate(connection, "P-1", ended_on=date(2026, 11, 20), reason="surrender", person="officer", now=NOON)
    ended = kept(connection, recording_id)
    reinstate(connection, "P-1", reinstated_on=date(2026, 11, 21), reason="paid", person="officer", now=NOON)

    assert ended == ("sale", False, date(2036, 11, 20))
    assert kept(connection, recording_id)[:2] == ("sale", True)


def test_an_earlier_end_changes_nothing_before_it_is_approved(connection: Connection) -> None:
    recording_id = registered(connection)
    terminate(connection, "P-1", ended_on=date(2026, 11, 20), reason="surrender", person="officer", now=NOON)
    asked = terminate(connection, "P-1", ended_on=date(2026, 11, 10), reason="mistyped", person="officer", now=NOON)
    before = kept(connection, recording_id)
    assert asked.request is not None

    shorten_termination(connection, asked.request, person="officer2", now=NOON)

    assert before == ("sale", False, date(2036, 11, 20))
    assert kept(connection, recording_id) == ("sale", False, date(2036, 11, 10))


def test_a_sale_whose_recording_was_disposed_of_before_is_an_incident(connection: Connection) -> None:
    recording_id = add_recording(connection, call_id="call-1")
    refresh(connection, [recording_id], policy=POLICY, now=NOON)
    payload = disposal_payload(connection, [recording_id], reason="over", person="officer", now=NOON)
    disposal_id = dispose(connection, payload, person="officer2", now=NOON)["disposal_id"]
    book = read_book(connection, now=NOON)
    register(connection, SALE, book=book, calendar=package_calendar(), person="officer", now=NOON)

    again = register(connection, SALE, book=book, calendar=package_calendar(), person="officer", now=NOON)

    kept_incidents = list_incidents(connection, IncidentFilter(kind="missing_recording"), before=None, limit=10)
    assert not again.is_new
    assert [(one.article, one.call_id, dict(one.details)) for one in kept_incidents] == [
        (
            "35",
            "call-1",
            {
                "policy_no": "P-1",
                "recording_id": str(recording_id),
                "disposal_id": disposal_id,
                "disposed_at": "2026-11-23T12:00:00+08:00",
            },
        )
    ]
