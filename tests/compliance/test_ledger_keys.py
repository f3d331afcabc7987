"""Keys of the ledger: made once, kept private, changed with an overlap, judged as of their time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compliance.ledger_keys import (
    DIRECTORY,
    LIST_NAME,
    OVERLAP,
    LedgerKeyError,
    LedgerKeyExposedError,
    LedgerKeyLostError,
    LedgerKeyReplacedError,
    LedgerKeyUnreadableError,
    UntimelySignatureError,
    list_text,
    open_keys,
    read_public_keys,
    rotate_key,
    verify_as_of_its_time,
)
from compliance.signed_notes import NoteError, sign, verify
from tests.conftest import NOON

ORIGIN = "telesales-ledger/7d3c"
DAY = timedelta(days=1)


def key_file(data_dir: Path) -> Path:
    return data_dir / DIRECTORY / f"{open_keys(data_dir, ORIGIN, now=NOON).key_id}.key"


def test_the_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    signer = open_keys(tmp_path, ORIGIN, now=NOON)

    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / DIRECTORY).iterdir()}
    assert files == {f"{signer.key_id}.key": 0o600, LIST_NAME: 0o644}
    assert [(one.key_id, one.from_at, one.until_at) for one in read_public_keys(tmp_path)] == [
        (signer.key_id, NOON, None)
    ]


def test_every_later_start_uses_the_same_key(tmp_path: Path) -> None:
    note = open_keys(tmp_path, ORIGIN, now=NOON).sign("text\n", at=NOON)

    again = open_keys(tmp_path, ORIGIN, now=NOON + DAY)

    assert note == again.sign("text\n", at=NOON)
    assert verify(note, [again.keys[0][0].verifier]) == ("text\n", again.keys[0][0].verifier)


def test_before_the_first_start_there_is_no_public_key(tmp_path: Path) -> None:
    assert read_public_keys(tmp_path) == []


def test_after_a_rotation_both_keys_sign_until_the_overlap_ends(tmp_path: Path) -> None:
    old = open_keys(tmp_path, ORIGIN, now=NOON)
    fresh = rotate_key(tmp_path, ORIGIN, now=NOON + DAY)

    during = open_keys(tmp_path, ORIGIN, now=NOON + DAY)
    last = open_keys(tmp_path, ORIGIN, now=NOON + DAY + OVERLAP - timedelta(microseconds=1))
    after = open_keys(tmp_path, ORIGIN, now=NOON + DAY + OVERLAP)

    note = during.sign("text\n", at=NOON + DAY)
    assert (during.key_id, note.count("\n— ")) == (fresh.key_id, 2)
    assert verify(note, [old.keys[0][0].verifier])[0] == verify(note, [fresh.verifier])[0] == "text\n"
    assert [len(one.keys) for one in (last, after)] == [2, 1]
    assert after.key_id == fresh.key_id


def test_a_signature_is_judged_as_of_its_own_time(tmp_path: Path) -> None:
    note = open_keys(tmp_path, ORIGIN, now=NOON).sign("text\n", at=NOON)
    rotate_key(tmp_path, ORIGIN, now=NOON + DAY)
    keys = read_public_keys(tmp_path)

    assert verify_as_of_its_time(note, keys, at=NOON).key_id == keys[0].key_id
    assert verify_as_of_its_time(note, keys, at=NOON + DAY + OVERLAP - timedelta(seconds=1)).key_id == keys[0].key_id
    with pytest.raises(UntimelySignatureError, match=keys[0].key_id):
        verify_as_of_its_time(note, keys, at=NOON + DAY + OVERLAP)
    with pytest.raises(UntimelySignatureError):
        verify_as_of_its_time(note, keys, at=NOON - timedelta(microseconds=1))


def test_the_signature_of_a_stranger_is_none(tmp_path: Path) -> None:
    open_keys(tmp_path, ORIGIN, now=NOON)

    with pytest.raises(NoteError, match="known key"):
        verify_as_of_its_time(sign("text\n", ORIGIN, Ed25519PrivateKey.generate()), read_public_keys(tmp_path), at=NOON)


def test_a_lost_key_is_named_and_a_new_one_continues_without_it(tmp_path: Path) -> None:
    lost = key_file(tmp_path)
    lost.unlink()
    with pytest.raises(LedgerKeyLostError, match=r"rotate-key --lost"):
        open_keys(tmp_path, ORIGIN, now=NOON)

    fresh = rotate_key(tmp_path, ORIGIN, now=NOON + DAY, overlap=timedelta())

    signer = open_keys(tmp_path, ORIGIN, now=NOON + DAY)
    assert [key.key_id for key, _ in signer.keys] == [fresh.key_id]
    old = read_public_keys(tmp_path)[0]
    assert (old.key_id, old.until_at) == (lost.stem, NOON + DAY)


def test_a_retiring_key_that_is_lost_does_not_stop_its_successor(tmp_path: Path) -> None:
    lost = key_file(tmp_path)
    fresh = rotate_key(tmp_path, ORIGIN, now=NOON)
    lost.unlink()

    assert [key.key_id for key, _ in open_keys(tmp_path, ORIGIN, now=NOON).keys] == [fresh.key_id]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    key_file(tmp_path).chmod(mode)

    with pytest.raises(LedgerKeyExposedError, match=rf"mode {mode:04o}.*chmod 600"):
        open_keys(tmp_path, ORIGIN, now=NOON)


def test_a_key_that_was_replaced_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    key_file(tmp_path).write_bytes(key_file(other).read_bytes())

    with pytest.raises(LedgerKeyReplacedError, match="somebody replaced it"):
        open_keys(tmp_path, ORIGIN, now=NOON)


def test_a_key_file_that_is_a_directory_cannot_be_read(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    path.unlink()
    path.mkdir()

    with pytest.raises(LedgerKeyUnreadableError, match="mode 0600"):
        open_keys(tmp_path, ORIGIN, now=NOON)


@pytest.mark.parametrize("content", [b"", b"AAAA\n", b"not base64\n", b"\xff" * 44])
def test_a_broken_key_file_says_what_it_should_be(tmp_path: Path, content: bytes) -> None:
    key_file(tmp_path).write_bytes(content)

    with pytest.raises(LedgerKeyUnreadableError, match="32 bytes in base64"):
        open_keys(tmp_path, ORIGIN, now=NOON)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[{}]", '[{"key_id": "1", "verifier_key": null}]', "[1]"])
def test_a_broken_list_says_where_its_copy_is(tmp_path: Path, content: str) -> None:
    open_keys(tmp_path, ORIGIN, now=NOON)
    (tmp_path / DIRECTORY / LIST_NAME).write_text(content)

    with pytest.raises(LedgerKeyUnreadableError, match=LIST_NAME):
        open_keys(tmp_path, ORIGIN, now=NOON)


def test_a_private_key_without_the_list_is_not_passed_over_with_a_new_one(tmp_path: Path) -> None:
    key_file(tmp_path)
    (tmp_path / DIRECTORY / LIST_NAME).unlink()

    with pytest.raises(LedgerKeyUnreadableError, match="outside checkpoints"):
        open_keys(tmp_path, ORIGIN, now=NOON)


def test_the_keys_of_another_ledger_are_refused(tmp_path: Path) -> None:
    open_keys(tmp_path, ORIGIN, now=NOON)

    with pytest.raises(LedgerKeyReplacedError, match="DATA_DIR"):
        open_keys(tmp_path, "telesales-ledger/other", now=NOON)


def test_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).write_text("in the way")

    with pytest.raises(LedgerKeyError, match="written"):
        open_keys(tmp_path, ORIGIN, now=NOON)


def test_a_clock_set_back_does_not_turn_the_list_around(tmp_path: Path) -> None:
    open_keys(tmp_path, ORIGIN, now=NOON)

    fresh = rotate_key(tmp_path, ORIGIN, now=NOON - DAY)

    assert fresh.from_at == NOON
    assert open_keys(tmp_path, ORIGIN, now=NOON).key_id == fresh.key_id


def test_the_list_is_written_as_it_is_read(tmp_path: Path) -> None:
    open_keys(tmp_path, ORIGIN, now=NOON)
    rotate_key(tmp_path, ORIGIN, now=NOON + DAY)

    assert (tmp_path / DIRECTORY / LIST_NAME).read_text() == list_text(read_public_keys(tmp_path))


def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: open_keys(tmp_path, ORIGIN, now=NOON).key_id, range(16)))

    assert len(set(found)) == 1
    assert sorted(path.name for path in (tmp_path / DIRECTORY).iterdir()) == sorted([LIST_NAME, f"{found[0]}.key"])


def test_two_rotations_at_once_both_stand_in_the_list(tmp_path: Path) -> None:
    open_keys(tmp_path, ORIGIN, now=NOON)
    with ThreadPoolExecutor(2) as pool:
        fresh = list(pool.map(lambda _: rotate_key(tmp_path, ORIGIN, now=NOON + DAY).key_id, range(2)))

    assert {one.key_id for one in read_public_keys(tmp_path)[1:]} == set(fresh)


def test_a_first_start_killed_before_the_list_is_begun_anew(tmp_path: Path) -> None:
    key_file(tmp_path).rename(tmp_path / DIRECTORY / "0.unlisted")
    (tmp_path / DIRECTORY / LIST_NAME).unlink()

    assert open_keys(tmp_path, ORIGIN, now=NOON).sign("text\n", at=NOON)


def test_a_first_start_killed_after_the_list_is_completed(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    path.rename(path.with_suffix(".unlisted"))

    assert open_keys(tmp_path, ORIGIN, now=NOON).key_id == path.stem
    assert path.exists()
