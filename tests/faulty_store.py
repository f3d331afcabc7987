"""An object store over HTTP that keeps a few objects in memory and fails in the way a test says."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from infra.clock import utc_now

SECRET = "secret-of-mine"
_PAUSE_S = 0.1


class Fault(StrEnum):
    NONE = "none"
    SERVER_ERROR = "500"
    FORBIDDEN = "403"
    NO_BUCKET = "404 of the bucket"
    PROXY_404 = "404 of something that is no store"
    WRONG_KEY = "403 that quotes the key"
    NOT_S3 = "403 as a page"
    GARBAGE = "no HTTP"
    HANG = "accepted, never answered"
    DRIP = "a byte now and then"
    CUT = "cut off in mid-body"
    NO_LENGTH = "a body without its length"
    OTHER_BYTES = "other bytes"
    FORGETS = "200, and nothing stored"


_ERRORS = {
    Fault.SERVER_ERROR: (500, "InternalError"),
    Fault.FORBIDDEN: (403, "AccessDenied"),
    Fault.NO_BUCKET: (404, "NoSuchBucket"),
    Fault.WRONG_KEY: (403, "InvalidAccessKeyId"),
}


@dataclass(slots=True)
class FaultyStore:
    """What the server holds, how it fails, and for which methods."""

    url: str
    fault: Fault = Fault.NONE
    methods: frozenset[str] = frozenset({"GET", "PUT"})
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Of each request: method, path, and headers in lower case."""
    over: Event = field(default_factory=Event)

    def fails(self, fault: Fault, *methods: str) -> None:
        self.fault, self.methods = fault, frozenset(methods or {"GET", "PUT"})

    def place(self, bucket: str = "evidence") -> str:
        return f"s3://{bucket}/ledger?endpoint={self.url}&region=us-east-1"


@contextmanager
def faulty_store(certificate: Path | None = None) -> Iterator[FaultyStore]:
    """Run such a store on a free port, in TLS with a certificate of `make_certificate`; what hangs ends with it."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "http" if certificate is None else "https"
        store = Handler.store = FaultyStore(f"{scheme}://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield store
        store.over.set()
        server.shutdown()
        thread.join()


def make_certificate(path: Path) -> Path:
    """Write a private key and the certificate for 127.0.0.1 that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a store of ours")])
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1)
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: FaultyStore

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_PUT(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        key = urlsplit(self.path).path
        self.store.asked.append((self.command, key, {name.lower(): value for name, value in self.headers.items()}))
        fault = self.store.fault if self.command in self.store.methods else Fault.NONE
        if fault in _ERRORS:
            self._refuse(*_ERRORS[fault])
        elif fault in {Fault.HANG, Fault.GARBAGE, Fault.PROXY_404, Fault.NOT_S3}:
            self._fail(fault)
        elif self.command == "PUT":
            if fault is not Fault.FORGETS:
                self.store.objects[key] = body
            self._send(200, b"")
        elif key not in self.store.objects:
            self._refuse(404, "NoSuchKey")
        else:
            self._give(self.store.objects[key], fault)

    def _fail(self, fault: Fault) -> None:
        if fault is Fault.PROXY_404:
            self._send(404, b"")
        elif fault is Fault.NOT_S3:
            self._send(403, b"<html><p>not <b>here</html>")
        else:
            if fault is Fault.HANG:
                self.store.over.wait()
            else:
                self.wfile.write(b"\x00\x01 no HTTP\r\n\r\n")
            self.close_connection = True

    def _give(self, found: bytes, fault: Fault) -> None:
        if fault is Fault.OTHER_BYTES:
            self._send(200, found[::-1])
        elif fault is Fault.NO_LENGTH:
            self._begin(200, None)
            self.wfile.write(found[: len(found) // 2])
        elif fault is Fault.CUT:
            self._begin(200, len(found))
            self.wfile.write(found[: len(found) // 2])
            self.close_connection = True
        elif fault is Fault.DRIP:
            self._drip(found)
        else:
            self._send(200, found)

    def _drip(self, found: bytes) -> None:
        self._begin(200, len(found))
        for number in range(len(found)):
            if self.store.over.wait(_PAUSE_S):
                break
            self.wfile.write(found[number : number + 1])
            self.wfile.flush()
        self.close_connection = True

    def _refuse(self, status: int, code: str) -> None:
        said = f"<Error><Code>{code}</Code><Message>{SECRET}</Message><AWSAccessKeyId>{SECRET}</AWSAccessKeyId></Error>"
        self._send(status, f'<?xml version="1.0" encoding="UTF-8"?>\n{said}'.encode())

    def _send(self, status: int, body: bytes) -> None:
        self._begin(status, len(body))
        self.wfile.write(body)

    def _begin(self, status: int, length: int | None) -> None:
        self.send_response(status)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
