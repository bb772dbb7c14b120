# Everything runs in .venv, made on first use. `make` alone lists what there is.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo ui check test commands bench bench-200m bench-drift clean

# Given on the command line: make demo DATA=movielens, make ui PORT=4000, make bench SIZE=10m.
DATA   := shop
ROOT   := data/$(DATA)
EVENTS :=
MONTHS :=
PORT   := 3000
PYTHON :=
SIZE   := 1m
ONLY   :=
QUICK  :=

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
EXTRAS    := pipelines,drift,alerts,realdata

# What the commands need, and what only developing needs on top of it: linters, test tools, a browser's driver.
INSTALLED     := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

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

$(INSTALLED_DEV): $(INSTALLED)
	@echo 'Installing linters and test tools (once)'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS),dev]'
	@touch $@

demo: $(INSTALLED) ## Ten years in one command; DATA=completejourney or movielens for real data, ROOT=, EVENTS=, MONTHS=
	@$(BIN)/featurestore demo --data '$(DATA)' --root '$(ROOT)' $(if $(EVENTS),--events '$(EVENTS)') $(if $(MONTHS),--months '$(MONTHS)')

ui: $(INSTALLED) ## Open the Dagster UI on the demo's store; DATA=, ROOT=, PORT=3000
	@test -e '$(ROOT)/store.json' || { echo 'There is no store in $(ROOT) yet; run: make demo DATA=$(DATA)' >&2; exit 1; }
	@exec $(BIN)/python -m featurestore_pipelines.ui --root '$(ROOT)' --definitions '$(MODULE_$(DATA))' \
	  --first-month '$(FIRST_MONTH_$(DATA))' --last-month '$(LAST_MONTH_$(DATA))' --port '$(PORT)'

check: $(INSTALLED_DEV) ## Lint, formatting, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@mkdir -p $(VENV)/typed && ln -sfn ../../pipelines $(VENV)/typed/featurestore_pipelines
	@$(BIN)/mypy

test: check ## Everything that must hold: check, then all tests
	@$(BIN)/python -m pytest -q -n 2

commands: $(INSTALLED_DEV) ## Run every command that the documentation names, in small
	@$(BIN)/python -m pytest -q -n 0 tests/docs/running.py

bench: $(INSTALLED_DEV) ## Measure the engine's targets, and other tools beside it; SIZE=100k (a look), 1m, 10m, 50m, ONLY=section,...
	@$(BIN)/python benchmarks/run.py --size '$(SIZE)' $(if $(ONLY),--only '$(ONLY)')

bench-200m: $(INSTALLED_DEV) ## Run 200 M events once, unattended: time, memory, bytes
	@$(BIN)/python benchmarks/run.py --size 200m

bench-drift: $(INSTALLED_DEV) ## Measure the drift monitor and others on unseen data, and speed; ONLY='hard; growing', QUICK=1 (a look)
	@$(BIN)/python benchmarks/drift.py $(if $(QUICK),--quick --no-peers) $(if $(ONLY),--worlds '$(ONLY)')
	@$(BIN)/python benchmarks/drift.py --speed $(if $(QUICK),--features 20)
	@$(BIN)/python benchmarks/synth_speed.py $(if $(QUICK),300000 2)

clean: ## Remove .venv, caches and build leftovers; data/ stays
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
