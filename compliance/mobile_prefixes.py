"""Where number prefixes belong: the regions of mobile prefixes and area codes, and which mobiles exist.

Owns the tables made, once and on first use, from the metadata of the `phonenumbers` library; no prefix is
listed here by hand. A mobile prefix is the first seven of the eleven digits. The tables for bulk work are
read-only numpy arrays indexed by `int(prefix) - FIRST_PREFIX`, and give what `phone_numbers.normalise` gives.

The region of a mobile number is where its prefix was issued. The customer may have moved since, or taken
the number to another network; a recorded residence goes before it.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from threading import Lock

import msgspec
import numpy as np
import phonenumbers
from numpy.typing import NDArray

from compliance.regions import REGION_NAMES, region_of_english_place, region_of_place

FIRST_PREFIX = 1_300_000
PREFIX_COUNT = 700_000
"""Prefixes 1300000 to 1999999: every number of eleven digits that begins with 13 to 19."""

REGION_CODES: tuple[str | None, ...] = (None, *sorted(REGION_NAMES))
"""What the entries of a region table stand for; entry 0 is an unknown region."""

NO_MOBILE = 255
"""The entry of `attributions` for a prefix under which no mobile number exists."""

_PREFIX_DIGITS = 7
_LEAST_PREFIX_DIGITS = 4
"""Shorter mobile prefixes are whole network codes, which are sold everywhere in the mainland.

The library's data give one such, 173, as Beijing altogether. A region made up like that would let a call
into the quiet hours of the customer's own region, so those numbers are of unknown region.
"""
_LONGEST_AREA_PREFIX = 7
_ANY_SUBSCRIBER = "0000"
_ALGORITHM = 1
"""To be raised with every change of what this module makes of the same data."""

_BUILDING = Lock()
_MADE: list["_Tables"] = []


class UnusableTablesError(ValueError):
    """Bytes that hold no tables, or those of another version of the library or of this module."""


class _Tables(msgspec.Struct, frozen=True):
    attributions: bytes
    areas: dict[str, str | None]


class _Kept(msgspec.Struct, frozen=True):
    made_of: str
    tables: _Tables


@cache
def attributions() -> bytes:
    """Return one byte per mobile prefix: an index into `REGION_CODES`, or `NO_MOBILE`."""
    return _tables().attributions


@cache
def region_table() -> NDArray[np.uint8]:
    """Return, per mobile prefix, the index of its region in `REGION_CODES`; 0 if unknown or no mobile."""
    table = np.frombuffer(attributions(), dtype=np.uint8)
    regions = np.where(table == NO_MOBILE, np.uint8(0), table)
    regions.setflags(write=False)
    return regions


@cache
def valid_mobile_mask() -> NDArray[np.bool_]:
    """Return, per mobile prefix, whether numbers of eleven digits under it are mobile numbers."""
    mask: NDArray[np.bool_] = np.frombuffer(attributions(), dtype=np.uint8) != NO_MOBILE
    mask.setflags(write=False)
    return mask


def landline_region(national: str) -> str | None:
    """Return the region of a landline given as area code without 0 and subscriber number; None if unknown."""
    areas = _tables().areas
    prefixes = (national[:length] for length in range(_LONGEST_AREA_PREFIX, 0, -1))
    return next((areas[prefix] for prefix in prefixes if prefix in areas), None)


def tables_to_keep() -> bytes:
    """Return the tables as bytes, for `adopt_tables` of a later process: making them anew takes a second."""
    return msgspec.msgpack.encode(_Kept(_made_of(), _tables()))


def adopt_tables(kept: bytes) -> None:
    """Take tables that an earlier process kept, unless this process has made its own already.

    Whoever keeps the bytes answers for their being whole.

    Raises:
        UnusableTablesError: they are of another version, or none.
    """
    try:
        found = msgspec.msgpack.decode(kept, type=_Kept)
    except msgspec.MsgspecError:
        raise UnusableTablesError("these bytes hold no tables of prefixes") from None
    if found.made_of != _made_of() or len(found.tables.attributions) != PREFIX_COUNT:
        raise UnusableTablesError("these tables of prefixes were made by another version")
    with _BUILDING:
        if not _MADE:
            _MADE.append(found.tables)


def are_tables_made() -> bool:
    return bool(_MADE)


def _made_of() -> str:
    """Return what the tables follow from: the library's data, the regions, and the algorithm of this module."""
    return f"{_ALGORITHM} {phonenumbers.__version__} {REGION_CODES}"


