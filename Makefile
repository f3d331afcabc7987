# Runs on a bare machine with Python >= 3.11, git and make. `make help` lists the targets.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
RESULTS ?= benchmark-results

.PHONY: help run test check bench lock format install install-dev
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install:
	@$(or $(PYTHON),$(error Python 3.11 or newer was not found; install it or name it: make run PYTHON=/path/to/python3)) infra/deploy/install.py run

install-dev:
	@$(or $(PYTHON),$(error Python 3.11 or newer was not found; install it or name it: make test PYTHON=/path/to/python3)) infra/deploy/install.py dev

run: install ## Install, start PostgreSQL, migrate, load demo data when empty, serve; Ctrl-C stops everything
	@exec $(BIN)/telesales run

test: install-dev ## Install what tests need and run all of them
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --cov --cov-report=
	@$(BIN)/python -m tests.pure_coverage

check: install-dev ## Style, types, borders between modules, migration drift
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m services.cli.drift

bench: install-dev ## Measure against the rivals; writes a table and JSON to RESULTS
	@$(BIN)/python -m tests.benchmarks --output $(RESULTS)

format: install-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Write the lock files anew (needs uv)
	@sh requirements/lock.sh
