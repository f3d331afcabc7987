"""What one process of the application holds: the engine, the clock, the gate's copy of the registers."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from fastapi import Response
from sqlalchemy import Engine

from compliance.call_checks import Gate
from compliance.ledger_runs import Ledger
from infra.clock import Clock
from infra.settings import Settings
from recordings.places import Places
from recordings.registration_queue import RegistrationQueue
from services.check_queue import CheckQueue
from services.token_cache import TokenCache

Wake = Callable[[UUID], None]
"""Tells the worker, after the commit, that a job waits; losing the message loses no work."""

Lots = Callable[[int], int]
"""Draws, by chance that nobody can foresee, one of so many numbers from 0."""


@dataclass(slots=True)
class AppState:
    settings: Settings
    engine: Engine
    clock: Clock
    gate: Gate
    tokens: TokenCache
    check_queue: CheckQueue
    files: Path
    """Directory below which jobs keep their files."""
    wake: Wake
    ledger: Ledger
    places: Places
    registrations: RegistrationQueue[Response]
    """Registers the recordings of requests that come without an Idempotency-Key."""
    lots: Lots = secrets.randbelow
