# One engineer, one machine, no root: every target sets up what it needs.
# Only Python 3.11+, make and git are expected to be there.

# Whoever names a Python gets it. Otherwise it is the one on the path, or a faster build of the same.
PYTHON ?= python3
ifeq ($(origin PYTHON),file)
CHOSEN  = $(shell $(PYTHON) requirements/fastest.py)
else
CHOSEN  = $(PYTHON)
endif
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PARTS  := shared/contracts shared/chassis services/intake services/inventory services/payments \
          services/notification services/reporting services/console deploy/aidmesh
ARGS   ?=
CORES  := $(shell getconf _NPROCESSORS_ONLN)
# Tests that wait for servers leave a core to others: two workers more than there are cores.
WORKERS ?= $(shell echo $$(($(CORES) + 2)))

# Where this is set, every process would compile every module anew: twice the time of each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test lint types format documents locks bench chaos containers clean

help:            ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup: $(STAMP)  ## .venv with everything in it

$(VENV)/bin/uv: requirements/uv.txt
	$(PYTHON) -c 'import sys; sys.exit("Aidmesh needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv venv --quiet --allow-existing --python "$(CHOSEN)" $(VENV)
	@touch $@

$(STAMP): $(VENV)/bin/uv requirements/all.lock $(PARTS:%=%/pyproject.toml)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/all.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(PARTS:%=-e %)
	$(BIN)/python -m compileall -q -j 0 $(PARTS)
	@touch $@

demo: setup      ## the year 2024, played on real servers (ARGS="--scale 0.05" for a quick look)
	$(BIN)/aidmesh demo $(ARGS)

test: setup      ## every test (ARGS="-k name" for some)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup      ## style, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: setup     ## strict types
	$(BIN)/mypy -n $(CORES) services shared deploy requirements tests

format: setup    ## let the formatter have its way
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: setup     ## how many needs a second (aidmesh bench import: rows of a file)
	$(BIN)/aidmesh bench needs $(ARGS)

chaos: setup     ## ten minutes of faults (ARGS="--minutes 1 --seed 7" for others)
	$(BIN)/aidmesh chaos $(ARGS)

containers: setup ## prove compose.yaml on a container engine, where one is found
	$(BIN)/python tests/containers/prove.py $(ARGS)

documents: setup ## write schemas, AsyncAPI documents and the reference pages anew
	$(BIN)/python -m aidmesh_contracts write .
	$(BIN)/python -m aidmesh.reference write .

locks: $(VENV)/bin/uv  ## write requirements/*.lock anew
	BIN=$(BIN) sh requirements/lock.sh

clean:           ## forget .venv and caches (never data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