def _tables() -> _Tables:
    with _BUILDING:
        if not _MADE:
            _MADE.append(_build())
        return _MADE[0]


def _build() -> _Tables:
    mobiles: list[tuple[str, str | None]] = []
    areas: dict[str, str | None] = {}
    for prefix, region in _mainland_prefixes():
        if not _is_mobile(prefix):
            areas[prefix] = region
        elif len(prefix) >= _LEAST_PREFIX_DIGITS:
            mobiles.append((prefix, region))
    table = _spread(mobiles)
    exists = _mobile_pattern()
    for index in range(PREFIX_COUNT):
        if exists.fullmatch(f"{FIRST_PREFIX + index}{_ANY_SUBSCRIBER}") is None:
            table[index] = NO_MOBILE
    return _Tables(bytes(table), areas)


def _mobile_pattern() -> re.Pattern[str]:
    """Return what the library says mobile numbers of the mainland look like, without 86."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("CN")
    assert metadata is not None  # noqa: S101 -- for the type checker; the library always knows China
    assert metadata.mobile is not None  # noqa: S101 -- likewise
    return re.compile(str(metadata.mobile.national_number_pattern))


def _is_mobile(prefix: str) -> bool:
    return "13" <= prefix[:2] <= "19"


def _spread(prefixes: list[tuple[str, str | None]]) -> bytearray:
    """Return the region index of each prefix of seven digits; a longer prefix goes before a shorter one."""
    indexes = {code: index for index, code in enumerate(REGION_CODES)}
    table = bytearray(PREFIX_COUNT)
    for prefix, region in sorted(prefixes, key=lambda pair: len(pair[0])):
        width = 10 ** (_PREFIX_DIGITS - len(prefix))
        start = int(prefix) * width - FIRST_PREFIX
        table[start : start + width] = bytes([indexes[region]]) * width
    return table


def _mainland_prefixes() -> Iterator[tuple[str, str | None]]:
    """Yield each national prefix of the library's data, without 86, and its region.

    A prefix whose place is of no one region comes with None, so that it hides the region of a shorter one.
    """
    by_place: dict[tuple[str | None, str | None], str | None] = {}
    for prefix, names in _geodata().items():
        if not prefix.startswith("86"):
            continue
        place = names.get("zh"), names.get("en")
        if place not in by_place:
            by_place[place] = region_of_names(*place)
        yield prefix[2:], by_place[place]


def region_of_names(name_zh: str | None, name_en: str | None) -> str | None:
    """Return the region of a place by its Chinese name, by its English one where there is no Chinese."""
    if name_zh is not None:
        return region_of_place(name_zh)
    return None if name_en is None else region_of_english_place(name_en)


def _geodata() -> Mapping[str, Mapping[str, str]]:
    """Import the places of all prefixes of the world, and let the modules go again.

    They hold about 75 MB for as long as the interpreter knows them, of which the tables above keep 0.7 MB.
    """
    known_before = "phonenumbers.geodata" in sys.modules
    from phonenumbers.geodata import GEOCODE_DATA  # noqa: PLC0415 -- half a second, only when first needed

    places: Mapping[str, Mapping[str, str]] = GEOCODE_DATA
    if not known_before:
        for name in [name for name in sys.modules if name.startswith("phonenumbers.geodata")]:
            del sys.modules[name]
        del phonenumbers.geodata
    return places
