"""docs/draw.md is what a stranger goes by: its vectors are the golden ones, and its program draws what is drawn."""

import re
import subprocess
import sys
from pathlib import Path

from tests.qa_sampling.bundles import changed, whole_bundle, written
from tests.qa_sampling.draw_vectors import CASES, PROJECT

DOCUMENT = (PROJECT / "docs" / "draw.md").read_text("utf-8")
TABLE = dict(re.findall(r"^\| (`?[^|]+?`?) \| (.+?) \|$", DOCUMENT.partition("## Vectors")[2], re.MULTILINE))
CASE = CASES["ten sales"]


def test_the_vectors_of_the_document_are_the_golden_ones() -> None:
    named = {name: TABLE[f"`{name}`"].strip("`") for name in ("seed", "seed_commitment", "frame_digest")}

    assert named == {name: CASE[name] for name in named}
    assert [TABLE[f"ticket of `{name}`"].strip("`") for name in ("P-1", "P-9")] == [
        CASE["tickets"][name] for name in ("P-1", "P-9")
    ]
    assert re.findall(r"`([^`]+)`", TABLE["`sample` at 3000"]) == CASE["sample"]
    said = re.findall(r"`([^`]+)`( \(\w+\))?", TABLE["`additions`"])
    words = {(True, True): " (promoted)", (False, True): " (drawn)", (False, False): ""}
    assert said == [(one["policy_no"], words[one["in_frame"], one["drawn"]]) for one in CASE["additions"]]


def run(program: str, bundle: bytes, directory: Path) -> int:
    (directory / "bundle.json").write_bytes(bundle)
    command = [sys.executable, "-I", "-c", program, str(directory / "bundle.json")]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_program_of_the_document_draws_the_same_sample(tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)

    assert run(program, written(whole_bundle()), tmp_path) == 0
    assert run(program, changed(lambda bundle: bundle["sample"].pop()), tmp_path) == 1
