"""The archive's places as the settings name them, opened once per process, and what works on their copies."""

from datetime import timedelta

from sqlalchemy import Engine

from infra.clock import Clock
from infra.object_stores import open_recording_stores
from infra.settings import Settings
from recordings.copy_rows import Keeping
from recordings.places import Places


def open_places(settings: Settings, *, clock: Clock) -> Places:
    """Return where recordings lie and where they are staged. Opening asks no store for anything."""
    period = timedelta(days=settings.fixity_days)
    first, second = open_recording_stores(settings, clock=clock)
    return Places(first=first, second=second, staging=settings.data_dir / "staging", period=period)


def keeping_in(places: Places, engine: Engine, clock: Clock) -> Keeping:
    """Return what keeping copies in these places works with."""
    return Keeping(engine=engine, clock=clock, stores=places.stores, staging=places.staging, period=places.period)
