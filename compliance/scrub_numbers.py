"""The telephone numbers of many rows at once: digits, and where each number belongs.

Pure. The spellings in which nearly all numbers come, eleven digits and those behind 86, +86 or 0086, are read as
bytes; every other cell, and every number in doubt, is read by `phone_numbers.normalise`.
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
_HEADS = (b"", b"+86", b"86", b"0086")
"""What may stand before the eleven digits of a mobile."""

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
    for head in _HEADS:
        rows = np.flatnonzero(lengths == len(head) + _MOBILE_DIGITS)
        _read_mobiles(data, begins[rows], head, rows, found)
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


def _read_mobiles(data: bytes, begins: Places, head: bytes, rows: NDArray[np.int64], found: Numbers) -> None:
    """Enter the mobiles among cells that are as long as `head` and eleven digits."""
    if not len(rows):
        return
    octets = np.frombuffer(data, np.uint8)
    is_mobile = np.ones(len(rows), np.bool_)
    for offset, octet in enumerate(head):
        is_mobile &= octets[begins + offset] == octet
    first, first_are_digits = _eight_digits(data, begins + len(head))
    last, last_are_digits = _eight_digits(data, begins + len(head) + _MOBILE_DIGITS - 8)
    national = first * 1000 + last % 1000
    prefixes = national // _BELOW_PREFIX - FIRST_PREFIX
    is_mobile &= first_are_digits & last_are_digits & (prefixes >= 0) & (prefixes < PREFIX_COUNT)
    prefixes[~is_mobile] = 0
    is_mobile &= valid_mobile_mask()[prefixes]
    chosen = rows[is_mobile]
    found.phones[chosen] = national[is_mobile] + _COUNTRY
    found.places[chosen] = region_table()[prefixes[is_mobile]]
    found.is_plain[chosen] = True


def _eight_digits(data: bytes, begins: Places) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the value of the eight bytes from each of `begins` on, and whether all of them are ASCII digits.

    Eight bytes are one word. A digit has 3 in its high half, also when 6 is added to it; values are put
    together in pairs: of digits, of twos, of fours.
    """
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))[begins]
    high = np.uint64(0xF0F0F0F0F0F0F0F0)
    are_digits = ((words & high) | ((words + np.uint64(0x0606060606060606)) & high) >> np.uint64(4)) == np.uint64(
        0x3333333333333333
    )
    words = words - np.uint64(0x3030303030303030)
    words = words * np.uint64(10) + (words >> np.uint64(8))
    twos = np.uint64(0x000000FF000000FF)
    fours = (words & twos) * np.uint64(0x000F424000000064)
    fours += ((words >> np.uint64(16)) & twos) * np.uint64(0x0000271000000001)
    return (fours >> np.uint64(32)).astype(np.int64), are_digits
