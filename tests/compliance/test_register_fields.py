"""Periods within one row: what may not run backwards, and what is left alone."""

import pytest

from compliance.register_fields import backward_period

PERIODS = [
    ("certified_from", "certified_through"),
    ("contract_from", "contract_through"),
    ("leads_collected_on", "leads_expire_on"),
    ("sold_from", "sold_through"),
]


@pytest.mark.parametrize(("begins", "ends"), PERIODS)
def test_a_period_that_ends_before_it_begins_is_refused_with_both_days(begins: str, ends: str) -> None:
    error = backward_period({begins: "2026-10-01", ends: "2026-09-30"})

    assert error is not None
    assert str(error) == f"{ends}: must not be before {begins}, which is 2026-10-01; got 2026-09-30"


@pytest.mark.parametrize(("begins", "ends"), PERIODS)
@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param("2026-10-01", "2026-10-01", id="a single day"),
        pytest.param("2026-10-01", None, id="without an end"),
        pytest.param(None, "2026-09-30", id="without a beginning"),
    ],
)
def test_a_period_that_does_not_run_backwards_is_let_through(
    begins: str, ends: str, first: str | None, last: str | None
) -> None:
    assert backward_period({begins: first, ends: last}) is None
