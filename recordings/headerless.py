"""Whether bytes without a header look like A-law or µ-law samples of a call. Only to word a refusal by."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from recordings.file_bytes import read_at

_LOOKED_AT = 1 << 16
_LEAST = 1_000
_LIKENESS = 0.5
"""Neighbouring samples of speech at 8 kHz are alike by 0.8 and more, those of compressed or encrypted bytes by 0."""


def seems_alaw_or_ulaw(file: BinaryIO) -> bool:
    """Say whether neighbouring samples are alike, read as one or the other, in one channel or in two."""
    found = np.frombuffer(read_at(file, 0, _LOOKED_AT), np.uint8)
    if len(found) < _LEAST:
        return False
    return any(
        _likeness(samples, channels) > _LIKENESS for samples in (_alaw(found), _ulaw(found)) for channels in (1, 2)
    )


def _likeness(samples: NDArray[np.float64], channels: int) -> float:
    """Return the correlation of each sample with the next of its channel; 0 if all are the same."""
    first, second = samples[:-channels], samples[channels:]
    if not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _alaw(found: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Decode by ITU-T G.711, table 1, as far as likeness needs it: to the middle of each interval."""
    turned = found ^ 0x55
    exponent, mantissa = (turned >> 4 & 7).astype(np.int32), (turned & 15).astype(np.int32)
    size = np.where(exponent == 0, 2 * mantissa + 1, (2 * mantissa + 33) << np.maximum(exponent - 1, 0))
    return np.where(turned & 0x80, size, -size).astype(np.float64)


def _ulaw(found: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Decode by ITU-T G.711, table 2."""
    turned = ~found
    exponent, mantissa = (turned >> 4 & 7).astype(np.int32), (turned & 15).astype(np.int32)
    size = ((2 * mantissa + 33) << exponent) - 33
    return np.where(turned & 0x80, -size, size).astype(np.float64)
