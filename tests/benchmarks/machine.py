"""The machine on which figures were measured: they mean nothing without it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import text

from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres

CORES = 2
_PACKAGES = ("fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "sqlalchemy", "psycopg", "msgspec", "duckdb")


def keep_to_two_cores() -> None:
    """Bind this process, and all it will start, to two cores where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def describe(server: EmbeddedPostgres) -> dict[str, object]:
    """Return the processor, cores, memory and versions."""
    return {
        "cpu": _cpu_model(),
        "cores_of_machine": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": _postgres_version(server),
        **{name: version(name) for name in _PACKAGES},
    }


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _postgres_version(server: EmbeddedPostgres) -> str:
    engine = make_engine(server.url("postgres"), application_name="benchmarks")
    with engine.connect() as connection:
        found = str(connection.execute(text("SHOW server_version")).scalar_one())
    engine.dispose()
    return found
