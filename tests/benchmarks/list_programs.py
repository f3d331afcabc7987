"""Work on long lists, each piece in a fresh process, so that its memory is its own.

`python -m tests.benchmarks.list_programs scrub URL SOURCE TARGET CACHE` | `join DUCKDB SOURCE TARGET` |
`import URL SOURCE REJECTED`. Prints `{"seconds", "peak_bytes", "result"}`; the seconds begin after Python has
loaded everything, and include opening the database.
"""

import json
import resource
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import duckdb

from compliance.call_facts import ProposedCall, Purpose
from compliance.do_not_call_imports import ImportMode, ListImport, run_import
from compliance.scrubs import scrub_file
from compliance.working_days import package_calendar
from infra.clock import Clock, clock_with_offset
from infra.database import make_engine
from tests.benchmarks.ground import clock_offset_ms
from tests.gate_facts import CALL

_TEMPLATE = ProposedCall(
    callee="",
    caller_number=CALL["caller_number"],
    agent_id=CALL["agent_id"],
    centre_id=CALL["centre_id"],
    campaign_id=CALL["campaign_id"],
    product_code=CALL["product_code"],
    purpose=Purpose.SALES,
)
_JOIN = """
    COPY (SELECT l.*, b.phone IS NULL AS callable
            FROM read_csv($source, header = true,
                          columns = {'lead_id': 'VARCHAR', 'phone': 'BIGINT', 'city': 'VARCHAR'}) l
            LEFT JOIN blocked b USING (phone))
      TO '{target}' (HEADER)"""


def _clock() -> Clock:
    return clock_with_offset(timedelta(milliseconds=clock_offset_ms()))


def scrub(url: str, source: str, target: str, cache: str) -> object:
    """Scrub with all rules, as the job does."""
    engine = make_engine(url, application_name="benchmarks")
    return scrub_file(
        engine,
        Path(source),
        Path(target),
        call=_TEMPLATE,
        at=None,
        clock=_clock(),
        calendar=package_calendar(),
        cache_dir=Path(cache),
        progress=lambda _done, _total: None,
    )


def join(database: str, source: str, target: str) -> object:
    """Read, join with the blocked numbers and write: the least that any scrub must do."""
    with duckdb.connect(database, read_only=True) as opened:
        # DuckDB takes no parameter for the name of the file to write.
        found = opened.execute(_JOIN.replace("{target}", target), {"source": source}).fetchone()
    return {"rows": found[0] if found else 0}


def import_list(url: str, source: str, rejected: str) -> object:
    """Import in tolerant mode, as the job does."""
    engine = make_engine(url, application_name="benchmarks")
    wanted = ListImport(
        engine=engine,
        source=Path(source),
        rejected=Path(rejected),
        mode=ImportMode.TOLERANT,
        person="benchmarks",
        clock=_clock(),
    )
    return run_import(wanted)


def peak_bytes() -> int:
    """Return the most memory this process had resident, with that of its largest child."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + children // 1024  # macOS counts bytes
    # Linux starts ru_maxrss of a new program at the peak of whoever started it; VmHWM begins anew.
    [line] = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 + children


PROGRAMS: dict[str, Callable[..., object]] = {"scrub": scrub, "join": join, "import": import_list}


def main() -> None:
    started = perf_counter()
    result = PROGRAMS[sys.argv[1]](*sys.argv[2:])
    seconds = perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes(), "result": result}))


if __name__ == "__main__":
    main()
