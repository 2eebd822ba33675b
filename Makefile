# Everything a person does with a clone. Needs Python 3.11 or newer and make; all else is installed into .venv, from locks/.
# make run PORT=9090 HOST=127.0.0.1 CONFIG=my.yaml      PYTHON=/path/to/python3 chooses the Python

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# HOST and PORT are common names in environments: only what stands on make's command line is meant for us.
given = $(if $(filter command line,$(origin $(1))),--$(2) "$($(1))")
CONFIG ?= routes.yaml
setup = python=$$(sh scripts/find-python.sh $@) && "$$python" scripts/setup.py

.PHONY: help run test test-all check format bench faults lock clean

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

run: ## serve on 127.0.0.1:8080 with routes.yaml; PORT=, HOST=, CONFIG= change that
	@$(setup) run
	@exec .venv/bin/python -m proxy serve --config "$(CONFIG)" $(call given,HOST,host) $(call given,PORT,port)

test: ## the tests, but for those that need a compiler or minutes; ARGS= goes to pytest
	@$(setup) dev
	@.venv/bin/python -m pytest -q -m "not slow" -n 2 --dist loadfile $(ARGS)

# One after another: what some of them bound is time and memory, which nothing else may take meanwhile.
test-all: ## every test, with more examples; compiles llama-cpp-python once per machine (minutes)
	@$(setup) all
	@WAYLINE_EXAMPLES=all .venv/bin/python -m pytest $(ARGS)

check: ## format, lint, strict types, import contract: changes nothing
	@$(setup) dev
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/mypy $(filter-out scripts/docs.py scripts/providers.py,$(wildcard scripts/*.py)) # tests import those two
	@.venv/bin/lint-imports

format: ## put the code into its form
	@$(setup) dev
	@.venv/bin/ruff check --fix-only .
	@.venv/bin/ruff format .

bench: ## the measured table of README.md, on this machine; ARGS= goes to bench
	@$(setup) bench
	@.venv/bin/python -m bench $(ARGS)

faults: ## what clients see when upstreams misbehave (minutes); ARGS="--profile quick" in one
	@$(setup) dev
	@.venv/bin/python -m bench.faults $(ARGS)

lock: ## write locks/ anew from pyproject.toml; UPGRADE=1 takes the newest
	@$(setup) lock
	@.venv/bin/python scripts/lock.py $(if $(UPGRADE),--upgrade)

clean: ## remove what the other targets made here (not the compiled wheel in your cache)
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
