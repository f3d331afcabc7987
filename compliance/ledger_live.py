"""The database against its own ledger: every entry, every signature, every covered row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from compliance.ledger_lines import instant_text
from compliance.ledger_reading import CoveredTable, StoredCheckpoint, covered_tables, read_origin
from compliance.ledger_states import RowState, Wanted, as_first_left, read_states
from compliance.ledger_tree_check import TreeCheck
from compliance.ledger_verifier import BundleError, Key, Note, Report, check_note, read_key, read_note
from compliance.ledger_verifier import library as signature_library
from compliance.merkle import Range

_AT_ONCE = 2000

# No instant is read that no datetime can be: what was tampered with is reported, and ends no verification.
_CHECKPOINTS = text("""
SELECT size, root, note, key_id,
       greatest(least(sealed_at, '9999-12-30'), '1000-01-01') AS sealed_at,
       horizon, cluster, checks_through, checks_after
  FROM ledger_checkpoints
 WHERE :is_whole OR size > :begin AND size <= :end
    OR size IN (SELECT size FROM ledger_checkpoints ORDER BY size DESC LIMIT :newest)
 ORDER BY size
""")
_NEWEST = 3
"""So many of the newest checkpoints are read whatever is asked for: one of them holds, unless many were changed."""

_AFTER = text("SELECT count(*), min(entry) FROM ledger_leaves WHERE entry >= :size OR entry < 0")
_OUTSIDE = text("""
SELECT split_part(e.kind, '.', 1), e.keys[1] FROM ledger_entries e
 WHERE e.tx < :horizon AND NOT EXISTS (SELECT FROM ledger_leaves l WHERE l.source = e.source)
   AND (SELECT system_identifier::text FROM pg_control_system()) = :cluster
 ORDER BY e.source
""")
_THERE = text("""
SELECT NOT EXISTS (
  SELECT FROM unnest(CAST(:columns AS text[])) AS wanted (name)
   WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(:table))
                        AND attname = wanted.name AND attnum > 0 AND NOT attisdropped))
""")


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
    is_whole = begin == 0 and end is None
    checked = _Checkpoints(_Signatures(known), report, read_origin(connection))
    checked.read(connection, begin=begin, end=end)
    checkpoint = checked.newest
    size = 0 if checkpoint is None else checkpoint.size
    leaves = Range(min(begin, size), min(size if end is None else end, size))
    checked.compare(outside, size, is_whole=is_whole)
    tree = TreeCheck(connection, report, leaves, checked.roots)
    tree.run()
    if is_whole:
        tree.check_strays(size)
    _check_unnumbered(connection, report, checkpoint, is_explained=checked.is_newer_broken)
    wanted = Wanted(leaves.begin, leaves.end, with_unknown=is_whole)
    tables = _tables_there(connection)
    never_changing = _Unchanged(connection, report, tables)
    for state in read_states(connection, tables, wanted, checkpoint):
        if is_whole or (
            state.latest is not None and state.latest.entry is not None and state.latest.entry < leaves.end
        ):
            _judge(state, report, tree.bad)
            never_changing.add(state)
    never_changing.judge()
    report.problems.sort(key=lambda one: (one.entry is None, one.entry or 0, one.table or "", one.key or "", one.what))
    return report


class _Signatures:
    """Checks signatures, if there is a library for that."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys, self._check = keys, signature_library()

    def judge(self, note: Note, report: Report) -> bool:
        """Report what is wrong with the signatures of a note; return whether nothing is."""
        before = len(report.problems)
        check_note(note, self._keys, self._check, report)
        return len(report.problems) == before


