"""What a superuser would try who knows the ledger: rewriting all that belongs together, setting the sealer back."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from compliance.ledger_bundle import write_bundle
from compliance.ledger_keys import open_keys
from compliance.ledger_lines import hidden_key, joined_key, row_digest
from compliance.ledger_outside import Finding
from compliance.ledger_reading import read_origin
from compliance.ledger_runs import check_outside
from compliance.ledger_sealer import Signer, seal
from compliance.ledger_tables import NOT_COVERED_COLUMNS
from compliance.ledger_verifier import verify_bundle
from tests.compliance.ledger_rows import one_key
from tests.conftest import NOON
from tests.gate_facts import CALL
from tests.ledger_evidence import Firm, told

INCIDENT = "SELECT incident_id FROM incidents WHERE state = 'open' ORDER BY incident_id LIMIT 1"
LATER = "recorded_at = recorded_at + interval '1 s'"
CHECK = "SELECT check_id FROM call_checks WHERE verdict = 'deny' ORDER BY check_id LIMIT 1"


def rewrite(connection: Connection) -> str:
    """Close an incident, have its entry say so, and take away numbers and tree; return the incident."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    incident = str(connection.execute(text(INCIDENT)).scalar_one())
    connection.execute(text("UPDATE incidents SET state = 'closed' WHERE incident_id::text = :id"), {"id": incident})
    columns = connection.execute(
        text("SELECT columns FROM ledger_coverage WHERE table_name = 'incidents'")
    ).scalar_one()
    row = connection.execute(
        text(
            f"SELECT row_to_json(r)::text FROM (SELECT {', '.join(columns)} FROM incidents"  # noqa: S608 - our names
            " WHERE incident_id::text = :id) r"
        ),
        {"id": incident},
    ).scalar_one()
    named = "FROM ledger_entries WHERE kind = 'incidents.insert' AND keys = ARRAY[:id]"
    source, salts = connection.execute(text(f"SELECT source, salts {named}"), {"id": incident}).one()
    connection.execute(
        text("UPDATE ledger_entries SET digests = :digest WHERE source = :source"),
        {"digest": row_digest(salts, row), "source": source},
    )
    for table in ("ledger_leaves", "ledger_tiles"):
        connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our names
    return incident


def seal_again(connection: Connection, signer: Signer) -> None:
    """Number all entries anew, under one new checkpoint beside those that are there."""
    kept = connection.execute(text("SELECT * FROM ledger_checkpoints")).mappings().all()
    connection.execute(text("DELETE FROM ledger_checkpoints"))
    seal(connection, signer=signer, now=NOON)
    for one in kept:
        names = ", ".join(one.keys())
        values = ", ".join(f":{name}" for name in one)
        connection.execute(
            text(f"INSERT INTO ledger_checkpoints ({names}) VALUES ({values}) ON CONFLICT (size) DO UPDATE SET root ="  # noqa: S608
                 " excluded.root, note = excluded.note"),
            dict(one),
        )  # fmt: skip


def test_a_row_rewritten_with_its_entry_and_the_tree_is_found_by_the_signature(firm: Firm) -> None:
    with firm.owner.begin() as connection:
        rewrite(connection)
        seal_again(connection, one_key(connection))

    report = firm.verified()

    assert {one.what for one in report.problems} == {"checkpoint"}
    assert any("does not lead to the root that was signed" in one.message for one in report.problems)


def test_a_rewritten_ledger_that_another_key_signed_is_found_by_the_keys(firm: Firm) -> None:
    with firm.owner.begin() as connection:
        rewrite(connection)
        connection.execute(text("DELETE FROM ledger_checkpoints"))
        seal(connection, signer=one_key(connection), now=NOON)
    outside = firm.ledger.store.newest()

    alone, compared = firm.verified(), firm.verified([outside or ""])
    contradiction, _trouble = check_outside(firm.ledger)

    assert any("is not signed by a key that is known" in one.message for one in alone.problems)
    assert any("old state of the database was restored" in one.message for one in compared.problems)
    assert contradiction is not None
    assert contradiction.finding is Finding.FORK


