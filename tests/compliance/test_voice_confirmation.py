import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from compliance.call_facts import ProductType
from compliance.legal import NotInForceError
from compliance.voice_confirmation import ARTICLES, Application, VoiceFault, is_of_age, voice_faults

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "voice_confirmation.toml").read_text("utf-8"))["case"]

PROPER = Application(
    consent_on=date(2026, 11, 23),
    birth_date=date(1986, 5, 10),
    applicant_is_insured=True,
    product_type=ProductType.ORDINARY,
    has_medical_exam=False,
)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_cases_for_counsel(case: dict[str, Any]) -> None:
    assert is_of_age(case["birth_date"], on=case["consent_on"]) is case["allowed"]


def test_every_case_for_counsel_cites_its_article_and_gives_its_reasons() -> None:
    assert all(case["article"] and case["reasoning"] for case in CASES)


def test_a_recording_confirms_a_proper_application() -> None:
    assert voice_faults(PROPER) == []


FAULTS = {
    "somebody else is insured": ({"applicant_is_insured": False}, VoiceFault.APPLICANT_NOT_INSURED),
    "nobody said who is insured": ({"applicant_is_insured": None}, VoiceFault.APPLICANT_NOT_INSURED),
    "too young": ({"birth_date": date(2008, 11, 23)}, VoiceFault.APPLICANT_AGE),
    "age not known": ({"birth_date": None}, VoiceFault.APPLICANT_AGE),
    "participating": ({"product_type": ProductType.PARTICIPATING}, VoiceFault.PRODUCT_NOT_ORDINARY),
    "product not known": ({"product_type": None}, VoiceFault.PRODUCT_NOT_ORDINARY),
    "medical examination": ({"has_medical_exam": True}, VoiceFault.MEDICAL_EXAM),
    "nobody said whether": ({"has_medical_exam": None}, VoiceFault.MEDICAL_EXAM),
}


@pytest.mark.parametrize(("change", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_each_condition_of_article_30_is_needed(change: dict[str, Any], fault: VoiceFault) -> None:
    assert voice_faults(replace(PROPER, **change)) == [fault]


def test_every_fault_cites_its_article() -> None:
    assert ARTICLES.keys() == set(VoiceFault)


def test_there_are_no_ages_before_the_law() -> None:
    with pytest.raises(NotInForceError):
        voice_faults(replace(PROPER, consent_on=date(2012, 12, 31)))
