"""Results of the demo that do not stand as they were: one contested by the agent's side, one corrected."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text

from qa_sampling.appeals import NewAppeal, file_appeal
from qa_sampling.corrections import open_correction
from qa_sampling.inspection_deadlines import appealable_from
from services.demo.inspector_work import Desk, judge

_OFFICER = "officer"
_APPEAL = "坐席陈述:该项已向客户说明,请另一位质检员重听。"
_CORRECTION = "抽查发现“缴费方式及送达方式”一项判断有误。"
_FILED_AFTER = timedelta(minutes=40)

_FAILED = text("""
    SELECT i.inspection_id, r.failed_fatal
      FROM inspections i JOIN inspection_results r ON r.inspection_id = i.inspection_id AND r.version = 1
     WHERE i.state = 'submitted' AND r.outcome = 'failed' AND r.submitted_at >= :since
     ORDER BY r.submitted_at DESC, i.policy_no LIMIT 1""")
_PASSED = text("""
    SELECT i.inspection_id, i.claimed_by FROM inspections i
     WHERE i.state = 'submitted' AND i.outcome = 'passed'
       AND NOT EXISTS (SELECT FROM second_scorings s WHERE s.inspection_id = i.inspection_id)
     ORDER BY i.submitted_at DESC, i.policy_no LIMIT 1""")


def appeal_failed(desk: Desk) -> None:
    """Have an officer contest, for the agent's side, the latest failed result that can still be contested, if any."""
    row = desk.connection.execute(_FAILED, {"since": appealable_from(desk.clock.at)}).one_or_none()
    if row is not None:
        appeal = NewAppeal(_APPEAL, tuple(row.failed_fatal))
        file_appeal(desk.connection, row.inspection_id, appeal, person=_OFFICER, now=desk.clock.at)


def correct_passed(desk: Desk, inspectors: Sequence[str]) -> None:
    """Have the latest passed result corrected by the inspector who did not judge it, if there is one."""
    row = desk.connection.execute(_PASSED).one_or_none()
    if row is None:
        return
    desk.clock.go_to(desk.clock.at + _FILED_AFTER)
    other = next(one for one in inspectors if one != row.claimed_by)
    sitting = open_correction(desk.connection, row.inspection_id, other, reason=_CORRECTION, now=desk.clock.at)
    judge(desk, sitting, failures=("contract_told",))
