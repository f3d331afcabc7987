"""What the worker does for quotas: flags risky sales, replaces what cannot be heard in time, tells of shortfalls.

All find their work in rows and are due by themselves; a run that is lost, or a database that is away, loses nothing.
"""

from functools import partial

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from compliance.sale_terms import InspectionClass
from compliance.working_days import package_calendar
from infra.clock import Clock
from qa_sampling.quotas import read_waiting
from qa_sampling.replacements import replace_failing
from qa_sampling.risk_sweep import sweep_risks
from qa_sampling.shortfalls import raise_shortfalls, read_missed
from services.due_work import do_due

SWEEP_RISKS = "telesales.sweep_risks"
SWEEP_RISKS_EVERY_SECONDS = 600.0
REPLACE_FAILING = "telesales.replace_failing"
REPLACE_FAILING_EVERY_SECONDS = 600.0
RAISE_SHORTFALLS = "telesales.raise_shortfalls"
RAISE_SHORTFALLS_EVERY_SECONDS = 3600.0


def sweep_risks_if_possible(engine: Engine, clock: Clock) -> None:
    """Flag sales that became risky by what came after them."""
    do_due("sweep_risks", sweep_risks, engine, clock)


def replace_failing_if_possible(engine: Engine, clock: Clock) -> None:
    """Replace drawn sales that cannot be inspected in time."""
    do_due("replace_failing", replace_failing, engine, clock)


def raise_shortfalls_if_possible(engine: Engine, clock: Clock) -> None:
    """Open the incidents of shortfalls ahead and of those that stand."""
    do_due("raise_shortfalls", partial(raise_shortfalls, calendar=package_calendar()), engine, clock)


class SamplingMeters:
    """What `/metrics` shows of inspections, by class; no label names a person or a centre."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting = Gauge(
            "telesales_inspections_waiting",
            "Inspections without a result: open ones, those overdue, those due within two days.",
            ["inspection_class", "state"],
            registry=registry,
        )
        self._missed = Gauge(
            "telesales_sampling_shortfall",
            "Inspections that were missing when the windows of a closing day of the last year had ended.",
            ["inspection_class"],
            registry=registry,
        )

    def read(self, engine: Engine, clock: Clock) -> None:
        """Read the figures anew; while the database is away they stay as they were."""
        try:
            with engine.connect() as connection:
                waiting = read_waiting(connection, now=clock())
                missed = read_missed(connection, now=clock())
        except SQLAlchemyError:
            return
        for kind in InspectionClass:
            for state, number in waiting[kind]._asdict().items():
                self._waiting.labels(kind.value, state).set(number)
            self._missed.labels(kind.value).set(missed.get(kind, 0))
