"""The archive's places as the settings name them, opened once per process, and what works on their copies."""

from datetime import timedelta

from sqlalchemy import Engine

from infra.clock import Clock
from infra.object_stores import open_object_store
from infra.settings import Settings
from recordings.copy_rows import Keeping
from recordings.places import Places


def open_places(settings: Settings, *, clock: Clock) -> Places:
    """Return where recordings lie and where they are staged. Opening asks no store for anything."""
    data_dir = settings.data_dir
    return Places(
        first=open_object_store(settings.recordings_url, default=data_dir / "recordings", clock=clock),
        second=open_object_store(settings.recordings_copy_url, default=data_dir / "recordings-copy", clock=clock),
        staging=data_dir / "staging",
    )


def keeping_in(places: Places, settings: Settings, engine: Engine, clock: Clock) -> Keeping:
    """Return what keeping copies in these places works with."""
    return Keeping(
        engine=engine,
        clock=clock,
        stores=places.stores,
        staging=places.staging,
        period=timedelta(days=settings.fixity_days),
    )
