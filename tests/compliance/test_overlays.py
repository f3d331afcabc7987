"""Closures: in force for the next decision, everywhere or in regions, ended once."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, select

from compliance.call_facts import OverlayKind
from compliance.overlays import (
    OrderedOverlay,
    OverlayOverError,
    UnknownOverlayError,
    add_overlay,
    end_overlay,
    list_overlays,
    read_running_overlay,
)
from compliance.register_book import Shelf, read_counters
from compliance.tables import audit_events
from infra.ids import new_id

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOSURE = OrderedOverlay("flood", OverlayKind.EMERGENCY, None, NOW, NOW + HOUR, "ordered by the bureau")


def ordered(connection: Connection, overlay: OrderedOverlay = CLOSURE) -> UUID:
    overlay_id = new_id()
    add_overlay(connection, overlay, overlay_id=overlay_id, person="officer", now=NOW)
    return overlay_id


def end(connection: Connection, overlay_id: UUID, *, now: datetime) -> dict[str, object]:
    payload = {"overlay_id": str(overlay_id), "reason": "the water is gone"}
    return end_overlay(connection, payload, person="officer2", now=now)


@pytest.mark.parametrize(
    "regions", [pytest.param(None, id="everywhere"), pytest.param(("310000", "210200"), id="in two regions")]
)
def test_the_next_decision_knows_an_overlay_and_its_end(
    connection: Connection, regions: tuple[str, ...] | None
) -> None:
    shelf = Shelf()
    without = shelf.book(connection, counters=read_counters(connection), now=NOW).overlays

    overlay_id = ordered(connection, CLOSURE._replace(regions=regions))
    with_it = shelf.book(connection, counters=read_counters(connection), now=NOW).overlays
    end(connection, overlay_id, now=NOW)
    ended = shelf.book(connection, counters=read_counters(connection), now=NOW).overlays

    assert (without, ended) == ((), ())
    assert [(one.overlay_id, one.regions) for one in with_it] == [(str(overlay_id), regions)]


def test_lists_are_newest_first_and_go_on_where_the_page_before_ended(connection: Connection) -> None:
    first, second, third = (ordered(connection) for _ in range(3))

    page = list_overlays(connection, before=None, limit=2)
    rest = list_overlays(connection, before=page[-1].overlay_id, limit=2)

    assert [one.overlay_id for one in [*page, *rest]] == [third, second, first]
    assert rest[0].ordered == CLOSURE


def test_an_overlay_that_is_yet_to_come_can_be_ended(connection: Connection) -> None:
    overlay_id = ordered(connection, CLOSURE._replace(from_at=NOW + HOUR, to_at=NOW + 2 * HOUR))

    given = end(connection, overlay_id, now=NOW)

    assert given["overlay_id"] == str(overlay_id)
    assert list_overlays(connection, before=None, limit=1)[0].ended_at == NOW


def test_an_overlay_can_be_ended_in_its_last_instant(connection: Connection) -> None:
    overlay_id = ordered(connection)

    found = read_running_overlay(connection, overlay_id, now=NOW + HOUR - timedelta(microseconds=1))

    assert found.overlay_id == overlay_id


def test_an_overlay_is_over_at_its_end(connection: Connection) -> None:
    overlay_id = ordered(connection)

    with pytest.raises(OverlayOverError):
        read_running_overlay(connection, overlay_id, now=NOW + HOUR)


def test_an_overlay_ends_once(connection: Connection) -> None:
    overlay_id = ordered(connection)
    end(connection, overlay_id, now=NOW)

    with pytest.raises(OverlayOverError):
        end(connection, overlay_id, now=NOW)


def test_an_unknown_overlay_cannot_be_ended(connection: Connection) -> None:
    with pytest.raises(UnknownOverlayError):
        end(connection, new_id(), now=NOW)


def test_who_approved_the_end_is_kept(connection: Connection) -> None:
    overlay_id = ordered(connection)
    end(connection, overlay_id, now=NOW)

    kept = connection.execute(select(audit_events).where(audit_events.c.subject == str(overlay_id))).one()

    assert (kept.kind, kept.actor, kept.details) == ("overlay_end", "officer2", {"reason": "the water is gone"})
