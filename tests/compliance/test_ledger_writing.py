"""What every change leaves in the ledger, and what the covered tables refuse."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, select, text
from sqlalchemy.exc import IntegrityError

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.ledger_lines import DIGEST_BYTES, SALT_BYTES, hidden_key, joined_key, row_digest
from compliance.ledger_tables import (
    NOT_COVERED,
    NOT_COVERED_COLUMNS,
    ledger_coverage,
    ledger_entries,
    ledger_identity,
)
from compliance.register_tables import customer_phones
from compliance.tables import audit_events, call_checks, call_records, do_not_call_phones
from infra.database import libpq_url, make_engine, metadata
from infra.ids import new_id
from services import all_tables
from services.tokens import Role, create_token, note_use, revoke_token
from tests.conftest import NOON
from tests.gate_facts import write_registers

assert all_tables.REGISTERED

PHONE = "+8613800138000"
EVENT_LIKE_THE_OTHERS = {"kind": "test", "actor": "tests", "recorded_at": NOON}
ODD = '🚫 "it\'s" 100% / \\ \t 保险'


class Written(NamedTuple):
    kind: str
    rows: dict[str, tuple[bytes, bytes]]
    """Digest and salt by key."""


def written(connection: Connection) -> list[Written]:
    """Return the entries of this database, oldest first."""
    columns = ledger_entries.c
    found = []
    for row in connection.execute(select(ledger_entries).order_by(columns.source)):
        digests = [row.digests[at : at + DIGEST_BYTES] for at in range(0, len(row.digests), DIGEST_BYTES)]
        salts = [row.salts[at : at + SALT_BYTES] for at in range(0, len(row.salts), SALT_BYTES)]
        found.append(Written(row.kind, dict(zip(row.keys, zip(digests, salts, strict=True), strict=True))))
    return found


def present(connection: Connection, table: str) -> dict[str, str]:
    """Return the texts of a table's rows as they are now, by their keys, each made here from what the row says."""
    coverage = connection.execute(select(ledger_coverage).where(ledger_coverage.c.table_name == table)).one()
    secret = connection.execute(select(ledger_identity.c.key_secret)).scalar_one()
    columns, parts = ", ".join(coverage.columns), ", ".join(f"{one}::text" for one in coverage.key_columns)
    statement = f"SELECT ARRAY[{parts}], row_to_json(r)::text FROM (SELECT {columns} FROM {table}) r"  # noqa: S608 - our names
    rows = connection.execute(text(statement))
    keys = {joined_key(key): row for key, row in rows}
    return {hidden_key(secret, key): row for key, row in keys.items()} if coverage.hides_key else keys


def add_event(connection: Connection, **values: Any) -> UUID:
    event_id = new_id()
    connection.execute(insert(audit_events).values({**EVENT_LIKE_THE_OTHERS, "event_id": event_id, **values}))
    return event_id


def block(connection: Connection, phone: str = PHONE, *, at: datetime = NOON, customer_id: str | None = None) -> None:
    refusal = Refusal(phone_e164=phone, customer_id=customer_id, source=BlockSource.CALL, refused_at=at)
    block_person(connection, refusal, block_months=6, person="officer", now=at)


def test_a_statement_leaves_one_entry_with_the_digest_of_each_row(connection: Connection) -> None:
    ids = [new_id(), new_id()]
    rows = [{"event_id": one, "kind": ODD, "actor": "x", "recorded_at": NOON} for one in ids]
    connection.execute(insert(audit_events).values(rows))

    [entry] = written(connection)
    texts = present(connection, "audit_events")
    assert entry.kind == "audit_events.insert"
    assert set(entry.rows) == {str(one) for one in ids}
    assert all(row_digest(salt, texts[key]) == digest for key, (digest, salt) in entry.rows.items())
    assert len({salt for _, salt in entry.rows.values()}) == len(ids)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=texts, subject=st.none() | texts, details=st.dictionaries(texts, texts | st.integers() | st.none()))
def test_any_text_is_digested_as_the_specification_says(
    connection: Connection, kind: str, subject: str | None, details: dict[str, object]
) -> None:
    event_id = str(add_event(connection, kind=kind, subject=subject, details=details))

    entry = written(connection)[-1]
    digest, salt = entry.rows[event_id]
    assert digest == row_digest(salt, present(connection, "audit_events")[event_id])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call_id=texts.filter(bool))
def test_any_key_of_one_column_is_its_text(connection: Connection, call_id: str) -> None:
    with connection.begin_nested() as savepoint:
        write_call(connection, call_id)
        [key] = written(connection)[-1].rows
        savepoint.rollback()

    assert key == call_id


def write_call(connection: Connection, call_id: str) -> None:
    call = {"call_id": call_id, "direction": "inbound", "started_at": NOON, "outcome": "answered", "content": {}}
    connection.execute(insert(call_records).values(**call, content_digest=b"x", actor="tests", recorded_at=NOON))


