"""Where the archive keeps things: the store of first copies, the store of second copies, the staging directory."""

from dataclasses import dataclass
from pathlib import Path

from infra.object_store import ObjectStore

FIRST, SECOND = "first", "second"


@dataclass(frozen=True, slots=True)
class Places:
    """The two stores lie on different media (art. 35); `staging` is on a disk of this machine."""

    first: ObjectStore
    second: ObjectStore
    staging: Path

    def store(self, copy: str) -> ObjectStore:
        """Return the store of the copy named `first` or `second`."""
        return self.first if copy == FIRST else self.second

    def close(self) -> None:
        """Give back connections of both stores."""
        self.first.close()
        self.second.close()
