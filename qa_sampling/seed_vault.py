"""Keeps seeds secret until their day is drawn: what stands in the database is sealed under a key that does not.

The key is one file, DATA_DIR/draw-keys/seeds.key, 32 bytes in base64, made once, readable by its owner alone. A seed is
sealed with ChaCha20-Poly1305 and bound to its day: moved to another day it does not open. Whoever has the database and
not the file, or the file and not the database, knows no seed.
"""

import base64
import binascii
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from infra.durable import sync_path

DIRECTORY = "draw-keys"
NAME = "seeds.key"

RandomBytes = Callable[[int], bytes]
"""So many bytes that nobody can guess; from the edge."""

_PRIVATE_MODE = 0o600
_OTHERS = 0o077
_KEY_BYTES = 32
_NONCE_BYTES = 12
_DOMAIN = b"telesales-draw-seed-1\x00"
_DOCUMENT = "see 'The key of the seeds' in docs/draw.md"


class SeedKeyError(RuntimeError):
    """The key of the seeds cannot be used; the message says why and what to do."""


class SealedSeedError(ValueError):
    """What is stored for a day is not a seed sealed under the present key."""


class SeedVault:
    """Seals and opens seeds with the key below `data_dir`, read anew each time: it may be put right meanwhile."""

    def __init__(self, data_dir: Path, *, random_bytes: RandomBytes) -> None:
        self._path = data_dir / DIRECTORY / NAME
        self._random_bytes = random_bytes

    def new_seed(self, size: int) -> bytes:
        """Return fresh random bytes to draw by."""
        return self._random_bytes(size)

    def seal(self, day: date, seed: bytes) -> bytes:
        """Return `seed` so that it can be stored; the key is made if there is none.

        Raises:
            SeedKeyError: the key can be neither read nor made.
        """
        if not self._path.exists():
            self._make()
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + ChaCha20Poly1305(self._read()).encrypt(nonce, seed, _bound_to(day))

    def open(self, day: date, sealed: bytes) -> bytes:
        """Return the seed of `day`.

        Raises:
            SeedKeyError: the key is not there, or cannot be used.
            SealedSeedError: it is another key, or another day's seed.
        """
        key = self._read()
        try:
            return ChaCha20Poly1305(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(day))
        except (InvalidTag, ValueError) as error:
            raise SealedSeedError(
                f"the seed of {day} does not open with the key {self._path}: it was sealed with another one. If"
                f" there is a backup of that, restore it; {_DOCUMENT}"
            ) from error

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read()
        except FileNotFoundError as error:
            raise SeedKeyError(f"the key {self._path} is not there: restore it from a backup; {_DOCUMENT}") from error
        except OSError as error:
            raise SeedKeyError(
                f"the key {self._path} cannot be read ({type(error).__name__}): give it to the user of the service with"
                f" mode 0600; {_DOCUMENT}"
            ) from error
        if mode & _OTHERS:
            raise SeedKeyError(
                f"others than its owner may use the key {self._path} (mode {mode & 0o777:04o}), so that seeds may be"
                f" known already: move it away, and a new one is made; {_DOCUMENT}"
            )
        return self._checked(content)

    def _checked(self, content: bytes) -> bytes:
        try:
            key = base64.b64decode(content.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != _KEY_BYTES:
            raise SeedKeyError(
                f"the key {self._path} is not 32 bytes in base64: restore it from a backup, or move it away, and a new"
                f" one is made; {_DOCUMENT}"
            )
        return key

    def _make(self) -> None:
        """Make the key, unless another process does; it gets its name once its bytes are on disk."""
        content = base64.b64encode(self._random_bytes(_KEY_BYTES)) + b"\n"
        try:
            with _alone(self._path.parent):
                if not self._path.exists():
                    _write_whole(self._path, content)
        except OSError as error:
            raise SeedKeyError(
                f"no key can be written to {self._path.parent} ({type(error).__name__}): let the user of the service"
                f" write there; {_DOCUMENT}"
            ) from error


def _bound_to(day: date) -> bytes:
    return _DOMAIN + day.isoformat().encode()


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let one process at a time make the key."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_path(directory.parent)
    opened = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")  # left by whoever was killed here, and nobody's yet
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_MODE)
    with os.fdopen(opened, "wb") as file:
        os.fchmod(file.fileno(), _PRIVATE_MODE)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_path(path.parent)
