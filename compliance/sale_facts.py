"""Reads what a sale is judged by: its registers on the closing day, and the people of its calls."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.call_facts import Callee, ProposedCall, Purpose
from compliance.callee_facts import NumberedCall, callee_of, read_known_people
from compliance.phone_numbers import normalise
from compliance.register_book import Book
from compliance.registers import Register, UnknownRowError, read_versions, version_of
from compliance.rule_answers import version_on
from compliance.sale_rows import Confirmation, NewSale
from compliance.sale_rules import SaleFacts
from compliance.shanghai import shanghai_day
from compliance.voice_confirmation import Application
from compliance.working_days import Calendar

_PEOPLE = text("""
    SELECT CASE r.direction WHEN 'inbound' THEN r.caller_digits ELSE r.callee_digits END AS digits,
           c.call ->> 'customer_id' AS customer_id
      FROM call_records r LEFT JOIN call_checks c USING (check_id)
     WHERE r.call_id = ANY(:ids) ORDER BY r.call_id""").bindparams(bindparam("ids", type_=ARRAY(TEXT)))


def read_sale_facts(connection: Connection, sale: NewSale, *, book: Book, calendar: Calendar) -> SaleFacts:
    """Return what a sale is judged by, as the registers and call records have it now."""
    callees = _callees(connection, sale, calendar=calendar)
    return sale_facts(sale, book=book, callees=callees, has_medical_exam=_has_medical_exam(connection, sale))


def sale_facts(sale: NewSale, *, book: Book, callees: Sequence[Callee], has_medical_exam: bool | None) -> SaleFacts:
    """Return what a sale is judged by when its customers are these `callees`, by the registers in `book`."""
    sold = ProposedCall(
        callee="",
        agent_id=sale.agent_id,
        centre_id=sale.centre_id,
        product_code=sale.product_code,
        purpose=Purpose.GIFT if sale.gift else Purpose.SALES,
    )
    side = book.calling_side(sold).side
    closed_on = shanghai_day(sale.consented_at)
    product = version_on(side.product, closed_on)
    return SaleFacts(
        consented_at=sale.consented_at,
        sold=sold,
        side=side,
        callees=tuple(callees),
        sales_mode=sale.sales_mode,
        term=sale.term(),
        application=Application(
            consent_on=closed_on,
            birth_date=sale.applicant_birth_date,
            applicant_is_insured=sale.applicant_is_insured,
            product_type=None if product is None else product.type,
            has_medical_exam=has_medical_exam,
        ),
        is_by_recording=sale.confirmation is Confirmation.RECORDING,
        has_calls=bool(sale.call_ids),
    )


def _callees(connection: Connection, sale: NewSale, *, calendar: Calendar) -> list[Callee]:
    """Return the customers of the sale's calls that are recorded, each number once."""
    calls: dict[str, NumberedCall] = {}
    for row in connection.execute(_PEOPLE, {"ids": list(sale.call_ids)}) if sale.call_ids else ():
        number = None if row.digits is None else normalise(f"+{row.digits}")
        if number is not None:
            calls[number.e164] = NumberedCall(ProposedCall(callee=number.e164, customer_id=row.customer_id), number)
    return _known(connection, list(calls.values()), sale, calendar=calendar)


def _known(connection: Connection, calls: Sequence[NumberedCall], sale: NewSale, *, calendar: Calendar) -> list[Callee]:
    if not calls:
        return []
    known = read_known_people(connection, calls)
    return [callee_of(known, one, calendar=calendar, at=sale.consented_at) for one in calls]


def _has_medical_exam(connection: Connection, sale: NewSale) -> bool | None:
    """Say whether the product needs a medical examination: as the sale says, unless the register knows that it does."""
    try:
        versions = read_versions(connection, Register.PRODUCTS, sale.product_code)
    except UnknownRowError:
        return sale.medical_exam
    product = version_of(versions, shanghai_day(sale.consented_at))
    return True if product is not None and product.body.get("medical_exam") is True else sale.medical_exam
