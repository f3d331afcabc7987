"""Signed notes: the example of the form's own specification, and everything that must be refused."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from compliance.signed_notes import (
    Checkpoint,
    NoteError,
    VerifierKey,
    read_checkpoint,
    read_verifier_key,
    sign,
    verifier_key,
    verify,
)

KNOWN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
KNOWN_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NAME = "example.org/log"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = verifier_key(NAME, PRIVATE)
CHECKPOINT = Checkpoint(NAME, 5, bytes(range(32)), datetime(2026, 11, 23, 4, 0, 5, 123456, tzinfo=UTC))
NOTE = sign(CHECKPOINT.text(), NAME, PRIVATE)


def test_the_note_of_the_specification_is_verified() -> None:
    text, key = verify(KNOWN_NOTE, [read_verifier_key(KNOWN_KEY)])

    assert text == KNOWN_NOTE.split("\n\n", maxsplit=1)[0] + "\n"
    assert (key.name, key.key_id, key.text()) == ("PeterNeumann", "c74f20a3", KNOWN_KEY)


def test_a_checkpoint_comes_back_as_it_was_signed() -> None:
    text, key = verify(NOTE, [KEY])

    assert (read_checkpoint(text), key) == (CHECKPOINT, KEY)
    assert text.split("\n")[1:4] == [
        "5",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "sealed 2026-11-23T04:00:05.123456Z",
    ]


def test_signatures_of_others_are_passed_over() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    both = sign(CHECKPOINT.text(), "witness.example", other) + NOTE.rsplit("\n\n", maxsplit=1)[1]

    assert verify(both, [KEY])[1] == KEY


@pytest.mark.parametrize(
    "note",
    [
        pytest.param("", id="nothing"),
        pytest.param("text\n", id="no signature"),
        pytest.param("text\n\n", id="no line of a signature"),
        pytest.param(NOTE[:-1], id="cut"),
        pytest.param(NOTE.replace("— ", "- "), id="another dash"),
        pytest.param(NOTE.replace("\n5\n", "\n6\n"), id="another size"),
        pytest.param(NOTE.replace(NAME, "example.org/other"), id="another log"),
        pytest.param(f"text\n\n— {NAME} AAAA\n", id="no room for a signature"),
        pytest.param(f"text\n\n— {NAME} ====\n", id="no base64"),
    ],
)
def test_what_is_not_signed_by_the_key_is_refused(note: str) -> None:
    with pytest.raises(NoteError):
        verify(note, [KEY])


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_no_changed_byte_passes(place: int, by: int) -> None:
    changed = bytearray(NOTE.encode())
    changed[place] = (changed[place] + by) % 256
    note = changed.decode(errors="replace")

    with pytest.raises(NoteError):
        read_checkpoint(verify(note, [KEY])[0])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("log\n5\n", id="too short"),
        pytest.param(CHECKPOINT.text()[:-1], id="no line break at the end"),
        pytest.param(CHECKPOINT.text().replace("\n5\n", "\n05\n"), id="a size with a leading zero"),
        pytest.param(CHECKPOINT.text().replace("\n5\n", "\n-5\n"), id="a negative size"),
        pytest.param(CHECKPOINT.text().replace("AAEC", "AAE"), id="a root that is no base64"),
        pytest.param("log\n5\nAAEC\nsealed 2026-11-23T04:00:05.123456Z\n", id="a short root"),
        pytest.param(CHECKPOINT.text().replace("sealed", "made"), id="no instant"),
    ],
)
def test_a_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        read_checkpoint(text)


@pytest.mark.parametrize(
    "text",
    ["", "name", "name+00000000+AQ==", f"{KNOWN_KEY[:13]}00000000{KNOWN_KEY[21:]}", KNOWN_KEY.replace("+AR", "+BR")],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        read_verifier_key(text)


@pytest.mark.parametrize("text", ["no line break", "an empty\n\nline\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign(text, NAME, PRIVATE)


def test_keys_of_one_name_are_told_apart() -> None:
    assert VerifierKey(NAME, bytes(32)).key_id != KEY.key_id
