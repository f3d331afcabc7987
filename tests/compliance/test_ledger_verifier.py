"""Bundles are verified by a stranger's means: good ones of every format pass for ever, broken ones each fail."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance import ledger_verifier
from compliance.ledger_verifier import Report, verify_bundle
from compliance.signed_notes import verifier_key
from tests.evidence.bundles.make import ATTESTED_BREAKS, BREAKS, BROKEN, GOOD
from tests.ledger_simulator import ORIGIN, Ledger, attested_ledger, incident, small_ledger

FIRST, SECOND, SIXTH = (incident(number)[0] for number in (1, 2, 6))

ATTESTED = GOOD / "format-1-attested.zip"
WITNESSES = [attested_ledger().witness_key.text()]

Found = tuple[int | None, str | None, str, str]

SAID: dict[str, list[Found]] = {
    "changed-row": [(5, "agents/3", "row_changed", "not as the latest entry")],
    "row-of-an-earlier-state": [(6, FIRST, "row_changed", "not as the latest entry")],
    "missing-row": [(5, "agents/2", "row_missing", "not there any more")],
    "added-row": [(None, incident(77)[0], "row_unknown", "no entry of the bundle")],
    "deleted-row-back-again": [(7, SECOND, "row_unknown", "the entry deleted the row")],
    "row-twice": [(None, SIXTH, "row_unknown", "stands twice")],
    "changed-row-outside-the-range": [(9, "agents/0", "row_changed", "the entry after the range")],
    "later-entry-not-proven": [
        (5, "agents/0", "row_missing", "not there any more"),
        (5, "agents/1", "row_missing", "not there any more"),
        (None, None, "row_changed", "line 7: the entry named as later is not in the tree"),
        (None, None, "row_changed", "line 8: the entry named as later does not speak"),
    ],
    "changed-entry": [(8, incident(5)[0], "entry_changed", "not the one that was sealed")],
    "changed-entry-and-its-leaf": [(None, None, "checkpoint", "do not lead to the root")],
    "changed-leaves": [(None, None, "checkpoint", "leaves.bin is not that of the entries")],
    "cut-leaves": [(None, None, "checkpoint", "leaves.bin is not that of the entries")],
    "more-leaves": [(None, None, "checkpoint", "leaves.bin is not that of the entries")],
    "entry-not-canonical": [
        (8, None, "entry_changed", "line 9 is not an object in canonical form"),
        (None, incident(5)[0], "row_unknown", "no entry of the bundle"),
    ],
    "entry-of-endless-depth": [
        (8, None, "entry_changed", "line 9 is not JSON"),
        (None, incident(5)[0], "row_unknown", "no entry of the bundle"),
    ],
    "missing-entry": [
        (1, FIRST, "row_changed", "not as the latest entry"),
        (6, None, "entry_missing", "entry 6 is missing"),
    ],
    "swapped-entries": [(4, None, "entry_changed", "in another place than its own")],
    "cut-tail": [
        (11, None, "entry_missing", "entry 11 is missing"),
        (None, SIXTH, "row_unknown", "no entry of the bundle"),
    ],
    "forked-tree": [(None, None, "checkpoint", "it was forked")],
    "checkpoint-of-another-size": [(None, None, "checkpoint", "one of 13 entries, and the manifest speaks of 12")],
    "wrong-key": [(None, None, "checkpoint", "not signed by a key that is known")],
    "forged-signature": [(None, None, "checkpoint", "on the checkpoint of 12 entries is wrong")],
    "key-out-of-its-time": [(None, None, "checkpoint", "at a time when that was not in use")],
    "replayed-checkpoint": [
        (None, None, "checkpoint", "one of 7 entries, and the manifest speaks of 12"),
        (None, None, "checkpoint", "it was replayed"),
    ],
    "checkpoint-twice": [(None, None, "checkpoint", "is repeated")],
    "changed-manifest": [(11, None, "entry_changed", "more entries than those before 11")],
    "manifest-of-another-format": [(None, None, "checkpoint", "not one of the format")],
    "manifest-with-more": [(None, None, "checkpoint", "does not have the members format, origin")],
    "changed-readme": [(None, None, "checkpoint", "README.txt is not the file")],
    "unknown-file": [(None, None, "checkpoint", "unknown: '../../etc/passwd'")],
    "forged-cosignature": [(None, None, "checkpoint", "on the checkpoint of 12 entries is wrong")],
    "cosignature-of-another-checkpoint": [(None, None, "checkpoint", "on the checkpoint of 12 entries is wrong")],
    "attested-fork": [
        (None, None, "checkpoint", "does not begin with the one of 7: it was forked"),
        (None, None, "checkpoint", "cosignature of witness.example/one on the checkpoint of 7 entries is wrong"),
    ],
    "attestation-of-no-kind": [(None, None, "checkpoint", "not an attestation of a kind")],
    "cosignature-of-no-form": [(None, None, "checkpoint", "not a cosignature of witness.example/one")],
    "truncated-file": [(None, None, "checkpoint", "cut off")],
    "no-archive": [(None, None, "checkpoint", "no bundle")],
    "empty-file": [(None, None, "checkpoint", "no bundle")],
    "damaged-inside": [(None, None, "checkpoint", "cut off or torn")],
    "zip-bomb": [(None, None, "checkpoint", "zip bomb")],
    "file-twice": [(None, None, "checkpoint", "each once")],
}


def test_every_broken_bundle_says_what_is_wrong_with_it() -> None:
    assert {path.stem for path in BROKEN.glob("*.zip")} == set(SAID)
    assert set(BREAKS) | set(ATTESTED_BREAKS) < set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_a_broken_bundle_fails_with_its_own_message(name: str) -> None:
    report = verify_bundle(BROKEN / f"{name}.zip", witnesses=WITNESSES if name in ATTESTED_BREAKS else ())

    assert [(one.entry, one.key, one.what) for one in report.problems] == [said[:3] for said in SAID[name]]
    assert all(said[3] in one.message for one, said in zip(report.problems, SAID[name], strict=True))


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.zip")), ids=lambda path: path.stem)
def test_a_good_bundle_of_every_released_format_passes(path: Path) -> None:
    report = verify_bundle(path)

    assert report.problems == []
    assert (report.not_checked == []) == ("attested" not in path.stem)


def test_what_a_witness_saw_is_said_and_time_stamps_are_left_to_openssl() -> None:
    report = verify_bundle(ATTESTED, witnesses=WITNESSES)

    assert (report.problems, report.witnessed) == (
        [],
        ["witness.example/one saw the ledger of 12 entries at 2026-11-23T04:02:00+00:00"],
    )
    assert report.not_checked == [
        "time stamp of tsa.example on the checkpoint of 12 entries: take it out with --stamps, then openssl ts -verify"
    ]


def test_without_its_key_a_witness_is_said_to_be_unchecked() -> None:
    report = verify_bundle(ATTESTED)

    assert (report.problems, report.witnessed) == ([], [])
    assert "name the key of the witness with --witness" in report.not_checked[0]


def test_a_witness_that_was_named_must_have_cosigned() -> None:
    report = verify_bundle(GOOD / "format-1-whole.zip", witnesses=WITNESSES)

    assert [one.message for one in report.problems] == [
        "no checkpoint has a cosignature of witness.example/one that holds"
    ]


def test_time_stamps_are_taken_out_beside_what_they_stamp(tmp_path: Path) -> None:
    done = run(str(ATTESTED), "--stamps", str(tmp_path / "stamps"))

    assert done.returncode == 0
    assert (tmp_path / "stamps" / "checkpoint-12.1.tsr").read_bytes() == b"\x30\x03\x02\x01\x00"
    assert (tmp_path / "stamps" / "checkpoint-12.txt").read_text() == attested_ledger().notes[-1][1]


def test_what_was_read_is_counted() -> None:
    report = verify_bundle(GOOD / "format-1-with-unsealed-rows.zip")

    assert (report.entries, report.rows, report.unsealed) == (12, 11, 1)


@pytest.mark.parametrize(("begin", "end"), [(begin, end) for begin in range(13) for end in range(begin, 13)])
def test_every_part_of_a_ledger_verifies(tmp_path: Path, begin: int, end: int) -> None:
    report = verify_bundle(small_ledger().bundle(begin, end).write(tmp_path / "b.zip"))

    assert (report.problems, report.entries) == ([], end - begin)


WHOLE = (GOOD / "format-1-part-with-later-changes.zip").read_bytes()


@settings(deadline=None)
@given(place=st.integers(0, len(WHOLE) - 1), by=st.integers(1, 255))
def test_any_change_of_any_byte_is_found(tmp_path_factory: pytest.TempPathFactory, place: int, by: int) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.zip"
    path.write_bytes(WHOLE[:place] + bytes([WHOLE[place] ^ by]) + WHOLE[place + 1 :])

    assert not verify_bundle(path).ok


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)))
def test_no_bytes_whatever_make_it_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, begin: int, end: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.zip"
    path.write_bytes(WHOLE[:begin] + content + WHOLE[end:])

    assert verify_bundle(path).ok == (path.read_bytes() == WHOLE)


RANGED = {f"agents/{number}" for number in range(5)}
"""Rows of a range, which never change and so never wait to be sealed again."""

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda one: st.lists(one, max_size=3)
)
MEMBERS = [name for name in small_ledger().bundle().manifest if name != "exported_at"]


@settings(deadline=None)
@given(st.sampled_from(MEMBERS), JSON_VALUES)
def test_no_manifest_whatever_makes_it_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: object
) -> None:
    contents = small_ledger().bundle(3, 8)
    is_same = contents.manifest[name] == value or name == "coverage"
    contents.manifest[name] = value

    assert verify_bundle(contents.write(tmp_path_factory.getbasetemp() / "m.zip")).ok == is_same


@settings(deadline=None)
@given(st.sampled_from(["table", "key", "salt", "row", "later", "unsealed"]), JSON_VALUES, st.integers(0, 7))
def test_no_row_whatever_makes_it_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: object, place: int
) -> None:
    contents = small_ledger().bundle(3, 8)
    row = contents.rows[place]
    may_wait = "later" not in row and row["key"] not in RANGED
    row[name] = value

    report = verify_bundle(contents.write(tmp_path_factory.getbasetemp() / "r.zip"))

    assert report.ok == (name == "unsealed" and may_wait)


def test_a_bundle_packed_anew_by_others_still_verifies(tmp_path: Path) -> None:
    shutil.unpack_archive(GOOD / "format-1-whole.zip", tmp_path / "inside")
    shutil.make_archive(str(tmp_path / "anew"), "zip", tmp_path / "inside")

    assert {one.message for one in verify_bundle(tmp_path / "anew.zip").problems} == set()


def test_only_a_key_that_was_named_counts() -> None:
    path = GOOD / "format-1-whole.zip"
    own = verifier_key(ORIGIN, small_ledger().key).text()
    other = verifier_key(ORIGIN, Ledger(5).key).text()

    assert verify_bundle(path, keys=[own]).ok
    assert {one.what for one in verify_bundle(path, keys=[other]).problems} == {"checkpoint"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the one file on plain Python: no environment, no packages."""
    command = [sys.executable, "-I", "-S", str(Path(ledger_verifier.__file__)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_one_file_runs_on_plain_python_and_says_what_it_cannot_check() -> None:
    done = run(str(GOOD / "format-1-whole.zip"), "--json")

    said = json.loads(done.stdout)
    assert (done.returncode, done.stderr, said["ok"], said["problems"]) == (0, "", True, [])
    assert said["not_checked"][0] == "Ed25519 signature of the checkpoint of 12 entries: no library"
    assert set(said) == {"ok", "entries", "rows", "unsealed", "not_checked", "problems"}


def test_the_one_file_lists_problems_and_exits_with_1() -> None:
    done = run(str(BROKEN / "changed-row.zip"))

    assert done.returncode == 1
    assert "row_changed: entry 5, table registers, key agents/3, the row is not as the latest entry" in done.stdout


@pytest.mark.parametrize(
    "arguments", [[], ["no-such-file.zip"], ["--nonsense"], [str(ATTESTED), "--witness", "witness.example+00+AAAA"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_a_large_bundle_is_verified_within_300_mib(tmp_path: Path) -> None:
    ledger = Ledger()
    for number in range(0, 60_000, 1000):
        ledger.write("incidents", "insert", dict(incident(one) for one in range(number, number + 1000)))
    ledger.seal()
    path = ledger.bundle().write(tmp_path / "large.zip")
    program = (
        "import resource, sys; from compliance.ledger_verifier import verify_bundle;"
        "resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20));"
        "r: object = verify_bundle(sys.argv[1]); print(r.ok, r.rows)"
    )

    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)

    assert done.stdout == "True 60000\n"


def test_a_report_without_problems_is_ok() -> None:
    assert Report().as_json()["ok"] is True
