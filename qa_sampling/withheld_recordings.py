"""Recordings of a sale that came only after it was inspected: nobody has heard them, so the sale was not heard whole.

A result stays as it was judged (art. 33). That something was missing when it was is told in an incident, once for each
recording, so that the inspection is corrected by somebody who hears everything (art. 34: 全程).
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from compliance.incidents import NewIncident, open_incidents

UNHEARD_KIND = "recording_unheard"
PERSON = "inspections"
ARTICLE = "34"

LOOK_BACK = timedelta(days=90)
"""So long after a result recordings are looked for; an incident of an unknown policy or call comes after a day."""

_UNHEARD = text("""
    WITH judged AS (
        SELECT DISTINCT ON (r.inspection_id) r.inspection_id, i.policy_no, r.coverage
          FROM inspection_results r JOIN inspections i ON i.inspection_id = r.inspection_id
         WHERE r.submitted_at >= :since AND r.version IS NOT NULL
         ORDER BY r.inspection_id, r.version DESC
    ), known AS (
        SELECT j.inspection_id, j.policy_no, j.coverage, o.recording_id
          FROM judged j JOIN recordings o ON o.policy_no = j.policy_no WHERE o.disposed_at IS NULL
         UNION
        SELECT j.inspection_id, j.policy_no, j.coverage, o.recording_id
          FROM judged j JOIN sale_calls c ON c.policy_no = j.policy_no JOIN recordings o ON o.call_id = c.call_id
         WHERE o.disposed_at IS NULL
    )
    SELECT k.inspection_id, k.policy_no, k.recording_id FROM known k
     WHERE NOT k.coverage @> jsonb_build_array(jsonb_build_object('recording_id', k.recording_id))
       AND NOT EXISTS (SELECT FROM incidents t
                        WHERE t.kind = :kind AND t.details ->> 'inspection_id' = CAST(k.inspection_id AS text)
                          AND t.details ->> 'recording_id' = CAST(k.recording_id AS text))
     ORDER BY 1, 3""")


def tell_unheard(connection: Connection, *, now: datetime) -> int:
    """Open an incident for each recording that the newest result of its sale does not know; return how many.

    Whoever corrects the inspection must hear it, and it is then told no more.
    """
    rows = connection.execute(_UNHEARD, {"since": now - LOOK_BACK, "kind": UNHEARD_KIND}).all()
    found = [
        NewIncident(
            UNHEARD_KIND,
            ARTICLE,
            details={
                "inspection_id": str(row.inspection_id),
                "policy_no": row.policy_no,
                "recording_id": str(row.recording_id),
            },
        )
        for row in rows
    ]
    open_incidents(connection, found, person=PERSON, now=now)
    return len(found)
