"""What each kind of two-person request does once another officer has approved it.

Every action runs in the transaction of the approval: if it fails, the request stays open.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from compliance.audit import note
from compliance.block_release import RELEASE, release_entry
from compliance.incidents import CLOSE, close_incident
from compliance.overlays import END_KIND, end_overlay
from compliance.policy import Policy, parse_policy
from compliance.policy_store import policy_in_force, store_policy
from compliance.sale_endings import TERMINATION_EARLIER
from compliance.shanghai import SHANGHAI, shanghai_day
from infra.ids import new_id
from recordings.disposals import DISPOSAL
from recordings.holds import HOLD_RELEASE, release_hold
from recordings.retention_sweep import is_stricter, order_raise
from services.disposal_service import dispose
from services.sales_service import shorten_termination

POLICY_KIND = "policy"


def adopt_policy(connection: Connection, payload: dict[str, Any], *, person: str, now: datetime) -> dict[str, Any]:
    """Put an approved policy in force from `now`, if it still keeps the law of this day.

    `job_id` of the answer is the job that raises existing blocks to a longer term, `retention_job_id` the one that
    raises the dates of recordings; null if none is needed.

    Raises:
        PolicyError: the law has become stricter since it was asked for.
    """
    policy = parse_policy(payload["policy"], on=shanghai_day(now))
    before = policy_in_force(connection, now=now)
    job_id = store_policy(
        connection,
        policy,
        policy_id=new_id(),
        source="api",
        now=now,
        reason=payload["reason"],
        requested_by=payload["requested_by"],
        approved_by=person,
    )
    retention_job_id = raise_retention(connection, policy, before=before, actor=person, now=now)
    details = {"reason": payload["reason"], "requested_by": payload["requested_by"]}
    note(connection, kind="policy_adopted", subject=policy.digest, details=details, person=person, now=now)
    return {
        "policy_digest": policy.digest,
        "effective_from": now.astimezone(SHANGHAI),
        "job_id": None if job_id is None else str(job_id),
        "retention_job_id": None if retention_job_id is None else str(retention_job_id),
    }


def raise_retention(
    connection: Connection, policy: Policy, *, before: Policy, actor: str, now: datetime
) -> UUID | None:
    """Queue the raise of all recordings' dates if `policy` keeps some of them longer than `before` did."""
    if not is_stricter(policy.retention, before.retention):
        return None
    return order_raise(connection, policy_digest=policy.digest, actor=actor, now=now)


ACTIONS: Mapping[str, Callable[..., dict[str, Any]]] = MappingProxyType(
    {
        POLICY_KIND: adopt_policy,
        END_KIND: end_overlay,
        RELEASE: release_entry,
        CLOSE: close_incident,
        TERMINATION_EARLIER: shorten_termination,
        HOLD_RELEASE: release_hold,
        DISPOSAL: dispose,
    }
)
"""By kind of request: (connection, payload, *, person, now) to what the answer says.

A `job_id` in it names a job that the action queued, for which a worker is woken after the commit.
"""
