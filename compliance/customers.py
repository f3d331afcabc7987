"""Customers as the gate sees them: the numbers of one person, where the person lives, what groups apply."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.regions import callee_region


class _CustomerBody(msgspec.Struct, frozen=True):
    phones: tuple[str, ...] = ()
    region: str | None = None
    segments: tuple[str, ...] = ()
    policy_nos: tuple[str, ...] = ()


class CustomerVersion(NamedTuple):
    """One version of a customer; `callee_region` is a province's or separately supervised city's code."""

    effective_from: date
    effective_through: date | None
    phone_digits: frozenset[int]
    callee_region: str | None
    segments: tuple[str, ...]
    policy_nos: tuple[str, ...]


_CUSTOMERS = text("""
    SELECT row_id, effective_from, effective_through, body FROM register_versions
     WHERE register = 'customers' AND row_id = ANY(:ids)
     ORDER BY row_id, effective_from, version_id""").bindparams(bindparam("ids", type_=ARRAY(TEXT)))


def read_customers(connection: Connection, customer_ids: Collection[str]) -> dict[str, list[CustomerVersion]]:
    """Return all versions of the known ones among `customer_ids`, oldest first."""
    found: dict[str, list[CustomerVersion]] = {}
    for row in connection.execute(_CUSTOMERS, {"ids": sorted(customer_ids)}):
        body = msgspec.convert(row.body, _CustomerBody)
        found.setdefault(row.row_id, []).append(
            CustomerVersion(
                effective_from=row.effective_from,
                effective_through=row.effective_through,
                phone_digits=frozenset(int(phone) for phone in body.phones),
                callee_region=None if body.region is None else callee_region(body.region),
                segments=body.segments,
                policy_nos=body.policy_nos,
            )
        )
    return found


def customer_on(versions: Sequence[CustomerVersion], day: date) -> CustomerVersion | None:
    """Return the version of `day`: the last that began by then, None if it has ended."""
    begun = [version for version in versions if version.effective_from <= day]
    if not begun:
        return None
    last = begun[-1]
    return last if last.effective_through is None or day <= last.effective_through else None
