"""Whether a request is signed as the account `ours` of the tests signs (AWS signature version 4)."""

import hashlib
import hmac
import re
from email.message import Message
from urllib.parse import parse_qsl, quote, urlsplit

KEY_ID, SECRET_KEY = "ours", "secret"
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=(\w+)/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})")


def is_signed(method: str, target: str, headers: Message) -> bool:
    """Whether the headers, path and query are signed with the account's secret; the body's hash is taken as told."""
    found = _SIGNED.fullmatch(headers.get("Authorization", ""))
    if found is None or found[1] != KEY_ID:
        return False
    scope, names = found[2], found[3].split(";")
    parts = urlsplit(target)
    query = sorted(
        (quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(parts.query, keep_blank_values=True)
    )
    canonical = "\n".join(
        [
            method,
            parts.path,
            "&".join(f"{k}={v}" for k, v in query),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names),
            "",
            found[3],
            headers.get("x-amz-content-sha256", ""),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signed = f"AWS4-HMAC-SHA256\n{headers.get('x-amz-date', '')}\n{scope}\n{digest}"
    key = f"AWS4{SECRET_KEY}".encode()
    for one in scope.split("/"):
        key = hmac.digest(key, one.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, signed.encode(), "sha256").hex(), found[4])
