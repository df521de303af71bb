# make run    everything in one process on http://127.0.0.1:8000, nothing but Python >= 3.11 needed
# make test   every test, those against a real RabbitMQ and PostgreSQL included
# make check  style, types, import rules, generated files
# make fresh  `make run` and `make test` as a new machine would run them, in a bare Debian of its own; as root
# make bench  the thirteen goals beside their baselines and peers; `make bench BENCH="intake --quick"` a part of it
# make screenshots  the pictures in docs/pictures anew, of a simulated month, with headless Chromium
# make lock   exact versions anew

.DEFAULT_GOAL := run
.PHONY: run test check fresh bench screenshots lock clean

# The first interpreter that runs and is new enough; `make run PYTHON=/path/to/python` names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALL := deploy/install.py
TARGETS := shared services guanjia tests bench examples deploy

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "guanjia needs Python 3.11 or newer, and none was found" >&2; exit 1; }
	@echo "making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.lock pyproject.toml | $(BIN)/python
	@$(BIN)/python $(INSTALL) requirements.lock "what guanjia runs on"
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	@$(BIN)/python $(INSTALL) requirements-dev.lock "what tests and checks need"
	@touch $@

run: .venv/run.stamp
	@GUANJIA_LOG_LEVEL=$${GUANJIA_LOG_LEVEL:-WARNING} exec $(BIN)/guanjia serve all

test: .venv/dev.stamp
	$(BIN)/python -m tests.support.ready
	$(BIN)/python -m pytest -n 2 --dist loadfile $(TESTS)

check: .venv/dev.stamp
	$(BIN)/ruff check $(TARGETS)
	$(BIN)/ruff format --check $(TARGETS)
	$(BIN)/mypy --any-exprs-report .mypy_cache/report
	$(BIN)/python -m tests.house.typed_expressions .mypy_cache/report
	$(BIN)/lint-imports
	$(BIN)/guanjia docs --check

# The peers live in an environment of their own: nothing of theirs is ever beside the product's own.
.venv/bench.stamp: requirements-bench.lock .venv/dev.stamp
	@$(PYTHON) -m venv .venv/peers
	@.venv/peers/bin/python $(INSTALL) requirements-bench.lock "the peers that guanjia is measured beside"
	@touch $@

fresh: .venv/dev.stamp
	$(BIN)/python -m tests.deploy.fresh $(TESTS)

bench: .venv/bench.stamp
	$(BIN)/python -m bench $(BENCH)

screenshots: .venv/dev.stamp
	$(BIN)/python -m tests.support.ready pictures
	$(BIN)/python -m tests.web.screenshots

LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header

lock: .venv/dev.stamp
	$(LOCK) requirements.in -o requirements.lock
	$(LOCK) requirements-dev.in -o requirements-dev.lock
	$(LOCK) requirements-bench.in -o requirements-bench.lock

clean:
	rm -rf .venv build guanjia.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
