"""The rules on who calls: the number shown, the centre, the agency and the agent.

Owns arts. 10, 14-17, 20 and 26 of the Measures as far as a call depends on them. These rules read nothing of
the callee and change only at midnight, so that many calls of one side share their answers.

A row of which nothing is known makes a rule undetermined; `facts_missing` names it. A known row without a
version in force on the day is a refusal by the rule whose subject it is; a rule that only looks something up
in it is undetermined meanwhile.
"""

from collections.abc import Sequence
from datetime import date

from compliance.call_facts import Agent, CallerNumber, Centre, CentreKind, CentreState, ProductType
from compliance.decision import Outcome
from compliance.rule_answers import (
    Answer,
    Case,
    Moment,
    Wording,
    centre_on,
    day_after,
    is_centre_known,
    is_sales,
    is_stated,
    judged,
    next_day_of,
    permit,
    refuse,
    undetermined,
    version_days,
    version_on,
)

NUMBER_NOT_REGISTERED = Wording(
    "The caller number is not a dedicated number of this centre in use on this day. Call from a registered number.",
    "主叫号码不是该中心当日在用的专用号码。请使用已登记的专用号码呼出。",
)
CENTRE_NOT_IN_FORCE = Wording(
    "The centre's register row is not in force on this day. Bring the register up to date.",
    "该中心的登记信息当日未生效。请更新登记信息。",
)
CENTRE_NOT_OPEN = Wording(
    "The centre is in preparation or closed and may not place any call. Call from an open centre.",
    "该中心处于筹建或关闭状态,不得呼出。请由已开业的中心呼出。",
)
CENTRE_NOT_LICENSED = Wording(
    "The centre's approval, insurance licence and business licence are not all on record for this day. "
    "Record them first.",
    "该中心的批准文件、保险许可证和营业执照当日未齐备。请先补齐登记。",
)
AGENCY_NOT_FILED = Wording(
    "The agency's filing with the regulator is not on record for an earlier day. "
    "File first and call from the next day on.",
    "该代理机构未在呼出日之前向保监局备案。请先备案,次日起方可呼出。",
)
AGENCY_CONTRACT = Wording(
    "The agency's contract does not cover this day. Renew the contract and record its term.",
    "该代理机构的委托合同期限不包含当日。请续签合同并登记期限。",
)
AGENCY_NOT_QUALIFIED = Wording(
    "The agency's qualification is not proven for this day. Review it and record how long it is valid.",
    "该代理机构的资质当日未经证实有效。请审核资质并登记有效期。",
)
AGENT_NOT_IN_FORCE = Wording(
    "The agent's register row is not in force on this day. Assign another agent.",
    "该销售人员的登记信息当日未生效。请更换销售人员。",
)
AGENT_OF_OTHER_CENTRE = Wording(
    "The agent does not belong to the calling centre. Assign an agent of this centre.",
    "该销售人员不属于呼出中心。请安排本中心的销售人员。",
)
AGENT_NOT_TRAINED = Wording(
    "The agent's pre-job training is not on record for this day. Train the agent first.",
    "该销售人员当日无岗前培训记录。请先完成培训。",
)
AGENT_NOT_CERTIFIED = Wording(
    "The agent's sales certification is not valid on this day. Assign a certified agent.",
    "该销售人员的销售资质认证当日无效。请安排持有效资质的人员。",
)
AGENT_NOT_TRAINED_FOR_PARTICIPATING = Wording(
    "The agent has no special training for participating products on this day. Assign a trained agent.",
    "该销售人员当日未完成分红型产品专门培训。请安排已受训人员。",
)


def caller_number_not_registered(case: Case, moment: Moment) -> Answer:
    """Refuse unless the number shown is, on the day, in use by the calling centre (art. 20).

    A number without an owning centre is the insurer's national one, used by all its own centres.
    """
    side = case.facts.side
    if case.call.caller_number is None or side.caller_number_e164 is None:
        return undetermined(None)
    rows = [(row, version_on(row, moment.day)) for row in side.caller_numbers]
    days = [day for row, version in rows for day in _number_days(row, version)]
    changes_at = next_day_of([*days, *version_days(side.centre)], moment.day)
    outcomes = {_number_outcome(case, version, moment.day) for _, version in rows}
    if Outcome.PERMIT in outcomes:
        return permit(changes_at)
    if Outcome.UNDETERMINED in outcomes:
        return undetermined(changes_at)
    return refuse(NUMBER_NOT_REGISTERED, changes_at)


def _number_days(row: Sequence[CallerNumber], version: CallerNumber | None) -> list[date | None]:
    own_days = [] if version is None else [version.in_use_from, version.retired_on]
    return [*version_days(row), *own_days]


