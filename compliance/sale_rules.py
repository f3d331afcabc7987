"""What a sale that was closed breaks or leaves open, judged by the registers of its closing day.

A sale that breaks the Measures is a sale all the same: it is registered with what was found, never turned away. Owns
arts. 18, 19 and 30 at the closing, where the actual product, seller and customer decide and not those of the campaign;
the rules are those of the gate, asked about the instant of the consent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from compliance.call_facts import Callee, CallingSide, CentreKind, Facts, ProposedCall
from compliance.call_rules import ARTICLES, FACT_ARTICLES, Rule
from compliance.calling_side_rules import agency_not_filed, agent_not_qualified, centre_not_open
from compliance.decision import Outcome, ReasonCode
from compliance.legal import law_begins
from compliance.offer_rules import product_not_permitted
from compliance.policy import Policy
from compliance.region_rules import outside_sales_region
from compliance.retention_terms import CoverTerm
from compliance.rule_answers import Case, Moment, Wording, moment_of, version_on
from compliance.shanghai import shanghai_day
from compliance.voice_confirmation import ARTICLES as VOICE_ARTICLES
from compliance.voice_confirmation import Application, VoiceFault, voice_faults

SIDE_RULES: Mapping[ReasonCode, Rule] = {
    ReasonCode.CENTRE_NOT_OPEN: centre_not_open,
    ReasonCode.AGENCY_NOT_FILED: agency_not_filed,
    ReasonCode.AGENT_NOT_QUALIFIED: agent_not_qualified,
    ReasonCode.PRODUCT_NOT_PERMITTED: product_not_permitted,
}
"""Rules of the gate that bind the seller and the product of a sale too."""

NO_RECORDED_CALL = "no_recorded_call"
SALES_MODE_DIFFERS = "sales_mode_differs"
TERM_CONTRADICTORY = "term_contradictory"
ABOUT_RECORDS = frozenset({NO_RECORDED_CALL, SALES_MODE_DIFFERS, TERM_CONTRADICTORY})
"""Findings on what is recorded of a sale; all others say that it breaks the rules, or cannot be shown to keep them."""

_WORDINGS: Mapping[str, Wording] = {
    NO_RECORDED_CALL: Wording(
        "No call is named in which this was sold. Name its calls, whose recordings are evidence of the sale.",
        "未载明成交所依据的通话。请登记成交通话,其录音为成交证据。",
    ),
    SALES_MODE_DIFFERS: Wording(
        "The sales mode is not that of the centre in the register. It counts as sent; check both.",
        "销售模式与登记的中心类型不一致。按所报计算,请更正登记或成交信息。",
    ),
    TERM_CONTRADICTORY: Wording(
        "The months declared and the dates of the cover cannot mean the same period. The longer counts.",
        "所报保险期间月数与起止日期不一致,按较长者计算。",
    ),
    "unknown_centre": Wording(
        "The centre is not in the register. Register it, so that its regions and licences can be shown.",
        "该中心未登记。请先登记,以证明其销售区域和许可。",
    ),
    "unknown_insurer": Wording(
        "The insurer's operating regions are not in the register. Register them.",
        "保险公司经营区域未登记。请先登记。",
    ),
    "unknown_product": Wording(
        "The product is not in the register, so that nobody can tell whether it may be sold by telephone. Register it.",
        "该产品未登记,无法判断是否可以通过电话销售。请先登记。",
    ),
    "unknown_agent": Wording(
        "The agent is not in the register, so that training and certification cannot be shown. Register the agent.",
        "该销售人员未登记,无法证明其培训和资质。请先登记。",
    ),
    "region_unknown": Wording(
        "Where the customer lives is not known, and the insurer or the centre may not sell everywhere. "
        "Record the customer's region.",
        "客户所在地区未知,而保险公司或该中心的销售区域有限。请登记客户所在地区。",
    ),
    VoiceFault.APPLICANT_NOT_INSURED: Wording(
        "The applicant is not shown to be the insured: a recording cannot confirm this sale. Have the form signed.",
        "未能证明投保人与被保险人为同一人,不得以电话录音确认投保。请签署投保单。",
    ),
    VoiceFault.APPLICANT_AGE: Wording(
        "The applicant is not shown to be of the age at which a recording can confirm a sale. Have the form signed.",
        "未能证明投保人年龄符合电话录音确认投保的条件。请签署投保单。",
    ),
    VoiceFault.PRODUCT_NOT_ORDINARY: Wording(
        "Only an ordinary product can be confirmed by a recording. Have the form signed.",
        "仅普通型产品可以电话录音确认投保。请签署投保单。",
    ),
    VoiceFault.MEDICAL_EXAM: Wording(
        "A product that needs a medical examination cannot be confirmed by a recording. Have the form signed.",
        "需要体检的产品不得以电话录音确认投保。请签署投保单。",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found about a sale, with its article."""

    code: str
    article: str
    message: str
    message_zh: str

    @property
    def is_breach(self) -> bool:
        """Say whether the sale breaks the rules, or cannot be shown to keep them."""
        return self.code not in ABOUT_RECORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleFacts:
    """What a sale is judged by. `sold` holds its seller, purpose and product in the terms of the gate.

    `callees` are the people of its calls, as far as known; `is_by_recording` says that the wish to be insured was
    confirmed by recording alone.
    """

    consented_at: datetime
    sold: ProposedCall
    side: CallingSide
    callees: tuple[Callee, ...]
    sales_mode: CentreKind
    term: CoverTerm
    application: Application
    is_by_recording: bool
    has_calls: bool


