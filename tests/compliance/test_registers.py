"""Register rows on a real database: versions by day, history that stays, and writers that wait for one another."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from compliance.call_facts import ProposedCall
from compliance.register_book import Shelf, read_counters
from compliance.register_fields import RegisterFieldError
from compliance.registers import (
    Change,
    NumberInUseError,
    Register,
    RowExistsError,
    StoredVersion,
    UnknownRowError,
    add_row,
    amend_insurer,
    amend_row,
    list_rows,
    make_version,
    read_version,
    read_versions,
    version_of,
)
from infra.clock import seconds_running
from infra.ids import new_id_text

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
TODAY = date(2026, 11, 23)
LAST_SECOND_OF_TODAY = datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC)
CENTRE = {"kind": "agency", "name": "one", "state": "open", "sales_regions": ["310000"]}
NUMBER = {"phone": "+8695519", "centre_id": None, "in_use_from": "2020-01-01", "retired_on": None}


def added(connection: Connection, change: Change | None = None, *, now: datetime = NOW) -> str:
    row_id = new_id_text()
    add_row(connection, Register.CENTRES, row_id, change or Change(CENTRE), person="admin", now=now)
    return row_id


def amended(connection: Connection, row_id: str, change: Change) -> StoredVersion:
    return amend_row(connection, Register.CENTRES, row_id, change, person="admin", now=NOW)


def name_on(connection: Connection, row_id: str, day: date) -> str:
    name: str = read_version(connection, Register.CENTRES, row_id, on=day, today=TODAY).body["name"]
    return name


def numbered(connection: Connection, **fields: object) -> str:
    row_id = new_id_text()
    change = Change({**NUMBER, **fields})
    add_row(connection, Register.CALLER_NUMBERS, row_id, change, person="admin", now=NOW)
    return row_id


@pytest.mark.parametrize(
    ("now", "day"),
    [
        pytest.param(LAST_SECOND_OF_TODAY, TODAY, id="last second of the day in Shanghai"),
        pytest.param(LAST_SECOND_OF_TODAY + timedelta(seconds=1), date(2026, 11, 24), id="first of the next"),
    ],
)
def test_a_version_begins_today_in_shanghai_if_nothing_else_is_said(
    connection: Connection, now: datetime, day: date
) -> None:
    row_id = added(connection, now=now)

    assert read_versions(connection, Register.CENTRES, row_id)[0].effective_from == day


def test_a_version_says_of_other_fields_what_the_one_of_its_day_says(connection: Connection) -> None:
    row_id = added(connection, Change(CENTRE, date(2026, 1, 1)))
    amended(connection, row_id, Change({"name": "late", "state": "closed"}, date(2027, 1, 1)))

    between = amended(connection, row_id, Change({"name": "between"}, date(2026, 6, 1)))

    assert (between.body["name"], between.body["state"]) == ("between", "open")
    assert [name_on(connection, row_id, date(2026, month, 1)) for month in (1, 6)] == ["one", "between"]
    assert name_on(connection, row_id, date(2027, 1, 1)) == "late"


def test_before_the_first_version_the_latest_is_what_a_version_is_made_from(connection: Connection) -> None:
    row_id = added(connection, Change(CENTRE, date(2026, 1, 1)))
    amended(connection, row_id, Change({"state": "closed"}, date(2027, 1, 1)))

    early = amended(connection, row_id, Change({"name": "early"}, date(2020, 1, 1)))

    assert (early.body["name"], early.body["state"]) == ("early", "closed")


def test_the_last_of_two_versions_of_the_same_day_holds(connection: Connection) -> None:
    row_id = added(connection)
    amended(connection, row_id, Change({"name": "two"}))
    amended(connection, row_id, Change({"state": "closed"}))

    shown = read_version(connection, Register.CENTRES, row_id, on=TODAY, today=TODAY)

    assert (shown.body["name"], shown.body["state"]) == ("two", "closed")
    assert len(read_versions(connection, Register.CENTRES, row_id)) == 3


@pytest.mark.parametrize(
    ("change", "through"),
    [
        pytest.param(Change({"name": "x"}), date(2026, 12, 31), id="stays when nothing is said"),
        pytest.param(Change({"name": "x"}, sets_end=True), None, id="taken away"),
        pytest.param(Change({}, effective_through=date(2027, 3, 1), sets_end=True), date(2027, 3, 1), id="moved"),
        pytest.param(Change({"name": "x"}, date(2027, 1, 1)), None, id="a row that comes back has no end"),
        pytest.param(Change({"name": "x"}, date(2026, 12, 31)), date(2026, 12, 31), id="on the last day"),
    ],
)
def test_the_end_of_a_row(connection: Connection, change: Change, through: date | None) -> None:
    row_id = added(connection, Change(CENTRE, effective_through=date(2026, 12, 31), sets_end=True))

    assert amended(connection, row_id, change).effective_through == through


def test_an_ended_row_is_not_shown_on_the_day_after(connection: Connection) -> None:
    row_id = added(connection, Change(CENTRE, effective_through=date(2026, 12, 31), sets_end=True))

    assert name_on(connection, row_id, date(2026, 12, 31)) == "one"
    with pytest.raises(UnknownRowError, match="2027-01-01"):
        name_on(connection, row_id, date(2027, 1, 1))


def test_a_version_may_not_end_before_it_begins(connection: Connection) -> None:
    row_id = added(connection)

    with pytest.raises(RegisterFieldError) as refused:
        amended(connection, row_id, Change({}, effective_through=date(2026, 11, 22), sets_end=True))

    assert refused.value.field == "effective_through"


def test_a_row_yet_to_begin_and_one_that_ended_are_shown_when_no_day_is_asked_for(connection: Connection) -> None:
    coming = added(connection, Change(CENTRE, date(2027, 1, 1)))
    amended(connection, coming, Change({"name": "corrected"}, date(2027, 1, 1)))
    amended(connection, coming, Change({"name": "later"}, date(2028, 1, 1)))
    ended = added(connection, Change(CENTRE, date(2020, 1, 1), date(2021, 1, 1), sets_end=True))

    shown = [read_version(connection, Register.CENTRES, row_id, on=None, today=TODAY) for row_id in (coming, ended)]
    listed = list_rows(connection, Register.CENTRES, day=TODAY, before=None, limit=2)

    assert [version.body["name"] for version in shown] == ["corrected", "one"]
    assert [row.version for row in listed] == [shown[1], shown[0]]


def test_lists_go_on_where_the_page_before_ended(connection: Connection) -> None:
    rows = [added(connection) for _ in range(3)]

    first = list_rows(connection, Register.CENTRES, day=TODAY, before=None, limit=2)
    second = list_rows(connection, Register.CENTRES, day=TODAY, before=first[-1].position, limit=2)

    assert [row.version.row_id for row in [*first, *second]] == rows[::-1]


def test_an_unknown_row_can_be_neither_read_nor_changed(connection: Connection) -> None:
    with pytest.raises(UnknownRowError):
        read_versions(connection, Register.CENTRES, "nobody")
    with pytest.raises(UnknownRowError):
        amended(connection, "nobody", Change({"name": "x"}))


def test_an_id_of_the_caller_is_taken_once(connection: Connection) -> None:
    product = Change({"name": "x", "type": "ordinary"})
    add_row(connection, Register.PRODUCTS, "p1", product, person="admin", now=NOW)

    with pytest.raises(RowExistsError, match="p1"):
        add_row(connection, Register.PRODUCTS, "p1", product, person="admin", now=NOW)


def test_the_first_change_makes_the_insurer_and_the_next_keeps_what_it_said(connection: Connection) -> None:
    defaults: dict[str, object] = {"name": None, "operating_regions": []}

    amend_insurer(connection, Change({"name": "x"}), defaults=defaults, person="admin", now=NOW)
    second = amend_insurer(
        connection, Change({"operating_regions": ["310000"]}), defaults=defaults, person="admin", now=NOW
    )

    assert second.body == {"name": "x", "operating_regions": ["310000"]}


@pytest.mark.parametrize("register", [Register.AGENTS, Register.CALLER_NUMBERS, Register.CAMPAIGNS])
def test_a_row_may_not_name_a_centre_that_is_not_registered(connection: Connection, register: Register) -> None:
    change = Change({**NUMBER, "centre_id": "nobody"})

    with pytest.raises(RegisterFieldError) as refused:
        add_row(connection, register, new_id_text(), change, person="admin", now=NOW)

    assert (refused.value.field, refused.value.article) == ("centre_id", None)


@pytest.mark.parametrize("register", [Register.SCRIPTS, Register.CAMPAIGNS])
def test_a_row_may_not_name_a_product_that_is_not_registered(connection: Connection, register: Register) -> None:
    with pytest.raises(RegisterFieldError, match=r"product_code.*'nothing'"):
        add_row(connection, register, new_id_text(), Change({"product_code": "nothing"}), person="admin", now=NOW)


def test_a_change_of_one_end_of_a_period_is_held_against_the_stored_other(connection: Connection) -> None:
    contract = {"contract_from": "2026-01-01", "contract_through": "2026-12-31"}
    row_id = added(connection, Change({**CENTRE, **contract}))

    with pytest.raises(RegisterFieldError) as refused:
        amended(connection, row_id, Change({"contract_from": "2027-01-01"}))

    assert refused.value.field == "contract_through"
    assert len(read_versions(connection, Register.CENTRES, row_id)) == 1


def test_a_number_retired_too_early_is_refused_with_the_article(connection: Connection) -> None:
    with pytest.raises(RegisterFieldError) as refused:
        numbered(connection, in_use_from="2026-01-01", retired_on="2027-01-01")

    assert (refused.value.field, refused.value.article) == ("retired_on", "20")
    assert "2027-01-02" in refused.value.reason


def test_an_owner_has_one_number_and_another_owner_another(connection: Connection) -> None:
    centre_id = added(connection)
    first = numbered(connection)
    numbered(connection, centre_id=centre_id)

    with pytest.raises(NumberInUseError, match=first):
        numbered(connection, in_use_from="2027-01-01")


def test_a_number_may_follow_one_that_was_retired(connection: Connection) -> None:
    first = numbered(connection)
    retired = Change({"retired_on": "2027-01-01"})
    amend_row(connection, Register.CALLER_NUMBERS, first, retired, person="admin", now=NOW)

    second = numbered(connection, phone="+864008000000", in_use_from="2027-01-01")

    with pytest.raises(NumberInUseError, match=second):
        amend_row(connection, Register.CALLER_NUMBERS, first, Change({"retired_on": None}), person="admin", now=NOW)


def test_versions_of_the_same_day_follow_the_order_of_entry_even_if_a_clock_is_late() -> None:
    first = make_version("c1", Change({}), history=(), id_field=None, now=NOW)
    from_the_future = first._replace(version_id=type(first.version_id)(int=2**127))

    second = make_version("c1", Change({}), history=[from_the_future], id_field=None, now=NOW)

    assert second.version_id > from_the_future.version_id


def test_no_statement_changes_or_deletes_a_version(connection: Connection) -> None:
    row_id = added(connection)
    first = read_versions(connection, Register.CENTRES, row_id)[0]

    amended(connection, row_id, Change({"name": "two"}))

    assert read_versions(connection, Register.CENTRES, row_id)[0] == first


days = st.dates(date(2025, 1, 1), date(2028, 12, 31))
changes = st.builds(
    Change,
    st.fixed_dictionaries({}, optional={"name": st.sampled_from("abc"), "state": st.sampled_from(["open", "closed"])}),
    days,
    st.none(),
    sets_end=st.booleans(),
)


@given(first=days, history=st.lists(changes, max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_version_can_be_read_for_its_first_day_unless_a_later_entry_took_that_day(
    connection: Connection, first: date, history: list[Change]
) -> None:
    row_id = added(connection, Change(CENTRE, first))
    entries = [*read_versions(connection, Register.CENTRES, row_id)]
    entries += [amended(connection, row_id, change) for change in history]

    last_of_each_day = {version.effective_from: version for version in entries}
    shown = {day: read_version(connection, Register.CENTRES, row_id, on=day, today=TODAY) for day in last_of_each_day}

    assert shown == last_of_each_day
    assert sorted(entries, key=lambda version: version.version_id) == entries
    kept = read_versions(connection, Register.CENTRES, row_id)
    assert sorted(kept, key=lambda version: version.version_id) == entries


def ordered(versions: list[StoredVersion]) -> list[StoredVersion]:
    return sorted(versions, key=lambda version: (version.effective_from, version.version_id))


def entered(history: list[StoredVersion], change: Change) -> list[StoredVersion]:
    return ordered([*history, make_version("c1", change, history=history, id_field=None, now=NOW)])


@given(st.lists(changes, max_size=8), changes, days)
def test_a_new_version_changes_nothing_of_the_days_before_it(history: list[Change], change: Change, day: date) -> None:
    before: list[StoredVersion] = reduce(entered, history, [])
    after = entered(before, change)
    first_day = change.effective_from or TODAY

    assert day >= first_day or version_of(after, day) == version_of(before, day)


def waiting(engine: Engine) -> int:
    """Return how many sessions of this database wait for a lock."""
    with engine.connect() as watching:
        statement = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return int(watching.execute(statement).scalar_one())


def in_background(work: Callable[[], None], engine: Engine) -> Thread:
    """Start `work` and return once it waits for a lock."""
    thread = Thread(target=work)
    thread.start()
    until = seconds_running() + 10
    while not waiting(engine) and seconds_running() < until:
        pass
    return thread


def test_two_who_change_the_same_row_do_so_one_after_the_other(engine: Engine) -> None:
    with engine.begin() as connection:
        row_id = added(connection)

    def second() -> None:
        with engine.begin() as connection:
            amended(connection, row_id, Change({"state": "closed"}))

    with engine.begin() as connection:
        amended(connection, row_id, Change({"name": "two"}))
        thread = in_background(second, engine)
    thread.join()

    with engine.connect() as connection:
        shown = read_version(connection, Register.CENTRES, row_id, on=TODAY, today=TODAY)
    assert (shown.body["name"], shown.body["state"]) == ("two", "closed")


def test_of_two_who_register_a_number_for_an_owner_at_once_one_is_refused(engine: Engine) -> None:
    refused: list[NumberInUseError] = []

    def second() -> None:
        try:
            with engine.begin() as connection:
                numbered(connection, phone="+864008000000")
        except NumberInUseError as error:
            refused.append(error)

    with engine.begin() as connection:
        numbered(connection)
        thread = in_background(second, engine)
    thread.join()

    assert len(refused) == 1


def test_the_next_decision_sees_a_change(connection: Connection) -> None:
    shelf = Shelf()
    row_id = added(connection)
    call = ProposedCall(callee="13800138000", centre_id=row_id)
    before = shelf.book(connection, counters=read_counters(connection), now=NOW)

    amended(connection, row_id, Change({"state": "closed"}))
    after = shelf.book(connection, counters=read_counters(connection), now=NOW)

    assert [version.state for version in before.calling_side(call).side.centre] == ["open"]
    assert [version.state for version in after.calling_side(call).side.centre] == ["open", "closed"]
    assert shelf.book(connection, counters=read_counters(connection), now=NOW) is after
