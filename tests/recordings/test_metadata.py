"""What is said of a recording: every fault found and named at once, nothing guessed."""

from datetime import UTC, datetime, timedelta

import pytest

from recordings.metadata import Metadata, MetadataError, parse_metadata, read_cells, read_metadata
from tests.conftest import NOON
from tests.recordings.desk import METADATA, without


def faults(fields: dict[str, object]) -> list[str]:
    with pytest.raises(MetadataError) as refused:
        read_metadata(fields, now=NOON)
    return [one.loc for one in refused.value.faults]


def test_all_facts_are_read_in_normal_form() -> None:
    found = read_metadata(
        without(policy_no="P-1", sha256="sha256:" + "AB" * 32, raw_codec="ulaw", raw_sample_rate=16000), now=NOON
    )

    assert found == Metadata(
        started_at=NOON - timedelta(hours=1),
        channels=("agent", "customer"),
        call_id="call-1",
        policy_no="P-1",
        agent_id="agent-1",
        phone_e164="+8613800138000",
        direction="outbound",
        sha256=b"\xab" * 32,
        raw_codec="ulaw",
        raw_sample_rate=16000,
    )
    assert found.phone_digits == 8613800138000


def test_null_is_the_same_as_left_out() -> None:
    found = read_metadata(without(phone=None, direction=None), now=NOON)

    assert (found.phone_e164, found.phone_digits, found.direction) == (None, None, None)


@pytest.mark.parametrize("name", ["call_id", "policy_no", "agent_id", "phone"])
def test_one_name_is_enough(name: str) -> None:
    fields = {"started_at": METADATA["started_at"], "channels": ["mixed"], name: "13800138000"}

    assert read_metadata(fields, now=NOON).channels == ("mixed",)


def test_a_short_service_number_is_a_caller_too() -> None:
    assert read_metadata(without(phone="95518"), now=NOON).phone_e164 == "+8695518"


def test_every_fault_is_named_at_once() -> None:
    assert faults({"channels": [], "direction": "x", "colour": 1}) == [
        "colour",
        "direction",
        "channels",
        "started_at",
        "call_id",
    ]


def test_a_name_that_could_be_a_person_s_is_not_sent_back() -> None:
    assert faults(without(**{"13800138000": "x"})) == ["metadata"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("call_id", ""),
        ("call_id", 7),
        ("call_id", "x" * 101),
        ("agent_id", "a\0b"),
        ("policy_no", 7),
        ("policy_no", ""),
        ("policy_no", "x" * 65),
        ("policy_no", "a\u200bb"),
        ("phone", 13800138000),
        ("phone", "x" * 201),
        ("phone", "nobody"),
        ("started_at", 1700000000),
        ("started_at", "2026-11-23"),
        ("started_at", "2026-11-23T11:00:00"),
        ("started_at", "2026-02-30T11:00:00+08:00"),
        ("started_at", "1989-12-31T11:00:00+08:00"),
        ("started_at", "0001-01-01T00:00:00+08:00"),
        ("channels", "agent"),
        ("channels", ["agent", 1]),
        ("channels", ["agent", "agent"]),
        ("channels", ["mixed", "agent"]),
        ("channels", ["left", "right"]),
        ("sha256", "ab"),
        ("sha256", 1),
        ("raw_codec", "gsm"),
    ],
)
def test_bad_values_are_refused(name: str, value: object) -> None:
    assert name in faults(without(**{name: value}))


@pytest.mark.parametrize("rate", [0, 192_001, True, "8000", 8000.0])
def test_bad_rates_are_refused(rate: object) -> None:
    assert faults(without(raw_codec="alaw", raw_sample_rate=rate)) == ["raw_sample_rate"]


@pytest.mark.parametrize("half", [{"raw_codec": "alaw"}, {"raw_sample_rate": 8000}])
def test_a_raw_format_is_given_whole(half: dict[str, object]) -> None:
    assert faults(without(**half)) == ["raw_codec"]


def test_five_minutes_ahead_are_the_difference_of_two_clocks() -> None:
    ahead = NOON + timedelta(minutes=5)

    assert read_metadata(without(started_at=ahead.isoformat()), now=NOON).started_at == ahead
    assert faults(without(started_at=(ahead + timedelta(seconds=1)).isoformat())) == ["started_at"]


