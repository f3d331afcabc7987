"""What the role may do as which the product works, on a real PostgreSQL."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from compliance.ledger_tables import NOT_COVERED
from infra.application_role import application_url, make_application_role
from infra.celery_app import BROKER_TABLES
from infra.database import APPLICATION_ROLE, make_engine, metadata
from infra.embedded_postgres import EmbeddedPostgres
from infra.migrate import migrate
from services import all_tables
from tests.services.shared_app import fresh_database

assert all_tables.REGISTERED

OURS = sorted(metadata.tables)
EVIDENCE = sorted((set(OURS) - set(NOT_COVERED)) | {name for name in OURS if name.startswith("ledger_")})


@pytest.fixture
def acting(database: str) -> Iterator[Connection]:
    """A connection as the product has it."""
    engine = make_engine(application_url(database), application_name="tests")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def has(connection: Connection, table: str, right: str) -> bool:
    asked = {"role": APPLICATION_ROLE, "table": table, "right": right}
    found: bool = connection.execute(text("SELECT has_table_privilege(:role, :table, :right)"), asked).scalar_one()
    return found


def changeable(connection: Connection, table: str) -> set[str]:
    statement = text(
        "SELECT c FROM unnest(CAST(:columns AS text[])) c WHERE has_column_privilege(:role, :table, c, 'UPDATE')"
    )
    columns = "{" + ",".join(column.name for column in metadata.tables[table].columns) + "}"
    asked = {"role": APPLICATION_ROLE, "table": table, "columns": columns}
    return set(connection.execute(statement, asked).scalars())


def test_a_connection_of_the_product_acts_as_the_role(acting: Connection) -> None:
    assert acting.execute(text("SELECT current_user")).scalar_one() == APPLICATION_ROLE


@pytest.mark.parametrize("table", EVIDENCE)
def test_the_role_takes_no_evidence_away(connection: Connection, table: str) -> None:
    assert not any(has(connection, table, right) for right in ("DELETE", "TRUNCATE", "UPDATE", "TRIGGER"))
    assert has(connection, table, "SELECT")


@pytest.mark.parametrize("table", OURS)
def test_the_role_changes_the_declared_columns_only(connection: Connection, table: str) -> None:
    assert changeable(connection, table) == set(metadata.tables[table].info.get("updates", ()))


@pytest.mark.parametrize("table", ["alembic_version", "ledger_identity", "ledger_coverage"])
def test_what_only_migrations_write_the_role_reads(connection: Connection, table: str) -> None:
    assert not any(has(connection, table, right) for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"))


def test_the_role_owns_nothing(connection: Connection) -> None:
    owned = text("SELECT count(*) FROM pg_class WHERE relowner = CAST(:role AS regrole)")
    assert connection.execute(owned, {"role": APPLICATION_ROLE}).scalar_one() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM do_not_call_entries",
        "UPDATE call_checks SET verdict = 'allow'",
        "UPDATE access_tokens SET role = 'admin'",
        "TRUNCATE ledger_entries",
        "ALTER TABLE call_checks DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "UPDATE alembic_version SET version_num = '0000'",
    ],
)
def test_what_the_owner_may_the_role_may_not(acting: Connection, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        acting.execute(text(statement))


def test_migrating_again_takes_back_what_was_given_beside(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"GRANT ALL ON call_checks, ledger_entries TO {APPLICATION_ROLE}"))
    migrate(engine)

    with engine.connect() as connection:
        assert not has(connection, "call_checks", "DELETE")
        assert not has(connection, "ledger_entries", "UPDATE")
        assert all(has(connection, table, "DELETE") for table in BROKER_TABLES)


@pytest.fixture
def managed(server: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database whose owner may make no roles, as some managed ones are."""
    with fresh_database(server, "template0") as url:
        engine = make_engine(url, application_name="tests")
        with engine.begin() as connection:
            name = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
            connection.execute(text("CREATE ROLE plain_owner LOGIN"))
            connection.execute(text(f"ALTER DATABASE {name} OWNER TO plain_owner"))
        yield engine.url.set(username="plain_owner").render_as_string(hide_password=False)
        with engine.begin() as connection:
            connection.execute(text("REASSIGN OWNED BY plain_owner TO CURRENT_USER"))
            connection.execute(text("DROP OWNED BY plain_owner"))
            connection.execute(text("DROP ROLE plain_owner"))
        engine.dispose()


def test_a_login_that_may_not_act_as_the_role_works_as_itself(managed: str) -> None:
    engine = make_engine(application_url(managed), application_name="tests")
    migrate(engine)

    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_user")).scalar_one() == "plain_owner"
        assert connection.execute(text("SELECT count(*) FROM call_checks")).scalar_one() == 0
    engine.dispose()


def test_where_the_role_cannot_be_made_that_is_said_and_no_fault(connection: Connection) -> None:
    connection.execute(text(f"ALTER ROLE {APPLICATION_ROLE} RENAME TO another_name"))
    connection.execute(text("CREATE ROLE plain_login"))
    connection.execute(text("SET LOCAL ROLE plain_login"))

    assert not make_application_role(connection)
    assert connection.execute(text("SELECT current_user")).scalar_one() == "plain_login"


def test_a_database_that_is_away_is_taken_to_have_the_role() -> None:
    assert "telesales_application" in application_url("postgresql://nobody@127.0.0.1:1/nothing")


def test_options_of_the_url_are_kept(database: str) -> None:
    engine = make_engine(application_url(database + "&options=-c%20work_mem%3D5MB"), application_name="tests")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT current_user, current_setting('work_mem')")).one()
    engine.dispose()

    assert tuple(found) == (APPLICATION_ROLE, "5MB")
