"""How long the ledger takes for its own work: sealing, bundles and their verification, proofs in a long log."""

import sys
import zipfile
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, text

from compliance.ledger_tree import append_leaves, inclusion_path
from compliance.merkle import check_inclusion
from infra.clock import utc_now
from infra.database import make_engine
from services.ledger_checks import export_bundle
from tests.benchmarks.block_rows import settle
from tests.benchmarks.figures import Figure, Finding, at_most, percentile
from tests.benchmarks.ground import Ground, empty_database
from tests.benchmarks.processes import ProgramFailedError, run_command, run_program

NAME = "ledger"
WAITING = 100_000
LONG_LOG = 10_000_000
_APPENDED_AT_ONCE = 250_000
_PROOFS = 500
_MEBIBYTE = 1024**2

_WRITE = """
    DO $$ BEGIN
      FOR i IN 1..{rows} LOOP
        INSERT INTO audit_events (event_id, kind, subject, details, actor, recorded_at)
        VALUES (gen_random_uuid(), 'login', 'user-' || i % 60, '{{"channel": "console"}}', 'benchmarks', now());
      END LOOP;
    END $$"""
"""One entry of the ledger a row, as single statements of the product leave them."""

_MEASURED = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run([sys.executable, "-I", *sys.argv[1:], "--json"], capture_output=True, text=True)
report = json.loads(done.stdout)
seconds, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps({**report, "problems": report["problems"][:3], "seconds": seconds, "peak": peak}))
"""


def run(ground: Ground) -> Finding:
    """Seal, export and verify in a database of its own; prove entries in another."""
    sealing, bundle = _seal_and_export(ground)
    verified = _verify(ground, bundle)
    proofs = _prove(ground)
    figures = (
        Figure(NAME, f"sealing {WAITING:,} waiting entries", sealing["seconds"], "s", at_most(10)),
        Figure(NAME, f"verifying a bundle of {ground.rows:,} entries", verified["seconds"], "s", at_most(30)),
        Figure(NAME, "peak memory of the verifier", verified["peak"] / _MEBIBYTE, "MiB", at_most(300)),
        Figure(NAME, f"one inclusion proof in a log of {LONG_LOG:,}, median", median(proofs) * 1000, "ms", at_most(20)),
        Figure(NAME, f"one inclusion proof in a log of {LONG_LOG:,}, p99", percentile(proofs, 99) * 1000, "ms"),
        Figure(NAME, "peak memory of the sealer", sealing["peak_bytes"] / _MEBIBYTE, "MiB"),
    )
    return Finding(figures, {"sealing": sealing, "verified": verified, "proofs_s": proofs})


def _seal_and_export(ground: Ground) -> tuple[dict[str, Any], Path]:
    url, data_dir = empty_database(ground.server, "ledger_work"), ground.work / "ledger-work"
    engine = make_engine(url, application_name="benchmarks")
    seal = ("tests.benchmarks.ledger_programs", "seal", url, str(data_dir))
    run_program(*seal)
    _write(engine, WAITING)
    found = run_program(*seal)
    if found["entries"] != WAITING:
        msg = f"{WAITING} entries waited, and {found['entries']} were sealed"
        raise ProgramFailedError(msg)
    ground.say(f"sealing {WAITING:,} entries: {found['seconds']:.2f} s")
    _write(engine, ground.rows - WAITING)
    rest = run_program(*seal)
    bundle, started = ground.work / "bundle.zip", perf_counter()
    export_bundle(engine, bundle, edges=(None, None), data_dir=data_dir, person="benchmarks", now=utc_now())
    ground.say(f"sealing {rest['entries']:,} more: {rest['seconds']:.1f} s; bundle: {perf_counter() - started:.1f} s")
    engine.dispose()
    return found, bundle


def _write(engine: Engine, rows: int) -> None:
    with engine.begin() as connection:
        connection.execute(text(_WRITE.format(rows=rows)))


def _verify(ground: Ground, bundle: Path) -> dict[str, Any]:
    """Verify by the file that the bundle brings, in a process of its own."""
    with zipfile.ZipFile(bundle) as archive:
        program = Path(archive.extract("verify.py", ground.work))
    found = run_command(sys.executable, "-c", _MEASURED, str(program), str(bundle))
    bundle.unlink()
    if not found["ok"] or found["entries"] < ground.rows:
        msg = f"the bundle of {ground.rows} entries was not verified: {found}"
        raise ProgramFailedError(msg)
    ground.say(f"verifying {found['entries']:,} entries and {found['rows']:,} rows: {found['seconds']:.1f} s")
    return found


def _prove(ground: Ground) -> list[float]:
    """Prove entries here and there in a log whose leaves are made up; return how long each took."""
    engine = make_engine(empty_database(ground.server, "ledger_long"), application_name="benchmarks")
    chance, root, took = Random(1), b"", []
    for size in range(0, LONG_LOG, _APPENDED_AT_ONCE):
        leaves = [chance.randbytes(32) for _ in range(_APPENDED_AT_ONCE)]
        with engine.begin() as connection:
            root = append_leaves(connection, size, range(size, size + _APPENDED_AT_ONCE), leaves)
    settle(engine)
    with engine.connect() as connection:
        for _ in range(_PROOFS):
            entry = chance.randrange(LONG_LOG)
            started = perf_counter()
            path = inclusion_path(connection, entry, LONG_LOG)
            took.append(perf_counter() - started)
            leaf = connection.execute(text("SELECT leaf FROM ledger_leaves WHERE entry = :entry"), {"entry": entry})
            check_inclusion(leaf.scalar_one(), entry, LONG_LOG, path, root)
    engine.dispose()
    ground.say(f"a proof in a log of {LONG_LOG:,}: {median(took) * 1000:.2f} ms")
    return took
