"""Document, examples and code agree: what `docs/ledger.md` specifies, on the standard library, is what we do."""

import base64
import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from compliance.ledger_keys import LedgerSigner, PublicKey
from compliance.ledger_lines import entry_line, hidden_key, joined_key, row_digest
from compliance.ledger_sealer import CHECKS_PER_RANGE, MOST_CHECKS, MOST_ENTRIES
from compliance.merkle import check_consistency, check_inclusion, leaf_hash, root_of
from compliance.signed_notes import Checkpoint, read_checkpoint, verifier_key

PROJECT = Path(__file__).parents[2]
DOCUMENT = re.sub(r"\s+", " ", (PROJECT / "docs" / "ledger.md").read_text())
VECTORS: dict[str, Any] = json.loads((PROJECT / "tests" / "vectors" / "ledger.json").read_text())
LEAVES = [bytes.fromhex(one["leaf"]) for one in VECTORS["entries"]]
ROOTS = [bytes.fromhex(one) for one in VECTORS["roots"]]


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


@pytest.mark.parametrize("one", VECTORS["row_digests"])
def test_row_digests(one: dict[str, str]) -> None:
    salt = bytes.fromhex(one["salt"])
    specified = sha256(b"telesales-ledger-row-1", b"\0", salt, one["row"].encode())

    assert one["digest"] == specified.hex() == row_digest(salt, one["row"]).hex()
    assert "SHA-256(`telesales-ledger-row-1` || 0x00 || salt || row text)" in DOCUMENT


@pytest.mark.parametrize("one", VECTORS["keys"])
def test_joined_keys(one: dict[str, Any]) -> None:
    assert joined_key(one["parts"]) == one["key"]
    assert one["key"].count("/") == len(one["parts"]) - 1


@pytest.mark.parametrize("one", VECTORS["hidden_keys"])
def test_hidden_keys(one: dict[str, str]) -> None:
    secret = bytes.fromhex(one["secret"])
    specified = "~" + sha256(b"telesales-ledger-key-1", b"\0", secret, one["key"].encode()).hex()[:32]

    assert one["hidden"] == specified == hidden_key(secret, one["key"])
    assert "SHA-256(`telesales-ledger-key-1` || 0x00 || secret || key)" in DOCUMENT


@pytest.mark.parametrize("one", VECTORS["entries"])
def test_lines_and_leaves(one: dict[str, Any]) -> None:
    rows = [(key, bytes.fromhex(digest)) for key, digest in one["rows"]]

    line = entry_line(one["entry"], datetime.fromisoformat(one["at"]), one["kind"], rows)

    assert line.decode() == one["line"]
    assert list(json.loads(line)) == ["entry", "at", "kind", "rows"]
    assert one["leaf"] == leaf_hash(line).hex() == sha256(b"\0", line).hex()


def test_the_line_of_the_document_has_the_members_of_the_examples() -> None:
    assert '{"entry":17,"at":"2026-11-23T04:00:00.123456Z","kind":"incidents.insert","rows":[["KEY",' in DOCUMENT


def test_roots() -> None:
    assert [root_of(LEAVES[:size]) for size in range(len(LEAVES) + 1)] == ROOTS
    assert ROOTS[2] == sha256(b"\x01", LEAVES[0], LEAVES[1])
    assert ROOTS[0] == sha256()


@pytest.mark.parametrize("one", VECTORS["inclusion"])
def test_inclusion_proofs(one: dict[str, Any]) -> None:
    path = [bytes.fromhex(hashed) for hashed in one["path"]]

    assert check_inclusion(LEAVES[one["entry"]], one["entry"], one["size"], path, ROOTS[one["size"]]) is None  # type: ignore[func-returns-value]  # raises or not


@pytest.mark.parametrize("one", VECTORS["consistency"])
def test_consistency_proofs(one: dict[str, Any]) -> None:
    path = [bytes.fromhex(hashed) for hashed in one["path"]]

    assert check_consistency(one["old"], one["new"], path, ROOTS[one["old"]], ROOTS[one["new"]]) is None  # type: ignore[func-returns-value]  # raises or not


@pytest.mark.parametrize("one", VECTORS["verifier_keys"])
def test_verifier_keys(one: dict[str, str]) -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(one["private"]))
    origin = VECTORS["checkpoints"][0]["note"].split("\n")[0]
    public = private.public_key().public_bytes_raw()

    assert one["key_id"] == sha256(origin.encode(), b"\n\x01", public)[:4].hex()
    assert one["verifier_key"] == f"{origin}+{one['key_id']}+{base64.b64encode(bytes([1]) + public).decode()}"
    assert verifier_key(origin, private).text() == one["verifier_key"]


@pytest.mark.parametrize("one", VECTORS["checkpoints"])
def test_checkpoints(one: dict[str, Any]) -> None:
    known = {key["key_id"]: bytes.fromhex(key["private"]) for key in VECTORS["verifier_keys"]}
    text, _, signatures = one["note"].rpartition("\n\n")
    said = read_checkpoint(text + "\n")
    pairs = [Ed25519PrivateKey.from_private_bytes(known[key_id]) for key_id in one["signed_by"]]
    keys = [(PublicKey(verifier_key(said.origin, private), said.sealed_at, None), private) for private in pairs]
    signer = LedgerSigner(said.origin, tuple(keys))

    assert (said.size, said.root) == (len(LEAVES), ROOTS[-1])
    assert (
        signer.sign(Checkpoint(said.origin, said.size, said.root, said.sealed_at).text(), at=said.sealed_at)
        == one["note"]
    )
    for line, private in zip(signatures.splitlines(), pairs, strict=True):
        dash, name, value = line.split(" ")
        assert (dash, name) == ("—", said.origin)
        public: Ed25519PublicKey = private.public_key()
        public.verify(base64.b64decode(value)[4:], (text + "\n").encode())


@pytest.mark.parametrize(
    "claim",
    [
        f"up to {CHECKS_PER_RANGE} call checks",
        f"at most {MOST_ENTRIES:,} entries and {MOST_CHECKS:,} call checks a transaction",
    ],
)
def test_the_document_gives_the_figures_of_the_code(claim: str) -> None:
    assert claim in DOCUMENT
