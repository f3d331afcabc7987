"""Bundles: one file with which a stranger checks a part of the ledger and the rows that it speaks of.

The form is that of `ledger_verifier`; docs/ledger.md specifies it.
"""

import hashlib
import json
import zipfile
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, text

from compliance import ledger_verifier
from compliance.ledger_attestations import read_attestations
from compliance.ledger_lines import instant_text
from compliance.ledger_reading import (
    CoveredTable,
    StoredCheckpoint,
    covered_tables,
    leaf_starts,
    present_checkpoint,
    read_lines,
)
from compliance.ledger_readme import README
from compliance.ledger_states import RowState, SourceEntry, Wanted, first_salts, read_states
from compliance.ledger_tree import subtree_hashes
from compliance.ledger_verifier import FORMAT, MIB, SEAL
from compliance.merkle import (
    Range,
    Subtree,
    consistency_ranges,
    cover,
    fold,
    inclusion_ranges,
    perfect_subtrees,
)
from compliance.signed_notes import read_checkpoint

NEWEST_CHECKPOINTS = 20
SPREAD_CHECKPOINTS = 200
"""A bundle holds this many of the newest earlier checkpoints, and so many more spread over all of them."""

NEWEST_ATTESTATIONS = 20
"""So many of each witness and each authority that stamps."""

_AT_ONCE = 500
_WRITTEN_ON = (1980, 1, 1, 0, 0, 0)
"""The date of all files in the archive: the same content gives the same bytes."""

_EARLIER = text("""
SELECT size, note FROM (
    SELECT size, note, row_number() OVER (ORDER BY size DESC) AS place, count(*) OVER () AS total
      FROM ledger_checkpoints WHERE size > 0 AND size < :size) c
 WHERE place <= :newest OR place % greatest(1, total / :spread) = 0
 ORDER BY size
""")


class LedgerRangeError(ValueError):
    """The ledger has no sealed entries of these numbers."""


@dataclass(frozen=True, slots=True)
class BundleWritten:
    """What a bundle holds: entries from `begin` to `end` (excluded), under a checkpoint of `size`."""

    begin: int
    end: int
    size: int
    rows: int


def pack(path: Path, files: Mapping[str, bytes]) -> None:
    """Write an archive of these files, as bundles are."""
    with _Archive(path) as archive:
        for name, content in files.items():
            archive.add(name, [content])


