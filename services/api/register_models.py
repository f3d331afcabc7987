"""What the registers take: one model per register, of which the bodies of PATCH and the answers are made.

Fields that may be null are optional: a missing fact is not refused here, it closes the gate.
"""

import hashlib
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictInt, create_model

from compliance.call_facts import CentreKind, CentreState, ProductType, Purpose
from compliance.phone_numbers import normalise, normalise_caller
from compliance.regions import callee_region
from services.fields import Body, Day, Identifier, LongText, Name, PhoneText

_MOST_LISTED = 1000
_MOST_OF_ONE_PERSON = 100


def _region(code: str) -> str:
    if callee_region(code) != code:
        msg = "must be the code of a mainland province, or of 210200, 330200, 350200, 370200 or 440300"
        raise ValueError(msg)
    return code


def _place(code: str) -> str:
    if callee_region(code) is None:
        msg = "must be the six-digit administrative code of a place in the mainland"
        raise ValueError(msg)
    return code


def _shown_number(text: str) -> str:
    found = normalise_caller(text)
    if found is None:
        msg = "is no number that can be shown to a customer"
        raise ValueError(msg)
    return found


def _callable_number(text: str) -> str:
    found = normalise(text)
    if found is None:
        msg = "is no number on which a person can be called"
        raise ValueError(msg)
    return found.e164


RegionCode = Annotated[str, AfterValidator(_region), Field(examples=["310000"], max_length=6)]
"""A region of the gate: a province, or a city with an insurance regulator of its own."""

PlaceCode = Annotated[str, AfterValidator(_place), Field(examples=["310115"], max_length=6)]
ShownNumber = Annotated[PhoneText, AfterValidator(_shown_number)]
CallableNumber = Annotated[PhoneText, AfterValidator(_callable_number)]
CallersId = Annotated[Identifier, Field(pattern=r"^[^\x00-\x1f/]+$", description="Yours; it stands in paths.")]
Regions = Annotated[list[RegionCode], Field(max_length=_MOST_LISTED)]
Days = Annotated[list[Day], Field(max_length=_MOST_LISTED)]
Phones = Annotated[list[CallableNumber], Field(max_length=_MOST_OF_ONE_PERSON)]
Segments = Annotated[list[Identifier], Field(max_length=_MOST_OF_ONE_PERSON)]
PolicyNumbers = Annotated[list[Identifier], Field(max_length=_MOST_LISTED)]


class RegisterBody(Body):
    """What every row takes beside its own fields."""

    effective_from: Annotated[Day | None, Field(description="First day of this version; default: today.")] = None
    effective_through: Annotated[Day | None, Field(description="Last day of this version, included.")] = None


class InsurerBody(RegisterBody):
    name: Name | None = None
    operating_regions: Regions = Field(default_factory=list)
    telesales_since: Day | None = None
    major_penalties_on: Days = Field(default_factory=list)


class CentreBody(RegisterBody):
    """A telesales centre of the insurer, or an agency that sells by telephone for it."""

    kind: CentreKind
    name: Name
    operator_name: Name | None = None
    state: CentreState = CentreState.PREPARING
    place: PlaceCode | None = None
    sales_regions: Regions = Field(default_factory=list)
    reported_regions: Regions = Field(default_factory=list)
    approval_no: Identifier | None = None
    insurance_licence_no: Identifier | None = None
    business_licence_no: Identifier | None = None
    licensed_on: Day | None = None
    filed_on: Day | None = None
    qualified_through: Day | None = None
    contract_from: Day | None = None
    contract_through: Day | None = None
    telesales_since: Day | None = None
    major_penalties_on: Days | None = None


class AgentBody(RegisterBody):
    name: Name
    staff_no: Identifier | None = None
    centre_id: Identifier
    user_id: Annotated[
        Identifier | None, Field(description="Owner of this person's token or login, who inspects nothing (art. 33).")
    ] = None
    supervisor_user_id: Annotated[
        Identifier | None, Field(description="Who supervises this agent, and inspects none of these sales (art. 33).")
    ] = None
    trained_on: Day | None = None
    certified_from: Day | None = None
    certified_through: Day | None = None
    participating_trained_on: Day | None = None


