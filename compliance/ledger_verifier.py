"""Checks a bundle of the ledger with Python's standard library alone: python verify.py BUNDLE [--key KEY] [--json].

`--witness KEY` checks the cosignatures of a witness, and demands one; `--stamps DIR` takes time stamps out, to be
checked with `openssl ts -verify`.

One file that stands for itself: it imports nothing of the product, travels inside every bundle, and may be read in an
hour. Exit status 0: the bundle holds; 1: it does not, and every problem is listed; 2: wrong usage.

A bundle holds the numbered entries `from` to `to` of a ledger, hashes that stand for all others, signed checkpoints
(C2SP signed notes over the Merkle tree of RFC 9162, 2.1), and the rows that the entries speak of, as they are now. Each
row is hashed with its salt and must be what its latest entry says. Ed25519 signatures are checked if the library
`cryptography` is there; if not, the report says so. Whose key it is no bundle can prove: give the one you were told
before with --key, or compare the identifiers that are printed. Nothing in a file, however made, raises out of here.
"""

import argparse
import base64
import hashlib
import io
import json
import marshal
import re
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

FORMAT = "telesales-ledger-bundle-1"
MIB = 1 << 20
MEMBERS = {
    "manifest.json": 4 * MIB,
    "checkpoint.txt": MIB,
    "checkpoints.jsonl": 64 * MIB,
    "attestations.jsonl": 64 * MIB,
    "entries.jsonl": 1 << 36,
    "leaves.bin": 1 << 36,
    "rows.jsonl": 1 << 36,
    "verify.py": MIB,
    "README.txt": MIB,
}
"""What a bundle holds, each with the most bytes it may have."""
MOST_RATIO = 200
"""How many times larger than in the archive a file of more than 1 MiB may be; honest ones stay below 30."""
LONGEST_LINE = 32 * MIB
LEAF_START = 8
"""So many bytes of the hash of each entry's line stand in leaves.bin, which shows where to look, and proves nothing."""
SEAL = b"sha256:"
"""Begins the comment at the end of the archive: the SHA-256, in hex, of all bytes before the hex digits."""

_NOTE_KEY, _COSIGNATURE_KEY = 1, 4
"""First byte of a verifier key: of one that signs notes, of one that a witness cosigns with (C2SP)."""
_ROW_DOMAIN = b"telesales-ledger-row-1\x00"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_KIND = re.compile(r"([a-z_][a-z0-9_]*)\.(insert|update|delete|range)")
_SIMPLE = re.compile(
    rb'\{"entry":(0|[1-9][0-9]{0,18}),"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)",'
    rb'"kind":"([a-z_][a-z0-9_]*)\.(insert|update|delete|range)","rows":\[\["([^"\\\x00-\x1f]*)","([0-9a-f]{64})"\]\]\}'
)
"""An entry about one row whose key needs no escapes."""
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_MANIFEST = ["format", "origin", "from", "to", "size", "left", "right", "keys", "coverage", "exported_at", "files"]
_HEX = "0123456789abcdef"
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, struct.error, ValueError,
    OverflowError, LookupError,
)  # fmt: skip

CheckSignature = Callable[[bytes, bytes, bytes], bool]
"""Whether, for this public key, this is the Ed25519 signature of this text."""


class BundleError(Exception):
    """The bundle cannot be read any further; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `entry`, `table` and `key` say where, as far as that is known.

    `what`: row_changed, row_missing, row_unknown, entry_changed, entry_missing, or checkpoint for all that is wrong
    with a checkpoint, the tree under it, or the bundle as a whole.
    """

    entry: int | None
    table: str | None
    key: str | None
    what: str
    message: str


@dataclass(slots=True)
class Report:
    """What was found: how many entries and rows were read, and all problems."""

    entries: int = 0
    rows: int = 0
    unsealed: int = 0
    not_checked: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    witnessed: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def add(self, what: str, message: str, *, entry: int | None = None, place: tuple[str, str] | None = None) -> None:
        table, key = place or (None, None)
        self.problems.append(Problem(entry, table, key, what, message))

    def as_json(self) -> dict[str, object]:
        return {
            "ok": self.ok,
            "entries": self.entries,
            "rows": self.rows,
            "unsealed": self.unsealed,
            "not_checked": self.not_checked,
            "problems": [asdict(problem) for problem in self.problems],
        }


class Note(NamedTuple):
    """A checkpoint with its signatures; `sealed_at` in UTC, in a form whose order is that of time."""

    text: str
    origin: str
    size: int
    root: bytes
    sealed_at: str
    signatures: list[tuple[str, bytes]]


class Key(NamedTuple):
    """A public key, and from when until when (exclusive) it signed; `until` None: it still does."""

    text: str
    key_id: str
    public: bytes
    since: str
    until: str | None


class Entry(NamedTuple):
    """What a line of the ledger says; `rows` are keys with digests."""

    number: int
    table: str
    is_delete: bool
    is_range: bool
    rows: list[tuple[str, bytes]]


