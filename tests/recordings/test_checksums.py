import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.checksums import crc8, crc16, ogg_crc32

CHECK = b"123456789"
"""What the catalogues of checksums give their values for."""


def test_the_checksums_are_those_of_the_catalogues() -> None:
    assert (crc8(CHECK), crc16(CHECK), ogg_crc32(CHECK)) == (0xF4, 0xFEE8, 0x89A1897F)


@pytest.mark.parametrize("data", [pytest.param(b"", id="nothing"), pytest.param(bytes(9), id="zeros")])
def test_nothing_and_zeros_have_no_checksum(data: bytes) -> None:
    assert (crc8(data), crc16(data), ogg_crc32(data)) == (0, 0, 0)


@given(st.binary(max_size=200))
def test_a_frame_that_ends_with_its_checksums_has_none(data: bytes) -> None:
    assert crc8(data + crc8(data).to_bytes(1, "big")) == 0
    assert crc16(data + crc16(data).to_bytes(2, "big")) == 0
    assert ogg_crc32(data + ogg_crc32(data).to_bytes(4, "big")) == 0
