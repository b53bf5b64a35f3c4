# The two commands that matter: `make run` and `make test`. `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# What is done in the virtual environment leaves a stamp; a changed pyproject.toml installs again.
MADE := $(VENV)/.made
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed

# The first of these that is at least 3.11 and can make virtual environments; `make PYTHON=… setup` chooses.
PYTHON :=
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3
SUITS := -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'

# Tests run in up to four processes, each with a server or a database of its own; a file stays in one of them.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run test bench clients screenshots lint fmt migrate

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(DEV) ## Make the virtual environment .venv, with the tools for developers

run: $(RUNTIME) ## Start the whole product (.env.example lists what changes how)
	@exec $(BIN)/python -m config.serve

test: $(DEV) ## Run the tests, on an embedded PostgreSQL unless DATABASE_URL names a server
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

clients: $(DEV) ## Test with the real client libraries, which it installs into your cache folder
	@$(BIN)/python -m tests.clients.install
	@CLIENTS=1 $(BIN)/python -m pytest tests/clients $(ARGS)

bench: $(DEV) ## Measure the gateway beside others (ARGS: see python -m bench.gateway --help)
	@$(BIN)/python -m bench.gateway $(ARGS)

screenshots: $(DEV) ## Take the pictures of docs/operators.md (ARGS: --all, and names such as refund)
	@$(BIN)/python -m tests.browser.pictures $(ARGS)

lint: $(DEV) ## Check style, types and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: $(DEV) ## Format the code and mend what mends itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

migrate: $(RUNTIME) ## Bring the database's schema up to date (make run does it, too)
	@$(BIN)/python manage.py migrate

$(MADE):
	@if $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		touch $@; exit 0; \
	fi; \
	for python in $(CANDIDATES); do \
		if $$python $(SUITS) 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version)."; \
			$$python -m venv --clear $(VENV) && touch $@; exit $$?; \
		fi; \
	done; \
	echo "Tollgate needs Python 3.11 or newer with its venv module, and none of these is one:" >&2; \
	echo "    $(CANDIDATES)" >&2; \
	echo "Install it (on Debian and Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; \
	exit 1

$(RUNTIME): pyproject.toml $(MADE)
	@echo "Installing Tollgate into $(VENV)."
	@$(PIP) --editable .
	@touch $@

$(DEV): pyproject.toml $(MADE)
	@echo "Installing Tollgate and its developers' tools into $(VENV)."
	@$(PIP) --editable '.[dev]'
	@touch $(RUNTIME) $@
