import struct
from dataclasses import replace
from pathlib import Path

import pytest

from recordings.audio import probe
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.wave_builders import SAMPLES, Fmt, chunk, rf64, riff, wave

FMT = Fmt().chunk()
DATA = chunk(b"data", SAMPLES)
LIST = chunk(b"LIST", b"INFOISFT\x05\0\0\0made\0\0")
ALAW_GUID = bytes.fromhex("0600000000001000800000aa00389b71")
IMA = Fmt(tag=0x11, byte_rate=4055, block=256, bits=4, extra=struct.pack("<HH", 2, 505))
IMA_STEREO = Fmt(tag=0x11, channels=2, byte_rate=8110, block=512, bits=4, extra=struct.pack("<HH", 2, 505))
GSM = Fmt(tag=0x31, byte_rate=1625, block=65, bits=0, extra=struct.pack("<HH", 2, 320))

WHOLE = {
    "a trailing LIST": (riff(FMT, DATA, LIST), 800),
    "chunks in front of the samples": (riff(chunk(b"bext", b"\0" * 603), FMT, LIST, DATA), 800),
    "an odd number of samples, filled up": (wave(samples=SAMPLES[:-1]), 799),
    "an odd number of samples, filled up, but not in the size": (
        riff(FMT, chunk(b"data", SAMPLES[:-1]), size=835),
        799,
    ),
    "an odd number of samples, not filled up": (wave(samples=SAMPLES[:-1])[:-1], 799),
    "a size that counts the header": (riff(FMT, DATA, size=844), 800),
    "a fact": (wave(said_frames=800), 800),
    "a fact of no samples": (wave(said_frames=0), 800),
    "a fact that counts both channels": (
        wave(Fmt(channels=2, byte_rate=16000, block=2), said_frames=800),
        400,
    ),
    "an extensible format": (wave(Fmt(tag=0xFFFE, extra=struct.pack("<HHI", 22, 8, 4) + ALAW_GUID)), 800),
    "ADPCM whose last block is full": (wave(IMA, samples=bytes(256 * 3)), 1515),
    "ADPCM whose last block is filled up": (wave(IMA, samples=bytes(256 * 3), said_frames=1400), 1400),
    "ADPCM whose fact is divided by the channels": (wave(IMA_STEREO, samples=bytes(512 * 3), said_frames=757), 1515),
    "sizes of 64 bits": (rf64(), 800),
    "sizes of 64 bits without a number of samples": (rf64(frames=0), 800),
}

