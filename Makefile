# make setup | run | test | test-peers | bench | optimality | fuzz | help: everything a fresh machine with Python 3.11 or later needs.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin

.PHONY: help setup run test test-peers lint bench bench-linear bench-growth optimality fuzz clean

help:  ## list these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(STAMP)  ## make .venv with everything in it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("sparsebd needs Python 3.11 or later; say which with make PYTHON=/path/to/python3" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $(STAMP)

run: setup  ## the main job: real activations to gathered rows, in all five modes
	$(BIN)/sparsebd run

test: lint  ## lint, type-check and test
	$(BIN)/pytest

test-peers:  ## the tests that need torch, transformers and NNCF: several GB, in .venv-peers
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-peers/bin/python -m pip install --quiet --editable ".[models,peers]" --group dev
	.venv-peers/bin/pytest -m peers

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: setup  ## speed, as ratios to memcpy
	$(BIN)/pytest benchmarks --benchmark-only --benchmark-disable-gc

bench-linear: setup  ## cost of simulating from 100 to 1,000,000 BDs, and its plot
	$(BIN)/python benchmarks/linear.py

bench-growth: setup  ## cost of planning from 1,000 to 1,000,000 rows, and its plot
	$(BIN)/python benchmarks/growth.py

optimality: setup  ## thousands of small masks: BDs of each effort beside the proven minimum
	$(BIN)/python benchmarks/optimality.py $(OPTIMALITY)

fuzz: setup  ## 100,000 damaged files and made-up designs; others with FUZZ='--seed 2'
	$(BIN)/python -m tests.fuzz $(FUZZ)

clean:  ## remove the environment and caches
	rm -rf $(VENV) .venv-peers build *.egg-info .pytest_cache .ruff_cache
