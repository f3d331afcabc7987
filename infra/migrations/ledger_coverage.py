"""What migration 0002 puts under the ledger, table by table; later migrations add theirs and change nothing here."""

from typing import NamedTuple


class Coverage(NamedTuple):
    """A table whose changes the ledger shows.

    `columns` leaves out only what says nothing to anybody outside: which transaction wrote, when a token was last seen.
    `changing` are the columns that may ever be updated, covered or not.
    """

    table: str
    key: tuple[str, ...]
    columns: str
    changing: str = ""
    hides_key: bool = False
    mode: str = "entries"


COVERAGE = (
    Coverage(
        "access_tokens",
        ("token_id",),
        "token_id token_hash role owner created_at expires_at revoked_at",
        changing="revoked_at last_used_at",
    ),
    Coverage(
        "approvals",
        ("request_id",),
        "request_id kind payload requested_by requested_at state decided_by decided_at reason",
        changing="state decided_by decided_at reason",
    ),
    Coverage("audit_events", ("event_id",), "event_id kind subject details actor recorded_at"),
    Coverage(
        "call_checks",
        ("check_id",),
        "check_id actor purpose phone_digits call side_digest callee_facts policy_digest verdict region reasons"
        " checked_at valid_until next_callable_at",
        mode="ranges",
    ),
    Coverage(
        "call_records",
        ("call_id",),
        "call_id check_id direction caller_digits callee_digits agent_id started_at answered_at ended_at outcome"
        " content content_digest do_not_call_entry_id actor recorded_at",
        changing="do_not_call_entry_id",
    ),
    Coverage(
        "callback_requests",
        ("callback_request_id",),
        "callback_request_id phone_digits customer_id from_at to_at evidence actor created_at used_by used_at",
        changing="used_by used_at",
    ),
    Coverage("calling_sides", ("side_digest",), "side_digest facts recorded_at"),
    Coverage(
        "customer_phones", ("phone_digits", "customer_id"), "phone_digits customer_id recorded_at", hides_key=True
    ),
    Coverage(
        "do_not_call_entries",
        ("entry_id",),
        "entry_id customer_id blocked_from refused_at blocked_through source reason released_at raised_at created_at",
        changing="customer_id blocked_from refused_at blocked_through source reason released_at raised_at changed_in",
    ),
    Coverage(
        "do_not_call_events",
        ("event_id",),
        "event_id entry_id kind refused_at blocked_through details actor recorded_at",
    ),
    Coverage("do_not_call_phones", ("phone_digits",), "phone_digits entry_id", hides_key=True),
    Coverage("incident_events", ("event_id",), "event_id incident_id details actor recorded_at"),
    Coverage(
        "incidents",
        ("incident_id",),
        "incident_id kind article call_id details detected_at state cause responsible measures closed_at",
        changing="state cause responsible measures closed_at",
    ),
    Coverage(
        "overlays",
        ("overlay_id",),
        "overlay_id name kind regions from_at to_at reason actor created_at ended_at",
        changing="ended_at",
    ),
    Coverage("policies", ("policy_id",), "policy_id digest text source reason requested_by approved_by effective_from"),
    # A caller number's row is named by the number.
    Coverage("register_rows", ("register", "row_id"), "register row_id position recorded_at", hides_key=True),
    Coverage(
        "register_versions",
        ("version_id",),
        "version_id register row_id effective_from effective_through body actor recorded_at",
    ),
)