@pytest.mark.parametrize("text", ["2026-11-23T04:00:00Z", "2026-11-23t12:00:00.000+08:00", "2026-11-23 04:00:00z"])
def test_an_instant_is_read_in_every_form_of_rfc_3339(text: str) -> None:
    assert read_metadata(without(started_at=text), now=NOON).started_at == datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"a": "\\ud800"}', "[" * 100_000, b"\xff"])
def test_what_is_no_json_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(MetadataError, match="JSON object"):
        parse_metadata(text, now=NOON)


def test_a_name_that_stands_twice_is_refused_and_named() -> None:
    text = '{"call_id":"c","started_at":"2026-11-23T11:00:00+08:00","channels":["mixed"],"call_id":"d","x":{},"x":1}'

    with pytest.raises(MetadataError) as caught:
        parse_metadata(text, now=NOON)

    assert [(one.loc, one.msg) for one in caught.value.faults] == [
        ("call_id", "stands more than once; give it once"),
        ("x", "stands more than once; give it once"),
    ]


def test_a_json_object_is_read() -> None:
    text = '{"call_id":"c","started_at":"2026-11-23T11:00:00+08:00","channels":["mixed"]}'

    assert parse_metadata(text, now=NOON).call_id == "c"


def test_cells_are_read_as_the_fields_they_stand_for() -> None:
    cells = {
        "call_id": " c-1 ",
        "policy_no": "",
        "started_at": "2026-11-23T11:00:00+08:00",
        "channels": "agent; customer",
        "raw_codec": "alaw",
        "raw_sample_rate": "8000",
    }

    found = read_cells(cells, now=NOON)

    assert (found.call_id, found.policy_no, found.channels) == ("c-1", None, ("agent", "customer"))
    assert (found.raw_codec, found.raw_sample_rate) == ("alaw", 8000)


@pytest.mark.parametrize("rate", ["8 000", "8000.0", "8" * 5000, "-1"])
def test_a_cell_that_is_no_rate_is_refused(rate: str) -> None:
    cells = {"call_id": "c", "started_at": "2026-11-23T11:00:00+08:00", "raw_codec": "alaw", "raw_sample_rate": rate}

    with pytest.raises(MetadataError, match="raw_sample_rate"):
        read_cells(cells, now=NOON)


def test_times_on_hold_are_read_in_order() -> None:
    assert read_metadata(without(holds_ms=[[0, 5], [5, 9]]), now=NOON).holds_ms == ((0, 5), (5, 9))
    assert read_metadata(without(), now=NOON).holds_ms is None


@pytest.mark.parametrize(
    "holds",
    [
        pytest.param("0-5", id="a text"),
        pytest.param([[5, 0]], id="reversed"),
        pytest.param([[5, 5]], id="empty"),
        pytest.param([[-1, 5]], id="before the beginning"),
        pytest.param([[0, 5], [4, 9]], id="overlap"),
        pytest.param([[6, 9], [0, 5]], id="not in order"),
        pytest.param([[0]], id="half"),
        pytest.param([[0, True]], id="a truth"),
        pytest.param([[0, 1.0]], id="a fraction"),
        pytest.param([[0, 10**11]], id="beyond all"),
        pytest.param([[2 * at, 2 * at + 1] for at in range(201)], id="too many"),
        pytest.param([7], id="no pairs"),
    ],
)
def test_times_on_hold_that_cannot_be_are_named(holds: object) -> None:
    assert faults(without(holds_ms=holds)) == ["holds_ms"]


@pytest.mark.parametrize(
    ("cell", "holds"), [("1000-5000", ((1000, 5000),)), (" 0 - 5 ; 7-9 ", ((0, 5), (7, 9))), ("", None)]
)
def test_times_on_hold_stand_in_a_cell_joined_by_semicolons(
    cell: str, holds: tuple[tuple[int, int], ...] | None
) -> None:
    cells = {"call_id": "call-1", "started_at": str(METADATA["started_at"]), "channels": "mixed", "holds_ms": cell}

    assert read_cells(cells, now=NOON).holds_ms == holds


@pytest.mark.parametrize("cell", ["5-1", "1000", "1-2;", "a-b", "1-2-3", "-1-5"])
def test_a_cell_with_other_times_on_hold_is_a_fault(cell: str) -> None:
    cells = {"call_id": "call-1", "started_at": str(METADATA["started_at"]), "channels": "mixed", "holds_ms": cell}

    with pytest.raises(MetadataError) as refused:
        read_cells(cells, now=NOON)
    assert [one.loc for one in refused.value.faults] == ["holds_ms"]
