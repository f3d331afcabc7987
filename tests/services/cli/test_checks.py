"""`telesales scrub` at its edges: files that may not be written, and what is left when it fails."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import commands

LISTED = "手机号\n13800138000\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "客户 名单.csv"
    path.write_text(LISTED, "utf-8")
    return path


def scrub(source: Path, target: Path, database: str) -> Result:
    environment = {"DATABASE_URL": database, "DATA_DIR": str(source.parent / "data")}
    return CliRunner(env=environment).invoke(commands, ["scrub", str(source), str(target)])


def test_a_scrub_goes_where_it_is_wanted_and_leaves_nothing_else(source: Path, database: str) -> None:
    target = source.with_name("结果\n1.csv")

    assert scrub(source, target, database).exit_code == 0
    assert target.read_text("utf-8").startswith("手机号,e164,decision,reasons,next_callable_at\n13800138000,")
    assert {path.name for path in source.parent.iterdir()} == {source.name, target.name, "data"}


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_the_list_is_never_overwritten_by_its_answer(source: Path, database: str, link: str) -> None:
    other = source.with_name("other.csv")
    getattr(other, link)(source)

    refused = [scrub(source, target, database) for target in (source, other)]

    assert [one.exit_code for one in refused] == [2, 2]
    assert source.read_text("utf-8") == LISTED


def test_a_device_is_never_replaced_by_a_file(source: Path, database: str) -> None:
    target = source.with_name("device")
    os.mkfifo(target)

    refused = scrub(source, target, database)

    assert (refused.exit_code, target.is_fifo()) == (2, True)


def test_a_directory_that_is_missing_is_named(source: Path, database: str) -> None:
    failed = scrub(source, source.parent / "missing" / "out.csv", database)

    assert (failed.exit_code, "No such file or directory" in failed.output) == (1, True)
    assert "missing. Make it, or name another TARGET" in " ".join(failed.output.split())
    assert "Traceback" not in failed.output


def test_a_scrub_through_a_link_fills_the_file_behind_it(source: Path, database: str) -> None:
    link, behind = source.with_name("link"), source.with_name("behind.csv")
    behind.write_text("old")
    link.symlink_to(behind)

    assert scrub(source, link, database).exit_code == 0
    assert (link.is_symlink(), behind.read_text("utf-8").startswith("手机号,e164")) == (True, True)
