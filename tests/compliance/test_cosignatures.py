"""What a witness is asked and answers: the specification's examples, vectors, and what must be refused."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from compliance.cosignatures import (
    Cosignature,
    add_checkpoint_request,
    cosigned_text,
    read_cosignature,
    read_known_size,
    read_witness_key,
)
from compliance.signed_notes import ED25519, NoteError, VerifierKey, note_parts, read_verifier_key, sign, verify
from tests.compliance.witness_server import SECONDS, cosignature_line, verifier_key_text

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "cosignatures.json").read_text())

# The example of c2sp.org/tlog-cosignature, whose public key is not published.
SPECIFIED_TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SPECIFIED_NOTE = (
    f"{SPECIFIED_TEXT}\n— example.com/behind-the-sofa"
    " Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
SPECIFIED_LINE = (
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
    "qhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
SPECIFIED_MESSAGE = f"cosignature/v1\ntime 1679315147\n{SPECIFIED_TEXT}"

NAME = "witness.example/w1"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
KEY = read_witness_key(verifier_key_text(NAME, 4, PUBLIC))
TEXT = f"example.org/log\n5\n{base64.b64encode(bytes(32)).decode()}\nsealed 2026-11-23T04:00:05.000000Z\n"
NOTE = sign(TEXT, "example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
LINE = cosignature_line(PRIVATE, NAME, TEXT)
OTHER = cosignature_line(Ed25519PrivateKey.from_private_bytes(bytes(32)), NAME, TEXT)
AT = datetime(2026, 11, 23, 4, 0, 5, tzinfo=UTC)


def with_value(value: bytes) -> bytes:
    return f"— {NAME} {base64.b64encode(value).decode()}\n".encode()


def test_the_text_that_is_signed_is_that_of_the_specification() -> None:
    assert cosigned_text(SPECIFIED_TEXT, datetime.fromtimestamp(1679315147, UTC)) == SPECIFIED_MESSAGE.encode()


def test_the_line_of_the_specification_has_the_parts_that_are_read() -> None:
    _, [[name, value]] = note_parts(f"{SPECIFIED_TEXT}\n{SPECIFIED_LINE}")

    assert (name, len(value), int.from_bytes(value[4:12])) == ("witness.example.com/w1", 4 + 8 + 64, 1679315147)


def test_the_line_of_the_specification_is_by_no_key_of_ours() -> None:
    key = VerifierKey("witness.example.com/w1", PUBLIC, b"\x04")

    with pytest.raises(NoteError, match="no signature by the key"):
        read_cosignature(SPECIFIED_NOTE, SPECIFIED_LINE.encode(), key)


def test_a_request_is_the_old_size_the_proof_an_empty_line_and_the_note() -> None:
    assert add_checkpoint_request(3, [bytes(32), b"\xff" * 32], NOTE).decode() == (
        "old 3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n//////////////////////////////////////////8=\n\n" + NOTE
    )
    assert add_checkpoint_request(0, [], NOTE).decode() == f"old 0\n\n{NOTE}"


@pytest.mark.parametrize("one", VECTORS["cosignatures"])
def test_vectors_are_what_the_tests_make_and_the_product_reads(one: dict[str, Any]) -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(one["private"]))
    text, _ = note_parts(one["note"])
    key = read_witness_key(one["verifier_key"])

    assert one["verifier_key"] == verifier_key_text(one["name"], 4, private.public_key().public_bytes_raw())
    assert one["line"].encode() == cosignature_line(private, one["name"], text, one["seconds"])
    assert one["signed"].encode() == cosigned_text(text, datetime.fromtimestamp(one["seconds"], UTC))
    assert read_cosignature(one["note"], one["line"].encode(), key) == Cosignature(
        one["line"], datetime.fromtimestamp(one["seconds"], UTC)
    )


@pytest.mark.parametrize("one", VECTORS["requests"])
def test_vectors_of_requests(one: dict[str, Any]) -> None:
    proof = [bytes.fromhex(hashed) for hashed in one["proof"]]

    assert add_checkpoint_request(one["old"], proof, one["note"]) == one["body"].encode()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(LINE, id="alone"),
        pytest.param(OTHER + LINE, id="after one by another key of that name"),
        pytest.param(SPECIFIED_LINE.encode() + LINE, id="after one by another name"),
        pytest.param(LINE + SPECIFIED_LINE.encode(), id="before another"),
        pytest.param(LINE + LINE, id="twice"),
    ],
)
def test_the_cosignature_by_the_key_is_found(answer: bytes) -> None:
    assert read_cosignature(NOTE, answer, KEY) == Cosignature(LINE.decode(), AT)


def test_a_cosigned_note_is_still_a_note_of_the_log() -> None:
    log = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()

    assert verify(NOTE + LINE.decode(), [VerifierKey("example.org/log", log)])[0] == TEXT


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\n", id="an empty line"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b"<html>\n", id="a page"),
        pytest.param(LINE[:-1], id="no line break"),
        pytest.param(b"\n" + LINE, id="an empty line before"),
        pytest.param(LINE + b"\n" + LINE, id="an empty line between"),
        pytest.param(b"evil\n\n" + LINE, id="a note of its own"),
        pytest.param(LINE.replace(b"\n", b"\r\n"), id="line breaks of another kind"),
        pytest.param(OTHER, id="another key"),
        pytest.param(cosignature_line(PRIVATE, NAME, TEXT.replace("\n5\n", "\n6\n")), id="another size"),
        pytest.param(cosignature_line(PRIVATE, NAME, "x\n" + TEXT), id="another text"),
        pytest.param(cosignature_line(PRIVATE, NAME, TEXT, 0), id="the instant zero"),
        pytest.param(cosignature_line(PRIVATE, NAME, TEXT, 253_402_300_800), id="the year 10000"),
        pytest.param(cosignature_line(PRIVATE, NAME, TEXT, 2**64 - 1), id="the last instant of all"),
        pytest.param(with_value(KEY.key_hash + b"\0"), id="a byte"),
        pytest.param(with_value(KEY.key_hash + PRIVATE.sign(TEXT.encode())), id="the signature of a note"),
        pytest.param(with_value(base64.b64decode(LINE.split()[2]) + b"\0"), id="a byte too much"),
        pytest.param(with_value(KEY.key_hash + bytes(72)), id="zeros"),
        pytest.param(b"".join([with_value(KEY.key_hash + bytes(72)), LINE]), id="a wrong one before the right one"),
    ],
)
def test_what_is_no_cosignature_of_the_checkpoint_is_refused(answer: bytes) -> None:
    with pytest.raises(NoteError):
        read_cosignature(NOTE, answer, KEY)


@given(st.integers(0, len(LINE) - 1), st.integers(1, 255))
def test_no_changed_byte_changes_what_is_read(place: int, by: int) -> None:
    changed = bytearray(LINE)
    changed[place] = (changed[place] + by) % 256

    try:
        found = read_cosignature(NOTE, bytes(changed), KEY)
    except NoteError:
        return
    # The last digit of base64 has bits that say nothing.
    assert found == Cosignature(LINE.decode(), AT)


@given(st.binary(max_size=400))
def test_whatever_is_answered_nothing_but_a_note_error_is_raised(answer: bytes) -> None:
    with pytest.raises(NoteError):
        read_cosignature(NOTE, answer, KEY)


def test_the_last_second_that_there_is_is_read() -> None:
    line = cosignature_line(PRIVATE, NAME, TEXT, 253_402_300_799)

    assert read_cosignature(NOTE, line, KEY).at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_key_that_signs_notes_makes_no_cosignatures() -> None:
    key = read_verifier_key(verifier_key_text(NAME, 1, PUBLIC))
    value = key.key_hash + base64.b64decode(LINE.split()[2])[4:]

    assert key.kind == ED25519
    with pytest.raises(NoteError, match="is no cosignature"):
        read_cosignature(NOTE, with_value(value), key)


def test_the_key_of_a_witness_is_of_its_own_kind() -> None:
    text = verifier_key_text(NAME, 4, PUBLIC)

    assert read_witness_key(text).text() == text
    with pytest.raises(NoteError, match="the first is 4"):
        read_witness_key(verifier_key_text(NAME, 1, PUBLIC))
    with pytest.raises(NoteError, match="the first is 1"):
        read_verifier_key(text)


@pytest.mark.parametrize("name", ["", "a b", "a\nb"])
def test_a_key_of_no_name_is_refused(name: str) -> None:
    with pytest.raises(NoteError):
        read_witness_key(verifier_key_text(name, 4, PUBLIC))


@pytest.mark.parametrize(
    ("answer", "size"), [(b"0\n", 0), (b"17\n", 17), (b"17", 17), (b"9999999999999999999\n", 9999999999999999999)]
)
def test_the_size_that_a_witness_knows_is_read(answer: bytes, size: int) -> None:
    assert read_known_size(answer) == size


@pytest.mark.parametrize(
    "answer",
    [b"", b"\n", b"017\n", b"-1\n", b"1.5\n", b"17 \n", b"17\n\n", b"17\n18\n", "１７\n".encode(), b"\xff", b"1" * 20],
)
def test_what_is_no_size_is_refused(answer: bytes) -> None:
    with pytest.raises(NoteError):
        read_known_size(answer)


def test_the_instant_of_the_tests_is_the_one_that_they_name() -> None:
    assert datetime.fromtimestamp(SECONDS, UTC) == AT
