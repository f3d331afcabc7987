"""What each kind of two-person request does once another officer has approved it.

Every action runs in the transaction of the approval: if it fails, the request stays open.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from compliance.audit import note
from compliance.block_release import RELEASE, release_entry
from compliance.incidents import CLOSE, close_incident
from compliance.overlays import END_KIND, end_overlay
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.sale_endings import TERMINATION_EARLIER
from compliance.shanghai import SHANGHAI, shanghai_day
from infra.ids import new_id
from recordings.disposals import DISPOSAL, dispose
from recordings.holds import HOLD_RELEASE, release_hold
from services.sales_service import shorten_termination

POLICY_KIND = "policy"


def adopt_policy(connection: Connection, payload: dict[str, Any], *, person: str, now: datetime) -> dict[str, Any]:
    """Put an approved policy in force from `now`, if it still keeps the law of this day.

    `job_id` of the answer is the job that raises existing blocks to a longer term, null if none is needed.

    Raises:
        PolicyError: the law has become stricter since it was asked for.
    """
    policy = parse_policy(payload["policy"], on=shanghai_day(now))
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
    details = {"reason": payload["reason"], "requested_by": payload["requested_by"]}
    note(connection, kind="policy_adopted", subject=policy.digest, details=details, person=person, now=now)
    return {
        "policy_digest": policy.digest,
        "effective_from": now.astimezone(SHANGHAI),
        "job_id": None if job_id is None else str(job_id),
    }


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
