"""What is seen of a recording: how much of it is silence, and the peaks that a player draws.

Both are made from frames of 20 ms, of which only the lowest and the highest sample per channel are looked at. They are
folded as they come, so that memory depends on the longest waveform drawn, not on the recording.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

FRAMES_A_SECOND = 50
SILENCE_DBFS = -50
"""A frame is silent when in every channel half the distance from its lowest to its highest sample is below this.

By the distance and not by the sample's value, a channel whose zero is shifted by a cheap line card is silent, too.
"""
MOST_PIXELS = 20_000
"""Half an hour is drawn in steps of 100 ms, what is shorter than seven minutes in steps of 20 ms."""

_FULL_SCALE = 32_768
_SILENT_SPAN = int(2 * _FULL_SCALE * 10 ** (SILENCE_DBFS / 20))

Samples = NDArray[np.int16]


class Waveform:
    """Takes the samples of a recording in order, then answers. `most_frames` bounds how many samples per channel come.

    Every block but the last holds a whole number of `block_step` samples per channel.
    """

    def __init__(self, *, channels: int, sample_rate: int, most_frames: int) -> None:
        self._channels = channels
        self._sample_rate = sample_rate
        self._step = max(1, round(sample_rate / FRAMES_A_SECOND))
        self._steps_a_pixel = max(1, -(-most_frames // (self._step * MOST_PIXELS)))
        self._pixels: list[Samples] = []
        self._begun = np.empty((2, channels, 0), np.int16)
        self._silent = 0
        self._frames = 0

    @property
    def samples_per_pixel(self) -> int:
        return self._step * self._steps_a_pixel

    @property
    def frames(self) -> int:
        """How many samples per channel have come."""
        return self._frames

    def add(self, block: Samples) -> None:
        """Take the next samples, an array of frames × channels."""
        lows, highs = _extremes(block, self._step)
        spans = highs.astype(np.int32) - lows
        lengths = np.full(lows.shape[1], self._step)
        lengths[-1] = len(block) - self._step * (len(lengths) - 1)
        self._silent += int(lengths[(spans <= _SILENT_SPAN).all(axis=0)].sum())
        self._frames += len(block)
        begun = np.concatenate([self._begun, np.stack([lows, highs])], axis=2)
        whole = begun.shape[2] // self._steps_a_pixel * self._steps_a_pixel
        self._pixels.append(_fold(begun[:, :, :whole], self._steps_a_pixel))
        self._begun = begun[:, :, whole:]

    def silence_bp(self) -> int:
        """Return the share of samples in silent frames, in basis points, rounded down."""
        return self._silent * 10_000 // self._frames

    def peaks(self) -> bytes:
        """Return the waveform in the JSON of BBC's audiowaveform, version 2, with 8 bits a value.

        `data` holds, per pixel and in it per channel, the lowest and the highest sample.
        """
        last = _fold(self._begun, max(1, self._begun.shape[2]))
        pixels = np.concatenate([*self._pixels, last], axis=2) >> 8
        found = {
            "version": 2,
            "channels": self._channels,
            "sample_rate": self._sample_rate,
            "samples_per_pixel": self.samples_per_pixel,
            "bits": 8,
            "length": pixels.shape[2],
            "data": pixels.transpose(2, 1, 0).ravel().tolist(),
        }
        return msgspec.json.encode(found)


def _extremes(block: Samples, step: int) -> tuple[Samples, Samples]:
    """Return the lowest and highest sample per channel and step; the last step may be shorter."""
    # Channel by channel, each contiguous: numpy takes the extremes of rows ten times as fast as those of columns.
    by_channel = np.ascontiguousarray(block.T)
    whole = len(block) // step * step
    steps = by_channel[:, :whole].reshape(block.shape[1], -1, step)
    lows, highs = steps.min(axis=2), steps.max(axis=2)
    if whole == len(block):
        return lows, highs
    rest = by_channel[:, whole:]
    return (
        np.concatenate([lows, rest.min(axis=1, keepdims=True)], axis=1),
        np.concatenate([highs, rest.max(axis=1, keepdims=True)], axis=1),
    )


def _fold(extremes: Samples, count: int) -> Samples:
    """Take the lowest of the lows and the highest of the highs of every `count` steps."""
    grouped = extremes.reshape(2, extremes.shape[1], -1, count)
    return np.stack([grouped[0].min(axis=2), grouped[1].max(axis=2)])
