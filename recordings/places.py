"""Where the archive keeps things: the store of first copies, the store of second copies, the staging directory."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from infra.object_store import ObjectStore, ProbedStore
from recordings.copy_rows import CopyName


@dataclass(frozen=True, slots=True)
class Places:
    """The two stores lie on different media (art. 35); `staging` is on a disk of this machine."""

    first: ProbedStore
    second: ProbedStore
    staging: Path
    period: timedelta = timedelta(days=90)
    """Every copy is hashed again within it."""

    @property
    def stores(self) -> Mapping[str, ObjectStore]:
        """Return both stores by the name of their copy."""
        return {CopyName.FIRST: self.first, CopyName.SECOND: self.second}

    def close(self) -> None:
        """Give back connections of both stores."""
        self.first.close()
        self.second.close()
