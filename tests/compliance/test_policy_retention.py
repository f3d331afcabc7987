from datetime import date

import pytest

from compliance.policy import PolicyError, RetentionYears, parse_policy

ON = date(2026, 11, 23)


def test_terms_that_the_law_does_not_have_are_the_companys_own() -> None:
    policy = parse_policy("[retention]\nyears_without_sale = 1\ndispute_years = 2", on=ON)

    assert policy.retention == RetentionYears(5, 10, 1, 2)


def test_left_out_calls_without_a_sale_are_kept_for_three_years_and_disputes_add_nothing() -> None:
    assert parse_policy("[retention]\nyears_5y = 6", on=ON).retention == RetentionYears(6, 10, 3, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("years_without_sale = 0", "retention.years_without_sale: must be from 1 to 100"),
        ("dispute_years = -1", "retention.dispute_years: must be from 0 to 100"),
        ("dispute_years = true", "retention.dispute_years: must be a whole number, not a boolean"),
    ],
)
def test_terms_without_sense_are_refused(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(f"[retention]\n{text}", on=ON)

    assert str(refused.value) == message
