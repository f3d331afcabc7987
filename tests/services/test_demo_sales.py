"""The sales of the demo: what registering and following them up would have stored, and enough of every kind."""

from collections.abc import Iterator
from datetime import date, datetime

import msgspec
import pytest
from sqlalchemy import Connection, Engine, select, text

from compliance.register_book import read_book
from compliance.sale_endings import terminate_sale
from compliance.sale_rows import NewSale, StoredSale, list_sales, read_sale
from compliance.sale_rows import SaleFilter as Every
from compliance.sales import Amendment, amend_sale, register_sale
from compliance.shanghai import SHANGHAI, shanghai_day
from compliance.working_days import package_calendar
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from services.demo.facts import CHANCE
from services.demo.load import load_demo
from services.demo.people_plan import planned_customers
from services.demo.sale_plan import planned_sales
from tests.recordings.desk import places_below
from tests.services.shared_app import fresh_database
from tests.unguarded import unguarded

AFTERNOON = datetime(2026, 11, 23, 16, 0, tzinfo=SHANGHAI)


@pytest.fixture(scope="module")
def demo(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with fresh_database(server, template) as url:
        engine = make_engine(url, application_name="tests")
        directory = tmp_path_factory.mktemp("demo")
        places = places_below(directory)
        load_demo(engine, now=AFTERNOON, data_dir=directory, places=places, progress=lambda _what, _share: None)
        yield engine
        engine.dispose()


@pytest.fixture
def reader(demo: Engine) -> Iterator[Connection]:
    with demo.connect() as connection:
        yield connection
        connection.rollback()


def stored_sales(connection: Connection) -> list[StoredSale]:
    return list_sales(connection, Every(), before=None, limit=1000)


@pytest.mark.parametrize(
    ("now", "least", "most"),
    [
        pytest.param(datetime(2015, 1, 20, 16, tzinfo=SHANGHAI), 0, 0, id="before the first policy"),
        pytest.param(datetime(2015, 3, 1, 16, tzinfo=SHANGHAI), 1, 400, id="in the first weeks"),
        pytest.param(datetime(2028, 2, 29, 16, tzinfo=SHANGHAI), 200, 400, id="on a leap day years later"),
    ],
)
def test_the_plan_ends_at_any_clock(now: datetime, least: int, most: int) -> None:
    planned = planned_sales(CHANCE, [], planned_customers(CHANCE, shanghai_day(now)), now=now)

    assert least <= len(planned) <= most
    assert [one for one in planned if one.recorded_at > now] == []


KINDS = {
    "within a year": ("inspection_class = 'within_1y'", 20),
    "gifts": ("is_gift", 8),
    "exactly a year": ("inspection_class = 'over_1y' AND retention_class = '5y'", 40),
    "exactly a year without cooling-off": ("inspect_before_basis = 'policy_term' AND inspection_class = 'over_1y'", 3),
    "for life": ("cover_end_exclusive IS NULL", 30),
    "receipt unknown": ("inspect_before_basis = 'closing_day' AND NOT is_gift", 10),
    "cooling-off running": ("right_through >= '2026-11-23'", 50),
    "late papers": ("delivered_on > deliver_by", 10),
    "late papers announced": ("delivered_on > deliver_by AND delivery_notice IS NOT NULL", 4),
    "by agencies": ("sales_mode = 'agency'", 100),
    "ended years ago": ("ended_on < '2021-11-23'", 20),
    "kept long enough": ("ended_on < '2021-11-23' AND retention_class = '5y'", 10),
    "with findings": ("jsonb_array_length(findings) > 0", 3),
}


@pytest.mark.parametrize(("condition", "least"), KINDS.values(), ids=KINDS.keys())
def test_there_is_enough_of_every_kind_to_look_at(reader: Connection, condition: str, least: int) -> None:
    counted = reader.execute(text(f"SELECT count(*) FROM sales WHERE {condition}")).scalar_one()  # noqa: S608 - ours

    assert counted >= least


def test_every_sold_call_led_to_a_sale_but_those_of_the_last_hours(reader: Connection) -> None:
    unsold = reader.execute(
        text("""
            SELECT r.ended_at FROM call_records r LEFT JOIN sale_calls c USING (call_id)
             WHERE r.outcome = 'sold' AND c.call_id IS NULL ORDER BY 1""")
    ).scalars()

    assert [at for at in unsold if at < datetime(2026, 11, 23, 14, tzinfo=SHANGHAI)] == []


def test_most_of_the_demo_keeps_the_rules(reader: Connection) -> None:
    found = stored_sales(reader)

    assert sum(1 for sale in found if sale.findings) < len(found) / 20


def again(connection: Connection, sale: StoredSale) -> StoredSale:
    """Register the sale and record what is known of it, as the core system would have."""
    book, calendar = read_book(connection, now=AFTERNOON), package_calendar()
    sent = msgspec.convert(sale.content, NewSale)
    register_sale(connection, sent, book=book, calendar=calendar, person="admin", now=AFTERNOON)
    known = Amendment(
        receipt_confirmed_on=sale.receipt_confirmed_on,
        delivered_on=sale.delivered_on,
        delivery_notice=sale.delivery_notice,
    )
    amend_sale(connection, sale.policy_no, known, calendar=calendar, person="admin", now=AFTERNOON)
    if sale.ended_on is not None:
        terminate_sale(
            connection, sale.policy_no, ended_on=sale.ended_on, reason="as then", person="admin", now=AFTERNOON
        )
    return read_sale(connection, sale.policy_no)


def meaning(sale: StoredSale) -> tuple[object, ...]:
    """Return what a sale says, without when and in which order it was recorded."""
    names = [
        name
        for name in StoredSale.__dataclass_fields__
        if name not in {"position", "recorded_at", "changed_at", "actor"}
    ]
    return tuple(getattr(sale, name) for name in names)


def test_registering_them_again_would_store_the_same(reader: Connection) -> None:
    sample = stored_sales(reader)[::12]
    with unguarded(reader):
        for table in ("sale_events", "sale_calls", "sales"):
            reader.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our names

    assert [meaning(again(reader, sale)) for sale in sample] == [meaning(sale) for sale in sample]


def test_customers_hold_the_policies_that_were_sold(reader: Connection) -> None:
    held = reader.execute(
        text("""
            SELECT count(*) FROM register_versions v, jsonb_array_elements_text(v.body -> 'policy_nos') AS p (policy_no)
              LEFT JOIN sales s USING (policy_no)
             WHERE v.register = 'customers' AND s.policy_no IS NULL""")
    ).scalar_one()

    assert held == 0


def test_no_sale_is_older_than_the_demos_insurer(reader: Connection) -> None:
    assert min(sale.closed_on for sale in stored_sales(reader)) >= date(2015, 1, 1)
    assert (
        reader.execute(select(text("count(*)")).select_from(text("sales WHERE closed_on > '2026-11-23'"))).scalar() == 0
    )
