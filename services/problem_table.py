"""The one table from our exceptions to HTTP. A test checks that every exception of ours stands in it or is internal."""

from functools import partial
from http import HTTPStatus

from compliance import (
    approvals,
    block_entries,
    block_list,
    block_release,
    call_records,
    callbacks,
    check_rows,
    do_not_call,
    incidents,
    ledger_keys,
    ledger_reading,
    ledger_tree,
    legal,
    list_rows,
    overlays,
    periods,
    policy,
    policy_store,
    register_fields,
    registers,
    rule_answers,
    sale_endings,
    sale_rows,
    sales,
    working_days,
)
from infra import jobs
from infra.logs import logger
from infra.object_store import ObjectStoreError
from qa_sampling import (
    appeals,
    claims,
    corrections,
    draw_rows,
    eligibility,
    inspection_rows,
    listening,
    results,
    samples,
    scorecard,
    scorecards,
    sittings,
)
from recordings import copy_rows, disposals, fixity, holds, metadata, registration, stored_audio
from recordings.unreadable_audio import UnreadableAudioError
from services import tokens
from services.check_queue import QueueUnavailableError, RevokedTokenError
from services.problems import Problem, database_away, register_answer, register_problem, title_of, unauthorized

log = logger(__name__)

_NOT_FOUND: tuple[type[Exception], ...] = (
    approvals.UnknownRequestError,
    block_entries.UnknownEntryError,
    call_records.UnknownCallError,
    callbacks.UnknownCallbackError,
    check_rows.UnknownCheckError,
    copy_rows.UnknownRecordingError,
    disposals.UnknownDisposalError,
    draw_rows.UnknownDrawError,
    holds.UnknownHoldError,
    incidents.UnknownIncidentError,
    inspection_rows.UnknownInspectionError,
    jobs.UnknownJobError,
    ledger_reading.NothingSealedError,
    ledger_reading.UnknownLedgerEntryError,
    overlays.UnknownOverlayError,
    policy_store.UnknownPolicyError,
    registers.UnknownRowError,
    sale_rows.UnknownSaleError,
    scorecards.UnknownScorecardError,
    tokens.UnknownTokenError,
)
_CONFLICT: tuple[type[Exception], ...] = (
    appeals.AppealRefusedError,
    approvals.RequestDecidedError,
    block_release.EntryReleasedError,
    block_release.RefusedAgainError,
    call_records.CallRecordedError,
    check_rows.BrokenCheckError,
    claims.EarlierWaitsError,
    claims.NotWaitingError,
    copy_rows.CopiesInHandError,
    corrections.NotCorrectableError,
    holds.HoldReleasedError,
    holds.NothingToHoldError,
    incidents.AccountMissingError,
    incidents.IncidentChangedError,
    incidents.IncidentClosedError,
    ledger_reading.BrokenEntryError,
    ledger_tree.MissingHashError,
    overlays.OverlayOverError,
    registers.NumberInUseError,
    registers.RowExistsError,
    registration.DisposedRecordingError,
    samples.EmptyFrameError,
    samples.PeriodNotOverError,
    sale_endings.NotTerminatedError,
    sale_endings.TerminationChangedError,
    sales.SaleRecordedError,
    scorecards.NoScorecardError,
    sittings.NotHeldError,
)
_BAD_FIELD: dict[type[Exception], str] = {
    appeals.AppealItemsError: "item_ids",
    block_list.FutureRefusalError: "refused_at",
    block_list.NobodyRefusedError: "phone",
    callbacks.CallbackSlotError: "from",
    do_not_call.BlockTermError: "months",
    legal.NotInForceError: "at",
    list_rows.UnreadableListError: "file",
    periods.PeriodOutOfRangeError: "months",
    rule_answers.NaiveInstantError: "at",
    scorecards.ScorecardDateError: "effective_from",
    samples.PeriodError: "to",
    UnreadableAudioError: "file",
    working_days.WorkingDayCountError: "days",
}
"""Errors about one value sent, with the field to name when the error does not name it itself."""


