"""What the demo's inspectors judge: most sales pass, some do not, and two inspectors do not always agree. Pure."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from qa_sampling.scorecard import Answer, Item, Verdict
from services.demo.chance import Chance, Dice

_FATAL = ("cooling_off_told", "no_misstatement", "product_named", "consent_given")
_FATAL_PER_MILLE = 60
_MANY_PER_MILLE = 25
_ONE_PER_MILLE = 160
_SEEN_OTHERWISE_PER_MILLE = 25
"""By one inspector, of items that do not decide alone."""

_NOTES = {
    "identity_told": "未报工号",
    "agency_nature_told": "未说明代理机构身份",
    "product_named": "称产品为“存款计划”",
    "cover_told": "未说明责任免除",
    "contract_told": "未说明保单送达方式",
    "cooling_off_told": "全程未提及犹豫期",
    "service_told": "未告知保单查询方式",
    "consent_given": "未取得客户的肯定答复即结束询问",
    "payment_times_told": "未说明续期缴费时间",
    "no_misstatement": "承诺“收益比银行高”",
    "number_shown": "客户反映来电显示非统一号码",
    "customer_data_proper": "未能说明客户信息来源",
}
_SIGNED = "以书面签名确认投保,未采用电话录音确认"
_NO_TRANSFER = "保费未以电话录音授权转账"
COMMENTS = ("话术完整,客户理解清楚。", "语速偏快,建议辅导。", None, None)


def planned_failures(chance: Chance, policy_no: str) -> tuple[str, ...]:
    """Return the items that fail in a sale; mostly none."""
    dice = chance.dice("judged", policy_no)
    what = dice.below(1000)
    if what < _FATAL_PER_MILLE:
        return (dice.pick(_FATAL),)
    if what < _FATAL_PER_MILLE + _MANY_PER_MILLE:
        return ("cover_told", "contract_told", "payment_times_told", "service_told")
    if what < _FATAL_PER_MILLE + _MANY_PER_MILLE + _ONE_PER_MILLE:
        return (dice.pick(("identity_told", "contract_told", "service_told", "payment_times_told")),)
    return ()


def planned_answers(
    items: Sequence[Item],
    failures: Sequence[str],
    durations: Mapping[UUID, int],
    dice: Dice,
    *,
    is_signed: bool,
    is_agency: bool,
) -> list[Answer]:
    """Return an inspector's answers. `dice` are the inspector's own about this sale; `durations` in milliseconds."""
    recording_id, duration_ms = next(iter(durations.items()))
    answers = []
    for item in items:
        answer = _applies(item, is_signed=is_signed, is_agency=is_agency)
        is_other = not item.fatal and dice.hits(_SEEN_OTHERWISE_PER_MILLE)
        if answer is None and (item.item_id in failures) != is_other and item.item_id in _NOTES:
            at_ms = duration_ms * (200 + dice.below(700)) // 1000
            answer = Answer(item.item_id, Verdict.FAIL, at_ms, recording_id, _NOTES[item.item_id])
        answers.append(answer or Answer(item.item_id, Verdict.PASS))
    return answers


def _applies(item: Item, *, is_signed: bool, is_agency: bool) -> Answer | None:
    """Return the answer of an item that does not apply to the sale; None if it does."""
    if item.item_id == "agency_nature_told" and not is_agency:
        return Answer(item.item_id, Verdict.NOT_APPLICABLE)
    if item.item_id == "consent_given" and is_signed:
        return Answer(item.item_id, Verdict.NOT_APPLICABLE, note=_SIGNED)
    if item.item_id == "payment_authorised" and is_signed:
        return Answer(item.item_id, Verdict.NOT_APPLICABLE, note=_NO_TRANSFER)
    return None
