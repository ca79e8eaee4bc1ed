# The two commands: `make demo` and `make test`. `make help` lists the others.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-slow test-lowest lint docs benchmarks clean

help:
	@echo "demo         the main job on real data, and docs/images/demo.png"
	@echo "test         lint, types, tests and doctests"
	@echo "test-slow    the tests that take longer"
	@echo "test-lowest  the tests with the lowest versions that pyproject.toml allows"
	@echo "docs         the documentation, in docs/_build/html"
	@echo "benchmarks   the tables that the README quotes"

.venv/bin/python:
	$(PYTHON) -m venv .venv

# One stamp an extra: installed again when the project or its pins change.
.venv/installed-%: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[$*]"
	@touch $@

demo: .venv/installed-plot
	$(BIN)/python examples/demo.py

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One thread for each of two workers: more would wait for each other, spinning.
test: lint
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: .venv/installed-test
	$(BIN)/python -m pytest -n 2 -m slow

# The lowest torch comes with CUDA, several GB, so this is not part of `make test`.
# The warnings are of the lowest skorch, whose nets unpickle through torch.load, and of
# pytest about the lowest scikit-learn's checks.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet -c constraints-lowest.txt --editable ".[test]"
	.venv-lowest/bin/python -m pytest -n 2 -m "not slow" tests \
		-W ignore::FutureWarning -W ignore::pytest.PytestRemovedIn10Warning

# The examples of the gallery run, and the code of the guide as a test.
docs: .venv/installed-docs
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going \
		-b html docs docs/_build/html
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/test_docs.py

benchmarks: .venv/installed-bench
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/selection.py
	$(BIN)/python benchmarks/limit.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/latent_size.py --picture

clean:
	rm -rf .venv .venv-lowest docs/_build docs/api docs/auto_examples
