"""Where objects lie: what a URL such as s3://bucket/prefix?endpoint=https://host:9000 says. No client, no network."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

SCHEME = "s3://"
_PARAMETERS = ("endpoint", "region")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9!_.*'()-]+", re.ASCII)
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_REGION = re.compile(rf"(?!\d+\Z){_LABEL}", re.ASCII)
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*|[0-9a-f]*:[0-9a-f:.]*", re.ASCII)


class S3PlaceError(ValueError):
    """A URL names no place for objects; the message says what is wrong, and never what stood there."""


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket, and the prefix below which names begin ("" or without slashes at its ends).

    `endpoint` None means Amazon's own for the region, `region` None what boto3 finds in its configuration.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, name: str) -> str:
        """Return the key of an object."""
        return f"{self.prefix}/{name}" if self.prefix else name


def read_s3_place(url: str) -> S3Place:
    """Return the place that s3://BUCKET[/PREFIX][?endpoint=URL][&region=NAME] names.

    Raises:
        S3PlaceError: it names none. Credentials are none of it: they would be shown with it.
    """
    parts = _split(url)
    if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc):
        raise S3PlaceError(
            "must be s3://bucket/prefix with a bucket of 3 to 63 lower-case letters, digits, dots and hyphens, and"
            " no credentials: those go where boto3 looks for them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if parts.fragment:
        raise S3PlaceError("must have no # in it")
    given = _parameters(parts.query)
    return S3Place(parts.netloc, _prefix(parts.path), _endpoint(given.get("endpoint")), _region(given.get("region")))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read here, since it is what fails when the port is none
    except ValueError:
        raise S3PlaceError("must be a URL; its host or port cannot be read") from None  # the cause quotes it
    return parts


def _parameters(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs) or not set(given) <= set(_PARAMETERS):
        raise S3PlaceError("must have no parameters but ?endpoint=https://host:port&region=name, each once")
    return given


def _prefix(path: str) -> str:
    prefix = path.removeprefix("/").removesuffix("/")
    segments = prefix.split("/") if prefix else []
    if any(not _SEGMENT.fullmatch(one) or one in {".", ".."} for one in segments):
        raise S3PlaceError("must have a prefix of letters, digits and !_.*'()- between single slashes")
    return prefix


def _endpoint(given: str | None) -> str | None:
    if given is None:
        return None
    parts = _split(given)
    plain = "@" not in parts.netloc and not (parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme not in {"http", "https"} or not plain or not _HOST.fullmatch(parts.hostname or ""):
        raise S3PlaceError("must have an endpoint such as https://host:9000: no path, no credentials")
    return f"{parts.scheme}://{parts.netloc}"


def _region(given: str | None) -> str | None:
    if given is not None and not _REGION.fullmatch(given):
        raise S3PlaceError("must have a region such as cn-north-1")
    return given
