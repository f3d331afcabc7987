"""An archive of two directory stores on a database of its own."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.conftest import SettableClock
from tests.recordings.archive_stores import Archive, make_archive


@pytest.fixture
def archive(engine: Engine, clock: SettableClock, tmp_path: Path) -> Archive:
    return make_archive(engine, clock, tmp_path)
