# Headrace. `make help` explains every target.
PYTHON ?= python3
BIN := .venv/bin
# Folders with Python of ours; those that do not exist yet are left out.
CODE := $(wildcard headrace services workflows shared dataplane localcloud tools benchmarks tests examples)

.DEFAULT_GOAL := help
.PHONY: help setup lock proto openapi aws-behaviour check test sim sim-mutants test-durability test-durability-alone test-demo test-faults demo up down status bench format clean

help:  ## say what every target does
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([^:]+):.*## /\1\t/' | awk -F '\t' '{printf "  make %-18s %s\n", $$1, $$2}'

setup:  ## put everything that is needed in .venv/ and .tools/ (what is there already is kept)
	@$(PYTHON) -m tools.setup

lock:  ## resolve the dependencies of pyproject.toml anew and write requirements.lock
	@$(PYTHON) -m tools.lock

proto:  ## generate the Python code of every .proto; it is committed
	@$(BIN)/python -m tools.generate_proto

openapi:  ## write docs/reference/openapi.json from the admin API
	@$(BIN)/python -m tools.generate_openapi

aws-behaviour:  ## write docs/aws-behaviour.md's table from tests/localcloud_aws/rules.py
	@$(BIN)/python -m tools.generate_aws_behaviour

check: setup  ## every check without running the product: lint, format, types, layers, wire contracts, generated files
	@$(BIN)/python -m tools.check

format:  ## format the code and repair what the linter can
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format --quiet $(CODE)

test: check  ## the whole test command: all checks, every test two files at a time, then the demo alone
	@$(BIN)/python -m tools.test

test-faults: setup  ## every workflow with every step failed once, cancelled and repeated, on the real server: some seven minutes
	$(BIN)/pytest -n 2 -o addopts="-ra --strict-markers --import-mode=importlib -p tests.loopback_only" tests/workflows/test_faults.py

sim: setup  ## the simulator: 10,000 new seeds; SEED=n or PLAN=file shows one with everything that happened
	@$(BIN)/python -m tests.sim sim $(if $(SEED),--seed $(SEED)) $(if $(PLAN),--plan $(PLAN)) $(if $(SEEDS),--seeds $(SEEDS))

sim-mutants: setup  ## plant every known bug and see that the simulator finds it; MUTANT=name for one
	@$(BIN)/python -m tests.sim mutants $(if $(MUTANT),--mutant $(MUTANT))

test-durability: setup  ## a million acknowledged events while everything is killed: none may be lost; SEED=n for the same plan again
	$(BIN)/python -m tests.dataplane.durability.running --events $(or $(EVENTS),1000000) --seed $(or $(SEED),$(shell date +%s))

test-durability-alone: setup  ## the same on the machines of a running stack (DIR=its folder), with the whole control plane killed for the length of the run
	$(BIN)/python -m tests.dataplane.durability.alone --directory $(or $(DIR),.headrace) --events $(or $(EVENTS),100000) --seed $(or $(SEED),$(shell date +%s))

test-demo: setup  ## the system test: the demo, and every outcome it must see
	$(BIN)/pytest -m demo tests/system

up: setup  ## start the embedded stack in the background
	@$(BIN)/python -m localcloud.cli up

down:  ## stop the embedded stack
	@$(BIN)/python -m localcloud.cli down

status:  ## say what of the embedded stack runs
	@$(BIN)/python -m localcloud.cli status

demo: setup  ## start the stack with short intervals and run the example from empty to serving
	@$(BIN)/python -m tools.demo

bench: setup  ## run every benchmark
	@set -e; for file in $(sort $(filter-out benchmarks/__init__.py,$(wildcard benchmarks/*.py))); do echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py); done

bench-%: setup  ## run one benchmark, by the name of its file: make bench-admission
	$(BIN)/python -m benchmarks.$(subst -,_,$*)

clean:  ## remove caches (not .venv, .tools or the stack's state)
	rm -rf .tools/cache dist