def test_a_rewritten_ledger_signed_with_the_stolen_key_is_found_by_the_outside(firm: Firm) -> None:
    with firm.owner.begin() as connection:
        rewrite(connection)
        connection.execute(text("DELETE FROM ledger_checkpoints"))
        origin = read_origin(connection)
        seal(connection, signer=open_keys(firm.ledger.data_dir, origin, now=firm.clock()), now=firm.clock())
    outside = firm.ledger.store.newest()

    report = firm.verified([outside or ""])
    ready = firm.client("officer").get("/readyz")

    assert firm.verified().ok, "who has the key can sign anything: that is what the outside is for"
    assert {one.what for one in report.problems} == {"checkpoint"}
    assert any("the tree does not lead to the root that was signed" in one.message for one in report.problems)
    assert ready.json()["problems"][0].startswith("ledger_fork")


def test_an_edited_check_is_found_though_the_sealer_was_set_back_to_seal_it_again(firm: Firm, tmp_path: Path) -> None:
    with firm.owner.connect() as connection:
        check = str(connection.execute(text(CHECK)).scalar_one())
    firm.edit(
        f"UPDATE call_checks SET verdict = 'allow', reasons = '[]' WHERE check_id = '{check}'",  # noqa: S608 - our id
        "UPDATE ledger_checkpoints SET cluster = 'another'",
    )

    firm.seal()

    live = told(firm.verified())
    with firm.snapshot() as connection:
        bundle = told(firm.bundled_in(connection, tmp_path / "b.zip"))
    assert [(table, key, what) for _entry, table, key, what in live] == [("call_checks", check, "row_changed")]
    assert bundle == live


def test_checks_that_are_sealed_again_after_a_restore_are_no_problem(firm: Firm, tmp_path: Path) -> None:
    firm.edit("UPDATE ledger_checkpoints SET cluster = 'another'")
    before = firm.seal().checkpoint
    assert before is not None
    firm.edit("UPDATE ledger_checkpoints SET cluster = 'another'")
    firm.seal()

    with firm.snapshot() as connection:
        whole = firm.bundled_in(connection, tmp_path / "whole.zip")
        write_bundle(connection, tmp_path / "part.zip", begin=0, end=before.size, keys=firm.keys(), now=firm.clock())
    part = verify_bundle(tmp_path / "part.zip")

    assert (told(firm.verified()), told(whole), told(part)) == ([], [], [])
    assert (whole.rows, part.unsealed) == (firm.verified().rows, 0)


def test_a_sealer_set_back_or_moved_ahead_is_found(firm: Firm) -> None:
    firm.edit(
        "UPDATE ledger_checkpoints SET checks_through = 0 WHERE size = (SELECT max(size) FROM ledger_checkpoints)"
    )
    back = firm.verified()
    firm.edit("UPDATE ledger_checkpoints SET checks_through = horizon - 1, horizon = horizon + 1000000")
    firm.client("admin").put("/v1/customers/later", json={"phones": ["13800138000"]})
    firm.seal()
    ahead = firm.verified()

    assert [one.what for one in back.problems] == ["checkpoint"]
    assert "reaches less far" in back.problems[0].message
    assert {one.what for one in ahead.problems} == {"entry_missing"}
    assert {"customer_phones", "register_rows", "register_versions"} <= {one.table for one in ahead.problems}


HIDDEN = {
    "do_not_call_phones": ("phone_digits", "phone_digits * 10, entry_id", "entry_id = gen_random_uuid()"),
    "customer_phones": ("phone_digits, customer_id", "phone_digits * 10, customer_id, recorded_at", LATER),
    "register_rows": ("register, row_id", "register, row_id || '7', position, recorded_at", LATER),
}


