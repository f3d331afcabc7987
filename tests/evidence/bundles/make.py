"""Makes the folder of bundles: `python -m tests.evidence.bundles.make`.

Good ones of a released format stay as they are for ever: only what is not there is written.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from compliance.merkle import leaf_hash
from compliance.signed_notes import sign
from tests.ledger_simulator import ORIGIN, Contents, Ledger, attested_ledger, incident, small_ledger

FOLDER = Path(__file__).parent
GOOD, BROKEN = FOLDER / "good", FOLDER / "broken"


def good() -> Iterator[tuple[str, Contents]]:
    yield "format-1-whole", small_ledger().bundle()
    yield "format-1-part-with-later-changes", small_ledger().bundle(3, 8)
    yield "format-1-empty", small_ledger().bundle(12, 12)
    ledger = small_ledger()
    ledger.write("incidents", "update", dict([incident(3, "closed")]))
    ledger.write("incidents", "insert", dict([incident(9)]))
    yield "format-1-with-unsealed-rows", ledger.bundle(0, 12)
    yield "format-1-attested", attested_ledger().bundle()


def _edited_row(contents: Contents) -> None:
    row = next(one for one in contents.rows if "李四 3" in str(one["row"]))
    row["row"] = str(row["row"]).replace("李四", "李西")


def _older_row(contents: Contents) -> None:
    key, text = incident(1)
    states = small_ledger().states["incidents", key]
    row = next(one for one in contents.rows if one["key"] == key)
    row.update(salt=states[0].salt.hex(), row=text)


def _missing_row(contents: Contents) -> None:
    del contents.rows[2]


def _added_row(contents: Contents) -> None:
    key, text = incident(77)
    contents.rows.append({"table": "incidents", "key": key, "salt": "00" * 16, "row": text})


def _deleted_row_back(contents: Contents) -> None:
    key, text = incident(2)
    state = small_ledger().states["incidents", key][0]
    contents.rows.append({"table": "incidents", "key": key, "salt": state.salt.hex(), "row": text})


def _row_twice(contents: Contents) -> None:
    contents.rows.append(contents.rows[-1])


def _later_row_changed(contents: Contents) -> None:
    row = next(one for one in contents.rows if "later" in one and "王五" in str(one["row"]))
    row["row"] = str(row["row"]).replace("王五", "王六")


def _later_without_proof(contents: Contents) -> None:
    row = next(one for one in contents.rows if "later" in one)
    row["later"]["path"].reverse()  # type: ignore[index]


def _other_line(contents: Contents) -> None:
    contents.entries[8] = contents.entries[8].replace(b"04:00:08", b"04:00:09")


def _other_leaves(contents: Contents) -> None:
    contents.leaves = bytes(len(contents.leaves))


def _cut_leaves(contents: Contents) -> None:
    contents.leaves = contents.leaves[:-1]


def _more_leaves(contents: Contents) -> None:
    contents.leaves += bytes(8)


def _line_and_leaf(contents: Contents) -> None:
    _other_line(contents)
    leaf = leaf_hash(contents.entries[8])
    contents.leaves = contents.leaves[:64] + leaf[:8] + contents.leaves[72:]


def _forged_cosignature(contents: Contents) -> None:
    line = b64decode(str(contents.attestations[1]["content"])).decode()
    name, _, value = line.rpartition(" ")
    raw = bytearray(b64decode(value))
    raw[11] ^= 1  # of the instant at which it was seen
    contents.attestations[1]["content"] = b64encode(f"{name} {b64encode(raw).decode()}\n".encode()).decode()


def _cosignature_of_another_checkpoint(contents: Contents) -> None:
    contents.attestations[1]["content"] = contents.attestations[0]["content"]


def _attested_fork(contents: Contents) -> None:
    ledger = Ledger(7)
    ledger.key, ledger.witness = small_ledger().key, small_ledger().witness
    for number in range(7):
        ledger.write("incidents", "insert", dict([incident(number)]))
    ledger.seal()
    ledger.cosign(0)
    contents.attestations[0]["note"] = ledger.notes[0][1]


def _attestation_of_no_kind(contents: Contents) -> None:
    contents.attestations[0]["kind"] = "oath"


def _no_cosignature(contents: Contents) -> None:
    contents.attestations[0]["content"] = b64encode(b"I saw it.\n").decode()


def _uncanonical_line(contents: Contents) -> None:
    contents.entries[8] = contents.entries[8].replace(b'"at":', b'"at": ')


def _deep_line(contents: Contents) -> None:
    contents.entries[8] = b"[" * 100_000


def _missing_entry(contents: Contents) -> None:
    del contents.entries[6]


def _swapped_entries(contents: Contents) -> None:
    contents.entries[4], contents.entries[5] = contents.entries[5], contents.entries[4]


def _cut_tail(contents: Contents) -> None:
    contents.entries.pop()


def _forked_tree(contents: Contents) -> None:
    ledger = Ledger(7)
    ledger.key = small_ledger().key
    for number in range(4):
        ledger.write("incidents", "insert", dict([incident(number)]))
    contents.checkpoints[0]["note"] = ledger.seal()


def _other_size(contents: Contents) -> None:
    root = contents.checkpoint.split("\n")[2]
    text = f"{ORIGIN}\n13\n{root}\nsealed 2026-11-23T04:00:12.000000Z\n"
    contents.checkpoint = sign(text, ORIGIN, small_ledger().key)


def _wrong_key(contents: Contents) -> None:
    contents.checkpoint = sign(contents.checkpoint.partition("\n\n")[0] + "\n", ORIGIN, Ledger(99).key)


def _forged_signature(contents: Contents) -> None:
    contents.checkpoint = contents.checkpoint.replace("04:00:12", "04:00:13")


def _key_out_of_time(contents: Contents) -> None:
    contents.manifest["keys"][0]["until"] = "2026-11-23T04:00:08.000000Z"  # type: ignore[index]


def _replayed_checkpoint(contents: Contents) -> None:
    newest, contents.checkpoint = contents.checkpoint, str(contents.checkpoints[1]["note"])
    contents.checkpoints[1] = {"note": newest, "consistency": []}


def _checkpoint_twice(contents: Contents) -> None:
    contents.checkpoints.insert(1, contents.checkpoints[0])


def _changed_manifest(contents: Contents) -> None:
    contents.manifest["to"] = 11


def _other_format(contents: Contents) -> None:
    contents.manifest["format"] = "telesales-ledger-bundle-9"


def _more_in_manifest(contents: Contents) -> None:
    contents.manifest["more"] = 1


def _changed_readme(contents: Contents) -> None:
    contents.spoilt["README.txt"] = b"Trust us.\n"


def _unknown_file(contents: Contents) -> None:
    contents.spoilt["../../etc/passwd"] = b"root"


BREAKS: dict[str, tuple[Callable[[Contents], None], int]] = {
    "changed-row": (_edited_row, 0),
    "row-of-an-earlier-state": (_older_row, 0),
    "missing-row": (_missing_row, 0),
    "added-row": (_added_row, 0),
    "deleted-row-back-again": (_deleted_row_back, 0),
    "row-twice": (_row_twice, 0),
    "changed-row-outside-the-range": (_later_row_changed, 3),
    "later-entry-not-proven": (_later_without_proof, 3),
    "changed-entry": (_other_line, 0),
    "changed-entry-and-its-leaf": (_line_and_leaf, 0),
    "changed-leaves": (_other_leaves, 0),
    "cut-leaves": (_cut_leaves, 0),
    "more-leaves": (_more_leaves, 0),
    "entry-not-canonical": (_uncanonical_line, 0),
    "entry-of-endless-depth": (_deep_line, 0),
    "missing-entry": (_missing_entry, 0),
    "swapped-entries": (_swapped_entries, 0),
    "cut-tail": (_cut_tail, 0),
    "forked-tree": (_forked_tree, 0),
    "checkpoint-of-another-size": (_other_size, 0),
    "wrong-key": (_wrong_key, 0),
    "forged-signature": (_forged_signature, 0),
    "key-out-of-its-time": (_key_out_of_time, 0),
    "replayed-checkpoint": (_replayed_checkpoint, 0),
    "checkpoint-twice": (_checkpoint_twice, 0),
    "changed-manifest": (_changed_manifest, 0),
    "manifest-of-another-format": (_other_format, 0),
    "manifest-with-more": (_more_in_manifest, 0),
    "changed-readme": (_changed_readme, 0),
    "unknown-file": (_unknown_file, 0),
}
"""What is done to a bundle of the entries from a number on (up to 8 where that is not 0)."""

ATTESTED_BREAKS: dict[str, Callable[[Contents], None]] = {
    "forged-cosignature": _forged_cosignature,
    "cosignature-of-another-checkpoint": _cosignature_of_another_checkpoint,
    "attested-fork": _attested_fork,
    "attestation-of-no-kind": _attestation_of_no_kind,
    "cosignature-of-no-form": _no_cosignature,
}
"""What is done to a bundle with attestations."""


def broken() -> Iterator[tuple[str, Contents]]:
    for name, (spoil, begin) in BREAKS.items():
        contents = small_ledger().bundle(begin, 8 if begin else None)
        spoil(contents)
        yield name, contents
    for name, change in ATTESTED_BREAKS.items():
        contents = attested_ledger().bundle()
        change(contents)
        yield name, contents


def damaged() -> Iterator[tuple[str, bytes]]:
    """Give what is not made of whole files: damage to the archive itself."""
    whole = (GOOD / "format-1-whole.zip").read_bytes()
    yield "truncated-file", whole[: len(whole) // 2]
    yield "no-archive", b"%PDF-1.7\n" * 40
    yield "empty-file", b""
    place = whole.index(b"entries.jsonl") + 60
    yield "damaged-inside", whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


def packed(path: Path, files: list[tuple[str, bytes]]) -> None:
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files:
            archive.writestr(name, content)


def main() -> None:
    """Write what is missing."""
    GOOD.mkdir(exist_ok=True)
    BROKEN.mkdir(exist_ok=True)
    for folder, bundles in ((GOOD, good()), (BROKEN, broken())):
        for name, contents in bundles:
            path = folder / f"{name}.zip"
            if not path.exists():
                contents.write(path)
    for name, content in damaged():
        (BROKEN / f"{name}.zip").write_bytes(content)
    files = small_ledger().bundle().files()
    packed(BROKEN / "zip-bomb.zip", list({**files, "rows.jsonl": bytes(64 << 20)}.items()))
    packed(BROKEN / "file-twice.zip", [*files.items(), ("rows.jsonl", b"")])


if __name__ == "__main__":
    main()
