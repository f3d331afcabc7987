"""Which bytes a request is answered with: a table of RFC 9110 for a representation of 100 bytes."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.byte_ranges import Selection, select_bytes

ETAG = '"abc"'
WHOLE = Selection(HTTPStatus.OK, 0, 100)
REFUSED = Selection(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)


def part(start: int, end: int) -> Selection:
    return Selection(HTTPStatus.PARTIAL_CONTENT, start, end)


@pytest.mark.parametrize(
    ("asked", "selected"),
    [
        pytest.param("bytes=0-0", part(0, 1), id="the first byte"),
        pytest.param("bytes=99-99", part(99, 100), id="the last byte"),
        pytest.param("bytes=10-19", part(10, 20), id="in the middle"),
        pytest.param("bytes=0-", part(0, 100), id="open from the beginning"),
        pytest.param("bytes=99-", part(99, 100), id="open from the last byte"),
        pytest.param("bytes=0-1000", part(0, 100), id="beyond the end"),
        pytest.param("bytes=0-" + "9" * 5000, part(0, 100), id="an absurd end"),
        pytest.param("bytes=-1", part(99, 100), id="suffix of one"),
        pytest.param("bytes=-100", part(0, 100), id="suffix of all"),
        pytest.param("bytes=-101", part(0, 100), id="suffix of more than all"),
        pytest.param("bytes=-0", REFUSED, id="suffix of none"),
        pytest.param("bytes=100-", REFUSED, id="behind the end"),
        pytest.param("bytes=100-200", REFUSED, id="both behind the end"),
        pytest.param("bytes=" + "9" * 5000 + "-", REFUSED, id="absurdly behind the end"),
        pytest.param("bytes= 10-19 ,", part(10, 20), id="white space and an empty element"),
        pytest.param("BYTES=10-19", part(10, 20), id="the unit in capitals"),
        pytest.param("bytes=0000010-0000019", part(10, 20), id="leading zeros"),
        pytest.param("bytes=19-10", WHOLE, id="backwards"),
        pytest.param("bytes=0-1,5-6", WHOLE, id="two ranges"),
        pytest.param("bytes=-", WHOLE, id="nothing"),
        pytest.param("bytes=", WHOLE, id="no range"),
        pytest.param("bytes", WHOLE, id="no sign"),
        pytest.param("bytes=a-b", WHOLE, id="letters"),
        pytest.param("bytes=+1-2", WHOLE, id="a sign"),
        pytest.param("bytes=１-2", WHOLE, id="full width"),
        pytest.param("seconds=0-1", WHOLE, id="another unit"),
        pytest.param("", WHOLE, id="empty"),
    ],
)
def test_a_range_is_answered(asked: str, selected: Selection) -> None:
    assert select_bytes({"range": asked}, method="GET", size=100, etag=ETAG) == selected


@pytest.mark.parametrize(
    ("headers", "selected"),
    [
        pytest.param({"if-range": ETAG}, part(0, 1), id="same tag"),
        pytest.param({"if-range": '"other"'}, WHOLE, id="another tag"),
        pytest.param({"if-range": f"W/{ETAG}"}, WHOLE, id="a weak tag"),
        pytest.param({"if-range": "Mon, 23 Nov 2026 04:00:00 GMT"}, WHOLE, id="a date"),
        pytest.param({"if-match": ETAG}, part(0, 1), id="matches"),
        pytest.param({"if-match": f'"x", {ETAG}'}, part(0, 1), id="matches one of several"),
        pytest.param({"if-match": "*"}, part(0, 1), id="matches anything"),
        pytest.param({"if-match": '"x"'}, Selection(HTTPStatus.PRECONDITION_FAILED), id="does not match"),
        pytest.param({"if-match": f"W/{ETAG}"}, Selection(HTTPStatus.PRECONDITION_FAILED), id="weak never matches"),
        pytest.param({"if-none-match": ETAG}, Selection(HTTPStatus.NOT_MODIFIED), id="is known"),
        pytest.param({"if-none-match": f'"x",W/{ETAG}'}, Selection(HTTPStatus.NOT_MODIFIED), id="is known weakly"),
        pytest.param({"if-none-match": "*"}, Selection(HTTPStatus.NOT_MODIFIED), id="anything is known"),
        pytest.param({"if-none-match": '"x"'}, part(0, 1), id="another is known"),
    ],
)
def test_conditions_come_before_the_range(headers: dict[str, str], selected: Selection) -> None:
    assert select_bytes({"range": "bytes=0-0", **headers}, method="GET", size=100, etag=ETAG) == selected


def test_a_head_request_is_told_of_the_whole() -> None:
    assert select_bytes({"range": "bytes=0-0"}, method="HEAD", size=100, etag=ETAG) == WHOLE


@given(st.text(max_size=40) | st.from_regex(r"bytes=\d{0,3}-\d{0,3}", fullmatch=True), st.integers(1, 500))
def test_whatever_is_asked_the_bytes_are_there(asked: str, size: int) -> None:
    found = select_bytes({"range": asked}, method="GET", size=size, etag=ETAG)

    assert found.status in {200, 206, 416}
    assert 0 <= found.start <= found.end <= size
    assert (found.end > found.start) is (found.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
