"""Reads what is known of the people who would be called: blocks, customers, callback requests, attempts.

One statement serves any number of calls. A second one is needed only when a customer is known, since the
other numbers of that person must be looked up too; locks come in statements of their own, because one
statement takes its snapshot before it waits.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.call_facts import Block, Callee, ProposedCall, RegionSource
from compliance.customers import CustomerVersion, customer_on, read_customers
from compliance.do_not_call import PERMANENT, first_callable
from compliance.phone_numbers import PhoneNumber
from compliance.shanghai import SHANGHAI, shanghai_day
from compliance.working_days import Calendar

_BLOCKS_NOW = """
    SELECT 'block' AS kind, p.phone_digits, NULL::text AS name, e.entry_id, e.blocked_from, e.blocked_through,
           NULL::bigint AS changes
      FROM do_not_call_phones p JOIN do_not_call_entries e USING (entry_id)
     WHERE p.phone_digits = ANY(CAST(:phones AS bigint[])) AND e.released_at IS NULL"""

# The end that a refusal's event names is the entry's, to which a later refusal that was entered earlier may have
# added; what the refusal itself demanded stands in its details. An entry that binds again has its longest end.
# A raise by a tighter policy makes the end later from when it was recorded on; it does not bind by itself.
_REFUSALS_AS_OF = """
      LATERAL (
        SELECT min(h.blocked_from) FILTER (WHERE h.binds) AS blocked_from,
               CASE WHEN bool_or(h.binds) THEN max(h.through) END AS blocked_through
          FROM (SELECT least(f.refused_at, f.recorded_at) AS blocked_from,
                       coalesce((f.details ->> 'demanded_through')::date, f.blocked_through) AS through,
                       f.kind = 'refusal' AND
                       NOT EXISTS (SELECT 1 FROM do_not_call_events r
                                    WHERE r.entry_id = e.entry_id AND r.kind = 'release'
                                      AND r.recorded_at <= :as_of AND r.recorded_at >= f.recorded_at) AS binds
                  FROM do_not_call_events f
                 WHERE f.entry_id = e.entry_id AND f.kind IN ('refusal', 'raised')
                   AND least(f.refused_at, f.recorded_at) <= :as_of) h) v"""

_BLOCKS_AS_OF = f"""
    SELECT 'block' AS kind, p.phone_digits, NULL::text AS name, e.entry_id, v.blocked_from, v.blocked_through,
           NULL::bigint AS changes
      FROM do_not_call_phones p JOIN do_not_call_entries e USING (entry_id), {_REFUSALS_AS_OF}
     WHERE p.phone_digits = ANY(CAST(:phones AS bigint[])) AND v.blocked_through IS NOT NULL"""  # noqa: S608 - constants only

_CUSTOMERS_AND_COUNTERS = """
    UNION ALL
    SELECT 'customer', phone_digits, customer_id, NULL, NULL, NULL, NULL
      FROM customer_phones WHERE phone_digits = ANY(CAST(:phones AS bigint[]))
    UNION ALL
    SELECT 'counter', NULL, register, NULL, NULL, NULL, changes
      FROM register_counters"""

_PERSON_BLOCKS_NOW = """
    SELECT customer_id, entry_id, blocked_from, blocked_through FROM (
      SELECT c.customer_id, e.entry_id, e.blocked_from, e.blocked_through
        FROM customer_phones c JOIN do_not_call_phones p USING (phone_digits)
        JOIN do_not_call_entries e USING (entry_id)
       WHERE c.customer_id = ANY(:customers) AND e.released_at IS NULL
      UNION
      SELECT e.customer_id, e.entry_id, e.blocked_from, e.blocked_through
        FROM do_not_call_entries e WHERE e.customer_id = ANY(:customers) AND e.released_at IS NULL) b"""

_PERSON_BLOCKS_AS_OF = f"""
    SELECT b.customer_id, e.entry_id, v.blocked_from, v.blocked_through FROM (
      SELECT c.customer_id, p.entry_id FROM customer_phones c JOIN do_not_call_phones p USING (phone_digits)
       WHERE c.customer_id = ANY(:customers)
      UNION
      SELECT customer_id, entry_id FROM do_not_call_entries WHERE customer_id = ANY(:customers)) b
      JOIN do_not_call_entries e USING (entry_id), {_REFUSALS_AS_OF}
     WHERE v.blocked_through IS NOT NULL"""  # noqa: S608 - constants only

_customers = bindparam("customers", type_=ARRAY(TEXT))
_KNOWN_NOW = text(_BLOCKS_NOW + _CUSTOMERS_AND_COUNTERS)
_KNOWN_AS_OF = text(_BLOCKS_AS_OF + _CUSTOMERS_AND_COUNTERS)
_PERSONS_NOW = text(_PERSON_BLOCKS_NOW).bindparams(_customers)
_PERSONS_AS_OF = text(_PERSON_BLOCKS_AS_OF).bindparams(_customers)


class NumberedCall(NamedTuple):
    """A proposed call and its callee's number in normal form, None when it is none."""

    call: ProposedCall
    number: PhoneNumber | None

    @property
    def phone_digits(self) -> int | None:
        return None if self.number is None else int(self.number.e164)


class _BlockRow(NamedTuple):
    entry_id: UUID
    blocked_from: datetime
    blocked_through: date


