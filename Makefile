# FluxRelay: everything a person or CI runs goes through here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The tests wait more than they compute, so four processes more than there are cores. The tests of
# one file stay together, for they share the servers that they start; and the files stay in their
# order, for those with the fewest tests take the longest, and would be left for the end. They start
# hundreds of processes, each of which would compile every source anew where Python may write no
# bytecode.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 4)) --dist loadfile --no-loadscope-reorder --durations 20

.DEFAULT_GOAL := help
.PHONY: help demo up quick quick-lint quick-types quick-unit test rules check chaos bench format lock clean

help: ## Show what can be run
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --no-deps: the lock is complete, and one client in it pins a Pillow that we override.
# The stamp is written last, so an install that was cut off is done again.
$(STAMP): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("FluxRelay needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	@echo "Installing into $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

demo: $(STAMP) ## Start everything on this machine, run one job to its stored image, stop (ARGS=video: a video)
	@$(BIN)/python -m stack demo $(ARGS)

up: $(STAMP) ## Keep the same stack running in the foreground until Ctrl-C (ARGS="--port 8080", ARGS=--fresh)
	@$(BIN)/python -m stack up $(ARGS)

# Side by side, and all three to their end: one run shows everything that there is to mend.
quick: $(STAMP) ## Lint, types and unit tests, in under a minute (the first time two: mypy reads everything)
	@$(MAKE) --no-print-directory -k -j 3 quick-lint quick-types quick-unit

quick-lint:
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@cd client && ../$(BIN)/lint-imports

quick-types:
	@$(BIN)/mypy
	@cd client && ../$(BIN)/mypy

quick-unit:
	@$(BIN)/python -m pytest -q -n logical tests/unit $(ARGS)

test: $(STAMP) ## Run all tests against a real Valkey and a real S3 server
	@$(PYTEST) $(ARGS)

rules: $(STAMP) ## Take each rule of recovery away and see a test fail (a quarter of an hour)
	@$(BIN)/python -m tests.rules $(ARGS)

check: $(STAMP) ## Formatting, lint, types, architecture, then all tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@cd client && ../$(BIN)/mypy
	@$(BIN)/lint-imports
	@cd client && ../$(BIN)/lint-imports
	@$(PYTEST) $(ARGS)

chaos: $(STAMP) ## Kill everything again and again while 2,000 jobs run, then judge (5 to 8 minutes)
	@$(BIN)/python -m chaos $(ARGS)

bench: $(STAMP) ## Measure everything beside floors and peers (up to 15 minutes; ARGS="copy intake", ARGS="--run 2")
	@$(BIN)/python -m benchmarks $(ARGS)
	@$(BIN)/python -m benchmarks.page

format: $(STAMP) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lock: ## Write the hash-pinned requirements anew (needs uv)
	uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate -o requirements.txt
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate -o requirements-dev.txt

clean: ## Remove what was installed and made
	rm -rf $(VENV) .peers .stack demo-output chaos-output .mypy_cache .ruff_cache .pytest_cache client/.mypy_cache client/.import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
