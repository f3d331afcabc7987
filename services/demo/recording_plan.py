"""What the demo's recorder sends of a call: its first seconds, of a few with a hold or with ringing. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from compliance.shanghai import SHANGHAI
from services.demo.call_voices import Voices
from services.demo.chance import Chance

_SHORTEST_MS, _SPREAD_MS = 8_000, 7_000
_HELD_PER_MILLE, _RINGING_PER_MILLE = 40, 60
_LONGEST_RINGING = timedelta(seconds=6)


class RecordedCall(NamedTuple):
    """A call that was answered, of a sale."""

    policy_no: str
    call_id: str
    agent_id: str | None
    callee_digits: int
    started_at: datetime
    answered_at: datetime
    ended_at: datetime


class PlannedRecording(NamedTuple):
    """What is heard, and `metadata` as the API has them."""

    voices: Voices
    metadata: Mapping[str, object]


def planned_recording(chance: Chance, call: RecordedCall) -> PlannedRecording:
    """Return what is recorded of a call."""
    dice = chance.dice("recording", call.call_id)
    length_ms = _SHORTEST_MS + dice.below(_SPREAD_MS)
    agent_hz, customer_hz = 170 + dice.below(60), 110 + dice.below(150)
    what = dice.below(1000)
    hold_ms, rings = None, timedelta()
    if what < _HELD_PER_MILLE:
        length_ms += 60_000
        hold_ms = (20_000 + dice.below(10_000), 45_000 + dice.below(5_000))
    elif what < _HELD_PER_MILLE + _RINGING_PER_MILLE:
        rings = min(_LONGEST_RINGING, call.answered_at - call.started_at)
    voices = Voices(
        seconds=length_ms / 1000,
        agent_hz=agent_hz,
        customer_hz=customer_hz,
        rings_s=rings / timedelta(seconds=1),
        hold=None if hold_ms is None else (hold_ms[0] / 1000, hold_ms[1] / 1000),
    )
    metadata = {
        "call_id": call.call_id,
        "agent_id": call.agent_id,
        "phone": f"+{call.callee_digits}",
        "started_at": (call.answered_at - rings).astimezone(SHANGHAI).isoformat(),
        "direction": "outbound",
        "channels": ["agent", "customer"],
        "holds_ms": None if hold_ms is None else [list(hold_ms)],
    }
    return PlannedRecording(voices, metadata)
