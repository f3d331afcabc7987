"""Files to be put into stores."""

import hashlib
from pathlib import Path

from infra.ids import new_id
from infra.object_store import Content


def content(directory: Path, data: bytes) -> Content:
    path = directory / f"given-{new_id().hex}"
    path.write_bytes(data)
    return Content(path, len(data), hashlib.sha256(data).digest())
