# `make demo` and `make test` do everything on a fresh machine: a virtual environment in .venv, the packages, the job.

PYTHON ?= python3
# The torch to install. The version is pinned because an unpinned one may bring gigabytes of CUDA packages; on a Jetson
# name NVIDIA's wheel instead, e.g. make demo TORCH=/path/to/torch-2.8.0-cp310-cp310-linux_aarch64.whl
TORCH ?= torch==2.13.0
VENV ?= .venv
RUN := $(VENV)/bin/

.PHONY: help demo test test-cpp lint format bench clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(RUN)pip install --quiet --upgrade pip setuptools wheel
	$(RUN)pip install --quiet "$(TORCH)"
	$(RUN)pip install --quiet --editable '.[test,lint]'
	@touch $@

demo: $(VENV)/installed  ## Set up, then recognise gestures from a stream in the terminal
	$(RUN)adasgn-edge demo

test: $(VENV)/installed  ## Set up, then run all tests
	$(RUN)python -m pytest

test-cpp:  ## Build the C++ library with its tests under AddressSanitizer and UBSan, and run them (needs doctest)
	cmake -S . -B build/cpp -DADASGN_SANITIZE=address,undefined -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/cpp --parallel 2
	ctest --test-dir build/cpp --output-on-failure

lint: $(VENV)/installed  ## Check style and types
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	git ls-files 'csrc/*' 'tests/cpp/*' 'examples/cpp/*' | grep -E '\.(h|cpp)$$' | xargs $(RUN)clang-format --dry-run -Werror

format: $(VENV)/installed  ## Put the code into the project's format
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

bench: $(VENV)/installed  ## Time a training epoch against Conv2d layers and a DataLoader
	$(RUN)python -m bench.training_speed

clean:  ## Remove what the other targets made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
