"""The do-not-call list as arrays: found as in a dictionary, read back as written, and noticed when damaged."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.listed_phones import (
    ASK,
    NOT_LISTED,
    BrokenListError,
    ListedPhones,
    Stamp,
    day_of,
    decode,
    encode,
    from_rows,
    listed_phones,
    merged,
    seconds_at,
)

STAMP = Stamp(database="1/2/3", newest=7, open_then=(3, 5), witness="01a20951-105f-70d7-b2ae-2a5916dca676")
LATE = datetime(2026, 11, 23, tzinfo=UTC)

PHONES = st.one_of(
    st.integers(8_613_000_000_000, 8_613_000_003_000),
    st.integers(8_613_000_000_000, 8_619_999_999_999),
    st.integers(1, 999_999_999_999_999),
)
BLOCKS = st.dictionaries(PHONES, st.integers(0, 3000), max_size=60)


def listed(blocks: dict[int, int], *, refused: int = 0) -> ListedPhones:
    return listed_phones(
        np.array(list(blocks), np.int64),
        np.array(list(blocks.values()), np.int32),
        np.full(len(blocks), refused, np.uint32),
    )


def found(phones: ListedPhones, wanted: list[int], *, at: datetime = LATE) -> list[int]:
    return list(phones.find(np.array(wanted, np.int64), at=at).tolist())


def file_of(phones: ListedPhones) -> bytes:
    return b"".join(encode(phones, STAMP))


@given(BLOCKS, st.lists(PHONES))
def test_numbers_are_found_as_in_a_dictionary(blocks: dict[int, int], others: list[int]) -> None:
    wanted = [*others, *blocks]

    assert found(listed(blocks), wanted) == [blocks.get(phone, NOT_LISTED) for phone in wanted]


@given(BLOCKS, BLOCKS)
def test_merging_lays_the_changed_over_the_others(base: dict[int, int], changed: dict[int, int]) -> None:
    both = merged(listed(base), listed(changed))

    wanted = [*base, *changed]
    assert len(both) == len({**base, **changed})
    assert found(both, wanted) == [{**base, **changed}[phone] for phone in wanted]


@given(BLOCKS)
def test_what_is_written_is_read_back(blocks: dict[int, int]) -> None:
    again, stamp = decode(memoryview(file_of(listed(blocks, refused=9))))

    assert stamp == STAMP
    assert found(again, list(blocks)) == list(blocks.values())
    assert again.latest_refusal == (9 if blocks else 0)


@given(st.data())
def test_damage_is_noticed(data: st.DataObject) -> None:
    written = bytearray(file_of(listed({8_613_800_138_000: 9000, 8_613_900_139_000: 9001})))
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] ^= data.draw(st.integers(1, 255))

    try:
        again, stamp = decode(memoryview(bytes(written)))
    except BrokenListError:
        return
    # Only the padding between sections says nothing.
    assert (stamp, found(again, [8_613_800_138_000, 8_613_900_139_000])) == (STAMP, [9000, 9001])


@pytest.mark.parametrize("length", [0, 10, 40, 60, 300, 5000])
def test_a_file_cut_off_is_noticed(length: int) -> None:
    whole = file_of(listed({8_613_000_000_000 + number: 1 for number in range(5000)}))

    with pytest.raises(BrokenListError):
        decode(memoryview(whole[:length]))


@pytest.mark.parametrize("distance", [1, 1000, 2048, 4096])
def test_two_blocks_exchanged_in_a_large_list_are_noticed(distance: int) -> None:
    phones = listed({8_613_000_000_000 + number: number for number in range(10_000)})
    exchanged = phones.through.copy()
    exchanged[[3, 3 + distance]] = exchanged[[3 + distance, 3]]
    whole = file_of(phones)
    damaged = whole.replace(phones.through.tobytes(), exchanged.tobytes())

    assert damaged != whole
    with pytest.raises(BrokenListError):
        decode(memoryview(damaged))


def test_before_the_latest_refusal_the_database_must_be_asked() -> None:
    refused_at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    phones = listed({8_613_800_138_000: 9000}, refused=seconds_at(refused_at))

    assert found(phones, [8_613_800_138_000], at=refused_at - timedelta(microseconds=1)) == [ASK]
    assert found(phones, [8_613_800_138_000], at=refused_at) == [9000]
    assert found(phones, [8_613_900_139_000], at=refused_at - timedelta(days=1)) == [NOT_LISTED]


def test_rows_of_the_database_become_days_and_seconds_rounded_up() -> None:
    rows = np.array(
        [(1, 9000, 1), (2, 9001, 2_000_000), (3, 9002, 2**63 - 1), (4, 9003, -5)],
        [("phone", ">i8"), ("through", ">i4"), ("settled", ">i8")],
    )

    phones, through, refused = from_rows(rows.view(rows.dtype))

    assert phones.tolist() == [1, 2, 3, 4]
    assert through.tolist() == [9000, 9001, ASK, 9003]
    assert refused.tolist() == [1, 2, 0, 0]


def test_days_count_from_the_year_2000() -> None:
    assert day_of(0) == date(2000, 1, 1)
    assert day_of(2_921_939) == date.max
