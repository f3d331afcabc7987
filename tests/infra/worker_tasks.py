"""The application of the worker and beat that the tests start; the broker's URL is in TEST_BROKER_URL."""

import os
from pathlib import Path

from infra.celery_app import make_celery

application = make_celery(
    os.environ["TEST_BROKER_URL"],
    schedule={"tick": {"task": "touch", "schedule": 1.0, "args": [os.environ["TEST_TICK_FILE"]]}},
    schedule_dir=Path(os.environ["TEST_TICK_FILE"]).parent,
)


@application.task(name="touch")  # type: ignore[untyped-decorator]  # Celery ships no types
def touch(path: str) -> None:
    Path(path).touch()


@application.task(name="relay")  # type: ignore[untyped-decorator]  # Celery ships no types
def relay(path: str) -> None:
    """Send a task from inside a task, as a sweep does."""
    touch.delay(path)
