"""Why a file is no recording that can be kept: one error, with a reason that programs can tell apart."""

from enum import StrEnum


class Reason(StrEnum):
    EMPTY = "empty"
    """No bytes, or no samples."""
    NOT_AUDIO = "not_audio"
    """None of the containers we read."""
    UNDECLARED_RAW = "undeclared_raw"
    """No container, where A-law or µ-law without a header could be meant and nobody has said so."""
    UNSUPPORTED = "unsupported"
    """Audio, but of a codec, a rate or a number of channels that no telephone recorder needs."""
    UNFINISHED = "unfinished"
    """The recorder never wrote how long the recording is, so that nothing shows whether all of it is here."""
    TRUNCATED = "truncated"
    """Less is here than the header says."""
    HEADER_LIES = "header_lies"
    """The header says what the file itself contradicts: more than one recording, a hidden rest, wrong fields."""
    DAMAGED = "damaged"
    """A checksum is wrong, or the samples cannot be decoded."""
    TOO_LONG = "too_long"
    """More samples than are ever decoded."""


class UnreadableAudioError(ValueError):
    """A file that cannot be kept as a recording; the message says what was found, expected, and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
