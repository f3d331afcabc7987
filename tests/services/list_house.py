"""An application and a worker for lists in tests."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
from fastapi.testclient import TestClient

from services.tasks import Worker
from tests.gate_facts import CALL
from tests.services.shared_app import SharedApp

FIELDS = {name: value for name, value in CALL.items() if name != "callee"}


LIST = "手机号,姓名\r\n138 0013 8000,张三\r\n110,李四\r\n".encode("gb18030")


@dataclass(frozen=True, slots=True)
class House:
    """An application and the worker on the same data."""

    shared: SharedApp
    worker: Worker
    woken: list[UUID]

    def client(self, role: str = "dialer") -> TestClient:
        return self.shared.client(role)

    def send(
        self, content: bytes = LIST, *, role: str = "dialer", key: str | None = None, form: dict[str, str] | None = None
    ) -> httpx2.Response:
        return self.client(role).post(
            "/v1/scrubs",
            files={"file": ("list.csv", content)},
            data={**FIELDS, **(form or {})},
            headers={} if key is None else {"Idempotency-Key": key},
        )

    def job(self, job_id: str, *, role: str = "dialer") -> dict[str, Any]:
        answer: dict[str, Any] = self.client(role).get(f"/v1/jobs/{job_id}").json()
        return answer

    def uploads(self) -> set[str]:
        return {directory.name for directory in self.worker.files.iterdir()}
