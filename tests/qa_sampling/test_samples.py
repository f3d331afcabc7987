"""Draws on a real database: whole days under one seed, once each, and what falls back to a fresh one and says so."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text

from compliance.incidents import IncidentFilter, list_incidents
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.sale_terms import InspectionClass
from infra.ids import new_id
from qa_sampling.draw import Chance, sample_size, smallest_tickets
from qa_sampling.draw_rows import draws_over, read_draw, read_frame_bytes
from qa_sampling.frame import frame_digest, policy_numbers
from qa_sampling.samples import EmptyFrameError, PeriodError, PeriodNotOverError
from qa_sampling.seeds import read_commitment
from qa_sampling.tables import draws, inspections
from tests.conftest import NOON
from tests.qa_sampling.sold import (
    DAY,
    ORDER,
    OTHER,
    STRATUM,
    commit,
    count_draws,
    drawn,
    numbered,
    sell,
    tickets_of,
)
from tests.qa_sampling.written_frames import written_frame


def test_the_frame_is_the_canonical_form_of_the_sales(connection: Connection, tmp_path: Path) -> None:
    policy_nos = ["P-10", "P-2", "p", "é", "保单２", "a/b", "P-1!", "P-1"]
    sell(connection, policy_nos)

    made = drawn(connection, tmp_path)

    content = read_frame_bytes(connection, made.draw_id)
    assert content == written_frame((one, DAY, "over_1y") for one in policy_nos)
    found = read_draw(connection, made.draw_id)
    assert (found.frame_size, found.frame_digest) == (8, frame_digest(content))


def test_the_sample_is_the_smallest_tickets_and_each_has_its_inspection(connection: Connection, tmp_path: Path) -> None:
    sell(connection, numbered(20))

    made = drawn(connection, tmp_path)

    found = read_draw(connection, made.draw_id)
    frame = policy_numbers(read_frame_bytes(connection, made.draw_id))
    expected = smallest_tickets(Chance(found.seed, ""), frame, sample_size(20, found.rate_bp))
    tickets = tickets_of(connection, made)
    assert [(one.policy_no, one.ticket) for one in tickets] == expected
    opened = connection.execute(select(inspections.c.policy_no, inspections.c.inspection_id, inspections.c.is_random))
    assert {tuple(row) for row in opened} == {(one.policy_no, one.inspection_id, True) for one in tickets}
    assert (found.sample_size, found.rate_bp, made.is_new) == (6, 3000, True)


def test_one_sale_is_drawn_and_none_is_refused(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(EmptyFrameError, match="nothing to draw from"):
        drawn(connection, tmp_path)
    sell(connection, ["P-1"])

    assert [one.policy_no for one in tickets_of(connection, drawn(connection, tmp_path))] == ["P-1"]


def test_a_committed_day_is_drawn_with_all_its_strata_under_one_seed(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)
    sell(connection, numbered(10))
    sell(connection, numbered(10, "Q"), stratum=OTHER)
    sell(connection, numbered(3, "R"), day=DAY + timedelta(days=1))

    made = drawn(connection, tmp_path, replace(ORDER, public_number="20261103"))

    [one], [other] = draws_over(connection, STRATUM, DAY), draws_over(connection, OTHER, DAY)
    commitment = read_commitment(connection, DAY)
    assert commitment is not None
    assert one.draw_id == made.draw_id
    assert one.seed == other.seed == commitment.seed
    assert one.seed_commitment == other.seed_commitment == commitment.seed_commitment
    assert {one.public_number, other.public_number, commitment.public_number} == {"20261103"}
    assert one.committed_before
    assert other.committed_before
    assert commitment.revealed_at == NOON
    assert count_draws(connection) == 2


def test_the_same_again_is_the_first_draw_whatever_public_number(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)
    sell(connection, numbered(10))
    sell(connection, numbered(10, "Q"), stratum=OTHER)
    first = drawn(connection, tmp_path)

    again = drawn(connection, tmp_path, replace(ORDER, public_number="1"), now=NOON + timedelta(days=1))
    other = drawn(connection, tmp_path, replace(ORDER, stratum=OTHER, public_number="1"))

    assert (again.draw_id, again.is_new, other.is_new) == (first.draw_id, False, False)
    assert read_draw(connection, other.draw_id).public_number == ""
    assert count_draws(connection) == 2


def test_a_day_without_commitment_uses_a_fresh_seed_and_says_so(connection: Connection, tmp_path: Path) -> None:
    sell(connection, numbered(10))
    sell(connection, numbered(10, "Q"), stratum=OTHER)

    made = drawn(connection, tmp_path, replace(ORDER, public_number="1"))

    found = read_draw(connection, made.draw_id)
    assert (found.committed_before, found.public_number) == (False, "1")
    assert count_draws(connection) == 1


def test_a_stratum_whose_first_sale_came_after_the_seed_was_known_uses_a_fresh_one(
    connection: Connection, tmp_path: Path
) -> None:
    commit(connection, tmp_path)
    sell(connection, numbered(10))
    first = read_draw(connection, drawn(connection, tmp_path).draw_id)
    sell(connection, numbered(10, "Q"), stratum=OTHER)

    late = read_draw(connection, drawn(connection, tmp_path, replace(ORDER, stratum=OTHER)).draw_id)

    assert (first.committed_before, late.committed_before) == (True, False)
    assert late.seed != first.seed


def test_a_period_of_several_days_uses_a_fresh_seed_and_leaves_the_days_alone(
    connection: Connection, tmp_path: Path
) -> None:
    commit(connection, tmp_path)
    sell(connection, numbered(10))
    sell(connection, numbered(5, "Q"), day=DAY + timedelta(days=1))

    made = drawn(connection, tmp_path, replace(ORDER, to_on=DAY + timedelta(days=1)))

    found = read_draw(connection, made.draw_id)
    commitment = read_commitment(connection, DAY)
    assert (found.committed_before, found.frame_size) == (False, 15)
    assert commitment is not None
    assert commitment.seed is None
    assert read_draw(connection, drawn(connection, tmp_path).draw_id).committed_before


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(Path.unlink, id="unlink"),
        pytest.param(lambda key: key.chmod(0o644), id="exposed"),
        pytest.param(lambda key: key.write_text("A" * 43 + "=\n"), id="replaced"),
    ],
)
def test_a_day_whose_key_is_lost_is_drawn_with_a_fresh_seed_and_an_incident(
    connection: Connection, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    commit(connection, tmp_path)
    sell(connection, numbered(10))
    sell(connection, numbered(10, "Q"), stratum=OTHER)
    key = tmp_path / "draw-keys" / "seeds.key"
    damage(key)

    found = read_draw(connection, drawn(connection, tmp_path).draw_id)

    [incident] = list_incidents(connection, IncidentFilter(kind="draw_seed_lost"), before=None, limit=10)
    commitment = read_commitment(connection, DAY)
    assert (found.committed_before, count_draws(connection)) == (False, 2)
    assert (incident.article, incident.details) == ("34", {"day": "2026-11-02", "committed_before": False})
    assert commitment is not None
    assert (commitment.seed, found.seed_commitment == commitment.seed_commitment) == (None, False)


def test_a_key_that_comes_back_does_not_let_anybody_choose_between_two_seeds(
    connection: Connection, tmp_path: Path
) -> None:
    commit(connection, tmp_path)
    sell(connection, numbered(10))
    key = tmp_path / "draw-keys" / "seeds.key"
    key.rename(tmp_path / "aside")
    drawn(connection, tmp_path)
    (tmp_path / "aside").rename(key)
    sell(connection, numbered(10, "Q"), stratum=OTHER)

    found = read_draw(connection, drawn(connection, tmp_path, replace(ORDER, stratum=OTHER)).draw_id)

    commitment = read_commitment(connection, DAY)
    assert commitment is not None
    assert (found.committed_before, commitment.seed) == (False, None)


@pytest.mark.parametrize(
    ("now", "is_over"),
    [
        pytest.param(datetime(2026, 11, 2, 15, 59, 59, 999999, tzinfo=UTC), False, id="last instant of the day"),
        pytest.param(datetime(2026, 11, 2, 16, 0, tzinfo=UTC), True, id="midnight in Shanghai"),
    ],
)
def test_a_day_is_drawn_once_it_is_over_in_shanghai(
    connection: Connection, tmp_path: Path, now: datetime, is_over: bool
) -> None:
    sell(connection, numbered(3))
    with nullcontext() if is_over else pytest.raises(PeriodNotOverError, match="is not over"):
        drawn(connection, tmp_path, now=now)

    assert count_draws(connection) == int(is_over)


def test_a_period_that_ends_before_it_begins_is_refused(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(PeriodError):
        drawn(connection, tmp_path, replace(ORDER, to_on=DAY - timedelta(days=1)))


def test_an_empty_stratum_reveals_nothing(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)
    sell(connection, numbered(3))

    with pytest.raises(EmptyFrameError):
        drawn(connection, tmp_path, replace(ORDER, stratum=OTHER))
    commitment = read_commitment(connection, DAY)
    assert commitment is not None
    assert (commitment.seed, count_draws(connection)) == (None, 0)


@pytest.mark.parametrize(
    ("class_", "size"), [(InspectionClass.OVER_1Y, 5), (InspectionClass.WITHIN_1Y, 4), (InspectionClass.GIFT, 1)]
)
def test_the_rate_is_that_of_the_policy_in_force(
    connection: Connection, tmp_path: Path, class_: InspectionClass, size: int
) -> None:
    policy = parse_policy("[sampling]\nover_1y_bp = 5000\nwithin_1y_bp = 4000\n", on=date(2026, 11, 1))
    store_policy(connection, policy, policy_id=new_id(), source="file", now=NOON - timedelta(days=1))
    stratum = STRATUM._replace(inspection_class=class_)
    sell(connection, numbered(10), stratum=stratum)

    found = read_draw(connection, drawn(connection, tmp_path, replace(ORDER, stratum=stratum)).draw_id)

    assert (found.sample_size, found.policy_digest) == (size, policy.digest)


def test_a_draw_is_never_changed_nor_taken_away(connection: Connection, tmp_path: Path) -> None:
    sell(connection, numbered(3))
    drawn(connection, tmp_path)

    with pytest.raises(Exception, match="never deleted"), connection.begin_nested():
        connection.execute(text("UPDATE draws SET seed = sha256('x')"))
    assert connection.execute(select(draws.c.frame_size)).scalar_one() == 3
