"""Access tokens: shown once, stored hashed, ended at once; and the copy of them in memory."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import IntegrityError

from infra.ids import new_id
from services.tables import access_tokens
from services.token_cache import TokenCache
from services.tokens import (
    DEFAULT_LIFE,
    TOKEN_PREFIX,
    Actor,
    Role,
    UnknownTokenError,
    create_token,
    find_token,
    find_token_by_id,
    hash_token,
    note_use,
    read_tokens,
    revoke_token,
)
from tests.conftest import NOON
from tests.unguarded import unguarded

A_MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize("role", list(Role))
def test_a_token_leads_to_its_role_and_owner(connection: Connection, role: Role) -> None:
    token_id = new_id()

    token = create_token(connection, token_id=token_id, role=role, owner="王小明", now=NOON)

    found = find_token(connection, hash_token(token))
    assert found is not None
    assert found.actor == Actor(token_id, role, "王小明")
    assert (found.expires_at, found.revoked_at) == (NOON + DEFAULT_LIFE, None)
    assert find_token_by_id(connection, token_id) == found.actor


def test_only_the_hash_is_stored(connection: Connection) -> None:
    token = create_token(connection, token_id=new_id(), role=Role.DIALER, owner="x", now=NOON)

    stored = connection.execute(select(access_tokens)).one()
    assert stored.token_hash == hashlib.sha256(token.encode()).digest()
    assert token not in str(stored)
    assert token.removeprefix(TOKEN_PREFIX) not in str(stored)


def test_tokens_are_long_differ_and_can_be_recognised(connection: Connection) -> None:
    made = {create_token(connection, token_id=new_id(), role=Role.DIALER, owner="x", now=NOON) for _ in range(50)}

    assert len(made) == 50
    assert all(one.startswith("tsl_") and len(one) >= 4 + 43 for one in made)


def test_a_token_lives_until_the_instant_it_expires_exclusive(connection: Connection) -> None:
    life = timedelta(days=1)
    token = create_token(connection, token_id=new_id(), role=Role.DIALER, owner="x", now=NOON, life=life)

    found = find_token(connection, hash_token(token))

    assert found is not None
    assert found.is_live(NOON + life - A_MICROSECOND)
    assert not found.is_live(NOON + life)


def test_a_revoked_token_is_found_but_not_live(connection: Connection) -> None:
    token_id = new_id()
    token = create_token(connection, token_id=token_id, role=Role.DIALER, owner="x", now=NOON)

    revoke_token(connection, token_id, now=NOON)

    found = find_token(connection, hash_token(token))
    assert found is not None
    assert found.revoked_at == NOON
    assert not found.is_live(NOON)


def test_revoking_twice_keeps_the_first_instant(connection: Connection) -> None:
    token_id = new_id()
    create_token(connection, token_id=token_id, role=Role.DIALER, owner="x", now=NOON)

    revoke_token(connection, token_id, now=NOON)
    revoke_token(connection, token_id, now=NOON + timedelta(days=1))

    assert connection.execute(select(access_tokens.c.revoked_at)).scalar_one() == NOON


def test_revoking_what_does_not_exist_says_so(connection: Connection) -> None:
    token_id = new_id()

    with pytest.raises(UnknownTokenError, match=str(token_id)):
        revoke_token(connection, token_id, now=NOON)


def test_an_unknown_token_is_not_found(connection: Connection) -> None:
    assert find_token(connection, hash_token("tsl_nonsense")) is None
    assert find_token_by_id(connection, new_id()) is None


def test_a_role_that_does_not_exist_cannot_be_stored(connection: Connection) -> None:
    create_token(connection, token_id=new_id(), role=Role.ADMIN, owner="x", now=NOON)

    with pytest.raises(IntegrityError, match="role"), unguarded(connection):
        connection.execute(text("UPDATE access_tokens SET role = 'root'"))


def test_only_live_tokens_are_read_for_the_copy(connection: Connection) -> None:
    live, ended, revoked = new_id(), new_id(), new_id()
    token = create_token(connection, token_id=live, role=Role.DIALER, owner="x", now=NOON)
    create_token(connection, token_id=ended, role=Role.DIALER, owner="x", now=NOON, life=timedelta())
    create_token(connection, token_id=revoked, role=Role.DIALER, owner="x", now=NOON)
    revoke_token(connection, revoked, now=NOON)

    found = read_tokens(connection, now=NOON)

    assert {key: one.actor.token_id for key, one in found.items()} == {hash_token(token): live}


@pytest.mark.parametrize(
    ("later", "noted"),
    [
        pytest.param(timedelta(seconds=1), timedelta(), id="a second later"),
        pytest.param(timedelta(minutes=1), timedelta(), id="a minute later"),
        pytest.param(timedelta(minutes=1) + A_MICROSECOND, timedelta(minutes=1) + A_MICROSECOND, id="more"),
        pytest.param(timedelta(days=-1), timedelta(), id="by a clock that is behind"),
    ],
)
def test_use_is_noted_to_the_minute(connection: Connection, later: timedelta, noted: timedelta) -> None:
    token_id = new_id()
    create_token(connection, token_id=token_id, role=Role.DIALER, owner="x", now=NOON)

    note_use(connection, token_id, now=NOON)
    note_use(connection, token_id, now=NOON + later)

    assert connection.execute(select(access_tokens.c.last_used_at)).scalar_one() == NOON + noted


def changes(connection: Connection) -> int:
    found: int = connection.execute(
        text("SELECT changes FROM register_counters WHERE register = 'tokens'")
    ).scalar_one()
    return found


def test_the_copy_is_empty_until_confirmed_and_follows_the_counter(connection: Connection) -> None:
    cache = TokenCache()
    token_id = new_id()
    token_hash = hash_token(create_token(connection, token_id=token_id, role=Role.DIALER, owner="x", now=NOON))

    assert cache.find(token_hash, now=NOON) is None
    cache.confirm(connection, changes=changes(connection), now=NOON)
    assert cache.find(token_hash, now=NOON) == Actor(token_id, Role.DIALER, "x")

    revoke_token(connection, token_id, now=NOON)
    cache.confirm(connection, changes=changes(connection), now=NOON)
    assert cache.find(token_hash, now=NOON) is None


def test_the_copy_does_not_outlive_a_token(connection: Connection) -> None:
    cache = TokenCache()
    token_hash = hash_token(create_token(connection, token_id=new_id(), role=Role.DIALER, owner="x", now=NOON))
    cache.confirm(connection, changes=changes(connection), now=NOON)

    assert cache.find(token_hash, now=NOON + DEFAULT_LIFE - A_MICROSECOND) is not None
    assert cache.find(token_hash, now=NOON + DEFAULT_LIFE) is None


def test_an_unchanged_counter_costs_no_statement(engine: Engine) -> None:
    cache = TokenCache()
    with engine.connect() as connection:
        cache.confirm(connection, changes=changes(connection), now=NOON)
        same = changes(connection)
        connection.execute(text("DROP TABLE access_tokens"))

        cache.confirm(connection, changes=same, now=NOON)

        assert connection.execute(select(func.now())).scalar_one() is not None
