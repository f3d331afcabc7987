"""Callback requests: one slot of the near future, with evidence."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from compliance.callbacks import (
    FURTHEST_AHEAD,
    LONGEST_SLOT,
    CallbackSlotError,
    UnknownCallbackError,
    add_callback,
    check_slot,
    read_callback,
)
from infra.ids import new_id

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("begins_in", "ends_in", "fault"),
    [
        pytest.param(HOUR, HOUR + LONGEST_SLOT, None, id="60 minutes"),
        pytest.param(HOUR, HOUR + LONGEST_SLOT + TICK, "to", id="more than 60 minutes"),
        pytest.param(TICK, 2 * TICK, None, id="at once"),
        pytest.param(timedelta(0), HOUR, "from", id="begins now"),
        pytest.param(-HOUR, TICK, "from", id="begun"),
        pytest.param(HOUR, HOUR, "to", id="empty"),
        pytest.param(2 * HOUR, HOUR, "to", id="backwards"),
        pytest.param(FURTHEST_AHEAD - HOUR, FURTHEST_AHEAD, None, id="ends in 14 days"),
        pytest.param(FURTHEST_AHEAD - HOUR + TICK, FURTHEST_AHEAD + TICK, "to", id="ends later"),
    ],
)
def test_the_slot_lies_in_the_near_future(begins_in: timedelta, ends_in: timedelta, fault: str | None) -> None:
    found = None
    try:
        check_slot(NOW + begins_in, NOW + ends_in, now=NOW)
    except CallbackSlotError as error:
        found = error.field

    assert found == fault


def test_a_request_is_kept_as_it_was_made(connection: Connection) -> None:
    made = add_callback(
        connection,
        callback_request_id=new_id(),
        phone_e164="+8613800138000",
        customer_id="C",
        slot=(NOW + HOUR, NOW + 2 * HOUR),
        evidence={"recording_id": "r", "offset_ms": 10},
        person="dialer",
        now=NOW,
    )

    assert read_callback(connection, made.callback_request_id) == made
    assert (made.phone_digits, made.used_by, made.created_at) == (8613800138000, None, NOW)


def test_an_unknown_request_is_not_found(connection: Connection) -> None:
    with pytest.raises(UnknownCallbackError):
        read_callback(connection, new_id())
