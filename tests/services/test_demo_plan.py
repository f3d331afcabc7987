"""What the demo is planned with: draws that repeat, ids, numbers, and instants of checks."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.call_facts import CentreKind
from compliance.sale_rows import Confirmation, NewSale
from compliance.shanghai import SHANGHAI
from compliance.working_days import package_calendar
from qa_sampling.first_scorecard import ITEMS
from qa_sampling.scorecard import Scorecard, Verdict, settled_answers
from services.demo.answer_plan import planned_answers
from services.demo.call_plan import check_instants
from services.demo.chance import Chance
from services.demo.facts import demo_facts
from services.demo.late_plan import with_late_sales
from services.demo.phone_plan import NumberUse, mobile_digits
from services.demo.sale_plan import PlannedSale


@pytest.mark.parametrize("hour", [0, 3, 9, 23])
def test_no_check_is_later_than_the_clock_at_any_hour(hour: int) -> None:
    now = datetime(2026, 3, 1, hour, 5, tzinfo=SHANGHAI)

    days = check_instants(Chance("test"), package_calendar(), now=now, count=500)

    assert sum(map(len, days)) == 500
    assert max(at for day in days for at in day) <= now


@given(st.integers(min_value=1, max_value=10**9), st.text(min_size=1), st.integers())
def test_a_draw_is_below_its_bound_and_repeats(bound: int, name: str, number: int) -> None:
    chance = Chance("test")
    assert 0 <= chance.below(bound, name, number) < bound
    assert chance.below(bound, name, number) == Chance("test").below(bound, name, number)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_has_the_form_of_uuid7_and_tells_its_millisecond(at: datetime) -> None:
    made = Chance("test").uuid7(at, "row")
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made.int >> 80) - at.timestamp() * 1000) <= 1


@given(st.sets(st.tuples(st.sampled_from(NumberUse), st.integers(min_value=0, max_value=99_999)), min_size=2))
def test_numbers_of_different_use_or_count_differ(keys: set[tuple[NumberUse, int]]) -> None:
    assert len({mobile_digits(use, index) for use, index in keys}) == len(keys)


def test_ids_do_not_depend_on_the_day_of_loading() -> None:
    assert demo_facts().own.centre_id == "014ba6ad-24e0-7451-9d69-14d04b319be7"
    assert (
        date(2015, 1, 1) <= datetime.fromtimestamp((int(demo_facts().own.centre_id[:8], 16) << 16) / 1000, UTC).date()
    )


def _sale(policy_no: str, closed_at: datetime, *, centre_id: str = "c1", cooling_off_days: int = 15) -> PlannedSale:
    sale = NewSale(
        policy_no=policy_no,
        product_code="P",
        sales_mode=CentreKind.AGENCY,
        centre_id=centre_id,
        agent_id="a1",
        call_ids=(),
        consented_at=closed_at,
        cover_start=date(2026, 12, 1),
        cover_end_exclusive=None,
        declared_term_months=None,
        cooling_off_days=cooling_off_days,
        effective_on=None,
        receipt_confirmed_on=None,
        confirmation=Confirmation.SIGNATURE,
        applicant_birth_date=None,
        applicant_is_insured=True,
        medical_exam=False,
        gift=False,
    )
    return PlannedSale(
        sale=sale,
        has_medical_exam=False,
        callee_e164="+8613800138000",
        region=None,
        recorded_at=closed_at,
        receipt_on=date(2026, 11, 20),
        delivered_on=date(2026, 11, 19),
    )


_END = datetime(2026, 11, 23, 16, tzinfo=SHANGHAI)
_LAST_MOMENT = datetime(2026, 11, 9, 11, tzinfo=SHANGHAI)
_JOINING = datetime(2026, 11, 13, 11, tzinfo=SHANGHAI)
LATE = {
    "all of a centre and day that end soon": ([_sale("1", _LAST_MOMENT), _sale("2", _LAST_MOMENT)], ["1", "2"]),
    "not one of them alone": (
        [_sale("1", _LAST_MOMENT), _sale("2", _LAST_MOMENT, cooling_off_days=20)],
        [],
    ),
    "one of several that join a draw": ([_sale("1", _JOINING), _sale("2", _JOINING)], ["2"]),
    "not one that would be a draw of its own": ([_sale("1", _JOINING)], []),
    "none of other days": ([_sale("1", _END - timedelta(days=3)), _sale("2", _END - timedelta(days=3))], []),
}


@pytest.mark.parametrize(("planned", "expected"), LATE.values(), ids=LATE.keys())
def test_sales_come_late_in_two_ways(planned: list[PlannedSale], expected: list[str]) -> None:
    timely, late = with_late_sales(planned, now=_END)

    assert [one.sale.policy_no for one in late] == expected
    assert len(timely) + len(late) == len(planned)
    assert all(one.recorded_at <= _END and one.receipt_on is None and one.delivered_on is None for one in late)


def test_what_an_inspector_answers_can_be_submitted() -> None:
    recording_id = UUID("01a2255a-3aca-7593-a3e5-502830024a7b")
    failures = ("cooling_off_told", "cover_told")

    answers = planned_answers(
        ITEMS, failures, {recording_id: 9000}, Chance("test").dice("answers"), is_signed=True, is_agency=False
    )
    settled = settled_answers(Scorecard(1, ITEMS, 8000), answers, durations={recording_id: 9000}, suggestions={})

    assert [one.item_id for one in settled] == [item.item_id for item in ITEMS]
    assert {one.item_id for one in settled if one.answer is Verdict.FAIL} >= set(failures)
    assert [one.item_id for one in settled if one.answer is Verdict.NOT_APPLICABLE] == [
        "agency_nature_told",
        "consent_given",
        "payment_authorised",
    ]
