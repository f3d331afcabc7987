"""Places where outside checkpoints lie, looked into and tampered with beside the store that is tested."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config

PREFIX = "ledger/of-us"


class Outside(Protocol):
    """What lies outside, by name."""

    @property
    def url(self) -> str: ...
    def names(self) -> set[str]: ...
    def read(self, name: str) -> str: ...
    def write(self, name: str, text: str) -> None: ...
    def remove(self, name: str) -> None: ...
    def take_away(self) -> None:
        """Make the place one that cannot be used."""


@dataclass(frozen=True, slots=True)
class OutsideDirectory:
    path: Path

    @property
    def url(self) -> str:
        return str(self.path)

    def names(self) -> set[str]:
        return {str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file()}

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def take_away(self) -> None:
        self.path.write_text("in the way")


@dataclass(frozen=True, slots=True)
class OutsideBucket:
    """A bucket with Object Lock, and so with versions."""

    client: Any
    endpoint: str
    bucket: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{PREFIX}?endpoint={self.endpoint}&region=us-east-1"

    def names(self) -> set[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"].removeprefix(f"{PREFIX}/") for one in found}

    def versions(self, name: str) -> list[str]:
        """Return the contents of all versions of an object, the newest first."""
        found = self.client.list_object_versions(Bucket=self.bucket, Prefix=f"{PREFIX}/{name}").get("Versions", [])
        return [self._text(name, VersionId=one["VersionId"]) for one in found]

    def read(self, name: str) -> str:
        return self._text(name)

    def write(self, name: str, text: str) -> None:
        self.client.put_object(
            Bucket=self.bucket, Key=f"{PREFIX}/{name}", Body=text.encode(), ChecksumAlgorithm="SHA256"
        )

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"{PREFIX}/{name}")

    def take_away(self) -> None:
        self.client.delete_bucket(Bucket=self.bucket)

    def _text(self, name: str, **which: str) -> str:
        found = self.client.get_object(Bucket=self.bucket, Key=f"{PREFIX}/{name}", **which)
        text: str = found["Body"].read().decode()
        return text


def make_bucket(endpoint: str, name: str) -> OutsideBucket:
    client = boto3.session.Session().client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", config=Config(s3={"addressing_style": "path"})
    )
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return OutsideBucket(client, endpoint, name)
