"""Live tokens in memory, for the one endpoint where a statement per request would cost too much.

The copy is checked against the tokens' change counter in the transaction that answers, so a token revoked
by another process is refused with the next batch.
"""

from datetime import datetime
from threading import Lock

from sqlalchemy import Connection

from services.tokens import AccessToken, Actor, read_tokens


class TokenCache:
    """Tokens by hash, as of one value of the change counter."""

    def __init__(self) -> None:
        self._tokens: dict[bytes, AccessToken] = {}
        self._changes: int | None = None
        self._lock = Lock()

    def find(self, token_hash: bytes, *, now: datetime) -> Actor | None:
        """Return the actor of a token that was live when last looked, None if it is not in the copy."""
        token = self._tokens.get(token_hash)
        return token.actor if token is not None and token.is_live(now) else None

    def confirm(self, connection: Connection, *, changes: int, now: datetime) -> None:
        """Bring the copy up to date if it is not of this value of the tokens' change counter."""
        if changes != self._changes:
            with self._lock:
                self._tokens = read_tokens(connection, now=now)
                self._changes = changes
