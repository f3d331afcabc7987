"""Asks for inspections of risky sales: when a sale is registered, and by a sweep for what became known later.

An inspection asked for here is marked by its reasons and never counts as drawn. What others find, a key phrase or a
complaint, comes in through `flag`.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.shanghai import shanghai_day
from infra.advisory_locks import AdvisoryLock, hold_if_free
from qa_sampling.inspection_tasks import Risk, open_risky
from qa_sampling.risk import ELDERLY_YEARS, NEW_AGENT_DAYS, NEW_AGENT_SALES, RISKS, RiskCode, SaleSigns, risks_of

SWEPT_DAYS = 31
"""How many closing days back the sweep looks for sales whose facts came, or were corrected, after they were entered."""


# A callback request is used up by a check at an hour that would else be quiet, so that `used_by` alone says it. A late
# sale is one that the draws of its day had not in their frame; whatever drew it since, it is no longer only late.
_SIGNS = text("""
    SELECT s.policy_no, s.closed_on, CAST(s.content ->> 'applicant_birth_date' AS date) AS birth_date,
           a.certified_on, a.registered_on,
           (SELECT count(*) FROM (SELECT FROM sales o WHERE o.agent_id = s.agent_id AND o.position < s.position
                                   LIMIT :first_sales) e) AS earlier_sales,
           EXISTS (SELECT FROM sale_calls c JOIN call_records r ON r.call_id = c.call_id
                     JOIN callback_requests b ON b.used_by = r.check_id
                    WHERE c.policy_no = s.policy_no) AS has_callback,
           EXISTS (SELECT FROM draw_tickets t WHERE t.policy_no = s.policy_no AND t.kind = 'late')
               AND i.is_random IS NOT TRUE AS is_late,
           coalesce(i.risk_reasons, '[]') AS known
      FROM sales s
      LEFT JOIN LATERAL (
           SELECT min(CAST(v.body ->> 'certified_from' AS date)) AS certified_on,
                  min(v.effective_from) FILTER (WHERE v.body ->> 'centre_id' IS NOT NULL) AS registered_on
             FROM register_versions v WHERE v.register = 'agents' AND v.row_id = s.agent_id) a ON true
      LEFT JOIN inspections i ON i.policy_no = s.policy_no
     WHERE s.policy_no = ANY(:policy_nos) ORDER BY s.policy_no""").bindparams(
    bindparam("policy_nos", type_=ARRAY(TEXT))
)

# Wider than the rules, so that these alone decide; narrow enough to read a month of sales again and again.
_PERHAPS = text("""
    WITH new_agents AS MATERIALIZED (
        SELECT row_id FROM register_versions WHERE register = 'agents' GROUP BY row_id
        HAVING greatest(min(effective_from), min(CAST(body ->> 'certified_from' AS date)))
               > CAST(:since AS date) - CAST(:new_days AS integer))
    SELECT s.policy_no FROM sales s LEFT JOIN inspections i ON i.policy_no = s.policy_no
     WHERE s.closed_on >= :since AND s.agent_id IN (SELECT row_id FROM new_agents)
       AND NOT coalesce(i.risk_reasons @> '["new_agent"]', false)
       AND (SELECT count(*) FROM (SELECT FROM sales o WHERE o.agent_id = s.agent_id AND o.position < s.position
                                   LIMIT :first_sales) e) < :first_sales
     UNION
    SELECT s.policy_no FROM sales s LEFT JOIN inspections i ON i.policy_no = s.policy_no
     WHERE s.closed_on >= :since
       AND CAST(s.content ->> 'applicant_birth_date' AS date) <= CAST(:born_by AS date)
       AND NOT coalesce(i.risk_reasons @> '["customer_over_65"]', false)
     UNION
    SELECT c.policy_no FROM callback_requests b
      JOIN call_records r ON r.check_id = b.used_by
      JOIN sale_calls c ON c.call_id = r.call_id
      LEFT JOIN inspections i ON i.policy_no = c.policy_no
     WHERE b.used_by IS NOT NULL AND NOT coalesce(i.risk_reasons @> '["callback_outside_hours"]', false)
     ORDER BY 1""")


def flag(connection: Connection, policy_no: str, code: RiskCode, *, now: datetime) -> None:
    """Ask for the inspection of a sale because of `code`; a reason that is off, or stands already, changes nothing."""
    if RISKS[code].is_on:
        open_risky(connection, [Risk(policy_no, code)], now=now)


def flag_sales(connection: Connection, policy_nos: Sequence[str], *, now: datetime) -> int:
    """Ask for the inspections of those of these sales that are risky by what is known now.

    Return how many reasons were added. Call it for a new sale after it has joined the draws of its day.
    """
    values = {"policy_nos": list(policy_nos), "first_sales": NEW_AGENT_SALES}
    risks = []
    for row in connection.execute(_SIGNS, values):
        signs = SaleSigns(
            closed_on=row.closed_on,
            birth_date=row.birth_date,
            agent_certified_on=row.certified_on,
            agent_registered_on=row.registered_on,
            earlier_sales=row.earlier_sales,
            has_callback_in_quiet_hours=row.has_callback,
            is_late_and_not_drawn=row.is_late,
        )
        risks += [Risk(row.policy_no, code) for code in risks_of(signs) if code not in row.known]
    open_risky(connection, risks, now=now)
    return len(risks)


def sweep_risks(connection: Connection, *, now: datetime) -> int:
    """Flag the sales of the last month whose calls, register or birth date make them risky by now.

    Calls asked for by customers are looked for among all. Return how many reasons were added; nothing is done while
    another transaction sweeps.
    """
    if not hold_if_free(connection, AdvisoryLock.RISK_SALES):
        return 0
    today = shanghai_day(now)
    values = {
        "since": today - timedelta(days=SWEPT_DAYS),
        "born_by": date(today.year - ELDERLY_YEARS, 12, 31),
        "new_days": NEW_AGENT_DAYS,
        "first_sales": NEW_AGENT_SALES,
    }
    policy_nos = connection.execute(_PERHAPS, values).scalars().all()
    return flag_sales(connection, policy_nos, now=now) if policy_nos else 0
