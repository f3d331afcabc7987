"""A house whose inspectors hear sales and judge them over HTTP, by the scorecard that comes with the product."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import Engine, text

from qa_sampling.first_scorecard import ITEMS
from tests.conftest import SettableClock
from tests.qa_sampling.inspection_desk import add_inspection

ClientFor = Callable[..., httpx2.Client]
URL = "/v1/inspections"
FIRST, SECOND, THIRD = "inspector", "inspector2", "inspector3"
FATAL = "cooling_off_told"
NOT_DRAWN, DRAWN = 9_999, 0
"""Lots of a result that is not scored a second time, and of one that is."""


def answer(item_id: str, verdict: str = "pass", **more: object) -> dict[str, object]:
    return {"item_id": item_id, "answer": verdict, **more}


def failed(item_id: str, **more: object) -> dict[str, object]:
    """Return the answer that an item failed, with its moment and words."""
    return answer(item_id, "fail", **{"at_ms": 1000, "note": "通话中没有告知", **more})


def answers(*changed: dict[str, object]) -> list[dict[str, object]]:
    """Return answers to all items: those given, and a pass for every other."""
    given = {one["item_id"]: one for one in changed}
    return [given.get(item.item_id, answer(item.item_id)) for item in ITEMS]


@dataclass
class House:
    """People with tokens, a database, a clock; `lot` is what chance gives."""

    client_for: ClientFor
    engine: Engine
    clock: SettableClock
    lot: int = NOT_DRAWN
    _clients: dict[tuple[str, str], httpx2.Client] = field(default_factory=dict)

    def client(self, person: str, role: str = "inspector") -> httpx2.Client:
        if (person, role) not in self._clients:
            made = self.client_for(role, owner=person)
            made.app.state.telesales.lots = lambda _below: self.lot  # type: ignore[attr-defined]  # a TestClient
            self._clients[person, role] = made
        return self._clients[person, role]

    @property
    def officer(self) -> httpx2.Client:
        return self.client("officer", "officer")

    def add(self, policy_no: str = "P-1", **values: Any) -> UUID:
        """Add a sale of one minute with its inspection."""
        self.client(FIRST)  # the service enters the first scorecard when it starts
        with self.engine.begin() as connection:
            return add_inspection(connection, policy_no, **values)

    def claim(self, person: str = FIRST) -> dict[str, Any]:
        claimed = self.client(person).post(f"{URL}/claim")
        assert claimed.status_code == 200, claimed.text
        found: dict[str, Any] = claimed.json()
        return found

    def hear(self, person: str, inspection: dict[str, Any]) -> None:
        """Play every recording from its beginning to its end."""
        for recording in inspection["recordings"]:
            self.play(person, inspection, recording["recording_id"], 0, recording["duration_ms"])

    def play(self, person: str, inspection: dict[str, Any], recording_id: str, start_ms: int, end_ms: int) -> None:
        self.clock.advance(timedelta(milliseconds=end_ms - start_ms))
        body = {"recording_id": recording_id, "intervals_ms": [[start_ms, end_ms]]}
        heard = self.client(person).post(f"{URL}/{inspection['inspection_id']}/listened", json=body)
        assert heard.status_code == 200, heard.text

    def submit(
        self, person: str, inspection_id: object, given: Sequence[Mapping[str, object]] | None = None, **more: Any
    ) -> httpx2.Response:
        body = {"answers": answers() if given is None else list(given)}
        return self.client(person).post(f"{URL}/{inspection_id}/submit", json=body, **more)

    def judge(self, person: str = FIRST, *changed: dict[str, object]) -> dict[str, Any]:
        """Claim the next inspection, hear all of it and submit; return what was answered."""
        inspection = self.claim(person)
        return self.finish(person, inspection, *changed)

    def finish(self, person: str, inspection: dict[str, Any], *changed: dict[str, object]) -> dict[str, Any]:
        self.hear(person, inspection)
        done = self.submit(person, inspection["inspection_id"], answers(*changed))
        assert done.status_code == 200, done.text
        found: dict[str, Any] = done.json()
        return found

    def appeal(self, inspection_id: object, **body: object) -> httpx2.Response:
        return self.officer.post(f"{URL}/{inspection_id}/appeal", json={"reason": "坐席已告知犹豫期", **body})

    def correct(self, person: str, inspection_id: object) -> httpx2.Response:
        return self.client(person).post(f"{URL}/{inspection_id}/correction", json={"reason": "听错一句"})

    def results(self, inspection_id: object, person: str = "officer", role: str = "officer") -> list[dict[str, Any]]:
        shown = self.client(person, role).get(f"{URL}/{inspection_id}/results")
        found: list[dict[str, Any]] = shown.raise_for_status().json()["items"]
        return found

    def state(self, inspection_id: object) -> str:
        found: str = self.officer.get(f"{URL}/{inspection_id}").raise_for_status().json()["state"]
        return found

    def incidents(self, kind: str) -> list[dict[str, Any]]:
        listed = self.officer.get("/v1/incidents", params={"kind": kind}).raise_for_status().json()["items"]
        return [self.officer.get(f"/v1/incidents/{one['incident_id']}").json() for one in listed]

    def set_right(self, policy_no: str, through: object) -> None:
        self.do("UPDATE sales SET right_through = :day WHERE policy_no = :policy_no", day=through, policy_no=policy_no)

    def do(self, statement: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def at(self, instant: datetime) -> None:
        self.clock.at = instant
