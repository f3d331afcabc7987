"""Telephone numbers of the demo, counted out inside real prefixes; see docs/demo.md for what that means.

China sets no numbers aside for examples. All demo mobiles begin with 147, so that they are told apart at a
glance, and the first of the last four digits says what a number is for.
"""

from enum import IntEnum

_PREFIXES = 10_000
_NETWORK = 86_147
_STRIDE = 7919
"""Prime to the count of prefixes: neighbours in the count lie in different provinces."""


class NumberUse(IntEnum):
    """What a demo mobile is for; the value is what its last four digits count from."""

    LISTED = 3000
    LEAD = 5000
    CUSTOMER = 7000
    SECOND_OF_CUSTOMER = 8000


def mobile_digits(use: NumberUse, index: int) -> int:
    """Return the E.164 digits of the demo mobile `index` of this use; those of another index or use differ.

    >>> mobile_digits(NumberUse.LEAD, 1)
    8614779195001
    """
    turn, place = divmod(index, _PREFIXES)
    prefix = _NETWORK * _PREFIXES + place * _STRIDE % _PREFIXES
    return prefix * 10_000 + use + 1 + turn


_LANDLINES = {
    "110000": "10",
    "120000": "22",
    "310000": "21",
    "320000": "25",
    "420000": "27",
    "440000": "20",
    "500000": "23",
    "510000": "28",
}


def landline_digits(region: str, index: int) -> int | None:
    """Return the digits of a demo landline in `region`, None where the demo has no area code."""
    area = _LANDLINES.get(region)
    return None if area is None else int(f"86{area}6100{7000 + index:04d}")