class _Archive:
    """A bundle while it is written; at its end it gets the digest of all its bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._zip.comment = SEAL + b"0" * 64
        self.digests: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._zip.close()
        if kind is None:
            _seal(self._path)

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        member = zipfile.ZipInfo(name, _WRITTEN_ON)
        member.compress_type = zipfile.ZIP_DEFLATED
        member.external_attr = 0o644 << 16
        digest = hashlib.sha256()
        with self._zip.open(member, "w", force_zip64=True) as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        self.digests[name] = digest.hexdigest()

    def add_lines(self, name: str, lines: Iterable[bytes]) -> None:
        """Add a file of lines, given without their breaks."""
        waiting = iter(lines)
        self.add(name, iter(lambda: b"".join(line + b"\n" for line in islice(waiting, _AT_ONCE)), b""))


def _seal(path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("r+b") as file:
        left = path.stat().st_size - 64
        while left:
            chunk = file.read(min(MIB, left))
            digest.update(chunk)
            left -= len(chunk)
        file.seek(-64, 2)
        file.write(digest.hexdigest().encode())


def write_bundle(
    connection: Connection,
    target: Path,
    *,
    begin: int,
    end: int | None,
    keys: Sequence[Mapping[str, str | None]],
    now: datetime,
) -> BundleWritten:
    """Write the bundle of the entries `begin` to `end` (excluded; None: all that are sealed) to the file `target`.

    The transaction must see one snapshot (REPEATABLE READ), and its statements may take minutes. `keys` are all public
    keys there ever were, as manifests have them. Only a bundle of the whole ledger holds rows without any entry.

    Raises:
        NothingSealedError: there is no checkpoint yet.
        LedgerRangeError: not all of these entries are sealed.
    """
    checkpoint = present_checkpoint(connection)
    size = checkpoint.size
    last = size if end is None else end
    if not 0 <= begin <= last <= size:
        raise LedgerRangeError(f"entries {begin} to {last} were asked for, and those from 0 to {size} are sealed")
    tables = covered_tables(connection)
    rows = _Rows(connection, tables, checkpoint, Range(begin, last))
    with _Archive(target) as archive:
        archive.add("checkpoint.txt", [checkpoint.note.encode()])
        archive.add_lines("checkpoints.jsonl", _earlier(connection, size))
        archive.add_lines("attestations.jsonl", _attested(connection, size))
        archive.add_lines("entries.jsonl", (line for _, line in read_lines(connection, begin, last)))
        archive.add("leaves.bin", leaf_starts(connection, begin, last))
        archive.add_lines("rows.jsonl", rows.lines())
        archive.add("verify.py", [Path(ledger_verifier.__file__).read_bytes()])
        archive.add("README.txt", [README.encode()])
        left, right = _sides(connection, Range(begin, last), size)
        manifest = {
            "format": FORMAT,
            "origin": read_checkpoint(checkpoint.note.rpartition("\n\n")[0] + "\n").origin,
            "from": begin,
            "to": last,
            "size": size,
            "left": left,
            "right": right,
            "keys": [dict(key) for key in keys],
            "coverage": _coverage(tables),
            "exported_at": instant_text(now),
            "files": archive.digests,
        }
        archive.add("manifest.json", [_json(manifest)])
    return BundleWritten(begin, last, size, rows.written)


def _coverage(tables: Sequence[CoveredTable]) -> list[dict[str, object]]:
    return [{"table": one.table, "key": list(one.key_columns), "columns": list(one.columns)} for one in tables]


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _sides(connection: Connection, leaves: Range, size: int) -> tuple[list[str], list[str]]:
    left, right = cover(Range(0, leaves.begin)), cover(Range(leaves.end, size))
    found = subtree_hashes(connection, [*left, *right], size)
    return [found[one].hex() for one in left], [found[one].hex() for one in right]


def _earlier(connection: Connection, size: int) -> Iterator[bytes]:
    """Give lines of earlier checkpoints, each with its proof."""
    asked = {"size": size, "newest": NEWEST_CHECKPOINTS, "spread": SPREAD_CHECKPOINTS}
    notes = connection.execute(_EARLIER, asked).all()
    paths = _paths(connection, [consistency_ranges(old, size) for old, _ in notes], size)
    for (_, note), path in zip(notes, paths, strict=True):
        yield _json({"note": note, "consistency": path})


def _attested(connection: Connection, size: int) -> Iterator[bytes]:
    """Give lines of what others say of checkpoints, each with the checkpoint and its proof."""
    found = [one for one in read_attestations(connection, limit=NEWEST_ATTESTATIONS) if one.size <= size]
    ranges = [consistency_ranges(one.size, size) if one.size < size else [] for one in found]
    for one, path in zip(found, _paths(connection, ranges, size), strict=True):
        said = {"kind": one.kind.value, "name": one.name, "note": one.note, "consistency": path}
        yield _json({**said, "content": b64encode(one.content).decode()})


def _paths(connection: Connection, proofs: Sequence[Sequence[Range]], size: int) -> list[list[str]]:
    """Return the hashes of proofs, all read together."""
    wanted: set[Subtree] = {one for ranges in proofs for leaves in ranges for one in perfect_subtrees(leaves)}
    found = subtree_hashes(connection, sorted(wanted), size)
    return [[fold([found[one] for one in perfect_subtrees(leaves)]).hex() for leaves in ranges] for ranges in proofs]


class _Rows:
    """The rows of a bundle, in the order of the latest entry about each."""

    def __init__(
        self, connection: Connection, tables: Sequence[CoveredTable], checkpoint: StoredCheckpoint, leaves: Range
    ) -> None:
        self._connection, self._tables, self._checkpoint, self._leaves = connection, tables, checkpoint, leaves
        self._never_changing = {one.table for one in tables if one.mode == "ranges"}
        self._said: int | None = None
        self.written = 0

    def lines(self) -> Iterator[bytes]:
        is_whole = self._leaves == Range(0, self._checkpoint.size)
        wanted = Wanted(*self._leaves, with_unknown=is_whole)
        states = (
            one
            for one in read_states(self._connection, self._tables, wanted, self._checkpoint)
            if one.is_touched or (is_whole and one.row is not None)
        )
        while batch := list(islice(states, _AT_ONCE)):
            for content in self._contents(batch):
                self.written += 1
                yield _json(content)

    def _contents(self, batch: Sequence[RowState]) -> Iterator[dict[str, object]]:
        """Give the rows of a batch; the paths of all entries after the range are read together."""
        size = self._checkpoint.size
        found = {one.latest.entry for one in batch if one.latest is not None and self._is_later(one.latest)}
        later = [entry for entry in found if entry is not None]
        ranges = [inclusion_ranges(entry, size) for entry in later]
        paths = dict(zip(later, _paths(self._connection, ranges, size), strict=True))
        again = [one for one in batch if one.first is not None and one.table in self._never_changing]
        firsts = first_salts(self._connection, again) if again else {}
        for one in batch:
            row = {"table": one.table, "key": one.key, "salt": one.salt.hex(), "row": one.row}
            if one.row is None:
                row["salt"] = None
            elif (one.table, one.key) in firsts:
                row["first"] = firsts[one.table, one.key].hex()
            latest = one.latest
            if latest is not None and self._is_later(latest):
                yield {**row, "later": self._proof(latest, paths)}
            elif self._is_unsealed(one):
                yield {**row, "unsealed": True}
            elif one.row is not None:
                yield dict(row)

    def _is_later(self, latest: SourceEntry) -> bool:
        return latest.entry is not None and self._leaves.end <= latest.entry < self._checkpoint.size

    def _is_unsealed(self, one: RowState) -> bool:
        """Return whether an entry still to be sealed accounts for the row as it is."""
        if one.latest is None:
            return one.is_waiting
        return one.latest.entry is None and one.is_as_left

    def _proof(self, latest: SourceEntry, paths: Mapping[int, list[str]]) -> dict[str, object]:
        entry = latest.entry
        if entry is None or entry == self._said:
            return {"entry": entry}
        self._said = entry
        return {"line": latest.line(entry).decode(), "path": paths[entry]}
