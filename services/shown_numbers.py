"""Which telephone numbers an answer shows: whole to officers, and to a dialer what it sent itself."""

from collections.abc import Collection

from compliance.numbers_in_words import masked_words
from compliance.phone_numbers import masked
from services.tokens import Actor, Role


def shown(e164: str, *, actor: Actor, sent: Collection[str | None] = ()) -> str:
    """Return a number as `actor` may see it; `sent` are the numbers that came from this actor."""
    is_open = actor.role is Role.OFFICER or (actor.role is Role.DIALER and e164 in sent)
    return e164 if is_open else masked(e164)


def shown_words(words: str, *, actor: Actor | None) -> str:
    """Return words that somebody wrote as `actor` may see them: numbers in them are whole to officers alone.

    None: as everybody may.
    """
    return words if actor is not None and actor.role is Role.OFFICER else masked_words(words)
