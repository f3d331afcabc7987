"""Golden draws, which docs/draw.md gives to strangers; computed by a program that shares nothing with the product."""

import json
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
VECTORS: dict[str, Any] = json.loads((PROJECT / "tests" / "vectors" / "draws.json").read_text("utf-8"))
CASES: dict[str, Any] = {one["name"]: one for one in VECTORS["cases"]}
