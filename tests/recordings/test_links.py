"""Recordings that name what is not known: linked when it arrives, an incident after a day, once."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import OperationalError

from compliance.incidents import IncidentFilter, list_incidents
from compliance.policy_store import store_policy
from compliance.tables import call_records
from infra.ids import new_id
from recordings.archive import prepare
from recordings.links import link_arrived, tell_unlinked
from recordings.recording_rows import Recording, read_recording
from recordings.registration import register
from recordings.tables import recordings
from tests.conftest import NOON
from tests.recordings.archive_rows import POLICY, add_sale
from tests.recordings.desk import Desk, add_call, places_below, read_events, stereo, without

DAY = timedelta(days=1)


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Desk:
    return Desk(engine, places_below(tmp_path / "data"))


@pytest.fixture
def call(tmp_path: Path) -> Path:
    return stereo(tmp_path / "call.wav")


def link(engine: Engine) -> list[UUID]:
    with engine.begin() as connection:
        return link_arrived(connection, now=NOON)


def tell(engine: Engine, *, after: timedelta) -> int:
    with engine.begin() as connection:
        return tell_unlinked(connection, now=NOON + after)


def read(engine: Engine, recording_id: UUID) -> Recording:
    with engine.connect() as connection:
        return read_recording(connection, recording_id)


def test_an_agent_or_a_number_alone_is_enough(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without("call_id"))

    assert not read(desk.engine, registered.recording_id).is_unlinked
    assert tell(desk.engine, after=DAY) == 0


def test_a_call_that_arrives_later_links_and_fills(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without("agent_id", "phone", "direction"))
    assert link(desk.engine) == []
    add_call(desk.engine)

    assert link(desk.engine) == [registered.recording_id]
    found = read(desk.engine, registered.recording_id)
    assert (found.is_unlinked, found.agent_id, found.phone_e164) == (False, "agent-1", "+8613800138000")
    with desk.engine.connect() as connection:
        [linked] = [one for one in read_events(connection, registered.recording_id) if one.kind == "linked"]
    assert linked.details == {"added": ["agent_id", "direction", "phone_digits"]}
    assert link(desk.engine) == []


def test_what_was_said_is_not_overwritten_by_the_call(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without(agent_id="agent-9"))
    add_call(desk.engine)
    link(desk.engine)

    assert read(desk.engine, registered.recording_id).agent_id == "agent-9"


def test_a_sale_that_arrives_later_links_and_decides_how_long(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without("call_id", policy_no="P-1"))
    with desk.engine.begin() as connection:
        add_sale(connection, "P-1")

    assert link(desk.engine) == [registered.recording_id]
    found = read(desk.engine, registered.recording_id)
    assert (found.is_held, found.retention_basis, found.retention_class) == (True, "sale", "5y")


def test_both_must_have_arrived(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without(policy_no="P-1"))
    add_call(desk.engine)
    assert link(desk.engine) == []
    with desk.engine.begin() as connection:
        add_sale(connection, "P-1")

    assert link(desk.engine) == [registered.recording_id]


@pytest.mark.parametrize(("after", "told"), [(DAY - timedelta(seconds=1), 0), (DAY, 1)], ids=["before", "a day"])
def test_after_a_day_an_incident_tells(desk: Desk, call: Path, after: timedelta, told: int) -> None:
    desk.take_in(call)

    assert tell(desk.engine, after=after) == told


def test_it_is_told_once_and_says_what_is_unknown(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without(policy_no="P-1"))
    add_call(desk.engine)
    tell(desk.engine, after=DAY)

    assert tell(desk.engine, after=2 * DAY) == 0
    with desk.engine.connect() as connection:
        [incident] = list_incidents(connection, IncidentFilter(kind="recording_unlinked"), before=None, limit=10)
    assert (incident.article, incident.call_id) == ("36", "call-1")
    assert incident.details["unknown"] == ["policy_no"]
    assert incident.details["recording_id"] == str(registered.recording_id)


def test_one_that_is_linked_is_not_told(desk: Desk, call: Path) -> None:
    desk.take_in(call)
    add_call(desk.engine)
    link(desk.engine)

    assert tell(desk.engine, after=DAY) == 0


def test_many_that_never_arrive_do_not_hold_up_one_that_does(desk: Desk, call: Path, tmp_path: Path) -> None:
    desk.take_in(call, without(call_id="never"))
    later = desk.take_in(call)
    add_call(desk.engine)

    assert link(desk.engine) == [later.recording_id]


def test_a_repeat_with_a_known_call_is_linked_at_once(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without("agent_id"))
    add_call(desk.engine)
    desk.take_in(call)

    assert not read(desk.engine, registered.recording_id).is_unlinked


def test_the_call_itself_is_not_changed(desk: Desk, call: Path) -> None:
    add_call(desk.engine)
    desk.take_in(call)

    with desk.engine.connect() as connection:
        agents = connection.execute(select(call_records.c.agent_id)).scalars().all()
    assert agents == ["agent-1"]


def test_a_disposed_recording_is_told_no_more(desk: Desk, call: Path) -> None:
    desk.take_in(call)
    with desk.engine.begin() as connection:
        connection.execute(update(recordings).values(disposed_at=NOON))

    assert tell(desk.engine, after=DAY) == 0


def adopts_in_time(engine: Engine) -> bool:
    """Say whether a policy can come into force now, without waiting for another transaction."""
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
        try:
            store_policy(connection, POLICY, policy_id=new_id(), source="api", now=NOON)
        except OperationalError:
            return False
        return True


def test_no_policy_comes_into_force_between_the_dating_of_a_new_recording_and_its_commit(
    desk: Desk, call: Path
) -> None:
    prepared = prepare(desk.places, desk.arrival(call))
    with desk.engine.begin() as connection:
        register(connection, desk.places, prepared, now=NOON)
        meanwhile = adopts_in_time(desk.engine)

    assert (meanwhile, adopts_in_time(desk.engine)) == (False, True)


def test_no_policy_comes_into_force_while_recordings_are_linked(desk: Desk, call: Path) -> None:
    desk.take_in(call)
    add_call(desk.engine)
    with desk.engine.begin() as connection:
        link_arrived(connection, now=NOON)
        meanwhile = adopts_in_time(desk.engine)

    assert (meanwhile, adopts_in_time(desk.engine)) == (False, True)
