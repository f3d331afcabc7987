"""Numbers as they are shown: to the customer who is called, and masked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.phone_numbers import masked, normalise_caller


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        pytest.param("95518", "+8695518", id="95xxx"),
        pytest.param("955181234", "+86955181234", id="95xxx of nine digits"),
        pytest.param("95188123456", None, id="95xxx of eleven digits"),
        pytest.param("9551", None, id="95xx"),
        pytest.param("95586", "+8695586", id="95xxx with 86 inside"),
        pytest.param("+86 95518", "+8695518", id="country code"),
        pytest.param("0086-95518", "+8695518", id="0086"),
        pytest.param("8695518", "+8695518", id="86"),
        pytest.param("９５５１８", "+8695518", id="full width"),
        pytest.param("95518转1", "+8695518", id="extension"),
        pytest.param("tel:95518", "+8695518", id="URI"),
        pytest.param("96511", "+8696511", id="96xxx"),
        pytest.param("965111", "+86965111", id="96xxxx"),
        pytest.param("9651111", None, id="96xxxxx"),
        pytest.param("10086", "+8610086", id="100xx"),
        pytest.param("10198", "+8610198", id="101xx"),
        pytest.param("1010-5555", "+8610105555", id="1010xxxx"),
        pytest.param("400-800-1234", "+864008001234", id="400"),
        pytest.param("8008101234", "+868008101234", id="800"),
        pytest.param("010-82345678", "+861082345678", id="landline"),
        pytest.param("13800138000", "+8613800138000", id="mobile"),
        pytest.param("+85223456789", "+85223456789", id="Hong Kong"),
        pytest.param("+95 518", None, id="95 as a foreign country code"),
        pytest.param("0095518", None, id="95 behind 00"),
        pytest.param("010-95518", None, id="behind an area code"),
        pytest.param("110", None, id="police"),
        pytest.param("12378", None, id="hotline"),
        pytest.param("unknown", None, id="word"),
        pytest.param("", None, id="empty"),
        pytest.param("9" * 65, None, id="65 digits"),
    ],
)
def test_a_caller_number_may_also_be_a_national_short_number(text: str, e164: str | None) -> None:
    assert normalise_caller(text) == e164


@pytest.mark.parametrize("text", ["+8695518", "+86955181234", "+8696511", "+8610086", "+8610105555"])
def test_what_normalise_caller_gives_it_takes_back_unchanged(text: str) -> None:
    assert normalise_caller(text) == text


@pytest.mark.parametrize(
    ("e164", "shown"),
    [
        pytest.param("+8613800138000", "138****8000", id="mobile"),
        pytest.param("+861082345678", "010****5678", id="landline of Beijing"),
        pytest.param("+8675582345678", "0755****5678", id="landline of eight digits"),
        pytest.param("+863552345678", "0355****678", id="landline of seven digits"),
        pytest.param("+864008001234", "400****234", id="400"),
        pytest.param("+8695518", "95****", id="95xxx"),
        pytest.param("+86955181234", "95****234", id="95xxx of nine digits"),
        pytest.param("+8610086", "10****", id="100xx"),
        pytest.param("+85291234567", "+852****4567", id="Hong Kong"),
        pytest.param("+12025550123", "+1****0123", id="United States"),
        pytest.param("+442079460123", "+44****0123", id="United Kingdom"),
        pytest.param("+29012345", "+290****5", id="short number abroad"),
        pytest.param("+99912345678", "+****5678", id="no such country"),
        pytest.param("13800138000", "****", id="no E.164"),
        pytest.param("", "****", id="empty"),
        pytest.param("+86138001380001234", "****", id="too long"),
    ],
)
def test_masked_numbers_show_where_they_belong_and_few_digits(e164: str, shown: str) -> None:
    assert masked(e164) == shown


@given(st.integers(min_value=10**4, max_value=10**15 - 1).map(lambda number: f"+{number}"))
def test_at_least_four_digits_or_all_but_two_stay_hidden(e164: str) -> None:
    head, _, tail = masked(e164).partition("****")
    of_country = 2 if e164.startswith("+86") else 0
    shown = len(head.removeprefix("0").removeprefix("+")) + len(tail)
    assert len(tail) <= 4
    assert len(e164) - 1 - of_country - shown >= min(4, len(e164) - 1 - of_country - 3)
    assert e164.endswith(tail)
