"""The do-not-call list as arrays: until when each listed number is blocked, found for many numbers at once.

Pure: values and their bytes. Where the bytes are kept, and how they are kept true, is `phone_snapshot`'s.

Days count from 2000-01-01, instants in seconds from 2000-01-01T00:00Z, as PostgreSQL counts them. A number's
block is *settled* from its latest refusal on, or from when a tighter policy last raised it: whoever asks about an
earlier instant, or about an entry that was ever released, must ask the database, for which `ASK` stands.
"""

import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

NOT_LISTED = -(2**31)
ASK = NOT_LISTED + 1
"""Answers of `find` that are no days."""

_DAY_ZERO = date(2000, 1, 1)
_INSTANT_ZERO = datetime(2000, 1, 1, tzinfo=UTC)
_NEVER_SETTLED = 2**32 - 1

# Buckets divide the numbers that mobiles of the mainland can have, 1,024 to a bucket when ten million are listed.
# All other numbers share the first and the last bucket.
_FIRST_BUCKETED = 8_613_000_000_000
_BUCKETED = 7_000_000_000
_BITS_OF_ALL = 34

_MAGIC = b"telesales-listed-phones-1\n"
_LENGTHS = struct.Struct("<QQ")
_CHECKSUM_BYTES = 7
_SECTION_ALIGNMENT = 64

_INFINITY = 2**63 - 1

Phones = NDArray[np.int64]
Days = NDArray[np.int32]
Instants = NDArray[np.uint32]


AnyNumber = TypeVar("AnyNumber", bound=np.generic)


class BrokenListError(ValueError):
    """Bytes that are not what `encode` wrote."""


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """Which state of which database the arrays show.

    `newest` is the greatest transaction whose changes are in them, `open_then` are smaller ones that had not
    ended. `witness` is an event of that newest change: a database without it has another history.
    """

    database: str
    newest: int
    open_then: tuple[int, ...]
    witness: str | None


