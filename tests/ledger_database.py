"""A small ledger in a database, over two tables of its own: entries are written and sealed by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, text

from compliance.ledger_lines import entry_line, joined_key, row_digest
from compliance.ledger_reading import read_origin
from compliance.ledger_tree import append_leaves
from compliance.merkle import leaf_hash
from compliance.signed_notes import Checkpoint, sign, verifier_key
from infra.database import APPLICATION_ROLE

_PUT = """
INSERT INTO letters VALUES (:part, :number, :body) ON CONFLICT (part, number) DO UPDATE SET body = excluded.body"""
AT = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def make_tables(connection: Connection) -> None:
    """Make `letters`, whose changes leave entries, and `checks`, sealed as ranges; both are covered."""
    connection.execute(text("CREATE TABLE letters (part text, number int, body text, PRIMARY KEY (part, number))"))
    connection.execute(
        text(
            "CREATE TABLE checks (check_id uuid PRIMARY KEY, verdict text,"
            " written_in bigint DEFAULT pg_current_xact_id()::text::bigint)"
        )
    )
    coverage = (
        "INSERT INTO ledger_coverage (table_name, version, key_columns, columns, hides_key, mode) VALUES"
        " ('letters', 1, '{part,number}', '{part,number,body}', false, 'entries'),"
        " ('checks', 1, '{check_id}', '{check_id,verdict}', false, 'ranges')"
    )
    connection.execute(text(coverage))
    connection.execute(text(f"GRANT SELECT ON letters, checks TO {APPLICATION_ROLE}"))


def public_keys(connection: Connection) -> list[dict[str, str | None]]:
    key = verifier_key(read_origin(connection), KEY)
    return [
        {
            "key_id": key.key_id,
            "verifier_key": key.text(),
            "from": "2026-01-01T00:00:00.000000Z",
            "until": None,
        }
    ]


def put(connection: Connection, part: str, numbers: Sequence[int], body: str) -> None:
    """Write letters, new or changed, with one entry about them."""
    for number in numbers:
        connection.execute(
            text(_PUT),
            {"part": part, "number": number, "body": body},
        )
    note_letters(connection, part, numbers, "update")


def drop(connection: Connection, part: str, number: int) -> None:
    """Delete a letter, with an entry about it."""
    note_letters(connection, part, [number], "delete")
    connection.execute(
        text("DELETE FROM letters WHERE part = :part AND number = :number"), {"part": part, "number": number}
    )


def note_letters(connection: Connection, part: str, numbers: Sequence[int], action: str) -> None:
    query = "SELECT row_to_json(l)::text FROM letters l WHERE part = :part AND number = :number"
    rows = [connection.execute(text(query), {"part": part, "number": one}).scalar_one() for one in numbers]
    _write(connection, f"letters.{action}", [joined_key([part, str(one)]) for one in numbers], rows)


def note_checks(connection: Connection) -> None:
    """Write the entry of the range of all checks there are."""
    query = (
        "SELECT check_id::text, (SELECT row_to_json(r)::text FROM (SELECT check_id, verdict) r) FROM checks ORDER BY 1"
    )
    found = connection.execute(text(query)).all()
    _write(connection, "checks.range", [key for key, _ in found], [row for _, row in found])


def _write(connection: Connection, kind: str, keys: Sequence[str], rows: Sequence[str]) -> None:
    salts = [bytes([len(key) + place & 255]) * 16 for place, key in enumerate(keys)]
    digests = b"".join(row_digest(salt, row) for salt, row in zip(salts, rows, strict=True))
    connection.execute(
        text(
            "INSERT INTO ledger_entries (recorded_at, kind, keys, digests, salts)"
            " VALUES (:at, :kind, :keys, :digests, :salts)"
        ),
        {"at": AT, "kind": kind, "keys": list(keys), "digests": digests, "salts": b"".join(salts)},
    )


def seal(connection: Connection) -> str:
    """Number all entries that wait, and sign; in a transaction after those that wrote them."""
    size = connection.execute(text("SELECT coalesce(max(entry) + 1, 0) FROM ledger_leaves")).scalar_one()
    waiting = connection.execute(
        text(
            "SELECT source, recorded_at, kind, keys, digests FROM ledger_entries"
            " WHERE source NOT IN (SELECT source FROM ledger_leaves) ORDER BY source"
        )
    ).all()
    sources, leaves = [], []
    for number, (source, at, kind, keys, digests) in enumerate(waiting, size):
        split = [digests[place : place + 32] for place in range(0, len(digests), 32)]
        leaves.append(leaf_hash(entry_line(number, at, kind, list(zip(keys, split, strict=True)))))
        sources.append(source)
    root = append_leaves(connection, size, sources, leaves)
    total = size + len(leaves)
    origin = read_origin(connection)
    note = sign(Checkpoint(origin, total, root, AT).text(), origin, KEY)
    connection.execute(
        text(
            "INSERT INTO ledger_checkpoints (size, root, note, key_id, sealed_at, horizon, cluster, checks_through,"
            " checks_after) SELECT :size, :root, :note, :key_id, :at, x.id, s.system_identifier::text, x.id - 1,"
            " 'ffffffff-ffff-ffff-ffff-ffffffffffff'"
            " FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS id) x, pg_control_system() s"
        ),
        {"size": total, "root": root, "note": note, "key_id": verifier_key(origin, KEY).key_id, "at": AT},
    )
    return note
