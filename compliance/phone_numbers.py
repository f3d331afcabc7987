"""Telephone numbers as people type and systems send them, in one normal form, so that a person is found.

Owns how a number is read (E.164), its kind and where it belongs, and how it is masked. A refused customer
must be recognised in every spelling (art. 25(2)), and one customer must never be taken for another: a text
that could be two numbers, or is none, is no number. It guesses nothing.

Read: white space and invisible marks, dashes, brackets and dots between digits; digits and signs of full
width, and the decimal digits of other scripts; +86, 0086, 86 or 086 before a number; a 0 before a mobile; an
area code with or without its 0; IP carrier codes (17909, 11808); an outside line (`9,` `0,` `9-`); pauses;
extensions, which are dropped; `tel:` URIs; quotation marks; the `.0` that spreadsheets append.

Refused: letters and other signs, two numbers in one text, landlines without an area code, and `/` except
behind an area code, because `0851-8234567/8` is two landlines.
"""

import re
import unicodedata
from enum import StrEnum
from urllib.parse import unquote

import phonenumbers
from msgspec import Struct
from phonenumbers import NumberParseException, PhoneNumberType

from compliance.mobile_prefixes import (
    FIRST_PREFIX,
    NO_MOBILE,
    REGION_CODES,
    attributions,
    landline_region,
)


class NumberKind(StrEnum):
    MOBILE = "mobile"
    LANDLINE = "landline"
    SERVICE = "service"
    """400 and 800 numbers: a business that can be called, of no region."""
    FOREIGN = "foreign"
    """Hong Kong, Macao, Taiwan and abroad."""


class PhoneNumber(Struct, frozen=True, gc=False):
    """A number that a person can be called on. `region` is a code of `regions.REGION_NAMES` or None."""

    e164: str
    kind: NumberKind
    mainland: bool
    region: str | None


_LONGEST_TEXT = 64
_MOBILE = NumberKind.MOBILE
"""Looked up once: of an enumeration that takes as long as the rest of a `PhoneNumber`."""

_CARRIER = r"(?:179\d\d|118\d\d|12593|12520|10193)"
"""Access codes of IP and discount telephony (and 12520, mobile messages by network), dialled before a number."""

_PAUSE = "[,;pw]"
_OUTSIDE_LINE = re.compile(rf"\A(?:(?:[09]|{_CARRIER})[ -]*{_PAUSE}+[ -]*)+")
_OUTSIDE_LINE_AND_DASH = re.compile(r"9-+ *(?=[01+(])")
_LABEL = re.compile(r"\A(?:tel|phone|mobile|(?:联系)?(?:电话|手机)(?:号码?)?)[.: ]*")
_URI = re.compile(r"tel:/*")
_AROUND = " '\"`´‘’“”,;、"
_EXTENSION = re.compile(
    rf"(?:转接?|轉|分机号?|分機|内线|ext(?:ension|n)?|[x×#*]|{_PAUSE}+)[.:# -]*\d{{1,8}}(?:{_PAUSE}+\d{{1,8}})*#?[) ]*"
)
_DASHED_EXTENSION = re.compile(
    r"((?:(?:\+|00)?86[ -]?)?(?:0?1\d{10}|\(?0\d{2,3}\)?[ -]?\d{7,8})|(?:\+|00)86[ -]?\d{2,3}[ -]\d{7,8})-\d{2,6}"
)
_AREA_AND_SLASH = re.compile(r"((?:(?:\+|00)?86[ -]*)?\(?0\d{2,3}\)?) *[/] *(\d[\d -]*)")
_DECIMAL_ZEROS = re.compile(r"([^.]*)\.0+")
_BODY = re.compile(r"[ (.-]*\+?[\d ().-]*")
_SCIENTIFIC = re.compile(r"=?[+-]?\d(?:[.,]\d*)?e[+-]?\d{1,3}")
_CARRIER_AND_NUMBER = re.compile(rf"{_CARRIER}(\d{{10,}})")
_ZERO_AND_NEW_NUMBER = re.compile(r"0[ .-]+0(?!86)[1-9]\d")
"""An outside line and an area code, or an international number: `0-0432-...` could be both."""

_SERVICE = re.compile(r"[48]00\d{7}")
_MAINLAND_PREFIX = re.compile(r"\A(?:\+|00)?86")
_SHORT_SERVICE = re.compile(r"95\d{3,7}|96\d{3,4}|10[01]\d{2,5}")
_SERVICE_AFTER_AREA_CODE = re.compile(r"(?:10|2\d|[3-9]\d\d)95\d+")
_LEAST_LANDLINE_DIGITS = 10
_MOBILE_DIGITS = 11


def normalise(text: str) -> PhoneNumber | None:
    """Return the number that `text` spells if a person can be called on it, else None.

    None also for emergency, short service (95xxx, 100xx) and premium numbers, and for any text in doubt.
    Every spelling of a number gives the same answer, and so does the E.164 of the answer.

    >>> normalise("0086 (0)138-0013-8000").e164
    '+8613800138000'
    """
    return _plain_mobile(text) or _read(text)


