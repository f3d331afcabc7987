"""Taking recordings in: through the API and by the import command, against putting the same bytes down and no more.

Two stores, each with its own rival: a bucket and boto3's bare `put_object` to the same server, a directory and a copy
with fsync. Ours decodes and looks into every file besides, registers it, and reads back what was stored. How much of
the rival's throughput that can leave at best is measured as well: `put_object`, `head_object` and a decoder by
themselves, without a database. The bucket is one of the simulator, or of the server that S3_TEST_ENDPOINT names.
"""

import csv
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, Popen
from typing import Any

from infra.database import make_engine
from infra.ids import new_id
from infra.settings import child_environment
from services.tokens import Role, create_token
from tests.benchmarks.figures import Figure, Finding, at_least
from tests.benchmarks.ground import Database, Ground, clock_offset_ms, empty_database
from tests.benchmarks.processes import ProgramFailedError, run_program, run_with, running_server
from tests.benchmarks.recording_programs import FILES, WORKERS, metadata_of, write_calls
from tests.compliance.checkpoint_places import make_bucket
from tests.conftest import NOON
from tests.infra.tried_stores import ENDPOINT

NAME = "recordings"
ROUNDS = 3
_SIMULATORS = {"AWS_ACCESS_KEY_ID": "ours", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
_CREDENTIALS = {} if ENDPOINT else _SIMULATORS
_STARTED_WITHIN_S = 30
_WAYS = ("api", "import")
_LEAST = "put_object, head_object and soundfile.read"


@dataclass(frozen=True, slots=True)
class _Round:
    """A store that one round uses, and the calls it is given."""

    ground: Ground
    database: Database
    calls: Path
    store: str
    nth: int

    @property
    def work(self) -> Path:
        return self.ground.work / f"{self.store}-{self.nth}"


def run(ground: Ground) -> Finding:
    """Give each store the same files by each way, in turn, a few rounds."""
    calls = ground.work / "calls"
    write_calls(calls, FILES)
    database = _database(ground)
    seen: dict[str, list[dict[str, float]]] = {"bucket": [], "directory": []}
    for nth in range(ROUNDS):
        for store, rounds in seen.items():
            one = _Round(ground, database, calls, store, nth)
            one.work.mkdir()
            rounds.append(_bucket(one) if store == "bucket" else _directory(one))
            shown = ", ".join(f"{way} {FILES / seconds:.0f}/s" for way, seconds in rounds[-1].items())
            ground.say(f"round {nth + 1}, {store}: {shown}")
    return Finding(tuple(_figures(seen)), seen)


def _figures(seen: Mapping[str, list[dict[str, float]]]) -> Iterator[Figure]:
    rivals = {"bucket": "bare put_object", "directory": "a bare copy with fsync"}
    names = {"api": "through the API", "import": "by the import command"}
    for store, rounds in seen.items():
        for way in _WAYS:
            share = median(one["bare"] / one[way] for one in rounds)
            target = at_least(0.6) if store == "bucket" else None
            yield Figure(NAME, f"into a {store} {names[way]}, to {rivals[store]}", share, "×", target)
    least = seen["bucket"]
    yield Figure(NAME, f"{_LEAST}, to bare put_object", median(one["bare"] / one["least"] for one in least), "×")
    for way in _WAYS:
        share = median(one["least"] / one[way] for one in least)
        yield Figure(NAME, f"into a bucket {names[way]}, to {_LEAST}", share, "×")
    for store, rounds in seen.items():
        for way in rounds[0]:
            rate = FILES / median(one[way] for one in rounds)
            name = names.get(way, _LEAST if way == "least" else rivals[store])
            yield Figure(NAME, f"files of 500 KB into a {store}, {name}", rate, "/s")


def _database(ground: Ground) -> Database:
    url = empty_database(ground.server, "recording_intake")
    engine = make_engine(url, application_name="benchmarks")
    with engine.begin() as connection:
        token = create_token(connection, token_id=new_id(), role=Role.DIALER, owner="dialer", now=NOON)
    engine.dispose()
    return Database(url, 0, token)


def _bucket(one: _Round) -> dict[str, float]:
    with _object_store(one.work / "place") as url:
        environment = {**_CREDENTIALS, "RECORDINGS_URL": url}
        bare = _seconds(run_with(environment, *_PROGRAM, "put", url, str(one.calls), f"bare-{one.nth}"))
        least = _seconds(run_with(environment, *_PROGRAM, "least", url, str(one.calls), f"least-{one.nth}"))
        return {"bare": bare, "least": least, **_ours(one, environment)}


def _directory(one: _Round) -> dict[str, float]:
    bare = _seconds(run_program(_PROGRAM[2], "copy", str(one.calls), str(one.work / "copied")))
    return {"bare": bare, **_ours(one, {"RECORDINGS_URL": str(one.work / "recordings")})}


_PROGRAM = (sys.executable, "-m", "tests.benchmarks.recording_programs")


def _ours(one: _Round, environment: Mapping[str, str]) -> dict[str, float]:
    copies = {"RECORDINGS_COPY_URL": str(one.work / "second")}
    tag = f"{one.store}-{one.nth}"
    with running_server(one.ground, "ours", one.database, **environment, **copies) as url:
        address = url.replace("/call-checks", "/recordings")
        sent = run_program(_PROGRAM[2], "upload", address, one.database.token, str(one.calls), f"api-{tag}")
    listed = one.work / "calls.csv"
    _list(listed, one.calls, f"import-{tag}")
    ours = {
        "DATABASE_URL": one.database.url,
        "DATA_DIR": str(one.work / "data"),
        "CLOCK_OFFSET_MS": str(clock_offset_ms()),
        **environment,
        **copies,
    }
    command = (str(Path(sys.executable).with_name("telesales")), "recordings", "import", str(one.calls))
    found = run_with(ours, *command, "--metadata", str(listed), "--workers", str(WORKERS), "--json")
    if found["stored"] != FILES:
        msg = f"{FILES} files were to be imported: {found}"
        raise ProgramFailedError(msg)
    return {"api": _seconds(sent), "import": float(found["seconds"])}


def _seconds(found: Mapping[str, Any]) -> float:
    if found["files"] != FILES:
        msg = f"{FILES} files were to be put: {found}"
        raise ProgramFailedError(msg)
    return float(found["seconds"])


def _list(path: Path, calls: Path, tag: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "call_id", "phone", "started_at", "channels"])
        for one in sorted(calls.glob("*.wav")):
            said = metadata_of(one.name, tag)
            writer.writerow([one.name, said["call_id"], said["phone"], said["started_at"], "agent;customer"])


@contextmanager
def _object_store(told: Path) -> Iterator[str]:
    """Give the URL of a bucket: a new one of S3_TEST_ENDPOINT, or one in memory, of which all is gone at the end."""
    if ENDPOINT:
        bucket = make_bucket(ENDPOINT, f"recordings-{new_id().hex}").bucket
        yield f"s3://{bucket}/of-us?endpoint={ENDPOINT}&region=us-east-1"
        return
    process = Popen([*_PROGRAM, "s3", str(told)], stdout=DEVNULL, stderr=DEVNULL, env=child_environment(**_CREDENTIALS))
    try:
        end = time.monotonic() + _STARTED_WITHIN_S
        while not told.exists():
            if time.monotonic() > end or process.poll() is not None:
                msg = "the object store did not start"
                raise ProgramFailedError(msg)
            time.sleep(0.05)
        yield told.read_text(encoding="ascii")
    finally:
        process.kill()
        process.wait()