class _Header(msgspec.Struct, frozen=True):
    stamp: Stamp
    count: int
    bucket_bits: int
    latest_refusal: int
    checksums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ListedPhones:
    """Listed numbers, ascending, each with its last blocked day (or ASK) and the instant it is settled from.

    That instant is called `refused`, since nearly always it is that of the latest refusal.
    `starts[bucket]` is where the numbers of a bucket begin.
    """

    phones: Phones
    through: Days
    refused: Instants
    starts: NDArray[np.int32]
    bucket_bits: int
    latest_refusal: int

    def __len__(self) -> int:
        return len(self.phones)

    def find(self, wanted: Phones, *, at: datetime) -> Days:
        """Return for each number the last day of the block in force at `at`, NOT_LISTED or ASK."""
        found = np.full(len(wanted), NOT_LISTED, np.int32)
        places, indexes = self._places(wanted)
        days = self.through[places]
        if seconds_at(at) < self.latest_refusal:
            days[self.refused[places] > seconds_at(at)] = ASK
        found[indexes] = days
        return found

    def _places(self, wanted: Phones) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where listed ones among `wanted` stand in the list, and in `wanted`.

        Halving within a bucket touches memory once or twice for each number. A search over the whole list
        touches it more than twenty times, and takes ten times as long.
        """
        buckets = _buckets_of(wanted, self.bucket_bits)
        low = self.starts[buckets].astype(np.int64)
        high = self.starts[buckets + 1].astype(np.int64)
        indexes = np.flatnonzero(low < high)
        low, high, sought = low[indexes], high[indexes], wanted[indexes]
        found_places, found_indexes = [low[:0]], [indexes[:0]]
        while len(indexes):
            middle = (low + high) >> 1
            there = self.phones[middle]
            is_found = there == sought
            found_places.append(middle[is_found])
            found_indexes.append(indexes[is_found])
            is_less = there < sought
            low = np.where(is_less, middle + 1, low)
            high = np.where(is_less, high, middle)
            goes_on = np.flatnonzero((low < high) & ~is_found)
            low, high = low[goes_on], high[goes_on]
            indexes, sought = indexes[goes_on], sought[goes_on]
        return np.concatenate(found_places), np.concatenate(found_indexes)


def day_of(days: int) -> date:
    """Return the civil day that a number of days from 2000-01-01 stands for."""
    return _DAY_ZERO + timedelta(days=days)


def seconds_at(at: datetime) -> int:
    """Return whole seconds from 2000-01-01T00:00Z to `at`, a begun second left out."""
    return (at - _INSTANT_ZERO) // timedelta(seconds=1)


def listed_phones(phones: Phones, through: Days, refused: Instants) -> ListedPhones:
    """Return the arrays as a list, in order; no number may occur twice."""
    return listed_columns([phones, through, refused])


def listed_columns(columns: list[Any]) -> ListedPhones:
    """Return the columns phones, through and refused as a list, in order; they are taken out of `columns`.

    Each column is let go as soon as it stands in order: of the millions of a whole list, two copies are many.
    """
    order = np.argsort(columns[0])
    phones = columns.pop(0)[order]
    through = columns.pop(0)[order]
    refused = columns.pop(0)[order]
    return _listed(phones, through, refused)


def _listed(phones: Phones, through: Days, refused: Instants) -> ListedPhones:
    bits = _BITS_OF_ALL - len(phones).bit_length()
    latest = int(refused.max()) if len(refused) else 0
    return ListedPhones(phones, through, refused, _starts(phones, bits), bits, latest)


def _starts(phones: Phones, bits: int) -> NDArray[np.int32]:
    """Return where each bucket begins among `phones`, ascending, and at last where all end; see `_buckets_of`."""
    firsts = _FIRST_BUCKETED + (np.arange(_bucket_count(bits) - 1) << bits)
    return np.concatenate(([0], np.searchsorted(phones, firsts), [len(phones)])).astype(np.int32)


def _bucket_count(bits: int) -> int:
    return (_BUCKETED >> bits) + 2


def _buckets_of(phones: Phones, bits: int) -> NDArray[np.int64]:
    buckets: NDArray[np.int64] = np.clip(((phones - _FIRST_BUCKETED) >> bits) + 1, 0, _bucket_count(bits) - 1)
    return buckets


def from_rows(rows: NDArray[np.void]) -> tuple[Phones, Days, Instants]:
    """Return the columns of rows with phone, through (days) and settled (microseconds) as PostgreSQL sends them.

    `settled` is the instant of the latest refusal or raise; `infinity` marks a released entry.
    """
    settled = rows["settled"].astype(np.int64)
    through = rows["through"].astype(np.int32)
    through[settled == _INFINITY] = ASK
    # Rounded up: at the beginning of a second, a refusal within it has not been made.
    seconds = np.where(settled == _INFINITY, 0, -(-settled // 1_000_000))
    return rows["phone"].astype(np.int64), through, np.clip(seconds, 0, _NEVER_SETTLED).astype(np.uint32)


def merged(base: ListedPhones, changed: ListedPhones) -> ListedPhones:
    """Return `base` with the numbers of `changed` as they are there."""
    places, indexes = base._places(changed.phones)  # noqa: SLF001 - of the same class
    through, refused = base.through.copy(), base.refused.copy()
    through[places], refused[places] = changed.through[indexes], changed.refused[indexes]
    is_new = np.ones(len(changed), np.bool_)
    is_new[indexes] = False
    at = np.searchsorted(base.phones, changed.phones[is_new])
    return _listed(
        np.insert(base.phones, at, changed.phones[is_new]),
        np.insert(through, at, changed.through[is_new]),
        np.insert(refused, at, changed.refused[is_new]),
    )


def encode(listed: ListedPhones, stamp: Stamp) -> list[bytes | memoryview]:
    """Return the bytes of a list, in pieces to be written one after the other."""
    sections: list[NDArray[Any]] = [listed.phones, listed.through, listed.starts, listed.refused]
    checksums = tuple(_checksum(section) for section in sections)
    header = msgspec.json.encode(_Header(stamp, len(listed), listed.bucket_bits, listed.latest_refusal, checksums))
    pieces: list[bytes | memoryview] = [_MAGIC, _LENGTHS.pack(len(header), _checksum(header)), header]
    written = sum(map(len, pieces))
    for section in sections:
        padding = -written % _SECTION_ALIGNMENT
        pieces += [bytes(padding), section.view(np.uint8).data]
        written += padding + section.nbytes
    return pieces


def decode(data: memoryview) -> tuple[ListedPhones, Stamp]:
    """Return the list and its stamp from the bytes of a file; the arrays are views into them.

    Raises:
        BrokenListError: the bytes are cut off, changed, or of another version.
    """
    header, end = _header_of(data)
    phones, end = _section(data, end, np.int64, header.count)
    through, end = _section(data, end, np.int32, header.count)
    starts, end = _section(data, end, np.int32, _bucket_count(header.bucket_bits) + 1)
    refused, end = _section(data, end, np.uint32, header.count)
    sections: list[NDArray[Any]] = [phones, through, starts, refused]
    if tuple(_checksum(section) for section in sections) != header.checksums:
        raise BrokenListError("the file of listed numbers was changed after it was written")
    return ListedPhones(phones, through, refused, starts, header.bucket_bits, header.latest_refusal), header.stamp


def _section(data: memoryview, begin: int, kind: type[AnyNumber], count: int) -> tuple[NDArray[AnyNumber], int]:
    """Return the section at the first aligned place from `begin` on, and where it ends."""
    begin += -begin % _SECTION_ALIGNMENT
    end = begin + count * np.dtype(kind).itemsize
    if end > len(data):
        raise BrokenListError("the file of listed numbers is cut off")
    return np.frombuffer(data, kind, count, begin), end


def _header_of(data: memoryview) -> tuple[_Header, int]:
    """Return the header of a file and where it ends."""
    begin = len(_MAGIC) + _LENGTHS.size
    if bytes(data[: len(_MAGIC)]) != _MAGIC or len(data) < begin:
        raise BrokenListError("the file is no list of numbers of this version")
    length, checksum = _LENGTHS.unpack(data[len(_MAGIC) : begin])
    header = bytes(data[begin : begin + length])
    if len(header) < length or _checksum(header) != checksum:
        raise BrokenListError("the header of the file of listed numbers is broken")
    return msgspec.json.decode(header, type=_Header), begin + length


def _checksum(section: NDArray[Any] | bytes) -> int:
    """Return a digest of the sums of a section's words, along stretches of 1,024 and across them.

    It is there to notice damage, at the speed of memory: a file is read whole before every use.
    """
    octets = np.frombuffer(section, np.uint8) if isinstance(section, bytes) else section.view(np.uint8)
    words = octets[: len(octets) // 8 * 8].view(np.uint64)
    stretches = words[: len(words) // 1024 * 1024].reshape(-1, 1024)
    digest = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
    for axis in (0, 1):
        digest.update(stretches.sum(axis=axis, dtype=np.uint64).data)
    digest.update(octets[stretches.nbytes :].data)
    return int.from_bytes(digest.digest())
