"""What a container says of the audio in it, and the bounds of what we accept from any of them.

The walkers of the containers make a `Layout`; `recordings.audio` holds it against the samples themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from recordings.unreadable_audio import Reason, UnreadableAudioError

LEAST_RATE = 4_000
MOST_RATE = 192_000
MOST_CHANNELS = 8
MOST_SAMPLES = 2**31
"""Of all channels together: 37 hours of a stereo call at 8 kHz, 2 GiB of A-law, less than half a minute of decoding.

Silence packs so well that a file of a megabyte can honestly hold a week of it. No call is that long.
"""


class Codec(StrEnum):
    """What the samples are coded in.

    Beside what telephone recorders write, three kinds of uncompressed WAV are kept as they are: converting them would
    change the original.
    """

    PCM_S16LE = "pcm_s16le"
    PCM_U8 = "pcm_u8"
    PCM_S24LE = "pcm_s24le"
    PCM_S32LE = "pcm_s32le"
    PCM_F32LE = "pcm_f32le"
    ALAW = "alaw"
    ULAW = "ulaw"
    GSM = "gsm"
    ADPCM = "adpcm"
    FLAC = "flac"
    OPUS = "opus"
    MP3 = "mp3"


class Container(StrEnum):
    WAV = "wav"
    RF64 = "rf64"
    """WAV with sizes of 64 bits."""
    FLAC = "flac"
    OGG = "ogg"
    MP3 = "mp3"
    RAW = "raw"
    """None: samples alone, whose format came with the file."""


_SUFFIXES: Mapping[str, str] = {Container.RF64: "wav", Container.RAW: "bin"}


def suffix_of(container: str) -> str:
    """Return how the name of a file in this container ends, without the dot."""
    return _SUFFIXES.get(container, container)


@dataclass(frozen=True, slots=True)
class Instead:
    """What the decoder is to be given in place of the file up to byte `begin`."""

    head: bytes
    begin: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What a walker found: the decoder must give `least_frames` to `most_frames` samples per channel.

    The first is never 0, and the two differ where a codec works in blocks. `frames` is how many of them count, from the
    first; None: all that come. `md5` is that of the decoded samples, little-endian, in `bits` bits each.
    """

    container: Container
    codec: Codec
    channels: int
    sample_rate: int
    least_frames: int
    most_frames: int
    frames: int | None = None
    md5: bytes | None = None
    bits: int = 16
    instead: Instead | None = None


def require_sane(channels: int, sample_rate: int) -> None:
    """Refuse what no recorder of calls writes.

    Raises:
        UnreadableAudioError: unsupported.
    """
    if not 1 <= channels <= MOST_CHANNELS:
        raise UnreadableAudioError(
            Reason.UNSUPPORTED,
            f"the header names {channels} channels; expected 1 to {MOST_CHANNELS}. Send one file per call, with one"
            " channel per speaker or both in one",
        )
    if not LEAST_RATE <= sample_rate <= MOST_RATE:
        raise UnreadableAudioError(
            Reason.UNSUPPORTED,
            f"the header names {sample_rate} samples a second; expected {LEAST_RATE} to {MOST_RATE}. Check the"
            " recorder, or convert the file to 8000 or 16000",
        )
