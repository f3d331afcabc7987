"""Opens inspections of sales and keeps them with the sale: the deadline of a sale is the deadline of its inspection.

A sale has one inspection. Whoever asks for it again, by a draw or by a risk, adds to it what was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from infra.ids import new_id


class Origin(StrEnum):
    """What asked for an inspection first."""

    DRAW = "draw"
    RISK = "risk"
    REPLACEMENT = "replacement"


@dataclass(frozen=True, slots=True)
class Risk:
    """A sale that is inspected because of what is known of it; `code` names the reason."""

    policy_no: str
    code: str


_names = bindparam("policy_nos", type_=ARRAY(TEXT))

_OPEN_DRAWN = text("""
    INSERT INTO inspections AS i (inspection_id, policy_no, sales_mode, centre_id, inspection_class, closed_on, origin,
                                  is_random, state, due_before, created_at, changed_at)
    SELECT n.inspection_id, s.policy_no, s.sales_mode, s.centre_id, s.inspection_class, s.closed_on, :origin, true,
           'open', s.inspect_before, :now, :now
      FROM unnest(:ids, :policy_nos) AS n (inspection_id, policy_no) JOIN sales s ON s.policy_no = n.policy_no
     ORDER BY s.policy_no
        ON CONFLICT (policy_no) DO UPDATE SET is_random = true, changed_at = excluded.changed_at
    RETURNING policy_no, inspection_id""").bindparams(bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))), _names)

# All reasons of a sale at once: who went over the sales once for each reason would hold later ones while it waits for
# earlier ones, in a circle with a draw.
_OPEN_RISKY = text("""
    INSERT INTO inspections AS i (inspection_id, policy_no, sales_mode, centre_id, inspection_class, closed_on, origin,
                                  is_random, risk_reasons, state, due_before, created_at, changed_at)
    SELECT n.inspection_id, s.policy_no, s.sales_mode, s.centre_id, s.inspection_class, s.closed_on, 'risk', false,
           CAST(n.codes AS jsonb), 'open', s.inspect_before, :now, :now
      FROM unnest(:ids, :policy_nos, :codes) AS n (inspection_id, policy_no, codes)
      JOIN sales s ON s.policy_no = n.policy_no
     ORDER BY s.policy_no
        ON CONFLICT (policy_no) DO UPDATE
       SET risk_reasons = i.risk_reasons || (
             SELECT jsonb_agg(c.code ORDER BY c.place)
               FROM jsonb_array_elements(excluded.risk_reasons) WITH ORDINALITY AS c (code, place)
              WHERE NOT i.risk_reasons @> c.code),
           changed_at = excluded.changed_at
     WHERE NOT i.risk_reasons @> excluded.risk_reasons""").bindparams(
    bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))), _names, bindparam("codes", type_=ARRAY(TEXT))
)

_FOLLOW = text("""
    UPDATE inspections i SET due_before = s.inspect_before, changed_at = :now
      FROM sales s
     WHERE s.policy_no = :policy_no AND i.policy_no = s.policy_no AND i.submitted_at IS NULL
       AND i.due_before <> s.inspect_before""")

# Who holds a row is passed over until the next time: nobody waits in a circle for so many rows.
_FOLLOW_ALL = text("""
    UPDATE inspections i SET due_before = n.inspect_before, changed_at = :now
      FROM (SELECT w.inspection_id, s.inspect_before FROM inspections w JOIN sales s ON s.policy_no = w.policy_no
             WHERE w.submitted_at IS NULL AND w.due_before <> s.inspect_before
               FOR UPDATE OF w SKIP LOCKED) n
     WHERE i.inspection_id = n.inspection_id""")


def open_drawn(
    connection: Connection, policy_nos: Sequence[str], *, origin: Origin = Origin.DRAW, now: datetime
) -> dict[str, UUID]:
    """Open the inspection of each drawn sale and return it by policy number; one that is open already counts as drawn.

    Policy numbers without a sale are left out.
    """
    values = {"ids": [new_id() for _ in policy_nos], "policy_nos": list(policy_nos), "origin": origin, "now": now}
    rows = connection.execute(_OPEN_DRAWN, values)
    return {row.policy_no: row.inspection_id for row in rows}


def open_risky(connection: Connection, risks: Sequence[Risk], *, now: datetime) -> None:
    """Open the inspection of each risky sale, or add the reason to the one that there is; no reason stands twice."""
    codes: dict[str, list[str]] = {}
    for risk in sorted(set(risks), key=lambda one: (one.policy_no, one.code)):
        codes.setdefault(risk.policy_no, []).append(risk.code)
    values = {
        "ids": [new_id() for _ in codes],
        "policy_nos": list(codes),
        "codes": [msgspec.json.encode(one).decode() for one in codes.values()],
    }
    connection.execute(_OPEN_RISKY, {**values, "now": now})


def follow_sale(connection: Connection, policy_no: str, *, now: datetime) -> None:
    """Move the deadline of an inspection without a result to that of its sale; a result stays judged as it was."""
    connection.execute(_FOLLOW, {"policy_no": policy_no, "now": now})


def follow_sales(connection: Connection, *, now: datetime) -> int:
    """Do so for all sales; return how many deadlines moved.

    An inspection that is opened while its sale is being changed may have seen the sale as it was.
    """
    return connection.execute(_FOLLOW_ALL, {"now": now}).rowcount
