"""Which container a file is in, told by its first bytes and never by its name."""

from typing import BinaryIO, NoReturn

from recordings.audio_layout import Layout
from recordings.file_bytes import read_at, unsupported
from recordings.flac import walk_flac
from recordings.headerless import seems_alaw_or_ulaw
from recordings.mp3 import begins_as_mp3, walk_mp3
from recordings.mp3_tags import id3_end
from recordings.ogg_opus import walk_ogg_opus
from recordings.unreadable_audio import Reason, UnreadableAudioError
from recordings.wave import walk_wave

_HEAD = 12
_OTHER_SOUND = {
    b"RIFX": "RIFX",
    b"FORM": "AIFF",
    b".snd": "Sun AU",
    b"riff": "Wave64",
    b"BW64": "BW64",
    b"caff": "CAF",
    b"#!AM": "AMR",
    b"Crea": "Creative Voice",
    b"NIST": "NIST Sphere",
    b"\x1aE\xdf\xa3": "Matroska or WebM",
    b"0&\xb2u": "Windows Media",
}
_NO_SOUND = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP or Office file",
    b"\x89PNG": "an image",
    b"GIF8": "an image",
    b"\xff\xd8\xff\xe0": "an image",
    b"\xff\xd8\xff\xe1": "an image",
    b"\x7fELF": "a program",
    b"\x1f\x8b\x08\x00": "a compressed file",
}
_MPEG_4 = b"ftyp"
_TEXT_LOOKED_AT = 4_096
_CONTROLS = bytes(range(9)) + bytes(range(14, 32)) + b"\x7f"


def walk_container(file: BinaryIO, size: int) -> Layout | None:
    """Return what the container says, having walked through it; None when the file is in none that we know.

    Raises:
        UnreadableAudioError: it is broken, is one that we do not keep, or is no sound for certain.
    """
    begin = id3_end(file, 0)
    head = read_at(file, begin, _HEAD)
    if head[:4] == b"fLaC":
        return walk_flac(file, size, begin=begin)
    if begin or begins_as_mp3(file, begin):
        return walk_mp3(file, size)
    if head[:4] in (b"RIFF", b"RF64"):
        return walk_wave(file, size)
    if head[:4] == b"OggS":
        return walk_ogg_opus(file, size)
    _refuse_others(file, head)
    return None


def refuse_headerless(file: BinaryIO) -> NoReturn:
    """Refuse a file in no container of which nobody has said what it is.

    Raises:
        UnreadableAudioError: undeclared_raw when it looks like samples, else not_audio.
    """
    declare = "If these are A-law or µ-law samples without a header, declare the codec, the rate and the channels"
    if seems_alaw_or_ulaw(file):
        raise UnreadableAudioError(
            Reason.UNDECLARED_RAW, f"the file has no header, and its bytes look like samples of a call. {declare}"
        )
    raise UnreadableAudioError(
        Reason.NOT_AUDIO,
        f"the file is not audio: expected WAV, FLAC, Ogg Opus or MP3. Check what was sent. {declare}",
    )


def _refuse_others(file: BinaryIO, head: bytes) -> None:
    kind = "MPEG-4" if head[4:8] == _MPEG_4 else _OTHER_SOUND.get(head[:4])
    if kind is not None:
        raise unsupported(f"the file is {kind}")
    what = _NO_SOUND.get(head[:4]) or ("text" if _is_text(read_at(file, 0, _TEXT_LOOKED_AT)) else None)
    if what is not None:
        raise UnreadableAudioError(
            Reason.NOT_AUDIO,
            f"the file is {what}, not audio; expected WAV, FLAC, Ogg Opus or MP3. Check what was sent",
        )


def _is_text(begin: bytes) -> bool:
    """Say whether this is text: no samples of a call keep away from all control characters and from 128 to 255."""
    return begin.isascii() and not any(control in begin for control in _CONTROLS)
