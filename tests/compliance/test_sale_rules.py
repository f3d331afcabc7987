"""What a sale breaks, by the registers of its closing day."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from compliance.call_facts import (
    Agent,
    Callee,
    CallingSide,
    Centre,
    CentreKind,
    CentreState,
    Insurer,
    Product,
    ProductType,
    ProposedCall,
)
from compliance.legal import citation
from compliance.policy import floor_policy
from compliance.regions import MAINLAND_PROVINCES
from compliance.retention_terms import CoverTerm
from compliance.sale_rules import SaleFacts, findings_of, may_confirm_by_recording
from compliance.shanghai import SHANGHAI
from compliance.voice_confirmation import Application

SINCE = date(2015, 1, 1)
EVERYWHERE = tuple(sorted(MAINLAND_PROVINCES))
POLICY = floor_policy(on=date(2026, 11, 23))
INSURER = Insurer(effective_from=SINCE, operating_regions=EVERYWHERE, telesales_since=date(2020, 5, 10))
CENTRE = Centre(
    effective_from=SINCE,
    centre_id="centre-1",
    kind=CentreKind.OWN_CENTRE,
    state=CentreState.OPEN,
    sales_regions=EVERYWHERE,
    approval_no="A1",
    insurance_licence_no="B1",
    business_licence_no="C1",
    licensed_on=SINCE,
)
AGENCY = replace(
    CENTRE,
    kind=CentreKind.AGENCY,
    filed_on=SINCE,
    qualified_through=date(2030, 12, 31),
    contract_from=SINCE,
    contract_through=date(2030, 12, 31),
)
AGENT = Agent(
    effective_from=SINCE,
    agent_id="agent-1",
    centre_id="centre-1",
    trained_on=SINCE,
    certified_from=SINCE,
    certified_through=date(2030, 12, 31),
)
PRODUCT = Product(effective_from=SINCE, product_code="TERM-1", type=ProductType.ORDINARY)
SIDE = CallingSide(insurer=(INSURER,), centre=(CENTRE,), agent=(AGENT,), product=(PRODUCT,))
BEIJING = Callee(phone_e164="+8613800138000", region="110000")
SALE = SaleFacts(
    consented_at=datetime(2026, 11, 23, 10, tzinfo=SHANGHAI),
    sold=ProposedCall(callee="", agent_id="agent-1", centre_id="centre-1", product_code="TERM-1"),
    side=SIDE,
    callees=(BEIJING,),
    sales_mode=CentreKind.OWN_CENTRE,
    term=CoverTerm(date(2026, 11, 24), None),
    application=Application(
        consent_on=date(2026, 11, 23),
        birth_date=date(1986, 5, 10),
        applicant_is_insured=True,
        product_type=ProductType.ORDINARY,
        has_medical_exam=False,
    ),
    is_by_recording=True,
    has_calls=True,
)


def codes(sale: SaleFacts) -> list[tuple[str, str]]:
    return [(one.code, one.article) for one in findings_of(sale, POLICY)]


def with_side(**rows: Any) -> SaleFacts:
    return replace(SALE, side=replace(SIDE, **rows))


def test_a_proper_sale_has_no_findings() -> None:
    assert codes(SALE) == []


PARTICIPATING = replace(PRODUCT, type=ProductType.PARTICIPATING)
TRAINED = replace(AGENT, participating_trained_on=SINCE)
FOUND: dict[str, tuple[SaleFacts, list[tuple[str, str]]]] = {
    "unit-linked": (
        replace(with_side(product=(replace(PRODUCT, type=ProductType.UNIT_LINKED),)), is_by_recording=False),
        [("product_not_permitted", "19")],
    ),
    "participating, two clean years and special training": (
        replace(with_side(product=(PARTICIPATING,), agent=(TRAINED,)), is_by_recording=False),
        [],
    ),
    "participating without special training": (
        replace(with_side(product=(PARTICIPATING,)), is_by_recording=False),
        [("agent_not_qualified", "26")],
    ),
    "G04: participating after a major penalty": (
        replace(
            with_side(
                product=(PARTICIPATING,),
                agent=(TRAINED,),
                insurer=(replace(INSURER, major_penalties_on=(date(2025, 8, 1),)),),
            ),
            is_by_recording=False,
        ),
        [("product_not_permitted", "19")],
    ),
    "participating in the second year": (
        replace(
            with_side(
                product=(PARTICIPATING,),
                agent=(TRAINED,),
                insurer=(replace(INSURER, telesales_since=date(2024, 11, 23)),),
            ),
            is_by_recording=False,
        ),
        [("product_not_permitted", "19")],
    ),
    "product no longer sold": (
        with_side(product=(replace(PRODUCT, sold_through=date(2026, 11, 22)),)),
        [("product_not_permitted", "19")],
    ),
    "outside the insurer's regions": (
        with_side(insurer=(replace(INSURER, operating_regions=("310000",)),)),
        [("outside_sales_region", "18")],
    ),
    "outside the centre's regions": (
        with_side(centre=(replace(CENTRE, sales_regions=("310000",)),)),
        [("outside_sales_region", "18")],
    ),
    "one of two customers outside": (
        replace(
            with_side(centre=(replace(CENTRE, sales_regions=("110000",)),)),
            callees=(BEIJING, replace(BEIJING, region="310000")),
        ),
        [("outside_sales_region", "18")],
    ),
    "two customers outside are one finding": (
        replace(with_side(centre=(replace(CENTRE, sales_regions=("650000",)),)), callees=(BEIJING, BEIJING)),
        [("outside_sales_region", "18")],
    ),
    "not of the mainland": (
        replace(SALE, callees=(Callee(phone_e164="+85221234567", mainland=False),)),
        [("outside_sales_region", "18")],
    ),
    "nobody known, sold everywhere": (replace(SALE, callees=()), []),
    "nobody known, sold in one province": (
        replace(with_side(centre=(replace(CENTRE, sales_regions=("110000",)),)), callees=()),
        [("region_unknown", "18")],
    ),
    "region not known, sold in one province": (
        replace(
            with_side(centre=(replace(CENTRE, sales_regions=("110000",)),)), callees=(replace(BEIJING, region=None),)
        ),
        [("region_unknown", "18")],
    ),
    "centre in preparation": (
        with_side(centre=(replace(CENTRE, state=CentreState.PREPARING),)),
        [("centre_not_open", "14")],
    ),
    "agency past its contract": (
        replace(
            with_side(centre=(replace(AGENCY, contract_through=date(2026, 11, 22)),)), sales_mode=CentreKind.AGENCY
        ),
        [("agency_not_filed", "16")],
    ),
    "own centre said to be an agency": (
        replace(SALE, sales_mode=CentreKind.AGENCY),
        [("sales_mode_differs", "34")],
    ),
    "agent of another centre": (
        with_side(agent=(replace(AGENT, centre_id="centre-2"),)),
        [("agent_not_qualified", "26")],
    ),
    "nothing registered": (
        replace(SALE, side=CallingSide(insurer=()), callees=()),
        [("unknown_centre", "14"), ("unknown_insurer", "18"), ("unknown_product", "19"), ("unknown_agent", "26")],
    ),
    "a wrong age, confirmed by recording": (
        replace(SALE, application=replace(SALE.application, birth_date=date(1960, 1, 1))),
        [("applicant_age", "30(1)")],
    ),
    "a wrong age, confirmed by signature": (
        replace(SALE, application=replace(SALE.application, birth_date=date(1960, 1, 1)), is_by_recording=False),
        [],
    ),
    "no calls": (replace(SALE, has_calls=False), [("no_recorded_call", "27")]),
    "months against dates": (
        replace(SALE, term=CoverTerm(date(2026, 11, 24), date(2046, 11, 24), 12)),
        [("term_contradictory", "35")],
    ),
}


@pytest.mark.parametrize(("sale", "found"), FOUND.values(), ids=FOUND.keys())
def test_what_is_found_and_by_which_article(sale: SaleFacts, found: list[tuple[str, str]]) -> None:
    assert codes(sale) == found


def test_the_registers_of_the_closing_day_decide_and_not_those_of_today() -> None:
    limited = replace(CENTRE, effective_from=date(2026, 11, 24), sales_regions=("310000",))
    sale = with_side(centre=(CENTRE, limited))

    assert codes(sale) == []
    assert codes(replace(sale, consented_at=datetime(2026, 11, 24, 0, 0, tzinfo=SHANGHAI))) == [
        ("outside_sales_region", "18")
    ]


def test_only_findings_on_the_record_are_no_breaches() -> None:
    sale = replace(SALE, has_calls=False, sales_mode=CentreKind.AGENCY, term=CoverTerm(date(2026, 11, 24), None, 1))
    broken = replace(sale, application=replace(sale.application, applicant_is_insured=False))

    assert [one.is_breach for one in findings_of(sale, POLICY)] == [False] * 3
    assert [one.code for one in findings_of(broken, POLICY) if one.is_breach] == ["applicant_not_insured"]


def test_every_finding_cites_an_article_of_the_law_and_speaks_both_languages() -> None:
    found = [one for sale, _ in FOUND.values() for one in findings_of(sale, POLICY)]

    assert all(citation(one.article).words and one.message and one.message_zh for one in found)


OLDER = replace(
    with_side(product=()),
    consented_at=datetime(2012, 12, 31, 23, 59, 59, tzinfo=SHANGHAI),
    application=replace(SALE.application, consent_on=date(2012, 12, 31)),
)


def test_a_sale_older_than_the_measures_cannot_have_broken_them() -> None:
    assert codes(OLDER) == []
    assert codes(replace(OLDER, has_calls=False)) == [("no_recorded_call", "27")]


def test_from_the_first_day_of_the_measures_a_sale_is_judged_by_them() -> None:
    first = replace(OLDER, consented_at=datetime(2013, 1, 1, tzinfo=SHANGHAI), is_by_recording=False)

    assert ("unknown_product", "19") in codes(first)


def test_a_recording_confirms_only_under_the_measures() -> None:
    assert may_confirm_by_recording(SALE.application)
    assert not may_confirm_by_recording(replace(SALE.application, has_medical_exam=True))
    assert not may_confirm_by_recording(OLDER.application)
