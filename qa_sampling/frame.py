"""The sampling frame as bytes that anybody can write down again: what is hashed is what was there to be drawn.

One line per sale: `policy_no` TAB `closed_on` TAB `inspection_class` LF, in UTF-8, ordered by the bytes of `policy_no`.
docs/draw.md says the same to strangers.
"""

import hashlib
from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from compliance.sale_terms import InspectionClass

LONGEST_POLICY_NO = 64
"""In characters, as the register of sales takes it."""


class FrameError(ValueError):
    """A frame that has no canonical form, or bytes that are not one; the message names the line, not what it says."""


class FrameLine(NamedTuple):
    """A sale as the frame has it; `closed_on` is the closing day in Shanghai."""

    policy_no: str
    closed_on: date
    inspection_class: InspectionClass


def frame_bytes(lines: Iterable[FrameLine]) -> bytes:
    """Return the canonical bytes of a frame, in whatever order its lines come.

    Raises:
        FrameError: a policy number stands twice, or is not 1 to 64 printable characters without white space.
    """
    written = sorted(
        (line.policy_no.encode(), f"\t{line.closed_on.isoformat()}\t{line.inspection_class}\n".encode())
        for line in lines
        if _checked(line.policy_no)
    )
    for (one, _), (other, _) in pairwise(written):
        if one == other:
            raise FrameError("a policy number stands twice in the frame; each sale has one line")
    return b"".join(part for line in written for part in line)


def read_frame(content: bytes) -> list[FrameLine]:
    """Return the lines of canonical bytes, in their order.

    Raises:
        FrameError: they are not the canonical form of any frame.
    """
    try:
        texts = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise FrameError(f"the frame is not UTF-8 at byte {error.start}") from None
    if texts.pop():
        raise FrameError("the last line of the frame does not end with LF")
    lines = [_line(number, one) for number, one in enumerate(texts, 1)]
    if frame_bytes(lines) != content:
        raise FrameError("the lines of the frame are not in the order of the bytes of their policy numbers")
    return lines


def frame_digest(content: bytes) -> bytes:
    """Return the 32 bytes of SHA-256 over the canonical bytes."""
    return hashlib.sha256(content).digest()


def policy_numbers(content: bytes) -> list[bytes]:
    """Return the policy numbers of canonical bytes, in UTF-8 and in their order; the form is not checked."""
    return [line.partition(b"\t")[0] for line in content.split(b"\n")[:-1]]


def _line(number: int, text: str) -> FrameLine:
    fields = text.split("\t")
    try:
        policy_no, closed_on, inspection_class = fields
        line = FrameLine(policy_no, date.fromisoformat(closed_on), InspectionClass(inspection_class))
    except ValueError:
        raise FrameError(f"line {number} of the frame is not policy number, day and class between tabs") from None
    if line.closed_on.isoformat() != closed_on:
        raise FrameError(f"line {number} of the frame has a day that is not YYYY-MM-DD")
    return line


def _checked(policy_no: str) -> bool:
    # Of all white space only the plain space counts as printable.
    if 1 <= len(policy_no) <= LONGEST_POLICY_NO and policy_no.isprintable() and " " not in policy_no:
        return True
    raise FrameError("a policy number of the frame is not 1 to 64 printable characters without white space")
