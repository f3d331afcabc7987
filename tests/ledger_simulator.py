"""A ledger in memory, with rows, salts, tree and keys from a seed: for tests of those who verify."""

import base64
import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compliance import ledger_verifier
from compliance.cosignatures import cosigned_text
from compliance.ledger_bundle import pack
from compliance.ledger_lines import entry_line, row_digest
from compliance.merkle import Range, consistency_ranges, cover, inclusion_ranges, leaf_hash, root_of
from compliance.signed_notes import COSIGNATURE, Checkpoint, VerifierKey, sign, verifier_key

BEGAN = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
ORIGIN = "telesales-ledger/00000000-0000-4000-8000-000000000001"
WITNESS = "witness.example/one"
COVERAGE = [
    {"table": "incidents", "key": ["incident_id"], "columns": ["incident_id", "state"]},
    {"table": "registers", "key": ["register", "row_id"], "columns": ["register", "row_id", "name"]},
]

Place = tuple[str, str]


@dataclass(frozen=True)
class State:
    """A row as an entry left it; `row` None: deleted."""

    entry: int
    salt: bytes
    row: str | None


@dataclass
class Contents:
    """The files of a bundle before they are packed, for tests to change."""

    manifest: dict[str, object]
    checkpoint: str
    checkpoints: list[dict[str, object]]
    entries: list[bytes]
    rows: list[dict[str, object]]
    leaves: bytes
    attestations: list[dict[str, object]] = field(default_factory=list)
    spoilt: dict[str, bytes] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        found = {
            "checkpoint.txt": self.checkpoint.encode(),
            "checkpoints.jsonl": _lines(_json(one) for one in self.checkpoints),
            "attestations.jsonl": _lines(_json(one) for one in self.attestations),
            "entries.jsonl": _lines(self.entries),
            "leaves.bin": self.leaves,
            "rows.jsonl": _lines(_json(one) for one in self.rows),
            "verify.py": Path(ledger_verifier.__file__).read_bytes(),
            "README.txt": b"A bundle of a ledger that never was.\n",
        }
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
        return {"manifest.json": _json({**self.manifest, "files": digests}), **found, **self.spoilt}

    def write(self, path: Path) -> Path:
        pack(path, self.files())
        return path


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _lines(lines: Iterable[bytes]) -> bytes:
    return b"".join(one + b"\n" for one in lines)


