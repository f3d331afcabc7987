"""A recording to try the archive with: made-up voices as long as one of the demo's calls, and what is said of them.

The call is the shortest of those whose sale runs, so that the contract can be ended and its clock watched.
"""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from sqlalchemy import Connection, text

from compliance.shanghai import SHANGHAI

_RATE = 8000
_CHOSEN = text("""
    SELECT s.policy_no, r.call_id, r.agent_id, r.callee_digits, r.started_at,
           extract(epoch FROM r.ended_at - r.answered_at)::float8 AS talked_s
      FROM sales s JOIN sale_calls c ON c.policy_no = s.policy_no JOIN call_records r ON r.call_id = c.call_id
     WHERE s.ended_on IS NULL AND r.answered_at IS NOT NULL AND r.ended_at IS NOT NULL AND r.callee_digits IS NOT NULL
     ORDER BY talked_s, r.call_id LIMIT 1""")


@dataclass(frozen=True, slots=True)
class DemoRecording:
    """A WAV in A-law, agent and customer in a channel each, and the metadata that go with it."""

    wav: bytes
    metadata: dict[str, object]


def demo_recording(connection: Connection) -> DemoRecording:
    """Return the recording of a call of the demo, which is loaded already."""
    row = connection.execute(_CHOSEN).one()
    metadata = {
        "call_id": row.call_id,
        "policy_no": row.policy_no,
        "agent_id": row.agent_id,
        "phone": f"+{row.callee_digits}",
        "started_at": row.started_at.astimezone(SHANGHAI).isoformat(),
        "direction": "outbound",
        "channels": ["agent", "customer"],
    }
    return DemoRecording(_wav(row.talked_s), metadata)


def _wav(seconds: float) -> bytes:
    """Return two voices that take turns: a tone each that swells and ebbs a few times a second, and quiet between."""
    at = np.arange(round(seconds * _RATE)) / _RATE
    turn = np.floor(at / 4) % 2
    swell = np.sin(np.pi * (at * 2.5 % 1)) ** 2
    agent = np.where(turn == 0, swell * np.sin(2 * np.pi * 190 * at), 0)
    customer = np.where(turn == 1, swell * np.sin(2 * np.pi * 130 * at), 0)
    written = io.BytesIO()
    soundfile.write(written, 0.4 * np.stack([agent, customer], axis=1), _RATE, format="WAV", subtype="ALAW")
    return written.getvalue()
