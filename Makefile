# `make up` runs the product, `make test` tests it. Both set up what they need.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# One more than a small machine has processors: many tests wait for processes, leases and clocks.
TEST_JOBS ?= 3
# Where Python is told to keep no compiled files, each of the hundreds of processes would compile the product anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -rs -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup up test chaos lint types bench fmt

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything pinned

up: setup ## Run the product: web, workers, everything
	$(BIN)/agentsite up

test: setup ## Run all tests on SQLite, then those where the database matters on PostgreSQL
	env -u DATABASE_URL $(PYTEST) tests
	$(BIN)/python -m tests.postgres -- $(PYTEST) tests/integration tests/acceptance tests/chaos

SEED ?= 1
SECONDS ?= 60
DATABASE ?= sqlite
chaos: setup ## Disturb a running product at random: SEED=… SECONDS=… DATABASE=sqlite|postgresql
	$(BIN)/python -m tests.chaos --seed $(SEED) --seconds $(SECONDS) --database $(DATABASE)

lint: setup ## Check style, layers and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/agentsite makemigrations --check --dry-run

types: setup ## Check types
	$(BIN)/mypy agentsite agents tools tests benchmarks

bench: setup ## Run the benchmarks; each prints one JSON line per database
	$(BIN)/python -m benchmarks

fmt: setup ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Wheels only: nothing is compiled, so neither a compiler nor headers are needed.
$(STAMP): requirements.lock pyproject.toml
	@PYTHON=$(PYTHON) sh deploy/make-venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
