"""Asking, filling and losing an embedded server in tests."""

import subprocess
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg

from infra import embedded_postgres
from infra.embedded_postgres import EmbeddedPostgres


def socket_dir_of(data_dir: Path) -> Path:
    name = embedded_postgres._socket_name(data_dir.resolve() / "postgres" / "data")
    return embedded_postgres.SOCKET_ROOT / name


def ask(server: EmbeddedPostgres, statement: str) -> object:
    with psycopg.connect(server.libpq_url()) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return None if row is None else row[0]


def write_keepsake(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.libpq_url()) as connection:
        connection.execute("CREATE TABLE keepsake AS SELECT 42 AS answer")


def postmaster_of(data_dir: Path) -> psutil.Process:
    pid = (data_dir / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]
    return psutil.Process(int(pid))


def lose_starter(data_dir: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert postmaster_of(data_dir).is_running()
