# Two targets for a newcomer: `make demo` shows hierpets at work, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test clean

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e '.[dev,serve]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/hierpets train --levels species,breed --recipe heads --data demo --out runs/demo --overwrite
	$(BIN)/hierpets evaluate --model runs/demo/bundle --data demo --out runs/demo/evaluation
	$(BIN)/hierpets predict --model runs/demo/bundle demo:cat/siamese/900 demo:dog/dalmatian/900 demo:rabbit/-/900

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow" -n 2

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
