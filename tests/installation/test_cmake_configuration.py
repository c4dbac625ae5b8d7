"""What CMakeLists.txt decides before anything is compiled. tests/cpp/check_package.py builds, installs and links."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import adasgn_edge
from build_support.cuda import CUDA_13_DEFAULTS, DEFAULTS, OLDEST, Architecture, architectures

ROOT = Path(__file__).parents[2]
CUDA = (ROOT / "cmake/adasgn_cuda.cmake").read_text()
NOTHING = ("-DADASGN_BUILD_TESTS=OFF", "-DADASGN_BUILD_EXAMPLES=OFF")

pytestmark = pytest.mark.skipif(
    shutil.which("cmake") is None or shutil.which("c++") is None, reason="needs CMake and a C++ compiler"
)


def configure(build: Path, *options: str, status: int = 0, **environment: str) -> str:
    command = ["cmake", "-S", str(ROOT), "-B", str(build), *NOTHING, *options]
    path = {"PATH": "/usr/bin:/bin", **environment}
    done = subprocess.run(command, env=path, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def nvcc(tmp_path: Path):
    """Factory: an nvcc that can say its version and nothing else."""

    def make(version: str) -> str:
        path = tmp_path / "nvcc"
        path.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "Cuda compilation tools, release {version}, V{version}"\n'
        )
        path.chmod(0o755)
        return str(path)

    return make


def test_an_old_cuda_is_named_before_it_compiles(nvcc, tmp_path: Path) -> None:
    found = nvcc("11.8")
    text = f"expected CUDA 12.0 or newer, found 11.8 ({found})"
    said = configure(tmp_path / "auto", CUDACXX=found)
    assert f"CUDA engine (ADASGN_CUDA): not built: {text}" in said
    said = configure(tmp_path / "on", "-DADASGN_CUDA=ON", CUDACXX=found, status=1)
    assert "ADASGN_CUDA is ON, but" in said
    assert "install a CUDA toolkit 12.0 or newer" in said
    assert "11.8" in said


def test_a_compiler_that_is_named_decides_alone(tmp_path: Path) -> None:
    said = configure(tmp_path / "auto", "-DCMAKE_CUDA_COMPILER=/nonexistent/nvcc")
    assert "not built: /nonexistent/nvcc is no program" in said
    assert "TensorRT plugin (ADASGN_TENSORRT): not built: the CUDA engine, which it runs, is not built" in said
    said = configure(tmp_path / "home", "-DADASGN_CUDA=ON", CUDA_HOME="/nonexistent", status=1)
    assert "/nonexistent/bin/nvcc is no program" in said


def test_switched_off_and_left_out(nvcc, tmp_path: Path) -> None:
    found = nvcc("13.0")
    assert "not built: ADASGN_CUDA is OFF" in configure(tmp_path / "off", "-DADASGN_CUDA=OFF", CUDACXX=found)
    said = configure(tmp_path / "sanitized", "-DADASGN_SANITIZE=address", CUDACXX=found)
    assert "not built: it is left out of builds with sanitizers" in said
    said = configure(tmp_path / "both", "-DADASGN_SANITIZE=address", "-DADASGN_CUDA=ON", CUDACXX=found, status=1)
    assert "expected OFF with ADASGN_SANITIZE" in said


@pytest.mark.parametrize("given", ["75", "native", "all-major", "8.7", "87;70"])
def test_architectures_that_the_kernels_cannot_have(given: str, nvcc, tmp_path: Path) -> None:
    said = configure(tmp_path / "build", f"-DCMAKE_CUDA_ARCHITECTURES={given}", CUDACXX=nvcc("13.0"), status=1)
    assert "CMAKE_CUDA_ARCHITECTURES: expected entries from 80 up" in said


def test_the_defaults_are_those_of_the_python_build() -> None:
    lists = dict(re.findall(r"^set\(adasgn_(\w+) (.+)\)$", CUDA, re.MULTILINE))
    assert lists["oldest_cuda"] == ".".join(map(str, OLDEST))
    for name, version, numbers in (
        ("architectures", (12, 6), DEFAULTS),
        ("architectures_cuda_13", (13, 0), CUDA_13_DEFAULTS),
    ):
        entries = lists[name].split()
        expected = architectures({}, version, Path("/nonexistent"))
        assert architectures({"CUDAARCHS": ";".join(entries)}, version) == expected
        assert expected == tuple(Architecture(number, ptx=number == numbers[-1]) for number in numbers)


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    configure(tmp_path, "-DADASGN_CUDA=OFF")
    header = (tmp_path / "include/adasgn/version.h").read_text()
    numbers = re.findall(r"ADASGN_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", header, re.MULTILINE)
    assert ".".join(numbers) == adasgn_edge.__version__


def test_targets_say_whose_they_are() -> None:
    """A project that has this one as a folder (add_subdirectory) shares one space of names with it."""
    text = (ROOT / "CMakeLists.txt").read_text() + CUDA
    names = set(re.findall(r"^ *add_library\(([\w:$]+)", text, re.MULTILINE))
    assert {"adasgn_edge_core", "adasgn_edge_cuda", "adasgn_edge::core"} <= names
    assert {name for name in names if not name.startswith("adasgn_edge")} == {"$"}
    assert "set(kernels adasgn_edge_kernels_${isa})" in text  # which is the one of a variable's name
