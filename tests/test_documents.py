"""What the project says about itself: every setting, reason, command and endpoint is written down; size is kept."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from compliance.decision import ReasonCode
from infra.settings import Settings
from services.cli.main import commands
from tests.services.shared_app import published_document

PROJECT = Path(__file__).parents[1]
PACKAGES = ("services", "qa_sampling", "recordings", "compliance", "infra")
README = (PROJECT / "README.md").read_text()
DOCUMENTS = README + "".join(path.read_text() for path in sorted((PROJECT / "docs").rglob("*.md")))
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
IN_ONE_FILE = {"compliance/ledger_verifier.py", "qa_sampling/verify.py"}
"""Given to strangers, who check it and run it: one file that imports nothing of ours, however long."""

_VARIABLE_ROW = re.compile(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


def test_the_readme_lists_every_setting_and_no_other() -> None:
    assert [name for name, _default, _meaning in _VARIABLE_ROW.findall(README)] == [
        name.upper() for name in Settings.model_fields
    ]


def test_the_readme_gives_the_defaults_of_the_settings() -> None:
    said = {name: default.strip("`") for name, default, _meaning in _VARIABLE_ROW.findall(README)}
    plain = {
        name.upper(): str(one.default)
        for name, one in Settings.model_fields.items()
        if isinstance(one.default, str) or (isinstance(one.default, int) and name != "upload_limit_bytes")
    }

    assert {name: said[name] for name in plain} == plain
    assert (said["DATA_DIR"], said["UPLOAD_LIMIT_BYTES"]) == ("./var", "4 GiB")


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_code_is_explained(code: ReasonCode) -> None:
    assert f"`{code}`" in DOCUMENTS


def names_of_commands() -> Iterator[str]:
    group = typer.main.get_command(commands)
    for name, command in group.commands.items():  # type: ignore[attr-defined]  # a group has commands
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name
        else:
            yield from (f"{name} {one}" for one in inner)


@pytest.mark.parametrize("name", sorted(names_of_commands()))
def test_every_command_is_written_down(name: str) -> None:
    assert re.search(rf"(?:telesales |`){name}\b", DOCUMENTS)


GROUPS = sorted({path.split("/")[2] for path in published_document()["paths"] if path.startswith("/v1/")})


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_of_endpoints_is_written_down(group: str) -> None:
    assert re.search(rf"/v1/{group}\b", DOCUMENTS)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
def test_every_endpoint_for_operators_is_written_down(path: str) -> None:
    assert path in DOCUMENTS


def test_links_between_documents_lead_somewhere() -> None:
    texts = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
    dead = [
        f"{text.relative_to(PROJECT)}: {target}"
        for text in texts
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text.read_text())
        if "://" not in target and not (text.parent / target).exists()
    ]

    assert dead == []


@pytest.mark.parametrize("path", sorted((PROJECT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_locked_requirements_name_no_host_and_carry_hashes(path: Path) -> None:
    text = path.read_text()
    packages = re.findall(r"^[\w.\[\]-]+==\S+", text, re.MULTILINE)

    assert re.findall(r"https?://\S+|^-{1,2}(?:i|index-url|extra-index-url|find-links|trusted-host)\b", text) == []
    assert "@ " not in text
    assert packages
    assert len(packages) <= text.count("--hash=sha256:")


def sources() -> list[Path]:
    return sorted(
        path for package in PACKAGES for path in (PROJECT / package).rglob("*.py") if "migrations" not in path.parts
    )


def test_packages_are_empty_where_they_are_opened() -> None:
    opened = [path for package in (*PACKAGES, "tests") for path in (PROJECT / package).rglob("__init__.py")]

    assert opened
    assert [str(path.relative_to(PROJECT)) for path in opened if path.read_bytes()] == []


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {str(path.relative_to(PROJECT)): len(path.read_text().splitlines()) for path in sources()}

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE and name not in IN_ONE_FILE} == {}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield f"{path.relative_to(PROJECT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_no_function_is_longer_than_50_lines() -> None:
    lengths = dict(found for path in sources() for found in functions(path))

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_every_module_says_what_it_owns() -> None:
    silent = [
        path for path in sources() if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert [str(path.relative_to(PROJECT)) for path in silent] == []
