# make demo: the whole job on the built-in text.  make test: the checks and the tests.  Both make the environment first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# One thread a process: at these sizes a second thread costs more than it brings, and results repeat.
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test test-newest test-oldest quality style clean

install: $(INSTALLED)

# torch goes first and alone: with it in place nothing that follows can bring another build of it.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt torch
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/accelerate launch --cpu --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
		-m autobert_hf search --config examples/demo.yaml --output-dir runs/demo

test: quality
	$(BIN)/pytest -n 2

# The tests on what others have: the newest release of everything, and the oldest that pyproject.toml allows. torch is
# the tested build in both, as any other brings gigabytes of CUDA: CONTRIBUTING.md says how its bound was tried.
test-newest: PINS = true
test-oldest: PINS = sed -n '/^dependencies/,/^]/{/"torch>/d; s/^ *"\(.*\)>=\([^",]*\).*/\1==\2/p}' pyproject.toml
test-newest test-oldest: test-%:
	test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	{ grep '^torch==' constraints.txt; $(PINS); } > .venv-$*/constraints.txt
	.venv-$*/bin/python -m pip install -c .venv-$*/constraints.txt torch
	.venv-$*/bin/python -m pip install -c .venv-$*/constraints.txt --upgrade --upgrade-strategy eager -e '.[dev]'
	.venv-$*/bin/pytest -n 2

quality: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

style: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What builds and tests leave behind; the environments and runs/ stay.
clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find autobert_hf tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
