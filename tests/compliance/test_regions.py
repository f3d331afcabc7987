import pytest

from compliance.regions import (
    MAINLAND_PROVINCES,
    REGION_NAMES,
    SUPERVISED_CITIES,
    callee_region,
    covers,
    region_of_english_place,
    region_of_place,
)


def test_there_are_31_provinces_and_five_cities_with_a_regulator_of_their_own() -> None:
    assert len(MAINLAND_PROVINCES) == 31
    assert set(SUPERVISED_CITIES) == {"210200", "330200", "350200", "370200", "440300"}
    assert set(REGION_NAMES) == MAINLAND_PROVINCES | set(SUPERVISED_CITIES)


def test_each_supervised_city_lies_in_the_province_of_its_first_two_digits() -> None:
    assert dict(SUPERVISED_CITIES) == {city: f"{city[:2]}0000" for city in SUPERVISED_CITIES}


def test_names_are_given_once_each_in_both_languages() -> None:
    assert len({zh for zh, _ in REGION_NAMES.values()}) == len(REGION_NAMES)
    assert len({en for _, en in REGION_NAMES.values()}) == len(REGION_NAMES)


@pytest.mark.parametrize(
    ("codes", "region", "is_covered"),
    [
        pytest.param({"440000"}, "440000", True, id="a province covers itself"),
        pytest.param({"440000"}, "440300", True, id="a province covers its supervised city"),
        pytest.param({"440300"}, "440300", True, id="a city covers itself"),
        pytest.param({"440300"}, "440000", False, id="a city does not cover its province"),
        pytest.param({"210200"}, "440300", False, id="a city does not cover another"),
        pytest.param({"210000"}, "440300", False, id="a province does not cover another's city"),
        pytest.param(("110000", "210000"), "210200", True, id="any of several codes will do"),
        pytest.param((), "110000", False, id="no code covers nothing"),
    ],
)
def test_a_province_covers_its_city_and_a_city_only_itself(
    codes: set[str] | tuple[str, ...],
    region: str,
    is_covered: bool,
) -> None:
    assert covers(codes, region) is is_covered


@pytest.mark.parametrize(
    ("code", "region"),
    [
        pytest.param("440305", "440300", id="a district of Shenzhen"),
        pytest.param("440300", "440300", id="Shenzhen"),
        pytest.param("440106", "440000", id="a district of Guangzhou"),
        pytest.param("440000", "440000", id="Guangdong"),
        pytest.param("210203", "210200", id="a district of Dalian"),
        pytest.param("330212", "330200", id="a district of Ningbo"),
        pytest.param("350203", "350200", id="a district of Xiamen"),
        pytest.param("370202", "370200", id="a district of Qingdao"),
        pytest.param("110101", "110000", id="a district of Beijing"),
        pytest.param("659001", "650000", id="a county under Xinjiang itself"),
        pytest.param("810000", None, id="Hong Kong"),
        pytest.param("820000", None, id="Macao"),
        pytest.param("710000", None, id="Taiwan"),
        pytest.param("160000", None, id="no such province"),
        pytest.param("000000", None, id="zeros"),
        pytest.param("4403", None, id="four digits"),
        pytest.param("4403055", None, id="seven digits"),
        pytest.param("", None, id="empty"),
        pytest.param("44030a", None, id="a letter"),
        pytest.param("440305\n", None, id="a line end"),
        pytest.param("４４０３０５", None, id="digits of full width"),
    ],
)
def test_any_code_of_the_mainland_belongs_to_a_province_or_supervised_city(code: str, region: str | None) -> None:
    assert callee_region(code) == region


@pytest.mark.parametrize(
    ("name", "region"),
    [
        pytest.param("北京市", "110000", id="a municipality"),
        pytest.param("天津", "120000", id="a municipality without its rank"),
        pytest.param("广东省深圳市", "440300", id="a supervised city"),
        pytest.param("广东省广州市", "440000", id="another city"),
        pytest.param("内蒙古呼伦贝尔", "150000", id="a short name of three characters"),
        pytest.param("黑龙江省大兴安岭地区", "230000", id="another of three"),
        pytest.param("广西壮族自治区南宁市、崇左市", "450000", id="the full name of an autonomous region"),
        pytest.param("青海省海南藏族自治州", "630000", id="Hainan prefecture of Qinghai is not Hainan"),
        pytest.param("吉林省吉林市", "220000", id="a city of its province's name"),
        pytest.param("辽宁省沈阳市、铁岭市", "210000", id="two cities of one province"),
        pytest.param("河北省廊坊市、北京市", None, id="two provinces"),
        pytest.param("辽宁省大连市、营口市", None, id="a supervised city and another"),
        pytest.param("中国", None, id="the whole country"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_chinese_place_is_of_the_province_it_begins_with(name: str, region: str | None) -> None:
    assert region_of_place(name) == region


@pytest.mark.parametrize(
    ("name", "region"),
    [
        pytest.param("Shanghai", "310000", id="a municipality"),
        pytest.param("Simao, Yunnan", "530000", id="a city"),
        pytest.param("Xiamen, Fujian", "350200", id="a supervised city"),
        pytest.param("Huhehaote, Inner Mongolia", "150000", id="a province of two words"),
        pytest.param("Shunde/Foshan, Guangdong", "440000", id="two cities of one province"),
        pytest.param("Shenzhen/Foshan, Guangdong", None, id="a supervised city and another"),
        pytest.param("China", None, id="the whole country"),
    ],
)
def test_an_english_place_is_of_the_province_it_ends_with(name: str, region: str | None) -> None:
    assert region_of_english_place(name) == region
