# `make demo` and `make test` each do all of their own set-up: Python, git and make are enough.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test extras lint types contracts format docs clean

help:  ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed  ## install, choose 40 of 400 copper structures, fit, compare with chance: aliquot-demo/selected.html
	$(BIN)/aliquot demo --force

test: .venv/installed-test  ## install with the test tools, then run every test
	$(BIN)/python -m pytest

lint: .venv/installed-test  ## formatting and lint
	$(BIN)/ruff format --check
	$(BIN)/ruff check

extras: .venv/installed-extras  ## what the tests of SOAP, LAMMPS, Dask and other codes need; they skip without

types: .venv/installed-test  ## static types
	$(BIN)/pyright --pythonpath $(BIN)/python

contracts: .venv/installed-test  ## which room may import which
	$(BIN)/lint-imports

format: .venv/installed-test  ## rewrite the sources as ruff likes them
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: .venv/installed-docs  ## the documentation as pages in site/
	$(BIN)/mkdocs build --strict

clean:  ## remove the environment and everything made
	rm -rf .venv site dist build aliquot-demo .pytest_cache .ruff_cache .import_linter_cache

# An environment is made once, and again whenever pyproject.toml changes.
.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "aliquot needs Python 3.10 or newer: make PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch .venv/installed $@

.venv/installed-extras: pyproject.toml | .venv/installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,soap,oracles,dask]'
	@touch .venv/installed .venv/installed-test $@

.venv/installed-docs: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch .venv/installed $@
