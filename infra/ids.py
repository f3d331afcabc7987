"""Identifiers: UUIDv7, ordered by time of creation. Made at the edge and handed down."""

from uuid import UUID

import uuid_utils
import uuid_utils.compat


def new_id() -> UUID:
    """Return a new UUIDv7."""
    return uuid_utils.compat.uuid7()


def new_id_text() -> str:
    """Return a new UUIDv7 as text, twice as fast as by way of `UUID`."""
    return str(uuid_utils.uuid7())


def new_id_bytes() -> bytes:
    """Return the 16 bytes of a new UUIDv7; they sort as its text does."""
    return uuid_utils.uuid7().bytes
