"""Starts the server of argv[1], says so, and holds it until its standard input ends."""

import sys
from pathlib import Path

from infra import embedded_postgres

if __name__ == "__main__":
    with embedded_postgres.start(Path(sys.argv[1])) as server:
        sys.stdout.write(f"started_here={server.started_here}\n")
        sys.stdout.flush()
        sys.stdin.read()
