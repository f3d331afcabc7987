"""Answers for rows that were stored before their register had all its fields of today."""

from collections.abc import Callable

import httpx2
import pytest
from sqlalchemy import Engine

from compliance.registers import Change, Register, add_row
from tests.conftest import NOON


@pytest.mark.parametrize(
    ("register", "stored", "lacking"),
    [
        pytest.param(
            Register.CENTRES,
            {"kind": "agency", "name": "x"},
            {"place": None, "sales_regions": [], "state": "preparing"},
            id="centres",
        ),
        pytest.param(
            Register.PRODUCTS,
            {"name": "x", "type": "ordinary"},
            {"cooling_off_days": None, "sold_through": None},
            id="products",
        ),
    ],
)
def test_a_field_that_a_stored_row_lacks_shows_its_default(
    client_for: Callable[..., httpx2.Client],
    engine: Engine,
    register: Register,
    stored: dict[str, object],
    lacking: dict[str, object],
) -> None:
    with engine.begin() as connection:
        add_row(connection, register, "row-1", Change(stored), person="admin", now=NOON)
    client = client_for("auditor")

    shown = client.get(f"/v1/{register}/row-1").json()

    assert {name: shown[name] for name in lacking} == lacking
    assert client.get(f"/v1/{register}").json()["items"] == [shown]
    assert client.get(f"/v1/{register}/row-1/versions").json()["items"] == [shown]