def test_a_written_person_is_covered_in_every_table(connection: Connection) -> None:
    write_registers(connection)
    block(connection, customer_id="c/1%")
    connection.execute(insert(customer_phones).values(phone_digits=8613800138000, customer_id="c/1%", recorded_at=NOON))

    latest = {
        (entry.kind.split(".")[0], key): found for entry in written(connection) for key, found in entry.rows.items()
    }
    tables = {table for table, _ in latest}
    rows = {(table, key): row for table in tables for key, row in present(connection, table).items()}
    assert {"do_not_call_entries", "do_not_call_events", "do_not_call_phones", "customer_phones"} <= tables
    assert {"register_rows", "register_versions"} <= tables
    assert set(latest) == set(rows)
    assert all(row_digest(salt, rows[name]) == digest for name, (digest, salt) in latest.items())


def test_an_update_of_what_is_covered_leaves_the_row_as_it_is_now(connection: Connection) -> None:
    block(connection)
    before = len(written(connection))
    block(connection, at=NOON + timedelta(days=40))

    found = written(connection)[before:]
    [entry] = [one for one in found if one.kind == "do_not_call_entries.update"]
    [(key, (digest, salt))] = entry.rows.items()
    assert digest == row_digest(salt, present(connection, "do_not_call_entries")[key])


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE do_not_call_entries SET changed_in = 1", id="bookkeeping"),
        pytest.param("UPDATE do_not_call_entries SET reason = reason", id="the same"),
        pytest.param("UPDATE do_not_call_entries SET reason = 'x' WHERE false", id="no row"),
    ],
)
def test_an_update_that_changes_nothing_covered_leaves_no_entry(connection: Connection, statement: str) -> None:
    block(connection)
    before = written(connection)
    connection.execute(text(statement))

    assert written(connection) == before


def test_a_used_token_leaves_no_entry_and_a_revoked_one_does(connection: Connection) -> None:
    token_id = new_id()
    create_token(connection, token_id=token_id, role=Role.DIALER, owner="x", now=NOON)
    note_use(connection, token_id, now=NOON)
    revoke_token(connection, token_id, now=NOON)

    assert [entry.kind for entry in written(connection)] == ["access_tokens.insert", "access_tokens.update"]


def test_only_the_changed_rows_of_an_update_are_in_its_entry(connection: Connection) -> None:
    for last in range(3):
        block(connection, f"+861380013800{last}")
    before = len(written(connection))
    connection.execute(text("UPDATE do_not_call_entries SET reason = 'x'"))
    connection.execute(
        text(
            "UPDATE do_not_call_entries SET reason = CASE WHEN entry_id = (SELECT max(entry_id::text)::uuid"
            " FROM do_not_call_entries) THEN 'y' ELSE reason END"
        )
    )

    assert [len(entry.rows) for entry in written(connection)[before:]] == [3, 1]


def test_a_deleted_row_is_digested_as_it_was(connection: Connection) -> None:
    event_id = str(add_event(connection, kind=ODD))
    was = present(connection, "audit_events")[event_id]
    connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER kept_for_ever"))
    connection.execute(text("DELETE FROM audit_events"))

    entry = written(connection)[-1]
    digest, salt = entry.rows[event_id]
    assert entry.kind == "audit_events.delete"
    assert digest == row_digest(salt, was)


def test_a_long_statement_leaves_entries_of_a_thousand_rows(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO audit_events (event_id, kind, actor, recorded_at)"
            " SELECT gen_random_uuid(), 'x', 'x', now() FROM generate_series(1, 2500)"
        )
    )

    found = written(connection)
    texts_now = present(connection, "audit_events")
    assert [len(entry.rows) for entry in found] == [1000, 1000, 500]
    rows = {key: pair for entry in found for key, pair in entry.rows.items()}
    assert set(rows) == set(texts_now)
    assert all(row_digest(salt, texts_now[key]) == digest for key, (digest, salt) in rows.items())
    assert len({salt for _, salt in rows.values()}) == len(rows)


def test_rows_alike_have_salts_of_their_own_alone_and_together(connection: Connection) -> None:
    for _ in range(3):
        add_event(connection)
    connection.execute(insert(audit_events), [{**EVENT_LIKE_THE_OTHERS, "event_id": new_id()} for _ in range(3)])

    salts = [salt for entry in written(connection) for _, salt in entry.rows.values()]
    assert [len(salt) for salt in salts] == [SALT_BYTES] * 6
    assert len(set(salts)) == 6


def test_a_transaction_rolled_back_leaves_none(engine: Engine) -> None:
    with engine.connect() as connection:
        block(connection)
        assert written(connection)
        connection.rollback()

        assert written(connection) == []


EVENT = """
    INSERT INTO audit_events (event_id, kind, actor, recorded_at) VALUES (gen_random_uuid(), 'x', 'x', now())"""


def test_a_change_by_anybody_else_leaves_none(engine: Engine, database: str) -> None:
    with psycopg.connect(libpq_url(database)) as other:
        other.execute(EVENT)

    with engine.connect() as connection:
        assert present(connection, "audit_events")
        assert written(connection) == []


