import sys
import unicodedata

import pytest

from compliance.phone_numbers import NumberKind, PhoneNumber, is_scientific_notation, normalise

BEIJING_MOBILE = PhoneNumber("+8613800138000", NumberKind.MOBILE, mainland=True, region="110000")
BEIJING_LANDLINE = PhoneNumber("+861082345678", NumberKind.LANDLINE, mainland=True, region="110000")
SHENZHEN_LANDLINE = PhoneNumber("+8675582345678", NumberKind.LANDLINE, mainland=True, region="440300")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("13800138000", id="plain"),
        pytest.param("138 0013 8000", id="spaces"),
        pytest.param("138-0013-8000", id="hyphens"),
        pytest.param("138.0013.8000", id="dots"),
        pytest.param("138·0013·8000", id="middle dots"),
        pytest.param("138\u00a00013\u00a08000", id="no-break spaces"),
        pytest.param("138\u30000013\u30008000", id="ideographic spaces"),
        pytest.param("\ufeff138\u200b0013\u200d8000", id="BOM and zero-width signs"),
        pytest.param("\u202d13800138000\u202c", id="direction marks of a copied contact"),
        pytest.param("138–0013—8000", id="en and em dash"),
        pytest.param("138‑0013−8000", id="no-break hyphen and minus"),
        pytest.param("１３８００１３８０００", id="full width"),
        pytest.param("＋８６１３８００１３８０００", id="full width with country code"),
        pytest.param("١٣٨٠٠١٣٨٠٠٠", id="Arabic-Indic digits"),
        pytest.param("+8613800138000", id="E.164"),
        pytest.param("+86 138 0013 8000", id="E.164 with spaces"),
        pytest.param("(+86)13800138000", id="country code in brackets"),
        pytest.param("（＋８６）138-0013-8000", id="country code in brackets of full width"),
        pytest.param("+(86)13800138000", id="only 86 in brackets"),
        pytest.param("0086 13800138000", id="0086"),
        pytest.param("008613800138000", id="0086 joined"),
        pytest.param("8613800138000", id="86"),
        pytest.param("86-138-0013-8000", id="86 with hyphens"),
        pytest.param("08613800138000", id="086"),
        pytest.param("+008613800138000", id="plus and 0086"),
        pytest.param("+86 013800138000", id="country code and 0"),
        pytest.param("+860138 0013 8000", id="country code and 0 joined"),
        pytest.param("0086(0)13800138000", id="0 in brackets"),
        pytest.param("013800138000", id="0 before a mobile"),
        pytest.param("0 138 0013 8000", id="0 and a space"),
        pytest.param("0 0 8 6 1 3 8 0 0 1 3 8 0 0 0", id="spaces everywhere"),
        pytest.param("1790913800138000", id="17909"),
        pytest.param("17909 013800138000", id="17909 and 0"),
        pytest.param("17909 008613800138000", id="17909 and 0086"),
        pytest.param("17909-8613800138000", id="17909 and 86"),
        pytest.param("1180813800138000", id="11808"),
        pytest.param("1795113800138000", id="17951"),
        pytest.param("1791113800138000", id="17911"),
        pytest.param("1259313800138000", id="12593"),
        pytest.param("1790013800138000", id="17900"),
        pytest.param("+861790913800138000", id="country code before a carrier code"),
        pytest.param("9,13800138000", id="outside line 9"),
        pytest.param("0,13800138000", id="outside line 0"),
        pytest.param("9，013800138000", id="outside line and a comma of full width"),
        pytest.param("9,,17909,13800138000", id="outside line and carrier with pauses"),
        pytest.param("9p13800138000", id="outside line and p"),
        pytest.param("9W13800138000", id="outside line and w"),
        pytest.param("9;13800138000", id="outside line and a semicolon"),
        pytest.param("9-13800138000", id="outside line and a hyphen"),
        pytest.param("9-+8613800138000", id="outside line, hyphen and country code"),
        pytest.param("13800138000转801", id="extension"),
        pytest.param("13800138000-801", id="extension behind a hyphen"),
        pytest.param("+86-13800138000-801", id="extension behind a hyphen, with country code"),
        pytest.param("13800138000,801,2#", id="digits after pauses"),
        pytest.param("tel:+86-138-0013-8000", id="URI"),
        pytest.param("tel:+8613800138000;ext=801", id="URI with extension"),
        pytest.param("tel:13800138000;phone-context=+86", id="URI with context"),
        pytest.param("TEL://%2B8613800138000", id="URI with escapes"),
        pytest.param("tel:+8613800138000;phone-context=+1", id="URI with context of no effect"),
        pytest.param("Tel. 13800138000", id="label"),
        pytest.param("联系电话：13800138000", id="Chinese label"),
        pytest.param("手机号 13800138000", id="label for mobiles"),
        pytest.param("'13800138000", id="apostrophe of a spreadsheet"),
        pytest.param('="13800138000"', id="formula of a spreadsheet"),
        pytest.param("“13800138000”", id="Chinese quotation marks"),
        pytest.param("13800138000.0", id="float of a spreadsheet"),
        pytest.param("13800138000.00", id="float of two decimals"),
        pytest.param("tel:13800138000.0", id="URI of a float"),
        pytest.param("13800138000.0转801", id="float and an extension"),
        pytest.param("tel:9,13800138000", id="URI with an outside line"),
        pytest.param("138.0013.80.00", id="dots, of which the last is no decimal point"),
        pytest.param("13800138000,", id="comma of a list"),
        pytest.param("13800138000。", id="full stop"),
        pytest.param(" 13800138000\r\n", id="line end"),
    ],
)
def test_every_spelling_of_a_mobile_is_the_same_number(text: str) -> None:
    assert normalise(text) == BEIJING_MOBILE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("010-82345678", id="hyphen"),
        pytest.param("(010)82345678", id="brackets"),
        pytest.param("（010）8234 5678", id="brackets of full width"),
        pytest.param("010/82345678", id="slash behind the area code"),
        pytest.param("+86 010/8234-5678", id="slash with country code"),
        pytest.param("01082345678", id="joined"),
        pytest.param("1082345678", id="without 0, as spreadsheets leave it"),
        pytest.param("1082345678.0", id="without 0, as a float"),
        pytest.param("86 10 8234 5678", id="86"),
        pytest.param("+86-10-82345678", id="country code"),
        pytest.param("+86 010 82345678", id="country code and 0"),
        pytest.param("0086-010-82345678", id="0086 and 0"),
        pytest.param("17909 010 82345678", id="carrier code"),
        pytest.param("9,010-82345678", id="outside line"),
        pytest.param("0,010-82345678", id="outside line 0"),
        pytest.param("9-010-82345678", id="outside line and a hyphen"),
        pytest.param("010-82345678转801", id="extension"),
        pytest.param("010-82345678 转 801", id="extension with spaces"),
        pytest.param("010-82345678 ext. 801", id="ext."),
        pytest.param("010-82345678 Extension: 801", id="extension in full"),
        pytest.param("010-82345678x801", id="x"),
        pytest.param("010-82345678×801", id="multiplication sign"),
        pytest.param("010-82345678,801", id="comma"),
        pytest.param("010-82345678#801", id="number sign"),
        pytest.param("010-82345678分机801", id="Chinese extension"),
        pytest.param("010-82345678（分机号：801）", id="extension in brackets"),
        pytest.param("010-82345678-801", id="extension behind a hyphen"),
        pytest.param("+86-10-82345678-801", id="extension behind a hyphen, with country code"),
    ],
)
def test_every_spelling_of_a_landline_is_the_same_number(text: str) -> None:
    assert normalise(text) == BEIJING_LANDLINE


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("0755 82345678", SHENZHEN_LANDLINE, id="area code of three digits"),
        pytest.param("75582345678", SHENZHEN_LANDLINE, id="area code without 0"),
        pytest.param(
            "0355-2345678",
            PhoneNumber("+863552345678", NumberKind.LANDLINE, mainland=True, region="140000"),
            id="seven digits",
        ),
        pytest.param(
            "400-800-1234",
            PhoneNumber("+864008001234", NumberKind.SERVICE, mainland=True, region=None),
            id="400",
        ),
        pytest.param(
            "+86 800 810 1234",
            PhoneNumber("+868008101234", NumberKind.SERVICE, mainland=True, region=None),
            id="800",
        ),
        pytest.param(
            "+852 9123 4567",
            PhoneNumber("+85291234567", NumberKind.FOREIGN, mainland=False, region=None),
            id="Hong Kong",
        ),
        pytest.param(
            "00853 6612 3456",
            PhoneNumber("+85366123456", NumberKind.FOREIGN, mainland=False, region=None),
            id="Macao",
        ),
        pytest.param(
            "+886 0912 345 678",
            PhoneNumber("+886912345678", NumberKind.FOREIGN, mainland=False, region=None),
            id="Taiwan",
        ),
        pytest.param(
            "+1 (202) 555-0123",
            PhoneNumber("+12025550123", NumberKind.FOREIGN, mainland=False, region=None),
            id="United States",
        ),
        pytest.param(
            "0013802345678",
            PhoneNumber("+13802345678", NumberKind.FOREIGN, mainland=False, region=None),
            id="United States, though it ends like a mobile of the mainland",
        ),
        pytest.param(
            "9,17909,0085291234567",
            PhoneNumber("+85291234567", NumberKind.FOREIGN, mainland=False, region=None),
            id="Hong Kong by outside line and carrier",
        ),
        pytest.param(
            "17312345678",
            PhoneNumber("+8617312345678", NumberKind.MOBILE, mainland=True, region=None),
            id="a mobile of unknown region",
        ),
    ],
)
def test_kind_and_region_follow_the_number(text: str, number: PhoneNumber) -> None:
    assert normalise(text) == number


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" \u3000\u200b", id="blank"),
        pytest.param("+", id="only a plus"),
        pytest.param("()", id="only brackets"),
        pytest.param("1380013800", id="mobile of ten digits"),
        pytest.param("138001380000", id="mobile of twelve digits"),
        pytest.param("+86138001380000", id="mobile of twelve digits with country code"),
        pytest.param("+861380013800", id="mobile of ten digits with country code"),
        pytest.param("01380013800", id="mobile of ten digits with 0"),
        pytest.param("1380013800.0", id="mobile of ten digits as a float"),
        pytest.param("1380013800.0转801", id="mobile of ten digits as a float, and an extension"),
        pytest.param("tel:1380013800.0", id="mobile of ten digits as a float in a URI"),
        pytest.param("(1380013800.0) ", id="mobile of ten digits as a float in brackets"),
        pytest.param("13800138.000", id="eight digits as a float of three decimals"),
        pytest.param("861313800138000", id="digits between 86 and a mobile"),
        pytest.param("868613800138000", id="86 twice"),
        pytest.param("0013800138000", id="00 before a mobile is an international call"),
        pytest.param("00013800138000", id="three zeros"),
        pytest.param("12800138000", id="network that does not exist"),
        pytest.param("15400138000", id="mobile prefix that does not exist"),
        pytest.param("1064812345678", id="number of a machine"),
        pytest.param("82345678", id="landline without area code"),
        pytest.param("010-8234567", id="landline of too few digits"),
        pytest.param("010-823456789", id="landline of too many digits"),
        pytest.param("0999-82345678", id="landline of too many digits for its area"),
        pytest.param("+86 0010 82345678", id="two zeros behind the country code"),
        pytest.param("110", id="police"),
        pytest.param("119", id="fire"),
        pytest.param("120", id="ambulance"),
        pytest.param("+86110", id="police with country code"),
        pytest.param("010-110", id="police behind an area code"),
        pytest.param("12345", id="citizens' hotline"),
        pytest.param("12378", id="regulator's hotline"),
        pytest.param("95518", id="95xxx"),
        pytest.param("955181234", id="95xxxxxxx"),
        pytest.param("010-95518", id="95xxx behind an area code"),
        pytest.param("010-95518123", id="95xxx with more digits behind an area code"),
        pytest.param("0755-95518123", id="95xxx with more digits behind a longer area code"),
        pytest.param("9501312345678", id="95013"),
        pytest.param("96511", id="96xxx"),
        pytest.param("10086", id="100xx"),
        pytest.param("010-10086", id="100xx behind an area code"),
        pytest.param("10105555", id="1010xxxx"),
        pytest.param("16812345", id="premium"),
        pytest.param("16012345678", id="premium-like mobile"),
        pytest.param("+1 900 555 0123", id="premium abroad"),
        pytest.param("+852 1234", id="short number abroad"),
        pytest.param("+999 12345678", id="country that does not exist"),
        pytest.param("85291234567", id="Hong Kong without a plus"),
        pytest.param("+1 380 013 8000", id="mobile of the mainland behind a plus alone"),
        pytest.param("1.38E+10", id="scientific notation"),
        pytest.param("13,800,138,000", id="thousands"),
        pytest.param("138****8000", id="masked"),
        pytest.param("1380013800x", id="a digit left out"),
        pytest.param("13800138000 13900139000", id="two mobiles"),
        pytest.param("13800138000,13900139000", id="two mobiles and a comma"),
        pytest.param("13800138000;13900139000", id="two mobiles and a semicolon"),
        pytest.param("13800138000/13900139000", id="two mobiles and a slash"),
        pytest.param("13800138000、13900139000", id="two mobiles and an ideographic comma"),
        pytest.param("13800138000转13900139000", id="a mobile diverted to another"),
        pytest.param("0851-8234567/8", id="two landlines and a slash"),
        pytest.param("0851-8234567~8", id="a range"),
        pytest.param("0851-8234567〜8", id="a range with a wave dash"),
        pytest.param("138/0013/8000", id="slashes inside"),
        pytest.param("010,82345678", id="comma behind the area code"),
        pytest.param("0-0432-12345678", id="outside line and area code, or Austria"),
        pytest.param("9-1082345678", id="outside line, or a landline with a digit missing"),
        pytest.param("9-11", id="hardly anything"),
        pytest.param("tel:13800138000;phone-context=+1", id="URI with context abroad"),
        pytest.param("tel:82345678;phone-context=+8610", id="URI with a local number"),
        pytest.param("sip:13800138000@example.com", id="other URI"),
        pytest.param("张三13800138000", id="name"),
        pytest.param("1-800-FLOWERS", id="letters for digits"),
        pytest.param("86+13800138000", id="plus inside"),
        pytest.param("1380013800²", id="superscript"),
        pytest.param("1380013800⑧", id="digit in a circle"),
        pytest.param("一三八〇〇一三八〇〇〇", id="numerals in words"),
        pytest.param("13800138000\x00", id="NUL"),
        pytest.param("138\x00" + "00138000", id="NUL inside"),
        pytest.param("13800138000😀", id="emoji"),
        pytest.param("1\ufe0f\u20e33800138000", id="digit on a key"),
        pytest.param("\u202e00083100831", id="right-to-left override"),
        pytest.param("\ud800" + "13800138000", id="lone surrogate"),
        pytest.param(" " * 54 + "13800138000", id="65 characters"),
        pytest.param("1" * 65, id="65 digits"),
        pytest.param("9" * 1_000_000, id="a million digits"),
        pytest.param("1" * 64, id="64 digits"),
    ],
)
def test_what_is_no_number_or_could_be_two_is_none(text: str) -> None:
    assert normalise(text) is None


