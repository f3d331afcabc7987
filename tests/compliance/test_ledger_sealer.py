"""Sealing: what every transaction can see, in order, all or nothing, by one at a time."""

from datetime import timedelta
from io import StringIO

import pytest
from sqlalchemy import Engine, event, text

from compliance.ledger_lines import row_digest
from compliance.ledger_reading import latest_checkpoint, read_lines
from compliance.ledger_sealer import CHECKS_PER_RANGE, MOST_CHECKS, MOST_ENTRIES, Sealed, seal
from compliance.ledger_tree import root_at
from compliance.signed_notes import read_checkpoint, verify
from infra.logs import configure_logs
from tests.compliance.ledger_rows import (
    OneKey,
    cover_checks,
    one_key,
    root_of_lines,
    seal_all,
    write_checks,
    write_entries,
)
from tests.conftest import NOON


@pytest.fixture
def key(engine: Engine) -> OneKey:
    with engine.connect() as connection:
        return one_key(connection)


def write(engine: Engine, count: int) -> None:
    with engine.begin() as connection:
        write_entries(connection, count)


def seal_once(engine: Engine, key: OneKey) -> Sealed | None:
    with engine.begin() as connection:
        return seal(connection, signer=key, now=NOON)


def counts(engine: Engine) -> tuple[int, int, int]:
    """Return how many leaves, tiles and checkpoints there are."""
    counting = text("""
        SELECT (SELECT count(*) FROM ledger_leaves), (SELECT count(*) FROM ledger_tiles),
               (SELECT count(*) FROM ledger_checkpoints)""")
    with engine.connect() as connection:
        leaves, tiles, checkpoints = connection.execute(counting).one()
        return leaves, tiles, checkpoints


def test_what_was_sealed_is_signed_numbered_and_in_the_tree(engine: Engine, key: OneKey) -> None:
    write(engine, 300)

    found = seal_once(engine, key)

    assert found is not None
    assert (found.entries, found.rest, found.checkpoint.size) == (300, None, 300)
    said = read_checkpoint(verify(found.checkpoint.note, [key.verifier])[0])
    assert (said.origin, said.size, said.sealed_at) == (key.origin, 300, NOON)
    with engine.connect() as connection:
        assert said.root == found.checkpoint.root == root_of_lines(connection, 300) == root_at(connection, 300)
        assert latest_checkpoint(connection) == found.checkpoint
        assert [number for number, _line in read_lines(connection, 7, 9)] == [7, 8]


def test_where_nothing_waits_nothing_is_signed(engine: Engine, key: OneKey) -> None:
    assert seal_once(engine, key) is None
    write(engine, 1)
    assert seal_once(engine, key) is not None

    assert seal_once(engine, key) is None
    assert counts(engine) == (1, 0, 1)


def test_of_two_sealers_one_goes_away(engine: Engine, key: OneKey) -> None:
    write(engine, 3)

    with engine.begin() as first:
        assert seal(first, signer=key, now=NOON) is not None
        assert seal_once(engine, key) is None

    assert counts(engine) == (3, 0, 1)


def test_an_open_transaction_holds_back_nothing_but_its_own_entries(engine: Engine, key: OneKey) -> None:
    write(engine, 2)
    with engine.begin() as slow:
        write_entries(slow, 1)
        write(engine, 5)

        meanwhile = [seal_once(engine, key), seal_once(engine, key)]

    after = seal_once(engine, key)
    assert [None if one is None else one.checkpoint.size for one in (*meanwhile, after)] == [7, None, 8]


def test_two_changes_of_one_row_are_numbered_as_they_were_made_whatever_their_transactions_and_who_is_open(
    engine: Engine, key: OneKey
) -> None:
    began = text("SELECT pg_current_xact_id()")
    with engine.connect() as second, engine.connect() as idle, engine.connect() as first:
        for connection in (second, idle, first):
            connection.execute(began)
        write_entries(first, 1)
        first.commit()
        write_entries(second, 1)
        second.commit()
        seal_once(engine, key)
        idle.rollback()
    seal_once(engine, key)

    with engine.connect() as connection:
        sources = connection.execute(text("SELECT source FROM ledger_leaves ORDER BY entry")).scalars().all()
    assert (len(sources), sources) == (2, sorted(sources))