class CallerNumberBody(RegisterBody):
    """A number shown to customers. `centre_id` null: the insurer's own, used by all its own centres."""

    phone: ShownNumber
    centre_id: Identifier | None = None
    in_use_from: Day
    retired_on: Annotated[Day | None, Field(description="First day without the number (art. 20).")] = None


class ProductBody(RegisterBody):
    product_code: CallersId
    name: Name
    type: ProductType
    cooling_off_days: Annotated[StrictInt, Field(ge=0, le=3650)] | None = None
    medical_exam: StrictBool | None = None
    sold_from: Day | None = None
    sold_through: Day | None = None


class ScriptBody(RegisterBody):
    sales_mode: CentreKind
    product_code: Identifier
    version: Identifier
    text: LongText
    approved_on: Day | None = None
    approved_by: Name | None = None


class CampaignBody(RegisterBody):
    name: Name
    centre_id: Identifier | None = None
    purpose: Purpose | None = None
    product_code: Identifier | None = None
    lead_source: Name | None = None
    legal_basis: Name | None = None
    leads_collected_on: Day | None = None
    leads_expire_on: Day | None = None


class CustomerBody(RegisterBody):
    """A customer, whole: what is left out is emptied."""

    phones: Phones = Field(default_factory=list)
    region: PlaceCode | None = None
    region_verified_on: Day | None = None
    birth_date: Day | None = None
    segments: Segments = Field(default_factory=list)
    policy_nos: PolicyNumbers = Field(default_factory=list)


class Versioned(BaseModel):
    """What every answer has beside the fields of its row."""

    effective_from: date
    effective_through: date | None
    recorded_at: datetime


class RegisterWarning(BaseModel):
    """Something that the Measures expect of a row and that does not stop it from being stored."""

    code: str
    article: str
    message: str
    message_zh: str


def _left_out() -> None:
    """Stand for a field that was not sent; unlike a default value it does not show in the published schema."""


def patch_model(name: str, body: type[RegisterBody], *, without: frozenset[str] = frozenset()) -> type[Body]:
    """Return the model of a change of `body`: the same fields, each of which may be left out."""
    fields: dict[str, Any] = {
        field: (info.rebuild_annotation(), Field(default_factory=_left_out))
        for field, info in body.model_fields.items()
        if field not in without
    }
    return create_model(name, __base__=Body, __doc__="What changes; the rest stays.", **fields)


def answer_model(name: str, body: type[RegisterBody], **more: Any) -> type[BaseModel]:  # noqa: ANN401 - types of fields
    """Return the model of an answer: the fields of `body`, all present, those of every version, and `more`."""
    own = {field: info.rebuild_annotation() for field, info in body.model_fields.items()}
    kinds = {**own, **Versioned.__annotations__, **more}
    fields: dict[str, Any] = {field: (kind, ...) for field, kind in kinds.items()}
    return create_model(name, __base__=BaseModel, **fields)


_WORDS_OF_A_CENTRE = "电话销售中心"


def centre_extras(body: Mapping[str, Any]) -> dict[str, object]:
    """Return what the answer for a centre adds: a warning when its name lacks the words of art. 8."""
    name = "".join(unicodedata.normalize("NFKC", body["name"]).split())
    if body["kind"] != CentreKind.OWN_CENTRE or _WORDS_OF_A_CENTRE in name:
        return {"warnings": []}
    warning = RegisterWarning(
        code="centre_name",
        article="8",
        message=f"The name of an own centre must contain the applicant's name and {_WORDS_OF_A_CENTRE}.",
        message_zh=f"电话销售中心的名称应当包含申请人名称和“{_WORDS_OF_A_CENTRE}”。",
    )
    return {"warnings": [warning.model_dump()]}


def script_extras(body: Mapping[str, Any]) -> dict[str, object]:
    """Return what the answer for a script adds: the digest by which its text can be recognised."""
    return {"text_sha256": hashlib.sha256(body["text"].encode()).hexdigest()}