def test_no_number_stands_in_an_entry(connection: Connection) -> None:
    write_registers(connection)
    block(connection, customer_id="c-1")

    said = connection.execute(
        text("SELECT string_agg(kind || array_to_string(keys, ' '), ' ') FROM ledger_entries")
    ).scalar_one()
    numbers = connection.execute(select(do_not_call_phones.c.phone_digits)).scalars().all()
    assert numbers
    assert not any(str(number)[2:] in said for number in numbers)


def test_rows_are_digested_in_utc_whatever_the_session_says(connection: Connection) -> None:
    connection.execute(text("SET LOCAL TimeZone = 'Asia/Shanghai'"))
    connection.execute(text("SET LOCAL bytea_output = 'escape'"))
    write_call(connection, "a-call")
    connection.execute(text("SET LOCAL TimeZone = 'UTC'"))
    connection.execute(text("SET LOCAL bytea_output = 'hex'"))

    digest, salt = written(connection)[-1].rows["a-call"]
    assert digest == row_digest(salt, present(connection, "call_records")["a-call"])


def test_entries_are_dated_by_the_clock_of_the_product(database: str) -> None:
    ahead = timedelta(days=400, milliseconds=5)
    engine = make_engine(database, application_name="tests", clock_offset=ahead)
    with engine.begin() as connection:
        add_event(connection)
        recorded_at = connection.execute(select(ledger_entries.c.recorded_at)).scalar_one()
        began_at = connection.execute(text("SELECT now()")).scalar_one()
    engine.dispose()

    assert timedelta() <= recorded_at - began_at - ahead < timedelta(minutes=1)


def test_call_checks_wait_for_the_sealer_under_their_transaction(connection: Connection) -> None:
    connection.execute(
        insert(call_checks).values(
            check_id=new_id(),
            actor="x",
            purpose="sales",
            call={},
            side_digest=b"",
            callee_facts={},
            policy_digest="x",
            verdict="deny",
            reasons=[],
            checked_at=NOON,
        )
    )

    assert written(connection) == []
    written_in = connection.execute(select(call_checks.c.written_in)).scalar_one()
    assert written_in == connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()


def test_rows_from_before_get_an_entry_when_a_table_is_covered(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE older (id integer PRIMARY KEY, word text, noise integer)"))
    connection.execute(text("INSERT INTO older VALUES (1, 'a', 1), (2, 'b', 2)"))
    cover = text("SELECT ledger_cover('older', '{id}', CAST(:columns AS text[]), '{word,noise}')")
    connection.execute(cover, {"columns": "{id,word}"})
    connection.execute(cover, {"columns": "{id,word,noise}"})
    connection.execute(text("UPDATE older SET noise = 3 WHERE id = 1"))

    found = written(connection)
    assert [(entry.kind, sorted(entry.rows)) for entry in found] == [
        ("older.insert", ["1", "2"]),
        ("older.update", ["1", "2"]),
        ("older.update", ["1"]),
    ]
    digest, salt = found[-1].rows["1"]
    assert digest == row_digest(salt, '{"id":1,"word":"a","noise":3}')


def covered(connection: Connection) -> dict[str, Any]:
    return {row.table_name: row for row in connection.execute(select(ledger_coverage))}


def test_every_table_is_covered_or_named_with_a_reason(connection: Connection) -> None:
    assert set(covered(connection)) | set(NOT_COVERED) == set(metadata.tables)
    assert not set(covered(connection)) & set(NOT_COVERED)


def test_every_column_of_a_covered_table_is_covered_or_named_with_a_reason(connection: Connection) -> None:
    left_out = {
        f"{name}.{column.name}"
        for name, coverage in covered(connection).items()
        for column in metadata.tables[name].columns
        if column.name not in coverage.columns
    }
    assert left_out == set(NOT_COVERED_COLUMNS)


def test_every_key_that_is_or_may_be_a_telephone_number_is_hidden(connection: Connection) -> None:
    hidden = {name for name, coverage in covered(connection).items() if coverage.hides_key}
    assert hidden == {"customer_phones", "do_not_call_phones", "register_rows"}


COVERED = sorted(set(metadata.tables) - set(NOT_COVERED))


@pytest.mark.parametrize("table", COVERED)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_evidence_is_never_taken_away(connection: Connection, table: str, statement: str) -> None:
    with pytest.raises(IntegrityError, match="never deleted"):
        connection.execute(text(statement.format(table)))


@pytest.mark.parametrize("table", COVERED)
def test_evidence_changes_in_the_declared_columns_only(connection: Connection, table: str) -> None:
    refused = set()
    for column in metadata.tables[table].columns:
        savepoint = connection.begin_nested()
        try:
            # An identity takes no other value than its default.
            name = f'"{column.name}"'  # some are words of SQL
            value = "DEFAULT" if column.identity else name
            connection.execute(text(f"UPDATE {table} SET {name} = {value}"))  # noqa: S608 - our names
        except IntegrityError:
            refused.add(column.name)
        finally:
            savepoint.rollback()

    changing = set(metadata.tables[table].info.get("updates", ()))
    assert refused == {column.name for column in metadata.tables[table].columns} - changing
