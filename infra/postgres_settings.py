"""The configuration of the embedded PostgreSQL, by the memory of the machine."""

from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

PORT = 5432
"""Never opened: it only names the socket file. URLs spell it out, so that PGPORT in a shell does no harm."""

_MEBIBYTE = 1024 * 1024


def server_settings(socket_dir: Path, memory_bytes: int) -> str:
    """Return server.conf. fsync, synchronous_commit and full_page_writes stay as PostgreSQL ships them: on.

    shared_buffers: an eighth of the memory, 128 MB to 4 GB. max_wal_size, checkpoint_timeout: an import is not to wait
    for a checkpoint, after which each page is logged whole once more. wal_writer_delay: what an import has logged is
    written out at once, not by the next call check that commits. wal_init_zero: else every commit waits while 16 MB of
    zeros for the next stretch of the log are written and synced, 10 to 50 ms of it whenever an import needs one.
    """
    shared_buffers_mb = min(4096, max(128, memory_bytes // 8 // _MEBIBYTE))
    return f"""\
# Written at every start; changes here are lost. Put your own into data/postgresql.conf, below the include.
listen_addresses = ''
port = {PORT}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
cluster_name = 'telesales'
max_connections = 100
shared_buffers = {shared_buffers_mb}MB
max_wal_size = 6GB
wal_init_zero = off
checkpoint_timeout = 15min
wal_writer_delay = 10ms
checkpoint_completion_target = 0.9
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = on
log_directory = '../log'
log_filename = 'postgresql-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
# Statements and the DETAIL of errors quote phone numbers; a log outlives the retention of what it quotes.
log_error_verbosity = terse
log_min_error_statement = panic
"""


def memory_bytes() -> int:
    """Return the memory of this machine or, when smaller, of this container."""
    limits = [int(psutil.virtual_memory().total)]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text(encoding="ascii")))
    return min(limits)
