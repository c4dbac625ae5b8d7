# `make demo` and `make test` do everything on a fresh machine: a virtual environment in .venv, the packages, the job.

PYTHON ?= python3
# The torch to install. The version is pinned because an unpinned one may bring gigabytes of CUDA packages; on a Jetson
# name NVIDIA's wheel instead, e.g. make demo TORCH=/path/to/torch-2.8.0-cp310-cp310-linux_aarch64.whl
TORCH ?= torch==2.13.0
VENV ?= .venv
RUN := $(VENV)/bin/
# How long `make fuzz` looks for inputs that break the reader of model files, and where it keeps what it learnt.
FUZZ_SECONDS ?= 60
FUZZ_CORPUS ?= build/fuzz/corpus

.PHONY: help demo test test-lowest test-cpp test-kernels test-clang test-tsan test-arm test-package compare-arm fuzz lint \
	format bench bench-training parity gpu kernel-report clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# Without build isolation, so that the build sees torch and makes the torch ops too.
$(VENV)/installed: pyproject.toml setup.py $(wildcard build_support/*.py csrc/*/*.* csrc/*/*/*.* kernels/*.*)
	$(PYTHON) -m venv $(VENV)
	$(RUN)pip install --quiet --upgrade pip 'setuptools>=68' wheel 'pybind11>=2.12'
	$(RUN)pip install --quiet "$(TORCH)"
	$(RUN)pip install --quiet --no-build-isolation --editable '.[test,lint]'
	@touch $@

demo: $(VENV)/installed  ## Set up, then recognise gestures from a stream in the terminal
	$(RUN)adasgn-edge demo

test: $(VENV)/installed  ## Set up, then run all tests
	$(RUN)python -m pytest

test-lowest:  ## Run the tests that rest on dependencies, each at the lowest version that pyproject.toml allows
	$(PYTHON) tools/test_lowest.py --torch "$(TORCH)"

test-cpp:  ## Build the C++ library with its tests under AddressSanitizer and UBSan, and run them (needs doctest)
	cmake -S . -B build/cpp -DADASGN_SANITIZE=address,undefined -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/cpp --parallel 2
	ctest --test-dir build/cpp --output-on-failure --parallel 2

test-kernels: $(VENV)/installed  ## Run the CUDA kernels' own source on the host, every access checked (needs Boost.Context)
	cmake -S . -B build/kernels -DADASGN_EMULATE_CUDA=ON -DADASGN_WARNINGS_AS_ERRORS=ON \
	    -DADASGN_CUDA=OFF -DADASGN_BUILD_EXAMPLES=OFF -DPython3_EXECUTABLE=$(abspath $(VENV))/bin/python
	cmake --build build/kernels --parallel 2 --target emulated_tests
	ctest --test-dir build/kernels --output-on-failure --label-regex emulator --no-tests=error --parallel 2

test-clang:  ## Build the C++ library with clang and run its tests
	cmake -S . -B build/clang -DCMAKE_CXX_COMPILER=clang++ -DADASGN_CUDA=OFF -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/clang --parallel 2
	ctest --test-dir build/clang --output-on-failure --parallel 2

test-tsan:  ## Run the C++ tests under ThreadSanitizer (all but the slow ones of the reader, which has no threads)
	cmake -S . -B build/tsan -DADASGN_SANITIZE=thread -DADASGN_BUILD_EXAMPLES=OFF -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/tsan --parallel 2
	TSAN_OPTIONS="halt_on_error=1 $(TSAN_OPTIONS)" \
	    ctest --test-dir build/tsan --output-on-failure --exclude-regex test_model_file --parallel 2

test-arm:  ## Cross-compile the C++ library for 64-bit Arm and run its tests under qemu-user
	cmake -S . -B build/arm -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/arm --parallel 2
	ctest --test-dir build/arm --output-on-failure --parallel 2 --timeout 300

test-package: $(VENV)/installed  ## Install the C++ package, with CUDA where nvcc is, and build the example from there
	$(RUN)python tests/cpp/check_package.py

compare-arm: test-arm $(VENV)/installed  ## Run the C++ example on the shipped model for both processors and compare
	cmake -S . -B build/example -DADASGN_CUDA=OFF -DADASGN_BUILD_TESTS=OFF -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/example --parallel 2 --target classify_clip
	$(RUN)python tests/cpp/compare_example.py build/example/examples/cpp/classify_clip \
	    qemu-aarch64 -L /usr/aarch64-linux-gnu build/arm/examples/cpp/classify_clip

fuzz:  ## Fuzz the reader of model files for FUZZ_SECONDS (needs clang with its libFuzzer)
	cmake -S . -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ -DADASGN_BUILD_FUZZER=ON -DADASGN_BUILD_TESTS=OFF \
	    -DADASGN_CUDA=OFF -DADASGN_BUILD_EXAMPLES=OFF -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/fuzz --parallel 2 --target fuzz_model_file fuzz_seeds
	mkdir -p $(FUZZ_CORPUS) build/fuzz/failures
	build/fuzz/fuzz_seeds $(FUZZ_CORPUS)
	build/fuzz/fuzz_model_file -max_total_time=$(FUZZ_SECONDS) -max_len=32768 -timeout=10 -rss_limit_mb=2048 \
	    -dict=tests/cpp/fuzz_model_file.dict -artifact_prefix=build/fuzz/failures/ -print_final_stats=1 \
	    $(FUZZ_CORPUS) \
	    || { echo "The reader failed on the newest input in build/fuzz/failures. To reproduce:"; \
	         ls -t build/fuzz/failures/* | head -n 1 | sed 's|^|    build/fuzz/fuzz_model_file |'; exit 1; }

lint: $(VENV)/installed  ## Check style and types
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	git ls-files csrc kernels tests/cpp tests/cuda tests/emulator examples/cpp bench | grep -E '\.(h|cpp|cu)$$' \
		| xargs $(RUN)clang-format --dry-run -Werror

format: $(VENV)/installed  ## Put the code into the project's format
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

$(VENV)/bench-installed: $(VENV)/installed
	$(RUN)pip install --quiet --no-build-isolation --editable '.[bench]'
	@touch $@

bench: $(VENV)/bench-installed  ## Time the engine beside other runtimes on this machine: 10 minutes (docs/benchmarks.md)
	$(RUN)python -m bench

parity: $(VENV)/bench-installed  ## Compare the engine with the reference in float64 on every test clip
	$(RUN)python -m bench.parity

bench-training: $(VENV)/installed  ## Time a training epoch against Conv2d layers and a DataLoader
	$(RUN)python -m bench.training_speed

gpu:  ## All that only a GPU shows: tests, parity, compute-sanitizer, benchmark; results in OUT (docs/benchmarks.md)
	$(PYTHON) tools/prove_on_gpu.py

kernel-report:  ## Registers, shared memory, spills and occupancy of the CUDA kernels (needs nvcc, no GPU)
	$(PYTHON) -m bench.kernel_report

clean:  ## Remove what the other targets made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
