"""Two-person actions: two people, one decision, and nothing personal in what is shown."""

from datetime import UTC, datetime
from threading import Thread
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from compliance.approvals import (
    RequestDecidedError,
    SamePersonError,
    UnknownRequestError,
    decide_request,
    list_requests,
    request_approval,
    shown_payload,
)
from infra.clock import seconds_running
from infra.ids import new_id

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def requested(connection: Connection, *, person: str = "one") -> UUID:
    request_id = new_id()
    request_approval(connection, request_id=request_id, kind="policy", payload={"policy": "x"}, person=person, now=NOW)
    return request_id


def decide(connection: Connection, request_id: UUID, *, person: str = "two", approved: bool = True) -> str:
    return decide_request(connection, request_id, approved=approved, reason="why", person=person, now=NOW).state


@pytest.mark.parametrize(
    ("approved", "state"),
    [pytest.param(True, "approved", id="approved"), pytest.param(False, "rejected", id="rejected")],
)
def test_another_person_decides(connection: Connection, approved: bool, state: str) -> None:
    request_id = requested(connection)

    assert decide(connection, request_id, approved=approved) == state
    kept = list_requests(connection, state=state, before=None, limit=1)[0]
    assert (kept.request_id, kept.requested_by, kept.decided_by, kept.reason) == (request_id, "one", "two", "why")


def test_who_asked_may_neither_approve_nor_reject(connection: Connection) -> None:
    request_id = requested(connection)

    with pytest.raises(SamePersonError):
        decide(connection, request_id, person="one")
    with pytest.raises(SamePersonError):
        decide(connection, request_id, person="one", approved=False)

    assert list_requests(connection, state="open", before=None, limit=1)[0].request_id == request_id


@pytest.mark.parametrize("approved", [True, False], ids=["approved", "rejected"])
def test_a_request_is_decided_once(connection: Connection, approved: bool) -> None:
    request_id = requested(connection)
    decide(connection, request_id, approved=approved)

    with pytest.raises(RequestDecidedError):
        decide(connection, request_id, person="three")


def test_an_unknown_request_cannot_be_decided(connection: Connection) -> None:
    with pytest.raises(UnknownRequestError):
        decide(connection, new_id())


def test_requests_are_listed_newest_first_by_state(connection: Connection) -> None:
    first, second, third = (requested(connection) for _ in range(3))
    decide(connection, second)

    still_open = list_requests(connection, state="open", before=None, limit=10)
    everything = list_requests(connection, state=None, before=third, limit=10)

    assert [one.request_id for one in still_open] == [third, first]
    assert [one.request_id for one in everything] == [second, first]


def test_of_two_who_decide_at_once_one_comes_too_late(engine: Engine) -> None:
    late: list[RequestDecidedError] = []
    with engine.begin() as connection:
        request_id = requested(connection)

    def second() -> None:
        try:
            with engine.begin() as connection:
                decide(connection, request_id, person="three")
        except RequestDecidedError as error:
            late.append(error)

    with engine.begin() as connection:
        decide(connection, request_id)
        thread = Thread(target=second)
        thread.start()
        wait_for_a_waiter(engine)
    thread.join()

    assert len(late) == 1


def wait_for_a_waiter(engine: Engine) -> None:
    until = seconds_running() + 10
    with engine.connect() as watching:
        statement = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not watching.execute(statement).scalar_one() and seconds_running() < until:
            watching.rollback()


UUID_TEXT = "01a20960-4a56-73d0-b2d4-88bed749ba2c"
DIGEST = "sha256:" + "13800138000" * 5 + "abcdef012"


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        pytest.param({"phone": "13800138000", "entry_id": UUID_TEXT}, {"entry_id": UUID_TEXT}, id="a number's field"),
        pytest.param({"name": "x", "reason": "y"}, {"reason": "y"}, id="a name"),
        pytest.param({"reason": "客户138 0013 8000要求"}, {"reason": "客户138****8000要求"}, id="a number in words"),
        pytest.param({"reason": "call +86-13800138000"}, {"reason": "call 138****8000"}, id="with the country"),
        pytest.param({"deep": [{"phone": "x", "days": 3}]}, {"deep": [{"days": 3}]}, id="inside lists"),
        pytest.param({"on": "2026-11-23", "at": None}, {"on": "2026-11-23", "at": None}, id="dates"),
        pytest.param({"policy_digest": DIGEST}, {"policy_digest": DIGEST}, id="a digest keeps its digits"),
        pytest.param(
            {"policy": "daily = [20:30:00, 09:00:00]\nover_1y_bp = 3500\n"},
            {"policy": "daily = [20:30:00, 09:00:00]\nover_1y_bp = 3500\n"},
            id="a policy is shown whole",
        ),
    ],
)
def test_payloads_are_shown_without_personal_data(payload: dict[str, object], shown: dict[str, object]) -> None:
    assert shown_payload(payload) == shown


@given(st.text(alphabet="客户 reason.,;-()", max_size=20), st.text(alphabet="客户 reason.,;", max_size=20))
def test_a_mobile_number_never_shows_in_words(before: str, after: str) -> None:
    assert "13800138000" not in str(shown_payload({"reason": f"{before}13800138000{after}"}))


@given(st.uuids())
def test_ids_are_shown_unchanged(request_id: UUID) -> None:
    assert shown_payload({"entry_id": str(request_id)}) == {"entry_id": str(request_id)}