class Ledger:
    """Entries are added, the tree is sealed, bundles are taken out."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self.key = Ed25519PrivateKey.from_private_bytes(self._chance.randbytes(32))
        self.lines: list[bytes] = []
        self.states: dict[Place, list[State]] = {}
        self.notes: list[tuple[int, str]] = []
        self.witness = Ed25519PrivateKey.from_private_bytes(self._chance.randbytes(32))
        self.attested: list[tuple[str, str, int, bytes]] = []

    @property
    def size(self) -> int:
        return len(self.lines)

    def write(self, table: str, action: str, rows: Mapping[str, str | None]) -> int:
        """Add an entry about rows, by key the text of each; None as in a delete."""
        entry, digests = self.size, []
        for key, row in rows.items():
            salt = self._chance.randbytes(16)
            self.states.setdefault((table, key), []).append(State(entry, salt, None if action == "delete" else row))
            digests.append((key, row_digest(salt, row or "")))
        self.lines.append(entry_line(entry, BEGAN + timedelta(seconds=entry), f"{table}.{action}", digests))
        return entry

    def seal(self, *, after_s: int = 0, key: Ed25519PrivateKey | None = None) -> str:
        """Sign a checkpoint over all entries, `after_s` seconds later than would be its time."""
        at = BEGAN + timedelta(seconds=self.size + after_s)
        note = sign(Checkpoint(ORIGIN, self.size, self._hash(Range(0, self.size)), at).text(), ORIGIN, key or self.key)
        self.notes.append((self.size, note))
        return note

    @property
    def witness_key(self) -> VerifierKey:
        return VerifierKey(WITNESS, self.witness.public_key().public_bytes_raw(), COSIGNATURE)

    def cosign(self, place: int, *, at: datetime = BEGAN) -> None:
        """Have the witness cosign a checkpoint."""
        size, note = self.notes[place]
        signature = self.witness.sign(cosigned_text(note.rpartition("\n\n")[0] + "\n", at))
        value = self.witness_key.key_hash + int(at.timestamp()).to_bytes(8) + signature
        line = f"— {WITNESS} {base64.b64encode(value).decode()}\n"
        self.attested.append(("witness", WITNESS, size, line.encode()))

    def stamp(self, place: int, content: bytes) -> None:
        """Have a checkpoint stamped with the time, with no matter what."""
        self.attested.append(("timestamp", "tsa.example", self.notes[place][0], content))

    def _attestations(self, size: int) -> list[dict[str, object]]:
        notes = dict(self.notes)
        return [
            {
                "kind": kind,
                "name": name,
                "note": notes[old],
                "consistency": self._path(consistency_ranges(old, size)) if old < size else [],
                "content": base64.b64encode(content).decode(),
            }
            for kind, name, old, content in self.attested
        ]

    def _hash(self, leaves: Range) -> bytes:
        return root_of([leaf_hash(line) for line in self.lines[leaves.begin : leaves.end]])

    def _path(self, ranges: Sequence[Range]) -> list[str]:
        return [self._hash(one).hex() for one in ranges]

    def bundle(self, begin: int = 0, end: int | None = None) -> Contents:
        """Take out the entries `begin` to `end` under the newest checkpoint, which must be over all of them."""
        size, note = self.notes[-1]
        end = size if end is None else end
        key = verifier_key(ORIGIN, self.key)
        manifest: dict[str, object] = {
            "format": ledger_verifier.FORMAT,
            "origin": ORIGIN,
            "from": begin,
            "to": end,
            "size": size,
            "left": [
                self._hash(Range(t.index << t.level, (t.index + 1) << t.level)).hex() for t in cover(Range(0, begin))
            ],
            "right": [
                self._hash(Range(t.index << t.level, (t.index + 1) << t.level)).hex() for t in cover(Range(end, size))
            ],
            "keys": [
                {
                    "key_id": key.key_id,
                    "verifier_key": key.text(),
                    "from": "2026-11-23T04:00:00.000000Z",
                    "until": None,
                }
            ],
            "coverage": COVERAGE,
            "exported_at": "2026-11-23T05:00:00.000000Z",
        }
        earlier: list[dict[str, object]] = [
            {"note": text, "consistency": self._path(consistency_ranges(old, size))} for old, text in self.notes[:-1]
        ]
        leaves = b"".join(leaf_hash(line)[: ledger_verifier.LEAF_START] for line in self.lines[begin:end])
        return Contents(
            manifest,
            note,
            earlier,
            self.lines[begin:end],
            self._rows(begin, end, size),
            leaves,
            self._attestations(size),
        )

    def _rows(self, begin: int, end: int, size: int) -> list[dict[str, object]]:
        found, said = [], -1
        touched = [
            (states[-1], place)
            for place, states in self.states.items()
            if any(begin <= one.entry < end for one in states)
        ]
        for state, (table, key) in sorted(touched, key=lambda one: (one[0].entry, one[1])):
            row: dict[str, object] = {"table": table, "key": key, "salt": state.salt.hex(), "row": state.row}
            if state.row is None:
                row["salt"] = None
            if state.entry >= size:
                row["unsealed"] = True
            elif state.entry >= end:
                path = self._path(inclusion_ranges(state.entry, size))
                line = self.lines[state.entry].decode()
                row["later"] = {"entry": state.entry} if said == state.entry else {"line": line, "path": path}
                said = state.entry
            elif state.row is None:
                continue
            found.append(row)
        return found


def incident(number: int, state: str = "open") -> tuple[str, str]:
    """Return the key and the text of a row."""
    key = f"00000000-0000-4000-9000-{number:012}"
    return key, json.dumps({"incident_id": key, "state": state}, separators=(",", ":"))


def small_ledger(seed: int = 1) -> Ledger:
    """Return a ledger of 12 sealed entries: rows added, changed, deleted, some together, with names in Chinese."""
    ledger = Ledger(seed)
    for number in range(4):
        ledger.write("incidents", "insert", dict([incident(number)]))
    ledger.seal()
    ledger.write("registers", "insert", {"agents/a%2F1": '{"register":"agents","row_id":"a/1","name":"张三"}'})
    ledger.write(
        "registers", "range", {f"agents/{one}": f'{{"row_id":"{one}","name":"李四 {one}"}}' for one in range(5)}
    )
    ledger.write("incidents", "update", dict([incident(1, "closed")]))
    ledger.seal()
    ledger.write("incidents", "delete", dict([incident(2)]))
    ledger.write("incidents", "insert", dict([incident(5)]))
    ledger.write(
        "registers", "update", {f"agents/{one}": f'{{"row_id":"{one}","name":"王五 {one}"}}' for one in range(2)}
    )
    ledger.write("incidents", "update", dict([incident(0, "closed")]))
    ledger.write("incidents", "insert", dict([incident(6)]))
    ledger.seal()
    return ledger


def attested_ledger() -> Ledger:
    """Return the small ledger with its second checkpoint cosigned, and its newest cosigned and stamped."""
    ledger = small_ledger()
    ledger.cosign(1, at=BEGAN + timedelta(minutes=1))
    ledger.cosign(2, at=BEGAN + timedelta(minutes=2))
    ledger.stamp(2, b"\x30\x03\x02\x01\x00")
    return ledger
