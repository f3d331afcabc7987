"""Opening the store that a setting names, and demanding that it be WORM."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from infra.clock import Clock
from infra.directory_store import DirectoryStore
from infra.object_store import ProbedStore
from infra.s3_place import SCHEME, read_s3_place
from infra.settings import RECORDINGS, RECORDINGS_COPY, Settings


class NotWormError(RuntimeError):
    """A store that must itself refuse to shorten and delete does not; the message says what it let pass."""


def is_bucket(url: str | None) -> bool:
    """Say whether a setting names a bucket, and no directory."""
    return url is not None and url.startswith(SCHEME)


def open_object_store(url: str | None, *, default: Path, clock: Clock, known_in: Path | None = None) -> ProbedStore:
    """Return the store that `url` names: a path, file:///PATH or s3://…; None: the directory `default`.

    Nothing is asked of it yet, so that it is not WORM before its `probe`. A directory once written to is remembered in
    `known_in`, so that an empty mount point is not taken for it.

    Raises:
        S3PlaceError: an s3:// URL that names no bucket.
    """
    if url is not None and is_bucket(url):
        # boto3 takes a third of a second and 40 MB, which a process without a bucket need not spend.
        from infra.s3_object_store import S3ObjectStore  # noqa: PLC0415

        return S3ObjectStore(read_s3_place(url), clock=clock)
    root = default if url is None else Path(url.removeprefix("file://"))
    name = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()
    return DirectoryStore(root, clock=clock, remembered=None if known_in is None else known_in / name)


def open_recording_stores(settings: Settings, *, clock: Clock) -> tuple[ProbedStore, ProbedStore]:
    """Return the stores of first and of second copies of recordings that the settings name."""
    own = settings.data_dir
    known_in = own / "stores"
    return (
        open_object_store(settings.recordings_url, default=own / RECORDINGS, clock=clock, known_in=known_in),
        open_object_store(settings.recordings_copy_url, default=own / RECORDINGS_COPY, clock=clock, known_in=known_in),
    )


def demand_worm(stores: Sequence[ProbedStore]) -> None:
    """Probe each store, and raise unless every one may call itself WORM afterwards.

    Raises:
        NotWormError: naming those that may not, with the reasons.
        ObjectStoreError: one cannot be probed.
    """
    lacking = []
    for store in stores:
        rows = store.probe()
        if not store.is_worm:
            lacking += [f"  {store.name}: {row.name}: {row.found}" for row in rows if not row.is_ok]
    if lacking:
        listing = "\n".join(lacking)
        raise NotWormError(
            f"RECORDINGS_WORM=required, and not every store keeps from its own clients what is locked:\n{listing}\n"
            "Name buckets with Object Lock in RECORDINGS_URL and RECORDINGS_COPY_URL, or unset RECORDINGS_WORM."
        )
