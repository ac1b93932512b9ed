# The two commands of a fresh clone are `make demo` and `make test`. All they need is cargo, python3 (3.11 or newer)
# and a C linker: .venv, the tools in it and the extension module are made when first wanted, and again when stale.
#
#   make demo FOLDER=/path    the demos on your own files
#   make test LIMIT=3600      more time for each step, as for SWARM_SEEDS=100000
#   make PYTHON=python3.13    with another Python (remove .venv first)

LIMIT ?= 2400
VENV := $(CURDIR)/.venv
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# CI must build what was committed; elsewhere a changed Cargo.toml may still change Cargo.lock.
LOCKED := $(if $(CI),--locked)

STEP = @$(VENV)/bin/python scripts/step.py
DENY_VERSION := 0.20.2
DENY_HOME := $(TARGET)/tools/cargo-deny-$(DENY_VERSION)
DENY := $(or $(shell command -v cargo-deny 2>/dev/null),$(DENY_HOME)/bin/cargo-deny)

export PYTHON
# What pyo3's build script asks for its version, whatever is first on PATH.
export PYO3_PYTHON := $(VENV)/bin/python
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-rust test-models test-python wheels counts lint format docs screenshots bench bench-peers extension FORCE

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

# --- What people come for

demo: extension ## the evolving workflow in Python and in Rust, on real files (FOLDER=...), then the seed's
	@folder="$(FOLDER)"; \
	: "$${folder:=$$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')}"; \
	set -e; \
	step() { $(VENV)/bin/python scripts/step.py "$$@"; }; \
	step "build the Rust example" $(LIMIT) cargo build $(LOCKED) --profile quick -p azolla --example evolving_workflow; \
	step "Python: examples/evolving_workflow.py on $$folder" $(LIMIT) $(VENV)/bin/python examples/evolving_workflow.py "$$folder"; \
	step "Rust: examples/evolving_workflow.rs on $$folder" $(LIMIT) \
		cargo run $(LOCKED) --quiet --profile quick -p azolla --example evolving_workflow -- "$$folder"; \
	step "Python: examples/seed_workflow.py" $(LIMIT) $(VENV)/bin/python examples/seed_workflow.py

test: test-rust test-models wheels test-python ## everything: Rust, the shuttle models, Python

# azolla-python is tested from Python: a Rust test of it would need a libpython to link, which not every machine has.
test-rust: $(VENV)/ready ## unit, swarm and documentation tests of the Rust crates
	$(STEP) "build the Rust tests" $(LIMIT) cargo test $(LOCKED) --workspace --exclude azolla-python --all-features --no-run
	$(STEP) "Rust tests" $(LIMIT) cargo test $(LOCKED) --workspace --exclude azolla-python --all-features

# Optimised, with every assertion on.
SHUTTLE := RUSTFLAGS="--cfg azolla_shuttle" CARGO_TARGET_DIR=$(TARGET)/shuttle CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true \
	cargo test $(LOCKED) -p azolla -p azolla-process --test model --release

test-models: $(VENV)/ready ## the runtime under shuttle, which picks the interleavings (MODEL=name for one)
ifneq ($(wildcard crates/azolla/tests/model.rs),)
	$(STEP) "build the shuttle models" $(LIMIT) env $(SHUTTLE) --no-run
	$(STEP) "shuttle models" $(LIMIT) env $(SHUTTLE) $(MODEL)
endif

wheels: extension ## a wheel for each Python of this machine, and the seed's workflow on it alone
	$(STEP) "wheels" $(LIMIT) $(VENV)/bin/python scripts/wheels.py $(VENV)/bin/maturin $(TARGET)/maturin $(LOCKED) --profile quick

test-python: $(VENV)/tools extension ## pytest
	$(STEP) "Python tests" $(LIMIT) $(VENV)/bin/python -m pytest python/tests

counts: $(VENV)/ready ## instructions that the hot paths take, held to bench/counts.json (ONLY=name, UPDATE=1, PROFILE=1)
	$(STEP) "build the counted works" $(LIMIT) $(AS_RELEASED) cargo build $(LOCKED) --release -p azolla --example counts
	$(STEP) "instruction counts" $(LIMIT) $(VENV)/bin/python bench/counts.py $(TARGET)/release/examples/counts \
		$(if $(ONLY),--only "$(ONLY)") $(if $(UPDATE),--update) $(if $(PROFILE),--profile)

# --- What keeps the house

