"""Telephone numbers that people wrote into their words: masked for eyes that may not see numbers.

Ids and digests hold runs of digits too, and stay whole.
"""

import re

from compliance.phone_numbers import masked, normalise

_MAYBE_NUMBER = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32,}|\+?\d[\d ()-]{5,}\d")
"""An id or a digest, which is taken whole, or else what may be a number."""


def masked_words(words: str) -> str:
    """Return `words` with every telephone number in them masked.

    >>> masked_words("客户138 0013 8000要求")
    '客户138****8000要求'
    """
    return _MAYBE_NUMBER.sub(_masked_number, words)


def _masked_number(match: re.Match[str]) -> str:
    number = normalise(match[0])
    return match[0] if number is None else masked(number.e164)
