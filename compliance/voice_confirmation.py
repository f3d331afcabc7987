"""Whether a wish to be insured may be confirmed by recording alone (art. 30), as far as facts of the sale decide it.

Whether the question was asked and answered (item 3) is for who hears the recording. A fact that is not known is as good
as one that forbids it: the signed application form is always open.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from compliance.call_facts import ProductType
from compliance.legal import in_force
from compliance.periods import add_years

YOUNGEST = "voice_confirmation.youngest_years"
OLDEST = "voice_confirmation.oldest_years"


class VoiceFault(StrEnum):
    """Why a recording does not do; the value names it in findings."""

    APPLICANT_NOT_INSURED = "applicant_not_insured"
    APPLICANT_AGE = "applicant_age"
    PRODUCT_NOT_ORDINARY = "product_not_ordinary"
    MEDICAL_EXAM = "medical_exam"


ARTICLES = {
    VoiceFault.APPLICANT_NOT_INSURED: "30(1)",
    VoiceFault.APPLICANT_AGE: "30(1)",
    VoiceFault.PRODUCT_NOT_ORDINARY: "30(2)",
    VoiceFault.MEDICAL_EXAM: "30(2)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What art. 30 asks of an application; None: not known. `consent_on` is a day in Asia/Shanghai."""

    consent_on: date
    birth_date: date | None
    applicant_is_insured: bool | None
    product_type: ProductType | None
    has_medical_exam: bool | None


def voice_faults(application: Application) -> list[VoiceFault]:
    """Return every reason why a recording cannot confirm this application; none means that it can.

    Raises:
        NotInForceError: the law has no such ages on the day of the consent.
    """
    found = []
    if application.applicant_is_insured is not True:
        found.append(VoiceFault.APPLICANT_NOT_INSURED)
    if application.birth_date is None or not is_of_age(application.birth_date, on=application.consent_on):
        found.append(VoiceFault.APPLICANT_AGE)
    if application.product_type is not ProductType.ORDINARY:
        found.append(VoiceFault.PRODUCT_NOT_ORDINARY)
    if application.has_medical_exam is not False:
        found.append(VoiceFault.MEDICAL_EXAM)
    return found


def is_of_age(birth_date: date, *, on: date) -> bool:
    """Say whether a person is of an age to confirm by recording on the day `on` (art. 30(1), the strict reading).

    From the day after the 18th birthday to the 60th birthday, inclusive. Who was born on 29 February has, in a common
    year, the 18th birthday on 1 March and the 60th on 28 February: each the stricter day.

    >>> is_of_age(date(2008, 2, 29), on=date(2026, 3, 1)), is_of_age(date(2008, 2, 29), on=date(2026, 3, 2))
    (False, True)
    """
    youngest = _birthday_at_latest(birth_date, in_force(YOUNGEST, on).number)
    oldest = add_years(birth_date, in_force(OLDEST, on).number)
    return youngest < on <= oldest


def _birthday_at_latest(birth_date: date, years: int) -> date:
    day = add_years(birth_date, years)
    return day if day.day == birth_date.day else day + timedelta(days=1)
