# Byline's commands; `make` alone lists them. They need Python 3.11 or later and make, nothing else.

VENV := .venv
BIN := $(VENV)/bin
# The first new enough Python of the path, asked for only when .venv is made; PYTHON=... names another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; exit; }; \
	done; echo python3)
JOBS ?= 2
ARGS ?=
API ?= http://127.0.0.1:8000
CONFORMANCE := not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance

# The pinned uv of requirements-build.lock. It compiles while it installs, since a first start in four processes would compile
# four times over. Byline itself is built by what is installed by then: no network, no isolation.
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
INSTALL_BYLINE := $(INSTALL) --offline --no-deps --no-build-isolation --editable .
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	$(if $(UPGRADE),--upgrade)

.PHONY: help run test soak bench schemathesis check check-format check-lint check-types check-layers check-locks format lock setup \
	setup-dev clean clean-data

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# `byline up` is told who started it, so that it does not outlive a make that was killed.
run: $(VENV)/.run-stamp ## Start Byline with its own PostgreSQL and Valkey; Ctrl-C stops it (ARGS="...")
	@export BYLINE_UP_WITH_PARENT=$$PPID; exec $(BIN)/byline up $(ARGS)

test: $(VENV)/.dev-stamp ## Run all tests but the soak (ARGS="-k slug", JOBS=4)
	@$(BIN)/python -m pytest -n $(JOBS) -m "not soak" $(ARGS)

soak: $(VENV)/.dev-stamp ## Run the long tests that `make test` leaves out
	@$(BIN)/python -m pytest -m soak $(ARGS)

bench: $(VENV)/.dev-stamp ## Measure Byline against minimal rivals, as ratios of one run
	@$(BIN)/python -m benchmarks $(ARGS)

schemathesis: $(VENV)/.dev-stamp ## Try a running service with all that its OpenAPI document allows; it writes (API=URL, TOKEN=...)
	@$(BIN)/schemathesis run $(API)/openapi.json --max-examples 50 --checks $(CONFORMANCE) \
		$(if $(TOKEN),--header "Authorization: Bearer $(TOKEN)") $(ARGS)

check: check-format check-lint check-types check-layers check-locks ## Format, lint, types, layers and lock files; changes nothing

check-format: $(VENV)/.dev-stamp ## Only: is the code formatted?
	@$(BIN)/ruff format --check .

check-lint: $(VENV)/.dev-stamp ## Only: ruff's rules
	@$(BIN)/ruff check .

check-types: $(VENV)/.dev-stamp ## Only: mypy, strictly
	@$(BIN)/mypy
	@$(BIN)/mypy docs/sample

check-layers: $(VENV)/.dev-stamp ## Only: who may import whom
	@$(BIN)/lint-imports

check-locks: $(VENV)/.dev-stamp ## Only: are the lock files in step with pyproject.toml?
	@$(BIN)/python -m pytest -q tests/packaging/test_locks.py

format: $(VENV)/.dev-stamp ## Format the code and mend what the linter can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

# Each lock is bound to the one before it: what runs here, in the image and under test are the same versions.
lock: $(VENV)/.build-stamp ## Write the lock files anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(LOCK) pyproject.toml --output-file requirements.lock
	@$(LOCK) pyproject.toml --extra embedded --constraints requirements.lock --output-file requirements-embedded.lock
	@$(LOCK) pyproject.toml --extra embedded --extra dev --constraints requirements-embedded.lock --output-file requirements-dev.lock
	@$(LOCK) --group build --constraints requirements-dev.lock --output-file requirements-build.lock

setup: $(VENV)/.run-stamp ## Make .venv for `make run` and start nothing
	@echo "$(VENV) is ready for make run"

setup-dev: $(VENV)/.dev-stamp ## Make .venv for the tests and checks
	@echo "$(VENV) is ready for make test and make check"

$(VENV)/.build-stamp: requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Byline needs Python 3.11 or later; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Install one, or name one: make run PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV), once"
	@if uv=$$(command -v uv || command -v $(UV)); then \
		$(BIN)/python -c '' 2>/dev/null || "$$uv" venv --quiet --clear --python "$$(command -v $(PYTHON))" $(VENV); \
		"$$uv" pip install --quiet --python $(BIN)/python --require-hashes --requirements requirements-build.lock; \
	else \
		$(PYTHON) -m venv --clear $(VENV) || { \
			echo "'$(PYTHON)' cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }; \
		$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --requirement requirements-build.lock; \
	fi
	@touch $@

$(VENV)/.run-stamp: $(VENV)/.build-stamp requirements-embedded.lock pyproject.toml
	@echo "Installing what Byline needs"
	@$(INSTALL) --require-hashes --requirements requirements-embedded.lock
	@$(INSTALL_BYLINE)
	@touch $@

$(VENV)/.dev-stamp: $(VENV)/.build-stamp requirements-dev.lock pyproject.toml
	@echo "Installing what Byline's tests need"
	@$(INSTALL) --require-hashes --requirements requirements-dev.lock
	@$(INSTALL_BYLINE)
	@touch $@

clean: ## Remove .venv, caches and builds; never the data
	@rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis build dist *.egg-info
	@find . -name .byline -prune -o -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data: ## Delete the data folder .byline: its database, uploads and keys (asks first)
	@if [ ! -d .byline ]; then echo "There is no data folder .byline here."; exit 0; fi; \
	if [ -e .byline/lock ] && ! $(PYTHON) -c \
		'import fcntl; fcntl.flock(open(".byline/lock"), fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null; \
	then echo "Byline is running on .byline: stop it first." >&2; exit 1; fi; \
	echo "This deletes .byline ($$(du -sh .byline | cut -f1)): the database, uploads, the admin's password and the signing key."; \
	echo "There is no way back. A folder that BYLINE_DATA_DIR names is left alone."; \
	printf 'Type "delete" to go on: '; read -r answer || answer=; \
	if [ "$$answer" != delete ]; then echo "Nothing was deleted."; exit 1; fi; \
	$(PYTHON) -c 'from pathlib import Path; from infrastructure.cache.host import host_tokens_path; \
	host_tokens_path(Path(".byline")).unlink(missing_ok=True)'; \
	rm -rf .byline && echo "Deleted."
