"""Customers as put by a core system: versions only for changes, every number kept, few statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from threading import Thread

import pytest
from sqlalchemy import Connection, Engine, event, select

from compliance.customer_rows import list_customers, put_customer
from compliance.register_fields import RegisterFieldError
from compliance.register_tables import customer_phones
from compliance.registers import Change, Register, read_versions
from infra.ids import new_id_text

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
TODAY = date(2026, 11, 23)
ONE, TWO = "+8613800138000", "+8613900139000"


def put(connection: Connection, customer_id: str, *phones: str, **dates: date) -> bool:
    change = Change({"phones": list(phones), "policy_nos": []}, **dates, sets_end=True)
    return put_customer(connection, customer_id, change, person="admin", now=NOW).is_new


def count_versions(connection: Connection, customer_id: str) -> int:
    return len(read_versions(connection, Register.CUSTOMERS, customer_id))


@contextmanager
def counted(connection: Connection) -> Iterator[list[str]]:
    """Collect the statements sent."""
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(connection, "before_cursor_execute", note)
    yield sent
    event.remove(connection, "before_cursor_execute", note)


def test_only_a_change_adds_a_version(connection: Connection) -> None:
    assert put(connection, "k1", ONE)
    assert not put(connection, "k1", ONE)
    assert count_versions(connection, "k1") == 1
    assert not put(connection, "k1", TWO)
    assert count_versions(connection, "k1") == 2


@pytest.mark.parametrize(
    ("dates", "versions"),
    [
        pytest.param({"effective_from": TODAY}, 1, id="said again from the same day"),
        pytest.param({"effective_from": date(2027, 1, 1)}, 1, id="said again from a later day"),
        pytest.param({"effective_from": date(2026, 1, 1)}, 2, id="said of earlier days too"),
        pytest.param({"effective_through": date(2027, 1, 1)}, 2, id="with an end"),
    ],
)
def test_dates_are_a_change_when_they_say_something_new(
    connection: Connection, dates: dict[str, date], versions: int
) -> None:
    put(connection, "k1", ONE)

    put(connection, "k1", ONE, **dates)

    assert count_versions(connection, "k1") == versions


def test_every_number_a_customer_ever_had_is_kept(connection: Connection) -> None:
    put(connection, "k1", ONE)
    put(connection, "k1", TWO)

    numbers = connection.scalars(
        select(customer_phones.c.phone_digits).where(customer_phones.c.customer_id == "k1").order_by("phone_digits")
    )

    assert list(numbers) == [int(ONE), int(TWO)]


def test_a_customer_is_found_by_a_number_of_the_past(connection: Connection) -> None:
    put(connection, "k1", ONE)
    put(connection, "k1", TWO)
    put(connection, "k2", TWO)

    by_one, by_two = (
        list_customers(connection, phone_e164=phone, day=TODAY, before=None, limit=10) for phone in (ONE, TWO)
    )

    assert [row.version.row_id for row in by_one] == ["k1"]
    assert [row.version.row_id for row in by_two] == ["k2", "k1"]


def test_all_customers_are_listed_when_no_number_is_named(connection: Connection) -> None:
    put(connection, "k1")
    put(connection, "k2")

    rows = list_customers(connection, phone_e164=None, day=TODAY, before=None, limit=10)

    assert [row.version.row_id for row in rows] == ["k2", "k1"]


def test_an_end_before_the_beginning_is_refused(connection: Connection) -> None:
    with pytest.raises(RegisterFieldError, match="effective_through"):
        put(connection, "k1", effective_through=date(2026, 11, 22))


def test_customers_cost_few_statements(connection: Connection) -> None:
    with counted(connection) as new:
        put(connection, "k1", ONE)
    with counted(connection) as unchanged:
        put(connection, "k1", ONE)
    with counted(connection) as changed:
        put(connection, "k1", TWO)

    assert (len(new), len(unchanged), len(changed)) == (1, 3, 4)


def test_a_customer_put_by_two_at_once_is_one_customer(engine: Engine) -> None:
    customer_id, new = new_id_text(), []

    def second() -> None:
        with engine.begin() as connection:
            new.append(put(connection, customer_id, TWO))

    with engine.begin() as connection:
        new.append(put(connection, customer_id, ONE))
        thread = Thread(target=second)
        thread.start()
    thread.join()

    with engine.connect() as connection:
        assert new == [True, False]
        assert count_versions(connection, customer_id) == 2
