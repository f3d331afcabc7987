"""Migrations on a real PostgreSQL, and what the triggers they make forbid and count."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from compliance.register_book import COUNTED
from compliance.register_tables import customer_phones, overlays, policies, register_counters
from compliance.registers import Register
from compliance.tables import do_not_call_entries, do_not_call_events, do_not_call_phones
from infra.celery_app import BROKER_TABLES
from infra.database import make_engine, metadata
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
from infra.migrate import current_revision, drift, head_revision, migrate
from services import all_tables
from services.tokens import Role, create_token, note_use, revoke_token
from tests.conftest import NOON
from tests.gate_facts import write_registers
from tests.releases import approve_release
from tests.services.shared_app import fresh_database

assert all_tables.REGISTERED

END = date(2027, 5, 23)


@pytest.fixture
def empty_engine(server: EmbeddedPostgres) -> Iterator[Engine]:
    with fresh_database(server, "template0") as url:
        engine = make_engine(url, application_name="tests")
        yield engine
        engine.dispose()


def test_an_empty_database_gets_every_table_and_nothing_else(empty_engine: Engine) -> None:
    before, after = migrate(empty_engine)

    with empty_engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        assert (before, after, current_revision(connection)) == (None, head_revision(), head_revision())
        assert tables == set(metadata.tables) | BROKER_TABLES | {"alembic_version"}
        assert drift(connection) == []


def test_migrating_again_changes_nothing(empty_engine: Engine) -> None:
    migrate(empty_engine)
    with empty_engine.begin() as connection:
        write_registers(connection)

    assert migrate(empty_engine) == (head_revision(), head_revision())

    with empty_engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM register_rows")).scalar_one() > 0
        assert connection.execute(text("SELECT count(*) FROM register_counters")).scalar_one() == 10


def test_two_migrators_at_once_do_it_once(empty_engine: Engine) -> None:
    together = Barrier(2)

    def start(_number: int) -> tuple[str | None, str]:
        together.wait(10)
        return migrate(empty_engine)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(start, range(2)))

    assert sorted(before or "" for before, _ in found) == ["", head_revision()]
    with empty_engine.connect() as connection:
        assert drift(connection) == []


def test_a_failed_migration_leaves_no_lock_behind(empty_engine: Engine) -> None:
    with empty_engine.begin() as connection:
        connection.execute(text("CREATE TABLE access_tokens (in_the_way integer)"))

    with pytest.raises(Exception, match="access_tokens"):
        migrate(empty_engine)

    with empty_engine.begin() as connection:
        held = connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one()
        assert (held, current_revision(connection)) == (0, None)
        connection.execute(text("DROP TABLE access_tokens"))
    assert migrate(empty_engine) == (None, head_revision())


def test_migrations_leave_no_time_out_on_the_pooled_connection(empty_engine: Engine) -> None:
    migrate(empty_engine)

    with empty_engine.connect() as connection:
        found = connection.execute(text("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"))
        assert tuple(found.one()) == ("0", "0")


def test_drift_names_what_differs(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE overlays ADD COLUMN unheard_of integer"))

    assert "unheard_of" in str(drift(connection))


@pytest.fixture
def entry(connection: Connection) -> Connection:
    """One block with a number and an event, in a transaction."""
    entry_id = new_id()
    connection.execute(
        insert(do_not_call_entries).values(
            entry_id=entry_id,
            customer_id="c-1",
            blocked_from=NOON,
            refused_at=NOON,
            blocked_through=END,
            source="call",
            created_at=NOON,
        )
    )
    connection.execute(insert(do_not_call_phones).values(phone_digits=8613800138000, entry_id=entry_id))
    connection.execute(
        insert(do_not_call_events).values(
            event_id=new_id(), entry_id=entry_id, kind="refusal", actor="tests", recorded_at=NOON
        )
    )
    return connection


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE do_not_call_entries SET blocked_through = blocked_through - 1", id="end earlier"),
        pytest.param("UPDATE do_not_call_entries SET blocked_through = '1900-01-01'", id="end long ago"),
        pytest.param("UPDATE do_not_call_entries SET blocked_from = blocked_from + interval '1 us'", id="begin later"),
        pytest.param("UPDATE do_not_call_entries SET customer_id = NULL", id="whose it is forgotten"),
        pytest.param("UPDATE do_not_call_entries SET customer_id = 'c-2'", id="another's"),
        pytest.param("DELETE FROM do_not_call_entries", id="delete the block"),
        pytest.param("DELETE FROM do_not_call_entries WHERE false", id="delete nothing"),
        pytest.param("DELETE FROM do_not_call_phones", id="delete its number"),
        pytest.param("DELETE FROM do_not_call_events", id="delete its history"),
        pytest.param("UPDATE do_not_call_events SET actor = 'nobody'", id="change its history"),
        pytest.param("TRUNCATE do_not_call_entries CASCADE", id="truncate the blocks"),
        pytest.param("TRUNCATE do_not_call_phones", id="truncate the numbers"),
        pytest.param("TRUNCATE do_not_call_events", id="truncate the history"),
        pytest.param(
            "INSERT INTO do_not_call_entries SELECT * FROM do_not_call_entries"
            " ON CONFLICT (entry_id) DO UPDATE SET blocked_through = '2026-12-01'",
            id="shorten by upsert",
        ),
        pytest.param(
            "MERGE INTO do_not_call_entries AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
            id="delete by merge",
        ),
    ],
)
def test_a_block_can_neither_be_shortened_nor_deleted_by_any_statement(entry: Connection, statement: str) -> None:
    with pytest.raises(IntegrityError):
        entry.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE do_not_call_phones SET phone_digits = phone_digits + 1", id="another number"),
        pytest.param(
            "WITH other AS (INSERT INTO do_not_call_entries SELECT gen_random_uuid(), NULL, blocked_from, refused_at,"
            " '1900-01-01', source, reason, released_at, raised_at, created_at, changed_in FROM do_not_call_entries"
            " RETURNING entry_id) UPDATE do_not_call_phones SET entry_id = (SELECT entry_id FROM other)",
            id="a shorter block for the number",
        ),
    ],
)
def test_a_number_cannot_be_taken_off_its_block(entry: Connection, statement: str) -> None:
    with pytest.raises(IntegrityError):
        entry.execute(text(statement))


def test_no_number_leads_to_an_entry_that_does_not_exist(entry: Connection) -> None:
    statement = text("""
        INSERT INTO do_not_call_phones SELECT 8613800138001 + n, CASE n WHEN 1 THEN gen_random_uuid() ELSE entry_id END
          FROM do_not_call_entries, generate_series(0, 2) n""")
    with pytest.raises(IntegrityError, match="needs its entry"):
        entry.execute(statement)


def test_a_number_and_its_entry_may_come_in_one_statement(entry: Connection) -> None:
    statement = text("""
        WITH other AS (INSERT INTO do_not_call_entries SELECT gen_random_uuid(), NULL, blocked_from, refused_at,
          blocked_through, source, reason, released_at, raised_at, created_at, changed_in FROM do_not_call_entries
          RETURNING entry_id)
        INSERT INTO do_not_call_phones SELECT 8613800138001, entry_id FROM other""")
    entry.execute(statement)

    assert entry.execute(text("SELECT count(DISTINCT entry_id) FROM do_not_call_phones")).scalar_one() == 2


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE do_not_call_entries SET blocked_through = blocked_through + 1", id="end later"),
        pytest.param("UPDATE do_not_call_entries SET blocked_through = '9999-12-31'", id="for ever"),
        pytest.param(
            "UPDATE do_not_call_entries SET blocked_from = blocked_from - interval '1 day'", id="begin before"
        ),
        pytest.param("UPDATE do_not_call_entries SET blocked_through = blocked_through", id="the same"),
    ],
)
def test_a_block_may_grow_and_every_change_is_marked(entry: Connection, statement: str) -> None:
    entry.execute(text("UPDATE do_not_call_entries SET changed_in = 0"))
    entry.execute(text(statement))

    changed_in = entry.execute(select(do_not_call_entries.c.changed_in)).scalar_one()
    assert changed_in == entry.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()


ENTRY = """
    INSERT INTO do_not_call_entries (entry_id, blocked_from, refused_at, blocked_through, source, created_at, {more})
    VALUES (gen_random_uuid(), now(), now(), '2027-01-01', 'call', now(), {value})"""


def test_an_entry_that_says_another_transaction_wrote_it_is_marked_with_its_own(entry: Connection) -> None:
    entry.execute(text(ENTRY.format(more="changed_in", value="1")))

    marks = entry.execute(select(do_not_call_entries.c.changed_in)).scalars().all()
    assert marks == [entry.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()] * 2


RELEASED_AT = NOON + timedelta(hours=1)
RELEASED = update(do_not_call_entries).values(released_at=RELEASED_AT)
AT_COMMIT = text("SET CONSTRAINTS ALL IMMEDIATE")


def entry_id_of(entry: Connection) -> UUID:
    entry_id: UUID = entry.execute(select(do_not_call_entries.c.entry_id)).scalar_one()
    return entry_id


def test_an_entry_is_released_with_an_approval_of_that_instant_in_either_order(entry: Connection) -> None:
    entry.execute(RELEASED)
    approve_release(entry, entry_id_of(entry), at=RELEASED_AT)
    entry.execute(AT_COMMIT)

    assert entry.execute(select(do_not_call_entries.c.released_at)).scalar_one() == RELEASED_AT


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"state": "open", "decided_by": None, "decided_at": None}, id="not decided"),
        pytest.param({"state": "rejected"}, id="rejected"),
        pytest.param({"decided_at": NOON}, id="an earlier one"),
        pytest.param({"decided_by": "officer"}, id="by the same person"),
        pytest.param({"payload": {"entry_id": str(new_id())}}, id="another entry's"),
        pytest.param({"kind": "overlay_end"}, id="of something else"),
    ],
)
def test_no_statement_releases_an_entry_that_no_second_person_released(
    entry: Connection, changes: dict[str, object]
) -> None:
    approve_release(entry, entry_id_of(entry), at=RELEASED_AT, **changes)
    entry.execute(RELEASED)

    with pytest.raises(IntegrityError, match="second person"):
        entry.execute(AT_COMMIT)


def test_no_entry_begins_released(entry: Connection) -> None:
    entry.execute(text(ENTRY.format(more="released_at", value="now()")))

    with pytest.raises(IntegrityError, match="second person"):
        entry.execute(AT_COMMIT)


def test_a_release_without_approval_does_not_commit(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(ENTRY.format(more="reason", value="NULL")))

    with pytest.raises(IntegrityError, match="second person"), engine.begin() as connection:
        connection.execute(RELEASED)

    with engine.connect() as connection:
        assert connection.execute(select(do_not_call_entries.c.released_at)).scalar_one() is None


def counters(connection: Connection) -> dict[str, int]:
    columns = register_counters.c
    return {row.register: row.changes for row in connection.execute(select(columns.register, columns.changes))}


def moved(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {register for register, changes in after.items() if changes != before[register]}


def test_what_processes_keep_in_memory_has_a_counter(connection: Connection) -> None:
    assert set(counters(connection)) == {*COUNTED, "tokens"}
    assert set(Register) - {Register.CUSTOMERS} <= set(COUNTED)


def test_writing_registers_moves_the_counter_of_each(connection: Connection) -> None:
    before = counters(connection)

    write_registers(connection)

    written = {"insurer", "centres", "agents", "caller-numbers", "products", "scripts", "campaigns"}
    assert moved(before, counters(connection)) == written


def test_customers_move_no_counter(connection: Connection) -> None:
    before = counters(connection)

    connection.execute(
        text("INSERT INTO register_rows (register, row_id, recorded_at) VALUES ('customers', 'c-1', :now)"),
        {"now": NOON},
    )
    connection.execute(
        text(
            "INSERT INTO register_versions (version_id, register, row_id, effective_from, body, actor, recorded_at)"
            " VALUES (gen_random_uuid(), 'customers', 'c-1', '2026-01-01', '{}', 'tests', :now)"
        ),
        {"now": NOON},
    )
    connection.execute(insert(customer_phones).values(phone_digits=1, customer_id="c-1", recorded_at=NOON))

    assert counters(connection) == before


def test_overlays_and_policies_move_their_counters(connection: Connection) -> None:
    start = counters(connection)
    overlay = {
        "overlay_id": new_id(),
        "name": "x",
        "kind": "holiday",
        "from_at": NOON,
        "to_at": NOON + timedelta(days=1),
        "reason": "x",
        "actor": "tests",
        "created_at": NOON,
    }

    connection.execute(insert(overlays).values(overlay))
    begun = counters(connection)
    connection.execute(overlays.update().values(ended_at=NOON))
    ended = counters(connection)
    connection.execute(
        insert(policies).values(policy_id=new_id(), digest="x", text="", source="floor", effective_from=NOON)
    )

    assert moved(start, begun) == moved(begun, ended) == {"overlays"}
    assert moved(ended, counters(connection)) == {"policies"}


def test_tokens_move_their_counter_when_made_or_ended_but_not_when_used(connection: Connection) -> None:
    start = counters(connection)
    token_id = new_id()

    create_token(connection, token_id=token_id, role=Role.DIALER, owner="x", now=NOON)
    made = counters(connection)
    note_use(connection, token_id, now=NOON)
    used = counters(connection)
    revoke_token(connection, token_id, now=NOON)

    assert moved(start, made) == {"tokens"}
    assert used == made
    assert moved(used, counters(connection)) == {"tokens"}


def test_a_counter_rolled_back_counts_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        before = counters(connection)
        write_registers(connection)
        connection.rollback()

        assert counters(connection) == before
