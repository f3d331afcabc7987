"""Strata: which sales are sampled together, so that no sales mode, centre or class hides behind another (art. 34)."""

from typing import NamedTuple

from compliance.call_facts import CentreKind
from compliance.sale_terms import InspectionClass


class Stratum(NamedTuple):
    """Sales of one sales mode, one centre or agency, and one class."""

    sales_mode: CentreKind
    centre_id: str
    inspection_class: InspectionClass


def stratum_of(sales_mode: str, centre_id: str, inspection_class: str) -> Stratum:
    """Return the stratum that the columns of these names say."""
    return Stratum(CentreKind(sales_mode), centre_id, InspectionClass(inspection_class))
