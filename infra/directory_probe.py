"""Whether a directory keeps what it can, and that it cannot keep all: small trials under the key `probe/lock`."""

import hashlib
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from infra.object_store import Content, ObjectStore, ObjectStoreError, ProbeRow, VersionLockedError

_KEY = "probe/lock"
_BYTES = b"telesales store probe"
_LOCKED_FOR = timedelta(seconds=60)


def probe_directory(store: ObjectStore, *, now: datetime) -> list[ProbeRow]:
    """Return what was tried, in order; the trial stays locked for a minute.

    Raises:
        ObjectStoreError: the directory cannot be used.
    """
    for earlier in store.versions(_KEY):
        with suppress(VersionLockedError):
            store.delete_version(_KEY, earlier.version_id)
    with tempfile.NamedTemporaryFile() as file:
        file.write(_BYTES)
        file.flush()
        content = Content(Path(file.name), len(_BYTES), hashlib.sha256(_BYTES).digest())
        version_id = store.put(_KEY, content, is_held=True).version_id
    until = now + _LOCKED_FOR
    rows = [_refusal("delete under hold", lambda: store.delete_version(_KEY, version_id))]
    store.set_retention(_KEY, version_id, until)
    store.set_hold(_KEY, version_id, is_held=False)
    earlier_end = until - _LOCKED_FOR / 2
    rows += [
        _refusal("release the hold, delete", lambda: store.delete_version(_KEY, version_id)),
        _refusal("shorten the lock", lambda: store.set_retention(_KEY, version_id, earlier_end)),
        ProbeRow(
            "refuse the owner of the files",
            "refused",
            "a directory cannot: who has its files can change and remove them, which shows only afterwards",
            is_ok=False,
            is_needed=False,
        ),
    ]
    return rows


def _refusal(name: str, question: Callable[[], object]) -> ProbeRow:
    found = "accepted"
    try:
        question()
    except VersionLockedError:
        found = "refused"
    except ObjectStoreError as error:
        found = str(error)
    return ProbeRow(name, "refused", found, is_ok=found == "refused", is_needed=True)
