"""Jobs as answers: one body for a new job, a running one and a finished one."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from infra.jobs import Job
from services.fields import ProblemBody


class JobAnswer(BaseModel):
    """A job. `done` and `total` count rows of the input, or entries; `total` is null while unknown."""

    job_id: UUID
    kind: str
    state: Literal["queued", "running", "done", "failed"]
    done: int
    total: int | None
    result: dict[str, Any] | None
    error: ProblemBody | None
    files: list[str]


def job_answer(job: Job) -> JobAnswer:
    """Return a stored job as its answer."""
    return JobAnswer.model_validate(
        {
            "job_id": job.job_id,
            "kind": job.kind,
            "state": job.state,
            "done": job.done,
            "total": job.total,
            "result": job.result,
            "error": job.error,
            "files": job.files,
        }
    )


def new_job_answer(job_id: UUID, kind: str) -> JobAnswer:
    """Return the answer of a job just queued."""
    return JobAnswer(job_id=job_id, kind=kind, state="queued", done=0, total=None, result=None, error=None, files=[])
