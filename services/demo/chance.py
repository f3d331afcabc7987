"""Chance that repeats: numbers and ids made by hashing a seed with the name of what they are for.

There is no stream to keep in step: what one thing draws does not depend on what was drawn before it, so a
change in one part of the demo leaves the rest as it was. For demo data only; secrets come from elsewhere.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")
Key = str | int

_RANDOM_BITS_A = 12
_RANDOM_BITS_B = 62


class Dice:
    """Many draws about one thing for the price of one hash; here their order counts."""

    __slots__ = ("_left",)

    def __init__(self, digest: bytes) -> None:
        self._left = int.from_bytes(digest)

    def below(self, bound: int) -> int:
        """Return a number in [0, bound). 512 bits are enough for some fifty draws of a thousand."""
        self._left, drawn = divmod(self._left, bound)
        return drawn

    def hits(self, per_mille: int) -> bool:
        return self.below(1000) < per_mille

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]


@dataclass(frozen=True, slots=True)
class Chance:
    """Draws under one seed. `key` names the draw: the same key gives the same answer for ever."""

    seed: str

    def below(self, bound: int, *key: Key) -> int:
        """Return a number in [0, bound), any as likely as the others."""
        return (int.from_bytes(self._digest(key)[:8]) * bound) >> 64

    def hits(self, per_mille: int, *key: Key) -> bool:
        """Say yes in `per_mille` of a thousand cases."""
        return self.below(1000, *key) < per_mille

    def pick(self, items: Sequence[T], *key: Key) -> T:
        return items[self.below(len(items), *key)]

    def dice(self, *key: Key) -> Dice:
        return Dice(self._digest(key, size=64))

    def octets(self, size: int, *key: Key) -> bytes:
        """Return `size` bytes, at most 64."""
        return self._digest(key, size=size)

    def uuid7(self, at: datetime, *key: Key) -> UUID:
        """Return an id in the form of a UUIDv7 made at `at`, with hashed bits where chance would be."""
        milliseconds = round(at.timestamp() * 1000)
        bits = int.from_bytes(self._digest(key)[:10])
        low = bits & ((1 << _RANDOM_BITS_B) - 1)
        high = (bits >> _RANDOM_BITS_B) & ((1 << _RANDOM_BITS_A) - 1)
        return UUID(int=(milliseconds << 80) | (7 << 76) | (high << 64) | (0b10 << 62) | low)

    def _digest(self, key: tuple[Key, ...], *, size: int = 16) -> bytes:
        # Parts are short names and numbers of ours, without NUL: joined with it they cannot run together.
        return hashlib.blake2b("\0".join(map(str, (self.seed, *key))).encode(), digest_size=size).digest()