def _number_outcome(case: Case, number: CallerNumber | None, day: date) -> Outcome:
    if number is None or number.phone != case.facts.side.caller_number_e164 or not _is_in_use(number, day):
        return Outcome.REFUSE
    if not is_centre_known(case):
        return Outcome.UNDETERMINED
    if number.centre_id is not None:
        return Outcome.PERMIT if number.centre_id == case.call.centre_id else Outcome.REFUSE
    centre = centre_on(case, day)
    if centre is None:
        return Outcome.UNDETERMINED
    return Outcome.PERMIT if centre.kind is CentreKind.OWN_CENTRE else Outcome.REFUSE


def _is_in_use(number: CallerNumber, day: date) -> bool:
    return number.in_use_from <= day and (number.retired_on is None or day < number.retired_on)


def centre_not_open(case: Case, moment: Moment) -> Answer:
    """Refuse every call, service too, of a centre not yet or no longer open (arts. 10, 14)."""
    if not is_centre_known(case):
        return undetermined(None)
    versions = case.facts.side.centre
    centre = version_on(versions, moment.day)
    if centre is None:
        return refuse(CENTRE_NOT_IN_FORCE, next_day_of(version_days(versions), moment.day))
    changes_at = next_day_of([*version_days(versions), centre.licensed_on], moment.day)
    return judged(_opening_fault(centre, moment.day), changes_at)


def _opening_fault(centre: Centre, day: date) -> Wording | None:
    if centre.state is not CentreState.OPEN:
        return CENTRE_NOT_OPEN
    if centre.kind is CentreKind.AGENCY:
        return None
    papers = (centre.approval_no, centre.insurance_licence_no, centre.business_licence_no)
    is_licensed = centre.licensed_on is not None and centre.licensed_on <= day
    return None if is_licensed and all(map(is_stated, papers)) else CENTRE_NOT_LICENSED


def agency_not_filed(case: Case, moment: Moment) -> Answer:
    """Refuse an agency not filed before the day, out of contract or not proven qualified (arts. 15-17)."""
    if not is_centre_known(case):
        return undetermined(None)
    versions = case.facts.side.centre
    centre = version_on(versions, moment.day)
    changes_at = next_day_of(version_days(versions), moment.day)
    if centre is None:
        return undetermined(changes_at)
    if centre.kind is CentreKind.OWN_CENTRE:
        return permit(changes_at)
    days = [
        day_after(centre.filed_on),
        centre.contract_from,
        day_after(centre.contract_through),
        day_after(centre.qualified_through),
    ]
    changes_at = next_day_of([*version_days(versions), *days], moment.day)
    return judged(_agency_fault(centre, moment.day), changes_at)


def _agency_fault(agency: Centre, day: date) -> Wording | None:
    if agency.filed_on is None or day <= agency.filed_on:
        return AGENCY_NOT_FILED
    if not _is_within(day, agency.contract_from, agency.contract_through):
        return AGENCY_CONTRACT
    if agency.qualified_through is None or day > agency.qualified_through:
        return AGENCY_NOT_QUALIFIED
    return None


def agent_not_qualified(case: Case, moment: Moment) -> Answer:
    """Refuse an agent of another centre, or not trained and certified on the day (art. 26)."""
    side = case.facts.side
    if case.call.agent_id is None or not side.agent:
        return undetermined(None)
    agent = version_on(side.agent, moment.day)
    if agent is None:
        return refuse(AGENT_NOT_IN_FORCE, next_day_of(version_days(side.agent), moment.day))
    days = [
        agent.trained_on,
        agent.certified_from,
        day_after(agent.certified_through),
        agent.participating_trained_on,
    ]
    changes_at = next_day_of([*version_days(side.agent), *version_days(side.product), *days], moment.day)
    fault = _agent_fault(case, agent, moment.day)
    if fault is None and not is_centre_known(case):
        return undetermined(changes_at)
    return judged(fault, changes_at)


def _agent_fault(case: Case, agent: Agent, day: date) -> Wording | None:
    if is_centre_known(case) and agent.centre_id != case.call.centre_id:
        return AGENT_OF_OTHER_CENTRE
    if not _has_begun(agent.trained_on, day):
        return AGENT_NOT_TRAINED
    if not _is_within(day, agent.certified_from, agent.certified_through):
        return AGENT_NOT_CERTIFIED
    if _sells_participating(case, day) and not _has_begun(agent.participating_trained_on, day):
        return AGENT_NOT_TRAINED_FOR_PARTICIPATING
    return None


def _sells_participating(case: Case, day: date) -> bool:
    product = version_on(case.facts.side.product, day) if is_sales(case) else None
    return product is not None and product.type is ProductType.PARTICIPATING


def _has_begun(since: date | None, day: date) -> bool:
    return since is not None and since <= day


def _is_within(day: date, since: date | None, through: date | None) -> bool:
    """Say whether both ends are known and enclose `day`."""
    return _has_begun(since, day) and through is not None and day <= through
