"""What a witness is asked and what it answers, to the byte (c2sp.org/tlog-witness, c2sp.org/tlog-cosignature).

Pure. A witness remembers the largest tree it has seen of a log and signs a later one only with the proof that this
begins with it: of two histories it signs one. Its cosignature is a line of a note like any other, over another text:
the instant, then the text of the checkpoint. An answer may hold anything; its lines are read apart from the note, so
that nothing in it can pass for a part of what was signed.
"""

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from compliance.signed_notes import (
    COSIGNATURE,
    KEY_HASH_BYTES,
    NoteError,
    VerifierKey,
    note_parts,
    read_verifier_key,
    signature_lines,
)

_HEADER = "cosignature/v1"
_STAMP = struct.Struct(">Q")
_SIGNATURE_BYTES = 64
_COSIGNATURE_BYTES = KEY_HASH_BYTES + _STAMP.size + _SIGNATURE_BYTES
_LATEST_SECOND = 253_402_300_799
"""The last second of the year 9999, beyond which no instant can be stored."""
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n?")


@dataclass(frozen=True, slots=True)
class Cosignature:
    """The line in which a witness says that it saw a checkpoint, with its line break, and when it says so."""

    line: str
    at: datetime


def read_witness_key(text: str) -> VerifierKey:
    """Return the key of a witness: `NAME+HASH+BASE64(0x04 || public key)`.

    Raises:
        NoteError: it is none.
    """
    return read_verifier_key(text, kind=COSIGNATURE)


def add_checkpoint_request(old_size: int, path: Sequence[bytes], note: str) -> bytes:
    """Return the body in which a witness is shown `note` after a tree of `old_size`, with the proof of consistency."""
    proof = "".join(f"{base64.b64encode(one).decode()}\n" for one in path)
    return f"old {old_size}\n{proof}\n{note}".encode()


def cosigned_text(text: str, at: datetime) -> bytes:
    """Return what a witness signs about the text of a checkpoint, at an instant in whole seconds."""
    return f"{_HEADER}\ntime {int(at.timestamp())}\n{text}".encode()


def read_cosignature(note: str, answer: bytes, key: VerifierKey) -> Cosignature:
    """Return the cosignature by `key` over `note` among the lines of an answer; lines by other keys are passed over.

    Raises:
        NoteError: there is none, it is wrong, or the answer is in another form.
    """
    try:
        lines = answer.decode()
    except UnicodeDecodeError as error:
        raise NoteError("the answer is not UTF-8") from error
    text, _ = note_parts(note)
    for name, value in signature_lines(lines):
        if (name, value[:KEY_HASH_BYTES]) == (key.name, key.key_hash):
            return _checked(text, value, key)
    raise NoteError(f"the answer has no signature by the key {key.key_id}")


def _checked(text: str, value: bytes, key: VerifierKey) -> Cosignature:
    if key.kind != COSIGNATURE or len(value) != _COSIGNATURE_BYTES:
        raise NoteError(f"the signature by the key {key.key_id} is no cosignature")
    (seconds,) = _STAMP.unpack_from(value, KEY_HASH_BYTES)
    if not 0 < seconds <= _LATEST_SECOND:
        raise NoteError(f"the cosignature by the key {key.key_id} is of no instant that there is")
    at = datetime.fromtimestamp(seconds, UTC)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(value[-_SIGNATURE_BYTES:], cosigned_text(text, at))
    except (InvalidSignature, ValueError) as error:
        raise NoteError(f"the cosignature by the key {key.key_id} is wrong") from error
    return Cosignature(f"— {key.name} {base64.b64encode(value).decode()}\n", at)


def read_known_size(answer: bytes) -> int:
    """Return the size of the tree that a witness knows, from its answer to a request that began with another (409).

    Raises:
        NoteError: the answer is no size.
    """
    shape = _SIZE.fullmatch(answer)
    if shape is None:
        raise NoteError("the witness knows another tree and does not say which")
    return int(shape[1])
