"""Check that the migrations make exactly the tables that the code describes; for `make check`."""

import sys
import tempfile
from pathlib import Path

from infra import embedded_postgres
from infra.database import make_engine
from infra.migrate import drift, migrate
from services import all_tables

_ALL_TABLES = all_tables.REGISTERED


def main() -> int:
    """Return 0 when they agree, 1 after listing every difference."""
    with tempfile.TemporaryDirectory() as directory, embedded_postgres.start(Path(directory)) as server:
        engine = make_engine(server.url(), application_name="telesales-drift")
        migrate(engine)
        with engine.connect() as connection:
            differences = drift(connection)
        engine.dispose()
    for difference in differences:
        sys.stderr.write(f"the migrations and the tables in the code differ: {difference}\n")
    sys.stdout.write(f"migrations: {len(differences)} differences from the code\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
