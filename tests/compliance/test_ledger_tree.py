"""The stored tree against the tree in memory: roots and proofs at any size, across the borders of tiles."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, text

from compliance.ledger_tree import (
    MissingHashError,
    append_leaves,
    consistency_path,
    inclusion_path,
    root_at,
    subtree_hashes,
)
from compliance.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    Subtree,
    check_consistency,
    check_inclusion,
    leaf_hash,
    root_of,
)
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from tests.services.shared_app import fresh_database

COUNT = 66_200
LEAVES = [leaf_hash(number.to_bytes(4)) for number in range(COUNT)]
BORDERS = [1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_792, 65_793, COUNT]

sizes = st.sampled_from(BORDERS) | st.integers(1, 1000) | st.integers(1, COUNT)
no_fixture_limit = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def roots() -> list[bytes]:
    """Return the root of every tree up to the largest, each from the one before."""
    tree, found = Frontier(), [EMPTY_ROOT]
    for leaf in LEAVES:
        tree.append(leaf)
        found.append(tree.root())
    return found


ROOTS = roots()


def add(connection: Connection, begin: int, end: int) -> bytes:
    return append_leaves(connection, begin, range(begin, end), LEAVES[begin:end])


@contextmanager
def statements(connection: Connection) -> Iterator[list[str]]:
    """Collect the statements that are sent meanwhile."""
    sent: list[str] = []

    def collect(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(connection, "before_cursor_execute", collect)
    yield sent
    event.remove(connection, "before_cursor_execute", collect)


@pytest.fixture(scope="module")
def grown(server: EmbeddedPostgres, template: str) -> Iterator[Connection]:
    """A connection to a tree of all the leaves, added in pieces of many sizes."""
    with fresh_database(server, template) as url:
        engine = make_engine(url, application_name="tests")
        with engine.connect() as connection:
            begin = 0
            for end in [1, 2, 255, 256, 257, 1000, 1024, 20_000, 65_535, 65_537, COUNT]:
                assert add(connection, begin, end) == ROOTS[end]
                begin = end
            yield connection
        engine.dispose()


@no_fixture_limit
@given(size=sizes)
def test_the_root_at_any_size_is_that_of_the_tree_in_memory(grown: Connection, size: int) -> None:
    assert root_at(grown, size) == ROOTS[size]


@no_fixture_limit
@given(size=sizes, data=st.data())
def test_every_entry_has_a_path_to_the_root_of_any_later_size(
    grown: Connection, size: int, data: st.DataObject
) -> None:
    entry = data.draw(st.integers(0, size - 1))

    check_inclusion(LEAVES[entry], entry, size, inclusion_path(grown, entry, size), ROOTS[size])


@no_fixture_limit
@given(size=sizes, data=st.data())
def test_any_size_is_shown_to_begin_with_any_earlier_one(grown: Connection, size: int, data: st.DataObject) -> None:
    old = data.draw(st.sampled_from([one for one in BORDERS if one <= size]) | st.integers(1, size))

    check_consistency(old, size, consistency_path(grown, old, size), ROOTS[old], ROOTS[size])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(st.integers(1, 1500), min_size=1, max_size=8, unique=True))
def test_how_leaves_are_parted_makes_no_difference(connection: Connection, ends: list[int]) -> None:
    connection.rollback()
    begin = 0
    for end in sorted(ends):
        assert add(connection, begin, end) == ROOTS[end]
        begin = end

    assert root_at(connection, begin) == ROOTS[begin]


@pytest.mark.parametrize("size", BORDERS)
def test_a_proof_takes_at_most_three_statements(grown: Connection, size: int) -> None:
    with statements(grown) as sent:
        inclusion_path(grown, size // 2, size)
        inclusion_count = len(sent)
        consistency_path(grown, (size + 1) // 2, size)

    assert inclusion_count <= 3
    assert len(sent) - inclusion_count <= 3


def test_adding_takes_as_many_statements_whatever_the_size(grown: Connection) -> None:
    with grown.begin_nested() as savepoint, statements(grown) as sent:
        append_leaves(grown, COUNT, range(COUNT, COUNT + 700), LEAVES[:700])
        savepoint.rollback()

    assert len(sent) <= 3


def test_an_empty_tree_has_the_root_of_nothing(connection: Connection) -> None:
    assert root_at(connection, 0) == EMPTY_ROOT
    assert append_leaves(connection, 0, [], []) == EMPTY_ROOT


def test_only_full_tiles_are_stored(grown: Connection) -> None:
    count = text("SELECT level, count(*), min(length(hashes)) FROM ledger_tiles GROUP BY level ORDER BY level")

    assert [tuple(row) for row in grown.execute(count)] == [(0, COUNT // 256, 8192), (1, 1, 8192)]


def test_hashes_of_inner_subtrees_are_those_of_their_leaves(grown: Connection) -> None:
    wanted = [Subtree(3, 7), Subtree(8, 1), Subtree(9, 2), Subtree(16, 0), Subtree(2, 16_500)]

    found = subtree_hashes(grown, wanted, COUNT)

    assert found == {one: root_of(LEAVES[one.index << one.level : (one.index + 1) << one.level]) for one in wanted}


@pytest.mark.parametrize("size", [COUNT + 1, 1 << 40])
def test_a_tree_larger_than_the_stored_one_is_a_named_error(grown: Connection, size: int) -> None:
    with pytest.raises(MissingHashError, match=r"ledger_leaves or ledger_tiles"):
        root_at(grown, size)


def test_an_entry_outside_the_tree_has_no_path(grown: Connection) -> None:
    with pytest.raises(ProofError):
        inclusion_path(grown, COUNT, COUNT)


def test_two_that_extend_the_same_tree_collide(engine: Engine) -> None:
    with engine.begin() as first:
        add(first, 0, 3)

    with engine.connect() as second, pytest.raises(Exception, match="pk_ledger_leaves"):
        append_leaves(second, 0, [7], [LEAVES[0]])
