"""The count of sales by stratum and day ties to the register to the unit, however the sales came."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from qa_sampling.quotas import QuotaFilter, read_quotas
from tests.conftest import NOON
from tests.qa_sampling.sampled_sales import DAY, WITHIN_1Y, add_agency_sales, add_sales

_COUNTED = text("""
    SELECT closed_on, sales_mode, centre_id, inspection_class, sales FROM stratum_days ORDER BY 1, 2, 3, 4""")
_REGISTERED = text("""
    SELECT closed_on, sales_mode, centre_id, inspection_class, count(*) FROM sales GROUP BY 1, 2, 3, 4
     ORDER BY 1, 2, 3, 4""")
_COPIES = """
    INSERT INTO sales (policy_no, {columns})
    SELECT policy_no || '-' || n, {columns} FROM sales, generate_series(1, 50) n"""
_COPY_OUT = "COPY (SELECT 'copied-' || policy_no, {columns} FROM sales) TO STDOUT"
_OTHER_COLUMNS = text("""
    SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
     WHERE table_name = 'sales' AND column_name NOT IN ('policy_no', 'position')""")


def differences(connection: Connection) -> list[Row[*tuple[Any, ...]]]:
    counted, registered = (set(connection.execute(one).all()) for one in (_COUNTED, _REGISTERED))
    assert registered
    return sorted(counted ^ registered)


def register_some(engine: Engine, place: int) -> None:
    for number in range(5):
        with engine.begin() as connection:
            add_sales(connection, 1, prefix=f"T{place}-{number}")


def register_and_give_up(engine: Engine, place: int) -> None:
    with engine.connect() as connection:
        add_sales(connection, 3, prefix=f"R{place}")
        connection.rollback()


def test_sales_registered_at_the_same_time_are_all_counted(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(register_some, engine, place) for place in range(6)]
        work += [pool.submit(register_and_give_up, engine, place) for place in range(6)]
        for one in work:
            one.result()

    with engine.connect() as connection:
        assert differences(connection) == []
        [found] = read_quotas(connection, QuotaFilter(from_on=DAY, to_on=DAY), now=NOON)
    assert found.sales == 30


def test_many_sales_of_one_statement_are_counted(connection: Connection) -> None:
    add_sales(connection, 2, prefix="A")
    add_sales(connection, 1, prefix="B", **WITHIN_1Y)
    add_agency_sales(connection, 1, prefix="C")
    columns = connection.execute(_OTHER_COLUMNS).scalar_one()

    connection.execute(text(_COPIES.format(columns=columns)))

    assert differences(connection) == []


def test_sales_that_are_copied_in_are_counted(connection: Connection) -> None:
    add_sales(connection, 2, prefix="A")
    columns = connection.execute(_OTHER_COLUMNS).scalar_one()
    driver = connection.connection.cursor()
    with driver.copy(_COPY_OUT.format(columns=columns)) as reading:
        rows = b"".join(bytes(part) for part in reading)

    with driver.copy(f"COPY sales (policy_no, {columns}) FROM STDIN") as writing:
        writing.write(rows)

    assert differences(connection) == []
    assert [row.sales for row in connection.execute(_COUNTED)] == [4]


def test_a_sale_that_came_before_is_not_counted_again(connection: Connection) -> None:
    add_sales(connection, 2)
    add_sales(connection, 2)

    assert differences(connection) == []


def test_a_part_that_is_rolled_back_is_not_counted(connection: Connection) -> None:
    add_sales(connection, 2, prefix="A")
    part = connection.begin_nested()
    add_sales(connection, 5, prefix="B")
    part.rollback()

    assert differences(connection) == []
