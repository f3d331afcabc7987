"""What the registers take and refuse, field by field."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from services.api.register_models import (
    AgentBody,
    CallerNumberBody,
    CampaignBody,
    CentreBody,
    CustomerBody,
    InsurerBody,
    ProductBody,
    RegisterBody,
    ScriptBody,
    answer_model,
    centre_extras,
    patch_model,
)

CENTRE = {"kind": "own_centre", "name": "x"}
AGENT = {"name": "x", "centre_id": "c1"}
CAMPAIGN = {"name": "x"}
NUMBER = {"phone": "95519", "in_use_from": "2020-01-01"}
PRODUCT = {"product_code": "p1", "name": "x", "type": "ordinary"}
SCRIPT = {"sales_mode": "own_centre", "product_code": "p1", "version": "1", "text": "x"}


def refused(body: type[BaseModel], sent: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as error:
        body.model_validate(sent)
    return [".".join(map(str, one["loc"])) for one in error.value.errors()]


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        pytest.param(InsurerBody, {}, id="insurer"),
        pytest.param(CentreBody, CENTRE, id="centre"),
        pytest.param(AgentBody, AGENT, id="agent"),
        pytest.param(CampaignBody, CAMPAIGN, id="campaign"),
        pytest.param(CallerNumberBody, NUMBER, id="caller number"),
        pytest.param(ProductBody, PRODUCT, id="product"),
        pytest.param(ScriptBody, SCRIPT, id="script"),
        pytest.param(CustomerBody, {}, id="customer"),
    ],
)
def test_facts_that_are_missing_may_be_left_out(body: type[RegisterBody], sent: dict[str, Any]) -> None:
    assert body.model_validate(sent).model_fields_set == set(sent)


@pytest.mark.parametrize(
    ("body", "sent", "loc"),
    [
        pytest.param(CentreBody, {**CENTRE, "colour": "red"}, "colour", id="unknown field"),
        pytest.param(CentreBody, {**CENTRE, "sales_regions": ["310115"]}, "sales_regions.0", id="a district"),
        pytest.param(CentreBody, {**CENTRE, "sales_regions": ["810000"]}, "sales_regions.0", id="not the mainland"),
        pytest.param(CentreBody, {**CENTRE, "place": "999999"}, "place", id="no place"),
        pytest.param(CentreBody, {**CENTRE, "kind": "branch"}, "kind", id="unknown kind"),
        pytest.param(CentreBody, {**CENTRE, "name": None}, "name", id="no name"),
        pytest.param(CentreBody, {**CENTRE, "name": "a\x00b"}, "name", id="NUL"),
        pytest.param(CentreBody, {**CENTRE, "licensed_on": "2020-1-1"}, "licensed_on", id="no date"),
        pytest.param(AgentBody, {"name": "x"}, "centre_id", id="agent of no centre"),
        pytest.param(CampaignBody, {**CAMPAIGN, "purpose": "fun"}, "purpose", id="unknown purpose"),
        pytest.param(CallerNumberBody, {**NUMBER, "phone": "110"}, "phone", id="emergency number"),
        pytest.param(CallerNumberBody, {"phone": "95519"}, "in_use_from", id="number without a beginning"),
        pytest.param(ProductBody, {**PRODUCT, "type": "variable"}, "type", id="unknown type"),
        pytest.param(ProductBody, {**PRODUCT, "cooling_off_days": -1}, "cooling_off_days", id="negative days"),
        pytest.param(ProductBody, {**PRODUCT, "cooling_off_days": 10**30}, "cooling_off_days", id="too many days"),
        pytest.param(ProductBody, {**PRODUCT, "cooling_off_days": True}, "cooling_off_days", id="no number"),
        pytest.param(ProductBody, {**PRODUCT, "medical_exam": "yes"}, "medical_exam", id="no boolean"),
        pytest.param(
            ProductBody, {**PRODUCT, "product_code": "a/b"}, "product_code", id="a code that no path can hold"
        ),
        pytest.param(ScriptBody, {**SCRIPT, "sales_mode": "web"}, "sales_mode", id="unknown mode"),
        pytest.param(ScriptBody, {**SCRIPT, "text_sha256": "0"}, "text_sha256", id="what the server computes"),
    ],
)
def test_what_cannot_be_used_is_named(body: type[RegisterBody], sent: dict[str, Any], loc: str) -> None:
    assert refused(body, sent) == [loc]


@pytest.mark.parametrize("value", ["310000", "210200", "330200", "350200", "370200", "440300"])
def test_provinces_and_cities_with_a_regulator_are_regions(value: str) -> None:
    assert InsurerBody.model_validate({"operating_regions": [value]}).operating_regions == [value]


@pytest.mark.parametrize(
    ("text", "phone"), [("95519", "+8695519"), ("400-800-0000", "+864008000000"), ("021 5555 6666", "+862155556666")]
)
def test_numbers_that_may_be_shown_are_stored_in_normal_form(text: str, phone: str) -> None:
    assert CallerNumberBody.model_validate({**NUMBER, "phone": text}).phone == phone


def test_a_change_may_leave_out_every_field_but_takes_no_id() -> None:
    patch = patch_model("Patch", ProductBody, without=frozenset({"product_code"}))

    assert patch.model_validate({}).model_fields_set == set()
    assert patch.model_validate({"sold_from": None}).model_fields_set == {"sold_from"}
    assert refused(patch, {"product_code": "p2", "name": None}) == ["name", "product_code"]


def test_an_answer_has_every_field_and_the_dates_of_its_version() -> None:
    answer = answer_model("Answer", CallerNumberBody, caller_number_id=str)

    assert set(answer.model_json_schema()["required"]) == {
        "phone",
        "centre_id",
        "in_use_from",
        "retired_on",
        "effective_from",
        "effective_through",
        "recorded_at",
        "caller_number_id",
    }


@pytest.mark.parametrize(
    ("kind", "name", "articles"),
    [
        pytest.param("own_centre", "示例人寿电话销售中心", [], id="named as art. 8 says"),
        pytest.param("own_centre", "示例人寿 电话 销售中心", [], id="spaces do not matter"),
        pytest.param("own_centre", "示例人寿客服中心", ["8"], id="without the words"),
        pytest.param("agency", "示例代理", [], id="an agency is no centre of the insurer"),
    ],
)
def test_the_name_of_an_own_centre_is_warned_about(kind: str, name: str, articles: list[str]) -> None:
    warnings: Any = centre_extras({"kind": kind, "name": name})["warnings"]

    assert [warning["article"] for warning in warnings] == articles
