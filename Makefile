# Everything sets itself up: a virtual environment in .venv, Debian packages (as root), the lab's image.
SHELL := /bin/sh
PY := .venv/bin/python
# The tests start the program hundreds of times: compiled once, not each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test long check fix lint types unit docs lock bench conformance fuzz clean packages
help:
	@echo "make demo    three real controllers from one file; one loses its power; they stay up (root)"
	@echo "make test    every test, lab machines included (root)"
	@echo "make long    the tests for which an hour is too short (root; nothing else on the machine)"
	@echo "make check   lint, types and unit tests in seconds"
	@echo "make fix     format, and mend what ruff can mend"
	@echo "make docs    write the generated pages of docs/reference again"
	@echo "make bench   convergence side by side with ansible-core (root)"
	@echo "make conformance   the published tests of seven memcached clients, through the balancer (root)"
	@echo "make fuzz    two fuzzers against the balancer and the audit, MINUTES=30 of each, side by side"
	@echo "make lock    resolve the dependencies again into requirements.lock"

demo: .venv/.ready packages
	$(PY) -m demo.demo $(DEMO)

test: check packages
	sh tools/packages.sh chromium chromium-driver
	$(PY) -m pytest -q --no-skips -n auto tests/property tests/model tests/golden tests/guides
	$(PY) -m pytest --no-skips -m "not long" --maxfail=4 --durations=60 tests/contract tests/real tests/lab

long: .venv/.ready packages
	$(PY) -m pytest --no-skips -m long --durations=20 tests/real tests/lab

check: lint types unit

lint: .venv/.ready
	.venv/bin/ruff format --check --quiet .
	.venv/bin/ruff check --quiet .
	.venv/bin/lint-imports --no-logo >/dev/null || .venv/bin/lint-imports

types: .venv/.ready
	.venv/bin/mypy --no-error-summary

unit: .venv/.ready
	$(PY) -m pytest -q -n auto tests/unit tests/fuzz

fix: .venv/.ready
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

docs: .venv/.ready
	$(PY) -m quorate.cli.reference

bench: .venv/.ready packages
	$(PY) bench/converge.py

conformance: .venv/.ready packages
	$(PY) -m conformance.run $(CONFORMANCE)

fuzz: .venv/.ready
	.venv/bin/pip install --quiet --require-hashes -r requirements-fuzz.lock
	PYTHONPATH=tests $(PY) -m fuzz.run --minutes $(or $(MINUTES),30) $(FUZZ)

lock: .venv/.ready
	.venv/bin/pip install --quiet uv
	.venv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --extra dev \
	  --python-version 3.11 --universal --upgrade pyproject.toml -o requirements.lock
	.venv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --group fuzz \
	  --constraint requirements.lock --python-version 3.11 --universal --upgrade -o requirements-fuzz.lock

packages:
	sh tools/packages.sh

.venv/.ready: requirements.lock pyproject.toml
	sh tools/venv.sh

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build
