"""Keeps the tables of prefixes in a file between processes: making them takes a second, reading them none."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from compliance.mobile_prefixes import UnusableTablesError, adopt_tables, are_tables_made, tables_to_keep

FILE_NAME = "prefix-tables"


def keep_prefix_tables(cache_dir: Path) -> None:
    """See that this process has the tables: from the file, or made anew and left there for the next process."""
    if are_tables_made():
        return
    path = cache_dir / FILE_NAME
    with suppress(FileNotFoundError, UnusableTablesError):
        adopt_tables(_unsealed(path.read_bytes()))
        return
    _write(path, tables_to_keep())


def _unsealed(data: bytes) -> bytes:
    """Return what stands behind its digest.

    Raises:
        UnusableTablesError: the digest is that of something else.
    """
    digest, content = data[: hashlib.sha256().digest_size], data[hashlib.sha256().digest_size :]
    if hashlib.sha256(content).digest() != digest:
        raise UnusableTablesError("the file of prefixes was changed after it was written")
    return content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_bytes(hashlib.sha256(content).digest() + content)
    new.chmod(0o600)
    new.replace(path)
