"""Scrubs: a list of numbers is stored and a job queued; the decision on each row is the job's file."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, field_validator

from compliance.call_facts import ProposedCall, Purpose
from compliance.scrub_jobs import JOB_KIND, scrub_parameters
from compliance.shanghai import SHANGHAI
from infra.ids import new_id
from services.dependencies import requires, state_of
from services.fields import Body, Identifier, Instant, PhoneText
from services.idempotency import CreatingRoute
from services.job_answers import JobAnswer
from services.problems import RefusedError
from services.tokens import Actor, Role
from services.uploads import accept_job, discard_upload, receive_upload

router = APIRouter(prefix="/v1/scrubs", tags=["Calls"], route_class=CreatingRoute)

Scrubber = Annotated[Actor, Depends(requires(Role.DIALER, Role.OFFICER))]

_FIRST_SIMULATED_YEAR = 2015
_COLUMNS = (
    "CSV in UTF-8, UTF-16 or GB18030, or .xlsx, with a header row that names a column of numbers "
    "(phone, mobile, 手机号, 电话, …)."
)


class ScrubForm(Body):
    """The form fields that come with the file: what all calls of the list have in common."""

    caller_number: PhoneText | None = None
    agent_id: Identifier | None = None
    centre_id: Identifier | None = None
    purpose: Purpose = Purpose.SALES
    product_code: Identifier | None = None
    campaign_id: Identifier | None = None
    at: Instant | None = Field(
        default=None, description="Simulate this instant, from the facts known now; left out: the moment of the scrub."
    )

    @field_validator("at")
    @classmethod
    def not_before_simulations(cls, value: Any) -> Any:  # noqa: ANN401 - an instant or None
        if value is not None and value.astimezone(SHANGHAI).year < _FIRST_SIMULATED_YEAR:
            msg = f"instants from {_FIRST_SIMULATED_YEAR} on can be simulated"
            raise ValueError(msg)
        return value

    def call(self) -> ProposedCall:
        return ProposedCall(
            callee="",
            caller_number=self.caller_number,
            agent_id=self.agent_id,
            centre_id=self.centre_id,
            purpose=self.purpose,
            product_code=self.product_code,
            campaign_id=self.campaign_id,
        )


def _form_schema() -> dict[str, Any]:
    """Return the schema of the multipart body: the fields and the file."""
    schema = ScrubForm.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    properties = {
        "file": {"type": "string", "format": "binary", "description": _COLUMNS},
        **schema["properties"],
        "purpose": {"type": "string", "enum": list(Purpose), "default": Purpose.SALES},
    }
    return {**schema, "properties": properties, "required": ["file"]}


_UPLOAD = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _form_schema()}}}}


@router.post("", status_code=202, response_model=JobAnswer, openapi_extra=_UPLOAD)
async def scrub_list(request: Request, _actor: Scrubber) -> Response:
    """Decide on every row of a list. The job's file `scrubbed.csv` is the list with the decisions added."""
    upload = await receive_upload(request, new_id())
    try:
        form = upload.form(ScrubForm)
        parameters = scrub_parameters(form.call(), at=form.at)
        return await accept_job(request, upload, kind=JOB_KIND, parameters=parameters)
    except (RefusedError, RequestValidationError):
        # Of any other error it is not sure that no job was queued, which would need the file.
        await to_thread.run_sync(discard_upload, state_of(request), upload)
        raise
