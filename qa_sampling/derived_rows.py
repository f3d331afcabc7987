"""Checks what no entry of the ledger holds because it follows from rows that the ledger does hold.

The frame of a draw follows from its digest, the count of sales by stratum and day from the sales. Whoever changes one
of these alone changes what quotas demand or who replaces whom, and leaves every covered row as it was.
"""

from typing import NamedTuple

from sqlalchemy import Connection, text


class DerivedProblem(NamedTuple):
    """A row that does not follow from what it stands for; `key` names it as entries of the ledger would."""

    table: str
    key: str
    message: str


_THERE = text("SELECT to_regclass('draws') IS NOT NULL AND to_regclass('stratum_days') IS NOT NULL")
_FRAMES = text("""
    SELECT CAST(draw_id AS text) FROM draws WHERE sha256(frame) IS DISTINCT FROM frame_digest ORDER BY draw_id""")
_COUNTS = text("""
    SELECT concat_ws('/', closed_on, sales_mode, centre_id, inspection_class) AS key,
           coalesce(d.sales, 0) AS counted, coalesce(r.sales, 0) AS registered
      FROM stratum_days d
      FULL JOIN (SELECT closed_on, sales_mode, centre_id, inspection_class, count(*) AS sales FROM sales
                  GROUP BY 1, 2, 3, 4) r USING (closed_on, sales_mode, centre_id, inspection_class)
     WHERE d.sales IS DISTINCT FROM r.sales ORDER BY 1""")


def derived_problems(connection: Connection) -> list[DerivedProblem]:
    """Return every frame that is not that of its digest, and every count that is not that of the sales.

    All frames and all sales are read: a million take seconds. Nothing is found where the tables are gone, which is
    found by the ledger.
    """
    if not connection.execute(_THERE).scalar_one():
        return []
    frames = [
        DerivedProblem("draws", draw_id, "the frame is not the one whose digest stands in the ledger")
        for draw_id in connection.execute(_FRAMES).scalars()
    ]
    counts = [
        DerivedProblem(
            "stratum_days", row.key, f"counts {row.counted} sales, and the register has {row.registered} of that day"
        )
        for row in connection.execute(_COUNTS)
    ]
    return [*frames, *counts]
