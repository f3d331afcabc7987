"""`telesales draw verify`: what the file beside it says, with exit statuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import commands
from tests.qa_sampling.bundles import changed, whole_bundle, written


def run(content: bytes, directory: Path, *more: str) -> Result:
    path = directory / "bundle.json"
    path.write_bytes(content)
    return CliRunner().invoke(commands, ["draw", "verify", str(path), *more])


def test_a_whole_bundle_exits_0(tmp_path: Path) -> None:
    result = run(written(whole_bundle()), tmp_path)

    assert (result.exit_code, "The draw holds" in result.stdout) == (0, True)


def test_a_broken_bundle_exits_1_with_every_problem(tmp_path: Path) -> None:
    broken = changed(lambda bundle: bundle.update(frame_size=9, sample_size=2))
    words, found = run(broken, tmp_path), run(broken, tmp_path, "--json")

    assert (words.exit_code, found.exit_code) == (1, 1)
    assert [one["where"] for one in json.loads(found.stdout)["problems"]] == ["frame_size", "sample_size"]
    assert "says 9, and the frame has 10 lines" in words.stdout


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'{"frame": "\\ud800"}'])
def test_a_file_that_is_no_bundle_exits_1_without_a_traceback(tmp_path: Path, content: bytes) -> None:
    result = run(content, tmp_path)

    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)


def test_a_file_that_is_not_there_is_bad_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(commands, ["draw", "verify", str(tmp_path / "nothing")])

    assert result.exit_code == 2
