# Every target does its own set-up: a virtual environment in .venv with the locked packages. It needs Python 3.11 or
# newer and make, nothing else. Variables: EVENTS=, SEED=, ROUNDS=, PYTHON= (which interpreter makes the environment),
# NAME= (a model), ARGS= (passed on to pytest, dbt, bench and chaos).

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK_COMMAND := uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-emit-index-url \
	--no-emit-find-links --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test browser incidents lint build mart bench chaos up down status pictures lock clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# Made once, and again when a lock or the project's own metadata changes. --require-hashes: only what the lock names,
# byte for byte. The project itself is built with the locked setuptools, so nothing is fetched behind the lock.
$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Meterhouse needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12 ..." % v[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP) ## Make the virtual environment (every other target does it too)

demo: $(STAMP) ## Simulate, land and build through Dagster, check: a day and a half of agents (EVENTS=200000 SEED=7)
	$(BIN)/meterhouse demo $(if $(EVENTS),--events $(EVENTS)) $(if $(SEED),--seed $(SEED))

test: $(STAMP) ## Run the tests, files in turn on two processes (JOBS= ARGS= goes to pytest)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

browser: $(STAMP) ## Drive Dagster's page of a whole stack in a headless Chromium
	@scripts/get-chromium
	METERHOUSE_REQUIRE_CHROMIUM=1 $(BIN)/python -m pytest $(ARGS) tests/orchestration/browser

incidents: $(STAMP) ## Play a day's incidents and count what people are told
	$(BIN)/python -m pytest -m incidents $(ARGS) tests/integration/dbt/test_incidents*.py

lint: $(STAMP) ## Check style (ruff, sqlfluff), types (mypy --strict) and what every model keeps (dbt-bouncer)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/dbt parse --quiet --no-partial-parse --warn-error
	$(BIN)/dbt-bouncer run --config-file dbt-bouncer.yml
	$(BIN)/sqlfluff lint --disable-progress-bar models

build: $(STAMP) ## Build and test every model on the running stack (ARGS= goes to dbt)
	$(BIN)/dbt build $(ARGS)

mart: $(STAMP) ## Build and test one model on a small engine with sample data (NAME=llm_daily)
	$(BIN)/meterhouse try-mart $(NAME)

bench: $(STAMP) ## Measure the loader against the engine's own import (EVENTS= ARGS=--quick)
	$(BIN)/python -m bench $(if $(EVENTS),--events $(EVENTS)) $(ARGS)

chaos: $(STAMP) ## Kill, freeze and cut off the parts under load, then count (ROUNDS=20 SEED=)
	$(BIN)/python -m tests.chaos $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

up: $(STAMP) ## Start the stack in the background, build everything once, say where Dagster's page is
	$(BIN)/meterhouse up

down: $(STAMP) ## Stop it; what has landed stays on disk
	$(BIN)/meterhouse down

status: $(STAMP) ## Show what runs, what has landed, what has not
	$(BIN)/meterhouse status

pictures: $(STAMP) ## Take the pictures of docs/images from the stack that runs
	$(BIN)/python -m tests.orchestration.browser.pictures

lock: $(STAMP) ## Resolve pyproject.toml into the two lock files anew
	$(BIN)/$(LOCK_COMMAND) --group build pyproject.toml --output-file requirements.lock
	$(BIN)/$(LOCK_COMMAND) --group build --group dev --constraint requirements.lock pyproject.toml \
		--output-file requirements-dev.lock

clean: ## Remove the environment and caches; data under .meterhouse stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
