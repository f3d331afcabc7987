"""Regions of the mainland: provinces, and the five cities whose insurance regulator is not the province's.

Owns the codes (GB/T 2260, six digits), their names and which covers which. Hong Kong (81), Macao (82) and
Taiwan (71) are not of the mainland here: the Measures bind sales in the mainland only (art. 2).
"""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

REGION_NAMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "110000": ("北京市", "Beijing"),
        "120000": ("天津市", "Tianjin"),
        "130000": ("河北省", "Hebei"),
        "140000": ("山西省", "Shanxi"),
        "150000": ("内蒙古自治区", "Inner Mongolia"),
        "210000": ("辽宁省", "Liaoning"),
        "210200": ("大连市", "Dalian"),
        "220000": ("吉林省", "Jilin"),
        "230000": ("黑龙江省", "Heilongjiang"),
        "310000": ("上海市", "Shanghai"),
        "320000": ("江苏省", "Jiangsu"),
        "330000": ("浙江省", "Zhejiang"),
        "330200": ("宁波市", "Ningbo"),
        "340000": ("安徽省", "Anhui"),
        "350000": ("福建省", "Fujian"),
        "350200": ("厦门市", "Xiamen"),
        "360000": ("江西省", "Jiangxi"),
        "370000": ("山东省", "Shandong"),
        "370200": ("青岛市", "Qingdao"),
        "410000": ("河南省", "Henan"),
        "420000": ("湖北省", "Hubei"),
        "430000": ("湖南省", "Hunan"),
        "440000": ("广东省", "Guangdong"),
        "440300": ("深圳市", "Shenzhen"),
        "450000": ("广西壮族自治区", "Guangxi"),
        "460000": ("海南省", "Hainan"),
        "500000": ("重庆市", "Chongqing"),
        "510000": ("四川省", "Sichuan"),
        "520000": ("贵州省", "Guizhou"),
        "530000": ("云南省", "Yunnan"),
        "540000": ("西藏自治区", "Tibet"),
        "610000": ("陕西省", "Shaanxi"),
        "620000": ("甘肃省", "Gansu"),
        "630000": ("青海省", "Qinghai"),
        "640000": ("宁夏回族自治区", "Ningxia"),
        "650000": ("新疆维吾尔自治区", "Xinjiang"),
    }
)
"""Every region code that a callee can have, with its name in Chinese and in English."""

SUPERVISED_CITIES: Mapping[str, str] = MappingProxyType(
    {"210200": "210000", "330200": "330000", "350200": "350000", "370200": "370000", "440300": "440000"}
)
"""The cities with an insurance regulator of their own, each with the province around it."""

MAINLAND_PROVINCES: frozenset[str] = frozenset(REGION_NAMES) - frozenset(SUPERVISED_CITIES)

_SIX_DIGITS = re.compile(r"[0-9]{6}")
_LONG_SHORT_NAMES = ("内蒙古", "黑龙江")


def _short_name(name_zh: str) -> str:
    """Return the province's name without its rank, as places are written: 广西 for 广西壮族自治区."""
    return name_zh[:3] if name_zh.startswith(_LONG_SHORT_NAMES) else name_zh[:2]


_PROVINCES_ZH = tuple((_short_name(REGION_NAMES[code][0]), code) for code in sorted(MAINLAND_PROVINCES))
_PROVINCES_EN = {REGION_NAMES[code][1]: code for code in MAINLAND_PROVINCES}
_CITIES_ZH = tuple((REGION_NAMES[city][0], city, province) for city, province in SUPERVISED_CITIES.items())
_CITIES_EN = {(REGION_NAMES[city][1], province): city for city, province in SUPERVISED_CITIES.items()}


def covers(codes: Collection[str], region: str) -> bool:
    """Say whether `codes` take in `region`: a province takes in its supervised city, a city only itself."""
    return region in codes or SUPERVISED_CITIES.get(region) in codes


def callee_region(code: str) -> str | None:
    """Return the province, or the supervised city, of any six-digit administrative code of the mainland.

    >>> callee_region("440305"), callee_region("440106"), callee_region("810000")
    ('440300', '440000', None)
    """
    if _SIX_DIGITS.fullmatch(code) is None:
        return None
    city, province = f"{code[:4]}00", f"{code[:2]}0000"
    if city in SUPERVISED_CITIES:
        return city
    return province if province in MAINLAND_PROVINCES else None


def region_of_place(name_zh: str) -> str | None:
    """Return the region of a Chinese place name that begins with its province.

    A name may list several places (`辽宁省沈阳市、铁岭市`); a later one without a province is in that of the one
    before. Places of two regions have no region in common: None, as for a name of no province.

    >>> region_of_place("浙江省宁波市"), region_of_place("广西南宁市"), region_of_place("中国")
    ('330200', '450000', None)
    """
    found: set[str | None] = set()
    province: str | None = None
    for place in name_zh.split("、"):
        province = next((code for short, code in _PROVINCES_ZH if place.startswith(short)), province)
        cities = (city for name, city, around in _CITIES_ZH if around == province and place.endswith(name))
        found.add(next(cities, province))
    return found.pop() if len(found) == 1 else None


def region_of_english_place(name_en: str) -> str | None:
    """Return the region of an English place name that ends with its province: `Simao, Yunnan`.

    Several places before the province are divided by `/`; of two regions, the answer is None.

    >>> region_of_english_place("Dalian, Liaoning"), region_of_english_place("Shanghai")
    ('210200', '310000')
    """
    places, _, province_name = name_en.rpartition(", ")
    province = _PROVINCES_EN.get(province_name)
    if province is None:
        return None
    found = {_CITIES_EN.get((place, province), province) for place in places.split("/")}
    return found.pop() if len(found) == 1 else None
