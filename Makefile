# codex-ml: everything a person types. `make help` lists it.
#
# Set-up needs python3 (3.11 to 3.13), python3-venv and the package index; no root, no compiler.
#   1. pip puts uv and the build backends into .venv        requirements-build.lock, with hashes
#   2. pip installs torch by its own line                   TORCH_SPEC, because builds differ by machine
#   3. uv installs everything else                          requirements[-demo].lock, with hashes
#   4. the project itself, editable, without dependencies
#
# A CUDA build of torch instead of the CPU one:
#   make setup TORCH_INDEX=                                  the default build of the index
#   make setup TORCH_SPEC=torch==2.13.0 TORCH_INDEX="--index-url https://download.pytorch.org/whl/cu130"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH_SPEC ?= torch==2.13.0
# A folder of wheels in PIP_FIND_LINKS wins over the public index of CPU builds.
TORCH_INDEX ?= $(if $(PIP_FIND_LINKS),,--extra-index-url https://download.pytorch.org/whl/cpu)
# The default CPU build takes its dependencies from the lock; any other build brings CUDA packages.
TORCH_DEPS := $(if $(filter-out file,$(origin TORCH_SPEC) $(origin TORCH_INDEX)),,--no-deps)
# Another build named on the command line replaces the one that is there, also one of the same version.
TORCH_NAMED := $(findstring command line,$(origin TORCH_SPEC) $(origin TORCH_INDEX))

PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
UV := VIRTUAL_ENV=$(VENV) $(BIN)/uv pip
# Locks are complete, so nothing is resolved here, and builds use the locked backends in .venv.
# Byte code is written once here, not by every first call (or by every call where PYTHONDONTWRITEBYTECODE is set).
UV_INSTALL := $(UV) install --quiet --no-build-isolation --no-deps --compile-bytecode
TORCH_STAMP := $(VENV)/.stamp-torch
DEMO_STAMP := $(VENV)/.stamp-demo
DEV_STAMP := $(VENV)/.stamp-dev

.DEFAULT_GOAL := help
.PHONY: help setup setup-demo demo test lint types docs core bench lock scan status clean $(if $(TORCH_NAMED),$(TORCH_STAMP))

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(DEV_STAMP) ## .venv with everything for development, and the git hook
setup-demo: $(if $(wildcard $(DEV_STAMP)),$(DEV_STAMP),$(DEMO_STAMP)) ## .venv with only what the demo needs

demo: setup-demo ## train, evaluate and show a small code model: runs/demo/report.html
	@$(BIN)/codex-ml pipeline run experiment=demo

test: setup ## every check of the project
	@rm -f artifacts/gates.json
	@$(BIN)/nox -s lint types docs core tests; code=$$?; $(BIN)/python tools/gates.py; exit $$code

lint types docs core: setup
	@$(BIN)/nox -s $@
lint: ## ruff
types: ## mypy, strict
docs: ## links and paths in the documentation
core: ## the wheel without extras, in a fresh environment

bench: setup ## speed against peers
	@$(BIN)/python -m benchmarks

status: setup ## write what the auditor says of this project into docs/status.md
	@$(BIN)/codex-ml audit . > docs/status.md

scan: setup ## look for secrets as the git hook does
	@$(BIN)/pre-commit run detect-secrets --all-files

# Order matters: the smaller locks follow the versions of the full one. UPGRADE=--upgrade renews all.
LOCK := $(UV) compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-emit-package torch --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)
lock: ## renew the locks from pyproject.toml (needs .venv)
	@$(LOCK) --extra dev --group build --output-file requirements.lock
	@$(LOCK) --extra train --extra report --constraint requirements.lock --output-file requirements-demo.lock
	@$(UV) compile --group build --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE) \
	  --constraint requirements.lock --output-file requirements-build.lock

clean: ## remove .venv, caches and artifacts; runs/ and .codex/ stay
	@rm -rf $(VENV) artifacts dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .nox
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; install python3 (3.11 to 3.13) or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "make: $$($(PYTHON) -V) will not do; name a Python 3.11 to 3.13: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: python3-venv is missing; install it: apt-get install python3-venv" >&2; exit 1; }
	@echo "[setup] creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(TORCH_STAMP): requirements-build.lock | $(BIN)/python
	@echo "[setup] uv and the build backends"
	@$(PIP) --require-hashes -r requirements-build.lock
	@echo "[setup] $(TORCH_SPEC)"
	@$(PIP) $(if $(TORCH_NAMED),--force-reinstall) $(TORCH_DEPS) $(TORCH_INDEX) '$(TORCH_SPEC)'
	@touch $@

$(DEMO_STAMP): requirements-demo.lock pyproject.toml $(TORCH_STAMP)
	@echo "[setup] what the demo needs"
	@$(UV_INSTALL) --require-hashes -r requirements-demo.lock
	@$(UV_INSTALL) --editable .
	@$(UV) check --quiet
	@touch $@

$(DEV_STAMP): requirements.lock pyproject.toml $(TORCH_STAMP)
	@echo "[setup] everything for development"
	@$(UV_INSTALL) --require-hashes -r requirements.lock
	@$(UV_INSTALL) --editable .
	@$(UV) check --quiet
	@if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then \
	  $(BIN)/pre-commit install || echo "[setup] the git hook was not installed (reason above); everything else is ready"; \
	else echo "[setup] no git work tree here, so no git hook was installed"; fi
	@touch $@ $(DEMO_STAMP)
