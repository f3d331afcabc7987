"""The telephone numbers of many rows at once: digits, and where each number belongs.

Pure. The spellings in which nearly all mobiles come are read as bytes; every other cell, and every number in doubt,
is read by `phone_numbers.normalise`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compliance.mobile_prefixes import FIRST_PREFIX, PREFIX_COUNT, REGION_CODES, region_table, valid_mobile_mask
from compliance.phone_numbers import PhoneNumber, normalise

FOREIGN = len(REGION_CODES)
NO_NUMBER = FOREIGN + 1
PLACE_COUNT = NO_NUMBER + 1
"""Places: an index into REGION_CODES for numbers of the mainland, or one of these two."""

_PLACE_OF_REGION = {code: index for index, code in enumerate(REGION_CODES)}
_MOBILE_DIGITS = 11
_COUNTRY_CODES = ("", "+86", "86", "0086", "+86-", "86-", "0086-")
_SPELLINGS = tuple(code + digits for code in _COUNTRY_CODES for digits in ("d" * _MOBILE_DIGITS, "ddd-dddd-dddd"))
"""Spellings of mobiles that are read as bytes: `d` is a digit, `-` a hyphen or a space."""

_SEPARATORS = b" -"
_COUNTRY = 86 * 10**_MOBILE_DIGITS
_BELOW_PREFIX = 10_000

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Per row the digits of E.164, 0 where there is no number, and the place.

    `is_plain` marks the cells that were read as bytes: they hold one of the usual spellings and nothing else.
    """

    phones: NDArray[np.int64]
    places: Places
    is_plain: NDArray[np.bool_]


def place_of(number: PhoneNumber | None) -> int:
    """Return the place of a number, NO_NUMBER for none."""
    if number is None:
        return NO_NUMBER
    return _PLACE_OF_REGION[number.region] if number.mainland else FOREIGN


def read_numbers(data: bytes, begins: Places, ends: Places, *, encoding: str) -> Numbers:
    """Return the numbers of the cells data[begin:end], text in `encoding`."""
    found = Numbers(
        np.zeros(len(begins), np.int64),
        np.full(len(begins), NO_NUMBER, np.int64),
        np.zeros(len(begins), np.bool_),
    )
    lengths = ends - begins
    for spelling in _SPELLINGS:
        rows = np.flatnonzero(lengths == len(spelling))
        if len(rows):
            _read_mobiles(data, begins[rows], spelling, rows, found)
    others = np.flatnonzero(~found.is_plain)
    cells = (data[begin:end] for begin, end in zip(begins[others].tolist(), ends[others].tolist(), strict=True))
    _read_others((cell.decode(encoding) for cell in cells), others, found)
    return found


def read_texts(texts: Iterable[str], count: int) -> Numbers:
    """Return the numbers of `count` cells."""
    found = Numbers(np.zeros(count, np.int64), np.full(count, NO_NUMBER, np.int64), np.zeros(count, np.bool_))
    _read_others(texts, np.arange(count), found)
    return found


def _read_others(texts: Iterable[str], rows: NDArray[np.int64], found: Numbers) -> None:
    for row, text in zip(rows.tolist(), texts, strict=True):
        number = normalise(text)
        if number is not None:
            found.phones[row] = int(number.e164)
            found.places[row] = place_of(number)


def _read_mobiles(data: bytes, begins: Places, spelling: str, rows: NDArray[np.int64], found: Numbers) -> None:
    """Enter the mobiles among cells that are as long as `spelling`."""
    octets = np.frombuffer(data, np.uint8)
    is_mobile = ~found.is_plain[rows]
    for offset, sign in enumerate(spelling):
        if sign != "d":
            accepted = _SEPARATORS if sign == "-" else sign.encode()
            is_mobile &= np.isin(octets[begins + offset], np.frombuffer(accepted, np.uint8))
    national, are_digits = _eleven_digits(data, begins, spelling)
    prefixes = national // _BELOW_PREFIX - FIRST_PREFIX
    is_mobile &= are_digits & (prefixes >= 0) & (prefixes < PREFIX_COUNT)
    prefixes[~is_mobile] = 0
    is_mobile &= valid_mobile_mask()[prefixes]
    chosen = rows[is_mobile]
    found.phones[chosen] = national[is_mobile] + _COUNTRY
    found.places[chosen] = region_table()[prefixes[is_mobile]]
    found.is_plain[chosen] = True


def _eleven_digits(data: bytes, begins: Places, spelling: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the value of the digits that stand where `spelling` has them, and whether they are ASCII digits.

    Three digits and twice four are read, as words of four bytes.
    """
    fours = np.ndarray((len(data) - 3,), "<u4", data, strides=(1,))
    first = spelling.index("d")
    second = spelling.index("d", spelling.index("-", first) if "-" in spelling[first:] else first + 3)
    third = second + (5 if "-" in spelling[first:] else 4)
    head = (fours[begins + first].astype(np.uint64) << np.uint64(8)) & np.uint64(0xFFFFFF00) | np.uint64(ord("0"))
    upper, upper_are_digits = _eight_digits(head << np.uint64(32) | np.uint64(0x30303030))
    tail = fours[begins + third].astype(np.uint64) << np.uint64(32) | fours[begins + second]
    lower, lower_are_digits = _eight_digits(tail)
    return upper * 10**8 + lower, upper_are_digits & lower_are_digits


def _eight_digits(words: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the values of eight ASCII digits, the first in the lowest byte, and whether they are digits.

    A digit has 3 in its high half, also when 6 is added to it. Values are put together in pairs: of digits, of
    twos, of fours.
    """
    high = np.uint64(0xF0F0F0F0F0F0F0F0)
    carried = ((words + np.uint64(0x0606060606060606)) & high) >> np.uint64(4)
    are_digits = ((words & high) | carried) == np.uint64(0x3333333333333333)
    words = words - np.uint64(0x3030303030303030)
    words = words * np.uint64(10) + (words >> np.uint64(8))
    twos = np.uint64(0x000000FF000000FF)
    values = (words & twos) * np.uint64(0x000F424000000064)
    values += ((words >> np.uint64(16)) & twos) * np.uint64(0x0000271000000001)
    return (values >> np.uint64(32)).astype(np.int64), are_digits
