# `make demo` and `make test` do all the set-up on a fresh machine: a .venv with pinned packages, no torch.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint docs bench clean

.venv/.ready: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("chipwire needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	touch $@

demo: .venv/.ready
	$(BIN)/chipwire demo

test: .venv/.ready
	$(BIN)/python -m pytest -q
	TZ=Asia/Shanghai $(BIN)/python -m pytest -q tests/test_instants.py tests/test_pipeline.py

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=.dev $(BIN)/mypy --strict -p chipwire.data -p chipwire.signals -p chipwire.strategies -p chipwire.engine -p chipwire.reports -m chipwire.cli

docs: .venv/.ready
	$(BIN)/python docs/generate.py

bench: .venv/.ready
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
