"""Check that the tests take every branch of the pure modules; run after the tests, by `make test`.

The modules are those that the borders' contract "rules are pure" names, so that the two lists cannot differ.
"""

import sys
import tomllib
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).resolve().parents[1]


def pure_files() -> list[str]:
    """Return the paths of the pure modules, relative to the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [contract] = [one for one in project["tool"]["importlinter"]["contracts"] if one["name"] == "rules are pure"]
    return [module.replace(".", "/") + ".py" for module in contract["source_modules"]]


def main() -> int:
    measured = Coverage()
    measured.load()
    share = measured.report(include=pure_files(), show_missing=True, skip_covered=True)
    print(f"branches of the pure modules: {share:.2f} % covered")
    return 0 if share >= 100 else 1


if __name__ == "__main__":
    sys.exit(main())
