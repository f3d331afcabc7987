"""Access tokens: who may do what, until when. Only hashes are stored; a token is shown once, when it is made."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, insert, or_, select, update

from services.tables import access_tokens

TOKEN_PREFIX = "tsl_"  # noqa: S105 - a marker by which leaked tokens can be found, not a secret
DEFAULT_LIFE = timedelta(days=90)
_LAST_USE_GRAIN = timedelta(minutes=1)


class Role(StrEnum):
    DIALER = "dialer"
    INSPECTOR = "inspector"
    OFFICER = "officer"
    ADMIN = "admin"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking: `owner` is the person or system behind the token, compared in two-person actions."""

    token_id: UUID
    role: Role
    owner: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    actor: Actor
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None = None

    def is_use_due(self, now: datetime) -> bool:
        """Return whether `note_use` may have something to note."""
        return self.last_used_at is None or self.last_used_at < now - _LAST_USE_GRAIN

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


class UnknownTokenError(LookupError):
    """No token has this id."""


def hash_token(token: str) -> bytes:
    """Return what is stored of a token: it has 256 bits of chance, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(token.encode()).digest()


def create_token(
    connection: Connection,
    *,
    token_id: UUID,
    role: Role,
    owner: str,
    now: datetime,
    life: timedelta = DEFAULT_LIFE,
) -> str:
    """Store a new token and return it; it cannot be read again."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        insert(access_tokens).values(
            token_id=token_id,
            token_hash=hash_token(token),
            role=role,
            owner=owner,
            created_at=now,
            expires_at=now + life,
        )
    )
    return token


def revoke_token(connection: Connection, token_id: UUID, *, now: datetime) -> None:
    """End a token at once, for every process.

    Raises:
        UnknownTokenError: there is no such token.
    """
    done = connection.execute(
        update(access_tokens)
        .where(access_tokens.c.token_id == token_id, access_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if done.rowcount == 0 and find_token_by_id(connection, token_id) is None:
        msg = f"there is no token {token_id}"
        raise UnknownTokenError(msg)


def find_token_by_id(connection: Connection, token_id: UUID) -> Actor | None:
    """Return whose token this is, None if there is none."""
    row = connection.execute(
        select(access_tokens.c.role, access_tokens.c.owner).where(access_tokens.c.token_id == token_id)
    ).one_or_none()
    return None if row is None else Actor(token_id, Role(row.role), row.owner)


def read_tokens(connection: Connection, *, now: datetime) -> dict[bytes, AccessToken]:
    """Return all live tokens by their hash."""
    columns = access_tokens.c
    rows = connection.execute(
        select(columns.token_hash, columns.token_id, columns.role, columns.owner, columns.expires_at).where(
            columns.revoked_at.is_(None), columns.expires_at > now
        )
    )
    return {
        row.token_hash: AccessToken(Actor(row.token_id, Role(row.role), row.owner), row.expires_at, None)
        for row in rows
    }


def find_token(connection: Connection, token_hash: bytes) -> AccessToken | None:
    """Return the token with this hash, live or not, None if there is none."""
    columns = access_tokens.c
    row = connection.execute(
        select(
            columns.token_id,
            columns.role,
            columns.owner,
            columns.expires_at,
            columns.revoked_at,
            columns.last_used_at,
        ).where(columns.token_hash == token_hash)
    ).one_or_none()
    if row is None:
        return None
    actor = Actor(row.token_id, Role(row.role), row.owner)
    return AccessToken(actor, row.expires_at, row.revoked_at, row.last_used_at)


def note_use(connection: Connection, token_id: UUID, *, now: datetime) -> None:
    """Remember that a token was used, to the minute: a write for every request would cost more than it tells."""
    columns = access_tokens.c
    connection.execute(
        update(access_tokens)
        .where(
            columns.token_id == token_id,
            or_(columns.last_used_at.is_(None), columns.last_used_at < now - _LAST_USE_GRAIN),
        )
        .values(last_used_at=now)
    )
