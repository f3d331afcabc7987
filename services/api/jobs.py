"""Long work: how far a job is, what came of it, and the files it left."""

import re
from pathlib import Path as FilePath
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from infra.jobs import Job, UnknownJobError, read_job
from services.dependencies import EVERYONE, State, Transaction, requires
from services.idempotency import CreatingRoute
from services.job_answers import JobAnswer, job_answer
from services.problems import NotFoundError
from services.tokens import Actor
from services.uploads import output_directory

router = APIRouter(prefix="/v1/jobs", tags=["Jobs"], route_class=CreatingRoute)

Anyone = Annotated[Actor, Depends(requires(*EVERYONE))]
FileName = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]

_MEDIA_TYPES = {".csv": "text/csv", ".json": "application/json", ".pdf": "application/pdf"}


_RANGE = re.compile(rb"bytes=(?:(\d{1,18})-(\d{0,18})|-[1-9]\d{0,17})", re.ASCII)


class JobFile(FileResponse):
    """A file of a job. A `Range` that is none of it is passed over, as RFC 9110 (14.2) allows.

    Starlette would answer it in plain text, and errors are problems.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [one for one in scope["headers"] if one[0] != b"range" or self._can_give(one[1])]
        await super().__call__({**scope, "headers": headers}, receive, send)

    def _can_give(self, wanted: bytes) -> bool:
        found = _RANGE.fullmatch(wanted)
        if found is None:
            return False
        first, last = found.groups()
        size = FilePath(self.path).stat().st_size
        return size > 0 if first is None else int(first) < size and (not last or int(first) <= int(last))


@router.get("/{job_id}")
def get_job(job_id: UUID, connection: Transaction, actor: Anyone) -> JobAnswer:
    """Say how far a job is. A job of another role is unknown to this one."""
    return job_answer(_job_of(connection, job_id, actor))


@router.get("/{job_id}/files/{name}", response_class=JobFile)
def get_job_file(job_id: UUID, name: FileName, connection: Transaction, state: State, actor: Anyone) -> JobFile:
    """Send a file that a finished job left; the job's `files` names them."""
    job = _job_of(connection, job_id, actor)
    path = output_directory(state.files, job_id) / name
    if name not in job.files or not path.is_file():
        raise NotFoundError(f"Job {job_id} has no such file; its 'files' names those it has.")
    return JobFile(path, media_type=_MEDIA_TYPES.get(FilePath(name).suffix, "application/octet-stream"), filename=name)


def _job_of(connection: Transaction, job_id: UUID, actor: Actor) -> Job:
    job = read_job(connection, job_id)
    if job.role != actor.role:
        # The same answer as for no job at all: it tells nothing about other roles' work.
        raise UnknownJobError(f"there is no job {job_id}")
    return job
