"""Recordings that an inspection still needs: of a sale without a result, under appeal, or being heard once more."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

_AWAITED = text("""
    SELECT l.recording_id, min(i.policy_no) AS policy_no
      FROM (SELECT recording_id, policy_no FROM recordings WHERE recording_id = ANY(:ids)
             UNION
            SELECT r.recording_id, s.policy_no FROM recordings r JOIN sale_calls s ON s.call_id = r.call_id
             WHERE r.recording_id = ANY(:ids)) l
      JOIN inspections i ON i.policy_no = l.policy_no
     WHERE i.submitted_at IS NULL OR i.state = 'appealed'
        OR EXISTS (SELECT FROM inspection_sittings o WHERE o.inspection_id = i.inspection_id AND o.ended_at IS NULL)
        OR EXISTS (SELECT FROM second_scorings c
                    WHERE c.inspection_id = i.inspection_id AND c.second_result_id IS NULL)
     GROUP BY l.recording_id""").bindparams(bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))))


def awaited_recordings(connection: Connection, recording_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return which of these recordings an inspection still needs, with the policy number of its sale."""
    rows = connection.execute(_AWAITED, {"ids": list(recording_ids)})
    return {row.recording_id: row.policy_no for row in rows}
