# Every target installs what it needs first, into .venv; `make help` lists them.

LANGS ?= 10
OUT ?= build/symile-m3-$(LANGS)
IMAGENET_DIR ?= sample
MIMIC_OUT ?= build/symile-mimic
LABELS ?= chexpert,icd,mortality
ARGS ?=

# The three MIMIC releases, or the synthetic sample where none is given.
MIMIC_SOURCES := $(addprefix --mimic-iv ,$(MIMIC_IV)) $(addprefix --mimic-cxr ,$(MIMIC_CXR)) \
	$(addprefix --mimic-ecg ,$(MIMIC_ECG)) $(if $(MIMIC_IV)$(MIMIC_CXR)$(MIMIC_ECG),,--sample)

PYTHON ?= python3

# A setting that is misspelt on make's command line would be ignored: LANG for LANGS. The environment's LANG is no setting.
SETTINGS := LANGS OUT IMAGENET_DIR MIMIC_OUT MIMIC_IV MIMIC_CXR MIMIC_ECG LABELS ARGS PYTHON
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
UNKNOWN := $(filter-out $(SETTINGS) BIN SYMILE SHELL,$(filter-out -%,$(GIVEN)))
$(if $(UNKNOWN),$(error There is no setting $(firstword $(UNKNOWN)); choose among $(SETTINGS)))
EMPTY := $(strip $(foreach name,LANGS OUT IMAGENET_DIR MIMIC_OUT LABELS PYTHON,$(if $(strip $($(name))),,$(name))))
$(if $(EMPTY),$(error The setting $(firstword $(EMPTY)) is empty; give it a value or leave it out))

BIN := .venv/bin
SYMILE := $(BIN)/symile-data

.DEFAULT_GOAL := help
.PHONY: help setup build-m3 build-mimic build-pid build-xor train-m3 train-mimic train-pid train-xor test lint docs notebook bench clean

help:  ## show this
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | expand -t 12

setup: .venv/extras/dev  ## install the package, all extras and the tools into .venv

# Every target installs the extras of pyproject.toml that it needs, and `dev` holds those of all of them.
.venv/extras/%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	mkdir -p $(@D)
	touch $@ $(if $(filter dev,$*),$(addprefix .venv/extras/,m3 mimic train))

$(BIN)/python:
	$(PYTHON) -m venv .venv

build-m3: .venv/extras/m3  ## build Symile-M3: LANGS=2|5|10 OUT=... IMAGENET_DIR=... ARGS="..."
	$(SYMILE) build m3 --out $(OUT) --langs $(LANGS) --images $(IMAGENET_DIR) $(ARGS)

build-mimic: .venv/extras/mimic  ## build Symile-MIMIC: MIMIC_IV=... MIMIC_CXR=... MIMIC_ECG=... (default: synthetic) ARGS="..."
	$(SYMILE) build mimic --out $(MIMIC_OUT) $(MIMIC_SOURCES) $(ARGS)

build-pid: .venv/extras/m3  ## build data with dialled redundancy and synergy: ARGS="..."
	$(SYMILE) build pid --out build/pid $(ARGS)

build-xor: .venv/extras/m3  ## build the synthetic XOR data: ARGS="..."
	$(SYMILE) build xor --out build/xor $(ARGS)

train-m3: $(OUT)/manifest.json .venv/extras/train  ## train Symile and CLIP on it and compare them
	$(SYMILE) train $(OUT) $(ARGS)

train-mimic: $(MIMIC_OUT)/manifest.json .venv/extras/train  ## the same with 3 seeds, on Symile-MIMIC, then baselines on LABELS=chexpert,...
	$(SYMILE) train $(MIMIC_OUT) --seeds 3 $(ARGS)
	$(SYMILE) train $(MIMIC_OUT) --seeds 3 --supervised all --labels $(LABELS)

train-pid: build/pid/manifest.json .venv/extras/train  ## train Symile and CLIP on it and compare them
	$(SYMILE) train build/pid $(ARGS)

train-xor: build/xor/manifest.json .venv/extras/train  ## train Symile and CLIP on it and compare them
	$(SYMILE) train build/xor $(ARGS)

build/pid/manifest.json: | .venv/extras/m3
	$(SYMILE) build pid --out build/pid

build/xor/manifest.json: | .venv/extras/m3
	$(SYMILE) build xor --out build/xor

$(MIMIC_OUT)/manifest.json: | .venv/extras/mimic
	$(SYMILE) build mimic --out $(MIMIC_OUT) $(MIMIC_SOURCES)

$(OUT)/manifest.json: | .venv/extras/m3
	$(SYMILE) build m3 --out $(OUT) --langs $(LANGS) --images $(IMAGENET_DIR)

test: setup  ## run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup  ## ruff, mypy (for Linux and macOS) and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin symile_data
	$(BIN)/basedpyright

docs: .venv/extras/dev .venv/extras/docs  ## the documentation and API reference, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet -f .ci/mkdocs.yml

notebook: .venv/extras/notebook  ## run examples/quickstart.ipynb and keep its outputs (minutes)
	$(BIN)/python .ci/notebook.py examples/quickstart.ipynb

bench: setup  ## run the benchmarks (minutes)
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:  ## remove what was built (not runs/)
	rm -rf build .venv .mypy_cache .pytest_cache .ruff_cache *.egg-info
