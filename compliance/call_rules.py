"""Whether a proposed call may be placed: all rules, and from and until when the answer holds.

Owns `decide`, which runs every rule on every call, and the arithmetic of time over their answers. A rule is a
function of (case, moment); the modules beside this one hold them, by subject. A call is allowed only if every
rule permits it: what cannot be determined is refused.

Many calls are decided together by judging once what they share. An answer is kept for all cases that agree in
everything the rules read, so that there is no second, faster set of rules.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta

from compliance import regions
from compliance.call_facts import Block, Callee, CallingSide, Facts, ProposedCall
from compliance.callee_rules import contact_limit, do_not_call, facts_missing, invalid_number
from compliance.calling_side_rules import (
    agency_not_filed,
    agent_not_qualified,
    caller_number_not_registered,
    centre_not_open,
)
from compliance.decision import Decision, Outcome, Reason, ReasonCode, Verdict
from compliance.hours_rules import (
    callback_request_invalid,
    overlay,
    quiet_hours,
    regional_quiet_hours,
    segment_quiet_hours,
)
from compliance.offer_rules import no_approved_script, no_lead_provenance, product_not_permitted
from compliance.policy import Policy
from compliance.region_rules import outside_sales_region, region_unknown
from compliance.rule_answers import Answer, Case, Moment, Wording, moment_of

Rule = Callable[[Case, Moment], Answer]
Answers = dict[ReasonCode, Answer]
Known = dict[Hashable, Answers]
Untils = dict[ReasonCode, datetime | None]

LONGEST_VALIDITY = timedelta(seconds=60)
"""How long an allow holds at most: the product's own figure, short because a refusal may come in between."""

MOST_STEPS = 400
"""How many changes are followed into the future before the answer is "never"; half a year of nights."""

CALLING_SIDE_RULES: Mapping[ReasonCode, Rule] = {
    ReasonCode.CALLER_NUMBER_NOT_REGISTERED: caller_number_not_registered,
    ReasonCode.CENTRE_NOT_OPEN: centre_not_open,
    ReasonCode.AGENCY_NOT_FILED: agency_not_filed,
    ReasonCode.AGENT_NOT_QUALIFIED: agent_not_qualified,
    ReasonCode.PRODUCT_NOT_PERMITTED: product_not_permitted,
    ReasonCode.NO_APPROVED_SCRIPT: no_approved_script,
    ReasonCode.NO_LEAD_PROVENANCE: no_lead_provenance,
}
"""Rules that read nothing of the callee, and of the moment only its day."""

PLACE_RULES: Mapping[ReasonCode, Rule] = {
    ReasonCode.QUIET_HOURS: quiet_hours,
    ReasonCode.REGIONAL_QUIET_HOURS: regional_quiet_hours,
    ReasonCode.SEGMENT_QUIET_HOURS: segment_quiet_hours,
    ReasonCode.REGION_UNKNOWN: region_unknown,
    ReasonCode.OUTSIDE_SALES_REGION: outside_sales_region,
    ReasonCode.INVALID_NUMBER: invalid_number,
    ReasonCode.CALLBACK_REQUEST_INVALID: callback_request_invalid,
    ReasonCode.FACTS_MISSING: facts_missing,
    ReasonCode.OVERLAY: overlay,
}
"""Rules that read what many callees have in common: region, groups, being a customer."""

PERSON_RULES: Mapping[ReasonCode, Rule] = {
    ReasonCode.DO_NOT_CALL: do_not_call,
    ReasonCode.CONTACT_LIMIT: contact_limit,
}
"""Rules that read the history of the one person called."""

RULES: Mapping[ReasonCode, Rule] = {**CALLING_SIDE_RULES, **PLACE_RULES, **PERSON_RULES}