@pytest.mark.parametrize(("table", "edits"), HIDDEN.items(), ids=HIDDEN)
def test_a_row_whose_key_is_a_number_is_named_without_it(
    firm: Firm, tmp_path: Path, table: str, edits: tuple[str, str, str]
) -> None:
    key_columns, copied, changed = edits
    with firm.owner.connect() as connection:
        secret = connection.execute(text("SELECT key_secret FROM ledger_identity")).scalar_one()
        parts = ", ".join(f"{one}::text" for one in key_columns.split(", "))
        query = f"SELECT ctid::text, ARRAY[{parts}] FROM {table} ORDER BY 2 DESC LIMIT 2"  # noqa: S608 - our names
        (one, its), (other, others) = connection.execute(text(query)).all()
    firm.edit(
        f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT {copied} FROM {table} WHERE ctid = '{one}'",  # noqa: S608
        f"UPDATE {table} SET {changed} WHERE ctid = '{one}'",  # noqa: S608 - our names
        f"DELETE FROM {table} WHERE ctid = '{other}'",  # noqa: S608 - our names
    )

    live = firm.verified()
    with firm.snapshot() as connection:
        bundle = firm.bundled_in(connection, tmp_path / "b.zip")

    known = {hidden_key(secret, joined_key(its)): "row_changed", hidden_key(secret, joined_key(others)): "row_missing"}
    named = {key: what for _, _, key, what in told(live)}
    assert {key: what for key, what in named.items() if key in known} == known
    assert (len(named), {one.table for one in live.problems}) == (3, {table})
    assert "row_unknown" in named.values()
    assert sorted(map(str, told(bundle))) == sorted(map(str, told(live)))
    assert its[0] not in str(live.problems) + str(bundle.problems) or table == "register_rows"


OTHER_VALUES = {
    "last_used_at": "now()",
    "verified_at": "now()",
    "verify_after": "now()",
    "is_lock_due": "true",
    "is_unlinked": "true",
    "position": "DEFAULT",
    "frame": "'\\x01'",
    "draft": "'{}'",
}


@pytest.mark.parametrize("column", NOT_COVERED_COLUMNS)
def test_a_column_that_is_not_covered_may_be_edited(firm: Firm, column: str) -> None:
    table, _, name = column.partition(".")
    firm.edit(f"UPDATE {table} SET {name} = {OTHER_VALUES.get(name, 1)}")  # noqa: S608 - our names

    assert told(firm.verified()) == []


OWN_WORDS = {
    "another secret": (
        "UPDATE ledger_identity SET key_secret = sha256('x')",
        {"customer_phones", "do_not_call_phones", "register_rows"},
    ),
    "another ledger": ("UPDATE ledger_identity SET ledger_id = gen_random_uuid()", {None}),
    "a table no longer covered": ("DELETE FROM ledger_coverage WHERE table_name = 'incidents'", {"incidents"}),
    "a column no longer covered": (
        "UPDATE ledger_coverage SET columns = columns[1:2] WHERE table_name = 'incidents'",
        {"incidents"},
    ),
    "a table said to be sealed in ranges": (
        "UPDATE ledger_coverage SET mode = 'ranges' WHERE table_name = 'incidents'",
        {"incidents"},
    ),
    "a column dropped": ("ALTER TABLE incidents DROP COLUMN measures", {"incidents"}),
    "a table dropped": ("DROP TABLE overlays", {"overlays"}),
    "a table replaced": ("ALTER TABLE overlays RENAME TO old_overlays", {"overlays"}),
}


@pytest.mark.parametrize(("statement", "tables"), OWN_WORDS.values(), ids=OWN_WORDS)
def test_what_says_how_the_ledger_is_to_be_read_cannot_be_changed_unnoticed(
    firm: Firm, statement: str, tables: set[str | None]
) -> None:
    firm.edit(statement)

    report = firm.verified()

    assert not report.ok
    assert {one.table for one in report.problems} == tables


@pytest.mark.parametrize("setting", ["bytea_output = 'escape'", "timezone = 'Asia/Shanghai'"])
def test_how_a_database_is_set_to_write_changes_neither_what_is_sealed_nor_what_is_verified(
    firm: Firm, setting: str
) -> None:
    database = firm.owner.url.database
    firm.edit(f'ALTER DATABASE "{database}" SET {setting}')
    firm.owner.dispose()
    firm.ledger.engine.dispose()

    firm.client("dialer").post("/v1/call-checks", json=CALL)
    firm.client("admin").put("/v1/customers/later", json={"phones": ["13800138000"]})
    firm.seal()

    report = firm.verified()
    assert (told(report), report.unsealed) == ([], 0)
