"""Settings: the only reader of the environment. Read once, every fault named in one error."""

import re
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.s3_place import SCHEME, read_s3_place

_VERIFIER_KEY = re.compile(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}")

RECORDINGS, RECORDINGS_COPY = "recordings", "recordings-copy"
"""Below `DATA_DIR`: where copies of recordings lie when nothing else is said."""

Pair = TypeVar("Pair")


class SettingsError(ValueError):
    """One or more environment variables are missing or bad; the message names every one of them."""


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        msg = "must be an RFC 3339 instant with an offset, such as 2026-11-23T16:00:00+08:00"
        raise ValueError(msg)
    return value


def _postgres_url(value: str) -> str:
    if not value.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        msg = "must begin with postgresql://, the URL of a PostgreSQL 15 or newer"
        raise ValueError(msg)
    return value


def _broker_url(value: str) -> str:
    if "://" not in value:
        msg = "must be a URL such as redis://host:6379/0 or amqp://host"
        raise ValueError(msg)
    return value


def _place(value: str) -> str:
    if value.startswith(SCHEME):
        read_s3_place(value)
    elif "://" in value.removeprefix("file:///"):
        msg = "must be a directory, as a path or file:/// with an absolute path, or s3://bucket/prefix"
        raise ValueError(msg)
    return value


def _apart(value: str | None, info: ValidationInfo) -> str | None:
    """Demand that second copies of recordings lie elsewhere than the first: a file that is there once is no backup."""
    if {"data_dir", "recordings_url"} <= info.data.keys():  # one that is bad is told already, and is missing here
        own: Path = info.data["data_dir"]
        first = info.data["recordings_url"] or str(own / RECORDINGS)
        if _location(first) == _location(value or str(own / RECORDINGS_COPY)):
            msg = "names the place of the first copies; art. 35 wants a backup: name another, on other media"
            raise ValueError(msg)
    return value


def _location(place: str) -> tuple[str, str | None] | Path:
    """Return what two spellings of the same place have in common, links followed."""
    if not place.startswith(SCHEME):
        return Path(place.removeprefix("file://")).resolve()
    found = read_s3_place(place)
    return str(found), found.endpoint


def _web_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is none
        is_good = False
    if not is_good or not value.isprintable() or " " in value:
        msg = "must be a URL such as https://witness.example/prefix"
        raise ValueError(msg)
    return value


def _verifier_key(value: str) -> str:
    if not _VERIFIER_KEY.fullmatch(value):
        msg = "must be the verifier key of the witness: NAME+HASH+BASE64, the hash in 8 hex digits"
        raise ValueError(msg)
    return value


def _with(partner: str) -> AfterValidator:
    """Demand a variable if its partner, which stands before it, is set, and only then."""

    def check(value: Pair | None, info: ValidationInfo) -> Pair | None:
        # A partner that is bad is told already, and is missing here.
        if partner in info.data and (value is None) != (info.data[partner] is None):
            msg = f"and {partner.upper()} belong together: set both or neither"
            raise ValueError(msg)
        return value

    return AfterValidator(check)


class Settings(BaseSettings):
    """Every variable the product reads. `README.md` lists them; a test keeps the two lists equal."""

    model_config = SettingsConfigDict(frozen=True, case_sensitive=False, extra="ignore", env_ignore_empty=True)

    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port the server listens on.")
    data_dir: Path = Field(default=Path("var"), description="Directory of the embedded database and of files.")
    database_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(
        default=None, description="PostgreSQL 15 or newer; unset: the embedded PostgreSQL below DATA_DIR."
    )
    broker_url: Annotated[str, AfterValidator(_broker_url)] | None = Field(
        default=None, description="Celery broker; unset: a queue in the database itself."
    )
    checkpoints_url: Annotated[str, AfterValidator(_place)] | None = Field(
        default=None, description="Where checkpoints of the ledger go; unset: a directory below DATA_DIR."
    )
    recordings_url: Annotated[str, AfterValidator(_place)] | None = Field(
        default=None, description="Store of the first copies of recordings; unset: a directory below DATA_DIR."
    )
    recordings_copy_url: Annotated[
        Annotated[str, AfterValidator(_place)] | None, AfterValidator(_apart), Field(validate_default=True)
    ] = Field(
        default=None, description="Store of the second copies, on other media; unset: a directory below DATA_DIR."
    )
    recordings_worm: Literal["required"] | None = Field(
        default=None, description="`required`: start only on stores that themselves refuse to shorten and delete."
    )
    spool_dir: Path | None = Field(
        default=None, description="Directory from which recordings are taken in; unset: from none."
    )
    witness_url: Annotated[str, AfterValidator(_web_url)] | None = Field(
        default=None, description="Where a witness cosigns checkpoints of the ledger; unset: nobody does."
    )
    witness_key: Annotated[
        Annotated[str, AfterValidator(_verifier_key)] | None, _with("witness_url"), Field(validate_default=True)
    ] = Field(default=None, description="Verifier key of the witness.")
    timestamp_url: Annotated[str, AfterValidator(_web_url)] | None = Field(
        default=None, description="Authority for time stamps (RFC 3161) of checkpoints; unset: none are made."
    )
    timestamp_roots: Annotated[Path | None, _with("timestamp_url"), Field(validate_default=True)] = Field(
        default=None, description="PEM file of the root certificates of that authority."
    )
    policy_file: Path | None = Field(default=None, description="The company's policy; unset: the legal floor.")
    demo_clock: Annotated[datetime, AfterValidator(_aware)] | None = Field(
        default=None, description="Instant at which the demo's clock starts; embedded database only."
    )
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level of log lines."
    )
    upload_limit_bytes: int = Field(
        default=4 * 1024**3, ge=1024, description="Largest file accepted for scrubs and imports."
    )
    fixity_days: int = Field(
        default=90, ge=1, le=3660, description="Every copy of a recording is hashed again within so many days."
    )
    fixity_bytes_per_second: int = Field(
        default=50_000_000, ge=1000, description="So many bytes a second verification of copies reads at most."
    )
    clock_offset_ms: int = Field(
        default=0, description="Set by the supervisor for the processes it starts; not for people."
    )

    @cached_property
    def clock_offset(self) -> timedelta:
        return timedelta(milliseconds=self.clock_offset_ms)


def read_settings() -> Settings:
    """Read the environment once.

    Raises:
        SettingsError: naming every bad variable, what was expected of it, and never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = [
            f"  {'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}" for fault in error.errors()
        ]
        listing = "\n".join(dict.fromkeys(faults))
        msg = f"these environment variables cannot be used:\n{listing}\nCorrect or unset them and start again."
        raise SettingsError(msg) from None


def child_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment with `extra` laid over it, for a child process."""
    import os  # noqa: PLC0415 - kept beside its only use: nothing else may read the environment

    return {**os.environ, **extra}
