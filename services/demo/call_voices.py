"""Made-up voices: what a call of the demo sounds like, as telephone systems record it. Pure."""

import io
from dataclasses import dataclass

import numpy as np
import soundfile

RATE = 8000
_RINGING_HZ = 450
_MELODY_HZ = (392, 440, 523)
_TURN_S = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Voices:
    """Two people of these pitches who take turns; first it rings, and later the customer may hear a melody on hold.

    All times are seconds from the beginning; `hold` is half-open.
    """

    seconds: float
    agent_hz: int = 190
    customer_hz: int = 130
    rings_s: float = 0.0
    hold: tuple[float, float] | None = None


def wav(voices: Voices) -> bytes:
    """Return a WAV in A-law, agent and customer in a channel each.

    A voice is a tone that swells and ebbs a few times a second, with quiet between.
    """
    at = np.arange(round(voices.seconds * RATE)) / RATE
    turn = np.floor(at / _TURN_S) % 2
    swell = np.sin(np.pi * (at * 2.5 % 1)) ** 2
    agent = np.where(turn == 0, swell * np.sin(2 * np.pi * voices.agent_hz * at), 0)
    customer = np.where(turn == 1, swell * np.sin(2 * np.pi * voices.customer_hz * at), 0)
    if voices.hold is not None:
        is_held = (at >= voices.hold[0]) & (at < voices.hold[1])
        pitch = np.choose(np.floor(at * 2).astype(int) % len(_MELODY_HZ), _MELODY_HZ)
        agent = np.where(is_held, 0.5 * np.sin(2 * np.pi * pitch * at), agent)
        customer = np.where(is_held, 0, customer)
    is_ringing = at < voices.rings_s
    agent = np.where(is_ringing, 0, agent)
    customer = np.where(is_ringing, 0.5 * (at % 5 < 1) * np.sin(2 * np.pi * _RINGING_HZ * at), customer)
    written = io.BytesIO()
    soundfile.write(written, 0.4 * np.stack([agent, customer], axis=1), RATE, format="WAV", subtype="ALAW")
    return written.getvalue()
