"""The one table from our exceptions to HTTP. A test checks that every exception of ours stands in it or is internal."""

from http import HTTPStatus

from compliance.check_rows import UnknownCheckError
from compliance.policy import PolicyError
from compliance.policy_store import UnknownPolicyError
from services.check_queue import QueueUnavailableError, RevokedTokenError
from services.problems import Problem, database_away, register_answer, register_problem, unauthorized
from services.tokens import UnknownTokenError


def _policy_problem(error: Exception) -> Problem:
    offences = error.offences if isinstance(error, PolicyError) else ()
    errors = [{"loc": one.loc, "msg": one.msg, **({"article": one.article} if one.article else {})} for one in offences]
    detail = f"The policy cannot be used: {len(errors)} offences against the law or the form. See 'errors' for each."
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(status, "Unprocessable Content", detail, "policy-refused", errors)


def fill_problem_table() -> None:
    """Enter every domain error with its answer."""
    register_answer(PolicyError, _policy_problem)
    register_answer(QueueUnavailableError, lambda _error: database_away())
    register_answer(RevokedTokenError, lambda _error: unauthorized())
    register_problem(UnknownCheckError, HTTPStatus.NOT_FOUND, "not-found")
    register_problem(UnknownPolicyError, HTTPStatus.NOT_FOUND, "not-found")
    register_problem(UnknownTokenError, HTTPStatus.NOT_FOUND, "not-found")