@dataclass(slots=True)
class KnownPeople:
    """What the database knows of the numbers and customers in question."""

    counters: dict[str, int] = field(default_factory=dict)
    blocks: dict[int, list[_BlockRow]] = field(default_factory=lambda: defaultdict(list))
    holders: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Customers who have or ever had a number."""
    person_blocks: dict[str, list[_BlockRow]] = field(default_factory=lambda: defaultdict(list))
    customers: Mapping[str, Sequence[CustomerVersion]] = field(default_factory=dict)

    def customers_of(self, numbered: NumberedCall) -> list[str]:
        """Return the ids of all customers who may be the person called, the named one first."""
        named = [numbered.call.customer_id] if numbered.call.customer_id else []
        held = self.holders.get(numbered.phone_digits or 0, [])
        return list(dict.fromkeys([*named, *held]))

    def phones_of(self, numbered: NumberedCall) -> set[int]:
        """Return all numbers of the person called."""
        phones = {numbered.phone_digits} if numbered.phone_digits is not None else set()
        for customer_id in self.customers_of(numbered):
            for version in self.customers.get(customer_id, ()):
                phones.update(version.phone_digits)
        return phones


def read_known_people(
    connection: Connection, calls: Sequence[NumberedCall], *, as_of: datetime | None = None
) -> KnownPeople:
    """Read blocks and customers for `calls`, as they are, or as known today of the instant `as_of`."""
    known = KnownPeople()
    numbers = {numbered.phone_digits for numbered in calls}
    # As the text of an array: of a list the driver would look at each number, at ten times the cost.
    phones = "{" + ",".join([str(digits) for digits in numbers if digits is not None]) + "}"
    statement, when = (_KNOWN_NOW, {}) if as_of is None else (_KNOWN_AS_OF, {"as_of": as_of})
    for row in connection.execute(statement, {"phones": phones, **when}):
        if row.kind == "counter":
            known.counters[row.name] = row.changes
        elif row.kind == "block":
            known.blocks[row.phone_digits].append(_BlockRow(row.entry_id, row.blocked_from, row.blocked_through))
        else:
            known.holders[row.phone_digits].append(row.name)
    customers = {numbered.call.customer_id for numbered in calls if numbered.call.customer_id}
    customers.update(customer_id for held in known.holders.values() for customer_id in held)
    if customers:
        known.customers = read_customers(connection, customers)
        statement = _PERSONS_NOW if as_of is None else _PERSONS_AS_OF
        for row in connection.execute(statement, {"customers": sorted(customers), **when}):
            known.person_blocks[row.customer_id].append(_BlockRow(row.entry_id, row.blocked_from, row.blocked_through))
    return known


def callee_of(known: KnownPeople, numbered: NumberedCall, *, calendar: Calendar, at: datetime) -> Callee:
    """Put together what is known of one callee at `at`, without callback request and attempts."""
    number = numbered.number
    if number is None:
        callee = Callee(phone_e164=None)
    else:
        source = RegionSource.NUMBER if number.region else None
        callee = Callee(phone_e164=number.e164, mainland=number.mainland, region=number.region, region_source=source)
    digits = numbered.phone_digits
    if not known.customers and not known.person_blocks and digits not in known.blocks:
        return callee
    rows = [*known.blocks.get(digits or 0, ())]
    for customer_id in known.customers_of(numbered):
        rows.extend(known.person_blocks.get(customer_id, ()))
    callee = replace(callee, block=_block(rows, calendar=calendar)) if rows else callee
    if not known.customers:
        return callee
    return _with_customers(known, numbered, callee, day=shanghai_day(at))


def _block(rows: Sequence[_BlockRow], *, calendar: Calendar) -> Block:
    through = max(row.blocked_through for row in rows)
    return Block(
        entry_ids=tuple(sorted({str(row.entry_id) for row in rows})),
        blocked_from=min(row.blocked_from for row in rows).astimezone(SHANGHAI),
        first_callable_on=None if through == PERMANENT else first_callable(through, calendar).on,
    )


def _with_customers(known: KnownPeople, numbered: NumberedCall, callee: Callee, *, day: date) -> Callee:
    """Add what the customer register says of the person: residence, groups, and whether a policy is held.

    The residence of a customer who has the number now goes before the number's own region. Two such
    customers who live in different regions make the region unknown: then every regional window applies.
    """
    digits = numbered.phone_digits
    named = customer_on(known.customers.get(numbered.call.customer_id or "", ()), day)
    versions = [
        version
        for customer_id in known.customers_of(numbered)
        if (version := customer_on(known.customers.get(customer_id, ()), day)) is not None
    ]
    having = [version for version in versions if digits in version.phone_digits]
    regions = {version.callee_region for version in having if version.callee_region is not None}
    if callee.mainland and regions:
        region = next(iter(regions)) if len(regions) == 1 else None
        callee = replace(callee, region=region, region_source=RegionSource.CUSTOMER if region else None)
    about = [*having, named] if named is not None else having
    return replace(
        callee,
        segments=tuple(sorted({segment for version in about for segment in version.segments})),
        customer_known=named is not None,
        customer_has_callee=named is not None and digits in named.phone_digits,
        policy_holder=None if named is None else bool(named.policy_nos),
    )
