"""Fixtures that several files of tests share."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.conftest import SettableClock
from tests.recordings.kept_copies import TwoCopies, two_copies


@pytest.fixture
def archive(engine: Engine, clock: SettableClock, tmp_path: Path) -> TwoCopies:
    return two_copies(engine, clock, tmp_path)