def normalise_caller(text: str) -> str | None:
    """Return the E.164 of a number that may be shown to the customer, or None.

    Beside what can be called: the national short numbers 95xxx (to nine digits), 96xxx, 100xx and 101xx, as
    +86 and the digits, though E.164 knows no such numbers.

    >>> normalise_caller("95518"), normalise_caller("400-800-0000")
    ('+8695518', '+864008000000')
    """
    spelling = _spelling(text)
    if spelling is None:
        return None
    digits = _digits(_without_extension(spelling))
    if digits is not None and _SHORT_SERVICE.fullmatch(short := _MAINLAND_PREFIX.sub("", digits)):
        return f"+86{short}"
    number = normalise(text)
    return None if number is None else number.e164


def is_scientific_notation(text: str) -> bool:
    """Say whether a spreadsheet has turned a number into one like 1.38E+10, whose last digits are lost."""
    spelling = _spelling(text)
    return spelling is not None and _SCIENTIFIC.fullmatch(spelling) is not None


def masked(e164: str) -> str:
    """Return a number for eyes that may not see it: area or network code, and at most the last four digits.

    At least four digits stay hidden. What is not E.164 is hidden altogether.

    >>> masked("+8613800138000"), masked("+861012345678"), masked("+85291234567"), masked("+8695518")
    ('138****8000', '010****5678', '+852****4567', '95****')
    """
    if re.fullmatch(r"\+[0-9]{5,15}", e164) is None:
        return "****"
    head, rest = _head_and_rest(e164)
    shown = max(0, min(4, len(rest) - 4))
    return f"{head}****{rest[len(rest) - shown :]}"


def _head_and_rest(e164: str) -> tuple[str, str]:
    national = e164[3:]
    if not e164.startswith("+86"):
        known = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
        length = next((length for length in (1, 2, 3) if int(e164[1 : 1 + length]) in known), 0)
        return e164[: 1 + length], e164[1 + length :]
    if _is_mobile_shape(national) or _SERVICE.fullmatch(national):
        return national[:3], national[3:]
    if len(national) < _LEAST_LANDLINE_DIGITS:
        return national[:2], national[2:]
    area_digits = 2 if national.startswith(("10", "2")) else 3
    return f"0{national[:area_digits]}", national[area_digits:]


def _plain_mobile(text: str) -> PhoneNumber | None:
    """Read the usual spellings of mainland mobiles, which are nearly all numbers, without any parser.

    It may only know less than `_read`, never say something else.
    """
    national = text.removeprefix("+86")
    if len(national) != _MOBILE_DIGITS:
        national = _without_separators(text)
    return _mobile(national) if _is_mobile_shape(national) and national.isascii() and national.isdecimal() else None


def _without_separators(text: str) -> str:
    """Return `text` without spaces, hyphens and one 86 before the number; "" if it is too long to be one."""
    if len(text) > _LONGEST_TEXT:
        return ""
    digits = text.replace(" ", "").replace("-", "")
    if len(digits) == _MOBILE_DIGITS:
        return digits
    # 00 goes only together with 86: 0013802345678 is a number in the United States.
    prefix = next((prefix for prefix in ("+86", "86", "0086") if digits.startswith(prefix)), "")
    return digits[len(prefix) :]


def _is_mobile_shape(national: str) -> bool:
    return len(national) == _MOBILE_DIGITS and "13" <= national < "2"


def _mobile(national: str) -> PhoneNumber | None:
    entry = attributions()[int(national[:7]) - FIRST_PREFIX]
    if entry == NO_MOBILE:
        return None
    return PhoneNumber("+86" + national, _MOBILE, True, REGION_CODES[entry])  # noqa: FBT003 -- positional is faster


def _read(text: str) -> PhoneNumber | None:
    spelling = _spelling(text)
    if spelling is None:
        return None
    spelling = _without_extension(spelling)
    number = _number(_digits(spelling))
    if number is None and (dashed := _DASHED_EXTENSION.fullmatch(spelling)):
        number = _number(_digits(dashed[1]))
    if number is None and (dialled := _OUTSIDE_LINE_AND_DASH.match(spelling)):
        number = _number_behind_nine(_digits(spelling[dialled.end() :]))
    return number


def _number_behind_nine(digits: str | None) -> PhoneNumber | None:
    """Read what follows `9-`, unless the 9 may be the first digit of a landline that lacks some others."""
    return None if digits is None or len(digits) < _MOBILE_DIGITS else _number(digits)


class _Signs(dict[int, str]):
    """What each character stands for, by code point, worked out when asked; nothing is kept."""

    def __missing__(self, code: int) -> str:
        return _sign(chr(code))


