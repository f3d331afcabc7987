"""Answered calls need recordings as long as they were; what lacks is an incident of the same day, found once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, text, update

from compliance.incidents import read_incident_history
from compliance.shanghai import SHANGHAI, shanghai_day
from compliance.tables import call_records, incidents
from recordings.completeness import Completeness, judge, judge_due, judged_through, note_later_recordings
from recordings.tables import archive_begun, call_completeness, recordings
from tests.conftest import NOON
from tests.recordings.archive_rows import add_recording

MINUTE = timedelta(minutes=1)
DUE = timedelta(minutes=30, seconds=1)
TALK = timedelta(minutes=3)


def add_call(
    connection: Connection,
    call_id: str,
    *,
    at: datetime = NOON,
    talk: timedelta | None = TALK,
    is_answered: bool = True,
    direction: str = "outbound",
) -> None:
    """Add the record of a call that came to us at `at`, when the call was just over."""
    answered_at = at - (talk or TALK) if is_answered else None
    connection.execute(
        insert(call_records).values(
            call_id=call_id,
            direction=direction,
            started_at=at - timedelta(minutes=5),
            answered_at=answered_at,
            ended_at=at if talk is not None else None,
            outcome="other",
            content={},
            content_digest=b"",
            actor="dialer",
            recorded_at=at,
        )
    )


def record(connection: Connection, call_id: str, *lengths: timedelta) -> list[str]:
    """Add recordings of a call, as long as is said."""
    made = []
    for length in lengths:
        recording_id = add_recording(connection, call_id=call_id)
        mine = recordings.c.recording_id == recording_id
        connection.execute(update(recordings).where(mine).values(duration_ms=length // timedelta(milliseconds=1)))
        made.append(str(recording_id))
    return made


def found(connection: Connection) -> list[tuple[str, str]]:
    columns = incidents.c
    rows = connection.execute(select(columns.kind, columns.call_id).order_by(columns.incident_id))
    return [(kind, call_id) for kind, call_id in rows]


def verdicts(connection: Connection) -> dict[str, str]:
    columns = call_completeness.c
    return {call_id: verdict for call_id, verdict in connection.execute(select(columns.call_id, columns.verdict))}  # noqa: C416


@pytest.fixture
def room(connection: Connection) -> Connection:
    """A transaction that may change how long a recording is, as no program may."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    return connection


@pytest.mark.parametrize(
    ("talk", "recorded", "parts", "expected"),
    [
        pytest.param(TALK, TALK, 1, Completeness.COMPLETE, id="as long"),
        pytest.param(TALK, TALK + MINUTE, 1, Completeness.COMPLETE, id="longer"),
        pytest.param(TALK, TALK - timedelta(seconds=2), 1, Completeness.COMPLETE, id="exactly two seconds shorter"),
        pytest.param(TALK, TALK - timedelta(milliseconds=2001), 1, Completeness.SHORT, id="a millisecond too short"),
        pytest.param(TALK, timedelta(), 0, Completeness.MISSING, id="none"),
        pytest.param(TALK, timedelta(), 1, Completeness.SHORT, id="an empty one"),
        pytest.param(timedelta(seconds=1), timedelta(), 0, Completeness.MISSING, id="none of a call of a second"),
        pytest.param(timedelta(seconds=1), timedelta(), 1, Completeness.COMPLETE, id="a call of a second"),
        pytest.param(None, timedelta(seconds=1), 1, Completeness.COMPLETE, id="nobody knows when it ended"),
        pytest.param(None, timedelta(), 0, Completeness.MISSING, id="nobody knows when it ended, none"),
    ],
)
def test_a_call_is_judged_by_the_sum_of_its_recordings(
    talk: timedelta | None, recorded: timedelta, parts: int, expected: Completeness
) -> None:
    assert judge(talk, recorded, parts=parts) is expected


def shanghai(hour: int, minute: int, second: int = 0, *, day: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("now", "through"),
    [
        pytest.param(shanghai(12, 0), shanghai(11, 30), id="by day, half an hour ago"),
        pytest.param(shanghai(23, 29, 59), shanghai(22, 59, 59), id="the last second before the night"),
        pytest.param(shanghai(23, 30), shanghai(23, 30), id="by 23:30 all of the day"),
        pytest.param(shanghai(23, 59, 59), shanghai(23, 59, 59), id="what comes later at once"),
        pytest.param(shanghai(0, 0, day=24), shanghai(0, 0, day=24), id="at midnight all of the day before"),
        pytest.param(shanghai(0, 29, day=24), shanghai(0, 0, day=24), id="nothing of the new day yet"),
        pytest.param(shanghai(0, 31, day=24), shanghai(0, 1, day=24), id="half an hour into the new day"),
    ],
)
def test_calls_are_due_after_half_an_hour_or_by_the_end_of_the_day(now: datetime, through: datetime) -> None:
    assert judged_through(now) == through
    assert judged_through(now.astimezone(UTC)) == through


