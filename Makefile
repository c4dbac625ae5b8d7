# `make demo` and `make test` do everything on a fresh machine: a virtual environment in .venv, the packages, the job.

PYTHON ?= python3
# The torch to install. The version is pinned because an unpinned one may bring gigabytes of CUDA packages; on a Jetson
# name NVIDIA's wheel instead, e.g. make test TORCH=/path/to/torch-2.8.0-cp310-cp310-linux_aarch64.whl
TORCH ?= torch==2.13.0
VENV ?= .venv
RUN := $(VENV)/bin/
# Of most modules of torch nobody needs byte code: it is made of those that are imported, when they are.
PIP_OPTIONS := --quiet --disable-pip-version-check --no-compile
INSTALL := $(RUN)pip install $(PIP_OPTIONS)
# Processes that run the tests; each needs about 1 GB.
TEST_JOBS ?= $(shell jobs=$$(getconf _NPROCESSORS_ONLN); echo $$((jobs < 4 ? jobs : 4)))
PYTEST_OPTIONS ?=
# The Pythons that `make wheels` makes one for each.
PYTHONS ?= $(PYTHON)
# MediaPipe wants an older NumPy than everything else here may have, so its tests have an environment of their own.
CAMERA_VENV ?= .venv-camera
# How long `make fuzz` looks for inputs that break the reader of model files (`make fuzz-parsers`: any parser in Python),
# and where it keeps what it learnt; with which random numbers, 0 standing for other ones each time.
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 0
FUZZ_CORPUS ?= build/fuzz/corpus

# The CUDA engine takes minutes to compile, so it is built where it can run: demo on a Jetson, tests beside any GPU's
# driver. ADASGN_BUILD_CUDA=on or off says otherwise (auto: wherever nvcc is).
ifndef ADASGN_BUILD_CUDA
    JETSON := $(shell tr '\0' '\n' 2> /dev/null < /proc/device-tree/compatible | grep -m 1 nvidia,tegra)
    DRIVER := $(wildcard /dev/nvidiactl /dev/dxg)
    DEMO_CUDA := $(if $(JETSON),auto,off)
    TEST_CUDA := $(if $(JETSON)$(DRIVER),auto,off)
else
    DEMO_CUDA := $(ADASGN_BUILD_CUDA)
    TEST_CUDA := $(ADASGN_BUILD_CUDA)
endif

.PHONY: help demo test test-slow test-lowest test-cpp test-kernels test-tensorrt tensorrt-headers test-tensorrt-bindings \
	test-tensorrt-rtx test-tsan test-arm test-camera test-package test-ros compare-arm fuzz fuzz-parsers lint lock format \
	bench bench-training parity gpu kernel-report wheels test-wheel clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

