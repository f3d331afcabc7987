"""Names of objects in the stores: by content and call, so that who tries again finds what an attempt put."""

import hashlib

_CALL_DIGITS = 16


def object_key(sha256: bytes, call_id: str | None) -> str:
    """Return the key of a recording's bytes, one per content and call; without a call, one per content.

    >>> object_key(bytes(32), "call-1")
    '00/0000000000000000000000000000000000000000000000000000000000000000-84fea6bb1d0fa48a'
    """
    call = hashlib.sha256((call_id or "").encode()).hexdigest()[:_CALL_DIGITS]
    return f"{sha256.hex()[:2]}/{sha256.hex()}-{call}"


def playable_key(key: str) -> str:
    """Return the key of the derived copy, which browsers play, of the object under `key`."""
    return f"{key}.playable"
