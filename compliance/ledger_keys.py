"""The keys of the ledger: files below DATA_DIR/ledger-keys, made at the first start, changed with an overlap.

`keys.json` lists the public keys with the time in which each may sign: `{"key_id", "verifier_key", "from", "until"}`,
`until` excluded and null while the key is the present one. `KEY_ID.key` is a private key, the 32 bytes of Ed25519 in
base64, readable by its owner alone. A signature is judged as of its own time, so a public key is never taken out.

During an overlap a checkpoint carries the signatures of both keys: who knows only the old one still accepts it, and the
old key vouches for the new.
"""

import base64
import binascii
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compliance.ledger_lines import instant_text
from compliance.signed_notes import NoteError, VerifierKey, read_verifier_key, sign, verifier_key, verify
from infra.durable import sync_path

DIRECTORY = "ledger-keys"
LIST_NAME = "keys.json"
OVERLAP = timedelta(days=7)
"""How long, after a rotation, checkpoints carry the signature of the old key too."""

_PRIVATE_MODE = 0o600
_OTHERS = 0o077
_SEED_BYTES = 32
_UNLISTED = ".unlisted"
_DOCUMENT = "see 'Keys' in docs/ledger.md"


class LedgerKeyError(RuntimeError):
    """Nothing can be signed with the key as it is; entries wait until it is put right, checks go on."""


class LedgerKeyUnreadableError(LedgerKeyError):
    """A file of the keys cannot be read, or is not what it should be."""


class LedgerKeyExposedError(LedgerKeyError):
    """Others than its owner may read or write a private key."""


class LedgerKeyReplacedError(LedgerKeyError):
    """A private key is another than the list of public keys says."""


class LedgerKeyLostError(LedgerKeyError):
    """The list names a present key whose private half is not there."""


class UntimelySignatureError(NoteError):
    """A note is signed by a key of the ledger, at a time at which that key did not sign."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key, and when it may sign: from `from_at`, until `until_at` (excluded; None: still)."""

    verifier: VerifierKey
    from_at: datetime
    until_at: datetime | None

    @property
    def key_id(self) -> str:
        return self.verifier.key_id

    def signs_at(self, at: datetime) -> bool:
        return self.from_at <= at and (self.until_at is None or at < self.until_at)

    def as_json(self) -> dict[str, str | None]:
        """Return the key as lists and bundles have it."""
        return {
            "key_id": self.key_id,
            "verifier_key": self.verifier.text(),
            "from": instant_text(self.from_at),
            "until": None if self.until_at is None else instant_text(self.until_at),
        }


@dataclass(frozen=True, slots=True)
class LedgerSigner:
    """Signs under the name of one ledger: with the present key first, then with those whose overlap lasts."""

    origin: str
    keys: tuple[tuple[PublicKey, Ed25519PrivateKey], ...]

    @property
    def key_id(self) -> str:
        return self.keys[0][0].key_id

    @property
    def since(self) -> datetime:
        """From when on the present key signs; after a clock was set back that may lie ahead of it."""
        return self.keys[0][0].from_at

    def sign(self, text: str, *, at: datetime) -> str:
        """Return `text` as a note with a signature per key that signs at the time `at`, which the text says."""
        present, *others = self.keys
        chosen = [present, *(one for one in others if one[0].signs_at(at))]
        notes = [sign(text, self.origin, private) for _, private in chosen]
        return notes[0] + "".join(note[len(text) + 1 :] for note in notes[1:])


def open_keys(data_dir: Path, origin: str, *, now: datetime) -> LedgerSigner:
    """Return what signs for the ledger `origin` at `now`; the first key is made if there is none at all.

    Raises:
        LedgerKeyError: the key cannot be used; the message says why and what to do.
    """
    directory = data_dir / DIRECTORY
    if not (directory / LIST_NAME).exists():
        with _alone(directory):
            _make_first(directory, origin, now=now)
    listed = read_public_keys(data_dir)
    _check_origin(listed, origin, directory)
    present = listed[-1]
    # The clock may have been set back since the key was made, and no checkpoint is older than its key.
    at = max(now, present.from_at)
    retiring = [one for one in listed[:-1] if one.signs_at(at) and _key_path(directory, one.key_id).exists()]
    chosen = [present, *reversed(retiring)]
    return LedgerSigner(origin, tuple((one, _read_private(directory, one)) for one in chosen))


