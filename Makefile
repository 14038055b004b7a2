# Everything a newcomer needs: each target sets up what it uses. PYTHON is any Python from 3.11 on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: assess screen lab test lint bench bench-lab docs screenshots validate lock clean

assess: $(VENV)/.run                     ## can a prohibited run hide below the draft agreement?
	$(BIN)/thresher assess miri-2025

screen: $(VENV)/.screen                  ## from sample records to leads and dossiers
	rm -rf reports/records reports/evidence.store
	$(BIN)/thresher sample-records reports/records --seed 1
	$(BIN)/thresher import reports/records --store reports/evidence.store
	$(BIN)/thresher screen reports/evidence.store --html reports/dossiers --json reports/leads.json

lab: $(VENV)/.lab                        ## the page where people look, on this machine
	$(BIN)/thresher lab

validate: $(VENV)/.run                   ## prediction beside measurement
	$(BIN)/thresher validate --all-rows

test: $(VENV)/.develop                   ## the tests
	$(BIN)/python -m pytest

lint: $(VENV)/.develop                   ## style, types and architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.develop                  ## the benchmarks of docs/performance.md
	$(BIN)/python -m pytest benchmarks --benchmark-only -o addopts= --benchmark-columns=min,median,rounds
	$(BIN)/python benchmarks/whole_commands.py $(BIN)

bench-lab: $(VENV)/.develop              ## how long a moved slider waits, and fifty people at once (needs Chromium)
	$(BIN)/python benchmarks/lab_latency.py
	$(BIN)/python benchmarks/lab_load.py

screenshots: $(VENV)/.develop            ## the lab's pages, into docs/images (needs Chromium)
	$(BIN)/python tools/screenshots.py

docs: $(VENV)/.docs                      ## the documentation, into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -qE -b html docs docs/_build/html

$(VENV)/.run: pyproject.toml requirements.lock
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Thresher needs Python 3.11 or later; set PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable .
	touch $@

$(VENV)/.screen: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[screen]"
	touch $@

$(VENV)/.lab: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[lab]"
	touch $@

$(VENV)/.develop: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[test,lint]"
	touch $@

$(VENV)/.docs: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[docs]"
	touch $@

lock:                                    ## refresh requirements.lock (needs uv)
	uv pip compile pyproject.toml --all-extras --universal \
	    --python-version 3.11 --no-header --upgrade --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) docs/_build docs/_generated reports .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