def test_a_call_without_recording_is_an_incident_of_article_35(room: Connection) -> None:
    add_call(room, "call-1")

    assert judge_due(room, now=NOON + DUE) == 1

    row = room.execute(select(incidents)).mappings().one()
    assert (row["kind"], row["article"], row["call_id"], row["state"]) == ("missing_recording", "35", "call-1", "open")
    assert row["details"] | {"talk_ms": 180_000, "recorded_ms": 0, "recordings": 0} == row["details"]


def test_two_parts_that_sum_up_to_the_call_are_complete(room: Connection) -> None:
    add_call(room, "call-1")
    record(room, "call-1", 2 * MINUTE, timedelta(seconds=58))

    judge_due(room, now=NOON + DUE)

    assert verdicts(room) == {"call-1": "complete"}
    assert found(room) == []


def test_two_parts_that_do_not_are_a_short_recording(room: Connection) -> None:
    add_call(room, "call-1")
    record(room, "call-1", 2 * MINUTE, timedelta(milliseconds=57_999))

    judge_due(room, now=NOON + DUE)

    assert found(room) == [("short_recording", "call-1")]


def test_inbound_calls_are_judged_and_unanswered_ones_are_not(room: Connection) -> None:
    add_call(room, "in", direction="inbound")
    add_call(room, "unanswered", is_answered=False)

    judge_due(room, now=NOON + DUE)

    assert verdicts(room) == {"in": "missing"}


def test_a_call_is_not_judged_before_its_time(room: Connection) -> None:
    add_call(room, "call-1")

    assert judge_due(room, now=NOON + timedelta(minutes=30)) == 0
    assert judge_due(room, now=NOON + timedelta(minutes=30, microseconds=1)) == 1


def test_a_call_is_judged_once(room: Connection) -> None:
    add_call(room, "call-1")
    judge_due(room, now=NOON + DUE)

    assert judge_due(room, now=NOON + 2 * DUE) == 0
    assert len(found(room)) == 1


@pytest.mark.parametrize("minute", [0, 29, 30, 59], ids=lambda minute: f"23:{minute:02}")
def test_the_incident_of_a_late_call_is_of_the_same_day(room: Connection, minute: int) -> None:
    at = shanghai(23, minute)
    add_call(room, "call-1", at=at)

    judge_due(room, now=max(shanghai(23, 30), at + timedelta(seconds=1)))

    detected_at = room.execute(select(incidents.c.detected_at)).scalar_one()
    assert shanghai_day(detected_at) == shanghai_day(at)


def test_calls_of_before_the_archive_are_not_judged(room: Connection) -> None:
    room.execute(insert(archive_begun).values(begun_at=NOON))
    add_call(room, "before", at=NOON - timedelta(microseconds=1))
    add_call(room, "first", at=NOON)

    judge_due(room, now=NOON + DUE)

    assert verdicts(room) == {"first": "missing"}


def test_a_record_that_comes_out_of_order_is_judged_too(room: Connection) -> None:
    add_call(room, "late", at=NOON + MINUTE)
    judge_due(room, now=NOON + MINUTE + DUE)
    add_call(room, "early", at=NOON)

    judge_due(room, now=NOON + MINUTE + DUE)

    assert verdicts(room) == {"late": "missing", "early": "missing"}


def test_many_calls_are_judged_in_several_turns(room: Connection) -> None:
    for number in range(1001):
        add_call(room, f"call-{number:04}", at=NOON + timedelta(milliseconds=number))

    assert [judge_due(room, now=NOON + DUE + MINUTE) for _ in range(3)] == [1000, 1, 0]


def history(connection: Connection) -> list[dict[str, Any]]:
    incident_id = connection.execute(select(incidents.c.incident_id)).scalar_one()
    return [one.details for one in read_incident_history(connection, incident_id)]


def test_a_recording_that_comes_later_is_noted_once_and_the_incident_stays_open(room: Connection) -> None:
    add_call(room, "call-1")
    judge_due(room, now=NOON + DUE)
    came = record(room, "call-1", TALK)

    assert [note_later_recordings(room, now=NOON + 2 * DUE) for _ in range(2)] == [1, 0]

    assert history(room)[1:] == [
        {"what": "recording_came_later", "recordings": came, "recorded_ms": 180_000, "talk_ms": 180_000}
    ]
    assert room.execute(select(incidents.c.state)).scalar_one() == "open"
    assert verdicts(room) == {"call-1": "missing"}


def test_nothing_is_noted_where_nothing_came(room: Connection) -> None:
    add_call(room, "call-1")
    record(room, "call-1", MINUTE)
    judge_due(room, now=NOON + DUE)

    assert note_later_recordings(room, now=NOON + 2 * DUE) == 0
    assert len(history(room)) == 1


def test_two_judges_at_once_judge_a_call_once(engine: Engine) -> None:
    with engine.begin() as connection:
        add_call(connection, "call-1")
    with engine.begin() as first, engine.begin() as second:
        assert judge_due(first, now=NOON + DUE) == 1
        assert judge_due(second, now=NOON + DUE) == 0
    with engine.begin() as connection:
        assert judge_due(connection, now=NOON + DUE) == 0
        assert found(connection) == [("missing_recording", "call-1")]
