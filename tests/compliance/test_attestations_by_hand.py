"""The commands that `docs/ledger.md` gives to a stranger, run as they stand there: good ones pass, others do not."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from compliance.cosignatures import read_witness_key
from compliance.ledger_attestations import Attestation
from compliance.ledger_timestamps import TimestampAuthority, stamp_newest
from compliance.ledger_witness import Witness, show_to_witness
from tests.compliance.attested_ledger import AttestedLedger
from tests.compliance.time_stamp_authority import Chain, time_stamp_authority
from tests.compliance.witness_server import witness_server

DOCUMENT = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()
SECTION = DOCUMENT.partition("## Witness and time stamps")[2].partition("\n## ")[0]
OF_COSIGNATURE, OF_TIME_STAMP = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


def run(commands: str, directory: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    found = {"PATH": "/usr/local/bin:/usr/bin:/bin", **environment}
    arguments = ["sh", "-c", commands]
    return subprocess.run(arguments, cwd=directory, env=found, capture_output=True, text=True, check=False)


def lay_out(found: Attestation | None, directory: Path, name: str) -> None:
    assert found is not None
    (directory / "note").write_text(found.note)
    (directory / name).write_bytes(found.content)


def test_a_stranger_checks_a_cosignature(ledger: AttestedLedger, tmp_path: Path) -> None:
    ledger.seal()
    with witness_server(logs={ledger.key.origin: ledger.key.verifier.text()}) as witness:
        key = read_witness_key(witness.key_text)
        lay_out(show_to_witness(ledger.engine, Witness(witness.url, key), clock=ledger.clock), tmp_path, "line")

    good = run(OF_COSIGNATURE, tmp_path, KEY=witness.key_text)
    (tmp_path / "note").write_text((tmp_path / "note").read_text().replace("\n3\n", "\n4\n"))
    bad = run(OF_COSIGNATURE, tmp_path, KEY=witness.key_text)

    assert "Signature Verified Successfully" in good.stdout
    assert "Nov 23" in good.stdout
    assert "04:00:05" in good.stdout
    assert "Signature Verification Failure" in bad.stdout + bad.stderr


def test_a_stranger_checks_a_time_stamp(ledger: AttestedLedger, tmp_path: Path) -> None:
    ledger.seal()
    chain = Chain()
    chain.write_root(tmp_path / "roots.pem")
    with time_stamp_authority(chain=chain) as authority:
        asked = TimestampAuthority("tsa", authority.url, (chain.root,))
        lay_out(stamp_newest(ledger.engine, asked, clock=ledger.clock), tmp_path, "response.tsr")

    good = run(OF_TIME_STAMP, tmp_path)
    (tmp_path / "note").write_text((tmp_path / "note").read_text().replace("\n3\n", "\n4\n"))
    bad = run(OF_TIME_STAMP, tmp_path)

    assert "Verification: OK" in good.stdout
    assert "Nov 23 04:00:00 2026 GMT" in good.stdout
    assert "Verification: FAILED" in bad.stdout
