"""What must hold of every decision, whatever the facts: cases with a few faults, near to where things change."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.call_facts import (
    Block,
    CallbackRequest,
    Callee,
    CallingSide,
    CentreState,
    Facts,
    Overlay,
    OverlayKind,
    ProductType,
    ProposedCall,
    Purpose,
    Version,
)
from compliance.call_rules import RULES, decide, decide_all
from compliance.decision import Decision, Outcome, Verdict
from compliance.policy import Policy, parse_policy
from compliance.rule_answers import Case, moment_of
from compliance.shanghai import SHANGHAI
from tests.compliance.call_rules_builders import AGENCY_SIDE, CALL, CALLEE, POLICY_HOLDER, SERVICE_CALL, SIDE

untimed = settings(deadline=None)

LAW_DAY = date(2026, 6, 1)
STEP = timedelta(microseconds=1)
ZONES = [SHANGHAI, UTC, ZoneInfo("America/New_York")]
POLICY_TEXTS = [
    "",
    "[contact_limit]\nattempts = 2\nper_hours = 24",
    '[[quiet_hours.region]]\ncode = "650000"\ndaily = [21:00:00, 11:00:00]',
    (
        '[[quiet_hours.region]]\ncode = "110000"\ndaily = [12:00:00, 14:00:00]\n'
        '[[quiet_hours.segment]]\nname = "old"\ndaily = [13:00:00, 15:00:00]'
    ),
]
POLICIES = [parse_policy(text, on=LAW_DAY) for text in POLICY_TEXTS]
TIGHTER = [parse_policy(f"[quiet_hours]\ndaily = [20:00:00, 10:30:00]\n\n{text}", on=LAW_DAY) for text in POLICY_TEXTS]

days = st.dates(date(2026, 5, 30), date(2026, 6, 4))
instants = st.builds(
    lambda day, hour, shift: datetime(day.year, day.month, day.day, hour, tzinfo=SHANGHAI) + shift * STEP,
    days,
    st.sampled_from([0, 9, 10, 11, 12, 13, 14, 15, 20, 21, 22]),
    st.sampled_from([-1, 0, 1, 30_000_000]),
)
regions = st.sampled_from(["110000", "650000", "440300", "440000", None])
sales_regions = st.sampled_from([("110000", "440000"), ("440300", "650000"), ()])
overlays = st.builds(
    Overlay,
    overlay_id=st.just("o1"),
    name=st.just("closure"),
    kind=st.just(OverlayKind.HOLIDAY),
    regions=st.sampled_from([None, ("110000",), ("440000", "650000")]),
    from_at=instants,
    to_at=instants,
)
blocks = st.builds(Block, entry_ids=st.just(("e1",)), blocked_from=instants, first_callable_on=st.none() | days)
callbacks = st.builds(
    lambda created_at, from_at, hours, is_theirs, used: CallbackRequest(
        callback_request_id="b1",
        for_this_callee=is_theirs,
        created_at=created_at,
        from_at=from_at,
        to_at=from_at + timedelta(hours=hours),
        used=used,
    ),
    created_at=st.one_of(st.just(datetime(2026, 5, 29, 12, tzinfo=UTC)), instants),
    from_at=instants,
    hours=st.sampled_from([1, 15, 40]),
    is_theirs=st.sampled_from([True, True, True, True, False]),
    used=st.sampled_from([False, False, False, False, True]),
)

CALLEE_FAULTS: list[st.SearchStrategy[dict[str, Any]]] = [
    st.fixed_dictionaries({"region": regions}),
    st.fixed_dictionaries({"block": blocks}),
    st.fixed_dictionaries({"callback": callbacks}),
    st.fixed_dictionaries({"segments": st.just(("old",))}),
    st.fixed_dictionaries({"attempts_at": st.lists(instants, max_size=4).map(sorted).map(tuple)}),
    st.just({"mainland": False, "region": None}),
    st.fixed_dictionaries({"callback": callbacks, "block": st.none() | blocks}),
    st.fixed_dictionaries({"phone_e164": st.sampled_from([None, "+8613800138000", "+8613800138000"])}),
    st.fixed_dictionaries({"policy_holder": st.sampled_from([True, False, None])}),
]
ROW_FAULTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "insurer": st.fixed_dictionaries(
        {},
        optional={
            "operating_regions": sales_regions,
            "telesales_since": st.sampled_from([None, date(2024, 6, 1), date(2024, 6, 2)]),
            "major_penalties_on": st.sampled_from([(date(2024, 6, 1),), (date(2026, 6, 2),)]),
        },
    ),
    "centre": st.fixed_dictionaries(
        {},
        optional={
            "state": st.sampled_from(CentreState),
            "sales_regions": sales_regions,
            "licensed_on": st.none() | days,
            "filed_on": st.none() | days,
            "contract_through": st.none() | days,
            "qualified_through": st.none() | days,
        },
    ),
    "agent": st.fixed_dictionaries(
        {},
        optional={
            "trained_on": st.none() | days,
            "certified_from": days,
            "certified_through": st.none() | days,
            "participating_trained_on": days,
        },
    ),
    "product": st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(ProductType),
            "sold_from": days,
            "sold_through": days,
        },
    ),
    "campaign": st.fixed_dictionaries(
        {},
        optional={
            "centre_id": st.sampled_from(["c1", "c2"]),
            "leads_expire_on": st.none() | days,
            "leads_collected_on": days,
        },
    ),
    "caller_numbers": st.fixed_dictionaries(
        {}, optional={"centre_id": st.sampled_from([None, "c1", "c2"]), "in_use_from": days, "retired_on": days}
    ),
    "scripts": st.fixed_dictionaries(
        {}, optional={"approved_on": days, "approved_by": st.none(), "product_code": st.just("p2")}
    ),
}
DROPPABLE = ["caller_number", "agent_id", "centre_id", "campaign_id", "product_code", "customer_id"]
FORGETTABLE = ["insurer", "centre", "agent", "caller_numbers", "product", "scripts", "campaign"]


@st.composite
def versions(draw: st.DrawFn, row: Version, faults: st.SearchStrategy[dict[str, Any]]) -> tuple[Version, ...]:
    """Return one or two versions of `row`, each with some fault or a limited time."""
    limits: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {}, optional={"effective_through": st.none() | days}
    )
    first = replace(row, **draw(faults), **draw(limits))
    if draw(st.booleans()):
        return (first,)
    later: dict[str, Any] = {"effective_from": draw(days), **draw(faults), **draw(limits)}
    return (first, replace(row, **later))


@st.composite
def sides(draw: st.DrawFn) -> CallingSide:
    side = draw(st.sampled_from([SIDE, SIDE, AGENCY_SIDE]))
    changes: dict[str, Any] = {"overlays": tuple(draw(st.lists(overlays, max_size=2)))}
    for name in draw(st.sets(st.sampled_from(sorted(ROW_FAULTS)), max_size=2)):
        rows = getattr(side, name)
        if name in {"caller_numbers", "scripts"}:
            changes[name] = (draw(versions(rows[0][0], ROW_FAULTS[name])),)
        else:
            changes[name] = draw(versions(rows[0], ROW_FAULTS[name]))
    return replace(side, **changes)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    call = draw(st.sampled_from([CALL, CALL, replace(CALL, purpose=Purpose.APPOINTMENT), SERVICE_CALL]))
    callee = POLICY_HOLDER if call is SERVICE_CALL else CALLEE
    for index in draw(st.sets(st.integers(0, len(CALLEE_FAULTS) - 1), max_size=2)):
        callee = replace(callee, **draw(CALLEE_FAULTS[index]))
    if callee.callback is not None or draw(st.integers(0, 29)) == 29:
        call = replace(call, callback_request_id="b1")
    return Case(call, Facts(side=draw(sides()), callee=callee), draw(st.sampled_from(POLICIES)))


def decision_on(case: Case, at: datetime) -> Decision:
    return decide(case.call, case.facts, case.policy, at=at)


def outcomes_at(case: Case, at: datetime) -> list[Outcome]:
    return [rule(case, moment_of(at)).outcome for rule in RULES.values()]


def next_change(case: Case, at: datetime) -> datetime | None:
    changes = [rule(case, moment_of(at)).changes_at for rule in RULES.values()]
    return min((change for change in changes if change is not None), default=None)


def first_open_instant(case: Case, at: datetime, *, steps: int) -> tuple[datetime | None, datetime | None]:
    """Try every instant at which anything changes; return the first at which all rules permit, and the last tried."""
    tried: datetime | None = at
    for _ in range(steps):
        tried = next_change(case, at)
        if tried is None or set(outcomes_at(case, tried)) == {Outcome.PERMIT}:
            return tried, tried
        at = tried
    return None, tried


@untimed
@given(cases(), instants)
def test_a_call_is_allowed_exactly_when_every_rule_permits_it(case: Case, at: datetime) -> None:
    decision = decision_on(case, at)

    assert (decision.verdict is Verdict.ALLOW) == (set(outcomes_at(case, at)) == {Outcome.PERMIT})
    assert (decision.verdict is Verdict.ALLOW) == (decision.reasons == ())
    assert (decision.verdict is Verdict.ALLOW) == (decision.valid_until is not None)


@untimed
@given(cases(), instants, st.floats(0, 1))
def test_no_rule_changes_its_outcome_before_the_instant_it_names(case: Case, at: datetime, share: float) -> None:
    for rule in RULES.values():
        answer = rule(case, moment_of(at))
        end = at + timedelta(days=20) if answer.changes_at is None else answer.changes_at
        assert at < end
        for later in (min(at + (end - at) * share, end - STEP), end - STEP):
            assert rule(case, moment_of(later)).outcome is answer.outcome


@untimed
@given(cases(), instants)
def test_a_reason_stands_until_its_instant_and_not_at_it(case: Case, at: datetime) -> None:
    for reason in decision_on(case, at).reasons:
        end = at + timedelta(days=3000) if reason.until is None else reason.until
        still = {each.code for each in decision_on(case, end - STEP).reasons}
        after = {each.code for each in decision_on(case, end).reasons}
        assert at < end
        assert reason.code in still
        assert (reason.code in after) == (reason.until is None)


@untimed
@given(cases(), instants)
def test_next_callable_at_is_the_first_instant_at_which_every_rule_permits(case: Case, at: datetime) -> None:
    decision = decision_on(case, at)
    found, tried = first_open_instant(case, at, steps=60)

    if decision.verdict is Verdict.ALLOW:
        assert decision.next_callable_at is None
    elif found is not None:
        assert decision.next_callable_at == found
    else:
        assert decision.next_callable_at is None or (tried is not None and decision.next_callable_at > tried)


@untimed
@given(cases(), instants, st.floats(0, 1))
def test_an_allow_holds_up_to_valid_until(case: Case, at: datetime, share: float) -> None:
    decision = decision_on(case, at)

    if decision.valid_until is not None:
        span = decision.valid_until - at
        assert timedelta() < span <= timedelta(seconds=60)
        for later in (min(at + span * share, decision.valid_until - STEP), decision.valid_until - STEP):
            assert decision_on(case, later).verdict is Verdict.ALLOW


@untimed
@given(cases(), instants, st.sampled_from(DROPPABLE))
def test_not_sending_an_id_never_turns_a_denial_into_an_allow(case: Case, at: datetime, name: str) -> None:
    dropped: dict[str, Any] = {name: None}
    poorer = replace(case, call=replace(case.call, **dropped))

    # An appointment may be made without a product: only there does leaving it out mean something else.
    is_meant = case.call.purpose is Purpose.APPOINTMENT and name == "product_code"
    assert is_meant or not turns_to_allow(case, poorer, at)


@untimed
@given(cases(), instants, st.sampled_from(FORGETTABLE))
def test_an_unknown_register_row_never_turns_a_denial_into_an_allow(case: Case, at: datetime, name: str) -> None:
    forgotten: dict[str, Any] = {name: ()}
    side = replace(case.facts.side, **forgotten)

    assert not turns_to_allow(case, replace(case, facts=replace(case.facts, side=side)), at)


@untimed
@given(
    cases(),
    instants,
    st.sampled_from([{"phone_e164": None}, {"region": None}, {"policy_holder": None}, {"callback": None}]),
)
def test_not_knowing_the_callee_never_turns_a_denial_into_an_allow(
    case: Case, at: datetime, dropped: dict[str, Any]
) -> None:
    callee = replace(case.facts.callee, **dropped)

    assert not turns_to_allow(case, replace(case, facts=replace(case.facts, callee=callee)), at)


@untimed
@given(cases(), instants, overlays)
def test_another_closure_never_turns_a_denial_into_an_allow(case: Case, at: datetime, closure: Overlay) -> None:
    side = replace(case.facts.side, overlays=(*case.facts.side.overlays, closure))

    assert not turns_to_allow(case, replace(case, facts=replace(case.facts, side=side)), at)


@untimed
@given(cases(), instants, blocks)
def test_a_block_never_turns_a_denial_into_an_allow(case: Case, at: datetime, block: Block) -> None:
    unblocked = replace(case, facts=replace(case.facts, callee=replace(case.facts.callee, block=None)))
    blocked = replace(case, facts=replace(case.facts, callee=replace(case.facts.callee, block=block)))

    assert not turns_to_allow(unblocked, blocked, at)


@untimed
@given(cases(), instants)
def test_more_prohibited_hours_never_turn_a_denial_into_an_allow(case: Case, at: datetime) -> None:
    # With more general hours a region's own may make no difference any more, nor which region it is: so it is known.
    known = replace(case, facts=replace(case.facts, callee=replace(case.facts.callee, region="110000")))

    assert not turns_to_allow(known, replace(known, policy=TIGHTER[POLICIES.index(case.policy)]), at)


@untimed
@given(cases(), instants, st.sampled_from(ZONES))
def test_the_zone_of_the_instant_makes_no_difference(case: Case, at: datetime, zone: ZoneInfo) -> None:
    assert decision_on(case, at.astimezone(zone)) == decision_on(case, at)


@untimed
@given(cases(), instants)
def test_facts_decode_from_json_to_the_same_decision(case: Case, at: datetime) -> None:
    facts = msgspec.json.decode(msgspec.json.encode(case.facts), type=Facts)
    call = msgspec.json.decode(msgspec.json.encode(case.call), type=ProposedCall)

    assert decide(call, facts, case.policy, at=at) == decision_on(case, at)


@untimed
@given(st.lists(cases(), max_size=6), instants, st.sampled_from(POLICIES), st.randoms(use_true_random=False))
def test_deciding_together_is_deciding_one_by_one_in_any_order(
    many: list[Case], at: datetime, policy: Policy, shuffler: Any
) -> None:
    callees: list[Callee] = [case.facts.callee for case in many]
    pairs = [(case.call, Facts(side=case.facts.side, callee=callee)) for case in many for callee in callees]
    alone = [decide(call, facts, policy, at=at) for call, facts in pairs]
    order = list(range(len(pairs)))
    shuffler.shuffle(order)

    assert decide_all(pairs, policy, at=at) == alone
    assert decide_all([pairs[index] for index in order], policy, at=at) == [alone[index] for index in order]


def turns_to_allow(before: Case, after: Case, at: datetime) -> bool:
    was_denied = decision_on(before, at).verdict is Verdict.DENY
    return was_denied and decision_on(after, at).verdict is Verdict.ALLOW
