# The two commands: `make demo` and `make test`. `make help` lists the others.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-gpu test-slow test-lowest coverage lint docs benchmarks dist clean

help:
	@echo "demo         the main job on real data, and docs/images/demo.png"
	@echo "test         lint, types, tests and doctests"
	@echo "test-slow    the tests that take longer"
	@echo "test-gpu     the tests on a GPU, with the CUDA build of PyTorch"
	@echo "test-lowest  the tests with the lowest versions that pyproject.toml allows"
	@echo "coverage     what share of lines and branches the tests run"
	@echo "docs         the documentation, in docs/_build/html"
	@echo "benchmarks   the tables that the README quotes"
	@echo "dist         wheel and sdist, checked, in dist"

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
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not gpu"

test-gpu: .venv/installed-test
	$(BIN)/python -c "import torch; assert torch.cuda.is_available(), 'there is no CUDA'"
	$(BIN)/python -m pytest -m gpu tests/test_gpu.py

# With dask-ml, which `make test` does without.
test-slow: .venv/installed-test .venv/installed-dask
	$(BIN)/python -m pytest -n 2 -m slow

# The lowest torch comes with CUDA, several GB, so this is not part of `make test`.
# The warnings are of the lowest skorch, whose nets unpickle through torch.load, and of
# pytest about the lowest scikit-learn's checks.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet -c constraints-lowest.txt --editable ".[test]"
	.venv-lowest/bin/python -m pytest -n 2 -m "not slow and not gpu" tests \
		-W ignore::FutureWarning -W ignore::pytest.PytestRemovedIn10Warning

coverage: .venv/installed-test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 \
		-m "not slow and not gpu" --cov --cov-report=term

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

# The tests of the sdist run against the wheel, so both have all that they need.
dist: .venv/installed-test
	$(BIN)/python -m pip install --quiet build twine
	rm -rf dist .venv-dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	mkdir .venv-dist && tar -xzf dist/*.tar.gz -C .venv-dist --strip-components=1
	rm -r .venv-dist/sklatent && $(PYTHON) -m venv .venv-dist/env
	.venv-dist/env/bin/python -m pip install --quiet -c constraints.txt \
		"$$(ls dist/*.whl)[test]"
	cd .venv-dist && env/bin/python -m pytest -q -m "not slow and not gpu" \
		tests/test_net.py tests/test_onnx.py tests/test_package.py tests/test_saving.py

clean:
	rm -rf .venv .venv-lowest .venv-dist dist docs/_build docs/api docs/auto_examples
