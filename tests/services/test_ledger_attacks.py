"""A thousand single edits as the database's superuser, past every trigger: each is named, and nothing else is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from infra.embedded_postgres import EmbeddedPostgres
from infra.migrations.ledger_coverage import COVERAGE
from tests.ledger_edits import CHANGES, COPIES, DELETIONS, SWAPS, Editor
from tests.ledger_evidence import Firm, Kept, copied_firm, told
from tests.ledger_own_edits import LedgerEditor

TABLES = [one.table for one in COVERAGE]


@pytest.fixture(scope="module")
def firm(server: EmbeddedPostgres, kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """One for all tests of this module: their edits are rolled back."""
    with copied_firm(server, kept, tmp_path_factory.mktemp("firm")) as made:
        yield made


@pytest.fixture(scope="module")
def notes(firm: Firm) -> list[str]:
    """All checkpoints, as somebody keeps them who was given each."""
    with firm.snapshot() as connection:
        return list(connection.execute(text("SELECT note FROM ledger_checkpoints ORDER BY size")).scalars())


@pytest.mark.parametrize("name", TABLES)
def test_every_edit_of_a_covered_table_is_named_and_nothing_else_is(firm: Firm, name: str) -> None:
    with firm.snapshot() as connection:
        editor = Editor.over(connection, seed=sum(map(ord, name)))
    table = editor.tables[name]
    edits = [editor.change] * CHANGES + [editor.delete] * DELETIONS
    edits += [editor.copy] * COPIES + [editor.swap] * SWAPS + [editor.truncate]
    wrongs = []
    for number, edit in enumerate(edits):
        with firm.snapshot() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            touched = edit(connection, table, number)
            wrongs += [(number, edit.__name__, one) for one in touched.wrongs(firm.verified_in(connection).problems)]

    assert wrongs == []
    assert told(firm.verified()) == []


@pytest.mark.parametrize("name", TABLES)
def test_a_bundle_names_edited_rows_as_the_live_database_does(firm: Firm, tmp_path: Path, name: str) -> None:
    with firm.snapshot() as connection:
        editor = Editor.over(connection, seed=sum(map(ord, name)) + 1)
        table = editor.tables[name]
    wrongs = []
    for number, edit in enumerate((editor.change, editor.change, editor.delete, editor.copy, editor.swap)):
        with firm.snapshot() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            touched = edit(connection, table, number)
            wrongs += touched.wrongs(firm.bundled_in(connection, tmp_path / "b.zip").problems)

    assert wrongs == []


LEDGER_EDITS = {
    "entry": 40,
    "salt": 15,
    "source": 10,
    "swapped_entries": 10,
    "deleted_entry": 10,
    "copied_entry": 10,
    "leaf": 25,
    "swapped_leaves": 10,
    "deleted_leaf": 10,
    "copied_leaf": 12,
    "tile": 25,
    "deleted_tile": 3,
    "copied_tile": 10,
    "checkpoint": 25,
    "swapped_checkpoints": 5,
    "deleted_checkpoint": 5,
    "copied_checkpoint": 10,
}


@pytest.mark.parametrize(("name", "count"), LEDGER_EDITS.items(), ids=LEDGER_EDITS)
def test_every_edit_of_the_ledger_itself_is_named(firm: Firm, notes: list[str], name: str, count: int) -> None:
    with firm.snapshot() as connection:
        editor = LedgerEditor.over(connection, seed=sum(map(ord, name)))
    wrongs = []
    for number in range(count):
        with firm.snapshot() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            touched = getattr(editor, name)(connection)
            report = firm.verified_in(connection, notes)
            wrongs += [(number, one) for one in touched.wrongs(report.problems)]

    assert wrongs == []
    assert told(firm.verified(notes)) == []


@pytest.mark.parametrize("table", ["ledger_entries", "ledger_leaves", "ledger_tiles", "ledger_checkpoints"])
def test_an_emptied_table_of_the_ledger_is_told(firm: Firm, table: str) -> None:
    with firm.snapshot() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {table}"))
        report = firm.verified_in(connection)

    assert not report.ok


def test_there_are_a_thousand_edits() -> None:
    of_a_table = CHANGES + DELETIONS + COPIES + SWAPS + 1

    assert len(TABLES) * of_a_table + sum(LEDGER_EDITS.values()) >= 1000
    assert max(len(one.columns.split()) for one in COVERAGE) <= CHANGES, "each covered column is changed"
