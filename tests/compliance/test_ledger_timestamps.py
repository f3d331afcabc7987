"""Time stamps of checkpoints: verified before they are kept, and never waited for."""

from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import tsp  # type: ignore[import-untyped]  # it ships no types

from compliance import ledger_timestamps
from compliance.ledger_attestations import Attestation, AttestationKind
from compliance.ledger_timestamps import INCIDENT, TimestampAuthority, stamp_newest
from infra.clock import seconds_running
from tests.compliance.attested_ledger import AttestedLedger
from tests.compliance.time_stamp_authority import Authority, Chain, Manners, time_stamp_authority
from tests.conftest import NOON, SettableClock
from tests.infra.raw_server import Behaviour, drips, raw_server, says, says_and_hangs

CHAIN = Chain()
HOUR = timedelta(hours=1)


def stamp(ledger: AttestedLedger, url: str, chain: Chain = CHAIN) -> Attestation | None:
    return stamp_newest(ledger.engine, TimestampAuthority("tsa.example", url, (chain.root,)), clock=ledger.clock)


def test_before_the_first_sealing_nothing_is_stamped(ledger: AttestedLedger) -> None:
    with time_stamp_authority(chain=CHAIN) as authority:
        assert stamp(ledger, authority.url) is None

    assert authority.asked == []


def test_the_newest_checkpoint_is_stamped(ledger: AttestedLedger) -> None:
    ledger.seal(2)
    newest = ledger.seal(3)
    stated = NOON + timedelta(seconds=3)
    with time_stamp_authority(chain=CHAIN, at=stated) as authority:
        found = stamp(ledger, authority.url)

    assert found is not None
    assert (found.kind, found.name, found.size) == (AttestationKind.TIMESTAMP, "tsa.example", 5)
    assert (found.note, found.attested_at, found.recorded_at) == (newest.note, stated, NOON)
    assert ledger.attestations() == [found]


def test_the_question_has_a_nonce_of_its_own_and_asks_for_the_certificate(
    ledger: AttestedLedger, clock: SettableClock
) -> None:
    with time_stamp_authority(chain=CHAIN) as authority:
        ledger.seal()
        stamp(ledger, authority.url)
        clock.advance(HOUR)
        ledger.seal()
        stamp(ledger, authority.url)

    asked = [tsp.TimeStampReq.load(one).native for one in authority.asked]
    assert [one["cert_req"] for one in asked] == [True, True]
    assert asked[0]["nonce"] != asked[1]["nonce"]
    assert min(one["nonce"].bit_length() for one in asked) > 32


def test_there_is_one_time_stamp_an_hour_and_only_of_a_newer_checkpoint(
    ledger: AttestedLedger, clock: SettableClock
) -> None:
    with time_stamp_authority(chain=CHAIN) as authority:
        ledger.seal(3)
        first = stamp(ledger, authority.url)
        clock.advance(2 * HOUR)
        of_the_same = stamp(ledger, authority.url)
        ledger.seal(1)
        second = stamp(ledger, authority.url)
        ledger.seal(1)
        clock.advance(HOUR - timedelta(seconds=1))
        too_early = stamp(ledger, authority.url)
        clock.advance(timedelta(seconds=1))
        third = stamp(ledger, authority.url)

    assert (of_the_same, too_early) == (None, None)
    assert [one.size for one in (first, second, third) if one is not None] == [3, 4, 5]
    assert len(authority.asked) == 3


def test_a_clock_that_was_set_back_does_not_end_stamping(ledger: AttestedLedger, clock: SettableClock) -> None:
    with time_stamp_authority(chain=CHAIN) as authority:
        clock.advance(100 * HOUR)
        ledger.seal(3)
        stamp(ledger, authority.url)
        clock.advance(-50 * HOUR)
        ledger.seal(1)

        assert stamp(ledger, authority.url) is not None