SOURCES := pyproject.toml setup.py $(wildcard build_support/*.py csrc/*/*.* csrc/*/*/*.* kernels/*.*)

$(VENV)/created:
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) 'setuptools>=78.1.1' wheel 'pybind11>=2.12'
	@touch $@

# The engine and the command alone: NumPy, typer, rich.
$(VENV)/core-installed: $(VENV)/created $(SOURCES)
	ADASGN_BUILD_TORCH=off ADASGN_BUILD_CUDA=$(DEMO_CUDA) \
	    $(INSTALL) --no-build-isolation --editable '.[cli]'
	@touch $@

# Everything but the lint tools; without build isolation, so that the build sees torch and makes the torch ops too.
$(VENV)/installed: $(VENV)/created $(SOURCES)
	$(INSTALL) "$(TORCH)"
	ADASGN_BUILD_CUDA=$(TEST_CUDA) \
	    $(INSTALL) --no-build-isolation --editable '.[test]'
	@touch $@

# An environment for the tests is one for the demo, too.
demo: $(if $(wildcard $(VENV)/installed),$(VENV)/installed,$(VENV)/core-installed)  ## Set up, then recognise gestures from a stream
	$(RUN)adasgn-edge demo

test: $(VENV)/installed  ## Set up, then run the tests, all but the slow ones
	$(RUN)python -m pytest -n $(TEST_JOBS) --dist loadfile -m 'not slow' $(PYTEST_OPTIONS)

test-slow: $(VENV)/installed  ## Run the slow tests
	$(RUN)python -m pytest -n $(TEST_JOBS) --dist loadfile -m slow $(PYTEST_OPTIONS)

# Of MediaPipe's dependencies only those that its hands use; jax and others would be hundreds of megabytes.
$(CAMERA_VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(CAMERA_VENV)
	grep -o 'mediapipe==[^"]*' pyproject.toml > $(CAMERA_VENV)/mediapipe.txt
	$(CAMERA_VENV)/bin/pip install $(PIP_OPTIONS) --no-deps --requirement $(CAMERA_VENV)/mediapipe.txt
	$(CAMERA_VENV)/bin/pip install $(PIP_OPTIONS) 'numpy<2' absl-py attrs flatbuffers 'protobuf>=4.25.8,<5' matplotlib \
	    opencv-contrib-python-headless typer rich pytest
	@touch $@

test-camera: $(VENV)/installed $(CAMERA_VENV)/installed  ## Drawn hands through MediaPipe to their gestures (needs no camera)
	PYTHONPATH=. OMP_NUM_THREADS=1 $(CAMERA_VENV)/bin/python -m pytest --override-ini addopts= -ra tests/camera

test-lowest:  ## Run the tests that rest on dependencies, each at the lowest version that pyproject.toml allows
	$(PYTHON) tools/test_lowest.py --torch "$(TORCH)"

# By clang, whose instrumented code compiles in half the time; gcc compiles the others.
CPP_BUILD := -DCMAKE_CXX_COMPILER=clang++ -DADASGN_SANITIZE=address,undefined -DADASGN_WARNINGS_AS_ERRORS=ON

test-cpp:  ## Build the C++ library with clang, with its tests under AddressSanitizer and UBSan, and run them
	cmake -S . -B build/cpp $(CPP_BUILD)
	cmake --build build/cpp --parallel 2
	ctest --test-dir build/cpp --output-on-failure --parallel 2

KERNELS_BUILD := -DADASGN_EMULATE_CUDA=ON -DADASGN_WARNINGS_AS_ERRORS=ON -DADASGN_CUDA=OFF \
    -DADASGN_BUILD_EXAMPLES=OFF -DTENSORRT_INCLUDE= -DPython3_EXECUTABLE=$(abspath $(VENV))/bin/python

test-kernels: $(VENV)/installed  ## Run the CUDA kernels' own source on the host, every access checked (needs Boost.Context)
	cmake -S . -B build/kernels $(KERNELS_BUILD)
	cmake --build build/kernels --parallel 2 --target emulated_tests
	ctest --test-dir build/kernels --output-on-failure --label-regex emulator --no-tests=error --parallel 2

test-tensorrt: $(VENV)/installed  ## Play TensorRT with its plugin on the host, every access checked (needs neither TensorRT nor a GPU)
	cmake -S . -B build/kernels $(KERNELS_BUILD)
	cmake --build build/kernels --parallel 2 --target tensorrt_tests
	ctest --test-dir build/kernels --output-on-failure --label-regex '^tensorrt$$' --no-tests=error --parallel 2

# Folders with NvInferRuntime.h, of TensorRT's package or of its public repository; CUDA's headers are needed, too.
TENSORRT_INCLUDE ?=
noop :=
SPACE := $(noop) $(noop)

tensorrt-headers: $(VENV)/installed  ## Compile the TensorRT plugin and its tests with real headers, TENSORRT_INCLUDE, and run them
	@test -n "$(TENSORRT_INCLUDE)" || { echo 'TENSORRT_INCLUDE: expected folders with NvInferRuntime.h, found none'; exit 2; }
	cmake -S . -B build/kernels $(KERNELS_BUILD) '-DTENSORRT_INCLUDE=$(subst $(SPACE),;,$(strip $(TENSORRT_INCLUDE)))'
	cmake --build build/kernels --parallel 2 --target tensorrt_header_tests
	ctest --test-dir build/kernels --output-on-failure --label-regex tensorrt-headers --no-tests=error

# The tests of what has threads, and of the engine's those that start some.
THREADED_TESTS := test_threads test_faults test_processes
THREADED_CASES := *threads*,*escalates*,*loaded by its device*

test-tsan:  ## Run the C++ tests of what has threads under ThreadSanitizer
	cmake -S . -B build/tsan -DADASGN_SANITIZE=thread -DADASGN_BUILD_EXAMPLES=OFF -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/tsan --parallel 2 --target $(THREADED_TESTS) test_engine
	TSAN_OPTIONS="halt_on_error=1 $(TSAN_OPTIONS)" ctest --test-dir build/tsan --output-on-failure --parallel 2 \
	    --no-tests=error --tests-regex '^($(subst $() ,|,$(THREADED_TESTS)))$$'
	TSAN_OPTIONS="halt_on_error=1 $(TSAN_OPTIONS)" build/tsan/tests/cpp/test_engine --test-case='$(THREADED_CASES)'

test-arm:  ## Cross-compile the C++ library for 64-bit Arm and run its tests under qemu-user
	cmake -S . -B build/arm -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/arm --parallel 2
	ctest --test-dir build/arm --output-on-failure --parallel 2 --timeout 300 --exclude-regex 'test_(allocations|faults)'

test-package: $(VENV)/installed  ## Install the C++ package, with CUDA where nvcc is, and build the example from there
	$(RUN)python tests/cpp/check_package.py

# An environment without torch: the package itself is found in this folder, where the first one built its engine.
build/ros/installed: tests/ros/requirements.txt
	$(PYTHON) -m venv --clear build/ros/venv
	build/ros/venv/bin/pip install $(PIP_OPTIONS) --upgrade pip wheel
	build/ros/venv/bin/pip install $(PIP_OPTIONS) --requirement $<
	@touch $@

build/ros/interfaces-installed: build/ros/installed tests/ros/interfaces.py tests/ros/build_interfaces.py
	PYTHONPATH=$(CURDIR) build/ros/venv/bin/python -m tests.ros.build_interfaces build/ros/interfaces
	@touch $@

build/ros/escalating.adasgn: tests/causal_models.py $(VENV)/installed
	@mkdir -p $(@D)
	$(RUN)python -c "from tests.causal_models import *; write_causal(Path('$@'), SEVERAL)"

# NVIDIA's bindings for TensorRT, a megabyte each, of what JetPack 6.2, 7.2 and the newest have; unpacked and not installed.
TENSORRT_BINDINGS := tensorrt-cu12-bindings==10.3.0 tensorrt-cu13-bindings==10.16.1.11 tensorrt-cu13-bindings==11.4.0.106

test-tensorrt-bindings: $(VENV)/installed  ## What is called of TensorRT against NVIDIA's Python bindings (downloads them)
	for package in $(TENSORRT_BINDINGS); do \
	    folder=build/tensorrt-bindings/$${package##*==}; \
	    [ -d $$folder/tensorrt_bindings ] || $(INSTALL) --no-deps --target $$folder $$package \
	        || echo "skipped: $$package cannot be downloaded for this Python"; \
	done
	PYTHONPATH=. ADASGN_TENSORRT_BINDINGS=$(CURDIR)/build/tensorrt-bindings $(RUN)python -m pytest tests/tensorrt/test_bindings.py

# TensorRT-RTX, which builds for GPUs that are not there: a large download, so that it is not part of CI.
build/tensorrt-rtx/installed: $(VENV)/installed
	$(INSTALL) --no-deps --target build/tensorrt-rtx tensorrt-rtx tensorrt-rtx-cu13 tensorrt-rtx-cu13-bindings \
	    tensorrt-rtx-cu13-libs
	@touch $@

test-tensorrt-rtx: build/tensorrt-rtx/installed  ## Build dense graphs with TensorRT-RTX (a large download; needs no GPU)
	PYTHONPATH=.:build/tensorrt-rtx ADASGN_TENSORRT_RTX=1 $(RUN)python -m pytest tests/tensorrt/test_rtx.py

test-ros: build/ros/interfaces-installed build/ros/escalating.adasgn  ## Run the ROS 2 node and its tests on the wheels of rclpy
	PYTHONPATH=$(CURDIR) ADASGN_ESCALATING_MODEL=$(CURDIR)/build/ros/escalating.adasgn \
	    build/ros/venv/bin/python -m pytest tests/ros --override-ini addopts=-ra

compare-arm: test-arm $(VENV)/installed  ## Run the C++ example on the shipped model for both processors and compare
	cmake -S . -B build/cpp $(CPP_BUILD)
	cmake --build build/cpp --parallel 2 --target classify_clip
	$(RUN)python tests/cpp/compare_example.py build/cpp/examples/cpp/classify_clip \
	    qemu-aarch64 -L /usr/aarch64-linux-gnu build/arm/examples/cpp/classify_clip

fuzz:  ## Fuzz the reader of model files for FUZZ_SECONDS (needs clang with its libFuzzer)
	cmake -S . -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ -DADASGN_BUILD_FUZZER=ON -DADASGN_BUILD_TESTS=OFF \
	    -DADASGN_SANITIZE=address,undefined -DADASGN_CUDA=OFF -DADASGN_BUILD_EXAMPLES=OFF -DADASGN_WARNINGS_AS_ERRORS=ON
	cmake --build build/fuzz --parallel 2 --target fuzz_model_file fuzz_seeds
	mkdir -p $(FUZZ_CORPUS) build/fuzz/failures
	build/fuzz/fuzz_seeds $(FUZZ_CORPUS)
	build/fuzz/fuzz_model_file -seed=$(FUZZ_SEED) -max_total_time=$(FUZZ_SECONDS) -max_len=32768 -timeout=10 -rss_limit_mb=2048 \
	    -dict=tests/cpp/fuzz_model_file.dict -artifact_prefix=build/fuzz/failures/ -print_final_stats=1 \
	    $(FUZZ_CORPUS) \
	    || { echo "The reader failed on the newest input in build/fuzz/failures. To reproduce:"; \
	         ls -t build/fuzz/failures/* | head -n 1 | sed 's|^|    build/fuzz/fuzz_model_file |'; exit 1; }

$(VENV)/fuzz-installed: $(VENV)/installed
	grep '^fuzz = ' pyproject.toml | grep -o 'atheris==[^"]*' > $(VENV)/fuzz.txt
	$(INSTALL) --requirement $(VENV)/fuzz.txt
	@touch $@

fuzz-parsers: $(VENV)/fuzz-installed  ## Fuzz every parser written in Python, FUZZ_SECONDS for all together (x86-64, Python 3.11 or newer)
	OMP_NUM_THREADS=1 $(RUN)python tools/fuzz_parsers.py --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

$(VENV)/lint-installed: $(VENV)/installed
	grep '^lint = ' pyproject.toml | grep -o '[a-z-]*==[^"]*' > $(VENV)/lint.txt
	$(INSTALL) --requirement $(VENV)/lint.txt
	@touch $@

lint: $(VENV)/lint-installed  ## Check style and types
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	MYPYPATH=examples/ros2/adasgn_edge_ros $(RUN)mypy --package adasgn_edge_ros
	git ls-files csrc kernels tests/cpp tests/cuda tests/emulator tests/tensorrt examples/cpp bench | grep -E '\.(h|cpp|cu)$$' \
		| xargs $(RUN)clang-format --dry-run -Werror

lock: $(VENV)/created  ## Renew requirements/ci.txt, the versions that CI installs
	$(RUN)python tools/lock_ci.py --torch "$(TORCH)"

format: $(VENV)/lint-installed  ## Put the code into the project's format
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

$(VENV)/bench-installed: $(VENV)/installed
	$(INSTALL) --no-build-isolation --editable '.[bench]'
	@touch $@

bench: $(VENV)/bench-installed  ## Time the engine beside other runtimes on this machine: 10 minutes (docs/benchmarks.md)
	$(RUN)python -m bench

parity: $(VENV)/bench-installed  ## Compare the engine with the reference in float64 on every test clip
	$(RUN)python -m bench.parity

bench-training: $(VENV)/installed  ## Time a training epoch against Conv2d layers and a DataLoader
	$(RUN)python -m bench.training_speed

gpu:  ## All that only a GPU shows: tests, parity, compute-sanitizer, benchmark; results in OUT (docs/benchmarks.md)
	$(PYTHON) tools/prove_on_gpu.py

wheels:  ## Make a source distribution and a wheel for each of PYTHONS, in dist, and audit them (docs/install.md)
	$(PYTHON) tools/make_wheels.py $(PYTHONS)

test-wheel: wheels  ## Install these wheels where nothing else is: doctor, classify, demo
	$(PYTHON) tools/audit_wheel.py --run dist/*.whl

kernel-report:  ## Registers, shared memory, spills and occupancy of the CUDA kernels (needs nvcc, no GPU)
	$(PYTHON) -m bench.kernel_report $(if $(KERNEL_ARCHITECTURES),--architectures $(KERNEL_ARCHITECTURES))

clean:  ## Remove what the other targets made
	rm -rf $(VENV) $(CAMERA_VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
