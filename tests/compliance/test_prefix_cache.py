"""Tables of prefixes kept in a file: a later process takes them from there, and never wrong ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from compliance import mobile_prefixes
from compliance.mobile_prefixes import (
    UnusableTablesError,
    adopt_tables,
    are_tables_made,
    attributions,
    tables_to_keep,
)
from compliance.prefix_cache import FILE_NAME

PROGRAM = """
import sys
from pathlib import Path
from compliance import mobile_prefixes, prefix_cache
from compliance.phone_numbers import normalise
prefix_cache.keep_prefix_tables(Path(sys.argv[1]))
print(normalise("13800138000").region, normalise("021-62345678").region)
"""


def regions_in_another_process(cache_dir: Path) -> str:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, str(cache_dir)], check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data, id="whole"),
        pytest.param(lambda data: data[:0], id="empty"),
        pytest.param(lambda data: data[:-1], id="cut off"),
        pytest.param(lambda data: data[:-1] + bytes([data[-1] ^ 1]), id="one bit"),
        pytest.param(lambda data: b"another file" + data, id="another file"),
    ],
)
def test_every_process_has_the_same_tables_whatever_the_file_holds(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    assert regions_in_another_process(tmp_path) == "110000 310000"
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(damage(whole))

    assert regions_in_another_process(tmp_path) == "110000 310000"
    assert path.read_bytes() == whole
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_good_file_is_taken_and_not_written_again(tmp_path: Path) -> None:
    regions_in_another_process(tmp_path)
    before = (tmp_path / FILE_NAME).stat()

    regions_in_another_process(tmp_path)

    assert (tmp_path / FILE_NAME).stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"rubbish", id="rubbish"),
        pytest.param(tables_to_keep().replace(b"110000", b"110001"), id="other regions"),
    ],
)
def test_tables_of_another_version_are_refused(kept: bytes) -> None:
    with pytest.raises(UnusableTablesError):
        adopt_tables(kept)


def test_a_process_without_tables_takes_those_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tables_to_keep()
    monkeypatch.setattr(mobile_prefixes, "_MADE", [])

    adopt_tables(kept)

    assert are_tables_made()
    assert tables_to_keep() == kept


def test_tables_already_made_stay() -> None:
    before = attributions()

    adopt_tables(tables_to_keep())

    assert attributions() is before
