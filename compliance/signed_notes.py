"""Signed notes and checkpoints in the forms of C2SP (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), with Ed25519.

Pure. A note is text that ends in a line break, an empty line, and a line per signature:
`— NAME BASE64(key hash of 4 bytes || signature)`. A checkpoint is a note whose first three lines are the origin of a
log, its size, and its root in base64; our fourth line says when it was sealed.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from compliance.ledger_lines import instant_text
from compliance.merkle import HASH_BYTES

ED25519 = b"\x01"
COSIGNATURE = b"\x04"
"""Kinds of keys: one signs the text of notes as it is, the other under the header of a cosignature."""

KEY_HASH_BYTES = 4

_SIGNATURE_LINE = re.compile(r"— (?P<name>[^\s+]+) (?P<value>[A-Za-z0-9+/]+={0,2})")
_SEALED = "sealed "
_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME = re.compile(r"[^\s+]+")
_LEAST_LINES = 4


class NoteError(ValueError):
    """A note is not in the form of C2SP, or none of its signatures is by a key that is known."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under, and what it signs. `key_hash` tells keys of one name apart."""

    name: str
    public: bytes
    kind: bytes = ED25519

    @property
    def key_hash(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:KEY_HASH_BYTES]

    @property
    def key_id(self) -> str:
        return self.key_hash.hex()

    def text(self) -> str:
        """Return the key as C2SP writes it: `NAME+HASH+BASE64(kind || public key)`."""
        return f"{self.name}+{self.key_id}+{base64.b64encode(self.kind + self.public).decode()}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says: the log, how many entries it has, their root, and when it was sealed."""

    origin: str
    size: int
    root: bytes
    sealed_at: datetime

    def text(self) -> str:
        """Return the text that is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\n{_SEALED}{instant_text(self.sealed_at)}\n"


def read_verifier_key(text: str, *, kind: bytes = ED25519) -> VerifierKey:
    """Return the key of this kind that `VerifierKey.text` wrote.

    Raises:
        NoteError: it is none, or its hash is not its own.
    """
    parts = text.strip().split("+", 2)
    public = _decoded(parts[2]) if len(parts) == 3 else b""  # noqa: PLR2004 - name, hash, key
    if len(public) != 1 + HASH_BYTES or public[:1] != kind or not _NAME.fullmatch(parts[0]):
        raise NoteError(
            f"a verifier key is NAME+HASH+KEY, the key in base64 of 33 bytes of which the first is {kind[0]}"
        )
    key = VerifierKey(parts[0], public[1:], kind)
    if key.key_id != parts[1]:
        raise NoteError(f"the hash of the verifier key of {parts[0]} is not its own")
    return key


def verifier_key(name: str, private: Ed25519PrivateKey) -> VerifierKey:
    """Return the public half of a key that signs under `name`."""
    return VerifierKey(name, private.public_key().public_bytes_raw())


def sign(text: str, name: str, private: Ed25519PrivateKey) -> str:
    """Return `text`, which ends in a line break, as a note with one signature."""
    if not text.endswith("\n") or "\n\n" in text:
        raise NoteError("the text of a note ends in a line break and has no empty line")
    signature = verifier_key(name, private).key_hash + private.sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def verify(note: str, keys: Iterable[VerifierKey]) -> tuple[str, VerifierKey]:
    """Return the text of a note and the first of `keys` that has signed it; signatures of others are passed over.

    Raises:
        NoteError: the form is wrong, a signature by one of the keys is, or none of them has signed.
    """
    text, signatures = note_parts(note)
    for key in keys:
        for name, value in signatures:
            if name == key.name and value[:KEY_HASH_BYTES] == key.key_hash:
                _check(key, value[KEY_HASH_BYTES:], text)
                return text, key
    raise NoteError("no signature on the note is by a known key")


def read_checkpoint(text: str) -> Checkpoint:
    """Return what the text of a checkpoint says.

    Raises:
        NoteError: it is not in the form of a checkpoint of ours.
    """
    lines = text.split("\n")
    if len(lines) < _LEAST_LINES + 1 or lines[-1] or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise NoteError("a checkpoint has lines for its origin, its size, its root and when it was sealed")
    root = _decoded(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("the root of a checkpoint is 32 bytes in base64")
    return Checkpoint(lines[0], int(lines[1]), root, _sealed_at(lines[3]))


def _sealed_at(line: str) -> datetime:
    try:
        return datetime.strptime(line, f"{_SEALED}{_INSTANT}").replace(tzinfo=UTC)
    except ValueError as error:
        raise NoteError("the fourth line of a checkpoint is 'sealed' and an instant in UTC") from error


def note_parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the text of a note, and the name and value of each signature on it.

    Raises:
        NoteError: the form is wrong.
    """
    text, gap, rest = note.rpartition("\n\n")
    if not gap:
        raise NoteError("a note is text, an empty line, and lines of signatures")
    return text + "\n", signature_lines(rest)


def signature_lines(lines: str) -> list[tuple[str, bytes]]:
    """Return the name and value of each signature among `lines`, of which there is at least one.

    Raises:
        NoteError: a line is no signature.
    """
    if not lines.endswith("\n"):
        raise NoteError("signatures are lines, each with its line break")
    found = []
    for line in lines[:-1].split("\n"):
        shape = _SIGNATURE_LINE.fullmatch(line)
        value = _decoded(shape["value"]) if shape else b""
        if shape is None or len(value) <= KEY_HASH_BYTES:
            raise NoteError("a line of a signature is '— NAME BASE64'")
        found.append((shape["name"], value))
    return found


def _check(key: VerifierKey, signature: bytes, text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
    except (InvalidSignature, ValueError) as error:
        raise NoteError(f"the signature of key {key.key_id} on the note is wrong") from error


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