def test_entries_are_numbered_in_the_order_of_their_source(engine: Engine, key: OneKey) -> None:
    with engine.begin() as begun_first:
        begun_first.execute(text("SELECT pg_current_xact_id()"))
        write(engine, 1)
        write_entries(begun_first, 1)
    write(engine, 1)

    seal_once(engine, key)

    with engine.connect() as connection:
        order = "SELECT source FROM ledger_leaves ORDER BY entry"
        sources = list(connection.execute(text(order)).scalars())
        by_tx = "SELECT source FROM ledger_leaves JOIN ledger_entries USING (source) ORDER BY tx"
        assert sources == sorted(sources)
        assert sources != list(connection.execute(text(by_tx)).scalars())


def test_many_entries_take_several_transactions_and_lose_none(engine: Engine, key: OneKey) -> None:
    write(engine, MOST_ENTRIES + 1)
    write(engine, 500)

    found = seal_all(engine, key)

    assert [one.entries for one in found] == [MOST_ENTRIES, 501]
    with engine.connect() as connection:
        assert root_of_lines(connection, MOST_ENTRIES + 501) == found[-1].checkpoint.root


def test_a_sealing_that_stopped_half_way_is_taken_up_by_the_next(engine: Engine, key: OneKey) -> None:
    write(engine, MOST_ENTRIES + 10)
    first = seal_once(engine, key)
    write(engine, 5)

    second = seal_once(engine, key)

    assert first is not None
    assert first.rest is not None
    assert second is not None
    assert (second.entries, second.rest) == (15, None)


def test_who_goes_on_after_another_sealer_begins_anew(engine: Engine, key: OneKey) -> None:
    write(engine, MOST_ENTRIES + 10)
    first = seal_once(engine, key)
    assert first is not None
    between = seal_once(engine, key)
    write(engine, 1)

    with engine.begin() as connection:
        last = seal(connection, signer=key, now=NOON, position=first.rest)

    assert between is not None
    assert last is not None
    assert (between.entries, last.entries, last.checkpoint.size) == (10, 1, MOST_ENTRIES + 11)


class KilledError(Exception):
    """The sealer ended here."""


@pytest.mark.parametrize("statement", range(1, 8))
def test_a_sealer_killed_after_any_statement_leaves_nothing_half(engine: Engine, key: OneKey, statement: int) -> None:
    write(engine, 600)
    sent = iter(range(1, 100))

    def kill(*_: object) -> None:
        if next(sent) == statement:
            raise KilledError

    with engine.connect() as connection:
        event.listen(connection, "after_cursor_execute", kill)
        with pytest.raises(KilledError):
            seal(connection, signer=key, now=NOON)

    assert counts(engine) == (0, 0, 0)
    assert seal_once(engine, key) is not None
    assert counts(engine) == (600, 2, 1)


def test_a_clock_set_back_does_not_set_the_checkpoints_back(engine: Engine, key: OneKey) -> None:
    logged = StringIO()
    configure_logs("INFO", stream=logged)
    write(engine, 1)
    seal_once(engine, key)
    write(engine, 1)

    with engine.begin() as connection:
        found = seal(connection, signer=key, now=NOON - timedelta(days=1))

    assert found is not None
    assert found.checkpoint.sealed_at == NOON
    assert "ledger_clock_set_back" in logged.getvalue()


def test_a_database_restored_into_another_cluster_seals_what_waited_there(engine: Engine, key: OneKey) -> None:
    write(engine, 2)
    seal_once(engine, key)
    write(engine, 3)
    with engine.begin() as owner:
        owner.execute(text("SET LOCAL session_replication_role = replica"))
        owner.execute(text("UPDATE ledger_checkpoints SET cluster = 'another', horizon = 1 << 40"))
        owner.execute(text("UPDATE ledger_entries SET tx = tx + (1::bigint << 40)"))
    write(engine, 1)

    found = seal_once(engine, key)

    assert found is not None
    assert (found.entries, found.checkpoint.size) == (4, 6)
    write(engine, 1)
    assert [one.entries for one in seal_all(engine, key)] == [1]


