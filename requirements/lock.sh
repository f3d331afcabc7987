#!/bin/sh
# Write the lock files anew from pyproject.toml: pip's requirements form, with hashes, without any host.
set -eu
cd "$(dirname "$0")/.."
compile() {
  uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" "$@"
}
compile --group build --output-file requirements/run.txt --quiet
compile --group build --group dev --constraints requirements/run.txt --output-file requirements/dev.txt --quiet
