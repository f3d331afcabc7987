import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.waveform import MOST_PIXELS, Samples, Waveform

STEP = 160
SILENT_SPAN = 207
"""Half of it is 103.5 of 32768, the last below −50 dBFS."""


def drawn(*blocks: Samples, most_frames: int = STEP) -> Waveform:
    waveform = Waveform(channels=blocks[0].shape[1], sample_rate=8000, most_frames=most_frames)
    for block in blocks:
        waveform.add(block)
    return waveform


def wobbling(span: int, *, frames: int = STEP, around: int = 0) -> Samples:
    """Return samples of one channel that go up and down by `span` in all."""
    return np.resize(np.array([around, around + span], np.int16), (frames, 1))


@pytest.mark.parametrize(
    ("span", "expected"),
    [pytest.param(SILENT_SPAN, 10_000, id="below"), pytest.param(SILENT_SPAN + 1, 0, id="above")],
)
def test_a_frame_is_silent_up_to_50_dbfs(span: int, expected: int) -> None:
    assert drawn(wobbling(span)).silence_bp() == expected


def test_a_channel_whose_zero_is_shifted_is_silent_too() -> None:
    assert drawn(wobbling(10, around=5000)).silence_bp() == 10_000


def test_the_loudest_of_samples_does_not_overflow_into_silence() -> None:
    assert drawn(wobbling(65_535, around=-32_768).astype(np.int16)).silence_bp() == 0


def test_a_frame_is_silent_only_if_every_channel_is() -> None:
    both = np.concatenate([wobbling(0), wobbling(2000)], axis=1)
    assert drawn(both).silence_bp() == 0


def test_the_last_frame_counts_by_its_length() -> None:
    waveform = drawn(wobbling(2000), wobbling(0, frames=40))
    assert (waveform.frames, waveform.silence_bp()) == (200, 2000)


def test_a_long_recording_is_drawn_in_no_more_pixels_than_a_player_needs() -> None:
    frames = STEP * MOST_PIXELS * 3 - STEP
    loud = wobbling(30_000, frames=frames)
    found = json.loads(drawn(loud, most_frames=frames).peaks())
    assert (found["length"], found["samples_per_pixel"]) == (MOST_PIXELS, 3 * STEP)
    assert found["data"] == [0, 117] * MOST_PIXELS


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 7), st.integers(0, STEP - 1))
def test_the_waveform_does_not_depend_on_the_blocks_it_comes_in(steps: list[int], coarse: int, rest: int) -> None:
    frames = sum(steps) * STEP + rest
    samples = np.random.default_rng(frames).integers(-32_768, 32_767, (frames, 2), dtype=np.int16)
    cuts = np.cumsum(steps[:-1]) * STEP
    most = STEP * MOST_PIXELS * coarse
    in_blocks = drawn(*np.split(samples, cuts), most_frames=most)
    at_once = drawn(samples, most_frames=most)
    assert (in_blocks.peaks(), in_blocks.silence_bp()) == (at_once.peaks(), at_once.silence_bp())
    assert in_blocks.samples_per_pixel == coarse * STEP
