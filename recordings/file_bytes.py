"""Bytes at a place of a recording's file, and what is wrong when they are not all there."""

from typing import BinaryIO

from recordings.unreadable_audio import Reason, UnreadableAudioError

SEND_WHOLE = "Send the whole file"
TAKE_AGAIN = "Take the file from the recorder again"


def read_at(file: BinaryIO, at: int, length: int) -> bytes:
    """Return `length` bytes from there on, fewer at the end of the file."""
    file.seek(at)
    return file.read(length)


def read_all_at(file: BinaryIO, at: int, length: int, *, what: str) -> bytes:
    """Return exactly `length` bytes from there on.

    Raises:
        UnreadableAudioError: truncated.
    """
    found = read_at(file, at, length)
    if len(found) < length:
        raise truncated(f"the file ends after {at + len(found)} bytes, in the middle of {what}")
    return found


def no_samples() -> UnreadableAudioError:
    return UnreadableAudioError(Reason.EMPTY, "there is a header, and not a single sample. Check the recorder")


def truncated(found: str) -> UnreadableAudioError:
    return UnreadableAudioError(Reason.TRUNCATED, f"{found}. {SEND_WHOLE}")


def header_lies(found: str) -> UnreadableAudioError:
    return UnreadableAudioError(Reason.HEADER_LIES, f"{found}. {TAKE_AGAIN}")


def damaged(found: str) -> UnreadableAudioError:
    return UnreadableAudioError(Reason.DAMAGED, f"{found}. {TAKE_AGAIN}")


def unsupported(found: str) -> UnreadableAudioError:
    return UnreadableAudioError(
        Reason.UNSUPPORTED,
        f"{found}; kept are WAV (PCM of 8 to 32 bits, A-law, µ-law, GSM 6.10, ADPCM), FLAC, Ogg Opus and MP3."
        " Convert it to one of them, or set the recorder to one",
    )