lint: $(VENV)/tools extension $(DENY) ## formatting, clippy, folders, types, stubs, documentation, licences
	$(STEP) "cargo fmt" $(LIMIT) cargo fmt --all --check
	$(STEP) "clippy" $(LIMIT) cargo clippy $(LOCKED) --workspace --all-features --all-targets -- -D warnings
	$(STEP) "layers" $(LIMIT) $(VENV)/bin/python scripts/layers.py
	$(STEP) "ruff check" $(LIMIT) $(VENV)/bin/ruff check
	$(STEP) "ruff format" $(LIMIT) $(VENV)/bin/ruff format --check
	$(STEP) "the figures that are shown" $(LIMIT) $(VENV)/bin/python bench/report.py --check
	$(STEP) "mypy" $(LIMIT) $(VENV)/bin/python -m mypy
	$(STEP) "stubtest" $(LIMIT) $(VENV)/bin/python -m mypy.stubtest --mypy-config-file pyproject.toml \
		--allowlist python/stubtest-allowlist.txt --ignore-unused-allowlist azolla
	$(STEP) "rustdoc" $(LIMIT) env RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --all-features --no-deps
	$(STEP) "cargo deny" $(LIMIT) $(DENY) $(LOCKED) check bans licenses sources

format: $(VENV)/tools ## rewrites what `make lint` would complain of, where a tool can
	cargo fmt --all
	$(VENV)/bin/ruff check --fix --exit-zero
	$(VENV)/bin/ruff format

docs: $(VENV)/ready ## the Rust documentation, in target/doc
	$(STEP) "rustdoc" $(LIMIT) cargo doc $(LOCKED) --workspace --all-features --no-deps
	@echo "$(TARGET)/doc/azolla/index.html"

# Beside which peers? Those that `make bench-peers` has installed.
BENCH_EXAMPLES := --example bench --example memory --example zero_worker --example watched

screenshots: $(VENV)/tools extension ## the pictures of the dashboard in docs (needs Chromium)
	$(STEP) "docs/screenshots.py" $(LIMIT) $(VENV)/bin/python docs/screenshots.py

bench: $(VENV)/tools ## the bench suite beside the peers (QUICK=1, PARTS=python,rust, ROUNDS=5, RESUME=1)
	$(STEP) "build the Python extension as released" $(LIMIT) $(AS_RELEASED) $(EXTENSION) --release
	@rm -f $(VENV)/extension
	$(STEP) "build the Rust benchmarks" $(LIMIT) $(AS_RELEASED) cargo build $(LOCKED) --release -p azolla -p azolla-core -p azolla-dashboard \
		$(BENCH_EXAMPLES)
	$(STEP) "bench/suite.py" 7200 $(VENV)/bin/python bench/suite.py $(if $(QUICK),--quick) $(if $(RESUME),--resume) \
		$(if $(PARTS),--parts $(PARTS)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-peers: $(VENV)/ready ## what azolla is measured beside: Dask, Ray, frisky, loky, rayon, tokio
	$(STEP) "an environment for the peers" $(LIMIT) $(VENV)/bin/python -m venv $(CURDIR)/target/peers-venv
	$(STEP) "install the peers" $(LIMIT) $(CURDIR)/target/peers-venv/bin/python -m pip install --quiet \
		--disable-pip-version-check --requirement bench/requirements-peers.txt
	$(STEP) "build the Rust peers" $(LIMIT) env CARGO_TARGET_DIR=$(CURDIR)/target/peers \
		cargo build $(LOCKED) --release --manifest-path bench/peers/Cargo.toml

# --- What is made on the way

# An environment with what builds the extension: all that the demo needs. An environment that was made in another folder
# (a copied or moved checkout) is made anew.
$(VENV)/ready: requirements-dev.txt scripts/venv.sh $(if $(filter $(CURDIR),$(shell cat $(VENV)/made-in 2>/dev/null)),,FORCE)
	@command -v cargo >/dev/null || { echo "azolla: needs cargo: see https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "azolla: needs a C linker (cc): on Debian, apt-get install build-essential" >&2; exit 1; }
	@scripts/venv.sh
	@touch $@

# The same with all that tests, lint and benches need.
$(VENV)/tools: $(VENV)/ready
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

EXTENSION := env -u CONDA_PREFIX VIRTUAL_ENV=$(VENV) CARGO_TARGET_DIR=$(TARGET)/maturin \
	$(VENV)/bin/maturin develop $(LOCKED)
# What is measured is built as it is released, whatever is set to build faster while one works on it.
AS_RELEASED := env -u CARGO_PROFILE_RELEASE_LTO -u CARGO_PROFILE_RELEASE_CODEGEN_UNITS

# The extension module, in python/azolla, where the editable install finds it. It has a target folder of its own, as its
# pyo3 is configured otherwise than cargo's: in one folder the two would rebuild it in turns.
extension: $(VENV)/extension ## the extension module, if a source has changed
	@:

$(VENV)/extension: $(VENV)/ready Cargo.toml Cargo.lock pyproject.toml rust-toolchain.toml $(shell find crates) \
		$(if $(wildcard python/azolla/_azolla*.so),,FORCE)
	$(STEP) "build the Python extension" $(LIMIT) $(EXTENSION) --profile quick
	@touch $@

$(DENY_HOME)/bin/cargo-deny: | $(VENV)/ready
	$(STEP) "install cargo-deny $(DENY_VERSION) (minutes, but once)" $(LIMIT) env -u CARGO_TARGET_DIR \
		cargo install --quiet --locked cargo-deny --version $(DENY_VERSION) --root $(DENY_HOME)

FORCE:
