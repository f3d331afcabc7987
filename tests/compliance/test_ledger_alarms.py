"""Incidents of the ledger about itself: one while one like it is open, whoever finds it and however often."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, text

from compliance.incidents import IncidentFilter, list_incidents
from compliance.ledger_alarms import open_once
from tests.conftest import NOON
from tests.infra.deadline import wait_until


def sizes(connection: Connection) -> list[object]:
    return [one.details["size"] for one in list_incidents(connection, IncidentFilter(), before=None, limit=10)]


def find(connection: Connection, size: object, *, kind: str = "ledger_fork", detail: str = "found") -> None:
    open_once(connection, kind, {"detail": detail, "size": size}, same="size", now=NOON)


@pytest.mark.parametrize("size", [None, 0, 17, 2**63 - 1, "a text"])
def test_what_is_found_again_is_not_opened_again(connection: Connection, size: object) -> None:
    find(connection, size)
    find(connection, size, detail="found in other words")

    assert sizes(connection) == [size]


def test_another_kind_or_another_detail_is_opened(connection: Connection) -> None:
    find(connection, None)
    find(connection, 17)
    find(connection, 18)
    find(connection, 17, kind="ledger_rolled_back")

    assert sorted(str(one) for one in sizes(connection)) == ["17", "17", "18", "None"]


def test_what_was_closed_is_opened_again(connection: Connection) -> None:
    find(connection, 17)
    connection.execute(text("UPDATE incidents SET state = 'closed'"))
    find(connection, 17)

    assert sizes(connection) == [17, 17]


def test_of_two_processes_that_find_the_same_one_opens_it(engine: Engine) -> None:
    def find_alone() -> None:
        with engine.begin() as other:
            find(other, 17)

    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with ThreadPoolExecutor(1) as pool, engine.connect() as watching:
        with engine.begin() as first:
            find(first, 17)
            second = pool.submit(find_alone)
            wait_until(lambda: watching.execute(waits).scalar_one() == 1)
        second.result(timeout=20)

        assert sizes(watching) == [17]
