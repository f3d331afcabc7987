"""The database against its own ledger: single edits by its owner are found and named, and nothing else is."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, text

from compliance.cosignatures import cosigned_text
from compliance.ledger_attestations import Attestation, AttestationKind, record_attestation
from compliance.ledger_bundle import LedgerRangeError, write_bundle
from compliance.ledger_live import verify_live
from compliance.ledger_verifier import Report, verify_bundle
from compliance.signed_notes import COSIGNATURE, VerifierKey
from tests import ledger_database as ledger

CHECK = "0190a000-0000-7000-8000-00000000000"


@pytest.fixture
def sealed(engine: Engine) -> Engine:
    """A database whose ledger has 600 entries about 602 rows."""
    with engine.begin() as connection:
        ledger.make_tables(connection)
        ledger.put(connection, "a/b", [1, 2, 3], "一")
        for number in range(299):
            ledger.put(connection, "c", [number], "first")
        connection.execute(
            text("INSERT INTO checks SELECT (CAST(:check AS text) || n)::uuid, 'deny' FROM generate_series(0, 3) n"),
            {"check": CHECK},
        )
        ledger.note_checks(connection)
    with engine.begin() as connection:
        ledger.seal(connection)
    with engine.begin() as connection:
        for number in range(297):
            ledger.put(connection, "d", [number], "second")
        ledger.put(connection, "c", [7], "changed")
        ledger.drop(connection, "c", 8)
    with engine.begin() as connection:
        ledger.seal(connection)
    return engine


@pytest.fixture
def snapshot(sealed: Engine) -> Iterator[Connection]:
    with sealed.connect().execution_options(isolation_level="REPEATABLE READ") as opened:
        yield opened


def edit(engine: Engine, statement: str) -> None:
    """Do what only the owner of the database can, past every trigger."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(statement))


def verified(engine: Engine, begin: int = 0, end: int | None = None) -> Report:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return verify_live(connection, keys=ledger.public_keys(connection), begin=begin, end=end)


def found(report: Report) -> list[tuple[int | None, str | None, str | None, str]]:
    return [(one.entry, one.table, one.key, one.what) for one in report.problems]


def exported(engine: Engine, path: Path, begin: int = 0, end: int | None = None) -> Report:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        keys = ledger.public_keys(connection)
        write_bundle(connection, path, begin=begin, end=end, keys=keys, now=ledger.AT)
    return verify_bundle(path)


def test_an_untouched_database_is_as_its_ledger_says(sealed: Engine, tmp_path: Path) -> None:
    report = verified(sealed)

    assert (report.ok, report.entries, report.rows, report.unsealed) == (True, 600, 602, 0)
    bundle = exported(sealed, tmp_path / "b.zip")
    assert (bundle.problems, bundle.entries, bundle.rows, bundle.unsealed) == ([], 600, 602, 0)


@pytest.mark.parametrize(("begin", "end"), [(0, 1), (5, 6), (7, 9), (0, 300), (256, 512), (301, 600), (600, 600)])
def test_a_part_of_the_ledger_can_be_verified_and_exported(
    sealed: Engine, tmp_path: Path, begin: int, end: int
) -> None:
    assert found(verified(sealed, begin, end)) == []
    assert found(exported(sealed, tmp_path / "b.zip", begin, end)) == []


def test_entries_that_are_not_sealed_cannot_be_exported(snapshot: Connection, tmp_path: Path) -> None:
    with pytest.raises(LedgerRangeError, match="from 0 to 600"):
        write_bundle(snapshot, tmp_path / "b.zip", begin=0, end=601, keys=[], now=ledger.AT)


ROW_EDITS = {
    "changed": (
        "UPDATE letters SET body = 'x' WHERE part = 'c' AND number = 7",
        (598, "letters", "c/7", "row_changed"),
    ),
    "key with a slash": (
        "UPDATE letters SET body = '' WHERE number = 2 AND part = 'a/b'",
        (0, "letters", "a%2Fb/2", "row_changed"),
    ),
    "deleted": ("DELETE FROM letters WHERE part = 'd' AND number = 296", (597, "letters", "d/296", "row_missing")),
    "inserted": ("INSERT INTO letters VALUES ('e', 1, 'x')", (None, "letters", "e/1", "row_unknown")),
    "back again": ("INSERT INTO letters VALUES ('c', 8, 'first')", (599, "letters", "c/8", "row_unknown")),
    "as it was before": (
        "UPDATE letters SET body = 'first' WHERE body = 'changed'",
        (598, "letters", "c/7", "row_changed"),
    ),
    "check": (
        "UPDATE checks SET verdict = 'allow' WHERE check_id::text LIKE '%2'",
        (300, "checks", f"{CHECK}2", "row_changed"),
    ),
    "check backdated": ("INSERT INTO checks SELECT CHECK_9, 'allow', 5", (None, "checks", f"{CHECK}9", "row_unknown")),
    "check from the future": (
        "INSERT INTO checks SELECT CHECK_9, 'allow', 1::bigint << 60",
        (None, "checks", f"{CHECK}9", "row_unknown"),
    ),
}


