# The doors of this project. `make help` lists them.

PYTHON ?= python3
ARGS ?=
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOG := $(VENV)/install.log
CODE := bot adapters knowledge handoff tests benchmarks

.PHONY: setup demo test check format bench chaos lock clean help

help: ## list the doors
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything that demo and test need into .venv

# The stamp is newer than both files exactly when the installed packages are those that they name.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Firstline needs Python 3.11 or newer, and '$(PYTHON)' is not: $$($(PYTHON) --version 2>&1 | head -n 1)"; \
	  echo "Install one and name it: make setup PYTHON=python3.12"; exit 1; }
	@echo "[1/3] $(VENV): $$($(PYTHON) --version)"
	@if [ ! -x $(BIN)/python ]; then $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "Python cannot create a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }; fi
	@echo "[2/3] installing $$(grep -c == constraints.txt) packages at their locked versions (the first time: one to five minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input \
	    --constraint constraints.txt --editable '.[dev]' 2>&1 | tee $(LOG) | { \
	  seen=0; while IFS= read -r line; do case "$$line" in \
	    Collecting*) seen=$$((seen + 1)); if (( seen % 20 == 0 )); then echo "      $$seen found"; fi ;; \
	    *"Downloading torch-"*) echo "      torch, the largest of them" ;; \
	    Installing\ collected*) echo "      writing them to $(VENV)" ;; \
	  esac; done; } || { \
	  tail -n 12 $(LOG); \
	  echo "Installing failed; the whole story is in $(LOG)."; \
	  echo "No network or a proxy: set PIP_INDEX_URL or HTTPS_PROXY. No space: about 2 GB are needed."; \
	  echo "Anything else: make clean setup"; exit 1; }
	@echo "[3/3] checking that the packages agree with each other"
	@$(BIN)/python -m pip check --disable-pip-version-check >>$(LOG) 2>&1 || { \
	  tail -n 5 $(LOG); echo "The locked versions contradict each other: make lock, then try again."; exit 1; }
	@touch $@
	@echo "ready: make demo, make test"

demo: $(STAMP) ## ask it questions on a local page, no account needed
	@$(BIN)/firstline demo $(ARGS)

test: $(STAMP) ## run the whole test suite (ARGS="-k claim" for a part)
	@$(BIN)/pytest -q -n 2 --dist loadfile $(ARGS)

check: $(STAMP) ## format, lint, types, import contracts, docs, tests: what must hold before a change lands
	@echo "format";  $(BIN)/ruff format --check --quiet $(wildcard $(CODE)) || { echo "mend it with: make format"; exit 1; }
	@echo "lint";    $(BIN)/ruff check --quiet $(wildcard $(CODE))
	@echo "types";   $(BIN)/mypy --no-error-summary
	@echo "imports"; $(BIN)/lint-imports
	@echo "docs";    $(BIN)/python docs/generate.py --check
	@echo "tests";   $(BIN)/pytest -q -n 2 --dist loadfile $(ARGS)

format: $(STAMP) ## rewrite the code in the project's format, and mend what lint can mend
	@$(BIN)/ruff check --quiet --fix $(wildcard $(CODE)) || true
	@$(BIN)/ruff format $(wildcard $(CODE))
	@$(BIN)/python docs/generate.py

bench: $(STAMP) ## measure; writes benchmarks/results.json
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(STAMP) ## the long crash-and-fault suite
	@$(BIN)/python -m tests.chaos $(ARGS)

# A throwaway environment, so that nothing which happens to be installed here finds its way into the lock.
lock: ## rewrite constraints.txt from the newest versions that pyproject.toml allows
	@aside=$$(mktemp -d); trap 'rm -rf "$$aside"' EXIT; \
	echo "[1/3] a throwaway environment"; $(PYTHON) -m venv "$$aside/venv"; \
	echo "[2/3] installing what pyproject.toml asks for (some minutes)"; \
	"$$aside/venv/bin/python" -m pip install --disable-pip-version-check --no-input --quiet --editable '.[dev]'; \
	echo "[3/3] writing constraints.txt"; \
	{ grep '^#' constraints.txt; \
	  "$$aside/venv/bin/python" -m pip freeze --disable-pip-version-check --exclude-editable \
	    | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' | LC_ALL=C sort --ignore-case --field-separator== --key=1,1; } >"$$aside/constraints.txt"; \
	grep -q '^torch==2\.13\.0$$' "$$aside/constraints.txt" || { echo "torch is not 2.13.0; constraints.txt stays as it was"; exit 1; }; \
	! grep -nE '://|@ ' "$$aside/constraints.txt" || { echo "an address instead of a version; constraints.txt stays as it was"; exit 1; }; \
	cp "$$aside/constraints.txt" constraints.txt; git --no-pager diff --stat -- constraints.txt

clean: ## remove .venv and every cache; your data stays
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
