"""The database against its own ledger: every entry, every signature, every covered row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from compliance.ledger_reading import CoveredTable, StoredCheckpoint, covered_tables, latest_checkpoint
from compliance.ledger_states import RowState, Wanted, read_states
from compliance.ledger_tree_check import TreeCheck
from compliance.ledger_verifier import BundleError, Key, Note, Report, check_note, read_key, read_note
from compliance.ledger_verifier import library as signature_library
from compliance.merkle import Range

_AT_ONCE = 2000

_CHECKPOINTS = text("""
SELECT size, root, note, key_id FROM ledger_checkpoints
 WHERE size > :begin AND size <= :end OR size = :newest ORDER BY size
""")
_AFTER = text("SELECT count(*) FROM ledger_leaves WHERE entry >= :size")
_OUTSIDE = text("""
SELECT split_part(e.kind, '.', 1), e.keys[1] FROM ledger_entries e
 WHERE e.tx < :horizon AND NOT EXISTS (SELECT FROM ledger_leaves l WHERE l.source = e.source)
   AND (SELECT system_identifier::text FROM pg_control_system()) = :cluster
 ORDER BY e.source
""")
_THERE = text("SELECT to_regclass(quote_ident(:name)) IS NOT NULL")


def verify_live(
    connection: Connection,
    *,
    keys: Sequence[Mapping[str, str | None]],
    begin: int = 0,
    end: int | None = None,
    outside: Sequence[str] = (),
) -> Report:
    """Return everything in the database that is not as its ledger says.

    Entries `begin` to `end` (excluded; None: all that are sealed) are checked against the tree, and the rows about
    which the latest entry is one of these; rows of which no entry speaks, and those still to be sealed, only without a
    range.
    `keys` are all public keys there ever were, as manifests have them; `outside` are checkpoints kept elsewhere. The
    transaction must see one snapshot (REPEATABLE READ), and its statements may take minutes.
    """
    report = Report()
    known = [read_key(dict(key)) for key in keys]
    report.keys = [key.text for key in known]
    checkpoint = latest_checkpoint(connection)
    size = 0 if checkpoint is None else checkpoint.size
    leaves = Range(min(begin, size), min(size if end is None else end, size))
    roots = _check_checkpoints(connection, report, _Signatures(known), leaves, size)
    _check_outside(report, outside, _Signatures(known), roots, size)
    tree = TreeCheck(connection, report, leaves, roots)
    tree.run()
    _check_unnumbered(connection, report, checkpoint)
    is_whole = begin == 0 and end is None
    wanted = Wanted(leaves.begin, leaves.end, with_unknown=is_whole)
    for state in read_states(connection, _tables_there(connection), wanted, checkpoint):
        if is_whole or (
            state.latest is not None and state.latest.entry is not None and state.latest.entry < leaves.end
        ):
            _judge(state, report, tree.bad)
    report.problems.sort(key=lambda one: (one.entry is None, one.entry or 0, one.table or "", one.key or "", one.what))
    return report


class _Signatures:
    """Checks signatures, if there is a library for that."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys, self._check = keys, signature_library()

    def judge(self, note: Note, report: Report) -> None:
        check_note(note, self._keys, self._check, report)


def _check_checkpoints(
    connection: Connection, report: Report, signatures: _Signatures, leaves: Range, size: int
) -> dict[int, bytes]:
    """Check checkpoints against their signatures and each other; return the roots that were signed."""
    asked = {"begin": leaves.begin, "end": leaves.end, "newest": size}
    options = {"stream_results": True, "yield_per": _AT_ONCE}
    roots: dict[int, bytes] = {}
    last = ""
    for row in connection.execute(_CHECKPOINTS, asked, execution_options=options):
        where = f"the checkpoint of {row.size} entries"
        try:
            note = read_note(row.note, where)
        except BundleError as error:
            report.add("checkpoint", str(error))
            continue
        signatures.judge(note, report)
        if (note.size, note.root) != (row.size, row.root):
            report.add("checkpoint", f"{where} is stored with a size or root that its note does not have")
        if note.sealed_at < last:
            report.add("checkpoint", f"{where} is older than the one before it")
        last, roots[row.size] = note.sealed_at, note.root
    return roots


def _check_outside(
    report: Report, outside: Sequence[str], signatures: _Signatures, roots: dict[int, bytes], size: int
) -> None:
    """Compare checkpoints kept elsewhere; those that the database lacks are to be compared with the tree."""
    for text_of_note in outside:
        try:
            note = read_note(text_of_note, "a checkpoint kept outside the database")
        except BundleError as error:
            report.add("checkpoint", str(error))
            continue
        signatures.judge(note, report)
        if note.size > size:
            message = (
                f"outside the database there is a checkpoint of {note.size} entries, and the newest inside has {size}:"
                " an old state of the database was restored, or entries were taken away"
            )
            report.add("checkpoint", message)
        elif roots.setdefault(note.size, note.root) != note.root:
            report.add("checkpoint", f"the checkpoint of {note.size} entries outside the database has another root")


def _check_unnumbered(connection: Connection, report: Report, checkpoint: StoredCheckpoint | None) -> None:
    size = 0 if checkpoint is None else checkpoint.size
    after: int = connection.execute(_AFTER, {"size": size}).scalar_one()
    if after:
        report.add("checkpoint", f"{after} entries are numbered beyond the newest checkpoint: one was taken away")
    if checkpoint is None:
        return
    asked = {"horizon": checkpoint.horizon, "cluster": checkpoint.cluster}
    for table, key in connection.execute(_OUTSIDE, asked):
        message = (
            "an entry as old as others that are sealed has no number: it was added later, or its number taken away"
        )
        report.add("entry_missing", message, place=(table, key or ""))


def _tables_there(connection: Connection) -> list[CoveredTable]:
    """Return the covered tables that exist; rows of one that was dropped are all missing."""
    return [one for one in covered_tables(connection) if connection.execute(_THERE, {"name": one.table}).scalar_one()]


def _judge(state: RowState, report: Report, bad: set[int]) -> None:
    place, latest = (state.table, state.key), state.latest
    report.rows += state.row is not None
    if latest is None:
        if state.is_waiting:
            report.unsealed += 1
        else:
            report.add("row_unknown", "no entry of the ledger speaks of this row", place=place)
        return
    if state.is_as_left:
        report.unsealed += latest.entry is None and state.row is not None
        return
    what: dict[str, Any] = {"entry": latest.entry, "place": place}
    if latest.entry in bad:
        report.add("entry_changed", "the entry, which is not as it was sealed, does not fit this row", **what)
    elif state.row is None:
        report.add("row_missing", "the row that the entry left is not there any more", **what)
    elif latest.is_delete:
        report.add("row_unknown", "the entry deleted the row, and it is there", **what)
    else:
        report.add("row_changed", "the row is not as the latest entry about it left it", **what)
