"""Numbers under any decoration, and texts that are none."""

import re

from hypothesis import given
from hypothesis import strategies as st

from compliance import phone_numbers
from compliance.phone_numbers import is_scientific_notation, normalise, normalise_caller

CALLABLE_NATIONAL = (
    "13800138000",
    "13012345678",
    "14712345678",
    "15912345678",
    "16612345678",
    "17312345678",
    "18612345678",
    "19912345678",
    "1082345678",
    "2182345678",
    "75582345678",
    "41182345678",
    "3552345678",
    "8512345678",
    "85182345678",
    "4008001234",
    "8008101234",
)


INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u202d\u2060\u2066\u2069\ufeff\u00ad"


SEPARATORS = [
    "",
    "",
    "",
    " ",
    "  ",
    "\u00a0",
    "\u3000",
    "\u2009",
    "\t",
    *INVISIBLE,
    *"-‐‑‒–—―−﹣－",
    "(",
    ")",
    "（",
    "）",
]


EXTENSIONS = [
    "",
    "",
    "转801",
    " ext. 801",
    "x801",
    "X801",
    ",801",
    "#801",
    "分机801",
    "分机号：801",
    "p801",
    "w801",
    ";801#",
]


CARRIERS = ["", "17909", "11808", "17951", "17911", "12593", "17900"]


QUOTES = [("", ""), ("'", ""), ('"', '"'), ('="', '"'), (" ", "\n"), ("\ufeff", ""), ("tel:", ""), ("电话：", "")]


FULL_WIDTH = str.maketrans("0123456789+-()", "０１２３４５６７８９＋－（）")


separators = st.sampled_from(SEPARATORS)


@st.composite
def decorated(draw: st.DrawFn, national: str) -> str:
    """Spell a national number (without 0) in some way that leaves no doubt which number it is."""
    carrier = draw(st.sampled_from(CARRIERS))
    country = draw(st.sampled_from(["", "+86", "86", "0086", "086"] if not carrier else ["", "86", "0086"]))
    trunk = draw(st.sampled_from(["", "0"])) if national[0] not in "48" or len(national) != 10 else ""
    plain = f"{carrier}{country}{trunk}{national}"
    digits = plain.removeprefix("+")
    gaps = draw(st.lists(separators, min_size=len(digits), max_size=len(digits)))
    body = plain[: len(plain) - len(digits)] + "".join(map("".join, zip(digits, gaps, strict=True)))
    if not country and not carrier:
        body = draw(st.sampled_from(["", "9,", "0,", "9p", "9,,", "9，", "17909,"])) + body
    before, after = draw(st.sampled_from(QUOTES))
    spelled = before + body + draw(st.sampled_from(EXTENSIONS)) + after
    return draw(st.sampled_from([spelled, spelled.translate(FULL_WIDTH)]))


@st.composite
def decorated_pairs(draw: st.DrawFn) -> tuple[str, str]:
    national = draw(st.sampled_from(CALLABLE_NATIONAL))
    return draw(decorated(national).filter(lambda text: len(text) <= 64)), f"+86{national}"


@given(decorated_pairs())
def test_any_decoration_of_a_number_is_the_same_number(pair: tuple[str, str]) -> None:
    text, e164 = pair
    number = normalise(text)
    assert number is not None
    assert number.e164 == e164


@given(decorated_pairs())
def test_a_number_that_can_be_called_can_be_shown(pair: tuple[str, str]) -> None:
    text, e164 = pair
    assert normalise_caller(text) == e164


@given(st.integers(min_value=10**6, max_value=10**14).map(lambda number: f"+{number}"))
def test_what_normalise_gives_it_takes_back_unchanged(text: str) -> None:
    number = normalise(text)
    assert number is None or normalise(number.e164) == number


usual = st.from_regex(r"\A(\+?86|0086|00|0|86|\+)?[- ]?1[0-9]{2}[- ]?[0-9]{4}[- ]?[0-9]{3,5}\Z")


@given(usual | st.text(alphabet="+ -01368", max_size=20))
def test_the_fast_way_never_says_other_than_the_thorough_one(text: str) -> None:
    fast = phone_numbers._plain_mobile(text)
    assert fast is None or fast == phone_numbers._read(text)


@given(st.integers(min_value=13_000_000_000, max_value=19_999_999_999).map(str))
def test_the_fast_way_reads_every_plain_mobile_that_the_thorough_one_reads(text: str) -> None:
    assert phone_numbers._plain_mobile(text) == phone_numbers._read(text)
    assert phone_numbers._plain_mobile(f"+86{text}") == phone_numbers._read(f"+86{text}")


noise = st.text(alphabet=st.sampled_from("0123456789" * 3 + "+-() .,;/#*xpw转'\"=e％\u3000\u200b\x00"), max_size=40)


@given(noise)
def test_no_digit_is_ever_invented_or_moved(text: str) -> None:
    number = normalise(text)
    digits = "".join(re.findall(r"[0-9]", text))
    assert number is None or not number.mainland or number.e164[3:] in digits


@given(st.text(max_size=80) | noise)
def test_no_text_raises(text: str) -> None:
    number, caller = normalise(text), normalise_caller(text)
    assert number is None or number.e164 == caller
    assert not (is_scientific_notation(text) and number)
