"""All routers of the API, in the order in which the OpenAPI document lists them."""

from fastapi import APIRouter
from fastapi.routing import APIRoute

from services.api import (
    approvals,
    calibration,
    call_checks,
    callback_requests,
    calls,
    customers,
    disposals,
    do_not_call,
    do_not_call_imports,
    draws,
    health,
    incidents,
    inspection_results,
    inspections,
    jobs,
    ledger,
    overlays,
    policy,
    recording_audio,
    recording_evidence,
    recording_fixity,
    recording_holds,
    recording_uploads,
    recordings,
    registers,
    sales,
    sampling,
    scorecards,
    scrubs,
)

ROUTERS: tuple[APIRouter, ...] = (
    *call_checks.ROUTERS,
    callback_requests.router,
    calls.router,
    do_not_call_imports.router,
    do_not_call.router,
    scrubs.router,
    sales.router,
    inspections.router,
    inspection_results.router,
    sampling.router,
    draws.router,
    incidents.router,
    recording_fixity.router,
    recording_evidence.router,
    recording_uploads.router,
    recordings.router,
    recording_audio.router,
    recording_holds.router,
    disposals.router,
    scorecards.router,
    calibration.router,
    *registers.ROUTERS,
    customers.router,
    overlays.router,
    policy.router,
    approvals.router,
    jobs.router,
    ledger.router,
    health.router,
)


def methods_at(path: str) -> set[str]:
    """Return the methods that some route has at `path`."""
    routes = (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
    return {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
