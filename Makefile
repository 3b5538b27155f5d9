# Targets for a newcomer: `make demo` shows hierpets at work, `make test` checks everything, `make browser runtime` adds
# Chromium and ONNX Runtime Web, for the tests of pages.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: demo test fuzz advisories lock browser runtime docs notebooks clean

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/hierpets train --levels species,breed --recipe heads --data demo --out runs/demo --overwrite
	$(BIN)/hierpets evaluate --model runs/demo/bundle --data demo --split val --out runs/demo/evaluation --overwrite
	$(BIN)/hierpets predict --model runs/demo/bundle demo:cat/siamese/900 demo:dog/dalmatian/900 demo:rabbit/-/900

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	# One thread for the mathematics of each process: with more, both processes wait for each other.
	# Bytecode is kept, whatever the environment says: many tests start processes, and each would compile everything.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2

# A hundred thousand damaged files; what is found is kept in tests/fuzz/corpus/. Takes about a quarter of an hour.
fuzz: $(STAMP)
	HIERPETS_FUZZ=100000 $(BIN)/python -m pytest tests/fuzz -m "not slow" --timeout 0

# Known advisories against what the image installs; asks PyPI.
advisories: $(STAMP)
	$(BIN)/pip install --quiet pip-audit
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement examples/requirements.lock

# Every package of the image, at one version and with its hashes.
lock: $(STAMP)
	$(BIN)/pip install --quiet uv
	echo hatchling | $(BIN)/uv pip compile --quiet --generate-hashes --only-binary :all: --no-header \
		--python-version 3.13 --python-platform x86_64-manylinux_2_28 \
		requirements/predict.txt - --output-file examples/requirements.lock

# Chromium for the tests of pages: the system's package where there is apt, else Playwright's build.
browser: $(STAMP)
	if command -v apt-get >/dev/null; then \
		$(SUDO) apt-get update -q && for package in chromium-headless-shell chromium; do \
			$(SUDO) apt-get install -q -y --no-install-recommends $$package && break; \
		done; \
	else \
		$(BIN)/playwright install chromium; \
	fi

# What an exported page runs on, for its tests: npm packs it once into the cache of hierpets.
runtime: $(STAMP)
	command -v npm >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y --no-install-recommends npm; }
	$(BIN)/python -c "from hierpets.export.web.runtime import read_runtime; read_runtime()"

# What is generated from the code: pages of docs, requirements/predict.txt; then the site, in site/, without a network.
docs: $(STAMP)
	$(BIN)/python tools/reference.py
	$(BIN)/mkdocs build --strict

# Runs the notebooks and keeps what they show.
notebooks: $(STAMP)
	$(BIN)/python tools/notebooks.py

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
