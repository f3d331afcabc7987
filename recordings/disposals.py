"""Disposal of recordings whose time is over: asked for by one officer, approved by another, certified for ever.

Nothing goes by itself. What may go is judged three times from the facts of that moment: when it is listed, when it is
asked for, and, with the rows locked, when it is approved. From the approval on a recording is `disposed`; `removal`
then takes its bytes from every store. The certificate stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, insert, select, text, tuple_, update

from compliance.incidents import NewIncident, open_incidents
from compliance.legal import in_force
from compliance.policy import Policy
from compliance.policy_store import policy_in_force
from compliance.row_sets import add_rows
from compliance.shanghai import SHANGHAI, shanghai_day
from infra.ids import new_id
from recordings.copy_rows import UnknownRecordingError
from recordings.retention import Standing, lock_retention, read_retention
from recordings.retention_rules import RetentionState
from recordings.retention_words import Sentence
from recordings.tables import disposals, recording_copies, recording_events, recordings

DISPOSAL = "disposal"
"""Kind of the request that another officer approves."""

MOST_AT_ONCE = 1000
_CHUNK = 500
_STATUTES = {"5y": "retention.years_5y", "10y": "retention.years_10y"}


class UnknownDisposalError(LookupError):
    """No disposal has this id."""


class Refused(NamedTuple):
    """A recording that may not go, and all that keeps it."""

    recording_id: UUID
    state: RetentionState
    why: tuple[Sentence, ...]


class NotExpiredError(ValueError):
    """Recordings were to be disposed of that may not be; `refused` are all of them."""

    def __init__(self, refused: Sequence[Refused]) -> None:
        self.refused = tuple(refused)
        reasons = [f"{one.recording_id}: {' '.join(sentence.english for sentence in one.why)}" for one in refused]
        super().__init__(f"nothing was disposed of; {len(reasons)} recordings may not be. {' '.join(reasons[:3])}")


class Described(NamedTuple):
    """What a recording is, for people who decide on it."""

    recording_id: UUID
    sha256: bytes
    size_bytes: int
    started_at: datetime
    call_id: str | None
    policy_no: str | None


class Due(NamedTuple):
    described: Described
    standing: Standing


class Place(NamedTuple):
    """Where a page of the list begins: after the recording `recording_id`, dated `keep_through`."""

    keep_through: date
    recording_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposal:
    """A disposal as recorded. `copies` tell, by copy, what became of its bytes since."""

    disposal_id: UUID
    reason: str
    requested_by: str
    approved_by: str
    approved_at: datetime
    certificate: dict[str, Any]
    copies: tuple[Mapping[str, Any], ...]


_columns = recordings.c
_DESCRIBED = [_columns[name] for name in Described._fields]


def list_due(
    connection: Connection, *, after: Place | None, limit: int, policy: Policy, now: datetime
) -> tuple[list[Due], Place | None]:
    """Return recordings that two officers may dispose of now, those whose time ended first before the others.

    The rows say which may be; the facts of this moment say which are. Returns where the next page begins, None at the
    end.
    """
    found: list[Due] = []
    while True:
        rows = _candidates(connection, after=after, today=shanghai_day(now))
        standing = read_retention(connection, [row["recording_id"] for row in rows], policy=policy, now=now)
        for row in rows:
            after = Place(row["keep_through"], row["recording_id"])
            one = standing[row["recording_id"]]
            if one.retention.state is RetentionState.EXPIRED:
                found.append(Due(Described(*(row[name] for name in Described._fields)), one))
            if len(found) == limit:
                return found, after
        if len(rows) < _CHUNK:
            return found, None


def disposal_payload(
    connection: Connection, recording_ids: Iterable[UUID], *, reason: str, person: str, now: datetime
) -> dict[str, Any]:
    """Return what a request for disposal holds.

    Raises:
        UnknownRecordingError: naming the first that does not exist.
        NotExpiredError: naming each that may not go.
    """
    ids = sorted(set(recording_ids))
    standing = read_retention(connection, ids, policy=policy_in_force(connection, now=now), now=now)
    _all_expired(ids, standing)
    return {"recording_ids": [str(one) for one in ids], "reason": reason, "requested_by": person}


def dispose(connection: Connection, payload: dict[str, Any], *, person: str, now: datetime) -> dict[str, Any]:
    """Dispose of the recordings of an approved request, all of them or none; `person` is who approved.

    The rows stay locked until the transaction ends: a hold that is placed meanwhile comes first or finds nothing left.

    Raises:
        UnknownRecordingError: naming the first that does not exist.
        NotExpiredError: naming each that may not go any more.
    """
    ids = [UUID(one) for one in payload["recording_ids"]]
    policy = policy_in_force(connection, now=now)
    standing = lock_retention(connection, ids, policy=policy, now=now)
    _all_expired(ids, standing)
    disposal_id = new_id()
    certificate = {
        "disposal_id": str(disposal_id),
        "approved_at": now.astimezone(SHANGHAI).isoformat(),
        "reason": payload["reason"],
        "requested_by": payload["requested_by"],
        "approved_by": person,
        "policy_digest": policy.digest,
        "statutes": statutes(policy, on=shanghai_day(now)),
        "years_without_sale": policy.retention.years_without_sale,
        "recordings": _certified(connection, ids, standing),
    }
    connection.execute(
        insert(disposals).values(
            disposal_id=disposal_id,
            reason=payload["reason"],
            requested_by=payload["requested_by"],
            approved_by=person,
            certificate=certificate,
            approved_at=now,
        )
    )
    _mark(connection, ids, disposal_id, person=person, now=now)
    return {"disposal_id": str(disposal_id), "certificate": certificate}


def tell_disposed(connection: Connection, policy_no: str, *, person: str, now: datetime) -> int:
    """Open an incident for each recording of a new sale that was disposed of before anyone knew of the sale.

    It was kept as one without a sale; now the evidence of a contract is gone (art. 35). Returns how many.
    """
    rows = connection.execute(_DISPOSED_OF_SALE, {"policy_no": policy_no}).all()
    found = [
        NewIncident(
            "missing_recording",
            "35",
            row.call_id,
            {
                "policy_no": policy_no,
                "recording_id": str(row.recording_id),
                "disposal_id": str(row.disposal_id),
                "disposed_at": row.disposed_at.astimezone(SHANGHAI).isoformat(),
            },
        )
        for row in rows
    ]
    open_incidents(connection, found, person=person, now=now)
    return len(found)


_DISPOSED_OF_SALE = text("""
    SELECT r.recording_id, r.call_id, r.disposal_id, r.disposed_at FROM recordings r
     WHERE r.disposed_at IS NOT NULL AND (r.policy_no = :policy_no OR r.call_id IN (
             SELECT c.call_id FROM sale_calls c WHERE c.policy_no = :policy_no))
     ORDER BY r.recording_id""")


def read_disposal(connection: Connection, disposal_id: UUID) -> Disposal:
    """Return a disposal with what became of each copy.

    Raises:
        UnknownDisposalError: there is none with this id.
    """
    row = connection.execute(select(disposals).where(disposals.c.disposal_id == disposal_id)).one_or_none()
    if row is None:
        raise UnknownDisposalError(f"there is no disposal {disposal_id}")
    copies = connection.execute(_COPIES, {"disposal_id": disposal_id}).mappings()
    return Disposal(**row._asdict(), copies=tuple(dict(one) for one in copies))


def statutes(policy: Policy, *, on: date) -> list[dict[str, Any]]:
    """Return what art. 35 demands for each class on the day `on`, in its words, with the company's years."""
    years = {"5y": policy.retention.years_5y, "10y": policy.retention.years_10y}
    found = {name: in_force(value, on) for name, value in _STATUTES.items()}
    return [
        {
            "class": name,
            "article": law.citation.article,
            "words": law.citation.words,
            "at_least_years": law.number,
            "company_years": years[name],
        }
        for name, law in found.items()
    ]


