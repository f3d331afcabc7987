"""A recording to try the archive with: made-up voices as long as one of the demo's calls, and what is said of them.

The call is the shortest of those that the archive has nothing of and whose cover has begun, runs and is not inspected,
so that the contract can be ended today and its clock watched.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from compliance.shanghai import SHANGHAI
from services.demo.call_voices import Voices, wav

_CHOSEN = text("""
    SELECT s.policy_no, r.call_id, r.agent_id, r.callee_digits, r.started_at,
           extract(epoch FROM r.ended_at - r.answered_at)::float8 AS talked_s
      FROM sales s JOIN sale_calls c ON c.policy_no = s.policy_no JOIN call_records r ON r.call_id = c.call_id
     WHERE s.cover_start <= :today AND s.ended_on IS NULL AND r.answered_at IS NOT NULL
       AND r.ended_at IS NOT NULL AND r.callee_digits IS NOT NULL
       AND NOT EXISTS (SELECT FROM inspections i WHERE i.policy_no = s.policy_no)
       AND NOT EXISTS (SELECT FROM recordings o WHERE o.call_id = r.call_id)
     ORDER BY talked_s, r.call_id LIMIT 1""")


@dataclass(frozen=True, slots=True)
class DemoRecording:
    """A WAV in A-law, agent and customer in a channel each, and the metadata that go with it."""

    wav: bytes
    metadata: dict[str, object]


def demo_recording(connection: Connection, *, today: date) -> DemoRecording:
    """Return the recording of a call of the demo, which is loaded already; `today` is that of Shanghai."""
    row = connection.execute(_CHOSEN, {"today": today}).one()
    metadata = {
        "call_id": row.call_id,
        "policy_no": row.policy_no,
        "agent_id": row.agent_id,
        "phone": f"+{row.callee_digits}",
        "started_at": row.started_at.astimezone(SHANGHAI).isoformat(),
        "direction": "outbound",
        "channels": ["agent", "customer"],
    }
    return DemoRecording(wav(Voices(seconds=row.talked_s)), metadata)
