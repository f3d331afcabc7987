"""The words of the ledger, to the byte: how rows are digested, how entries are written as lines, how keys are shown.

Pure. `docs/ledger.md` is the specification; the same definitions stand in SQL (in the migrations) for the writer and,
on the standard library alone, in `ledger_verifier` for strangers.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

SALT_BYTES = 16
DIGEST_BYTES = 32

ROW_DOMAIN = b"telesales-ledger-row-1\x00"
_KEY_DOMAIN = b"telesales-ledger-key-1\x00"
_HIDDEN = "~"
_HIDDEN_DIGITS = 32
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def row_digest(salt: bytes, row_text: str) -> bytes:
    """Return the keyed hash of a row: without the salt nobody can tell by trying which row it was.

    >>> row_digest(bytes(16), '{"a":1}').hex()[:16]
    '2d0d683aa30baadf'
    """
    return hashlib.sha256(ROW_DOMAIN + salt + row_text.encode()).digest()


def joined_key(parts: Sequence[str]) -> str:
    """Return the texts of key columns as one: joined by `/`, with `%` and `/` inside written %25 and %2F.

    One alone is its own text.

    >>> joined_key(["a/b", "50%"])
    'a%2Fb/50%25'
    >>> joined_key(["a/b"])
    'a/b'
    """
    if len(parts) == 1:
        return parts[0]
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def hidden_key(secret: bytes, key: str) -> str:
    """Return what stands in the ledger for a key that is personal: a keyed hash under the ledger's own secret."""
    return _HIDDEN + hashlib.sha256(_KEY_DOMAIN + secret + key.encode()).hexdigest()[:_HIDDEN_DIGITS]


def instant_text(at: datetime) -> str:
    """Return an instant as lines have it: in UTC, with microseconds.

    >>> instant_text(datetime(2026, 11, 23, 4, tzinfo=UTC))
    '2026-11-23T04:00:00.000000Z'
    """
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def entry_line(entry: int, at: datetime, kind: str, rows: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the line of an entry, without a line break; `rows` are keys with their digests.

    >>> entry_line(7, datetime(2026, 11, 23, 4, tzinfo=UTC), "incidents.insert", [("a", bytes(32))])[:60]
    b'{"entry":7,"at":"2026-11-23T04:00:00.000000Z","kind":"incide'
    """
    content = {
        "entry": entry,
        "at": instant_text(at),
        "kind": kind,
        "rows": [[key, digest.hex()] for key, digest in rows],
    }
    return _encoded(content).encode()
