"""What the registers and calls say of who sold: read for one inspector, and for the sales that he might be given."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.register_tables import spelling
from compliance.shanghai import shanghai_day
from qa_sampling.eligibility import (
    Bar,
    MayNotInspectError,
    RoleKind,
    RoleSpell,
    SoldBy,
    bars_from_all,
    bars_from_sale,
)


class Asker(NamedTuple):
    """An inspector who asks for work at the instant `now`, with what the registers say of him."""

    inspector: str
    spells: tuple[RoleSpell, ...]
    now: datetime

    @property
    def today(self) -> date:
        return shanghai_day(self.now)


_PERSON = spelling("CAST(:person AS text)")

# A version lasts until its own end or the day before the next one, whichever comes first. One that another of the same
# day replaces lasted until that was recorded: otherwise a role that began and ended today, or one that is taken back as
# if it had never been, would leave nothing behind.
_SPELLS = text(rf"""
    WITH named AS (
        SELECT row_id FROM register_versions
         WHERE register = 'agents' AND {spelling("body ->> 'user_id'")} = {_PERSON}
         UNION
        SELECT row_id FROM register_versions
         WHERE register = 'agents' AND {spelling("body ->> 'supervisor_user_id'")} = {_PERSON}
    ), lasting AS (
        SELECT row_id, body, effective_from AS from_on,
               least(effective_through, CASE WHEN lead(effective_from) OVER w = effective_from
                   THEN CAST(lead(recorded_at) OVER w AT TIME ZONE 'Asia/Shanghai' AS date)
                   ELSE lead(effective_from) OVER w - 1 END) AS through_on
          FROM register_versions WHERE register = 'agents' AND row_id IN (SELECT row_id FROM named)
        WINDOW w AS (PARTITION BY row_id ORDER BY effective_from, version_id)
    )
    SELECT l.row_id AS agent_id, k.kind, l.from_on, l.through_on
      FROM lasting l, LATERAL (VALUES ('seller', l.body ->> 'user_id'),
                                      ('supervisor', l.body ->> 'supervisor_user_id')) AS k (kind, person)
     WHERE {spelling("k.person")} = {_PERSON} AND (l.through_on IS NULL OR l.from_on <= l.through_on)
     ORDER BY 1, 2, 3""")  # noqa: S608 - only text of ours

_SOLD_BY = text("""
    SELECT s.policy_no, s.agent_id, s.closed_on, c.agent_ids, c.days
      FROM sales s, LATERAL (
        SELECT array_agg(DISTINCT x.agent_id) FILTER (WHERE x.agent_id IS NOT NULL) AS agent_ids,
               array_agg(DISTINCT CAST(x.started_at AT TIME ZONE 'Asia/Shanghai' AS date)) AS days
          FROM (SELECT r.agent_id, r.started_at
                  FROM sale_calls k JOIN call_records r ON r.call_id = k.call_id WHERE k.policy_no = s.policy_no
                 UNION ALL
                SELECT r.agent_id, r.started_at
                  FROM sale_calls k JOIN recordings r ON r.call_id = k.call_id WHERE k.policy_no = s.policy_no
                 UNION ALL
                SELECT r.agent_id, r.started_at FROM recordings r WHERE r.policy_no = s.policy_no) x) c
     WHERE s.policy_no = ANY(:policy_nos)""").bindparams(bindparam("policy_nos", type_=ARRAY(TEXT)))


def read_asker(connection: Connection, inspector: str, *, now: datetime) -> Asker:
    """Return who asks, with all days on which the register of agents named him."""
    rows = connection.execute(_SPELLS, {"person": inspector})
    spells = tuple(
        RoleSpell(agent_id=row.agent_id, kind=RoleKind(row.kind), from_on=row.from_on, through_on=row.through_on)
        for row in rows
    )
    return Asker(inspector, spells, now)


def check_may_inspect(connection: Connection, policy_no: str, inspector: str, *, now: datetime) -> None:
    """Refuse an inspector who is no inspector any more, or may not inspect this sale.

    Ask it when an inspection is claimed and again when its result is submitted: a role may begin in between, also with
    an earlier date.

    Raises:
        MayNotInspectError: naming all reasons.
    """
    asker = read_asker(connection, inspector, now=now)
    refuse_seller(asker)
    bars = bars_by_sale(connection, asker, [policy_no]).get(policy_no)
    if bars:
        raise MayNotInspectError(bars)


def refuse_seller(asker: Asker) -> None:
    """Refuse who may inspect nothing at all now.

    Raises:
        MayNotInspectError: he sells, or did a short while ago.
    """
    bars = bars_from_all(asker.spells, today=asker.today)
    if bars:
        raise MayNotInspectError(bars)


def bars_by_sale(connection: Connection, asker: Asker, policy_nos: Sequence[str]) -> dict[str, list[Bar]]:
    """Return why `asker` may not inspect these sales, only of those that he may not."""
    if not asker.spells or not policy_nos:
        return {}
    found = {
        policy_no: bars_from_sale(asker.spells, sale, today=asker.today)
        for policy_no, sale in _sold_by(connection, policy_nos).items()
    }
    return {policy_no: bars for policy_no, bars in found.items() if bars}


def _sold_by(connection: Connection, policy_nos: Collection[str]) -> dict[str, SoldBy]:
    return {
        row.policy_no: SoldBy(
            agent_ids=frozenset({row.agent_id, *(row.agent_ids or ())}),
            days=frozenset({row.closed_on, *(row.days or ())}),
        )
        for row in connection.execute(_SOLD_BY, {"policy_nos": list(policy_nos)})
    }
