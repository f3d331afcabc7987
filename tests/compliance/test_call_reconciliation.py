"""What a call broke: each rule of the reconciliation, at every boundary."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.call_facts import Callee, CallingSide, Facts, ProposedCall, Purpose
from compliance.call_reconciliation import (
    ARTICLES,
    NO_HISTORY,
    BlockEvent,
    BlockHistory,
    Breach,
    ClaimedCheck,
    PlacedCall,
    breaches_of_check,
    is_prohibited_hour,
    was_blocked,
)
from compliance.decision import Verdict
from compliance.do_not_call import PERMANENT
from compliance.legal import citation
from compliance.policy import floor_policy, parse_policy
from compliance.rule_answers import Case
from compliance.working_days import package_calendar

CHECKED_AT = datetime(2026, 11, 23, 4, 0, 0, 250_000, tzinfo=UTC)
LAST = CHECKED_AT + timedelta(seconds=60)
NOW = CHECKED_AT + timedelta(minutes=10)
TICK = timedelta(microseconds=1)
PHONE, CALLER = 8613800138000, "+864008123123"
ENTRY, OTHER_ENTRY = UUID(int=1), UUID(int=2)
CHECK = ClaimedCheck(
    verdict=Verdict.ALLOW,
    phone_digits=PHONE,
    caller_e164=CALLER,
    checked_at=CHECKED_AT,
    valid_until=LAST,
    is_used=False,
    is_service=False,
)
CALL = PlacedCall(
    callee_digits=PHONE,
    caller_e164=CALLER,
    caller_is_given=True,
    started_at=CHECKED_AT + timedelta(seconds=5),
    check=CHECK,
)
DENIED = replace(CHECK, verdict=Verdict.DENY, valid_until=None)


def refusal(
    recorded_at: datetime,
    *,
    refused_at: datetime | None = None,
    through: date = date(2027, 5, 24),
    entry_id: UUID = ENTRY,
) -> BlockEvent:
    return BlockEvent(entry_id, "refusal", refused_at or recorded_at, through, recorded_at)


def release(recorded_at: datetime, *, entry_id: UUID = ENTRY) -> BlockEvent:
    return BlockEvent(entry_id, "release", None, None, recorded_at)


def raise_to(through: date, recorded_at: datetime, *, entry_id: UUID = ENTRY) -> BlockEvent:
    return BlockEvent(entry_id, "raised", None, through, recorded_at)


def test_a_call_that_its_check_covers_breaks_nothing() -> None:
    assert breaches_of_check(CALL, now=NOW) == []


@pytest.mark.parametrize(
    ("call", "breaches"),
    [
        pytest.param(replace(CALL, check=None), [Breach.CALL_WITHOUT_CHECK], id="no check"),
        pytest.param(
            replace(CALL, check=None, caller_e164=None, caller_is_given=False),
            [Breach.CALL_WITHOUT_CHECK],
            id="no check and no caller recorded",
        ),
        pytest.param(
            replace(CALL, check=None, caller_e164=None),
            [Breach.CALL_WITHOUT_CHECK, Breach.OTHER_NUMBER],
            id="no check and a caller that cannot be read",
        ),
        pytest.param(
            replace(CALL, check=None, callee_digits=None),
            [Breach.CALL_WITHOUT_CHECK, Breach.OTHER_NUMBER],
            id="no check and a callee that cannot be read",
        ),
        pytest.param(replace(CALL, check=DENIED), [Breach.CHECK_DENIED], id="denied"),
        pytest.param(replace(CALL, check=replace(DENIED, is_used=True)), [Breach.CHECK_DENIED], id="denied, twice"),
        pytest.param(replace(CALL, check=replace(CHECK, is_used=True)), [Breach.CHECK_REUSED], id="used"),
        pytest.param(replace(CALL, callee_digits=PHONE + 1), [Breach.OTHER_NUMBER], id="another callee"),
        pytest.param(replace(CALL, callee_digits=None), [Breach.OTHER_NUMBER], id="an unreadable callee"),
        pytest.param(replace(CALL, caller_e164="+8695518"), [Breach.OTHER_NUMBER], id="another caller number"),
        pytest.param(
            replace(CALL, caller_e164=None, caller_is_given=False), [Breach.OTHER_NUMBER], id="no caller recorded"
        ),
        pytest.param(
            replace(CALL, caller_e164=None, check=replace(DENIED, caller_e164=None)),
            [Breach.CHECK_DENIED],
            id="a check without caller number",
        ),
        pytest.param(
            replace(CALL, callee_digits=None, check=replace(DENIED, phone_digits=None)),
            [Breach.CHECK_DENIED, Breach.OTHER_NUMBER],
            id="neither callee can be read",
        ),
        pytest.param(
            replace(CALL, started_at=LAST + TICK, callee_digits=1, check=replace(CHECK, is_used=True)),
            [Breach.CHECK_EXPIRED, Breach.CHECK_REUSED, Breach.OTHER_NUMBER],
            id="all are listed",
        ),
    ],
)
def test_what_no_check_covers_is_named(call: PlacedCall, breaches: list[Breach]) -> None:
    assert breaches_of_check(call, now=NOW) == breaches


@pytest.mark.parametrize(
    ("started_at", "valid_until", "is_expired"),
    [
        pytest.param(CHECKED_AT, LAST, False, id="at the check"),
        pytest.param(CHECKED_AT - TICK, LAST, True, id="before the check"),
        pytest.param(CHECKED_AT.replace(microsecond=0), LAST, False, id="whole seconds, in the second of the check"),
        pytest.param(
            CHECKED_AT.replace(microsecond=0) - timedelta(seconds=1), LAST, True, id="whole seconds, a second before"
        ),
        pytest.param(LAST - TICK, LAST, False, id="in the last instant"),
        pytest.param(LAST, LAST, False, id="at the end of a whole minute"),
        pytest.param(LAST + TICK, LAST, True, id="after the end"),
        pytest.param(LAST - TICK, LAST - TICK, True, id="at the end that a change of the answer made"),
        pytest.param(LAST - 2 * TICK, LAST - TICK, False, id="just before the answer changed"),
    ],
)
def test_a_check_covers_calls_begun_between_its_instants(
    started_at: datetime, valid_until: datetime, *, is_expired: bool
) -> None:
    call = replace(CALL, started_at=started_at, check=replace(CHECK, valid_until=valid_until))

    assert breaches_of_check(call, now=NOW) == ([Breach.CHECK_EXPIRED] if is_expired else [])


@pytest.mark.parametrize(
    ("filed_at", "is_superseded"),
    [
        pytest.param(CHECKED_AT, False, id="with the check, which knew it"),
        pytest.param(CHECKED_AT + TICK, True, id="after the check"),
        pytest.param(CALL.started_at - TICK, True, id="before the call"),
        pytest.param(CALL.started_at, False, id="with the start of the call"),
        pytest.param(NOW, False, id="with the record of the call"),
    ],
)
def test_a_refusal_filed_between_check_and_call_ends_the_check(filed_at: datetime, *, is_superseded: bool) -> None:
    call = replace(CALL, history=BlockHistory([refusal(filed_at)]))

    assert breaches_of_check(call, now=NOW) == ([Breach.CHECK_SUPERSEDED] if is_superseded else [])


def test_a_refusal_recorded_now_supersedes_nothing_even_if_the_callers_clock_is_ahead() -> None:
    call = replace(CALL, history=BlockHistory([refusal(CALL.started_at - TICK)]))

    assert breaches_of_check(call, now=CALL.started_at - TICK) == []


CHECKED_ON, DAY_BEFORE = date(2026, 11, 23), date(2026, 11, 22)


@pytest.mark.parametrize(
    ("raised", "is_superseded"),
    [
        pytest.param(raise_to(CHECKED_ON, CHECKED_AT), False, id="with the check"),
        pytest.param(raise_to(CHECKED_ON, CHECKED_AT + TICK), True, id="after the check"),
        pytest.param(raise_to(CHECKED_ON, CALL.started_at - TICK), True, id="before the call"),
        pytest.param(raise_to(CHECKED_ON, CALL.started_at), False, id="with the start of the call"),
        pytest.param(raise_to(DAY_BEFORE, CHECKED_AT + TICK), False, id="to a day that is over"),
        pytest.param(raise_to(PERMANENT, CHECKED_AT + TICK), True, id="for good"),
    ],
)
def test_a_raise_between_check_and_call_ends_the_check_if_it_blocks(raised: BlockEvent, *, is_superseded: bool) -> None:
    call = replace(CALL, history=BlockHistory([raised]))

    assert breaches_of_check(call, now=NOW) == ([Breach.CHECK_SUPERSEDED] if is_superseded else [])


def test_a_raise_does_not_end_a_check_of_service_which_the_block_did_not_bind() -> None:
    history = BlockHistory([raise_to(CHECKED_ON, CHECKED_AT + TICK)])

    assert breaches_of_check(replace(CALL, check=replace(CHECK, is_service=True), history=history), now=NOW) == []


def test_a_denied_check_cannot_be_superseded() -> None:
    call = replace(CALL, check=DENIED, history=BlockHistory([refusal(CHECKED_AT + TICK)]))

    assert breaches_of_check(call, now=NOW) == [Breach.CHECK_DENIED]


DAY = timedelta(days=1)
OVER = refusal(NOW - 9 * DAY, through=date(2026, 11, 20))


@pytest.mark.parametrize(
    ("events", "is_blocked"),
    [
        pytest.param([], False, id="never refused"),
        pytest.param([refusal(NOW - TICK)], True, id="refused before"),
        pytest.param([refusal(NOW)], False, id="refused with the start"),
        pytest.param([refusal(NOW + DAY, refused_at=NOW - TICK)], True, id="refused before, entered later"),
        pytest.param([refusal(NOW - TICK, refused_at=NOW + TICK)], True, id="entered by a clock that runs ahead"),
        pytest.param([refusal(NOW - DAY), release(NOW)], False, id="released"),
        pytest.param([refusal(NOW - DAY), release(NOW + TICK)], True, id="released later"),
        pytest.param([refusal(NOW - DAY), release(NOW - TICK, entry_id=OTHER_ENTRY)], True, id="another was released"),
        pytest.param([refusal(NOW - 3 * DAY), release(NOW - 2 * DAY), refusal(NOW - DAY)], True, id="refused again"),
        pytest.param([refusal(NOW - DAY, through=date(2026, 11, 20))], False, id="over by the day of the call"),
        pytest.param([refusal(NOW - DAY, through=date(2026, 11, 23))], True, id="the last day"),
        pytest.param([refusal(NOW - DAY, through=date(2026, 11, 22))], True, id="a Sunday was the last day"),
        pytest.param([refusal(NOW - DAY, through=PERMANENT)], True, id="for good"),
        pytest.param(
            [refusal(NOW - 2 * DAY), refusal(NOW - DAY, through=date(2026, 11, 20))], True, id="the longest holds"
        ),
        pytest.param([OVER, raise_to(CHECKED_ON, NOW - TICK)], True, id="raised before"),
        pytest.param([OVER, raise_to(CHECKED_ON, NOW)], False, id="raised with the start"),
        pytest.param([OVER, raise_to(CHECKED_ON, NOW - DAY), release(NOW - TICK)], False, id="raised, then released"),
        pytest.param(
            [OVER, raise_to(CHECKED_ON, NOW - DAY), release(NOW - TICK, entry_id=OTHER_ENTRY)],
            True,
            id="raised, and another was released",
        ),
    ],
)
def test_whether_a_person_was_blocked(events: list[BlockEvent], *, is_blocked: bool) -> None:
    assert was_blocked(BlockHistory(events), NOW, calendar=package_calendar()) is is_blocked


instants = st.integers(min_value=0, max_value=12).map(lambda hours: NOW + timedelta(hours=hours))
entry_ids = st.sampled_from([ENTRY, OTHER_ENTRY])
events = st.one_of(
    st.builds(
        refusal,
        instants,
        refused_at=instants,
        through=st.dates(date(2026, 11, 1), date(2027, 11, 1)),
        entry_id=entry_ids,
    ),
    st.builds(release, instants, entry_id=entry_ids),
    st.builds(raise_to, st.dates(date(2026, 11, 1), date(2027, 11, 1)), instants, entry_id=entry_ids),
)


@given(st.lists(events, max_size=12), instants)
def test_the_history_says_what_going_through_all_events_says(history: list[BlockEvent], at: datetime) -> None:
    def binds(event: BlockEvent) -> bool:
        began = min(event.refused_at or event.recorded_at, event.recorded_at) < at
        return began and not any(
            one.kind == "release" and one.entry_id == event.entry_id and event.recorded_at <= one.recorded_at <= at
            for one in history
        )

    expected = max((one.blocked_through for one in history if one.blocked_through and binds(one)), default=None)

    assert BlockHistory(history).blocked_through(at) == expected


@given(st.lists(events, max_size=12), instants, instants)
def test_a_refusal_is_found_between_two_instants(history: list[BlockEvent], after: datetime, before: datetime) -> None:
    expected = any(one.kind == "refusal" and after < one.recorded_at < before for one in history)

    assert BlockHistory(history).was_filed_between(after, before) is expected


POLICY = parse_policy(
    "[[quiet_hours.region]]\ncode = '650000'\ndaily = [21:00:00, 11:00:00]\n"
    "[[quiet_hours.segment]]\nname = 'old'\ndaily = [12:00:00, 14:00:00]\n",
    on=date(2026, 11, 23),
)
BEIJING = Callee(phone_e164="+8613800138000", region="110000")
SERVED = replace(BEIJING, customer_known=True, customer_has_callee=True, policy_holder=True)
SALE = ProposedCall(callee="+8613800138000")
SERVICE = replace(SALE, purpose=Purpose.SERVICE, customer_id="C")
SHANGHAI = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("clock", "call", "callee", "is_prohibited"),
    [
        pytest.param("20:59:59.999999", SALE, BEIJING, False, id="the last instant of the evening"),
        pytest.param("21:00:00.000000", SALE, BEIJING, True, id="21:00"),
        pytest.param("08:59:59.999999", SALE, BEIJING, True, id="the last instant of the night"),
        pytest.param("09:00:00.000000", SALE, BEIJING, False, id="09:00"),
        pytest.param("10:00:00.000000", SALE, replace(BEIJING, region="650000"), True, id="a region's morning"),
        pytest.param("10:00:00.000000", SALE, replace(BEIJING, region=None), True, id="any region's morning"),
        pytest.param("12:00:00.000000", SALE, replace(BEIJING, segments=("old",)), True, id="a group's noon"),
        pytest.param("23:00:00.000000", SERVICE, SERVED, False, id="proven service"),
        pytest.param("23:00:00.000000", SERVICE, BEIJING, True, id="service without proof"),
    ],
)
def test_the_hour_of_an_uncovered_call(clock: str, call: ProposedCall, callee: Callee, *, is_prohibited: bool) -> None:
    at = datetime.fromisoformat(f"2026-11-23T{clock}").replace(tzinfo=SHANGHAI).astimezone(UTC)

    assert (
        is_prohibited_hour(Case(call, Facts(side=CallingSide(insurer=()), callee=callee), POLICY), at) is is_prohibited
    )


def test_the_floor_has_only_the_hours_of_the_law() -> None:
    case = Case(
        SALE,
        Facts(side=CallingSide(insurer=()), callee=replace(BEIJING, region=None)),
        floor_policy(on=date(2026, 11, 23)),
    )

    assert not is_prohibited_hour(case, NOW)


@pytest.mark.parametrize("breach", list(Breach))
def test_every_breach_is_recorded_under_an_article_of_the_measures(breach: Breach) -> None:
    assert citation(ARTICLES[breach]).words


def test_nobody_is_blocked_without_history() -> None:
    assert NO_HISTORY.blocked_through(NOW) is None
