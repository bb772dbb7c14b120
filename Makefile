# Everything runs in .venv, made on first use. `make` alone lists what there is.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo ui check test bench bench-200m bench-drift clean

# Given on the command line: make demo DATA=movielens, make ui PORT=4000, make bench SIZE=10m.
DATA   := shop
ROOT   := data/$(DATA)
EVENTS :=
PORT   := 3000
PYTHON :=
SIZE   := 1m
ONLY   :=

# What `make ui` shows of each DATA.
MODULE_shop           := featurestore.shop
FIRST_MONTH_shop      := 2016-01
LAST_MONTH_shop       := 2025-12
MODULE_completejourney      := featurestore.datasets.completejourney
FIRST_MONTH_completejourney := 2017-01
LAST_MONTH_completejourney  := 2017-12
MODULE_movielens      := featurestore.datasets.movielens
FIRST_MONTH_movielens := 1995-01
LAST_MONTH_movielens  := 2016-10

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
EXTRAS    := pipelines,drift,alerts,realdata,dev

# No telemetry, from us or from what we stand on.
export DO_NOT_TRACK := 1
export DAGSTER_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Create .venv and install exact versions into it

# Newest first, but those that the tests run with before any later one. A name may be found and still not work
# (a version manager's placeholder, a Python without ensurepip), so each candidate is tried. A .venv that works is kept.
$(INSTALLED): pyproject.toml constraints.txt
	@$(BIN)/python -c '' 2>/dev/null && exit; \
	for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	  if $$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'No Python >= 3.11 with venv was found. Install one (on Debian: apt install python3 python3-venv),' >&2; \
	  echo 'or name one: make PYTHON=/path/to/python3.12' >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version)"; \
	$$found -m venv $(VENV)
	@echo 'Installing (once, some minutes)'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(INSTALLED) ## Ten years in one command; DATA=completejourney or movielens for real data, ROOT=, EVENTS=
	@$(BIN)/featurestore demo --data '$(DATA)' --root '$(ROOT)' $(if $(EVENTS),--events '$(EVENTS)')

# With the launcher and the pools of the services, so that two runs never write one table here either.
ui: export DAGSTER_HOME := $(abspath $(ROOT))/.dagster
ui: $(INSTALLED) ## Open the Dagster UI on the demo's store; DATA=, ROOT=, PORT=3000
	@test -e '$(ROOT)/store.json' || { echo 'There is no store in $(ROOT) yet; run: make demo DATA=$(DATA)' >&2; exit 1; }
	@mkdir -p "$$DAGSTER_HOME" && cp deploy/dagster.yaml "$$DAGSTER_HOME" && $(BIN)/python -m featurestore_pipelines.prepare
	@echo 'Dagster UI: http://127.0.0.1:$(PORT)'
	@FEATURESTORE_ROOT='$(abspath $(ROOT))' FEATURESTORE_DEFINITIONS='$(MODULE_$(DATA))' \
	  FEATURESTORE_FIRST_MONTH='$(FIRST_MONTH_$(DATA))' FEATURESTORE_LAST_MONTH='$(LAST_MONTH_$(DATA))' \
	  PYTHONWARNINGS='ignore:Function `dev_command` is superseded' \
	  $(BIN)/dagster dev --host 127.0.0.1 --port '$(PORT)'

check: $(INSTALLED) ## Lint, formatting, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@mkdir -p $(VENV)/typed && ln -sfn ../../pipelines $(VENV)/typed/featurestore_pipelines
	@$(BIN)/mypy

test: check ## Everything that must hold: check, then all tests
	@$(BIN)/python -m pytest -q -n 2

bench: $(INSTALLED) ## Measure the engine's targets, and other tools beside it; SIZE=1m, 10m, 50m, ONLY=section,...
	@$(BIN)/python benchmarks/run.py --size '$(SIZE)' $(if $(ONLY),--only '$(ONLY)')

bench-200m: $(INSTALLED) ## Run 200 M events once, unattended: time, memory, bytes
	@$(BIN)/python benchmarks/run.py --size 200m

bench-drift: $(INSTALLED) ## Measure the drift monitor and others on unseen data, and speed; ONLY='hard; growing'
	@$(BIN)/python benchmarks/drift.py $(if $(ONLY),--worlds '$(ONLY)')
	@$(BIN)/python benchmarks/drift.py --speed
	@$(BIN)/python benchmarks/synth_speed.py

clean: ## Remove .venv, caches and build leftovers; data/ stays
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
