"""Where the build looks for TensorRT's headers, what it makes of what it finds, and what the library is called."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from build_support.cuda import Toolkit
from build_support.parts import Absent, BuildError
from build_support.tensorrt import TensorRTHeaders, find_tensorrt

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")

CUDA = Toolkit(Path("nvcc"), Path("include"), Path("lib"), (12, 6), ())
NOWHERE = Path("/nonexistent")
PLAIN = "#define NV_TENSORRT_MAJOR 10 //!< major\n#define NV_TENSORRT_MINOR 3\n#define NV_TENSORRT_PATCH 0\n"
BY_OTHER_NAMES = "".join(
    f"#define TRT_{part}_ENTERPRISE {number}\n#define NV_TENSORRT_{part} TRT_{part}_ENTERPRISE //!< it\n"
    for part, number in (("MAJOR", 11), ("MINOR", 4), ("PATCH", 1))
)


def headers(folder: Path, version: str = PLAIN) -> Path:
    folder.mkdir(parents=True)
    (folder / "NvInferRuntime.h").touch()
    (folder / "NvInferVersion.h").write_text(version)
    return folder


def test_the_version_is_as_the_compiler_reads_it(tmp_path):
    plain, others = headers(tmp_path / "10"), headers(tmp_path / "11", BY_OTHER_NAMES)
    assert find_tensorrt({"TENSORRT_INCLUDE": str(plain)}, CUDA) == TensorRTHeaders("10.3.0", plain)
    assert find_tensorrt({"TENSORRT_INCLUDE": str(others)}, CUDA) == TensorRTHeaders("11.4.1", others)


def test_a_variable_that_is_set_decides_alone(tmp_path):
    of_package = headers(tmp_path / f"usr/include/{platform.machine()}-linux-gnu")
    plain = headers(tmp_path / "usr/include/plain")
    rooted = headers(tmp_path / "root/include")
    assert find_tensorrt({}, CUDA, tmp_path) == TensorRTHeaders("10.3.0", of_package)
    both = {"TENSORRT_INCLUDE": str(plain), "TENSORRT_ROOT": str(tmp_path / "root")}
    assert find_tensorrt(both, CUDA, tmp_path) == TensorRTHeaders("10.3.0", plain)
    assert find_tensorrt({"TENSORRT_ROOT": both["TENSORRT_ROOT"]}, CUDA, tmp_path) == TensorRTHeaders("10.3.0", rooted)
    found = find_tensorrt({"TENSORRT_ROOT": "/nonexistent"}, CUDA, tmp_path)
    assert isinstance(found, Absent)
    assert found.reason == "TENSORRT_ROOT=/nonexistent had no NvInferRuntime.h when it was built"
    assert "libnvinfer-dev" in found.remedy


def test_headers_of_usr_include_itself(tmp_path):
    folder = headers(tmp_path / "usr/include")
    assert find_tensorrt({}, CUDA, tmp_path) == TensorRTHeaders("10.3.0", folder)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (PLAIN.replace("10", "8"), "expected version 10 or newer, found 8.3.0"),
        ("#error broken\n", "found no version of TensorRT in"),
        ("", "found no version of TensorRT in"),
    ],
)
def test_headers_that_will_not_do(version, reason, tmp_path):
    named = {"TENSORRT_INCLUDE": str(headers(tmp_path / "include", version))}
    assert reason in find_tensorrt(named, CUDA).reason
    with pytest.raises(BuildError, match="ADASGN_BUILD_TENSORRT=on, but"):
        find_tensorrt({**named, "ADASGN_BUILD_TENSORRT": "on"}, CUDA)


def test_switched_off_without_headers_or_without_cuda(tmp_path):
    named = {"TENSORRT_INCLUDE": str(headers(tmp_path / "include"))}
    assert "=off" in find_tensorrt({**named, "ADASGN_BUILD_TENSORRT": "off"}, CUDA).reason
    assert find_tensorrt(named, Absent("no nvcc", "get one")) == Absent("no nvcc", "get one")
    with pytest.raises(BuildError, match="ADASGN_BUILD_TENSORRT=on, but no nvcc; get one"):
        find_tensorrt({**named, "ADASGN_BUILD_TENSORRT": "on"}, Absent("no nvcc", "get one"))
    assert find_tensorrt({}, CUDA, NOWHERE).reason == "this machine had no NvInferRuntime.h when it was built"


NAMES = """
import runpy
import setuptools

setuptools.setup = lambda **ignored: None
BuildParts = runpy.run_path("setup.py")["BuildParts"]
for in_place in (True, False):
    command = BuildParts(setuptools.Distribution({"name": "adasgn-edge", "packages": ["adasgn_edge"]}))
    command.inplace, command.build_lib = in_place, "somewhere"
    command.ensure_finalized()
    print(command.get_ext_fullpath("adasgn_edge.libadasgn_tensorrt"), command.get_ext_fullpath("adasgn_edge._native"))
"""


def test_the_library_is_called_so_in_place_and_elsewhere():
    """TensorRT looks for a file, not for a module of some Python's."""
    pytest.importorskip("setuptools")
    pytest.importorskip("pybind11")
    environment = {**os.environ, "ADASGN_BUILD_CUDA": "off", "ADASGN_BUILD_TORCH": "off"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "ignore", "-c", NAMES]
    said = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True).stdout
    in_place, elsewhere = (line.split() for line in said.splitlines())
    assert Path(in_place[0]) == root / "adasgn_edge/libadasgn_tensorrt.so"
    assert elsewhere[0] == "somewhere/adasgn_edge/libadasgn_tensorrt.so"
    assert "cpython" in in_place[1]
    assert "cpython" in elsewhere[1]
