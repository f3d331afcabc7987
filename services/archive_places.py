"""The archive's places as the settings name them, opened once per process."""

from infra.clock import Clock
from infra.directory_store import DirectoryStore
from infra.settings import Settings
from recordings.places import Places


def open_places(settings: Settings, *, clock: Clock) -> Places:
    """Return where recordings lie and where they are staged. Opening asks no store for anything."""
    data_dir = settings.data_dir
    return Places(
        first=DirectoryStore(data_dir / "recordings", clock=clock),
        second=DirectoryStore(data_dir / "recordings-copy", clock=clock),
        staging=data_dir / "staging",
    )
