"""The registers as values in memory, and the shelf on which a process keeps its current copy.

A `Book` is everything the rules read that is not about one callee: register rows with all their versions,
overlays and the policy in force. It is read from the database whole, never changed, and replaced when
`register_counters` shows that something was written since.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, select, text

from compliance.call_facts import (
    Agent,
    CallerNumber,
    CallingSide,
    Campaign,
    Centre,
    Insurer,
    Overlay,
    Product,
    ProposedCall,
    Purpose,
    Script,
    Version,
)
from compliance.phone_numbers import normalise_caller
from compliance.policy import Policy
from compliance.policy_store import policy_in_force
from compliance.register_tables import overlays, register_counters, register_versions
from compliance.shanghai import SHANGHAI

V = TypeVar("V", bound=Version)
Rows = Mapping[str, tuple[V, ...]]
Counters = Mapping[str, int]

INSURER_ROW = "insurer"
"""The insurer's register has one row, and this is its id."""

COUNTED = (
    "insurer",
    "centres",
    "agents",
    "caller-numbers",
    "products",
    "scripts",
    "campaigns",
    "overlays",
    "policies",
)
"""What a book holds, by the names of its change counters. Customers are read per call; tokens are not ours."""

_CACHED_SIDES = 4096


@dataclass(frozen=True, slots=True)
class RecordedSide:
    """A calling side with the canonical JSON that is stored once and the digest that names it."""

    side: CallingSide
    facts: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Book:
    counters: Counters
    policy: Policy
    insurer: tuple[Insurer, ...]
    centres: Rows[Centre]
    agents: Rows[Agent]
    caller_numbers: Mapping[str, tuple[tuple[CallerNumber, ...], ...]]
    """By E.164: one version list per register row that ever had the number."""
    products: Rows[Product]
    scripts: Mapping[tuple[str, str], tuple[tuple[Script, ...], ...]]
    """By product code and sales mode."""
    campaigns: Rows[Campaign]
    overlays: tuple[Overlay, ...]
    _sides: dict[tuple[str | None, ...], RecordedSide] = field(default_factory=dict)

    def calling_side(self, call: ProposedCall) -> RecordedSide:
        """Return what is known of who calls, the same object for calls with the same ids."""
        key = (call.caller_number, call.agent_id, call.centre_id, call.campaign_id, call.product_code)
        found = self._sides.get(key)
        if found is None:
            if len(self._sides) >= _CACHED_SIDES:
                self._sides.clear()
            found = self._sides[key] = _recorded(self._assemble(call))
        return found

    def _assemble(self, call: ProposedCall) -> CallingSide:
        caller = normalise_caller(call.caller_number) if call.caller_number else None
        centre = self.centres.get(call.centre_id or "", ())
        modes = {version.kind for version in centre}
        return CallingSide(
            asked=replace(call, callee="", purpose=Purpose.SALES, customer_id=None, callback_request_id=None),
            insurer=self.insurer,
            centre=centre,
            agent=self.agents.get(call.agent_id or "", ()),
            caller_number_e164=caller,
            caller_numbers=self.caller_numbers.get(caller or "", ()),
            product=self.products.get(call.product_code or "", ()),
            scripts=tuple(
                script for mode in sorted(modes) for script in self.scripts.get((call.product_code or "", mode), ())
            ),
            campaign=self.campaigns.get(call.campaign_id or "", ()),
            overlays=self.overlays,
        )


def _recorded(side: CallingSide) -> RecordedSide:
    facts = msgspec.json.encode(side, order="sorted")
    return RecordedSide(side=side, facts=facts, digest=hashlib.sha256(facts).digest())


class Shelf:
    """Keeps a process's current book; safe to use from several threads."""

    def __init__(self) -> None:
        self._book: Book | None = None
        self._lock = Lock()
        self.stored_sides: set[bytes] = set()
        """Digests of calling sides known to be committed; the edge adds them after its commit."""

    def book(self, connection: Connection, *, counters: Counters | None, now: datetime) -> Book:
        """Return the book that `counters` speaks of, reading it anew if the kept one is older.

        `counters` None asks for whatever the database holds now.
        """
        if counters is None:
            counters = read_counters(connection)
        with self._lock:
            if self._book is None or any(counters[name] != self._book.counters.get(name) for name in COUNTED):
                self._book = read_book(connection, now=now)
            return self._book


