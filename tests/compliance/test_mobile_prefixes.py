import importlib
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compliance import mobile_prefixes
from compliance.mobile_prefixes import (
    FIRST_PREFIX,
    PREFIX_COUNT,
    REGION_CODES,
    landline_region,
    region_of_names,
    region_table,
    valid_mobile_mask,
)
from compliance.phone_numbers import normalise
from compliance.regions import REGION_NAMES

EVERY_PREFIX = range(FIRST_PREFIX, FIRST_PREFIX + PREFIX_COUNT)


@pytest.fixture(scope="module")
def geodata() -> Mapping[str, Mapping[str, str]]:
    places: Mapping[str, Mapping[str, str]] = mobile_prefixes._geodata()
    return {prefix: names for prefix, names in places.items() if prefix.startswith("86")}


def geodata_modules() -> list[str]:
    return [name for name in sys.modules if name.startswith("phonenumbers.geodata")]


@pytest.fixture
def others_places() -> Iterator[object]:
    yield importlib.import_module("phonenumbers.geodata").GEOCODE_DATA
    del phonenumbers.geodata
    for name in geodata_modules():
        del sys.modules[name]


def a_subscriber(prefix: int) -> str:
    """Return a number of eleven digits under `prefix`, whose last four differ from prefix to prefix."""
    return f"{prefix}{prefix * 7919 % 10_000:04d}"


def index_of(number: str) -> int:
    return int(number[:7]) - FIRST_PREFIX


def library_knows_mobile(number: str) -> bool:
    parsed = phonenumbers.PhoneNumber(country_code=86, national_number=int(number))
    return bool(phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.MOBILE)


def longest_prefix_region(geodata: Mapping[str, Mapping[str, str]], prefix: int) -> str | None:
    """Look the region up the slow way; keys of three digits after 86 are whole networks and tell nothing."""
    keys = (f"86{prefix}"[:length] for length in range(9, 5, -1))
    names = next((geodata[key] for key in keys if key in geodata), {})
    return region_of_names(names.get("zh"), names.get("en"))


def test_every_place_of_the_mainland_in_the_librarys_data_has_a_region(
    geodata: Mapping[str, Mapping[str, str]],
) -> None:
    places = {(names.get("zh"), names.get("en")) for names in geodata.values()}
    unknown = {place for place in places if region_of_names(*place) is None}
    assert len(places) > 380
    assert unknown == set()


def test_chinese_and_english_names_of_a_place_never_disagree(
    geodata: Mapping[str, Mapping[str, str]],
) -> None:
    both = {(names["zh"], names["en"]) for names in geodata.values() if "zh" in names}
    disagreeing = {pair for pair in both if region_of_names(pair[0], None) != region_of_names(None, pair[1])}
    assert disagreeing == set()


def test_every_region_issues_mobile_numbers() -> None:
    assert {REGION_CODES[index] for index in np.unique(region_table())} == {None, *REGION_NAMES}


@pytest.mark.slow
def test_table_gives_the_region_of_the_longest_prefix_for_every_mobile(
    geodata: Mapping[str, Mapping[str, str]],
) -> None:
    mask = valid_mobile_mask().tolist()
    expected = [
        longest_prefix_region(geodata, prefix) if exists else None
        for prefix, exists in zip(EVERY_PREFIX, mask, strict=True)
    ]
    assert [REGION_CODES[index] for index in region_table().tolist()] == expected


@pytest.mark.slow
def test_tables_give_what_normalise_gives_for_every_prefix() -> None:
    numbers = [normalise(a_subscriber(prefix)) for prefix in EVERY_PREFIX]
    assert [number is not None for number in numbers] == valid_mobile_mask().tolist()
    assert [number.region if number else None for number in numbers] == [
        REGION_CODES[index] for index in region_table().tolist()
    ]


@pytest.mark.slow
def test_mask_says_what_the_library_says_for_every_prefix() -> None:
    assert [library_knows_mobile(a_subscriber(prefix)) for prefix in EVERY_PREFIX] == (valid_mobile_mask().tolist())


@given(st.integers(min_value=13_000_000_000, max_value=19_999_999_999).map(str))
def test_mask_says_what_the_library_says_for_any_subscriber(number: str) -> None:
    assert library_knows_mobile(number) == valid_mobile_mask()[index_of(number)]
    assert library_knows_mobile(number) == phonenumbers.is_valid_number(
        phonenumbers.PhoneNumber(country_code=86, national_number=int(number))
    )


def test_a_network_code_that_the_data_give_to_one_city_is_of_unknown_region() -> None:
    of_173 = slice(1_730_000 - FIRST_PREFIX, 1_740_000 - FIRST_PREFIX)
    assert valid_mobile_mask()[of_173].all()
    assert not region_table()[of_173].any()


@pytest.mark.parametrize("table", [region_table(), valid_mobile_mask()], ids=["regions", "mask"])
def test_tables_are_one_entry_per_prefix_and_cannot_be_changed(table: NDArray[np.generic]) -> None:
    assert table.shape == (PREFIX_COUNT,)
    assert not table.flags.writeable


def test_tables_take_one_byte_per_prefix() -> None:
    assert region_table().dtype == np.uint8
    assert valid_mobile_mask().dtype == np.bool_


@pytest.mark.parametrize(
    ("national", "region"),
    [
        pytest.param("1012345678", "110000", id="010 Beijing"),
        pytest.param("2112345678", "310000", id="021 Shanghai"),
        pytest.param("41182345678", "210200", id="0411 Dalian"),
        pytest.param("57482345678", "330200", id="0574 Ningbo"),
        pytest.param("5922345678", "350200", id="0592 Xiamen"),
        pytest.param("53282345678", "370200", id="0532 Qingdao"),
        pytest.param("75582345678", "440300", id="0755 Shenzhen"),
        pytest.param("2082345678", "440000", id="020 Guangzhou"),
        pytest.param("5802345678", "330000", id="0580 Zhoushan, a prefix of two digits"),
        pytest.param("9912345678", "650000", id="0991 Urumqi"),
        pytest.param("0000000000", None, id="no area code"),
        pytest.param("", None, id="empty"),
    ],
)
def test_region_of_a_landline_is_that_of_its_area_code(national: str, region: str | None) -> None:
    assert landline_region(national) == region


def test_a_place_without_any_name_has_no_region() -> None:
    assert region_of_names(None, None) is None


def test_the_librarys_places_are_let_go_after_use() -> None:
    mobile_prefixes._geodata()
    assert geodata_modules() == []


def test_the_librarys_places_stay_for_others_who_had_them_before(others_places: object) -> None:
    assert mobile_prefixes._geodata() is others_places
    assert "phonenumbers.geodata" in geodata_modules()