@pytest.mark.parametrize(
    "manners",
    [
        pytest.param({"status": 500}, id="500"),
        pytest.param({"status": 404}, id="404"),
        pytest.param({"status": 302}, id="a redirect"),
        pytest.param({"pki_status": "rejection"}, id="rejection"),
        pytest.param({"pki_status": "waiting"}, id="waiting"),
    ],
)
def test_an_authority_that_gives_nothing_is_logged_and_asked_again(ledger: AttestedLedger, manners: Manners) -> None:
    ledger.seal()
    asked: Manners = {"chain": CHAIN, **manners}
    with time_stamp_authority(**asked) as authority:
        assert stamp(ledger, authority.url) is None
        authority.status, authority.pki_status = 200, "granted"
        again = stamp(ledger, authority.url)

    assert again is not None
    assert '"event": "ledger_timestamp_away"' in ledger.logged.getvalue()
    assert ledger.incidents() == []


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says_and_hangs(), id="hangs"),
        pytest.param(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"0", every_s=0.05), id="drips"),
        pytest.param(says(), id="vanishes"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\n\r\n" + b"0" * 300_000), id="says too much"),
    ],
)
def test_sealing_goes_on_beside_an_authority_that_never_answers(
    ledger: AttestedLedger, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_timestamps, "ANSWER_WITHIN_S", 0.3)
    ledger.seal(3)
    with raw_server(behaviour) as url:
        began = seconds_running()
        assert stamp(ledger, url) is None
        assert seconds_running() - began < 2

    assert ledger.seal(1).size > 3
    assert '"event": "ledger_timestamp_away"' in ledger.logged.getvalue()
    assert ledger.incidents() == []


@pytest.mark.parametrize(
    ("manners", "said"),
    [
        pytest.param({"nonce_off_by": 1}, "Nonce mismatch", id="another nonce"),
        pytest.param({"has_nonce": False}, "Nonce mismatch", id="no nonce"),
        pytest.param({"imprint": b"another note"}, "Mismatch between messages", id="another note"),
        pytest.param({"chain": Chain()}, "Error while verifying certificates", id="another root of the same name"),
        pytest.param({"chain": Chain(purpose=False)}, "Error while verifying certificates", id="another purpose"),
        pytest.param({"has_certificate": False}, "Error while verifying certificates", id="no certificate"),
        pytest.param({"flips": True}, "Error while verifying certificates", id="a flipped bit in the signature"),
        pytest.param({"at": datetime(2061, 1, 1, tzinfo=UTC)}, "Error while verifying certificates", id="expired then"),
        pytest.param({"content": b""}, "no response", id="nothing"),
        pytest.param({"content": b"<html></html>"}, "no response", id="a page"),
        pytest.param({"content": b"\x30\x84\xff\xff\xff\xff"}, "no response", id="a length beyond all"),
        pytest.param({"content": bytes.fromhex("30053003020100")}, "", id="granted, and no time stamp"),
        pytest.param({"content": bytes.fromhex("30073003020100 0500".replace(" ", ""))}, "", id="granted, and null"),
    ],
)
def test_an_authority_that_lies_is_an_incident_once_and_stops_nothing(
    ledger: AttestedLedger, manners: Manners, said: str
) -> None:
    ledger.seal(3)
    asked: Manners = {"chain": CHAIN, **manners}
    with time_stamp_authority(**asked) as authority:
        assert stamp(ledger, authority.url) is None
        assert stamp(ledger, authority.url) is None

    [incident] = ledger.incidents()
    assert (incident.kind, incident.article, incident.details["authority"]) == (INCIDENT, "35", "tsa.example")
    assert said in incident.details["detail"]
    assert "ErrorStack" not in incident.details["detail"]
    assert ledger.logged.getvalue().count('"level": "error"') == 2
    assert ledger.attestations() == []
    assert ledger.seal(1).size > 3


def test_a_purpose_is_demanded_of_a_chain_that_is_trusted(ledger: AttestedLedger) -> None:
    ledger.seal()
    chain = Chain(purpose=False)
    with time_stamp_authority(chain=chain) as authority:
        assert stamp(ledger, authority.url, chain) is None

    assert len(ledger.incidents()) == 1


def test_the_answer_to_another_question_is_no_answer(ledger: AttestedLedger, clock: SettableClock) -> None:
    ledger.seal()
    honest = Authority(chain=CHAIN)
    with time_stamp_authority(chain=CHAIN) as authority:
        stamp(ledger, authority.url)
        clock.advance(HOUR)
        ledger.seal()
        authority.content = honest.answer(authority.asked[0])
        assert stamp(ledger, authority.url) is None

    assert len(ledger.incidents()) == 1


def test_no_connection_is_held_while_an_authority_is_asked(ledger: AttestedLedger) -> None:
    ledger.seal()
    held: list[int] = []

    class Counting(Authority):
        def answer(self, body: bytes) -> bytes:
            held.append(ledger.engine.pool.checkedout())  # type: ignore[attr-defined]  # an engine's pool counts
            return super().answer(body)

    with time_stamp_authority(Counting, chain=CHAIN) as authority:
        assert stamp(ledger, authority.url) is not None

    assert held == [0]
