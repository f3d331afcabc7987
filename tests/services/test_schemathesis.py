"""The whole application against its own OpenAPI document: what the document allows, and what it forbids."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.python.asgi import shutdown_lifespans
from schemathesis.schemas import BaseSchema

from infra.embedded_postgres import EmbeddedPostgres
from tests.services.role_table import roles_by_contract
from tests.services.shared_app import SharedApp, shared_app

PREFERRED = ("officer", "admin", "dialer", "inspector", "auditor")


@pytest.fixture(scope="module")
def shared(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApp]:
    with shared_app(server, template, tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def api(shared: SharedApp) -> Iterator[BaseSchema]:
    yield schemathesis.openapi.from_asgi("/openapi.json", shared.app)
    shutdown_lifespans()


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_documented_and_bad_data_are_refused(case: Case, shared: SharedApp) -> None:
    may = roles_by_contract(case.method, case.path) if "x-roles" in case.operation.definition.raw else set()
    role = next((one for one in PREFERRED if one in may), None)
    headers = {} if role is None else {"Authorization": f"Bearer {shared.tokens[role]}"}

    case.call_and_validate(headers=headers)
