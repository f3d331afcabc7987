"""Reading a recording: a call of half an hour against libsndfile alone, and a file of two gigabytes."""

from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.audio_programs import CALL_SECONDS, write_call, write_large
from tests.benchmarks.figures import Figure, Finding, at_most
from tests.benchmarks.ground import Ground
from tests.benchmarks.processes import ProgramFailedError, run_program

NAME = "audio"
_FORMATS = {"alaw": ("WAV", "ALAW"), "gsm": ("WAV", "GSM610"), "flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS")}
_MEBIBYTE = 1024**2


def run(ground: Ground) -> Finding:
    """Read the same call in several codecs, each reading in a process of its own, and the large file once."""
    calls = {name: _measure(ground, name) for name in _FORMATS}
    large = _large(ground)
    alaw = calls["alaw"]
    figures = (
        Figure(NAME, "half an hour of stereo A-law", alaw["ours_s"], "s", at_most(1)),
        Figure(NAME, "half an hour of stereo A-law, to bare soundfile.read", alaw["ours_s"] / alaw["bare_s"], "×"),
        *(
            Figure(NAME, f"half an hour of {name}", found["ours_s"], "s")
            for name, found in calls.items()
            if found != alaw
        ),
        Figure(NAME, "peak memory, half an hour of stereo A-law", alaw["ours_peak"] / _MEBIBYTE, "MiB"),
        Figure(NAME, "2 GB of A-law", large["seconds"], "s"),
        Figure(NAME, "peak memory, 2 GB of A-law", large["peak_bytes"] / _MEBIBYTE, "MiB", at_most(256)),
    )
    return Finding(figures, {"calls": calls, "large": large})


def _measure(ground: Ground, name: str) -> dict[str, Any]:
    path = ground.work / f"call-{name}"
    write_call(path, *_FORMATS[name])
    run_one = partial(_run, path)
    # By turns, so that what else the machine does falls on both.
    ours, bare = zip(*[(run_one("probe"), run_one("read")) for _ in range(ground.rounds)], strict=True)
    path.unlink()
    if ours[0]["duration_ms"] != CALL_SECONDS * 1000:
        msg = f"a call of {CALL_SECONDS} s was read as one of {ours[0]['duration_ms']} ms"
        raise ProgramFailedError(msg)
    found = {
        "ours_s": median(one["seconds"] for one in ours),
        "bare_s": median(one["seconds"] for one in bare),
        "ours_peak": max(one["peak_bytes"] for one in ours),
        "bare_peak": max(one["peak_bytes"] for one in bare),
    }
    ground.say(f"half an hour of {name}: {found['ours_s']:.3f} s, bare {found['bare_s']:.3f} s")
    return found


def _large(ground: Ground) -> dict[str, Any]:
    path = ground.work / "large"
    write_large(path)
    found = _run(path, "probe")
    path.unlink()
    ground.say(f"2 GB of A-law: {found['seconds']:.1f} s, {found['peak_bytes'] / _MEBIBYTE:.0f} MiB")
    return found


def _run(path: Path, what: str) -> dict[str, Any]:
    return run_program("tests.benchmarks.audio_programs", what, str(path))