def row_digest(salt: bytes, row: str) -> bytes:
    """Return the keyed hash of a row, whose text is as in rows.jsonl."""
    return hashlib.sha256(_ROW_DOMAIN + salt + row.encode()).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The tree of RFC 9162, 2.1, as the perfect subtrees at its right edge, largest first."""

    def __init__(self, size: int, hashes: Sequence[bytes]) -> None:
        if len(hashes) != size.bit_count():
            raise BundleError(f"{size} entries before the first are {size.bit_count()} hashes, not {len(hashes)}")
        self.size, self._hashes = size, list(hashes)

    def append(self, found: bytes, level: int = 0) -> None:
        """Add a leaf's hash, or that of a perfect subtree of `1 << level` leaves, which must fit."""
        above, hashes = self.size >> level, self._hashes
        while above & 1:
            found = _node(hashes.pop(), found)
            above >>= 1
        hashes.append(found)
        self.size += 1 << level

    def fill(self, size: int, hashes: Sequence[bytes]) -> None:
        """Add the fewest perfect subtrees that make the tree one of `size`."""
        for one in hashes:
            if self.size >= size:
                raise BundleError("the manifest has more hashes to the right than the tree has entries there")
            level = (size - self.size).bit_length() - 1
            self.append(one, min(level, (self.size & -self.size).bit_length() - 1) if self.size else level)
        if self.size != size:
            raise BundleError(f"entries and hashes make a tree of {self.size}, and the checkpoint has {size}")

    def root(self) -> bytes:
        found = self._hashes[-1] if self._hashes else hashlib.sha256(b"").digest()
        for one in reversed(self._hashes[:-1]):
            found = _node(one, found)
        return found


