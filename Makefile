# `make` lists what there is. Everything sets itself up first.

python := .venv/bin/python
benchmarks := $(wildcard benchmarks/*_parity.py benchmarks/*_speed.py benchmarks/*_memory.py)

.PHONY: help setup demo test check tables bench parity rows leaderboards clean

help:
	@echo "make demo     the whole chain on a corpus made here: writes demo/leaderboard.csv"
	@echo "make test     every test that needs nothing but this project's environment"
	@echo "make check    format, lint and types"
	@echo "make tables   tables in the docs and of \`baselines list\`, written from the registries"
	@echo "make bench    this project beside others: agreement and speed"
	@echo "make parity   networks, metrics and exports beside other software, in an environment of its own"
	@echo "make rows     systems that a user would pick instead, in an environment of their own"
	@echo "make leaderboards  train, score and write evalsuite/leaderboards; goes on where it was"
	@echo "make setup    .venv and the programs espeak-ng and sox (the others do it when needed)"
	@echo "make clean    removes what these commands made"

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml .ci/environment .ci/system-programs
	@.ci/environment .venv
	@.ci/system-programs
	@touch $@

demo: setup
	docs/demo.sh

# Files of tests side by side, one process per core; the tests of a file share what they make.
test: setup
	$(python) -m pytest --numprocesses auto --dist loadfile

check: setup
	$(python) -m ruff format --check .
	$(python) -m ruff check .
	$(python) -m mypy

tables: setup
	$(python) docs/tables.py

bench: setup $(benchmarks:%=run/%)

run/benchmarks/models_speed.py: .venv-parity/ready
	.venv-parity/bin/python benchmarks/models_speed.py

run/%: setup
	$(python) $*

parity: .venv-parity/ready
	.venv-parity/bin/python -m pytest tests/baselines/parity tests/evalsuite/parity tests/mixgen/export

.venv-parity/ready: requirements.lock pyproject.toml .ci/environment .ci/parity-env
	@.ci/parity-env .venv-parity
	@touch $@

rows: .venv-rows/ready setup
	$(python) -m pytest tests/baselines/rows

.venv-rows/ready: .ci/rows-env
	@.ci/rows-env .venv-rows
	@touch $@

leaderboards: setup .venv-rows/ready
	$(python) benchmarks/leaderboards.py

clean:
	rm -rf .venv .venv-parity .venv-rows demo build dist .hypothesis .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