_COPIES = text("""
    SELECT c.recording_id, c.copy, c.store, c.state, c.retain_until,
           (SELECT max(e.recorded_at) FROM recording_events e
             WHERE e.recording_id = c.recording_id AND e.kind = 'removed' AND e.details ->> 'copy' = c.copy)
             AS removed_at
      FROM recording_copies c JOIN recordings r ON r.recording_id = c.recording_id
     WHERE r.recording_id IN (
             SELECT CAST(one ->> 'recording_id' AS uuid)
               FROM disposals d, jsonb_array_elements(d.certificate -> 'recordings') AS one
              WHERE d.disposal_id = :disposal_id)
     ORDER BY c.recording_id, c.copy""")


def _candidates(connection: Connection, *, after: Place | None, today: date) -> Sequence[RowMapping]:
    """Return rows that may be due, by the index of dates; what the rows do not know is judged afterwards."""
    may_go = (_columns.disposed_at.is_(None), ~_columns.is_held, _columns.keep_through < today)
    asked = select(*_DESCRIBED, _columns.keep_through).where(*may_go)
    asked = asked.order_by(_columns.keep_through, _columns.recording_id).limit(_CHUNK)
    if after is not None:
        asked = asked.where(tuple_(_columns.keep_through, _columns.recording_id) > tuple_(*after))
    return connection.execute(asked).mappings().all()


