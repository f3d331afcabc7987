"""The draw `telesales-draw-1`: who is in a sample follows from a seed and the policy numbers, and from nothing else.

Each sale has a ticket, a hash of seed and policy number; the smallest tickets are drawn. So anybody draws the same
sample again, a larger sample holds every smaller one, and a sale that comes late changes nobody else's ticket.
docs/draw.md is the specification, with vectors.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ALGORITHM = "telesales-draw-1"
SEED_BYTES = 32
TICKET_BYTES = 32

_WHOLE_BP = 10_000
_LENGTH_BYTES = 8
_LONGEST_CHARACTER = 4
_LENGTHS = tuple(n.to_bytes(_LENGTH_BYTES, "big") for n in range(64 * _LONGEST_CHARACTER + 1))
"""The length that goes before a policy number, for every length that one can have in UTF-8."""


class Chance(NamedTuple):
    """What the tickets of a draw depend on beside the policy numbers; `public_number` is empty if there is none."""

    seed: bytes
    public_number: str


class Ticket(NamedTuple):
    policy_no: str
    ticket: bytes


def ticket(chance: Chance, policy_no: str) -> bytes:
    """Return the 32-byte ticket of a sale: SHA-256 over algorithm, seed, public number and policy number.

    Before each stands its length in bytes, as 8 bytes big-endian; texts are in UTF-8.

    >>> ticket(Chance(bytes(range(32)), ""), "P-1").hex()[:16]
    '2f98f24a4878686f'
    """
    return _tickets(chance, [policy_no.encode()])[0]


def sample_size(frame_size: int, rate_bp: int) -> int:
    """Return how many of `frame_size` sales are drawn at least at `rate_bp` basis points, rounded up, in integers."""
    return -(-frame_size * rate_bp // _WHOLE_BP)


def smallest_tickets(chance: Chance, policy_nos: Sequence[bytes], size: int) -> list[Ticket]:
    """Return the `size` smallest tickets of these policy numbers, which are in UTF-8 and all different; smallest first.

    All of them if there are not so many. Their order makes no difference.
    """
    if size < 1 or not policy_nos:
        return []
    found = _tickets(chance, policy_nos)
    order = _smallest(b"".join(found), min(size, len(found))).tolist()
    names = [policy_nos[place].decode() for place in order]
    return list(map(Ticket._make, zip(names, map(found.__getitem__, order), strict=True)))


def newly_drawn(chance: Chance, policy_nos: Sequence[bytes], *, rate_bp: int, drawn: Collection[str]) -> list[Ticket]:
    """Return which sales of an enlarged frame are to be drawn beside those `drawn` already, smallest ticket first.

    Drawn are all whose ticket is among the smallest ⌈n′ · rate⌉ of the enlarged frame. Who is drawn stays so, even if
    so many smaller tickets came since.
    """
    wanted = smallest_tickets(chance, policy_nos, sample_size(len(policy_nos), rate_bp))
    return [one for one in wanted if one.policy_no not in drawn]


def _tickets(chance: Chance, policy_nos: Sequence[bytes]) -> list[bytes]:
    # What all tickets begin with is hashed once: a copy of the state costs less than the bytes.
    state = hashlib.sha256()
    for part in (ALGORITHM.encode(), chance.seed, chance.public_number.encode()):
        state.update(len(part).to_bytes(_LENGTH_BYTES, "big") + part)
    begin, lengths, found = state.copy, _LENGTHS, []
    for one in policy_nos:
        hashed = begin()
        hashed.update(lengths[len(one)] + one)
        found.append(hashed.digest())
    return found


def _smallest(tickets: bytes, size: int) -> NDArray[np.intp]:
    """Return the places of the `size` smallest tickets, in their order."""
    words = np.frombuffer(tickets, ">u8").reshape(-1, TICKET_BYTES // _LENGTH_BYTES).astype(np.uint64)
    first = words[:, 0]
    # Whoever shares the first 8 bytes of the last one drawn stays in until all 32 decide.
    last = np.partition(first, size - 1)[size - 1]
    near = np.flatnonzero(first <= last)
    order = np.lexsort(words[near].T[::-1])[:size]
    return near[order]
