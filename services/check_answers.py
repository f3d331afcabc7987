"""Judged calls as JSON: built once, as bytes, because this is the answer that is given most often."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from compliance.check_rows import JudgedCall
from compliance.decision import RULES_CHECKED, Decision, Reason

_encoder = msgspec.json.Encoder()
_RULES = msgspec.Raw(_encoder.encode(RULES_CHECKED))
_NO_REASONS = msgspec.Raw(b"[]")


class _ReasonAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    article: str
    message: str
    message_zh: str
    until: datetime | None
    facts: tuple[str, ...] = ()


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    check_id: str | msgspec.UnsetType = msgspec.UNSET
    decision: str
    callee: str | None
    region: str | None
    checked_at: datetime
    valid_until: datetime | msgspec.UnsetType | None = msgspec.UNSET
    next_callable_at: datetime | None
    reasons: msgspec.Raw
    rules_checked: msgspec.Raw = _RULES
    policy_digest: str
    simulated: bool | msgspec.UnsetType = msgspec.UNSET


def reasons_json(reasons: Sequence[Reason]) -> bytes:
    """Return the reasons as a JSON list."""
    listed = [
        _ReasonAnswer(one.code, one.article, one.message, one.message_zh, one.until, one.facts) for one in reasons
    ]
    return _encoder.encode(listed)


def answers(judged: Sequence[JudgedCall], *, simulated: bool = False) -> list[bytes]:
    """Return each judged call as the JSON object of the contract, numbers unmasked."""
    raw_reasons: dict[int, msgspec.Raw] = {}
    found = []
    for one in judged:
        reasons = one.decision.reasons
        raw = _NO_REASONS
        if reasons:
            key = id(reasons)
            if key not in raw_reasons:
                raw_reasons[key] = msgspec.Raw(reasons_json(reasons))
            raw = raw_reasons[key]
        found.append(_answer(one, one.decision, raw, simulated=simulated))
    return found


def _answer(one: JudgedCall, decision: Decision, reasons: msgspec.Raw, *, simulated: bool) -> bytes:
    return _encoder.encode(
        _Answer(
            check_id=msgspec.UNSET if simulated else one.check_id,
            decision=decision.verdict.value,
            callee=one.callee.phone_e164,
            region=one.callee.region,
            checked_at=one.at,
            valid_until=msgspec.UNSET if simulated else decision.valid_until,
            next_callable_at=decision.next_callable_at,
            reasons=reasons,
            policy_digest=one.policy.digest,
            simulated=True if simulated else msgspec.UNSET,
        )
    )
