"""Policies as stored: each with its text and digest, in force from an instant until the next one.

A policy with a longer do-not-call term than the one before it raises the blocks that stand: the job for that is
queued in the transaction that stores the policy. No block may slip between the two terms, so whoever writes blocks
shares a lock on the term until its transaction ends, and whoever stores a policy holds it alone.
"""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select

from compliance.block_raises import Term, order_raise
from compliance.policy import Policy, floor_policy, floor_policy_text, parse_policy
from compliance.register_tables import policies
from compliance.shanghai import shanghai_day
from infra.advisory_locks import AdvisoryLock, hold, share


class StoredPolicy(NamedTuple):
    policy: Policy
    effective_from: datetime


class UnknownPolicyError(LookupError):
    """No stored policy has that digest."""


@lru_cache(maxsize=64)
def _parsed(text: str, effective_from: datetime) -> Policy:
    # Judged by the law of the day it came into force: a later, stricter law does not unmake the record.
    return parse_policy(text, on=shanghai_day(effective_from))


def stored_policy_in_force(connection: Connection) -> StoredPolicy | None:
    """Return the policy in force, None before the first was stored.

    The newest one, whatever the caller's clock says: a policy is in force from the commit that stores it, and
    a reader whose clock was read a moment before must not keep the one before it.
    """
    columns = policies.c
    row = connection.execute(
        select(columns.text, columns.effective_from)
        .order_by(columns.effective_from.desc(), columns.policy_id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else StoredPolicy(_parsed(row.text, row.effective_from), row.effective_from)


def policy_in_force(connection: Connection, *, now: datetime) -> Policy:
    """Return the policy in force; the legal floor of the day of `now` before any policy was stored."""
    stored = stored_policy_in_force(connection)
    if stored is not None:
        return stored.policy
    return floor_policy(on=shanghai_day(now))


def policy_for_blocks(connection: Connection, *, now: datetime) -> Policy:
    """Return the policy in force, by whose term the caller writes blocks in this transaction.

    No other policy comes into force before that transaction ends, so that a raise finds what it wrote. Ask before
    the rows of entries are locked, if possible; keep the transaction short from here on.
    """
    share(connection, AdvisoryLock.POLICY)  # its own statement: the next must see a policy that was waited for
    return policy_in_force(connection, now=now)


def policy_by_digest(connection: Connection, digest: str, *, used_at: datetime) -> Policy:
    """Return the policy with this digest, under which something was decided at `used_at`.

    A decision made before any policy was stored was made by the legal floor of its day, which the law's data
    give again.

    Raises:
        UnknownPolicyError: no stored policy has this digest.
    """
    columns = policies.c
    row = connection.execute(
        select(columns.text, columns.effective_from)
        .where(columns.digest == digest)
        .order_by(columns.effective_from)
        .limit(1)
    ).one_or_none()
    if row is None:
        floor = floor_policy(on=shanghai_day(used_at))
        if floor.digest == digest:
            return floor
        msg = f"no policy with digest {digest} is stored"
        raise UnknownPolicyError(msg)
    return _parsed(row.text, row.effective_from)


def store_policy(  # noqa: PLR0913 - one argument per column
    connection: Connection,
    policy: Policy,
    *,
    policy_id: UUID,
    source: str,
    now: datetime,
    reason: str | None = None,
    requested_by: str | None = None,
    approved_by: str | None = None,
) -> UUID | None:
    """Put `policy` in force from `now`: the next decision uses it.

    If blocks last longer under it than under the policy in force before, existing ones are to be raised: returns
    the job that does so, queued in the caller's transaction, else None.
    """
    hold(connection, AdvisoryLock.POLICY)
    before = policy_in_force(connection, now=now)
    connection.execute(
        insert(policies).values(
            policy_id=policy_id,
            digest=policy.digest,
            text=policy.text,
            source=source,
            reason=reason,
            requested_by=requested_by,
            approved_by=approved_by,
            effective_from=now,
        )
    )
    if policy.block_months <= before.block_months:
        return None
    term = Term(policy.block_months, policy.digest)
    return order_raise(connection, term, actor=approved_by or f"policy from {source}", now=now)


def adopt_start_policy(connection: Connection, text: str | None, *, policy_id: UUID, now: datetime) -> Policy:
    """Put the policy file named at the start in force, unless it already was the last one taken from a file.

    `text` None means that no file is named: then the legal floor is stored, if nothing is stored yet. A
    policy that officers approved later stays in force over a file that has not changed since, and over the floor.

    Raises:
        PolicyError: the text, or what officers approved before the law became stricter, is looser than the law, or
            the text cannot be read.
    """
    on = shanghai_day(now)
    wanted = parse_policy(floor_policy_text(on=on) if text is None else text, on=on)
    source = "floor" if text is None else "file"
    hold(connection, AdvisoryLock.POLICY)  # of two processes that start at once, the second finds it stored
    last = _newest(connection, "floor", "file")
    if last is None or (last.source, last.digest) != (source, wanted.digest):
        approved = _newest(connection)
        if last is not None and approved is not None and last.source == source == "floor" != approved.source:
            # Only the law has changed. What officers approved stays in force, if it is not looser than the new law.
            return parse_policy(approved.text, on=on)
        store_policy(connection, wanted, policy_id=policy_id, source=source, now=now)
    return policy_in_force(connection, now=now)


def _newest(connection: Connection, *sources: str) -> "Row[str, str, str] | None":
    """Return source, digest and text of the newest policy, or of the newest that came from one of `sources`."""
    columns = policies.c
    query = select(columns.source, columns.digest, columns.text)
    if sources:
        query = query.where(columns.source.in_(sources))
    return connection.execute(query.order_by(columns.effective_from.desc(), columns.policy_id.desc())).first()
