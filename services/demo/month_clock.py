"""The instant at which the demo's month of inspections stands, and the ids that are made at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from infra.ids import ids_from
from services.demo.chance import Chance

_MS = timedelta(milliseconds=1)


@dataclass(slots=True)
class MonthClock:
    """Goes forward only; ids bear the instant at which they are made, and sort in the order of their making."""

    chance: Chance
    at: datetime
    _made: int = 0
    _made_now: int = 0

    def go_to(self, at: datetime) -> datetime:
        """Stand at `at`, or stay if that is over; return where it stands."""
        if at > self.at:
            self.at, self._made_now = at, 0
        return self.at

    def seed(self, size: int) -> bytes:
        """Return bytes for a seed: of the demo, not secret, the same each time."""
        self._made += 1
        return self.chance.octets(size, "seed", self._made)

    @contextmanager
    def makes_ids(self) -> Iterator[None]:
        with ids_from(self._id):
            yield

    def _id(self) -> UUID:
        self._made += 1
        self._made_now += 1
        return self.chance.uuid7(self.at + self._made_now * _MS, "month", self._made)
