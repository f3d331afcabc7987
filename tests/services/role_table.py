"""Who may do what: Details 3 of the contract, an entry per group of operations; the first entry that fits holds."""

import re

_ALL = "dialer inspector officer admin auditor"

_TABLE: tuple[tuple[str, str, str], ...] = (
    ("POST", r"/v1/call-checks(/batch)?", "dialer"),
    ("POST", r"/v1/call-checks/simulate", "dialer officer admin auditor"),
    ("GET", r"/v1/call-checks/.*", "dialer officer admin auditor"),
    ("POST", r"/v1/(calls|callback-requests)", "dialer"),
    ("GET", r"/v1/(calls|callback-requests)(/.*)?", "dialer officer admin auditor"),
    ("POST", r"/v1/scrubs", "dialer officer"),
    ("POST", r"/v1/do-not-call", "dialer inspector officer"),
    ("POST", r"/v1/do-not-call/(imports|[^/]+/release)", "officer"),
    ("GET", r"/v1/do-not-call(/.*)?", "dialer inspector officer auditor"),
    (
        "POST|PATCH|PUT",
        r"/v1/(overlays|approvals|policy|disposals|draws|complaints|incidents|reports|calendar)(/.*)?",
        "officer",
    ),
    (
        "GET",
        r"/v1/(overlays|approvals|policy|disposals|draws(?!/commitments)|complaints|incidents|reports)(/.*)?",
        "officer auditor",
    ),
    ("GET", r"/v1/draws/commitments", "inspector officer admin auditor"),
    ("GET", r"/v1/(tokens|users)(/.*)?", "admin auditor"),
    (
        "POST|PATCH|PUT",
        r"/v1/(insurer|centres|agents|caller-numbers|products|scripts|campaigns|customers|tokens|users)(/.*)?",
        "admin",
    ),
    ("GET", r"/v1/(insurer|centres|agents|caller-numbers|products|scripts|campaigns|customers)(/.*)?", _ALL),
    ("GET", r"/v1/sales(/.*)?", "inspector officer admin auditor"),
    ("POST|PATCH", r"/v1/sales(/.*)?", "officer admin"),
    ("POST", r"/v1/recordings", "dialer officer admin"),
    ("POST", r"/v1/recordings/[^/]+/transcript", "admin"),
    ("POST", r"/v1/recordings/[^/]+/holds(/.*)?", "officer"),
    ("POST", r"/v1/recordings/[^/]+/verify", "inspector officer auditor"),
    ("GET", r"/v1/recordings(/.*)?", "inspector officer auditor"),
    ("GET", r"/v1/inspections(/.*)?", "inspector officer auditor"),
    ("POST", r"/v1/inspections/[^/]+/appeal", "inspector officer"),
    ("POST|PUT", r"/v1/inspections/.*", "inspector"),
    ("GET", r"/v1/scorecards(/.*)?", "inspector officer auditor"),
    ("POST", r"/v1/scorecards", "officer"),
    ("GET", r"/v1/calibration", "officer auditor"),
    ("GET", r"/v1/sampling/failure-rates", "officer auditor"),
    ("GET", r"/v1/sampling/.*", "inspector officer auditor"),
    ("POST", r"/v1/ledger/seal", "admin"),
    ("GET", r"/v1/ledger/.*", "officer admin auditor"),
    ("GET", r"/v1/jobs/.*", _ALL),  # another role's job is 404
    ("GET", r"/metrics", _ALL),
)


def roles_by_contract(method: str, path: str) -> frozenset[str]:
    """Return the roles that may use an operation.

    Raises:
        LookupError: the table has no entry for it; add one from the contract.
    """
    for methods, pattern, roles in _TABLE:
        if re.fullmatch(methods, method.upper()) and re.fullmatch(pattern, path):
            return frozenset(roles.split())
    msg = f"{method} {path} stands in no row of the contract's table of roles"
    raise LookupError(msg)
