# Each target sets up what it needs: .venv with the packages of constraints.txt, the compiled
# modules in place, the embedded chain's parts in .cache. What is done already is not done again.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

MODE := $(if $(filter 1,$(MEVFAST_SANITIZE)),sanitize,$(if $(filter 1,$(MEVFAST_DEBUG)),debug,release))
PACKAGES := $(VENV)/.packages
BUILT := build/.$(MODE)
PEERS := $(or $(MEVFAST_CACHE),.cache)/bench-venv/.packages
PEERS_312 := $(or $(MEVFAST_CACHE),.cache)/bench-venv-312/.packages
SOURCES := setup.py $(wildcard mevfast/_*.pyx mevfast/*.pxd mevfast/include/*.h)

.DEFAULT_GOAL := help
.PHONY: help demo test soak fuzz fuzz-wire fuzz-nonces test-debug test-sanitize bench build lint chain bytecode clean
.SILENT:
.DELETE_ON_ERROR:

help:
	echo "make demo        run the engine on an embedded chain, live; ARGS='--seconds 30 --json'"
	echo "make test        the whole suite; ARGS='-k name -x' go to pytest"
	echo "make soak        an engine behind a faulty node: 200 random schedules of faults, then ten"
	echo "                 minutes on the embedded chain; ARGS='--schedules 20 --minutes 1 --json'"
	echo "make fuzz        kernels against the contracts' bytecode, 100,000 swaps a venue;"
	echo "                 ARGS='--family uniswap_v3 --cases 1000 --seed 42'"
	echo "make fuzz-wire   frames and vector files, guided by coverage, under the sanitizers, a minute;"
	echo "                 ARGS='wire --seconds 600 --seed 2'"
	echo "make fuzz-nonces signatures of 100,000 random digests, nonces hashed by the processor's SHA"
	echo "                 instructions and by the library; ARGS='--count 1000000 --seed 2'"
	echo "make bench       time every stage from frame to signed transaction; ARGS=--json"
	echo "make build       .venv and the compiled modules; MEVFAST_DEBUG=1 with bounds checks"
	echo "make lint        ruff, mypy --strict, no Cython hint, no C warning, the layers"
	echo "make test-debug  unit and property tests against a build with bounds checks"
	echo "make test-sanitize"
	echo "                 those of compiled code, and the vectors, under the address and"
	echo "                 undefined-behaviour sanitizers"
	echo "make clean       remove what was built, keep .venv and .cache"

demo: chain
	$(PY) -m mevfast demo $(ARGS)

test: chain bytecode
	$(PY) -m pytest $(ARGS)

# Bounded by itself: about two seconds a schedule, then the minutes asked for.
soak: chain
	$(PY) -m tests.adversity.soak $(ARGS)

fuzz: bytecode
	$(PY) -m tests.differential.fuzz $(ARGS)

test-debug:
	MEVFAST_DEBUG=1 $(MAKE) build
	MEVFAST_DEBUG=1 $(PY) -m pytest $(wildcard tests/unit tests/property) $(ARGS)

# Cold modules, races and what weighs the process are left out, as is a long comparison with Python;
# there are fewer examples and seeds: the sanitizers look for what the C does with memory and
# integers, within minutes.
COLD := bench_compare bench_history bench_long bench_machine bench_search bench_socket check cli config \
	demo dex hot_path joint keys market_file notify npm receipts report run_command seqlock settlement
UNSANITIZED := $(COLD:%=tests/unit/test_%.py)
SANITIZED := $(filter-out $(UNSANITIZED),$(wildcard tests/unit/test_*.py tests/property/test_*.py))
VECTORS := $(filter-out %/frames.json %/signing.json,$(wildcard tests/vectors/*.json))

test-sanitize:
	MEVFAST_SANITIZE=1 $(MAKE) build
	$(MAKE) --jobs 2 --output-sync=target sanitized-unit sanitized-property
	tools/sanitized $(PY) -m mevfast verify $(VECTORS)

# Captured by pytest, the report of a finding would be lost. Exit status 5: ARGS chose none of these.
sanitized-%:
	MEVFAST_SANITIZE=1 MEVFAST_MOST_EXAMPLES=40 tools/sanitized \
		$(PY) -m pytest --capture=sys $(filter tests/$*/%,$(SANITIZED)) $(ARGS) \
		--deselect tests/property/test_univ3_window.py::test_window_equals_oracle || test $$? -eq 5

