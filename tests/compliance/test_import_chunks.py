"""Imports beside other writers of the same people."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from compliance.block_entries import BlockSource
from compliance.block_list import BlockChange, Refusal, block_person
from tests.compliance.import_lists import DAY, MORE_THAN_ENOUGH_S, Importer, counts
from tests.conftest import NOON
from tests.infra.deadline import wait_until


def wait_until_blocked(importer: Importer) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    wait_until(lambda: importer.read(waiting))


def refusal(phone: str, refused_at: datetime = NOON, **more: Any) -> Refusal:
    return Refusal(**{"phone_e164": phone, "source": BlockSource.CALL, "refused_at": refused_at, **more})


def block(connection: Connection, *refusals: Refusal) -> list[BlockChange]:
    return [block_person(connection, one, block_months=6, person="agent", now=NOON).change for one in refusals]


def test_an_import_waits_for_a_refusal_of_the_same_new_number_and_extends_it(importer: Importer) -> None:
    with importer.engine.begin() as connection:
        block(connection, refusal("+8613800138000", NOON - 60 * DAY))
        importing = importer.start("phone\n13800138001\n13800138000\n13800138002\n")
        wait_until_blocked(importer)
    assert importing.result(MORE_THAN_ENOUGH_S) == counts(created=2, extended=1)
    assert importer.read("SELECT count(*) FROM do_not_call_entries") == [(3,)]


def test_an_import_in_a_deadlock_with_refusals_is_done_again(importer: Importer) -> None:
    with importer.engine.begin() as connection:
        block(connection, refusal("+8613800138000", NOON - 60 * DAY), refusal("+8613800138001", NOON - 60 * DAY))
    with importer.engine.begin() as connection:
        block(connection, refusal("+8613800138001"))
        importing = importer.start("phone,refused_at\n13800138000,2026-11-22\n13800138001,2026-11-22\n")
        wait_until_blocked(importer)
        # The import waited first, so that the server sees the deadlock from its side and ends it.
        assert block(connection, refusal("+8613800138000")) == [BlockChange.EXTENDED]
    assert importing.result(MORE_THAN_ENOUGH_S) == counts(unchanged=2)


def test_two_imports_of_one_list_at_once_make_one_entry_per_person(importer: Importer, tmp_path: Path) -> None:
    listed = "phone\n" + "".join(f"138001{index:05}\n" for index in range(200))
    first = importer.start(listed, chunk_rows=20)
    second = importer.start(tmp_path / "list", chunk_rows=20, rejected=tmp_path / "other.csv")
    results = [one.result(MORE_THAN_ENOUGH_S) for one in (first, second)]
    assert sum(result["created"] for result in results) == 200
    assert importer.read("SELECT count(*) FROM do_not_call_entries") == [(200,)]