def fill_problem_table() -> None:
    """Enter every domain error with its answer."""
    for error in _NOT_FOUND:
        register_problem(error, HTTPStatus.NOT_FOUND, "not-found")
    for error in _CONFLICT:
        register_problem(error, HTTPStatus.CONFLICT, "conflict")
    for error, field in _BAD_FIELD.items():
        register_answer(error, partial(_field_problem, field))
    register_answer(policy.PolicyError, _policy_problem)
    register_answer(register_fields.RegisterFieldError, _register_problem)
    register_answer(sale_rows.SaleDateError, _named_problem)
    register_answer(scorecard.ScorecardError, _faults_problem)
    register_answer(scorecard.AnswersError, _faults_problem)
    register_answer(scorecard.OpenItemsError, _open_items_problem)
    register_answer(results.NotHeardError, _unheard_problem)
    register_answer(listening.ListeningRefusedError, _named_problem)
    register_answer(disposals.NotExpiredError, _not_expired_problem)
    register_problem(fixity.DisposedError, HTTPStatus.GONE, "disposed")
    register_answer(metadata.MetadataError, _faults_problem)
    register_answer(ObjectStoreError, _store_problem)
    register_answer(stored_audio.AudioUnavailableError, lambda error: _unavailable(str(error)))
    register_answer(QueueUnavailableError, lambda _error: database_away())
    register_answer(block_list.PersonContendedError, lambda _error: database_away("Others write to the same person."))
    register_answer(RevokedTokenError, lambda _error: unauthorized())
    register_problem(ledger_keys.LedgerKeyError, HTTPStatus.SERVICE_UNAVAILABLE, "ledger-key")
    register_problem(approvals.SamePersonError, HTTPStatus.FORBIDDEN, "forbidden")
    register_problem(appeals.OwnResultError, HTTPStatus.FORBIDDEN, "forbidden")
    register_problem(eligibility.MayNotInspectError, HTTPStatus.FORBIDDEN, "may-not-inspect")


def _unprocessable(detail: str, slug: str, errors: list[dict[str, object]]) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Unprocessable Content", detail, slug, errors)


def _field_problem(field: str, error: Exception) -> Problem:
    return _unprocessable(str(error), "invalid-input", [{"loc": field, "msg": str(error)}])


def _register_problem(error: register_fields.RegisterFieldError) -> Problem:
    named: dict[str, object] = {"loc": error.field, "msg": error.reason}
    if error.article is not None:
        named["article"] = error.article
    return _unprocessable(str(error), "invalid-input", [named])


def _named_problem(error: sale_rows.SaleDateError | listening.ListeningRefusedError) -> Problem:
    return _unprocessable(str(error), "invalid-input", [{"loc": error.field, "msg": error.reason}])


def _faults_problem(error: scorecard.ScorecardError | scorecard.AnswersError | metadata.MetadataError) -> Problem:
    return _unprocessable(str(error), "invalid-input", [one._asdict() for one in error.faults])


def _open_items_problem(error: scorecard.OpenItemsError) -> Problem:
    errors: list[dict[str, object]] = [{"loc": item_id, "msg": "has no answer"} for item_id in error.item_ids]
    return Problem(HTTPStatus.CONFLICT, "Conflict", str(error), "items-open", errors)


def _unheard_problem(error: results.NotHeardError) -> Problem:
    errors: list[dict[str, object]] = [
        {
            "loc": str(one.recording_id),
            "msg": f"{one.missing_ms} ms were not heard yet",
            "missing_ms": one.missing_ms,
            "coverage_bp": one.coverage_bp,
        }
        for one in error.unheard
    ]
    return Problem(HTTPStatus.CONFLICT, "Conflict", str(error), "not-heard", errors)


def _not_expired_problem(error: disposals.NotExpiredError) -> Problem:
    errors: list[dict[str, object]] = [
        {
            "loc": str(one.recording_id),
            "msg": " ".join(sentence.english for sentence in one.why),
            "msg_zh": "".join(sentence.chinese for sentence in one.why),
            "state": one.state.value,
        }
        for one in error.refused
    ]
    detail = f"Nothing was disposed of: {len(errors)} recordings may not be. See 'errors' for each and why."
    return Problem(HTTPStatus.CONFLICT, "Conflict", detail, "not-expired", errors)


def _store_problem(error: Exception) -> Problem:
    """Say that a store is away, full or untrue: nothing was registered, and the same may be sent again."""
    log.warning("store_unavailable", error=type(error).__name__, detail=str(error))
    return _unavailable(f"The store of recordings cannot do it now, and nothing was registered: {error}. Try again.")


def _unavailable(detail: str) -> Problem:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Problem(status, title_of(status), detail, "store-unavailable", headers={"Retry-After": "10"})


def _policy_problem(error: policy.PolicyError) -> Problem:
    errors: list[dict[str, object]] = [
        {"loc": one.loc, "msg": one.msg, **({"article": one.article} if one.article else {})} for one in error.offences
    ]
    count = "1 offence" if len(errors) == 1 else f"{len(errors)} offences"
    detail = f"The policy cannot be used: {count} against the law or the form. See 'errors' for each."
    return _unprocessable(detail, "policy-refused", errors)
