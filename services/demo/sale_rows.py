"""Writes planned sales as the register would have: judged by the real rules, with their events and incidents."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, Table

from compliance.call_facts import Callee
from compliance.phone_numbers import normalise
from compliance.regions import callee_region
from compliance.register_book import Book
from compliance.sale_facts import sale_facts
from compliance.sale_rules import Finding, findings_of
from compliance.sale_tables import sale_calls, sale_events, sales
from compliance.sale_terms import customer_right, inspection_window, replaced_window
from compliance.sales import sale_columns, sale_incidents
from compliance.shanghai import midnight
from compliance.tables import incident_events, incidents
from compliance.working_days import Calendar
from services.demo.chance import Chance
from services.demo.rows import copy_rows, json_text
from services.demo.sale_plan import PlannedSale

_SENDER = "admin"
_LATE_PAPERS = "快递延误,已短信告知投保人"
_EVENING = timedelta(hours=18)
Event = tuple[str, Mapping[str, object], datetime]


@dataclass(frozen=True, slots=True)
class _Written:
    """A sale as it stands at the end of the demo, with what was found and what happened, oldest first."""

    planned: PlannedSale
    row: Mapping[str, object]
    found: Sequence[Finding]
    events: Sequence[Event]


def write_sales(
    connection: Connection, chance: Chance, planned: Sequence[PlannedSale], *, book: Book, calendar: Calendar
) -> None:
    """Add sales in the order given."""
    written = [_written(one, book, calendar) for one in planned]
    _copy(connection, sales, [one.row for one in written])
    _copy(connection, sale_calls, [row for one in written for row in _call_rows(one)])
    _copy(connection, sale_events, [row for one in written for row in _event_rows(chance, one)])
    _write_incidents(connection, chance, written)


def _copy(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        copy_rows(connection, table, tuple(rows[0]), (tuple(map(_cell, row.values())) for row in rows))


def _cell(value: object) -> object:
    if isinstance(value, Mapping | list):
        return json_text(value)
    return value.value if hasattr(value, "value") else value


def _written(planned: PlannedSale, book: Book, calendar: Calendar) -> _Written:
    facts = sale_facts(planned.sale, book=book, callees=[_callee(planned)], has_medical_exam=planned.has_medical_exam)
    found = findings_of(facts, book.policy)
    known, events = _follow(planned)
    row = {
        **sale_columns(planned.sale, facts, found, calendar=calendar),
        **known,
        **_moved(planned, calendar),
        "actor": _SENDER,
        "recorded_at": planned.recorded_at,
        "changed_at": max([planned.recorded_at, *(at for _, _, at in events)]),
    }
    registered: Event = ("registered", {"findings": [one.code for one in found]}, planned.recorded_at)
    return _Written(planned, row, found, [registered, *events])


def _callee(planned: PlannedSale) -> Callee:
    number = normalise(planned.callee_e164)
    region = None if number is None else number.region
    if planned.region is not None:
        region = callee_region(planned.region)
    return Callee(phone_e164=planned.callee_e164, region=region)


def _follow(planned: PlannedSale) -> tuple[dict[str, object], list[Event]]:
    """Return the columns that became known after the sale was sent, and the events in which they did."""
    notice = None
    if planned.notified_on is not None:
        notice = {"notified_on": planned.notified_on.isoformat(), "reason": _LATE_PAPERS}
    known: dict[str, object] = {
        "receipt_confirmed_on": planned.receipt_on,
        "delivered_on": planned.delivered_on,
        "delivery_notice": notice,
        "ended_on": planned.ended_on,
    }
    days = {
        "delivery_notice": planned.notified_on,
        "delivered_on": planned.delivered_on,
        "receipt_confirmed_on": planned.receipt_on,
    }
    amended = [_amended(name, known[name], day) for name, day in days.items() if day is not None]
    if planned.ended_on is not None:
        details = {"ended_on": planned.ended_on.isoformat(), "replaces": None, "reason": planned.end_reason}
        amended.append(("terminated", details, midnight(planned.ended_on) + _EVENING))
    return known, sorted(amended, key=lambda event: event[2])


def _amended(name: str, value: object, day: date) -> Event:
    said = value.isoformat() if isinstance(value, date) else value
    return "amended", {name: {"from": None, "to": said}}, midnight(day) + _EVENING


def _moved(planned: PlannedSale, calendar: Calendar) -> dict[str, object]:
    """Return the clocks after everything became known, in the order receipt, end."""
    sent = planned.sale.terms()
    received = replace(sent, receipt_confirmed_on=planned.receipt_on)
    window = replaced_window(inspection_window(sent), inspection_window(received))
    window = replaced_window(window, inspection_window(replace(received, ended_on=planned.ended_on)))
    right = customer_right(received, calendar)
    return {
        "inspect_before": window.before,
        "inspect_before_basis": window.basis,
        "right_through": None if right is None else right.on,
    }


def _call_rows(one: _Written) -> Iterator[dict[str, object]]:
    for call_id in one.planned.sale.call_ids:
        yield {
            "policy_no": one.planned.sale.policy_no,
            "call_id": call_id,
            "recorded_at": one.planned.recorded_at,
        }


def _event_rows(chance: Chance, one: _Written) -> Iterator[dict[str, object]]:
    policy_no = one.planned.sale.policy_no
    for number, (kind, details, at) in enumerate(one.events):
        yield {
            "event_id": chance.uuid7(at, "sale event", policy_no, number),
            "policy_no": policy_no,
            "kind": kind,
            "details": details,
            "actor": _SENDER,
            "recorded_at": at,
        }


def _write_incidents(connection: Connection, chance: Chance, written: Sequence[_Written]) -> None:
    rows, events = [], []
    for one in written:
        for incident in sale_incidents(one.planned.sale, one.found):
            at, key = one.planned.recorded_at, (incident.kind, one.planned.sale.policy_no)
            incident_id = chance.uuid7(at, "incident", *key)
            rows.append({"incident_id": incident_id, **asdict(incident), "detected_at": at})
            events.append(
                {
                    "event_id": chance.uuid7(at, "incident event", *key),
                    "incident_id": incident_id,
                    "details": {"state": "open"},
                    "actor": _SENDER,
                    "recorded_at": at,
                }
            )
    _copy(connection, incidents, rows)
    _copy(connection, incident_events, events)
