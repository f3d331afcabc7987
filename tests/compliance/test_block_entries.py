"""Finding entries by any number and customer id of a person."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert

from compliance.block_entries import (
    BlockSource,
    Person,
    PersonKey,
    UnknownEntryError,
    find_entries,
    lock_entries,
    read_entry,
    read_persons,
)
from compliance.block_list import Refusal, block_person, block_persons
from compliance.register_tables import customer_phones
from infra.ids import new_id

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
P, Q, R = 8613800138000, 8613900139000, 8613700137000


def block(connection: Connection, phone: int | None, customer_id: str | None = None) -> UUID:
    phone_e164 = None if phone is None else f"+{phone}"
    refusal = Refusal(phone_e164=phone_e164, customer_id=customer_id, source=BlockSource.CALL, refused_at=NOW)
    return block_person(connection, refusal, block_months=6, person="dialer", now=NOW).entry.entry_id


def hold(connection: Connection, customer_id: str, *phones: int) -> None:
    rows = [{"phone_digits": phone, "customer_id": customer_id, "recorded_at": NOW} for phone in phones]
    connection.execute(insert(customer_phones), rows)


def found(connection: Connection, phone: int | None, customer_id: str | None) -> list[UUID]:
    key = PersonKey(phone, customer_id)
    return [one.entry.entry_id for one in find_entries(connection, key, before=None, limit=10)]


@pytest.mark.parametrize(
    ("key", "person"),
    [
        pytest.param(PersonKey(R, None), Person((R,), frozenset()), id="a number nobody holds"),
        pytest.param(PersonKey(None, "Z"), Person((), frozenset({"Z"})), id="an unknown customer"),
        pytest.param(PersonKey(P, None), Person((P, Q), frozenset({"C", "D"})), id="a shared number"),
        pytest.param(PersonKey(Q, None), Person((P, Q), frozenset({"C"})), id="a number of one customer"),
        pytest.param(PersonKey(None, "D"), Person((P,), frozenset({"D"})), id="a customer"),
        pytest.param(PersonKey(R, "C"), Person((R, P, Q), frozenset({"C"})), id="a new number of a customer"),
    ],
)
def test_a_person_is_who_is_named_with_all_numbers(connection: Connection, key: PersonKey, person: Person) -> None:
    hold(connection, "C", P, Q)
    hold(connection, "D", P)

    assert read_persons(connection, [PersonKey(R, None), key])[1] == person


@pytest.mark.parametrize(
    ("phone", "customer_id"),
    [
        pytest.param(P, None, id="by its number"),
        pytest.param(None, "C", id="by its customer"),
        pytest.param(Q, None, id="by another number of the customer"),
        pytest.param(R, "C", id="by either of two"),
    ],
)
def test_an_entry_is_found_by_every_way_to_its_person(
    connection: Connection, phone: int | None, customer_id: str | None
) -> None:
    entry_id = block(connection, P)
    hold(connection, "C", P, Q)

    assert found(connection, phone, customer_id) == [entry_id]
    assert found(connection, R, None) == []


def test_all_entries_are_listed_newest_first_in_pages(connection: Connection) -> None:
    ids = [block(connection, phone) for phone in (P, Q, R)]

    first = find_entries(connection, None, before=None, limit=2)
    rest = find_entries(connection, None, before=first[-1].entry.entry_id, limit=2)

    assert [one.entry.entry_id for one in (*first, *rest)] == ids[::-1]


def test_the_number_first_refused_on_comes_first(connection: Connection) -> None:
    hold(connection, "C", P, Q)

    entry_id = block(connection, Q)

    assert read_entry(connection, entry_id).phones_e164 == (f"+{Q}", f"+{P}")


def test_an_entry_of_a_customer_may_have_no_number(connection: Connection) -> None:
    assert read_entry(connection, block(connection, None, "C")).phones_e164 == ()


def test_what_does_not_exist_is_not_found(connection: Connection) -> None:
    with pytest.raises(UnknownEntryError):
        read_entry(connection, new_id())
    assert lock_entries(connection, []) == {}


def test_a_number_is_bound_by_what_its_customer_said_of_another_in_the_same_request(connection: Connection) -> None:
    said = [
        Refusal(phone_e164=f"+{phone}", customer_id=customer_id, source=BlockSource.CALL, refused_at=NOW)
        for phone, customer_id in [(P, None), (Q, "C"), (Q, "D"), (P, "D")]
    ]

    results = block_persons(connection, said, block_months=6, person="dialer", now=NOW)

    assert set(found(connection, Q, None)) == {one.entry.entry_id for one in results}
    assert len(found(connection, Q, None)) == 2
