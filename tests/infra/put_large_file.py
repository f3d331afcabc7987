"""Put a small and then a large file into a bucket; print by how many KiB the process grew for the large one."""

import hashlib
import resource
import sys
import tempfile
from pathlib import Path

from infra.clock import utc_now
from infra.object_store import Content
from infra.s3_object_store import S3ObjectStore
from infra.s3_place import read_s3_place


def put(store: S3ObjectStore, path: Path, size_bytes: int) -> int:
    with path.open("wb") as file:
        file.truncate(size_bytes)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    store.put("ab/large", Content(path, size_bytes, digest), is_held=True)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


with tempfile.TemporaryDirectory() as directory:
    opened = S3ObjectStore(read_s3_place(sys.argv[1]), clock=utc_now)
    before = put(opened, Path(directory, "small"), 1)
    print(put(opened, Path(directory, "large"), int(sys.argv[2])) - before)  # noqa: T201 - the answer
