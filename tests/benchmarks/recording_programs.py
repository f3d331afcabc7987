"""Ways to put a directory of recordings somewhere, each in a process of its own, with as many threads as workers.

`python -m tests.benchmarks.recording_programs s3 FILE` serves an object store with Object Lock in memory and writes its
URL to FILE; `put URL DIR TAG` puts by boto3 and does nothing else; `least URL DIR TAG` decodes as well, and asks what
was stored, of all that an archive must do the least; `copy DIR TARGET` copies with fsync of file and directory;
`upload URL TOKEN DIR TAG` sends to the API. TAG names the calls, so that the same bytes are new recordings.
All but the first print a line of JSON; their seconds begin when everything is loaded.
"""

import hashlib
import http.client
import json
import os
import shutil
import sys
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, local
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import boto3
import numpy as np
import soundfile
from botocore.config import Config

from infra.s3_place import S3Place, read_s3_place
from tests.conftest import NOON
from tests.s3_simulator import s3_simulator

FILES = 1_000
FILE_BYTES = 500_000
WORKERS = 16
_RATE = 8_000
_BOUNDARY = "----recording"
_HERE = local()


def write_calls(directory: Path, files: int) -> None:
    """Write calls of half a minute, agent and customer in a channel each, in A-law: 500 KB a file, no two the same."""
    directory.mkdir()
    chance = np.random.default_rng(1)
    for number in range(files):
        sound = chance.standard_normal((FILE_BYTES // 2, 2)) * 0.1
        soundfile.write(str(directory / f"{number:04}.wav"), sound, _RATE, format="WAV", subtype="ALAW")


def metadata_of(name: str, tag: str) -> dict[str, object]:
    """Return what is said of a file."""
    started_at = NOON.isoformat()
    return {"call_id": f"{tag}-{name}", "phone": "13800138000", "started_at": started_at, "channels": _CHANNELS}


_CHANNELS = ["agent", "customer"]


def serve_s3(told: str) -> None:
    with s3_simulator() as running:
        draft = Path(f"{told}.new")
        draft.write_text(running.place(), encoding="ascii")
        draft.replace(told)
        Event().wait()


def put(url: str, source: str, tag: str) -> dict[str, object]:
    place = read_s3_place(url)
    client = _client(place)
    return _timed(lambda path: _put_one(client, place, path, tag), source)


def least(url: str, source: str, tag: str) -> dict[str, object]:
    place = read_s3_place(url)
    client = _client(place)

    def one(path: Path) -> None:
        samples, _ = soundfile.read(str(path), dtype="int16")
        stored = _put_one(client, place, path, tag)
        where = {"Bucket": place.bucket, "Key": place.key(f"{tag}/{path.name}"), "VersionId": stored["VersionId"]}
        shown = client.head_object(**where, ChecksumMode="ENABLED")
        if not len(samples) or shown["ObjectLockLegalHoldStatus"] != "ON":
            msg = f"{path.name} has {len(samples)} samples, and is stored as {shown}"
            raise RuntimeError(msg)

    return _timed(one, source)


def _client(place: S3Place) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=place.endpoint,
        region_name=place.region,
        config=Config(max_pool_connections=WORKERS, request_checksum_calculation="when_required"),
    )


def _put_one(client: Any, place: S3Place, path: Path, tag: str) -> Any:
    content = path.read_bytes()
    return client.put_object(
        Bucket=place.bucket,
        Key=place.key(f"{tag}/{path.name}"),
        Body=content,
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=b64encode(hashlib.sha256(content).digest()).decode(),
        ObjectLockLegalHoldStatus="ON",
    )


def copy(source: str, target: str) -> dict[str, object]:
    directory = Path(target)
    directory.mkdir()

    def copy_one(path: Path) -> None:
        with path.open("rb") as reading, (directory / path.name).open("xb") as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)
            writing.flush()
            os.fsync(writing.fileno())
        opened = os.open(directory, os.O_RDONLY)
        os.fsync(opened)
        os.close(opened)

    return _timed(copy_one, source)


def upload(url: str, token: str, source: str, tag: str) -> dict[str, object]:
    parts = urlsplit(url)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}

    def upload_one(path: Path) -> None:
        if not hasattr(_HERE, "connection"):
            _HERE.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        body = _multipart(json.dumps(metadata_of(path.name, tag)).encode(), path.read_bytes())
        _HERE.connection.request("POST", parts.path, body=body, headers=headers)
        answer = _HERE.connection.getresponse()
        text = answer.read()
        if answer.status != http.client.CREATED:
            msg = f"{path.name} was answered {answer.status}: {text[:300]!r}"
            raise RuntimeError(msg)

    return _timed(upload_one, source)


def _multipart(metadata: bytes, content: bytes) -> bytes:
    begin, end = f"--{_BOUNDARY}\r\n".encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()
    named = b'Content-Disposition: form-data; name="metadata"\r\n\r\n' + metadata + b"\r\n"
    file = b'Content-Disposition: form-data; name="file"; filename="call.wav"\r\n\r\n' + content
    return begin + named + begin + file + end


def _timed(work: Callable[[Path], None], source: str) -> dict[str, object]:
    files = sorted(Path(source).glob("*.wav"))
    started = perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        done = sum(1 for _ in pool.map(work, files))
    return {"files": done, "seconds": perf_counter() - started}


def main() -> None:
    name, *arguments = sys.argv[1:]
    if name == "s3":
        serve_s3(*arguments)
        return
    programs: dict[str, Callable[..., dict[str, object]]] = {"put": put, "least": least, "copy": copy, "upload": upload}
    print(json.dumps(programs[name](*arguments)))


if __name__ == "__main__":
    main()
