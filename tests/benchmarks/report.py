"""Shows figures: a table on the terminal, `results.json`, and the table in docs/performance.md."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.figures import Figure

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN = "<!-- figures: written by python -m tests.benchmarks --write-docs -->"
END = "<!-- end of figures -->"
_WORDS = {True: "yes", False: "NO", None: ""}


class MarkersMissingError(ValueError):
    """The document has lost the two lines between which the figures stand."""


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table("benchmark", "figure", "value", "unit", "target", "reached")
    table.columns[2].justify = "right"
    for one in figures:
        table.add_row(one.benchmark, one.name, one.shown, one.unit, str(one.target or ""), _WORDS[one.reached])
    Console().print(table)


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """Return the figures as they stand in results.json."""
    return [
        {
            "benchmark": one.benchmark,
            "name": one.name,
            "value": one.value,
            "shown": one.shown,
            "unit": one.unit,
            "target": None if one.target is None else str(one.target),
            "reached": one.reached,
        }
        for one in figures
    ]


def write_results(output: Path, results: Mapping[str, object]) -> Path:
    """Write results.json."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "results.json"
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write_document(results: Mapping[str, Any], document: Path = DOCUMENT) -> None:
    """Put the figures of `results` between the two markers of the document.

    Raises:
        MarkersMissingError: the document does not have both, in order.
    """
    written = document.read_text(encoding="utf-8")
    before, begin, rest = written.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"{document.name} must hold the lines {BEGIN} and {END}"
        raise MarkersMissingError(msg)
    document.write_text(f"{before}{BEGIN}\n\n{_markdown(results)}\n\n{END}{after}", encoding="utf-8")


def _markdown(results: Mapping[str, Any]) -> str:
    machine, load = results["machine"], results["load_average"]
    measured = (
        f"Measured on {results['measured_on']}: {machine['cpu']}, {machine['cores_used']} cores,"
        f" {machine['memory_gib']} GiB; Python {machine['python']}, PostgreSQL {machine['postgresql']},"
        f" DuckDB {machine['duckdb']}; {results['entries']:,} do-not-call entries. Load average of the minute before:"
        f" {load['before'][0]:.2f}."
    )
    lines = [
        measured,
        "",
        "| benchmark | figure | value | target | reached |",
        "|---|---|---:|---|---|",
    ]
    lines += [
        f"| {one['benchmark']} | {one['name']} | {one['shown']} {one['unit']} | {one['target'] or ''}"
        f" | {_WORDS[one['reached']]} |"
        for one in results["figures"]
    ]
    return "\n".join(lines)
