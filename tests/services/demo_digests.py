"""What the demo wrote, table by table, so that two loads can be compared."""

from sqlalchemy import Engine, text

_DATA = (
    "register_rows",
    "register_versions",
    "register_counters",
    "customer_phones",
    "policies",
    "calling_sides",
    "call_checks",
    "call_records",
    "do_not_call_entries",
    "do_not_call_phones",
    "do_not_call_events",
    "incidents",
    "incident_events",
    "approvals",
    "audit_events",
    "sales",
    "sale_calls",
    "sale_events",
    "recordings",
    "recording_segments",
    "recording_events",
    "draws",
    "draw_tickets",
    "inspections",
    "inspection_sittings",
    "listening_reports",
    "inspection_results",
    "inspection_appeals",
    "second_scorings",
    "sampling_alerts",
)


def digests(engine: Engine) -> dict[str, str]:
    """Return a digest of each table's content, save for the number of the transaction that wrote it."""
    rows = "SELECT (to_jsonb(t) - '{{changed_in,written_in}}'::text[])::text AS row FROM {} t"
    digest = f"SELECT md5(string_agg(row, '|' ORDER BY row)) FROM ({rows}) r"  # noqa: S608 - our own table names
    with engine.connect() as connection:
        return {table: connection.execute(text(digest.format(table))).scalar_one() for table in _DATA}