class _Checkpoints:
    """Checks checkpoints against their signatures and each other.

    Only those that hold count for all that follows: `newest`, and `roots`, by size. One that was changed is reported,
    and explains nothing.
    """

    def __init__(self, signatures: _Signatures, report: Report, origin: str) -> None:
        self._signatures, self._report, self._origin = signatures, report, origin
        self._stored: set[int] = set()
        self.roots: dict[int, bytes] = {}
        self.newest: StoredCheckpoint | None = None
        self.is_newer_broken = False

    def read(self, connection: Connection, *, begin: int, end: int | None) -> None:
        """Check those over the entries `begin` to `end` (excluded; None: to the last), and the newest."""
        asked = {"is_whole": begin == 0 and end is None, "begin": begin, "end": end, "newest": _NEWEST}
        options = {"stream_results": True, "yield_per": _AT_ONCE}
        last = ""
        for row in connection.execute(_CHECKPOINTS, asked, execution_options=options).mappings():
            stored = StoredCheckpoint(**row)
            note = self._good_note(stored)
            self._stored.add(stored.size)
            self.is_newer_broken = note is None
            if note is None:
                continue
            if note.sealed_at < last or _reaches_less(stored, self.newest):
                message = f"the checkpoint of {note.size} entries is older than the one before it, or reaches less far"
                self._report.add("checkpoint", message)
            last, self.newest, self.roots[note.size] = note.sealed_at, stored, note.root

    def _good_note(self, stored: StoredCheckpoint) -> Note | None:
        """Return the note of a checkpoint; None, with a problem, if it does not hold or is not what is stored of it."""
        where = f"the checkpoint of {stored.size} entries"
        note = self._read(stored.note, where)
        if note is None:
            return None
        said = (note.size, note.root, note.sealed_at, note.signatures[0][1][:4].hex())
        if said == (stored.size, stored.root, instant_text(stored.sealed_at), stored.key_id):
            return note
        self._report.add("checkpoint", f"{where} is stored with a size, root, time or key that its note does not have")
        return None

    def _read(self, text_of_note: str, where: str) -> Note | None:
        try:
            note = read_note(text_of_note, where)
        except BundleError as error:
            self._report.add("checkpoint", str(error))
            return None
        if not self._signatures.judge(note, self._report):
            return None
        if note.origin != self._origin:
            message = f"{where} is of {note.origin}, and this database says that its ledger is {self._origin}"
            self._report.add("checkpoint", message)
        return note

    def compare(self, outside: Sequence[str], size: int, *, is_whole: bool) -> None:
        """Compare checkpoints kept elsewhere; those that the database lacks are to be compared with the tree."""
        for text_of_note in outside:
            note = self._read(text_of_note, "a checkpoint kept outside the database")
            if note is None:
                continue
            where = f"the checkpoint of {note.size} entries"
            if note.size > size and not (note.size in self._stored and self.is_newer_broken):
                message = (
                    f"outside the database there is a checkpoint of {note.size} entries, and the newest inside has"
                    f" {size}: an old state of the database was restored, or entries were taken away"
                )
                self._report.add("checkpoint", message)
            elif note.size <= size and self.roots.setdefault(note.size, note.root) != note.root:
                self._report.add("checkpoint", f"{where} outside the database has another root")
            elif is_whole and note.size not in self._stored:
                self._report.add(
                    "checkpoint", f"{where}, which lies outside, is not in the database: it was taken away"
                )


def _reaches_less(stored: StoredCheckpoint, before: StoredCheckpoint | None) -> bool:
    """Return whether the sealer was set back, to look again at what it had sealed."""
    if before is None or stored.cluster != before.cluster:
        return False
    checks, earlier = ((one.checks_through, one.checks_after) for one in (stored, before))
    return stored.horizon < before.horizon or checks < earlier


def _check_unnumbered(
    connection: Connection, report: Report, checkpoint: StoredCheckpoint | None, *, is_explained: bool
) -> None:
    """Report entries that no checkpoint covers, or that never got a number.

    `is_explained`: the checkpoint over them is there, and was changed, as is said already.
    """
    size = 0 if checkpoint is None else checkpoint.size
    after, first = connection.execute(_AFTER, {"size": size}).one()
    if after and not is_explained:
        message = (
            f"{after} entries, the first with the number {first}, are numbered beyond the newest checkpoint:"
            " one was taken away, or they were added"
        )
        report.add("checkpoint", message)
    if checkpoint is None:
        return
    asked = {"horizon": checkpoint.horizon, "cluster": checkpoint.cluster}
    for table, key in connection.execute(_OUTSIDE, asked):
        message = (
            "an entry as old as others that are sealed has no number: it was added later, or its number taken away"
        )
        report.add("entry_missing", message, place=(table, key or ""))


def _tables_there(connection: Connection) -> list[CoveredTable]:
    """Return the covered tables that have all their columns; rows of one that was dropped are all missing."""
    return [one for one in covered_tables(connection) if _is_there(connection, one)]


def _is_there(connection: Connection, table: CoveredTable) -> bool:
    marks = ["written_in"] if table.mode == "ranges" else []
    asked = {"table": table.table, "columns": [*table.key_columns, *table.columns, *marks]}
    found: bool = connection.execute(_THERE, asked).scalar_one()
    return found


class _Unchanged:
    """Judges rows that never change, and that were sealed in more than one range.

    After a restore into another cluster the sealer seals all of them anew. Who sets it back by hand, to have an edited
    row sealed as it is now, must not get away with that: the first entry counts as much as the latest.
    """

    def __init__(self, connection: Connection, report: Report, tables: Sequence[CoveredTable]) -> None:
        self._connection, self._report = connection, report
        self._tables = {one.table for one in tables if one.mode == "ranges"}
        self._waiting: list[RowState] = []

    def add(self, state: RowState) -> None:
        if state.first is not None and state.table in self._tables and state.is_as_left:
            self._waiting.append(state)
            if len(self._waiting) == _AT_ONCE:
                self.judge()

    def judge(self) -> None:
        """Report those of which the first entry says something else."""
        if not self._waiting:
            return
        for state, is_same in zip(self._waiting, as_first_left(self._connection, self._waiting), strict=True):
            if not is_same:
                message = "the row was changed after it was first sealed, and sealed again as it is now"
                self._report.add("row_changed", message, entry=state.first, place=(state.table, state.key))
        self._waiting.clear()


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
