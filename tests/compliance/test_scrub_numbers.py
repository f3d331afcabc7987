"""Numbers read in bulk are those that are read one by one."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compliance.phone_numbers import normalise
from compliance.scrub_numbers import FOREIGN, NO_NUMBER, place_of, read_numbers, read_texts

DIGITS = st.text("0123456789", min_size=11, max_size=11)
MOBILES = st.one_of(DIGITS, st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
SEPARATORS = st.sampled_from(["", " ", "-", "  ", "/"])


@st.composite
def spelled_mobiles(draw: st.DrawFn) -> str:
    national = draw(MOBILES)
    code = draw(st.sampled_from(["", "+86", "86", "0086", "+086", "+85", "00 86", "0"]))
    between = [draw(SEPARATORS) for _ in range(3)]
    return f"{code}{between[0]}{national[:3]}{between[1]}{national[3:7]}{between[2]}{national[7:]}"


CELLS = st.one_of(
    spelled_mobiles(),
    st.text("0123456789+- ()转", max_size=20),
    st.text(max_size=16),
    st.sampled_from(["", "02112345678", "010-62345678", "4008000000", "110", "+85291234567", "１３８００１３８０００"]),
).filter(lambda cell: "\udcff" not in cell)


def one_by_one(cell: str) -> tuple[int, int]:
    number = normalise(cell)
    return (0 if number is None else int(number.e164)), place_of(number)


@settings(deadline=None, max_examples=300)
@given(st.lists(CELLS, max_size=20))
@example(["13800138000", "138-0013 8000", "+86-138-0013-8000", "8613800138000", "0086 138 0013 8000", "12345678901"])
@example(["1380013800:", "1380013800/", "/3800138000", "１3800138000", "138001380", "+8613800138000"])
def test_cells_in_bytes_are_read_as_each_one_alone(cells: list[str]) -> None:
    encoded = [cell.encode() for cell in cells]
    ends = np.cumsum([len(cell) for cell in encoded], dtype=np.int64)
    begins = ends - np.array([len(cell) for cell in encoded], np.int64)

    numbers = read_numbers(b"".join(encoded), begins, ends, encoding="utf-8")
    texts = read_texts(cells, len(cells))

    expected = [one_by_one(cell) for cell in cells]
    assert list(zip(numbers.phones.tolist(), numbers.places.tolist(), strict=True)) == expected
    assert list(zip(texts.phones.tolist(), texts.places.tolist(), strict=True)) == expected


def test_the_usual_spellings_of_mobiles_are_read_as_bytes() -> None:
    cells = ["13800138000", "+8613800138000", "138 0013 8000", "138-0013-8000", "+86 13800138000", "86-138-0013-8000"]
    ends = np.cumsum([len(cell) for cell in cells])

    numbers = read_numbers("".join(cells).encode(), ends - [len(cell) for cell in cells], ends, encoding="utf-8")

    assert numbers.is_plain.all()
    assert set(numbers.phones.tolist()) == {8613800138000}


def test_places_tell_foreign_numbers_and_none_from_regions() -> None:
    assert place_of(normalise("+85291234567")) == FOREIGN
    assert place_of(normalise("110")) == NO_NUMBER
    assert place_of(normalise("4008000000")) == 0
