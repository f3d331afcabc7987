"""A time stamp authority (RFC 3161) with its own root: it answers as asked, or wrong in one way that a test names."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TypedDict, Unpack

from asn1crypto import algos, cms, core, tsp  # type: ignore[import-untyped]  # it ships no types
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.conftest import NOON

_BEGIN, _END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
_POLICY = "1.3.6.1.4.1.99999.1"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Chain:
    """A root and the certificate of an authority under it; `purpose` False: one that may not stamp."""

    def __init__(self, *, purpose: bool = True) -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.key = ec.generate_private_key(ec.SECP256R1())
        root = self._builder("Root of tests", "Root of tests", self.root_key.public_key(), number=1)
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.root = root.sign(self.root_key, hashes.SHA256())
        leaf = self._builder("Authority of tests", "Root of tests", self.key.public_key(), number=2)
        usage = ExtendedKeyUsageOID.TIME_STAMPING if purpose else ExtendedKeyUsageOID.CODE_SIGNING
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        self.leaf = leaf.sign(self.root_key, hashes.SHA256())

    def _builder(
        self, subject: str, issuer: str, key: ec.EllipticCurvePublicKey, *, number: int
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(key)
        return builder.serial_number(number).not_valid_before(_BEGIN).not_valid_after(_END)

    def write_root(self, path: Path) -> Path:
        path.write_bytes(self.root.public_bytes(serialization.Encoding.PEM))
        return path


@dataclass
class Authority:
    """How the next time stamps are made. `content` is answered instead of one, whatever was asked."""

    chain: Chain = field(default_factory=Chain)
    at: datetime = NOON
    status: int = 200
    pki_status: str = "granted"
    nonce_off_by: int = 0
    imprint: bytes | None = None
    has_nonce: bool = True
    has_certificate: bool = True
    flips: bool = False
    content: bytes | None = None
    asked: list[bytes] = field(default_factory=list)
    url: str = ""

    def answer(self, body: bytes) -> bytes:
        """Answer a request, as its DER."""
        self.asked.append(body)
        if self.content is not None:
            return self.content
        if self.pki_status != "granted":
            return bytes(tsp.TimeStampResp({"status": {"status": self.pki_status}}).dump())
        request = tsp.TimeStampReq.load(body)
        response = {"status": {"status": "granted"}, "time_stamp_token": self._token(request)}
        found = bytes(tsp.TimeStampResp(response).dump())
        return found[:-1] + bytes([found[-1] ^ 1]) if self.flips else found

    def _token(self, request: tsp.TimeStampReq) -> cms.ContentInfo:
        content = self._statement(request)
        certificate = asn1_x509.Certificate.load(self.chain.leaf.public_bytes(serialization.Encoding.DER))
        attributes = self._attributes(content, certificate)
        signer = {
            "version": "v1",
            "sid": {
                "issuer_and_serial_number": {
                    "issuer": certificate.issuer,
                    "serial_number": certificate.serial_number,
                }
            },
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "signed_attrs": attributes,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
            "signature": self.chain.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
        }
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
                "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
                "certificates": [certificate] if self.has_certificate else None,
                "signer_infos": [signer],
            }
        )
        return cms.ContentInfo({"content_type": "signed_data", "content": signed})

    def _statement(self, request: tsp.TimeStampReq) -> bytes:
        """Return what is signed: which digest was seen, when."""
        imprint = request["message_imprint"]
        if self.imprint is not None:
            imprint = tsp.MessageImprint(
                {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(self.imprint).digest()}
            )
        statement = {
            "version": "v1",
            "policy": _POLICY,
            "message_imprint": imprint,
            "serial_number": len(self.asked),
            "gen_time": self.at,
        }
        if self.has_nonce:
            statement["nonce"] = request["nonce"].native + self.nonce_off_by
        return bytes(tsp.TSTInfo(statement).dump())

    def _attributes(self, content: bytes, certificate: asn1_x509.Certificate) -> cms.CMSAttributes:
        identity = tsp.SigningCertificateV2(
            {"certs": [tsp.ESSCertIDv2({"cert_hash": hashlib.sha256(certificate.dump()).digest()})]}
        )
        return cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
                cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(content).digest()]}),
                cms.CMSAttribute({"type": "signing_certificate_v2", "values": [identity]}),
            ]
        )


class Manners(TypedDict, total=False):
    """What differs in an authority from one that does everything right, by the fields of `Authority`."""

    chain: Chain
    at: datetime
    status: int
    pki_status: str
    nonce_off_by: int
    imprint: bytes | None
    has_nonce: bool
    has_certificate: bool
    flips: bool
    content: bytes | None


@contextmanager
def time_stamp_authority(made_as: type[Authority] = Authority, **manners: Unpack[Manners]) -> Iterator[Authority]:
    """Serve time stamps until the end of the block."""
    authority = made_as(**manners)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(authority.status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        authority.url = f"http://127.0.0.1:{server.server_address[1]}/stamp"
        yield authority
        server.shutdown()
