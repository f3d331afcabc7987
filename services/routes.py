"""All routers of the API, in the order in which the OpenAPI document lists them."""

from fastapi import APIRouter

from services.api import call_checks, health

ROUTERS: tuple[APIRouter, ...] = (
    call_checks.router,
    health.router,
)