def _sign(character: str) -> str:
    """Return the plain sign of a character, "" for one that is invisible.

    A right-to-left override shows digits in another order than it stores them: in doubt, it stays and
    makes the text no number. So do control characters, and wave dashes, which mean a range of numbers.
    """
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Zs" or character in "\t\r\n\u2028\u2029":
        return " "
    if category == "Cf" and character != "\u202e":
        return ""
    if category == "Pd" and character not in "〜〰":
        return "-"
    plain = _PLAIN.get(character)
    if plain is not None:
        return plain
    is_full_width = "！" <= character <= "～"
    return chr(ord(character) - 0xFEE0).lower() if is_full_width else character.lower()


_PLAIN = {
    **dict.fromkeys("−‒–—―⁃─━ー", "-"),
    **dict.fromkeys("．。·•", "."),
    **dict.fromkeys("([{（［｛【〔「『", "("),
    **dict.fromkeys(")]}）］｝】〕」』", ")"),
    "＋": "+",
}
_SIGNS = _Signs()


def _spelling(text: str) -> str | None:
    """Return `text` in plain signs and lower case, without quotes, label, URI and outside line."""
    if len(text) > _LONGEST_TEXT:
        return None
    spelling = text.translate(_SIGNS).strip(" ").removeprefix("=").strip(_AROUND)
    uri = _URI.match(spelling)
    if uri is not None:
        return _uri_number(spelling[uri.end() :])
    return _OUTSIDE_LINE.sub("", _LABEL.sub("", spelling))


def _uri_number(number: str) -> str | None:
    """Return the number of a `tel:` URI (RFC 3966) without its parameters; None if its context is abroad."""
    subscriber, _, parameters = unquote(number).partition(";")
    context = re.search(r"phone-context=(\+\d+)", parameters)
    if context is not None and not context[1].startswith("+86") and not subscriber.startswith("+"):
        return None
    return _OUTSIDE_LINE.sub("", subscriber.strip())


def _without_extension(spelling: str) -> str:
    """Drop what is dialled after the call is answered; matching is by the line, whoever sits behind it."""
    body = _BODY.match(spelling)
    end = 0 if body is None else body.end()
    return spelling[:end] if end and _EXTENSION.fullmatch(spelling, end) else spelling


def _digits(spelling: str) -> str | None:
    """Return the digits of a spelling, with the + if it has one; None if it is anything but one number."""
    slashed = _AREA_AND_SLASH.fullmatch(spelling)
    if slashed is not None:
        spelling = f"{slashed[1]}{slashed[2]}"
    if _BODY.fullmatch(spelling) is None or _ZERO_AND_NEW_NUMBER.match(spelling):
        return None
    digits = re.sub(r"[ ()-]", "", spelling)
    # One dot before nothing but zeros is a spreadsheet's: 1380013800.0 lacks a digit, and is not 13800138000.
    zeros = _DECIMAL_ZEROS.fullmatch(digits)
    return digits.replace(".", "") if zeros is None else zeros[1]


def _number(digits: str | None) -> PhoneNumber | None:
    """Read digits as dialled in the mainland: national, behind a carrier code, or international."""
    if not digits:
        return None
    behind_carrier = _CARRIER_AND_NUMBER.fullmatch(digits)
    if behind_carrier is not None:
        digits = behind_carrier[1]
    if digits.startswith(("86", "086")):
        digits = "+" + digits.removeprefix("0")
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if digits.startswith("+00"):
        digits = "+" + digits[3:]
    if digits.startswith("+86"):
        return _mainland(_without_carrier(digits[3:]))
    return _foreign(digits) if digits.startswith("+") else _mainland(digits.removeprefix("0"))


def _without_carrier(national: str) -> str:
    """Drop the trunk 0 behind +86, and the carrier code of a dialled string to which +86 was added."""
    behind_carrier = _CARRIER_AND_NUMBER.fullmatch(national)
    return (behind_carrier[1] if behind_carrier else national).removeprefix("0")


def _mainland(national: str) -> PhoneNumber | None:
    if _is_mobile_shape(national):
        return _mobile(national)
    if _SERVICE.fullmatch(national):
        kind, region = NumberKind.SERVICE, None
    elif len(national) >= _LEAST_LANDLINE_DIGITS and _is_landline(national):
        kind, region = NumberKind.LANDLINE, landline_region(national)
    else:
        return None
    return PhoneNumber(f"+86{national}", kind, mainland=True, region=region)


def _is_landline(national: str) -> bool:
    """Ask the library, without its parser, which would take a carrier code for part of some numbers.

    A service number (95xxx) behind an area code is valid to the library, but nobody's line.
    """
    if national.startswith("0") or _SERVICE_AFTER_AREA_CODE.fullmatch(national):
        return False
    number = phonenumbers.PhoneNumber(country_code=86, national_number=int(national))
    return bool(phonenumbers.number_type(number) == PhoneNumberType.FIXED_LINE)


def _foreign(digits: str) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(digits)
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    if phonenumbers.number_type(number) == PhoneNumberType.PREMIUM_RATE:
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return PhoneNumber(str(e164), NumberKind.FOREIGN, mainland=False, region=None)