def is_included(leaf: bytes, entry: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether the path shows that `leaf` is `entry` of the tree of `size` (RFC 9162, 2.1.3.2)."""
    first, second, found = entry, size - 1, leaf
    for beside in path:
        if not second:
            return False
        if first & 1 or first == second:
            found = _node(beside, found)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            found = _node(found, beside)
        first, second = first >> 1, second >> 1
    return not second and found == root


def is_consistent(old: Note, new: Note, path: Sequence[bytes]) -> bool:
    """Return whether the path shows that the tree of `new` begins with that of `old` (RFC 9162, 2.1.4.2)."""
    if old.size in {0, new.size}:
        return not path and old.root == (new.root if old.size else Tree(0, []).root())
    if not path:
        return False
    hashes = list(path) if old.size & (old.size - 1) else [old.root, *path]
    first, second = old.size - 1, new.size - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    found_old = found_new = hashes[0]
    for beside in hashes[1:]:
        if not second:
            return False
        if first & 1 or first == second:
            found_old, found_new = _node(beside, found_old), _node(beside, found_new)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            found_new = _node(found_new, beside)
        first, second = first >> 1, second >> 1
    return not second and found_old == old.root and found_new == new.root


_decoded_json = json.JSONDecoder().decode
_encoded_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_quoted = json.encoder.encode_basestring


def _written(content: dict[str, Any]) -> str:
    """Return the one text in which an object is written; one of strings alone, as most rows are, is made fast."""
    if all(type(one) is str for one in content.values()):
        return "{" + ",".join([f"{_quoted(name)}:{_quoted(one)}" for name, one in content.items()]) + "}"
    return _encoded_json(content)


def _content(line: bytes, where: str) -> dict[str, Any]:
    """Return the object on a line that is written in the one way in which there is to write it."""
    try:
        text = line.decode()
        content = _decoded_json(text)
        if isinstance(content, dict) and _written(content) == text:
            return content
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is not JSON in UTF-8") from error
    raise BundleError(f"{where} is not an object in canonical form")


def _hashes(found: object, where: str) -> list[bytes]:
    if not isinstance(found, list) or not all(_is_hex(one, 64) for one in found):
        raise BundleError(f"{where} is not a list of hashes of 64 hex digits")
    return [bytes.fromhex(one) for one in found]


def _is_hex(found: object, digits: int) -> bool:
    return isinstance(found, str) and len(found) == digits and not found.strip(_HEX)


def _is_instant(found: object) -> bool:
    return isinstance(found, str) and _INSTANT.fullmatch(found) is not None


def read_entry(line: bytes, where: str) -> Entry:
    """Return what a line of the ledger says.

    Raises:
        BundleError: it is none, or written in another than the canonical form.
    """
    simple = _SIMPLE.fullmatch(line)
    if simple is not None:  # most entries: canonical as they match
        key, digest = simple[5].decode(errors="replace"), bytes.fromhex(simple[6].decode())
        if key.encode() == simple[5]:
            is_delete, is_range = simple[4] == b"delete", simple[4] == b"range"
            return Entry(int(simple[1]), simple[3].decode(), is_delete, is_range, [(key, digest)])
    content = _content(line, where)
    if list(content) != ["entry", "at", "kind", "rows"]:
        raise BundleError(f"{where} does not have the members entry, at, kind, rows")
    number, at, kind, rows = content.values()
    shape = _KIND.fullmatch(kind) if isinstance(kind, str) else None
    if type(number) is not int or number < 0 or not _is_instant(at) or shape is None or not isinstance(rows, list):
        raise BundleError(f"{where} has a member that is not of its kind")
    found = []
    for row in rows:
        if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str) or not _is_hex(row[1], 64):  # noqa: PLR2004
            raise BundleError(f"{where} has a row that is not a key with a digest")
        found.append((row[0], bytes.fromhex(row[1])))
    return Entry(number, shape[1], shape[2] == "delete", shape[2] == "range", found)


def read_note(text: str, where: str) -> Note:
    """Return a checkpoint with its signatures.

    Raises:
        BundleError: it is none.
    """
    said, gap, rest = text.rpartition("\n\n")
    lines, shapes = said.split("\n"), [_SIGNATURE.fullmatch(line) for line in rest[:-1].split("\n")]
    if not gap or not rest.endswith("\n") or len(lines) < 4 or not lines[0] or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004
        raise BundleError(f"{where} is not a signed note of a checkpoint")
    root, sealed, _, at = _decoded(lines[2]), *lines[3].partition(" ")
    signatures = [(shape[1], _decoded(shape[2])) for shape in shapes if shape is not None]
    if len(root) != 32 or sealed != "sealed" or not _is_instant(at) or len(signatures) < len(shapes):  # noqa: PLR2004
        raise BundleError(f"{where} is not a signed note of a checkpoint")
    return Note(said + "\n", lines[0], int(lines[1]), root, at, signatures)


def _decoded(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return found if base64.b64encode(found).decode() == text else b""


def read_key(found: object) -> Key:
    """Return a key of the manifest.

    Raises:
        BundleError: it is none.
    """
    if not isinstance(found, dict) or list(found) != ["key_id", "verifier_key", "from", "until"]:
        raise BundleError("manifest.json: a key has the members key_id, verifier_key, from, until")
    key_id, text, since, until = found.values()
    own, public = _public_key(text if isinstance(text, str) else "", _NOTE_KEY, "manifest.json")
    if own != key_id:
        raise BundleError("manifest.json: the id of a key is not its own")
    if not _is_instant(since) or not (until is None or _is_instant(until)):
        raise BundleError("manifest.json: from and until of a key are not instants in UTC")
    return Key(text, own, public, since, until)


def _public_key(text: str, kind: int, where: str) -> tuple[str, bytes]:
    """Return id and public key of a verifier key of a kind: `NAME+HASH+BASE64(kind || public key)`."""
    name, given, public = [*text.split("+", 2), "", "", ""][:3]
    raw = _decoded(public)
    own = hashlib.sha256(name.encode(errors="replace") + b"\n" + raw).hexdigest()[:8]
    if len(raw) != 33 or raw[0] != kind or own != given:  # noqa: PLR2004 - a kind, and 32 bytes
        raise BundleError(f"{where}: a verifier key is not NAME+HASH+KEY, or the hash is not its own")
    return own, raw[1:]


def library() -> CheckSignature | None:
    """Return a check of signatures by the library `cryptography`, or None where it is not installed."""
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - it may be missing
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ImportError:
        return None

    def check(public: bytes, signature: bytes, text: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True

    return check


def check_note(note: Note, keys: Sequence[Key], check_signature: CheckSignature | None, report: Report) -> None:
    """Report what is wrong with the signatures of a checkpoint: one by a key of its time is needed, and must hold."""
    where = f"the checkpoint of {note.size} entries"
    named = {(note.origin, bytes.fromhex(key.key_id)): key for key in keys}
    signed = [(named[name, value[:4]], value[4:]) for name, value in note.signatures if (name, value[:4]) in named]
    if not signed:
        report.add("checkpoint", f"{where} is not signed by a key that is known")
    for key, signature in signed:
        if note.sealed_at < key.since or (key.until is not None and note.sealed_at >= key.until):
            report.add("checkpoint", f"{where} is signed by key {key.key_id} at a time when that was not in use")
        if check_signature is None:
            report.not_checked.append(f"Ed25519 signature of {where}: no library")
        elif not check_signature(key.public, signature, note.text.encode()):
            report.add("checkpoint", f"the signature of key {key.key_id} on {where} is wrong")


class Join:
    """Brings entries and rows together by table and key, through files, so that memory stays small however many."""

    _PARTS = 64
    _MOST_WAITING = 40_000

    def __init__(self, stack: ExitStack) -> None:
        self._files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(self._PARTS)]  # noqa: SIM115
        self._parts: list[list[tuple[Any, ...]]] = [[] for _ in range(self._PARTS)]
        self._waiting = 0

    def add(self, place: tuple[str, str], *content: object) -> None:
        """Add an entry about a row: number, digest, whether it deletes, whether it is a range.

        Or the row: its digest (empty: another entry accounts for it), that under the salt of the first range, and
        whether an entry outside the bundle seals it again.
        """
        self._parts[hash(place) % self._PARTS].append((place, *content))
        self._waiting += 1
        if self._waiting == self._MOST_WAITING:
            self._flush()

    def _flush(self) -> None:
        for file, part in zip(self._files, self._parts, strict=True):
            marshal.dump(part, file)
            part.clear()
        self._waiting = 0

    def judge(self, report: Report) -> None:
        """Report every row that is not what the latest entry about it says."""
        self._flush()
        for file in self._files:
            file.seek(0)
            self._judge_part(file, report)

    def _judge_part(self, file: BinaryIO, report: Report) -> None:
        part = _read_part(file, report)
        for place, (entry, digest, is_delete, is_range) in part.latest.items():
            found, first, is_again = part.rows.pop(place, (None, b"", False))
            _judge(report, place, entry, None if is_delete else digest, found)
            if is_range and (is_again or (found and part.ranges[place][0] < entry)):
                begun, left = part.ranges[place]
                if first != left:
                    message = "the row, of a table whose rows never change, is not as the first entry about it left it"
                    report.add("row_changed", message, entry=begun, place=place)
        for place, (found, *_) in part.rows.items():
            if found:
                report.add("row_unknown", "no entry of the bundle speaks of this row", place=place)


class _Part(NamedTuple):
    """By table and key: the latest entry, the first range, and the row."""

    latest: dict[tuple[str, str], tuple[int, bytes, bool, bool]]
    ranges: dict[tuple[str, str], tuple[int, bytes]]
    rows: dict[tuple[str, str], tuple[bytes | None, bytes, bool]]


def _read_part(file: BinaryIO, report: Report) -> _Part:
    part = _Part({}, {}, {})
    for place, *content in _records(file):
        if len(content) > 3:  # noqa: PLR2004 - a row has less
            number, digest, is_delete, is_range = content
            if place not in part.latest or part.latest[place][0] <= number:
                part.latest[place] = (number, digest, is_delete, is_range)
            if is_range and (place not in part.ranges or number < part.ranges[place][0]):
                part.ranges[place] = (number, digest)
        elif place in part.rows:
            report.add("row_unknown", "the row stands twice in rows.jsonl", place=place)
        else:
            part.rows[place] = (content[0], content[1], content[2])
    return part


def _records(file: BinaryIO) -> Iterator[tuple[Any, ...]]:
    while True:
        try:
            yield from marshal.load(file)  # noqa: S302 - a file of this process alone
        except EOFError:
            return


def _judge(report: Report, place: tuple[str, str], entry: int, digest: bytes | None, row: bytes | None) -> None:
    """Report what is wrong with a row (its digest; None: absent; empty: accounted for elsewhere) under an entry."""
    if row is None and digest is not None:
        report.add("row_missing", "the row that the entry left is not there any more", entry=entry, place=place)
    elif row and digest is None:
        report.add("row_unknown", "the entry deleted the row, and it is there", entry=entry, place=place)
    elif row and row != digest:
        report.add("row_changed", "the row is not as the latest entry about it left it", entry=entry, place=place)


def _row_parts(content: dict[str, Any], where: str) -> tuple[tuple[str, str], bytes | None, bytes, list[str]]:
    """Return of a line of rows.jsonl table and key, digest, that under the salt of `first`, and what else it names."""
    names, (table, key, salt, row) = list(content), [*content.values(), None, None, None, None][:4]
    more = [name for name in names[4:] if name != "first"]
    if names not in (["table", "key", "salt", "row", *more], ["table", "key", "salt", "row", "first", *more]):
        raise BundleError(f"{where} does not have the members table, key, salt, row")
    if more not in ([], ["later"], ["unsealed"]):
        raise BundleError(f"{where} does not have the members table, key, salt, row")
    if not isinstance(table, str) or not isinstance(key, str):
        raise BundleError(f"{where} does not name a table and a key")
    digest = _salted(salt, row)
    if digest is None and not (salt is row is None and more):
        raise BundleError(f"{where} has no salt or no row")
    first_digest = _salted(content.get("first"), row) or b""
    if "first" in content and not first_digest:
        raise BundleError(f"{where}: first is not a salt")
    return (table, key), digest, first_digest, more


def _salted(salt: object, row: object) -> bytes | None:
    return row_digest(bytes.fromhex(str(salt)), row) if _is_hex(salt, 32) and isinstance(row, str) else None


class _Bundle:
    """A bundle that is being read, with what has been found so far."""

    def __init__(self, archive: zipfile.ZipFile, report: Report, stack: ExitStack) -> None:
        self.archive, self.report, self.join = archive, report, Join(stack)
        self.found: dict[str, str] = {}
        self.later: tuple[int, str, dict[str, bytes | None], bool] = (-1, "", {}, False)
        self.manifest = self._manifest()
        self.begin, self.end, self.size = (int(self.manifest[name]) for name in ("from", "to", "size"))

    def _chunks(self, name: str) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with self.archive.open(name) as member:
            while chunk := member.read(MIB):
                digest.update(chunk)
                yield chunk
        self.found[name] = digest.hexdigest()

    def _whole(self, name: str) -> bytes:
        return b"".join(self._chunks(name))

    def _lines(self, name: str) -> Iterator[bytes]:
        rest = b""
        for chunk in self._chunks(name):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            if len(rest) > LONGEST_LINE:
                raise BundleError(f"{name} has a line of more than {LONGEST_LINE // MIB} MiB")
            yield from lines
        if rest:
            raise BundleError(f"{name} ends in the middle of a line: it is cut off")

    def _manifest(self) -> dict[str, Any]:
        try:
            found = json.loads(self._whole("manifest.json"))
        except (ValueError, RecursionError) as error:
            raise BundleError("manifest.json is not JSON in UTF-8") from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise BundleError(f"manifest.json is not one of the format {FORMAT}, the only one this verifier knows")
        if list(found) != _MANIFEST:
            raise BundleError(f"manifest.json does not have the members {', '.join(_MANIFEST)}")
        numbers = [found[name] for name in ("from", "to", "size")]
        if any(type(one) is not int for one in numbers) or not 0 <= numbers[0] <= numbers[1] <= numbers[2] < 1 << 62:
            raise BundleError("manifest.json: from, to and size are not numbers of entries in this order")
        if not isinstance(found["keys"], list) or not isinstance(found["files"], dict):
            raise BundleError("manifest.json: keys or files are not of their kind")
        if not isinstance(found["origin"], str) or not _is_instant(found["exported_at"]):
            raise BundleError("manifest.json: origin or exported_at are not of their kind")
        if set(found["files"]) != set(MEMBERS) - {"manifest.json"}:
            raise BundleError("manifest.json: files does not name all others of the bundle")
        return found

    def check(
        self, check_signature: CheckSignature | None, pinned: Collection[str], witnesses: Collection[str]
    ) -> None:
        """Check everything, and add what is wrong to the report."""
        keys = [read_key(found) for found in self.manifest["keys"]]
        self.report.keys = [key.text for key in keys]
        known = [key for key in keys if not pinned or key.text in pinned]
        newest = read_note(self._text("checkpoint.txt"), "checkpoint.txt")
        self._check_newest(newest)
        check_note(newest, known, check_signature, self.report)
        self._attempt(lambda: self._check_earlier(newest, known, check_signature))
        attestations = _Attestations(witnesses, check_signature, self.report)
        self._attempt(lambda: self._check_attestations(newest, known, check_signature, attestations))
        self._attempt(lambda: self._check_entries(newest))
        self._attempt(lambda: self._check_rows(newest))
        self.join.judge(self.report)
        self._check_digests()

    def _attempt(self, part: Callable[[], None]) -> None:
        """Do a part of the work; when it cannot be ended, say so and let the next begin."""
        try:
            part()
        except BundleError as error:
            self.report.add("checkpoint", str(error))

    def _text(self, name: str) -> str:
        try:
            return self._whole(name).decode()
        except UnicodeDecodeError as error:
            raise BundleError(f"{name} is not UTF-8") from error

    def _check_newest(self, newest: Note) -> None:
        if newest.origin != self.manifest["origin"]:
            self.report.add("checkpoint", "checkpoint.txt is of another ledger than the manifest")
        if newest.size != self.size:
            message = f"checkpoint.txt is one of {newest.size} entries, and the manifest speaks of {self.size}"
            self.report.add("checkpoint", message)

    def _check_earlier(self, newest: Note, keys: Sequence[Key], check_signature: CheckSignature | None) -> None:
        last = (0, "")
        for number, line in enumerate(self._lines("checkpoints.jsonl"), 1):
            where = f"checkpoints.jsonl, line {number}"
            content = _content(line, where)
            if list(content) != ["note", "consistency"] or not isinstance(content["note"], str):
                raise BundleError(f"{where} does not have the members note, consistency")
            note, path = read_note(content["note"], where), _hashes(content["consistency"], where)
            check_note(note, keys, check_signature, self.report)
            if not last < (note.size, note.sealed_at) or note.size <= last[0] or note.sealed_at < last[1]:
                self.report.add("checkpoint", f"{where}: a checkpoint is repeated or goes back in size or time")
            else:
                self._check_earlier_note(note, newest, path, where)
            last = (note.size, note.sealed_at)

    def _check_earlier_note(self, note: Note, newest: Note, path: Sequence[bytes], where: str) -> None:
        if note.origin != newest.origin:
            self.report.add("checkpoint", f"{where} is of another ledger")
        elif note.size > newest.size or note.sealed_at > newest.sealed_at:
            self.report.add("checkpoint", f"checkpoint.txt is older than the one at {where}: it was replayed")
        elif newest.size == self.size and not is_consistent(note, newest, path):
            message = f"the tree of {newest.size} entries does not begin with the one of {note.size}: it was forked"
            self.report.add("checkpoint", message)

    def _check_attestations(
        self, newest: Note, keys: Sequence[Key], check_signature: CheckSignature | None, found: "_Attestations"
    ) -> None:
        for number, line in enumerate(self._lines("attestations.jsonl"), 1):
            where = f"attestations.jsonl, line {number}"
            content = _content(line, where)
            if list(content) != ["kind", "name", "note", "consistency", "content"]:
                raise BundleError(f"{where} does not have the members kind, name, note, consistency, content")
            note, path = read_note(str(content["note"]), where), _hashes(content["consistency"], where)
            check_note(note, keys, check_signature, self.report)
            self._check_earlier_note(note, newest, path, where)
            found.check(content, note, where)
        found.end()

    def _check_entries(self, newest: Note) -> None:
        tree, before = (
            Tree(self.begin, _hashes(self.manifest["left"], "manifest.json: left")),
            len(self.report.problems),
        )
        numbers = _Numbers(self.begin, self.report)
        starts = _Starts(self.begin, self._chunks("leaves.bin"))
        for line in self._lines("entries.jsonl"):
            leaf = hashlib.sha256(b"\x00" + line).digest()
            tree.append(leaf)
            where = f"entries.jsonl, line {tree.size - self.begin}"
            try:
                entry = read_entry(line, where)
            except BundleError as error:
                self.report.add("entry_changed", str(error), entry=numbers.unreadable())
                continue
            numbers.check(entry.number)
            starts.compare(entry, leaf)
            for key, digest in entry.rows:
                self.join.add((entry.table, key), entry.number, digest, entry.is_delete, entry.is_range)
        self.report.entries = tree.size - self.begin
        numbers.end(self.end)
        if len(self.report.problems) > before or newest.size != self.size:
            starts.tell(self.report)
            return  # the root cannot be right: what is wrong stands in the report already
        tree.fill(self.size, _hashes(self.manifest["right"], "manifest.json: right"))
        if tree.root() == newest.root:
            if not starts.are_those_of_all:
                self.report.add("checkpoint", "leaves.bin is not that of the entries, which are as they were sealed")
        elif not starts.tell(self.report):
            self.report.add("checkpoint", "the entries do not lead to the root of the checkpoint: one was changed")

    def _check_rows(self, newest: Note) -> None:
        for number, line in enumerate(self._lines("rows.jsonl"), 1):
            where = f"rows.jsonl, line {number}"
            try:
                self._check_row(_content(line, where), where, newest)
            except BundleError as error:
                self.report.add("row_changed", str(error))
            self.report.rows += 1

    def _check_row(self, content: dict[str, Any], where: str, newest: Note) -> None:
        place, digest, first_digest, more = _row_parts(content, where)
        is_sealed_again = more == ["unsealed"]
        if more == ["later"]:
            entry, said = self._later(content["later"], place, where, newest)
            if said != digest:
                message = "the row is not as the entry after the range left it"
                self.report.add("row_changed", message, entry=entry, place=place)
            is_sealed_again = self.later[3]
        elif more == ["unsealed"]:
            self.report.unsealed += 1
        self.join.add(place, b"" if more else digest, first_digest, is_sealed_again)

    def _later(self, found: object, place: tuple[str, str], where: str, newest: Note) -> tuple[int, bytes | None]:
        """Return an entry after the range and the digest of a row in it; None: the entry deletes the row.

        Rows of the same entry follow one another: the first brings its line and its path, the others its number.
        """
        if not isinstance(found, dict) or list(found) not in (["line", "path"], ["entry"]):
            raise BundleError(f"{where}: later does not have the members line and path")
        if "line" in found:
            self._prove_later(found, where, newest)
        entry, table, rows, _ = self.later
        if found.get("entry", entry) != entry or table != place[0] or place[1] not in rows:
            raise BundleError(f"{where}: the entry named as later does not speak of this row")
        return entry, rows[place[1]]

    def _prove_later(self, found: dict[str, Any], where: str, newest: Note) -> None:
        self.later = (-1, "", {}, False)
        line, path = str(found["line"]).encode(errors="replace"), _hashes(found["path"], where)
        entry = read_entry(line, f"{where}: later")
        leaf = hashlib.sha256(b"\x00" + line).digest()
        if not self.end <= entry.number < newest.size or not is_included(
            leaf, entry.number, newest.size, path, newest.root
        ):
            raise BundleError(f"{where}: the entry named as later is not in the tree, or not after the range")
        rows = {key: None if entry.is_delete else digest for key, digest in entry.rows}
        self.later = (entry.number, entry.table, rows, entry.is_range)

    def _check_digests(self) -> None:
        """Report files that are not those of the manifest, unless it is said already what is wrong in them."""
        explained = {problem.what.partition("_")[0] for problem in self.report.problems}
        for name, what in {"entries.jsonl": "entry", "rows.jsonl": "row"}.items():
            if what in explained:
                self.manifest["files"].pop(name)
        for name in self.manifest["files"]:
            if name not in self.found:
                for _ in self._chunks(name):
                    pass
            if self.found.get(name) != self.manifest["files"][name]:
                what = {"entries.jsonl": "entry_changed", "rows.jsonl": "row_changed"}.get(name, "checkpoint")
                self.report.add(what, f"{name} is not the file that the manifest names: its digest is another")


class _Attestations:
    """Checks what others say of checkpoints: cosignatures of witnesses whose keys are known."""

    def __init__(self, witnesses: Collection[str], check_signature: CheckSignature | None, report: Report) -> None:
        self._check_signature, self._report = check_signature, report
        self._keys = {
            (text.partition("+")[0], bytes.fromhex(own)): public
            for text in witnesses
            for own, public in [_public_key(text, _COSIGNATURE_KEY, "--witness")]
        }
        self._newest: dict[str, tuple[int, int]] = {}

    def check(self, content: dict[str, Any], note: Note, where: str) -> None:
        name, said = content["name"], _decoded(str(content["content"]))
        if content["kind"] not in ("witness", "timestamp") or not isinstance(name, str) or not said:
            raise BundleError(f"{where} is not an attestation of a kind that this verifier knows")
        if content["kind"] == "timestamp":
            what = f"time stamp of {name} on the checkpoint of {note.size} entries"
            self._report.not_checked.append(f"{what}: take it out with --stamps, then openssl ts -verify")
            return
        shape = _SIGNATURE.fullmatch(said.decode(errors="replace").removesuffix("\n"))
        value = _decoded(shape[2]) if shape is not None and shape[1] == name else b""
        if len(value) != 76:  # noqa: PLR2004 - 4 bytes of the key's id, 8 of the time, 64 of the signature
            raise BundleError(f"{where} is not a cosignature of {name}")
        self._check_cosignature(name, value, note)

    def _check_cosignature(self, name: str, value: bytes, note: Note) -> None:
        what, public = (
            f"cosignature of {name} on the checkpoint of {note.size} entries",
            self._keys.get((name, value[:4])),
        )
        if public is None or self._check_signature is None:
            reason = "name the key of the witness with --witness" if public is None else "no library"
            self._report.not_checked.append(f"{what}: {reason}")
            return
        (seconds,) = struct.unpack(">Q", value[4:12])
        if not self._check_signature(public, value[12:], f"cosignature/v1\ntime {seconds}\n{note.text}".encode()):
            self._report.add("checkpoint", f"the {what} is wrong")
            return
        self._newest[name] = max(self._newest.get(name, (0, 0)), (note.size, seconds))

    def end(self) -> None:
        """Say what the witnesses saw, and report those that were named and have seen nothing."""
        for name, (size, seconds) in self._newest.items():
            at = datetime.fromtimestamp(min(seconds, 253402300799), UTC).isoformat()
            self._report.witnessed.append(f"{name} saw the ledger of {size} entries at {at}")
        missing = {name for name, _ in self._keys} - set(self._newest)
        if self._check_signature is not None:
            for name in sorted(missing):
                self._report.add("checkpoint", f"no checkpoint has a cosignature of {name} that holds")


class _Numbers:
    """Watches that entries are numbered without gaps."""

    def __init__(self, begin: int, report: Report) -> None:
        self._next, self._report, self._missing = begin, report, dict[int, int]()

    def unreadable(self) -> int:
        self._next += 1
        return self._next - 1

    def check(self, number: int) -> None:
        if number > self._next:
            self._missing[self._next] = number
        elif number < self._next:
            self._missing.pop(number, None)
            self._report.add("entry_changed", f"entry {number} stands in another place than its own", entry=number)
            return
        self._next = number + 1

    def end(self, end: int) -> None:
        if self._next < end:
            self._missing[self._next] = end
        elif self._next > end:
            self._report.add("entry_changed", f"there are more entries than those before {end}", entry=end)
        for first, after in self._missing.items():
            several = f"entries {first} to {after - 1} are" if after - first > 1 else f"entry {first} is"
            self._report.add("entry_missing", f"{several} missing", entry=first)


def _pieces(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        found = rest + chunk
        whole = len(found) - len(found) % size
        yield from [found[place : place + size] for place in range(0, whole, size)]
        rest = found[whole:]
    if rest:
        yield rest


class _Starts:
    """Watches, by the beginnings of their hashes, which lines are not the ones that were sealed."""

    def __init__(self, begin: int, chunks: Iterator[bytes]) -> None:
        self._next, self._starts, self._is_short = begin, _pieces(chunks, LEAF_START), False
        self._changed: list[Entry] = []

    def compare(self, entry: Entry, leaf: bytes) -> None:
        start = leaf[:LEAF_START]
        while self._next <= entry.number and not self._is_short:
            start = next(self._starts, b"")
            self._is_short = not start
            self._next += 1
        if start and start != leaf[:LEAF_START]:
            self._changed.append(entry)

    @property
    def are_those_of_all(self) -> bool:
        return not (self._changed or self._is_short or next(self._starts, b""))

    def tell(self, report: Report) -> bool:
        """Report the lines that were changed, and return whether any was."""
        for entry in self._changed:
            place = (entry.table, entry.rows[0][0]) if len(entry.rows) == 1 else None
            report.add("entry_changed", "the line is not the one that was sealed", entry=entry.number, place=place)
        return bool(self._changed)


def _is_as_written(file: BinaryIO, size: int) -> bool:
    """Return whether an archive that has a digest of itself at its end still has this digest.

    Raises:
        BundleError: it is cut off, or its directory is longer than that of a bundle.
    """
    tail = len(SEAL) + 64
    file.seek(max(0, size - tail - 22 - 76))
    end = file.read()
    comment = end[-tail:] if end[-tail:].startswith(SEAL) else b""
    record = end[: len(end) - len(comment)][-22:]
    if record[:4] != b"PK\x05\x06" or struct.unpack("<H", record[20:])[0] != len(comment):
        raise BundleError("the file is cut off or no bundle: it does not end as a zip archive of a bundle does")
    directory = end[: len(end) - len(comment) - 22][-76:]
    is_long = directory[56:60] == b"PK\x06\x07"
    length = struct.unpack("<Q", directory[40:48])[0] if is_long else struct.unpack("<L", record[12:16])[0]
    if length > 64 << 10:
        raise BundleError("the directory of the archive is longer than that of a bundle: this is none")
    if not comment:
        return True  # packed anew by somebody: what is inside proves itself
    file.seek(0)
    digest, left = hashlib.sha256(), size - 64
    while left > 0 and (chunk := file.read(min(MIB, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest().encode() == comment[len(SEAL) :]


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Check what the directory of the archive says, before anything is unpacked.

    Raises:
        BundleError: names, sizes or ratios are not those of a bundle.
    """
    members = archive.infolist()
    if sorted(member.filename for member in members) != sorted(MEMBERS):
        names = ", ".join(sorted({ascii(member.filename)[:60] for member in members} - {ascii(one) for one in MEMBERS}))
        missing = ", ".join(sorted(set(MEMBERS) - {member.filename for member in members}))
        raise BundleError(
            f"the archive does not hold the files of a bundle, each once; unknown: {names or 'none'};"
            f" missing: {missing or 'none'}"
        )
    for member in members:
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or member.flag_bits & 1:
            raise BundleError(f"{member.filename} is encrypted, or packed in a way that bundles are not")
        ratio = member.file_size // max(1, member.compress_size)
        if member.file_size > MEMBERS[member.filename] or (member.file_size > MIB and ratio > MOST_RATIO):
            raise BundleError(f"{member.filename} says it unpacks to {member.file_size} bytes: that is a zip bomb")
    if sum(member.compress_size for member in members) > size:
        raise BundleError("the files of the archive overlap: that is a zip bomb")


def verify_bundle(
    path: Path | str,
    *,
    check_signature: CheckSignature | None = None,
    keys: Collection[str] = (),
    witnesses: Collection[str] = (),
) -> Report:
    """Return what is right and wrong with the bundle at `path`.

    `check_signature` None takes the library `cryptography` if that is installed. With `keys` (verifier keys as the
    manifest has them) only checkpoints that these have signed count; otherwise the bundle names its own. Each of the
    `witnesses` (verifier keys for cosignatures) must have cosigned a checkpoint.
    """
    report = Report()
    try:
        with ExitStack() as stack:
            file = stack.enter_context(Path(path).open("rb"))
            size = file.seek(0, io.SEEK_END)
            is_as_written = _is_as_written(file, size)
            archive = stack.enter_context(zipfile.ZipFile(file))
            _check_members(archive, size)
            _Bundle(archive, report, stack).check(check_signature or library(), keys, witnesses)
            if report.ok and not is_as_written:
                report.add("checkpoint", "the file was changed since it was written: its bytes have another digest")
    except BundleError as error:
        report.add("checkpoint", str(error))
    except _UNREADABLE as error:
        report.add(
            "checkpoint", f"the bundle cannot be read to its end ({type(error).__name__}): it is cut off or torn"
        )
    report.problems.sort(key=lambda one: (one.entry is None, one.entry or 0, one.table or "", one.key or "", one.what))
    return report


def take_out_stamps(bundle: Path, target: Path) -> None:
    """Write the time stamps of a bundle that was verified to `target`, each beside the checkpoint that it stamps.

    Check each: openssl ts -verify -data checkpoint-N.txt -in checkpoint-N.1.tsr -CAfile ROOTS.pem
    """
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(bundle) as archive, archive.open("attestations.jsonl") as lines:
        stamps = [one for one in map(json.loads, lines) if one["kind"] == "timestamp"]
    for number, stamp in enumerate(stamps, 1):
        size = read_note(stamp["note"], "a time stamp").size
        (target / f"checkpoint-{size}.txt").write_bytes(stamp["note"].encode())
        (target / f"checkpoint-{size}.{number}.tsr").write_bytes(base64.b64decode(stamp["content"]))


def describe(report: Report) -> str:
    """Return a report in words, a line for each problem."""
    lines = [f"{report.entries} entries and {report.rows} rows read; {report.unsealed} rows not sealed yet"]
    lines += [f"signed with {key}" for key in report.keys]
    lines += [f"witness {said}" for said in report.witnessed]
    lines += [f"NOT CHECKED: {what}" for what in report.not_checked]
    for one in report.problems:
        where = [f"entry {one.entry}"] if one.entry is not None else []
        where += [f"table {one.table}, key {one.key}"] if one.table is not None else []
        lines.append(f"{one.what}: {', '.join([*where, one.message])}")
    lines.append("OK: nothing was changed" if report.ok else f"FAILED: {len(report.problems)} problems")
    return "\n".join(lines)


def main() -> int:
    """Check the bundle named on the command line."""
    parser = argparse.ArgumentParser(description="Checks a bundle of the ledger. Exit status 0: it holds, 1: not.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--key", action="append", default=[], help="verifier key you were given: only it counts")
    parser.add_argument(
        "--witness", action="append", default=[], help="verifier key of a witness: it must have cosigned"
    )
    parser.add_argument("--stamps", type=Path, metavar="DIR", help="write time stamps, and what is stamped, to DIR")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if not given.bundle.is_file():
        parser.error(f"{given.bundle} is not a file")
    try:
        for witness in given.witness:
            _public_key(witness, _COSIGNATURE_KEY, "--witness")
    except BundleError as error:
        parser.error(str(error))
    report = verify_bundle(given.bundle, keys=given.key, witnesses=given.witness)
    if given.stamps is not None and report.ok:
        take_out_stamps(given.bundle, given.stamps)
    text = json.dumps(report.as_json(), ensure_ascii=False) if given.json else describe(report)
    sys.stdout.buffer.write((text + "\n").encode(errors="replace"))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