def test_text_of_64_characters_is_still_read() -> None:
    assert normalise(" " * 53 + "13800138000") == BEIJING_MOBILE


def test_every_decimal_digit_of_every_script_stands_for_itself() -> None:
    digits = [character for character in map(chr, range(sys.maxunicode + 1)) if character.isdecimal()]
    spelled = [normalise(f"1380013800{digit}") for digit in digits]
    assert [number.e164[-1] if number else None for number in spelled] == [
        str(unicodedata.decimal(digit)) for digit in digits
    ]


@pytest.mark.parametrize(
    ("text", "is_scientific"),
    [
        pytest.param("1.38E+10", True, id="spreadsheet"),
        pytest.param("1.38001E+10", True, id="more digits"),
        pytest.param("1.3800138E10", True, id="all digits, which nobody can know"),
        pytest.param("1E+10", True, id="no decimals"),
        pytest.param("1,38e+10", True, id="decimal comma"),
        pytest.param("'1.38E+10", True, id="apostrophe"),
        pytest.param("１．３８Ｅ＋１０", True, id="full width"),
        pytest.param("13800138000", False, id="number"),
        pytest.param("13800138000.0", False, id="float"),
        pytest.param("010-82345678 ext 801", False, id="extension"),
        pytest.param("E+10", False, id="no digits"),
        pytest.param("", False, id="empty"),
        pytest.param("1" * 65, False, id="65 digits"),
    ],
)
def test_scientific_notation_is_told_from_other_text(text: str, is_scientific: bool) -> None:
    assert is_scientific_notation(text) is is_scientific
