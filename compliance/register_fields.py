"""What the fields of a register's row may say beside one another, and in which other registers they name rows.

Pure. That a single value is well formed is the edge's to see; what a caller number may be is `caller_number_terms`'.
"""

from collections.abc import Mapping
from typing import Any

NAMED_ROWS: Mapping[str, str] = {"centre_id": "centres", "product_code": "products"}
"""Fields that name a row of another register, and that register."""

_PERIODS = (
    ("certified_from", "certified_through"),
    ("contract_from", "contract_through"),
    ("leads_collected_on", "leads_expire_on"),
    ("sold_from", "sold_through"),
)
"""Fields with the first and the last day of something."""


class RegisterFieldError(ValueError):
    """A value that the law or the other registers do not allow. `article` is set when it is the law."""

    def __init__(self, field: str, reason: str, *, article: str | None = None) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.article = article


def backward_period(body: Mapping[str, Any]) -> RegisterFieldError | None:
    """Return the error for a whole row, as JSON, in which something ends before it begins; a single day is a period."""
    for begins, ends in _PERIODS:
        first, last = body.get(begins), body.get(ends)
        # ISO 8601 dates sort as the days do.
        if first is not None and last is not None and last < first:
            return RegisterFieldError(ends, f"must not be before {begins}, which is {first}; got {last}")
    return None


def unknown_row(field: str, row_id: str) -> RegisterFieldError:
    """Return the error for a field that names a row which its register does not have."""
    register = NAMED_ROWS[field]
    return RegisterFieldError(field, f"{register} has no {row_id!r}; register it first, or correct the id")
