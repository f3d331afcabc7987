"""The checksums that containers of audio use, none of which Python brings: one each for FLAC's two and for Ogg's."""

import zlib

_CRC8_POLYNOMIAL = 0x07
_CRC16_POLYNOMIAL = 0x8005


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    def shifted(byte: int) -> int:
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        return value

    return tuple(shifted(byte) for byte in range(256))


_CRC8_TABLE = _table(_CRC8_POLYNOMIAL, 8)
_CRC16_TABLE = _table(_CRC16_POLYNOMIAL, 16)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc8(data: bytes) -> int:
    """Return the checksum of a FLAC frame's header; 0 when `data` ends with its own.

    >>> hex(crc8(b"123456789"))
    '0xf4'
    """
    value = 0
    for byte in data:
        value = _CRC8_TABLE[value ^ byte]
    return value


def crc16(data: bytes) -> int:
    """Return the checksum of a FLAC frame; 0 when `data` ends with its own.

    >>> hex(crc16(b"123456789"))
    '0xfee8'
    """
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFF00) ^ _CRC16_TABLE[(value >> 8) ^ byte]
    return value


def ogg_crc32(data: bytes) -> int:
    """Return the checksum of an Ogg page whose own checksum is zeros.

    It is the one of zlib with the bits of every byte and of the result in the other order, and without the
    complements before and after; turning the bytes around makes zlib's fast one usable.

    >>> hex(ogg_crc32(b"123456789"))
    '0x89a1897f'
    """
    value = ~zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) & 0xFFFFFFFF
    return int.from_bytes(value.to_bytes(4, "little").translate(_REVERSED), "big")
