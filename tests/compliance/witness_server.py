"""A witness (c2sp.org/tlog-witness) for tests, written from the specification alone, and the ways in which one lies.

It shares no code with what it judges: notes, proofs and cosignatures are read and made here once more.
"""

import base64
import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TypedDict, Unpack

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SECONDS = 1_795_406_405
"""2026-11-23T04:00:05Z."""

Answer = tuple[int, bytes]


def key_hash(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def verifier_key_text(name: str, kind: int, public: bytes) -> str:
    return f"{name}+{key_hash(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


def cosignature_line(private: Ed25519PrivateKey, name: str, text: str, seconds: int = SECONDS) -> bytes:
    """Return the line of a cosignature/v1 over the text of a checkpoint."""
    signature = private.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
    value = key_hash(name, 4, private.public_key().public_bytes_raw()) + struct.pack(">Q", seconds) + signature
    return f"\u2014 {name} {base64.b64encode(value).decode()}\n".encode()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def proves(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    """Tell whether a proof shows consistency, by the steps of RFC 9162, 2.1.4.2."""
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else proof
    if not path:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for one in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(one, fr), node(one, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, one)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


@dataclass
class WitnessServer:
    """An honest witness. `manner`, if there is one, answers in its place, with what it would have answered."""

    name: str = "witness.example/w1"
    private: Ed25519PrivateKey = field(default_factory=lambda: Ed25519PrivateKey.from_private_bytes(bytes(32)))
    logs: dict[str, str] = field(default_factory=dict)
    """Verifier keys of the logs it knows, by origin."""
    manner: Callable[["WitnessServer", bytes, Answer], Answer] | None = None
    seen: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    answered: list[Answer] = field(default_factory=list)
    url: str = ""

    @property
    def key_text(self) -> str:
        return verifier_key_text(self.name, 4, self.private.public_key().public_bytes_raw())

    def answer(self, path: str, body: bytes) -> Answer:
        self.asked.append(body)
        honest = self.judge(body) if path == "/prefix/add-checkpoint" else (404, b"")
        self.answered.append(honest if self.manner is None else self.manner(self, body, honest))
        return self.answered[-1]

    def judge(self, body: bytes) -> Answer:
        """Answer as the specification says, and remember what was cosigned."""
        head, _, note = body.decode().partition("\n\n")
        old_line, *proof_lines = head.split("\n")
        text = note.rpartition("\n\n")[0] + "\n"
        origin, size_line, root_line = text.split("\n")[:3]
        old, size, root = int(old_line.removeprefix("old ")), int(size_line), base64.b64decode(root_line)
        if origin not in self.logs:
            return 404, b""
        if not self.is_signed(note, text, origin):
            return 403, b""
        if old > size or len(proof_lines) > 63:
            return 400, b""
        known, known_root = self.seen.get(origin, (0, hashlib.sha256(b"").digest()))
        if old != known or (old == size and root != known_root):
            return 409, f"{known}\n".encode()
        proof = [base64.b64decode(one) for one in proof_lines]
        if not (proves(old, size, known_root, root, proof) if old else not proof):
            return 422, b""
        self.seen[origin] = (size, root)
        return 200, cosignature_line(self.private, self.name, text)

    def is_signed(self, note: str, text: str, origin: str) -> bool:
        key = base64.b64decode(self.logs[origin].split("+", 2)[2])[1:]
        for line in note.rpartition("\n\n")[2].splitlines():
            value = base64.b64decode(line.rpartition(" ")[2])
            if value[:4] == key_hash(origin, 1, key):
                try:
                    Ed25519PublicKey.from_public_bytes(key).verify(value[4:], text.encode())
                except InvalidSignature:
                    return False
                return True
        return False


class State(TypedDict, total=False):
    """What a witness begins with, by the fields of `WitnessServer`."""

    name: str
    private: Ed25519PrivateKey
    logs: dict[str, str]
    manner: Callable[[WitnessServer, bytes, Answer], Answer] | None


@contextmanager
def witness_server(**state: Unpack[State]) -> Iterator[WitnessServer]:
    """Serve as a witness until the end of the block."""
    witness = WitnessServer(**state)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, answer = witness.answer(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        witness.url = f"http://127.0.0.1:{server.server_address[1]}/prefix"
        yield witness
        server.shutdown()