def read_counters(connection: Connection) -> dict[str, int]:
    """Return how often each register has changed."""
    rows = connection.execute(select(register_counters.c.register, register_counters.c.changes))
    return {row.register: row.changes for row in rows}


def read_book(connection: Connection, *, now: datetime, all_overlays: bool = False) -> Book:
    """Read every register. `all_overlays` keeps the past ones too, for simulations of past instants.

    The counters are read first: rows may then be newer than they say, which only means one more reading.
    """
    counters = read_counters(connection)
    versions = _versions_by_register(connection)
    numbers: dict[str, list[tuple[CallerNumber, ...]]] = defaultdict(list)
    for bodies in versions.pop("caller-numbers", {}).values():
        for phone in dict.fromkeys(str(body["phone"]) for body in bodies):
            numbers[phone].append(_typed(bodies, CallerNumber))
    scripts: dict[tuple[str, str], list[tuple[Script, ...]]] = defaultdict(list)
    for bodies in versions.pop("scripts", {}).values():
        typed = _typed(bodies, Script)
        for key in dict.fromkeys((version.product_code, str(version.sales_mode)) for version in typed):
            scripts[key].append(typed)
    return Book(
        counters=counters,
        policy=policy_in_force(connection, now=now),
        insurer=_typed(versions.get("insurer", {}).get(INSURER_ROW, ()), Insurer),
        centres=_typed_rows(versions.get("centres", {}), Centre),
        agents=_typed_rows(versions.get("agents", {}), Agent),
        caller_numbers={phone: tuple(rows) for phone, rows in numbers.items()},
        products=_typed_rows(versions.get("products", {}), Product),
        scripts={key: tuple(rows) for key, rows in scripts.items()},
        campaigns=_typed_rows(versions.get("campaigns", {}), Campaign),
        overlays=_read_overlays(connection, ending_after=None if all_overlays else now),
    )


def _versions_by_register(connection: Connection) -> dict[str, dict[str, list[dict[str, object]]]]:
    found: dict[str, dict[str, list[dict[str, object]]]] = defaultdict(lambda: defaultdict(list))
    columns = register_versions.c
    rows = connection.execute(
        select(columns.register, columns.row_id, columns.effective_from, columns.effective_through, columns.body)
        .where(columns.register != "customers")
        .order_by(columns.register, columns.row_id, columns.effective_from, columns.version_id)
    )
    for row in rows:
        body = {**row.body, "effective_from": row.effective_from, "effective_through": row.effective_through}
        found[row.register][row.row_id].append(body)
    return found


def _typed(bodies: Iterable[Mapping[str, object]], kind: type[V]) -> tuple[V, ...]:
    return tuple(msgspec.convert(body, kind, strict=False) for body in bodies)


def _typed_rows(rows: Mapping[str, Iterable[Mapping[str, object]]], kind: type[V]) -> dict[str, tuple[V, ...]]:
    return {row_id: _typed(bodies, kind) for row_id, bodies in rows.items()}


def _read_overlays(connection: Connection, *, ending_after: datetime | None) -> tuple[Overlay, ...]:
    columns = overlays.c
    end = "least(to_at, coalesce(ended_at, to_at))"
    statement = select(
        columns.overlay_id,
        columns.name,
        columns.kind,
        columns.regions,
        columns.from_at,
        text(f"{end} AS end_at"),
    ).where(text(f"from_at < {end}"))
    if ending_after is not None:
        statement = statement.where(text(f"{end} > :ending_after")).params(ending_after=ending_after)
    return tuple(
        Overlay(
            overlay_id=str(row.overlay_id),
            name=row.name,
            kind=row.kind,
            regions=None if row.regions is None else tuple(row.regions),
            from_at=row.from_at.astimezone(SHANGHAI),
            to_at=row.end_at.astimezone(SHANGHAI),
        )
        for row in connection.execute(statement.order_by(columns.overlay_id))
    )
