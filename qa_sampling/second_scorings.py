"""Blind second scorings: a share of results that somebody else scores again, to see whether inspectors judge alike.

Which ones is decided by chance when the first result comes, so that nobody can foresee it. Whoever scores again does
not learn that there was a first.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, insert, select, text, update

from compliance.shanghai import midnight
from qa_sampling.agreement import Agreement, agreement
from qa_sampling.inspection_deadlines import score_before
from qa_sampling.result_rows import StoredResult
from qa_sampling.scorecard import WHOLE_BP
from qa_sampling.tables import second_scorings

SECOND_SCORING_BP = 500
"""Share of first results that are scored twice, in basis points; the company's figure."""

_columns = second_scorings.c


def is_chosen(lot: int) -> bool:
    """Say whether a lot is drawn; `lot` is by chance one of the 10,000 numbers from 0."""
    if not 0 <= lot < WHOLE_BP:
        msg = f"a lot is a number from 0 to {WHOLE_BP - 1}, got {lot}"
        raise ValueError(msg)
    return lot < SECOND_SCORING_BP


def choose(connection: Connection, first: StoredResult, *, lot: int, due_before: datetime) -> None:
    """Let a first result be scored again if its lot is drawn."""
    if is_chosen(lot):
        chosen_at = first.submitted_at
        connection.execute(
            insert(second_scorings).values(
                inspection_id=first.inspection_id,
                first_result_id=first.result_id,
                chosen_at=chosen_at,
                score_before=score_before(chosen_at, due_before),
            )
        )


def is_second_waiting(connection: Connection, inspection_id: UUID) -> bool:
    """Say whether an inspection is to be scored again and is not yet."""
    waiting = select(_columns.inspection_id).where(
        _columns.inspection_id == inspection_id, _columns.second_result_id.is_(None)
    )
    return connection.execute(waiting).one_or_none() is not None


def note_scored(connection: Connection, second: StoredResult) -> None:
    """Keep which result is the second one."""
    scored = update(second_scorings).where(_columns.inspection_id == second.inspection_id)
    connection.execute(scored.values(second_result_id=second.result_id))


class ItemAgreement(NamedTuple):
    """How far inspectors agree on an item of one version of the scorecard."""

    scorecard_version: int
    item_id: str
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far inspectors agree: on all items together, on outcomes, and item by item.

    `left_out` pairs were judged by two versions of the scorecard, and cannot be compared.
    """

    answers: Agreement
    outcomes: Agreement
    items: list[ItemAgreement]
    left_out: int


class _Pair(NamedTuple):
    first_version: int
    second_version: int
    first_outcome: str
    second_outcome: str
    first_answers: list[dict[str, str]]
    second_answers: list[dict[str, str]]

    def verdicts(self) -> list[tuple[str, tuple[str, str]]]:
        """Return the two answers of each item; both have answered all items of the version."""
        others = {one["item_id"]: one["answer"] for one in self.second_answers}
        return [(one["item_id"], (one["answer"], others[one["item_id"]])) for one in self.first_answers]


_PAIRS = text("""
    SELECT f.scorecard_version, s.scorecard_version, f.outcome, s.outcome, f.answers, s.answers
      FROM second_scorings c
      JOIN inspection_results f ON f.result_id = c.first_result_id
      JOIN inspection_results s ON s.result_id = c.second_result_id
     WHERE s.submitted_at >= CAST(:begin AS timestamptz) AND s.submitted_at < CAST(:end AS timestamptz)
     ORDER BY s.submitted_at, s.result_id""")


def calibration(connection: Connection, *, from_day: date, to_day: date) -> Calibration:
    """Return how far inspectors agree, of second scorings done on these Shanghai days, both included."""
    span = {"begin": midnight(from_day), "end": midnight(to_day + timedelta(days=1))}
    found = [_Pair(*row) for row in connection.execute(_PAIRS, span)]
    alike = [one for one in found if one.first_version == one.second_version]
    return Calibration(
        answers=agreement([pair for one in alike for _, pair in one.verdicts()]),
        outcomes=agreement([(one.first_outcome, one.second_outcome) for one in alike]),
        items=_by_item(alike),
        left_out=len(found) - len(alike),
    )


def _by_item(pairs: Sequence[_Pair]) -> list[ItemAgreement]:
    found: dict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
    for one in pairs:
        for item_id, pair in one.verdicts():
            found[one.first_version, item_id].append(pair)
    return [ItemAgreement(version, item_id, agreement(answers)) for (version, item_id), answers in found.items()]