def _all_expired(ids: Sequence[UUID], standing: Mapping[UUID, Standing]) -> None:
    unknown = next((one for one in ids if one not in standing), None)
    if unknown is not None:
        raise UnknownRecordingError(f"there is no recording {unknown}")
    refused = [
        Refused(one, standing[one].retention.state, standing[one].why)
        for one in ids
        if standing[one].retention.state is not RetentionState.EXPIRED
    ]
    if refused:
        raise NotExpiredError(refused)


def _certified(connection: Connection, ids: Sequence[UUID], standing: Mapping[UUID, Standing]) -> list[dict[str, Any]]:
    described = select(*_DESCRIBED).where(_columns.recording_id == func.any(list(ids))).order_by(_columns.recording_id)
    copies: dict[UUID, list[dict[str, Any]]] = {}
    columns = recording_copies.c
    for row in connection.execute(
        select(columns.recording_id, columns.copy, columns.store, columns.version_id)
        .where(columns.recording_id == func.any(list(ids)))
        .order_by(columns.recording_id, columns.copy)
    ):
        copies.setdefault(row.recording_id, []).append(
            {"copy": row.copy, "store": row.store, "version_id": row.version_id}
        )
    return [
        {**_identified(one), **_dated(standing[one.recording_id]), "copies": copies.get(one.recording_id, [])}
        for one in (Described(*row) for row in connection.execute(described))
    ]


def _identified(one: Described) -> dict[str, Any]:
    return {
        "recording_id": str(one.recording_id),
        "sha256": one.sha256.hex(),
        "size_bytes": one.size_bytes,
        "started_at": one.started_at.astimezone(SHANGHAI).isoformat(),
        "call_id": one.call_id,
        "policy_no": one.policy_no,
    }


def _dated(standing: Standing) -> dict[str, Any]:
    retention = standing.retention
    through = retention.keep_through
    return {
        "basis": retention.basis.value,
        "class": retention.retention_class,
        "contracts": [
            {"policy_no": sale.policy_no, "class": sale.retention_class, "ended_on": str(sale.ended_on)}
            for sale in standing.facts.sales
        ],
        "keep_through": None if through is None else through.isoformat(),
        "why": [sentence.english for sentence in standing.why],
        "why_zh": [sentence.chinese for sentence in standing.why],
    }


def _mark(connection: Connection, ids: Sequence[UUID], disposal_id: UUID, *, person: str, now: datetime) -> None:
    """Make the recordings disposed of, and their bytes due for removal from every store."""
    changed = update(recordings).where(_columns.recording_id == func.any(list(ids)))
    connection.execute(changed.values(disposal_id=disposal_id, disposed_at=now, is_lock_due=True))
    events = [
        {
            "event_id": new_id(),
            "recording_id": one,
            "kind": "disposed",
            "details": {"disposal_id": str(disposal_id)},
            "actor": person,
            "recorded_at": now,
        }
        for one in ids
    ]
    add_rows(connection, recording_events, events)
