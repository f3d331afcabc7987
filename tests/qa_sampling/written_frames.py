"""The canonical form of a frame (docs/draw.md), written a second time for tests to hold the product's to."""

from collections.abc import Iterable
from datetime import date


def written_frame(lines: Iterable[tuple[str, date, str]]) -> bytes:
    """Return the bytes of a frame with these policy numbers, closing days and classes, in whatever order they come."""
    encoded = sorted((policy_no.encode(), f"\t{closed_on}\t{kind}\n".encode()) for policy_no, closed_on, kind in lines)
    return b"".join(policy_no + rest for policy_no, rest in encoded)
