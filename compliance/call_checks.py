"""The gate with its records: reads the facts, decides, and writes one row per decision.

Any number of calls are decided together in the caller's transaction, with the answers that each would get
alone at that instant. Calls that depend on one another (the same person under a contact limit, the same
callback request) are decided one after the other, in the order in which they stand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, update

from compliance.call_dependencies import Dependencies, uuid_or_none
from compliance.call_facts import Facts, ProposedCall
from compliance.call_rules import Judge, decide_all
from compliance.callee_facts import KnownPeople, NumberedCall, callee_of, read_known_people
from compliance.check_rows import JudgedCall, write_checks, write_sides
from compliance.decision import Decision
from compliance.phone_numbers import normalise
from compliance.policy import Policy
from compliance.register_book import Book, RecordedSide, Shelf, read_book
from compliance.shanghai import SHANGHAI
from compliance.tables import callback_requests
from compliance.working_days import Calendar
from infra.ids import new_id_text


@dataclass(frozen=True, slots=True)
class Gate:
    """What a process keeps to decide with: its copy of the registers and the calendar of rest days."""

    shelf: Shelf
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class _Occasion:
    """One occasion of deciding: all calls of it are judged by the same book at the same instant."""

    book: Book
    calendar: Calendar
    at: datetime
    lock: bool


def check_calls(
    connection: Connection,
    calls: Sequence[ProposedCall],
    *,
    gate: Gate,
    actors: Sequence[str],
    now: datetime,
) -> list[JudgedCall]:
    """Decide on `calls` at `now` and record the decisions, `actors[i]` being who asked for `calls[i]`."""
    numbered = number_calls(calls)
    known = read_known_people(connection, numbered)
    book = gate.shelf.book(connection, counters=known.counters, now=now)
    return check_known(connection, numbered, known, book, gate=gate, actors=actors, now=now)


def number_calls(calls: Sequence[ProposedCall]) -> list[NumberedCall]:
    """Return the calls, each with its callee's number in normal form."""
    return [NumberedCall(call, normalise(call.callee)) for call in calls]


def depend_on_others(policy: Policy, numbered: Sequence[NumberedCall]) -> bool:
    """Return whether deciding these calls needs locks: a contact limit is set, or a callback request is named."""
    return policy.contact_limit is not None or any(one.call.callback_request_id is not None for one in numbered)


def check_known(  # noqa: PLR0913 - the facts come with it
    connection: Connection,
    numbered: Sequence[NumberedCall],
    known: KnownPeople,
    book: Book,
    *,
    gate: Gate,
    actors: Sequence[str],
    now: datetime,
) -> list[JudgedCall]:
    """Do what `check_calls` does for callees whose facts were just read in this transaction, with the book then."""
    occasion = _Occasion(book=book, calendar=gate.calendar, at=now.astimezone(SHANGHAI), lock=True)
    sides = [book.calling_side(one.call) for one in numbered]
    write_sides(connection, sides, known_sides=gate.shelf.stored_sides, now=now)
    judged = write_checks(connection, _judge(connection, numbered, sides, known, occasion), actors=actors)
    _use_callbacks(connection, judged, now=now)
    return judged


def simulate_calls(
    connection: Connection,
    calls: Sequence[ProposedCall],
    *,
    policy: Policy | None,
    calendar: Calendar,
    at: datetime,
    now: datetime,
) -> list[JudgedCall]:
    """Decide on `calls` at `at` from the facts known now; records and uses up nothing.

    `policy` None stands for the one in force now.
    """
    numbered = number_calls(calls)
    known = read_known_people(connection, numbered, as_of=at)
    book = read_book(connection, now=now, all_overlays=True)
    if policy is not None:
        book = replace(book, policy=policy)
    occasion = _Occasion(book=book, calendar=calendar, at=at.astimezone(SHANGHAI), lock=False)
    sides = [book.calling_side(one.call) for one in numbered]
    return list(_judge(connection, numbered, sides, known, occasion))


def _judge(
    connection: Connection,
    calls: Sequence[NumberedCall],
    sides: Sequence[RecordedSide],
    known: KnownPeople,
    occasion: _Occasion,
) -> Iterator[JudgedCall]:
    """Decide on `calls`, in their order; every statement comes before the first decision is given."""
    if depend_on_others(occasion.book.policy, calls):
        return iter(_judge_in_order(connection, calls, sides, known, occasion))
    return _judge_apart(calls, sides, known, occasion)


def _judge_apart(
    calls: Sequence[NumberedCall], sides: Sequence[RecordedSide], known: KnownPeople, occasion: _Occasion
) -> Iterator[JudgedCall]:
    """Decide on calls none of which bears on another, each when its turn comes, so that rows can leave meanwhile."""
    policy, at = occasion.book.policy, occasion.at
    judge = Judge(policy, at=at)
    for one, side in zip(calls, sides, strict=True):
        callee = callee_of(known, one, calendar=occasion.calendar, at=at)
        decision = judge.decide(one.call, Facts(side=side.side, callee=callee))
        yield JudgedCall(one.call, side, callee, decision, policy, at, _check_id(occasion))


def _judge_in_order(
    connection: Connection,
    calls: Sequence[NumberedCall],
    sides: Sequence[RecordedSide],
    known: KnownPeople,
    occasion: _Occasion,
) -> list[JudgedCall]:
    """Decide on calls that may bear on one another: what one uses up, the next one finds used."""
    policy, at = occasion.book.policy, occasion.at
    callees = [callee_of(known, one, calendar=occasion.calendar, at=at) for one in calls]
    dependencies = Dependencies(connection, calls, known, policy=policy, at=at, lock=occasion.lock)
    decided: dict[int, Decision] = {}

    def decide_these(indexes: Sequence[int]) -> None:
        for index in indexes:
            callees[index] = dependencies.complete(index, callees[index])
        pairs = [(calls[index].call, Facts(side=sides[index].side, callee=callees[index])) for index in indexes]
        for index, decision in zip(indexes, decide_all(pairs, policy, at=at), strict=True):
            dependencies.remember(index, decision)
            decided[index] = decision

    everyone = range(len(calls))
    decide_these([index for index in everyone if not dependencies.is_shared(index)])
    for index in everyone:
        if index not in decided:
            decide_these([index])
    return [
        JudgedCall(calls[index].call, sides[index], callees[index], decided[index], policy, at, _check_id(occasion))
        for index in everyone
    ]


def _check_id(occasion: _Occasion) -> str:
    return new_id_text() if occasion.lock else ""


def _use_callbacks(connection: Connection, judged: Sequence[JudgedCall], *, now: datetime) -> None:
    for one in judged:
        if one.decision.uses_callback:
            connection.execute(
                update(callback_requests)
                .where(callback_requests.c.callback_request_id == uuid_or_none(one.call.callback_request_id))
                .values(used_by=UUID(one.check_id), used_at=now)
            )
