"""Import of whole do-not-call lists: the file is stored and a job queued; what became of each row is the job's."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field

from compliance.do_not_call_imports import JOB_KIND, ImportMode
from infra.ids import new_id
from services.dependencies import requires, state_of
from services.fields import Body
from services.idempotency import CreatingRoute
from services.job_answers import JobAnswer
from services.problems import RefusedError
from services.tokens import Actor, Role
from services.uploads import accept_job, discard_upload, receive_upload

router = APIRouter(prefix="/v1/do-not-call/imports", tags=["Do-not-call list"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]


class ImportForm(Body):
    """The form fields that come with the file."""

    mode: ImportMode = Field(
        default=ImportMode.TOLERANT,
        description="tolerant: store every row that can be read; strict: store nothing if any row is bad.",
    )


_COLUMNS = (
    "CSV in UTF-8, UTF-16 or GB18030, or .xlsx, with a header row. Columns: the number (phone, 手机号, …); "
    "refused_at|拒绝时间|拒绝日期; blocked_through|截止日期|有效期; customer_id|客户号; permanent|永久; reason|原因."
)
_FORM_SCHEMA = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": _COLUMNS},
        "mode": {"type": "string", "enum": list(ImportMode), "default": ImportMode.TOLERANT},
    },
}
_UPLOAD = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM_SCHEMA}}}}


@router.post("", status_code=202, response_model=JobAnswer, openapi_extra=_UPLOAD)
async def import_list(request: Request, _actor: Officer) -> Response:
    """Block everyone on a list. The job's file `rejected.csv` says of each row that was not imported why."""
    upload = await receive_upload(request, new_id())
    try:
        form = upload.form(ImportForm)
        return await accept_job(request, upload, kind=JOB_KIND, parameters={"mode": form.mode})
    except (RefusedError, RequestValidationError):
        # Of any other error it is not sure that no job was queued, which would need the file.
        await to_thread.run_sync(discard_upload, state_of(request), upload)
        raise
