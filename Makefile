# Two commands on a fresh machine: `make bench` and `make test`. Both make .venv first.

PYTHON ?= python3
# Each Python of another name has an environment of its own: an existing one isn't taken for it.
VENV := .venv$(addprefix -,$(filter-out python3,$(notdir $(PYTHON))))
LOWEST := build/lowest
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
# A plain .pth line instead of an import hook: the hook costs every worker 20 ms at its start.
EDITABLE := --config-settings editable_mode=compat --editable
PACKAGE := pyproject.toml setup.py ipcbench/__init__.py ipcbench/measure/native.c
CC ?= cc
# Tests run side by side: much of their time is waiting. `make test JOBS=0` runs one after the other.
JOBS ?= 4
PYTEST := $(PY) -m pytest -n $(JOBS)
STRICT := -std=c11 -O2 -Wall -Wextra -Werror

# bench, tests and results are folders: without .PHONY make would find them up to date.
.PHONY: bench bench-reference bench-footprint test test-lowest soak chaos check format docs wheel clean help
.DEFAULT_GOAL := help

bench: $(VENV)/.installed ## measure all transports, print the tables, write results and pages to results/<machine>/<date>-<commit>/
	@status=0; \
	$(PY) bench/latency.py || status=$$?; \
	if [ $$status -ne 130 ]; then $(PY) bench/throughput.py || status=$$?; fi; \
	if [ $$status -ne 130 ]; then $(PY) bench/ladder.py --quick || status=$$?; fi; \
	exit $$status

bench-reference: $(VENV)/.installed build/pingpong ## compare both loops with a minimal C program
	$(PY) tools/reference/alternate.py $(if $(ROUNDS),--rounds=$(ROUNDS)) --cases=$(CASES) build/pingpong

bench-footprint: $(VENV)/.installed build/pingpong ## see what memory of its own costs a process between two calls
	$(PY) tools/reference/footprint.py $(if $(ROUNDS),--rounds=$(ROUNDS)) build/pingpong

build/pingpong: tools/reference/pingpong.c
	@mkdir -p build
	$(CC) $(STRICT) $< -o $@

test: $(VENV)/.installed-test ## run the tests, or those that TESTS names
	$(PYTEST) $(TESTS)

test-lowest: ## run the unit tests with the lowest versions allowed, on PYTHON (3.11), from wheels alone
	$(PYTHON) -m venv --clear $(LOWEST)
	CC=/bin/false $(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		--only-binary=:all: --constraint tests/constraints-lowest.txt '.[test]'
	$(LOWEST)/bin/python -m pytest tests/unit

soak: $(VENV)/.installed-test ## run the tests SOAK=10 times, eight at a time, beside four busy processes
	$(PY) -m tests.soak --rounds $(or $(SOAK),10) -- -n 8 $(TESTS)

chaos: $(VENV)/.installed-test ## 500 faults at random moments, 60 of commands, and 10,000 hostile files, 45 minutes
	IPCBENCH_TEST_ALL=1 $(PYTEST) tests/faults/test_deaths.py tests/integration/test_liars.py
	$(PY) -m tests.faults.chaos

check: $(VENV)/.installed-dev ## format, lint and types; C without warnings, where there is a compiler
	@if command -v $(CC) >/dev/null; then \
		$(CC) $(STRICT) -Wno-cast-function-type -fsyntax-only \
			-I"$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
			ipcbench/measure/native.c && $(CC) $(STRICT) -fsyntax-only tools/reference/pingpong.c; \
	else echo "no $(CC): the C sources are not checked"; fi
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: $(VENV)/.installed-dev ## rewrite the code in its format
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

docs: $(VENV)/.installed-dev ## make the tables and pictures of the documents again from the results they quote
	$(PY) tools/refresh.py

wheel: $(VENV)/.installed-dev ## build dist/ipcbench-*.whl
	$(PY) -m build --wheel --outdir dist .

clean: ## remove all that make made, but not results
	rm -f ipcbench/measure/_native*.so
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ipcbench needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Pages and the ladder's upper rungs need extras; without them `make bench` measures all the same.
$(VENV)/.installed: $(PACKAGE) | $(PY)
	$(PIP) $(EDITABLE) '.[html,stack,grpc]' || \
		{ echo "no rungs of libraries: the extras stack and grpc can't be installed" >&2; \
		$(PIP) $(EDITABLE) '.[html]'; } || \
		{ echo "no pages: the extra html can't be installed" >&2; $(PIP) $(EDITABLE) .; }
	@touch $@

$(VENV)/.installed-test: $(PACKAGE) | $(PY)
	$(PIP) $(EDITABLE) '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(PACKAGE) | $(PY)
	$(PIP) $(EDITABLE) '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test