fuzz-wire:
	MEVFAST_SANITIZE=1 $(MAKE) build
	MEVFAST_SANITIZE=1 tools/sanitized $(PY) -m tests.fuzz $(ARGS)

fuzz-nonces: $(BUILT)
	$(PY) -m tests.fuzz.nonces $(ARGS)

# Standard output is the bench command's alone, so that ARGS=--json is one object.
bench: chain bytecode $(PEERS) $(PEERS_312)
	$(PY) -m bench.instructions >&2
	$(PY) -m bench.bench_math $(if $(findstring --quick,$(ARGS)),--seconds 6) >/dev/null
	$(PY) -m bench.bench_cache $(if $(findstring --quick,$(ARGS)),--seconds 6) >/dev/null
	$(PY) -m bench.bench_search $(if $(findstring --quick,$(ARGS)),--seconds 6) >/dev/null
	$(if $(wildcard bench/bench_wire.py),$(PY) -m bench.bench_wire \
		$(if $(findstring --quick,$(ARGS)),--seconds 6) >/dev/null)
	$(PY) -m mevfast bench --out bench/results $(ARGS)
	$(PY) -m bench.history_plot

build: $(BUILT)

lint: $(BUILT)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check --quiet . || { echo "to format: $(PY) -m ruff format ." >&2; exit 1; }
	$(PY) -m mypy --strict mevfast $(wildcard contracts/build.py bench)
	$(PY) -m pytest tests/source
	$(PY) tests/source/build_warnings.py

# The modules see for themselves what is there; the first time they fetch packages and deploy.
chain: $(BUILT)
	tools/require node npm
	$(PY) -c 'from mevfast.devnet import market, npm; market.prepared(); npm.soljson()'

# What the differential tests run in their own EVM: more packages than the chain is made of.
bytecode: $(BUILT)
	tools/require node npm
	$(PY) -m tests.differential.families

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f mevfast/_*.c mevfast/_*.so mevfast/_*.html
	find mevfast tests bench contracts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(PACKAGES): pyproject.toml constraints.txt tools/packages
	PYTHON=$(PYTHON) tools/require python cc
	echo "mevfast: installing Python packages into $(VENV) (once, about a minute)"
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) tools/packages | $(PY) -m pip install --quiet --disable-pip-version-check --no-input \
		--constraint constraints.txt --requirement /dev/stdin
	touch $@

# What the bench compares with wants older packages than ours. Without them its rows say so.
$(PEERS): pyproject.toml bench/constraints.txt tools/packages
	echo "mevfast: installing the bench's peers into $(@D) (once, about a minute)" >&2
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(PY) tools/packages bench | $(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
		--no-input --constraint bench/constraints.txt --requirement /dev/stdin && touch $@ \
		|| echo "mevfast: the bench's peers cannot be had; their rows will say so" >&2

# Python 3.12 is looked for where it may be; nothing is installed for it.
$(PEERS_312): pyproject.toml bench/constraints-312.txt tools/packages
	for python in python3.12 "$$(pyenv prefix 3.12 2>/dev/null)/bin/python3.12"; do \
		"$$python" -c "" 2>/dev/null && break; python=; done; \
	if [ -z "$$python" ]; then \
		echo "mevfast: no Python 3.12 for one of the bench's peers; its rows will say so" >&2; exit 0; fi; \
	echo "mevfast: installing one of the bench's peers into $(@D) (once, about a minute)" >&2; \
	{ test -x $(@D)/bin/python || "$$python" -m venv $(@D); } \
		&& $(PY) tools/packages bench-312 | $(@D)/bin/python -m pip install --quiet \
		--disable-pip-version-check --no-input --constraint bench/constraints-312.txt \
		--requirement /dev/stdin && touch $@ \
		|| echo "mevfast: one of the bench's peers cannot be had; its rows will say so" >&2

# Objects of another mode or of older flags are never reused: the stamp of one mode removes the others.
$(BUILT): $(PACKAGES) $(SOURCES)
	echo "mevfast: compiling the hot half ($(MODE) build)"
	mkdir -p build
	if [ ! -e $@ ]; then rm -f build/.release build/.debug build/.sanitize; force=1; fi; \
	CYTHON_FORCE_REGEN=$${force:-0} $(PY) setup.py --quiet build_ext --inplace \
		--parallel $$(nproc) $${force:+--force}
	touch $@