def test_call_checks_are_sealed_as_ranges(engine: Engine, key: OneKey) -> None:
    with engine.begin() as connection:
        cover_checks(connection)
        write_checks(connection, CHECKS_PER_RANGE + 7)
        write_entries(connection, 1)

    found = seal_once(engine, key)

    assert found is not None
    assert (found.entries, found.rest) == (3, None)
    with engine.connect() as connection:
        kinds = connection.execute(
            text("SELECT kind, cardinality(keys), length(digests), length(salts) FROM ledger_entries ORDER BY source")
        )
        assert [tuple(row) for row in kinds] == [
            ("incidents.insert", 1, 32, 16),
            ("call_checks.range", 1000, 32_000, 16_000),
            ("call_checks.range", 7, 224, 112),
        ]
        assert root_of_lines(connection, 3) == found.checkpoint.root
    assert seal_once(engine, key) is None


def test_the_digest_of_a_check_is_that_of_its_text(engine: Engine, key: OneKey) -> None:
    with engine.begin() as connection:
        cover_checks(connection)
        write_checks(connection, 3)
    seal_once(engine, key)

    with engine.connect() as connection:
        keys, digests, salts = connection.execute(
            text("SELECT keys, digests, salts FROM ledger_entries WHERE kind = 'call_checks.range'")
        ).one()
        row = text("""
            SELECT row_to_json(r)::text FROM (SELECT check_id, actor, verdict, checked_at FROM call_checks
             WHERE check_id = CAST(:key AS uuid)) r""")
        texts = [connection.execute(row, {"key": one}).scalar_one() for one in keys]

    assert texts[0] == (
        f'{{"check_id":"{keys[0]}","actor":"dialer","verdict":"deny","checked_at":"2026-11-23T04:00:00+00:00"}}'
    )
    parts = [(salts[at * 16 : at * 16 + 16], digests[at * 32 : at * 32 + 32]) for at in range(3)]
    assert [row_digest(salt, one) for (salt, _), one in zip(parts, texts, strict=True)] == [one for _, one in parts]


def test_checks_of_one_transaction_go_on_where_they_stopped(engine: Engine, key: OneKey) -> None:
    with engine.begin() as connection:
        cover_checks(connection)
        write_checks(connection, MOST_CHECKS + 1500)

    found = seal_all(engine, key)

    assert [one.entries for one in found] == [MOST_CHECKS // CHECKS_PER_RANGE, 2]
    with engine.connect() as connection:
        keys = "SELECT count(*), count(DISTINCT k) FROM ledger_entries, unnest(keys) k"
        assert tuple(connection.execute(text(keys)).one()) == (MOST_CHECKS + 1500, MOST_CHECKS + 1500)


def test_checks_of_an_open_transaction_wait(engine: Engine, key: OneKey) -> None:
    with engine.begin() as connection:
        cover_checks(connection)
        write_checks(connection, 2)
    with engine.begin() as slow:
        write_checks(slow, 1)
        first = seal_once(engine, key)

    second = seal_once(engine, key)

    assert first is not None
    assert second is not None
    with engine.connect() as connection:
        counted = text("SELECT cardinality(keys) FROM ledger_entries ORDER BY source")
        assert list(connection.execute(counted).scalars()) == [2, 1]


def test_a_role_that_may_only_read_and_add_can_seal(engine: Engine, key: OneKey) -> None:
    write(engine, 300)
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE sealing_test"))
        connection.execute(text("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO sealing_test"))
        connection.execute(text("SET LOCAL ROLE sealing_test"))

        found = seal(connection, signer=key, now=NOON)

        connection.execute(text("RESET ROLE"))
        connection.execute(text("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sealing_test"))
        connection.execute(text("DROP ROLE sealing_test"))
    assert found is not None
    assert found.entries == 300
