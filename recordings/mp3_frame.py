"""The header of a frame of MP3: four bytes, from which its length and all about its samples follow."""

from dataclasses import dataclass

HEADER = 4
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""By the code of the version: MPEG 1, 2 and 2.5."""
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_LAYER_3 = 1
_MONO = 3
_MPEG_1 = 3


@dataclass(frozen=True, slots=True)
class Mp3Frame:
    """`version` is the code for MPEG 1, 2 or 2.5; `length` is in bytes."""

    version: int
    sample_rate: int
    channels: int
    length: int

    @property
    def samples(self) -> int:
        return 1_152 if self.version == _MPEG_1 else 576

    @property
    def side_end(self) -> int:
        """Where, in a frame without a checksum, what is said about the samples ends and they begin."""
        if self.version == _MPEG_1:
            return HEADER + (17 if self.channels == 1 else 32)
        return HEADER + (9 if self.channels == 1 else 17)

    def is_like(self, other: "Mp3Frame") -> bool:
        return (self.version, self.sample_rate, self.channels) == (other.version, other.sample_rate, other.channels)


def parse_frame(head: bytes) -> Mp3Frame | None:
    """Return the frame that begins so; None if none does, or one of another layer, or without a bit rate."""
    if len(head) < HEADER or head[0] != 0xFF or head[1] >> 5 != 7:  # noqa: PLR2004  # eleven bits that are set
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version not in _RATES or layer != _LAYER_3 or bitrate in (0, 15) or rate == 3:  # noqa: PLR2004  # reserved
        return None
    kbits, factor = (_KBITS_1, 144_000) if version == _MPEG_1 else (_KBITS_2, 72_000)
    hertz = _RATES[version][rate]
    return Mp3Frame(version, hertz, 1 if head[3] >> 6 == _MONO else 2, factor * kbits[bitrate] // hertz + padding)
