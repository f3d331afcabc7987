"""Opening inspections: one for each sale, in an order in which nobody waits in a circle."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine, text

from qa_sampling.inspection_tasks import Risk, open_drawn, open_risky
from tests.compliance.raises import wait_until_somebody_waits
from tests.conftest import NOON
from tests.qa_sampling.inspection_desk import add_inspection


def test_reasons_are_added_to_those_that_stand_each_once(connection: Connection) -> None:
    add_inspection(connection, "P-1")
    open_risky(connection, [Risk("P-1", "complaint")], now=NOON)

    open_risky(connection, [Risk("P-1", code) for code in ("new_agent", "complaint", "late", "late")], now=NOON)

    reasons = connection.execute(text("SELECT risk_reasons FROM inspections")).scalar_one()
    assert reasons == ["complaint", "late", "new_agent"]


def test_whatever_the_reasons_a_draw_and_a_sweep_of_the_same_sales_wait_in_no_circle(engine: Engine) -> None:
    with engine.begin() as connection:
        add_inspection(connection, "P-1")
        add_inspection(connection, "P-2")
    risks = [Risk("P-2", "a reason that comes first"), Risk("P-1", "one that comes later")]

    def sweep() -> None:
        with engine.begin() as connection:
            open_risky(connection, risks, now=NOON)

    with ThreadPoolExecutor(1) as pool, engine.begin() as drawing:
        open_drawn(drawing, ["P-1"], now=NOON)
        sweeping = pool.submit(sweep)
        wait_until_somebody_waits(engine)
        drawn = open_drawn(drawing, ["P-2"], now=NOON)
        drawing.commit()
        sweeping.result()

    assert list(drawn) == ["P-2"]