ARTICLES: Mapping[ReasonCode, str] = {
    ReasonCode.QUIET_HOURS: "25(1)",
    ReasonCode.REGIONAL_QUIET_HOURS: "25(1)",
    ReasonCode.SEGMENT_QUIET_HOURS: "25(1)",
    ReasonCode.REGION_UNKNOWN: "18,25(1)",
    ReasonCode.DO_NOT_CALL: "25(2)",
    ReasonCode.INVALID_NUMBER: "25(2)",
    ReasonCode.CALLER_NUMBER_NOT_REGISTERED: "20",
    ReasonCode.OUTSIDE_SALES_REGION: "18",
    ReasonCode.CENTRE_NOT_OPEN: "14",
    ReasonCode.AGENCY_NOT_FILED: "16",
    ReasonCode.AGENT_NOT_QUALIFIED: "26",
    ReasonCode.PRODUCT_NOT_PERMITTED: "19",
    ReasonCode.NO_APPROVED_SCRIPT: "28",
    ReasonCode.NO_LEAD_PROVENANCE: "24",
    ReasonCode.CONTACT_LIMIT: "24",
    ReasonCode.CALLBACK_REQUEST_INVALID: "25(1)",
    ReasonCode.OVERLAY: "25(1)",
}
"""The article that each reason cites; `facts_missing` cites those of the facts it names."""

FACT_ARTICLES: Mapping[str, str] = {
    "centre_id": "14",
    "insurer": "18",
    "product_code": "19",
    "caller_number": "20",
    "campaign_id": "24",
    "customer_id": "25(1)",
    "agent_id": "26",
}
"""The article for which each fact is needed, in the order of the articles."""


def decide(call: ProposedCall, facts: Facts, policy: Policy, *, at: datetime) -> Decision:
    """Decide whether `call` may be placed at the instant `at`, by every rule in force.

    `at` is aware, in any zone; the instants answered are in Asia/Shanghai. The same arguments give the same
    decision for ever.

    Raises:
        NaiveInstantError: `at` has no offset.
    """
    return decide_all([(call, facts)], policy, at=at)[0]


def decide_all(pairs: Sequence[tuple[ProposedCall, Facts]], policy: Policy, *, at: datetime) -> list[Decision]:
    """Decide on each of `pairs` as `decide` would, in their order; none knows of the others.

    Calls are fast together when their facts share the same `CallingSide` object.
    """
    judge = Judge(policy, at=at)
    return [judge.decide(call, facts) for call, facts in pairs]


class Judge:
    """Decides calls at one moment under one policy, and keeps each answer for the cases that share it.

    Cases share an answer when they agree in their keys, which hold everything that the rules read. Keys hold the
    identity of the calling side, which is why a judge must not outlive the facts it was given.
    """

    def __init__(self, policy: Policy, *, at: datetime) -> None:
        self._policy = policy
        self._now = moment_of(at)
        self._decisions: dict[Hashable, Decision] = {}
        self._answers: Known = {}
        self._regions: dict[Hashable, Hashable] = {}
        self._segments = frozenset(window.name for window in policy.quiet_hours.segments)

    def decide(self, call: ProposedCall, facts: Facts) -> Decision:
        side_key = _side_key(call, facts)
        place_key = (side_key, self._region_key(facts), self._group_key(call, facts.callee))
        key = (place_key, self._person_key(facts.callee))
        decision = self._decisions.get(key)
        if decision is None:
            trial = _Trial(Case(call, facts, self._policy), side_key, place_key, self._answers)
            decision = self._decisions[key] = trial.decide(self._now)
        return decision

    def _region_key(self, facts: Facts) -> Hashable:
        """Return what the rules read of the callee's region, which is less than which region it is."""
        callee = facts.callee
        if callee.region is None:
            return (callee.phone_e164 is None, callee.mainland)
        key = (id(facts.side), callee.phone_e164 is None, callee.mainland, callee.region)
        known = self._regions.get(key)
        if known is None:
            areas = _areas(facts.side, self._policy)
            covered = tuple(regions.covers(codes, callee.region) for codes in areas)
            known = self._regions[key] = (callee.phone_e164 is None, callee.mainland, covered)
        return known

    def _group_key(self, call: ProposedCall, callee: Callee) -> Hashable:
        return (
            self._segments.intersection(callee.segments) if callee.segments else None,
            call.customer_id is None,
            callee.policy_holder,
            callee.customer_has_callee,
            call.callback_request_id is None,
            callee.callback,
        )

    def _person_key(self, callee: Callee) -> Hashable:
        """Return what the person rules read: from now on a block that has begun is just one that ends."""
        block, limit = callee.block, self._policy.contact_limit
        can_matter = limit is not None and len(callee.attempts_at) >= limit.attempts
        return (None if block is None else self._block_key(block), callee.attempts_at if can_matter else None)

    def _block_key(self, block: Block) -> Hashable:
        has_begun = block.blocked_from <= self._now.at
        return (None if has_begun else block.blocked_from, block.first_callable_on)


