"""Identifiers: UUIDv7, ordered by time of creation. Made at the edge and handed down."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

import uuid_utils
import uuid_utils.compat

_source: ContextVar[Callable[[], UUID] | None] = ContextVar("source of ids", default=None)


def new_id() -> UUID:
    """Return a new UUIDv7."""
    source = _source.get()
    return uuid_utils.compat.uuid7() if source is None else source()


@contextmanager
def ids_from(source: Callable[[], UUID]) -> Iterator[None]:
    """Have `new_id` answer with what `source` makes, in this thread and until the end.

    For demo data alone, which bear instants of the past and are the same each time.
    """
    before = _source.set(source)
    try:
        yield
    finally:
        _source.reset(before)


def new_id_text() -> str:
    """Return a new UUIDv7 as text, twice as fast as by way of `UUID`."""
    return str(uuid_utils.uuid7())


def new_id_bytes() -> bytes:
    """Return the 16 bytes of a new UUIDv7; they sort as its text does."""
    return uuid_utils.uuid7().bytes