@pytest.mark.parametrize(("statement", "expected"), ROW_EDITS.values(), ids=ROW_EDITS)
def test_an_edited_row_is_named_by_both_and_nothing_else_is(
    sealed: Engine, tmp_path: Path, statement: str, expected: tuple[int | None, str, str, str]
) -> None:
    edit(sealed, statement.replace("CHECK_9", f"'{CHECK}9'::uuid"))

    assert found(verified(sealed)) == [expected]
    assert found(exported(sealed, tmp_path / "b.zip")) in ([expected], [(None, *expected[1:])])


HIDDEN_ENTRY = (
    "INSERT INTO ledger_entries (tx, recorded_at, kind, keys, digests, salts)"
    " VALUES (3, now(), 'letters.update', '{q/1}', sha256('x'), '')"
)
LEDGER_EDITS = {
    "instant": (
        "UPDATE ledger_entries SET recorded_at = now() WHERE keys = '{c/7}' AND source < 300",
        [(8, "letters", "c/7", "entry_changed")],
    ),
    "digest": (
        "UPDATE ledger_entries SET digests = set_byte(digests, 3, 0) WHERE keys = '{d/9}'",
        [(310, "letters", "d/9", "entry_changed")] * 2,
    ),
    "salt": (
        "UPDATE ledger_entries SET salts = set_byte(salts, 3, 99) WHERE keys = '{d/9}'",
        [(310, "letters", "d/9", "row_changed")],
    ),
    "short digests": (
        "UPDATE ledger_entries SET digests = ''::bytea WHERE keys = '{d/9}'",
        [(310, "letters", "d/9", "entry_changed")] * 2,
    ),
    "entry gone": (
        "DELETE FROM ledger_entries WHERE keys = '{d/9}'",
        [(310, None, None, "entry_missing"), (None, "letters", "d/9", "row_unknown")],
    ),
    "number gone": (
        "DELETE FROM ledger_leaves WHERE entry = 310",
        [(310, None, None, "entry_missing"), (None, "letters", "d/9", "entry_missing")],
    ),
    "number in the first tile gone": (
        "DELETE FROM ledger_leaves WHERE entry = 255",
        [(255, None, None, "entry_missing"), (None, "letters", "c/254", "entry_missing")],
    ),
    "leaf": (
        "UPDATE ledger_leaves SET leaf = set_byte(leaf, 0, 0) WHERE entry = 310",
        [(310, "letters", "d/9", "entry_changed")],
    ),
    "tile": (
        "UPDATE ledger_tiles SET hashes = set_byte(hashes, 32 * 54, 1) WHERE index = 1",
        [(310, None, None, "entry_changed")],
    ),
    "tile gone": ("DELETE FROM ledger_tiles WHERE index = 1", [(None, None, None, "checkpoint")]),
    "tile root": ("UPDATE ledger_tiles SET root = sha256('x') WHERE index = 0", [(None, None, None, "checkpoint")]),
    "signature": (
        "UPDATE ledger_checkpoints SET note = replace(note, '04:00', '05:00') WHERE size = 600",
        [(None, None, None, "checkpoint")],
    ),
    "newest checkpoint gone": ("DELETE FROM ledger_checkpoints WHERE size = 600", [(None, None, None, "checkpoint")]),
    "hidden entry": (
        HIDDEN_ENTRY,
        [(None, "letters", "q/1", "entry_missing"), (None, "letters", "q/1", "row_missing")],
    ),
}


@pytest.mark.parametrize(("statement", "expected"), LEDGER_EDITS.values(), ids=LEDGER_EDITS)
def test_an_edit_of_the_ledger_itself_is_named(
    sealed: Engine, statement: str, expected: list[tuple[int | None, str | None, str | None, str]]
) -> None:
    edit(sealed, statement)

    assert found(verified(sealed)) == expected