def _side_key(call: ProposedCall, facts: Facts) -> Hashable:
    return (
        id(facts.side),
        call.purpose,
        call.caller_number,
        call.agent_id,
        call.centre_id,
        call.product_code,
        call.campaign_id,
    )


def _areas(side: CallingSide, policy: Policy) -> list[Sequence[str]]:
    """Return every set of region codes that some rule compares with the callee's region."""
    windows: list[Sequence[str]] = [(window.code,) for window in policy.quiet_hours.regions]
    closures = [closure.regions for closure in side.overlays if closure.regions is not None]
    operating = [version.operating_regions for version in side.insurer]
    return [*windows, *closures, *operating, *(version.sales_regions for version in side.centre)]


class _Trial:
    """Decides one case, at its moment and at those to which its answers point."""

    def __init__(self, case: Case, side_key: Hashable, place_key: Hashable, known: Known) -> None:
        self._case = case
        self._side_key = side_key
        self._place_key = place_key
        self._known = known

    def decide(self, now: Moment) -> Decision:
        answers = self._answers(now)
        if _all_permit(answers):
            changes = [answer.changes_at for answer in answers.values() if answer.changes_at is not None]
            valid_until = min([now.at + LONGEST_VALIDITY, *changes])
            uses_callback = any(answer.opened for answer in answers.values())
            return Decision(Verdict.ALLOW, (), valid_until, None, uses_callback)
        untils = self._untils(answers)
        reasons = tuple(
            _reason(code, why, answers[code], untils[code])
            for code in ReasonCode
            if (why := answers[code].why) is not None
        )
        return Decision(Verdict.DENY, reasons, None, self._next_callable_at(untils))

    def _answers(self, moment: Moment) -> Answers:
        """Return the answers of all rules, taking from the known ones what other cases share."""
        side = self._shared(CALLING_SIDE_RULES, (self._side_key, moment.day), moment)
        place = self._shared(PLACE_RULES, (self._place_key, moment.at), moment)
        person = {code: rule(self._case, moment) for code, rule in PERSON_RULES.items()}
        return {**side, **place, **person}

    def _shared(self, rules: Mapping[ReasonCode, Rule], key: Hashable, moment: Moment) -> Answers:
        answers = self._known.get(key)
        if answers is None:
            answers = self._known[key] = {code: rule(self._case, moment) for code, rule in rules.items()}
        return answers

    def _untils(self, answers: Answers) -> Untils:
        """Return, for each answer that is a reason, the first instant at which it is none."""
        return {code: self._until(code, answer) for code, answer in answers.items() if answer.why is not None}

    def _until(self, code: ReasonCode, answer: Answer) -> datetime | None:
        for _ in range(MOST_STEPS):
            if answer.changes_at is None:
                return None
            moment = moment_of(answer.changes_at)
            answer = RULES[code](self._case, moment)
            if answer.why is None:
                return moment.at
        return None

    def _next_callable_at(self, untils: Untils) -> datetime | None:
        """Return the first instant at which every rule permits.

        No reason ends before its own `until`, so nothing is passed over by going to the latest of them.
        """
        for _ in range(MOST_STEPS):
            ends = [until for until in untils.values() if until is not None]
            if not ends or len(ends) < len(untils):
                return None
            moment = moment_of(max(ends))
            answers = self._answers(moment)
            if _all_permit(answers):
                return moment.at
            untils = self._untils(answers)
        return None


def _all_permit(answers: Answers) -> bool:
    return all(answer.outcome is Outcome.PERMIT for answer in answers.values())


def _reason(code: ReasonCode, why: Wording, answer: Answer, until: datetime | None) -> Reason:
    if until is None:
        end, end_zh = "This does not end by the passing of time.", "该限制不会随时间自行解除。"
    else:
        stamp = until.isoformat(" ")
        end, end_zh = f"It stands until {stamp}.", f"该限制至{stamp}为止。"
    article = ARTICLES.get(code) or _articles_of(answer.facts)
    message, message_zh = f"{why.en} {end}", f"{why.zh}{end_zh}"
    return Reason(code, article, message, message_zh, until, answer.outcome, answer.facts)


def _articles_of(facts: Sequence[str]) -> str:
    return ",".join(article for fact, article in FACT_ARTICLES.items() if fact in facts)