def has_keys(data_dir: Path) -> bool:
    """Return whether there is any trace of keys."""
    directory = data_dir / DIRECTORY
    return (directory / LIST_NAME).exists() or any(directory.glob("*.key"))


def read_public_keys(data_dir: Path) -> list[PublicKey]:
    """Return every public key there ever was, oldest first; none before the first start.

    Raises:
        LedgerKeyUnreadableError: the list cannot be read.
    """
    path = data_dir / DIRECTORY / LIST_NAME
    try:
        rows = json.loads(path.read_text())
        found = [_public_key(row) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerKeyUnreadableError(
            f"the list of public keys {path} cannot be read ({type(error).__name__}): restore it from a backup or from"
            f" its copy beside the outside checkpoints; {_DOCUMENT}"
        ) from error
    if not found or found[-1].until_at is not None:
        raise LedgerKeyUnreadableError(f"the list of public keys {path} has no present key; {_DOCUMENT}")
    return found


def verify_as_of_its_time(note: str, keys: Sequence[PublicKey], *, at: datetime) -> PublicKey:
    """Return the key that signed `note`, judged as of `at`, the time the note itself gives.

    Raises:
        NoteError: no key of these signed it.
        UntimelySignatureError: only keys that did not sign at that time did.
    """
    timely = [one for one in keys if one.signs_at(at)]
    try:
        _, key = verify(note, [one.verifier for one in timely])
    except NoteError:
        _, late = verify(note, [one.verifier for one in keys if one not in timely])
        raise UntimelySignatureError(
            f"the note is signed by key {late.key_id}, which did not sign at {instant_text(at)}"
        ) from None
    return next(one for one in timely if one.key_id == key.key_id)


def rotate_key(data_dir: Path, origin: str, *, now: datetime, overlap: timedelta = OVERLAP) -> PublicKey:
    """Make a new key the present one and return it; the old one signs beside it until `now` + `overlap`.

    If the old private key is lost or is not to be used, pass an `overlap` of nothing: the new one continues the log.

    Raises:
        LedgerKeyUnreadableError: the list cannot be read, or the new key cannot be written.
    """
    directory = data_dir / DIRECTORY
    with _alone(directory):
        listed = read_public_keys(data_dir)
        if not listed:
            _make_first(directory, origin, now=now)
            return read_public_keys(data_dir)[-1]
        _check_origin(listed, origin, directory)
        begins = max(now, listed[-1].from_at)
        ended = replace(listed[-1], until_at=begins + overlap)
        return _make_key(directory, origin, [*listed[:-1], ended], now=begins)


def list_text(keys: Sequence[PublicKey]) -> str:
    """Return the list of public keys as its file has it."""
    return json.dumps([one.as_json() for one in keys], indent=1) + "\n"


def _check_origin(listed: Sequence[PublicKey], origin: str, directory: Path) -> None:
    strangers = sorted({one.verifier.name for one in listed} - {origin})
    if strangers:
        raise LedgerKeyReplacedError(
            f"the keys in {directory} sign for {strangers[0]}, and this database's ledger is {origin}: use the DATA_DIR"
            f" that belongs to the database; {_DOCUMENT}"
        )


def _public_key(row: dict[str, str | None]) -> PublicKey:
    key = read_verifier_key(row["verifier_key"] or "")
    if key.key_id != row["key_id"]:
        raise ValueError("a key id is not that of its key")
    until = row["until"]
    return PublicKey(key, _instant(row["from"] or ""), None if until is None else _instant(until))


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let one process at a time make keys."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _make_first(directory: Path, origin: str, *, now: datetime) -> None:
    """Make the first key, unless another process has meanwhile."""
    if (directory / LIST_NAME).exists():
        return
    orphans = sorted(directory.glob("*.key"))
    if orphans:
        raise LedgerKeyUnreadableError(
            f"{directory} holds {orphans[0].name} but no {LIST_NAME}: restore it from a backup or from its copy beside"
            f" the outside checkpoints; {_DOCUMENT}"
        )
    _make_key(directory, origin, [], now=now)


def _make_key(directory: Path, origin: str, before: Sequence[PublicKey], *, now: datetime) -> PublicKey:
    """Make a key and list it behind those `before`.

    The private half gets its name only once it is listed: whoever is killed in between leaves either a file that nobody
    looks at, or one whose name `_read_private` puts right.
    """
    private = Ed25519PrivateKey.generate()
    key = PublicKey(verifier_key(origin, private), now.astimezone(UTC), None)
    content = base64.b64encode(private.private_bytes_raw()) + b"\n"
    path = _key_path(directory, key.key_id)
    try:
        _write_new(path.with_suffix(_UNLISTED), content, mode=_PRIVATE_MODE)
        _write_list(directory, [*before, key])
        _name_listed(path)
        sync_path(directory)
    except OSError as error:
        raise _unwritable(directory, error) from error
    return key


def _name_listed(path: Path) -> None:
    """Give a private key that is listed its name, unless another process has: whoever reads it does, too."""
    with suppress(FileNotFoundError):
        path.with_suffix(_UNLISTED).rename(path)


def _unwritable(directory: Path, error: OSError) -> LedgerKeyUnreadableError:
    return LedgerKeyUnreadableError(
        f"no key can be written to {directory} ({type(error).__name__}): let the user of the service write there;"
        f" {_DOCUMENT}"
    )


def _write_list(directory: Path, keys: Sequence[PublicKey]) -> None:
    """Put the list in its place whole."""
    temporary = directory / f"{LIST_NAME}.{keys[-1].key_id}"
    _write_new(temporary, list_text(keys).encode(), mode=0o644)
    temporary.replace(directory / LIST_NAME)
    sync_path(directory)


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(opened, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_path(path.parent)


def _key_path(directory: Path, key_id: str) -> Path:
    return directory / f"{key_id}.key"


def _read_private(directory: Path, key: PublicKey) -> Ed25519PrivateKey:
    path = _key_path(directory, key.key_id)
    try:
        if not path.exists():
            _name_listed(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except FileNotFoundError as error:
        raise LedgerKeyLostError(
            f"the private key {path} is not there: restore it from a backup, or go on with a new one"
            f" (telesales ledger rotate-key --lost); {_DOCUMENT}"
        ) from error
    except OSError as error:
        raise LedgerKeyUnreadableError(
            f"the private key {path} cannot be read ({type(error).__name__}): give it to the user of the service with"
            f" mode 0600; {_DOCUMENT}"
        ) from error
    if mode & _OTHERS:
        raise LedgerKeyExposedError(
            f"others than its owner may use the private key {path} (mode {mode & 0o777:04o}): if nobody can have read"
            f" it, chmod 600 it; else make a new one (telesales ledger rotate-key --lost); {_DOCUMENT}"
        )
    return _checked_private(path, key, content)


def _checked_private(path: Path, key: PublicKey, content: bytes) -> Ed25519PrivateKey:
    try:
        seed = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        seed = b""
    if len(seed) != _SEED_BYTES:
        raise LedgerKeyUnreadableError(
            f"the private key {path} is not 32 bytes in base64: restore it from a backup; {_DOCUMENT}"
        )
    private = Ed25519PrivateKey.from_private_bytes(seed)
    if verifier_key(key.verifier.name, private) != key.verifier:
        raise LedgerKeyReplacedError(
            f"the private key {path} is not the one that {LIST_NAME} lists: somebody replaced it. Restore it from a"
            f" backup, or go on with a new one (telesales ledger rotate-key --lost); {_DOCUMENT}"
        )
    return private