def test_a_bundle_names_an_entry_that_was_changed_since_it_was_sealed(sealed: Engine, tmp_path: Path) -> None:
    edit(sealed, "UPDATE ledger_entries SET recorded_at = now() WHERE keys = '{c/7}' AND source < 300")

    assert found(exported(sealed, tmp_path / "b.zip")) == [(8, "letters", "c/7", "entry_changed")]


def test_a_bundle_keeps_the_place_of_a_hash_that_is_gone(sealed: Engine, tmp_path: Path) -> None:
    edit(sealed, "DELETE FROM ledger_leaves WHERE entry = 310")

    assert found(exported(sealed, tmp_path / "b.zip")) == [(310, None, None, "entry_missing")]


def test_a_bundle_brings_what_a_witness_saw(sealed: Engine, tmp_path: Path) -> None:
    witness = Ed25519PrivateKey.generate()
    key = VerifierKey("witness.example", witness.public_key().public_bytes_raw(), COSIGNATURE)
    with sealed.begin() as connection:
        for checkpoint in connection.execute(text("SELECT size, note FROM ledger_checkpoints")).all():
            said = cosigned_text(checkpoint.note.rpartition("\n\n")[0] + "\n", ledger.AT)
            value = key.key_hash + int(ledger.AT.timestamp()).to_bytes(8) + witness.sign(said)
            line = f"— {key.name} {b64encode(value).decode()}\n".encode()
            record_attestation(
                connection,
                Attestation(
                    kind=AttestationKind.WITNESS,
                    name=key.name,
                    size=checkpoint.size,
                    note=checkpoint.note,
                    content=line,
                    attested_at=ledger.AT,
                    recorded_at=ledger.AT,
                ),
            )
    exported(sealed, tmp_path / "b.zip", 3, 9)

    report = verify_bundle(tmp_path / "b.zip", witnesses=[key.text()])

    assert (report.problems, report.not_checked) == ([], [])
    assert report.witnessed == ["witness.example saw the ledger of 600 entries at 2026-11-23T04:00:00+00:00"]


def test_a_row_rewritten_with_its_entry_and_the_tree_is_found_by_the_signature(sealed: Engine) -> None:
    edit(sealed, "DELETE FROM ledger_leaves")
    edit(sealed, "DELETE FROM ledger_tiles")
    edit(sealed, "DELETE FROM ledger_entries WHERE keys = '{d/296}'")
    with sealed.begin() as connection:
        ledger.put(connection, "d", [296], "forged")
        newest = connection.execute(text("SELECT note FROM ledger_checkpoints WHERE size = 600")).scalar_one()
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("DELETE FROM ledger_checkpoints"))
        ledger.seal(connection)
        connection.execute(text("UPDATE ledger_checkpoints SET note = :note"), {"note": newest})

    report = verified(sealed)

    assert {one.what for one in report.problems} == {"checkpoint"}
    assert any("root" in one.message for one in report.problems)


def test_rows_written_but_not_sealed_are_counted_and_no_problem(sealed: Engine, tmp_path: Path) -> None:
    with sealed.begin() as connection:
        ledger.put(connection, "c", [1, 2], "later")
        ledger.drop(connection, "c", 3)
        connection.execute(text("INSERT INTO checks VALUES (:check, 'allow')"), {"check": f"{CHECK}9"})

    report, bundle = verified(sealed), exported(sealed, tmp_path / "b.zip")

    assert (report.problems, report.unsealed) == ([], 3)
    assert (bundle.problems, bundle.unsealed) == ([], 4)  # with the one that is to be gone


def test_an_unsealed_entry_does_not_excuse_another_row_than_its_own(sealed: Engine, tmp_path: Path) -> None:
    with sealed.begin() as connection:
        ledger.put(connection, "c", [1], "later")
    edit(sealed, "UPDATE letters SET body = 'x' WHERE part = 'c' AND number = 1")

    assert found(verified(sealed)) == [(None, "letters", "c/1", "row_changed")]
    assert found(exported(sealed, tmp_path / "b.zip")) == [(2, "letters", "c/1", "row_changed")]


def test_a_checkpoint_outside_shows_that_an_old_backup_was_restored(sealed: Engine) -> None:
    with sealed.begin() as connection:
        ledger.put(connection, "c", [1], "later")
    with sealed.connect() as connection:
        newer = ledger.seal(connection)
        connection.rollback()
    with sealed.connect() as connection:
        report = verify_live(connection, keys=ledger.public_keys(connection), outside=[newer])

    assert found(report) == [(None, None, None, "checkpoint")]
    assert "old state of the database" in report.problems[0].message
