"""Whether a wrong that an inspection found can still be put right inside the customer's cooling-off (art. 39)."""

from datetime import date
from enum import StrEnum
from typing import NamedTuple


class CoolingOff(StrEnum):
    """How the customer's right to withdraw stands."""

    NONE = "none"
    """The product has none."""
    NOT_BEGUN = "not_begun"
    """Receipt or effect is not known yet, so that it lies ahead."""
    RUNNING = "running"
    OVER = "over"


class Remedy(NamedTuple):
    """`put_right_through` is the last Shanghai day, included, on which the customer may withdraw; None unless known."""

    cooling_off: CoolingOff
    put_right_through: date | None


def remedy(*, cooling_off_days: int, right_through: date | None, today: date) -> Remedy:
    """Return how the right of a sale stands on the Shanghai day `today`; `right_through` None: it has not begun."""
    if right_through is None:
        return Remedy(CoolingOff.NOT_BEGUN if cooling_off_days else CoolingOff.NONE, None)
    if today > right_through:
        return Remedy(CoolingOff.OVER, None)
    return Remedy(CoolingOff.RUNNING, right_through)
