"""Who may not inspect a sale: whoever sells, sold it, or answers for who sold it (art. 33).

Quality inspectors are apart from sellers. Whether somebody sold is known from the dates on which the register of agents
named him; all days are civil dates in Asia/Shanghai, and both ends of a spell belong to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

SELLING_ROLE_RESTS_DAYS = 30
"""So many days after his selling role ended somebody still inspects nothing. The law leaves the figure to the company.

The day on which it ended, the first without the role, is not counted (Civil Code art. 201).
"""


class RoleKind(StrEnum):
    SELLER = "seller"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSpell:
    """Days on which the register named a person as the user of an agent, or as who supervises him.

    `through_on` None: to this day and on.
    """

    agent_id: str
    kind: RoleKind
    from_on: date
    through_on: date | None

    def lasts_on(self, day: date) -> bool:
        return self.from_on <= day and (self.through_on is None or day <= self.through_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldBy:
    """Who sold: the agents of the sale and of its calls, and the days of the calls and of the consent."""

    agent_ids: frozenset[str]
    days: frozenset[date]


class Bar(NamedTuple):
    """A reason why a person may not inspect; `message` says it to him."""

    code: str
    message: str


class MayNotInspectError(ValueError):
    """Who asks may not inspect; `bars` are all reasons."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self.bars = tuple(bars)
        super().__init__(" ".join(bar.message for bar in bars))


def bars_from_all(spells: Iterable[RoleSpell], *, today: date) -> list[Bar]:
    """Return why a person may inspect nothing on the day `today`: he sells, or did a short while ago."""
    begun = [one for one in spells if one.kind is RoleKind.SELLER and one.from_on <= today]
    now = sorted(one.agent_id for one in begun if one.lasts_on(today))
    if now:
        message = (
            f"You hold a selling role (agent {now[0]}), and inspectors are apart from sellers (art. 33). An "
            f"administrator can end it in the register of agents; you may inspect {SELLING_ROLE_RESTS_DAYS} days later."
        )
        return [Bar("seller_now", message)]
    rests = max((_rests_through(one.through_on) for one in begun if one.through_on is not None), default=None)
    if rests is None or rests < today:
        return []
    message = (
        f"Your selling role ended less than {SELLING_ROLE_RESTS_DAYS} days ago, and inspectors are apart from sellers "
        f"(art. 33). You may inspect from {rests + timedelta(days=1)} on."
    )
    return [Bar("seller_lately", message)]


def bars_from_sale(spells: Iterable[RoleSpell], sale: SoldBy, *, today: date) -> list[Bar]:
    """Return why a person may not inspect one sale, whatever he does now."""
    found: list[Bar] = []
    selling = [one for one in spells if one.kind is RoleKind.SELLER]
    if any(one.agent_id in sale.agent_ids for one in selling):
        found.append(Bar("sold_it", "You sold this policy, and nobody inspects his own sales (art. 33)."))
    sold_on = sorted(day for day in sale.days if any(one.lasts_on(day) for one in selling))
    if sold_on:
        message = f"You held a selling role on {sold_on[0]}, a day of this sale or of one of its calls (art. 33)."
        found.append(Bar("seller_then", message))
    supervising = [one for one in spells if one.kind is RoleKind.SUPERVISOR and one.agent_id in sale.agent_ids]
    supervised_on = [day for day in (*sale.days, today) if any(one.lasts_on(day) for one in supervising)]
    if supervised_on:
        message = f"You supervise who sold this policy, or did on {min(supervised_on)} (art. 33)."
        found.append(Bar("supervises", message))
    return found


def _rests_through(through_on: date) -> date:
    return through_on + timedelta(days=1 + SELLING_ROLE_RESTS_DAYS)
