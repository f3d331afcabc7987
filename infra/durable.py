"""Having files and names on disk before anything is acknowledged: a rename counts once its directory is synced."""

import os
from pathlib import Path


def sync_path(path: Path) -> None:
    """Have a file, or the names in a directory, on disk before going on."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