BROKEN = {
    "a header and nothing else": (b"RIFF\x04\0\0\0WAVE", Reason.HEADER_LIES),
    "half a header": (wave()[:11], Reason.TRUNCATED),
    "something other than sound": (riff(chunk(b"hdrl", b"    "), kind=b"AVI "), Reason.UNSUPPORTED),
    "no sample": (wave(samples=b""), Reason.EMPTY),
    "a size of the samples that was never written": (riff(FMT, chunk(b"data", SAMPLES, size=0)), Reason.UNFINISHED),
    "a size of the samples as into a pipe": (riff(FMT, chunk(b"data", SAMPLES, size=0xFFFFFFFF)), Reason.UNFINISHED),
    "a size of all that was never written": (riff(FMT, DATA, size=0), Reason.UNFINISHED),
    "a size of all as into a pipe": (riff(FMT, DATA, size=0xFFFFFFFF), Reason.UNFINISHED),
    "four gigabytes claimed": (riff(FMT, chunk(b"data", SAMPLES, size=0xFFFFFFFE)), Reason.TRUNCATED),
    "the samples cut off": (wave()[:-100], Reason.TRUNCATED),
    "the trailing LIST cut off": (riff(FMT, DATA, LIST)[:-4], Reason.TRUNCATED),
    "eight bytes cut off where the size counts the header": (riff(FMT, DATA)[:-8], Reason.TRUNCATED),
    "the header of a chunk cut off": (riff(FMT, DATA, b"LIST"), Reason.TRUNCATED),
    "another recording behind": (wave() + wave(), Reason.HEADER_LIES),
    "a rest hidden behind the end": (wave() + bytes(1000), Reason.HEADER_LIES),
    "samples hidden in the chunk after": (riff(FMT, DATA, DATA), Reason.HEADER_LIES),
    "the samples before their format": (riff(DATA, FMT), Reason.HEADER_LIES),
    "two formats": (riff(FMT, FMT, DATA), Reason.HEADER_LIES),
    "no samples chunk": (riff(FMT, LIST), Reason.HEADER_LIES),
    "a thousand chunks and one": (riff(FMT, *([chunk(b"junk", b"")] * 1001), DATA), Reason.HEADER_LIES),
    "a format cut short": (riff(chunk(b"fmt ", b"\6\0\1\0"), DATA), Reason.HEADER_LIES),
    "no channel": (wave(Fmt(channels=0)), Reason.HEADER_LIES),
    "blocks of no bytes": (wave(Fmt(block=0)), Reason.HEADER_LIES),
    "blocks of too many bytes": (wave(Fmt(block=2)), Reason.HEADER_LIES),
    "bytes a second of another rate": (wave(Fmt(rate=16000)), Reason.HEADER_LIES),
    "nine channels": (wave(Fmt(channels=9, byte_rate=72000, block=9), samples=bytes(900)), Reason.UNSUPPORTED),
    "a rate of one": (wave(Fmt(rate=1, byte_rate=1)), Reason.UNSUPPORTED),
    "a rate of millions": (wave(Fmt(rate=4_000_000, byte_rate=4_000_000)), Reason.UNSUPPORTED),
    "twelve bits": (wave(Fmt(tag=1, bits=12)), Reason.UNSUPPORTED),
    "MP3 in WAV": (wave(Fmt(tag=0x55, bits=0)), Reason.UNSUPPORTED),
    "an extensible format without its GUID": (wave(Fmt(tag=0xFFFE)), Reason.UNSUPPORTED),
    "an extensible format with a GUID of its maker": (wave(Fmt(tag=0xFFFE, extra=bytes(24))), Reason.UNSUPPORTED),
    "half a sample": (wave(Fmt(tag=1, byte_rate=16000, block=2, bits=16), samples=bytes(801)), Reason.TRUNCATED),
    "half a block of ADPCM": (wave(IMA, samples=bytes(700)), Reason.TRUNCATED),
    "ADPCM of eight bits": (wave(Fmt(tag=0x11, byte_rate=4055, block=256)), Reason.HEADER_LIES),
    "ADPCM in blocks without room for their head": (wave(Fmt(tag=2, block=1, bits=4)), Reason.HEADER_LIES),
    "ADPCM with another number of samples in a block": (
        wave(replace(IMA, extra=struct.pack("<HH", 2, 9999)), samples=bytes(256)),
        Reason.HEADER_LIES,
    ),
    "ADPCM that does not name the samples of a block": (
        wave(Fmt(tag=0x11, byte_rate=4055, block=256, bits=4), samples=bytes(256)),
        Reason.HEADER_LIES,
    ),
    "an odd chunk that is not filled up": (riff(b"note\x03\0\0\0odd", FMT, DATA), Reason.TRUNCATED),
    "ADPCM at another rate than its bytes a second": (
        wave(replace(IMA, rate=16000), samples=bytes(256)),
        Reason.HEADER_LIES,
    ),
    "GSM of two channels": (wave(Fmt(tag=0x31, channels=2, block=130, bits=0), samples=bytes(130)), Reason.HEADER_LIES),
    "half a block of GSM": (wave(GSM, samples=bytes(100)), Reason.TRUNCATED),
    "a fact of more samples": (wave(said_frames=8000), Reason.TRUNCATED),
    "a fact of fewer samples": (wave(said_frames=80), Reason.HEADER_LIES),
    "ADPCM whose fact hides a block": (wave(IMA, samples=bytes(256 * 3), said_frames=100), Reason.HEADER_LIES),
    "64 bits without their sizes": (riff(FMT, DATA, magic=b"RF64"), Reason.HEADER_LIES),
    "64 bits with more than is there": (rf64(riff_size=2**40), Reason.TRUNCATED),
    "64 bits with more samples than are there": (rf64(data_size=2**40), Reason.TRUNCATED),
    "64 bits with another number of samples": (rf64(frames=2**40), Reason.TRUNCATED),
    "samples that are no numbers": (
        wave(Fmt(tag=3, byte_rate=32000, block=4, bits=32), samples=struct.pack("<f", float("nan")) * 100),
        Reason.DAMAGED,
    ),
}


@pytest.mark.parametrize(("content", "frames"), WHOLE.values(), ids=WHOLE)
def test_a_whole_wave_file_is_never_refused(tmp_path: Path, content: bytes, frames: int) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    assert probe(path).frames == frames


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_wave_file_is_refused_for_what_is_wrong(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is reason
