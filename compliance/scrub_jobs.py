"""Scrubs as jobs: what is stored of the wish, and its carrying out by a worker."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from compliance.call_facts import ProposedCall
from compliance.scrubs import Progress, scrub_file
from compliance.working_days import package_calendar
from infra.clock import seconds_running
from infra.jobs import JobResult, ReportProgress, RunningJob

JOB_KIND = "scrub"
SCRUBBED_FILE = "scrubbed.csv"


class _Wish(msgspec.Struct, frozen=True):
    call: ProposedCall
    at: datetime | None


def scrub_parameters(call: ProposedCall, *, at: datetime | None) -> dict[str, Any]:
    """Return the parameters of a job that scrubs a list for `call`; `at` makes it a simulation."""
    found: dict[str, Any] = msgspec.to_builtins(_Wish(call, at))
    return found


def run_scrub_job(running: RunningJob) -> JobResult:
    """Scrub the job's input. A second attempt begins anew.

    Raises:
        UnreadableListError: the input is no list of numbers.
        LostJobError: another worker has taken the job over.
    """
    wish = _wish(running.parameters)
    found = scrub_file(
        running.engine,
        running.input_path,
        running.output_dir / SCRUBBED_FILE,
        call=wish.call,
        at=wish.at,
        clock=running.clock,
        calendar=package_calendar(),
        cache_dir=running.cache_dir,
        progress=_now_and_then(running.report_progress),
    )
    return JobResult(found, (SCRUBBED_FILE,))


def _now_and_then(report: ReportProgress) -> Progress:
    """Return a report of progress that commits once a second, and at the end: a commit takes as long as 10,000 rows."""
    last = seconds_running()

    def report_when_due(done: int, total: int | None) -> None:
        nonlocal last
        if total is not None or seconds_running() - last >= 1:
            last = seconds_running()
            report(done, total)

    return report_when_due


def _wish(parameters: Mapping[str, Any]) -> _Wish:
    return msgspec.convert({"call": parameters["call"], "at": parameters["at"]}, _Wish)