def findings_of(sale: SaleFacts, policy: Policy) -> list[Finding]:
    """Return everything found about a sale, once each: breaches of the rules first, then what its record lacks.

    A sale older than the Measures cannot break them; only its record is looked at.
    """
    if shanghai_day(sale.consented_at) < law_begins():
        return list(_records(sale))
    found = [*_unknown_rows(sale), *_refusals(sale, policy), *_voice(sale), *_records(sale)]
    return list({one.code: one for one in reversed(found)}.values())[::-1]


def may_confirm_by_recording(application: Application) -> bool:
    """Say whether art. 30 lets a recording confirm this application; before the Measures nothing did."""
    return application.consent_on >= law_begins() and not voice_faults(application)


def _finding(code: str, article: str, why: Wording | None = None) -> Finding:
    words = _WORDINGS[code] if why is None else why
    return Finding(code, article, words.en, words.zh)


def _unknown_rows(sale: SaleFacts) -> Iterator[Finding]:
    known: Mapping[str, tuple[str, Sequence[object]]] = {
        "unknown_centre": ("centre_id", sale.side.centre),
        "unknown_insurer": ("insurer", sale.side.insurer),
        "unknown_product": ("product_code", sale.side.product),
        "unknown_agent": ("agent_id", sale.side.agent),
    }
    for code, (fact, versions) in known.items():
        if not versions:
            yield _finding(code, FACT_ARTICLES[fact])


def _refusals(sale: SaleFacts, policy: Policy) -> Iterator[Finding]:
    moment = moment_of(sale.consented_at)
    callees = sale.callees or (Callee(phone_e164=None),)
    cases = [Case(sale.sold, Facts(side=sale.side, callee=callee), policy) for callee in callees]
    for code, rule in SIDE_RULES.items():
        answer = rule(cases[0], moment)
        if answer.outcome is Outcome.REFUSE:
            yield _finding(code, ARTICLES[code], answer.why)
    for case in cases:
        yield from _region(case, moment)


def _region(case: Case, moment: Moment) -> Iterator[Finding]:
    answer = outside_sales_region(case, moment)
    if answer.outcome is Outcome.REFUSE:
        yield _finding(ReasonCode.OUTSIDE_SALES_REGION, ARTICLES[ReasonCode.OUTSIDE_SALES_REGION], answer.why)
    is_limit_known = bool(case.facts.side.insurer) and bool(case.facts.side.centre)
    if answer.outcome is Outcome.UNDETERMINED and is_limit_known:
        yield _finding("region_unknown", "18")


def _voice(sale: SaleFacts) -> Iterator[Finding]:
    if sale.is_by_recording:
        for fault in voice_faults(sale.application):
            yield _finding(fault, VOICE_ARTICLES[fault])


def _records(sale: SaleFacts) -> Iterator[Finding]:
    centre = version_on(sale.side.centre, moment_of(sale.consented_at).day)
    if centre is not None and centre.kind is not sale.sales_mode:
        yield _finding(SALES_MODE_DIFFERS, "34")
    if sale.term.is_contradictory():
        yield _finding(TERM_CONTRADICTORY, "35")
    if not sale.has_calls:
        yield _finding(NO_RECORDED_CALL, "27")
