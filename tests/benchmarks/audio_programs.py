"""Readings of a recording, each in a process of its own, so that its peak of memory is that of nothing else.

`python -m tests.benchmarks.audio_programs probe PATH` reads as the product does, `read PATH` as libsndfile does alone.
Prints a line of JSON.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import soundfile

from recordings.audio import probe
from tests.benchmarks.list_programs import peak_bytes
from tests.recordings.wave_builders import Fmt

RATE = 8_000
CALL_SECONDS = 1_800
_LARGE_BYTES = 2_000_000_000


def write_call(path: Path, major: str, subtype: str) -> None:
    """Write half an hour at 8 kHz: hissing speech by turns; in both channels, but GSM has one."""
    chance = np.random.default_rng(1)
    channels = 1 if subtype == "GSM610" else 2
    loudness = np.repeat(chance.uniform(0, 0.3, (CALL_SECONDS // 5, channels)).round(1), 5 * RATE, axis=0)
    sound = chance.standard_normal((CALL_SECONDS * RATE, channels)) * 0.3 * loudness
    soundfile.write(str(path), sound, RATE, format=major, subtype=subtype)


def write_large(path: Path) -> None:
    """Write the header of 69 hours of A-law, and a hole where their samples are."""
    head = b"RIFF" + (36 + _LARGE_BYTES).to_bytes(4, "little") + b"WAVE" + Fmt().chunk() + b"data"
    with path.open("wb") as file:
        file.write(head + _LARGE_BYTES.to_bytes(4, "little"))
        file.truncate(len(head) + 4 + _LARGE_BYTES)


def ours(path: Path) -> dict[str, object]:
    started = perf_counter()
    found = probe(path)
    return {"seconds": perf_counter() - started, "duration_ms": found.duration_ms, "peak_bytes": peak_bytes()}


def bare(path: Path) -> dict[str, object]:
    started = perf_counter()
    soundfile.read(str(path), dtype="int16")
    return {"seconds": perf_counter() - started, "peak_bytes": peak_bytes()}


PROGRAMS = {"probe": ours, "read": bare}


if __name__ == "__main__":
    print(json.dumps(PROGRAMS[sys.argv[1]](Path(sys.argv[2]))))
