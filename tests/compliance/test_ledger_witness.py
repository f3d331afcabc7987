"""A witness that is honest, away, lying or of another opinion; sealing goes on whatever it is."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from compliance import ledger_witness
from compliance.cosignatures import read_witness_key
from compliance.ledger_attestations import Attestation, AttestationKind
from compliance.ledger_tree import MissingHashError
from compliance.ledger_witness import INCIDENT, Witness, WitnessFault, show_to_witness
from infra.clock import seconds_running
from tests.compliance.attested_ledger import AttestedLedger, owner_of
from tests.compliance.witness_server import (
    SECONDS,
    Answer,
    WitnessServer,
    cosignature_line,
    verifier_key_text,
    witness_server,
)
from tests.conftest import NOON, SettableClock
from tests.infra.raw_server import Behaviour, drips, raw_server, says, says_and_hangs

Manner = Callable[[WitnessServer, bytes, Answer], Answer]

KEY_TEXT = WitnessServer().key_text


def known(ledger: AttestedLedger) -> dict[str, str]:
    """Return what a witness is told of a log that it is to know."""
    return {ledger.key.origin: ledger.key.verifier.text()}


def show(ledger: AttestedLedger, url: str, key_text: str = KEY_TEXT) -> Attestation | None:
    return show_to_witness(ledger.engine, Witness(url, read_witness_key(key_text)), clock=ledger.clock)


def faults(ledger: AttestedLedger) -> list[str]:
    return [one.details["fault"] for one in ledger.incidents() if one.kind == INCIDENT]


def text_of(body: bytes) -> str:
    return body.decode().partition("\n\n")[2].rpartition("\n\n")[0] + "\n"


def test_before_the_first_sealing_nothing_is_shown(ledger: AttestedLedger) -> None:
    with witness_server() as witness:
        assert show(ledger, witness.url) is None
        assert witness.asked == []


def test_the_newest_checkpoint_is_cosigned(ledger: AttestedLedger) -> None:
    ledger.seal(2)
    newest = ledger.seal(3)
    with witness_server(logs=known(ledger)) as witness:
        found = show(ledger, witness.url)

    line = cosignature_line(witness.private, witness.name, newest.note.rpartition("\n\n")[0] + "\n")
    assert found == Attestation(
        kind=AttestationKind.WITNESS,
        name="witness.example/w1",
        size=5,
        note=newest.note,
        content=line,
        attested_at=datetime.fromtimestamp(SECONDS, UTC),
        recorded_at=NOON,
    )
    assert ledger.attestations() == [found]
    assert ledger.incidents() == []


def test_each_later_checkpoint_is_shown_with_the_proof_from_the_one_before(ledger: AttestedLedger) -> None:
    with witness_server(logs=known(ledger)) as witness:
        for entries in (1, 1, 1, 5, 300, 7):
            ledger.seal(entries)
            assert show(ledger, witness.url) is not None

    assert [one.split(b"\n")[0] for one in witness.asked] == [
        b"old 0",
        b"old 1",
        b"old 2",
        b"old 3",
        b"old 8",
        b"old 308",
    ]
    assert [status for status, _ in witness.answered] == [200] * 6
    assert [one.size for one in ledger.attestations()] == [315, 308, 8, 3, 2, 1]


def test_what_is_cosigned_is_not_shown_again(ledger: AttestedLedger) -> None:
    ledger.seal()
    with witness_server(logs=known(ledger)) as witness:
        show(ledger, witness.url + "/")
        assert show(ledger, witness.url) is None

    assert len(witness.asked) == 1


def test_a_witness_that_knows_more_than_we_remember_is_asked_once_more_from_there(ledger: AttestedLedger) -> None:
    with witness_server(logs=known(ledger)) as witness:
        ledger.seal(3)
        show(ledger, witness.url)
        ledger.cut(3)
        with ledger.engine.begin() as owner:  # as if this process had ended before it wrote the row
            owner.execute(text("SET LOCAL session_replication_role = replica"))
            owner.execute(text("DELETE FROM ledger_attestations"))
        ledger.seal(4)
        found = show(ledger, witness.url)

    assert found is not None
    assert [status for status, _ in witness.answered] == [200, 409, 200]
    assert witness.asked[-1].startswith(b"old 3\n")


def test_a_checkpoint_cosigned_for_another_process_is_cosigned_again(ledger: AttestedLedger) -> None:
    newest = ledger.seal(3)
    with witness_server(logs=known(ledger)) as witness:
        witness.seen[ledger.key.origin] = (3, newest.root)
        found = show(ledger, witness.url)

    assert found is not None
    assert witness.asked[-1].startswith(b"old 3\n\n")


def answers(status: int, content: bytes = b"") -> Manner:
    return lambda _witness, _body, _honest: (status, content)


@pytest.mark.parametrize(
    ("status", "said"),
    [(500, "500"), (503, "503"), (429, "429"), (301, "301"), (400, "400"), (403, "verifier key"), (404, "WITNESS_URL")],
)
def test_a_witness_that_gives_nothing_is_logged_and_asked_again(ledger: AttestedLedger, status: int, said: str) -> None:
    ledger.seal()
    with witness_server(logs=known(ledger), manner=answers(status)) as witness:
        assert show(ledger, witness.url) is None
        witness.manner = None
        again = show(ledger, witness.url)

    assert again is not None
    assert said in ledger.logged.getvalue()
    assert '"event": "ledger_witness_away"' in ledger.logged.getvalue()
    assert ledger.incidents() == []


def test_a_witness_that_does_not_know_the_ledger_or_its_key_is_away(ledger: AttestedLedger) -> None:
    ledger.seal()
    other = {ledger.key.origin: owner_of(ledger.engine).verifier.text()}
    with witness_server() as stranger, witness_server(logs=other) as misinformed:
        assert show(ledger, stranger.url) is None
        assert show(ledger, misinformed.url) is None

    assert [stranger.answered, misinformed.answered] == [[(404, b"")], [(403, b"")]]
    assert ledger.logged.getvalue().count('"event": "ledger_witness_away"') == 2
    assert ledger.incidents() == []


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says_and_hangs(), id="hangs"),
        pytest.param(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"a", every_s=0.05), id="drips"),
        pytest.param(says(), id="vanishes"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 100_000), id="says too much"),
    ],
)
def test_sealing_goes_on_beside_a_witness_that_never_answers(
    ledger: AttestedLedger, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_witness, "ANSWER_WITHIN_S", 0.3)
    ledger.seal(3)
    with raw_server(behaviour) as url:
        began = seconds_running()
        assert show(ledger, url) is None
        assert seconds_running() - began < 2

    assert ledger.seal(1).size > 3
    assert '"event": "ledger_witness_away"' in ledger.logged.getvalue()
    assert ledger.incidents() == []


def test_no_connection_is_held_while_a_witness_is_asked(ledger: AttestedLedger) -> None:
    ledger.seal()
    held: list[int] = []

    def counting(_witness: WitnessServer, _body: bytes, honest: Answer) -> Answer:
        held.append(ledger.engine.pool.checkedout())  # type: ignore[attr-defined]  # the pool of an engine counts
        return honest

    with witness_server(logs=known(ledger), manner=counting) as witness:
        assert show(ledger, witness.url) is not None

    assert held == [0]


def test_nobody_at_the_address_is_away(ledger: AttestedLedger) -> None:
    ledger.seal()

    assert show(ledger, "http://127.0.0.1:1/") is None
    assert '"event": "ledger_witness_away"' in ledger.logged.getvalue()


STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)


@pytest.mark.parametrize(
    "manner",
    [
        pytest.param(answers(200), id="nothing"),
        pytest.param(answers(200, b"<html>signed</html>"), id="garbage"),
        pytest.param(answers(200, b"\xff\x00"), id="bytes"),
        pytest.param(answers(200, b"a" * 65536), id="much"),
        pytest.param(lambda w, body, _: (200, cosignature_line(STRANGER, w.name, text_of(body))), id="another's key"),
        pytest.param(
            lambda w, body, _: (200, cosignature_line(w.private, w.name, text_of(body).replace("sealed", "x"))),
            id="another checkpoint",
        ),
        pytest.param(
            lambda w, body, _: (200, cosignature_line(w.private, w.name, text_of(body), 0)), id="instant zero"
        ),
        pytest.param(lambda _w, _body, honest: (200, honest[1].replace(b"\n", b"\n\n")), id="an empty line"),
        pytest.param(answers(409), id="another tree, it does not say which"),
        pytest.param(answers(409, b"many\n"), id="another tree of no size"),
    ],
)
def test_a_witness_that_lies_is_an_incident_once_and_stops_nothing(ledger: AttestedLedger, manner: Manner) -> None:
    with witness_server(logs=known(ledger), manner=manner) as witness:
        ledger.seal(3)
        assert show(ledger, witness.url) is None
        ledger.seal(2)
        assert show(ledger, witness.url) is None

    [incident] = ledger.incidents()
    assert (incident.kind, incident.article, incident.details["fault"]) == (INCIDENT, "35", "bad_answer")
    assert incident.details["witness"] == "witness.example/w1"
    assert ledger.logged.getvalue().count('"level": "error"') == 2
    assert ledger.attestations() == []
    assert ledger.seal(1).size > 5


def test_a_fault_that_lasts_after_its_incident_was_closed_opens_another(ledger: AttestedLedger) -> None:
    ledger.seal()
    with witness_server(manner=answers(200)) as witness:
        show(ledger, witness.url)
        ledger.close_incidents()
        show(ledger, witness.url)

    assert faults(ledger) == [WitnessFault.BAD_ANSWER] * 2


def test_a_restored_backup_is_found_by_the_witness(ledger: AttestedLedger) -> None:
    with witness_server(logs=known(ledger)) as witness:
        ledger.seal(3)
        show(ledger, witness.url)
        ledger.seal(7)
        show(ledger, witness.url)
        ledger.cut(3)
        ledger.seal(1)
        assert show(ledger, witness.url) is None
        assert show(ledger, witness.url) is None

    [incident] = ledger.incidents()
    assert incident.details["fault"] == WitnessFault.LARGER_TREE
    assert "signed 10 entries, and the ledger has 4" in incident.details["detail"]


def test_a_log_that_went_on_from_a_backup_gets_no_cosignature(ledger: AttestedLedger) -> None:
    with witness_server(logs=known(ledger)) as witness:
        ledger.seal(3)
        show(ledger, witness.url)
        ledger.seal(4)
        show(ledger, witness.url)
        ledger.cut(3)
        ledger.seal(20)
        assert show(ledger, witness.url) is None

    assert [status for status, _ in witness.answered] == [200, 200, 409, 422]
    assert faults(ledger) == [WitnessFault.ANOTHER_HISTORY]
    assert [one.size for one in ledger.attestations()] == [3]


def test_another_history_of_the_same_size_gets_no_cosignature(ledger: AttestedLedger) -> None:
    ledger.seal(3)
    with witness_server(logs=known(ledger)) as witness:
        witness.seen[ledger.key.origin] = (3, bytes(32))
        assert show(ledger, witness.url) is None

    assert [status for status, _ in witness.answered] == [409, 409]
    assert faults(ledger) == [WitnessFault.ANOTHER_HISTORY]


def test_a_refusal_of_the_second_proof_needs_no_size(ledger: AttestedLedger) -> None:
    ledger.seal(3)
    sizes = iter([b"3\n", b""])
    with witness_server(manner=lambda _w, _b, _h: (409, next(sizes))) as witness:
        assert show(ledger, witness.url) is None

    assert faults(ledger) == [WitnessFault.ANOTHER_HISTORY]


def test_a_witness_that_another_process_asks_meanwhile_is_asked_again_later(ledger: AttestedLedger) -> None:
    ledger.seal(3)
    sizes = iter([b"1\n", b"2\n"])
    with witness_server(manner=lambda _w, _b, _h: (409, next(sizes))) as witness:
        assert show(ledger, witness.url) is None

    assert '"event": "ledger_witness_away"' in ledger.logged.getvalue()
    assert ledger.incidents() == []


def test_a_checkpoint_newer_than_the_one_shown_is_no_contradiction(ledger: AttestedLedger) -> None:
    ledger.seal(3)

    def late(_witness: WitnessServer, _body: bytes, _honest: Answer) -> Answer:
        return 409, f"{ledger.seal(4).size}\n".encode()

    with witness_server(manner=late) as witness:
        assert show(ledger, witness.url) is None

    assert '"event": "ledger_witness_away"' in ledger.logged.getvalue()
    assert ledger.incidents() == []


def test_checkpoints_that_were_deleted_are_found_by_the_witness(ledger: AttestedLedger) -> None:
    with witness_server(logs=known(ledger)) as witness:
        ledger.seal(3)
        ledger.seal(4)
        show(ledger, witness.url)
        with ledger.engine.begin() as owner:
            owner.execute(text("SET LOCAL session_replication_role = replica"))
            owner.execute(text("DELETE FROM ledger_checkpoints WHERE size > 3"))
        assert show(ledger, witness.url) is None

    assert faults(ledger) == [WitnessFault.LARGER_TREE]


def test_a_tree_that_is_not_whole_is_our_fault_and_not_the_witness_s(ledger: AttestedLedger) -> None:
    with witness_server(logs=known(ledger)) as witness:
        ledger.seal(3)
        show(ledger, witness.url)
        ledger.seal(4)
        with ledger.engine.begin() as owner:
            owner.execute(text("SET LOCAL session_replication_role = replica"))
            owner.execute(text("DELETE FROM ledger_leaves WHERE entry = 5"))
        with pytest.raises(MissingHashError):
            show(ledger, witness.url)

    assert len(witness.asked) == 1
    assert ledger.incidents() == []


def test_two_witnesses_are_kept_apart(ledger: AttestedLedger, clock: SettableClock) -> None:
    second = WitnessServer(name="witness.example/w2", private=STRANGER)
    with (
        witness_server(logs=known(ledger)) as one,
        witness_server(logs=known(ledger), name=second.name, private=STRANGER) as two,
    ):
        ledger.seal(3)
        show(ledger, one.url)
        clock.advance(timedelta(minutes=1))
        ledger.seal(3)
        show(ledger, one.url)
        show(ledger, two.url, second.key_text)

    found = ledger.attestations()
    assert [(one.name[-2:], one.size) for one in found] == [("w1", 6), ("w1", 3), ("w2", 6)]
    assert [one.size for one in ledger.attestations(1)] == [6, 6]
    assert found[0].recorded_at == NOON + timedelta(minutes=1)


def test_a_key_that_is_the_log_s_own_is_no_key_of_a_witness(ledger: AttestedLedger) -> None:
    ledger.seal()
    own = ledger.key.private
    text_ = verifier_key_text(ledger.key.origin, 4, own.public_key().public_bytes_raw())

    def echo(connection: socket.socket, _ended: Event) -> None:
        body = connection.recv(65536)
        note = body.partition(b"\r\n\r\n")[2].partition(b"\n\n")[2]
        line = note.rpartition(b"\n\n")[2]
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(line)}\r\n\r\n".encode()
        connection.sendall(head + line)

    with raw_server(echo) as url:
        assert show(ledger, url, text_) is None
    assert ledger.attestations() == []
