"""What holds of any file: cut, changed or made up, it is refused in words, and never more is read than is there."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recordings.audio import Audio, RawFormat, probe
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.audio_files import FORMATS, silence, tone
from tests.recordings.broken_files import encoded, flac_naming, without_md5

SOUND = np.concatenate([tone(0.4), silence(0.3), tone(0.3)])
GOOD = {name: encoded(name, SOUND) for name in FORMATS}
NAMES = sorted(GOOD)
CUT = {Reason.EMPTY, Reason.NOT_AUDIO, Reason.UNDECLARED_RAW, Reason.TRUNCATED, Reason.DAMAGED, Reason.HEADER_LIES}

quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(content: bytes, declared: RawFormat | None = None) -> Audio | Reason:
    """Return what a file of these bytes is found to be; any other exception than ours fails the test."""
    with TemporaryDirectory() as made:
        path = Path(made) / "recording"
        path.write_bytes(content)
        try:
            return probe(path, declared=declared)
        except UnreadableAudioError as error:
            return error.reason


def length_filled_up(content: bytes) -> int:
    """Return the length without the zero that fills up a last chunk of odd size, which nobody misses."""
    return len(content) - 1 if content[:4] in (b"RIFF", b"RF64") and content[-1] == 0 else len(content)


@quick
@given(st.data(), st.sampled_from(NAMES))
def test_a_file_cut_at_any_byte_is_refused(data: st.DataObject, name: str) -> None:
    content = GOOD[name]
    at = data.draw(st.integers(0, length_filled_up(content) - 1))
    assert outcome(content[:at]) in CUT


@quick
@given(st.integers(0, len(GOOD["flac"]) - 1))
@example(len(GOOD["flac"]) // 2)
def test_a_flac_stream_into_a_pipe_may_only_be_cut_between_frames(at: int) -> None:
    content = without_md5(flac_naming(GOOD["flac"], 0))
    found = outcome(content[:at])
    assert found in CUT or (isinstance(found, Audio) and found.frames % 4096 == 0)


@quick
@given(st.data(), st.sampled_from(NAMES), st.integers(0, 255))
def test_a_changed_byte_of_a_header_is_found_or_harms_nothing(data: st.DataObject, name: str, byte: int) -> None:
    content = GOOD[name]
    at = data.draw(st.integers(0, 120))
    found = outcome(content[:at] + bytes([byte]) + content[at + 1 :])
    assert isinstance(found, Reason) or found.frames <= len(SOUND) + 2304


@quick
@given(st.sampled_from(NAMES), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=30))
def test_many_changed_bytes_never_bring_another_error_than_ours(name: str, changes: list[tuple[int, int]]) -> None:
    content = np.frombuffer(GOOD[name], np.uint8).copy()
    places, values = np.array(changes).T
    content[places % len(content)] = values
    assert isinstance(outcome(content.tobytes()), Audio | Reason)


@quick
@given(st.binary(max_size=4000))
def test_bytes_of_nothing_are_no_recording(content: bytes) -> None:
    assert outcome(content) in CUT | {Reason.UNSUPPORTED}


@quick
@given(
    st.sampled_from([b"RIFF", b"RF64", b"OggS", b"fLaC", b"ID3\4\0\0\0\0\0\0", b"\xff\xfb\x90\0", b"\xff\xe3\x48\xc4"]),
    st.binary(max_size=4000),
)
def test_a_beginning_with_bytes_of_nothing_behind_is_no_recording(begin: bytes, content: bytes) -> None:
    assert isinstance(outcome(begin + content), Reason)


@quick
@given(st.binary(min_size=1, max_size=2000), st.sampled_from([1, 2]))
def test_declared_samples_are_as_many_as_there_are_bytes(content: bytes, channels: int) -> None:
    found = outcome(content, RawFormat("ulaw", 8000, channels))
    assert isinstance(found, Reason) or found.frames * channels == len(content)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_whole_is_the_same_each_time(name: str) -> None:
    assert outcome(GOOD[name]) == outcome(GOOD[name])
    assert isinstance(outcome(GOOD[name]), Audio)
