"""The sampling frame as bytes that anybody can write down again: what is hashed is what was there to be drawn.

One line per sale: `policy_no` TAB `closed_on` TAB `inspection_class` LF, in UTF-8, ordered by the bytes of `policy_no`.
`samples` has the database write it, `verify` holds strangers' files to it, and docs/draw.md says the same to strangers.
"""

import hashlib


def frame_digest(content: bytes) -> bytes:
    """Return the 32 bytes of SHA-256 over the canonical bytes."""
    return hashlib.sha256(content).digest()


def policy_numbers(content: bytes) -> list[bytes]:
    """Return the policy numbers of canonical bytes, in UTF-8 and in their order; the form is not checked."""
    return [line.partition(b"\t")[0] for line in content.split(b"\n")[:-1]]
