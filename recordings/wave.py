"""What a WAV file says of its samples, held against how many bytes of them there are."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from recordings.audio_layout import Codec, Container, Layout
from recordings.file_bytes import header_lies, truncated, unsupported
from recordings.wave_chunks import Chunks, read_chunks

_EXTENSIBLE = 0xFFFE
_GUID_REST = bytes.fromhex("000000001000800000aa00389b71")
_PLAIN = {
    (1, 8): Codec.PCM_U8,
    (1, 16): Codec.PCM_S16LE,
    (1, 24): Codec.PCM_S24LE,
    (1, 32): Codec.PCM_S32LE,
    (3, 32): Codec.PCM_F32LE,
    (6, 8): Codec.ALAW,
    (7, 8): Codec.ULAW,
}
_MS_ADPCM, _IMA_ADPCM, _GSM = 0x02, 0x11, 0x31
_GSM_BLOCK, _GSM_FRAMES = 65, 320
_BYTE_RATE_TOLERANCE = 0.05
_ADPCM_HEADERS = {_MS_ADPCM: (7, 2), _IMA_ADPCM: (4, 1)}
"""Bytes in front of each block per channel, and how many samples they hold."""


@dataclass(frozen=True, slots=True)
class _Format:
    tag: int
    channels: int
    sample_rate: int
    byte_rate: int
    block_bytes: int
    bits: int
    extra: bytes


def walk_wave(file: BinaryIO, size: int) -> Layout:
    """Return what the file says, having walked through all its chunks.

    Raises:
        UnreadableAudioError: it contradicts itself, is not all there, or is of a kind we do not keep.
    """
    chunks = read_chunks(file, size)
    found = _format(chunks.fmt)
    container = Container.RF64 if chunks.is_rf64 else Container.WAV
    codec, block_frames = _coding(found)
    _require_rate(found, block_frames)
    blocks, rest = divmod(chunks.data_bytes, found.block_bytes)
    if rest:
        raise truncated(f"{chunks.data_bytes} bytes of samples are not whole blocks of {found.block_bytes}")
    most = blocks * block_frames
    frames = _frames(chunks, found, most, block_frames)
    # libsndfile takes the byte that fills up an odd chunk of GSM for the beginning of one block more.
    spare = block_frames if codec is Codec.GSM else 0
    return Layout(container, codec, found.channels, found.sample_rate, frames, most + spare, frames)


def _format(fmt: bytes) -> _Format:
    if len(fmt) < 16:  # noqa: PLR2004  # the fields that every kind has
        raise header_lies(f"the 'fmt ' chunk has {len(fmt)} bytes; expected 16 or more")
    tag, channels, rate, byte_rate, block_bytes, bits = struct.unpack("<HHIIHH", fmt[:16])
    if tag == _EXTENSIBLE:
        if len(fmt) < 40 or fmt[26:40] != _GUID_REST:  # noqa: PLR2004  # with the format's GUID
            raise unsupported("the WAV is of a format that only its maker knows")
        (tag,) = struct.unpack("<H", fmt[24:26])
    if block_bytes == 0 or channels == 0:
        raise header_lies(f"the header names {channels} channels in blocks of {block_bytes} bytes")
    return _Format(tag, channels, rate, byte_rate, block_bytes, bits, fmt[16:])


def _coding(found: _Format) -> tuple[Codec, int]:
    """Return the codec, and how many samples per channel there are in a block."""
    plain = _PLAIN.get((found.tag, found.bits))
    if plain is not None:
        return plain, _plain_frames(found)
    if found.tag == _GSM:
        if (found.block_bytes, found.channels) != (_GSM_BLOCK, 1):
            raise header_lies(
                f"the header names GSM in blocks of {found.block_bytes} bytes for {found.channels} channels; expected"
                f" {_GSM_BLOCK} for one"
            )
        return Codec.GSM, _GSM_FRAMES
    if found.tag in _ADPCM_HEADERS:
        return Codec.ADPCM, _adpcm_frames(found)
    raise unsupported(f"the WAV is of format {found.tag:#06x} with {found.bits} bits")


def _plain_frames(found: _Format) -> int:
    block = found.channels * found.bits // 8
    if found.block_bytes != block or found.byte_rate != block * found.sample_rate:
        raise header_lies(
            f"the header names blocks of {found.block_bytes} bytes and {found.byte_rate} bytes a second; expected"
            f" {block} and {block * found.sample_rate} for {found.channels} channels of {found.bits} bits at"
            f" {found.sample_rate} Hz"
        )
    return 1


def _require_rate(found: _Format, block_frames: int) -> None:
    """Hold the rate against the bytes a second, the only other place that it shows in.

    Writers round those differently for codecs that work in blocks; for others `_plain_frames` wants them exact.
    """
    expected = found.sample_rate * found.block_bytes / block_frames
    if abs(found.byte_rate - expected) > expected * _BYTE_RATE_TOLERANCE:
        raise header_lies(
            f"the header names {found.byte_rate} bytes a second; expected about {expected:.0f} for blocks of"
            f" {block_frames} samples in {found.block_bytes} bytes at {found.sample_rate} Hz"
        )


def _adpcm_frames(found: _Format) -> int:
    head_bytes, head_frames = _ADPCM_HEADERS[found.tag]
    nibbles, rest = divmod((found.block_bytes - head_bytes * found.channels) * 2, found.channels)
    frames = nibbles + head_frames
    said = struct.unpack("<H", found.extra[2:4])[0] if len(found.extra) >= 4 else 0  # noqa: PLR2004
    if found.bits != 4 or rest or nibbles < 0 or said != frames:  # noqa: PLR2004  # a nibble a sample
        raise header_lies(
            f"the header names {said} samples in ADPCM blocks of {found.block_bytes} bytes with {found.bits} bits for"
            f" {found.channels} channels; {max(frames, 0)} fit"
        )
    return frames


def _frames(chunks: Chunks, found: _Format, most: int, block_frames: int) -> int:
    """Return how many samples per channel count, which may be fewer than the last block has room for.

    Some writers count the samples of all channels, others divide by the channels once too often. Both are known from
    each other and from a lie, because the bytes tell how many there must be.
    """
    least = most - block_frames if block_frames > 1 else most
    for said in chunks.said_frames:
        if least <= said <= most:
            return said
        by_channels = {said // found.channels, said * found.channels}
        if not any(least <= one <= most for one in by_channels):
            words = f"the header names {said} samples per channel, and there are {most}"
            raise truncated(words) if said > most else header_lies(words)
    return most
