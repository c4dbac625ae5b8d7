"""What setup.py decides: nvcc, architectures, jobs, which parts are asked for."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from build_support.compiling import Unit, compile_units, expect_compiler, leave_out_folders_of_python
from build_support.cuda import Architecture, Toolkit, architectures, find_cuda, find_nvcc
from build_support.jobs import MEMORY_OF_A_JOB, available_memory, job_count
from build_support.parts import Absent, BuildError, settle, switch
from build_support.torch_part import TorchHeaders, find_torch

NOWHERE = Path("/nonexistent")


@pytest.fixture
def program(tmp_path: Path):
    """Factory: an executable script."""

    def make(name: str, text: str = "exit 0") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return make


# -- parts ----------------------------------------------------------------------------------------------------------


def test_a_part_is_auto_on_or_off():
    assert [switch("X", {}), switch("X", {"X": "ON"}), switch("X", {"X": "off"})] == ["auto", "on", "off"]
    with pytest.raises(BuildError, match="X: expected auto, on or off, found 'yes'"):
        switch("X", {"X": "yes"})


def test_what_is_asked_for_in_vain_is_an_error():
    absent = Absent("there is none", "get one")
    assert settle("X", {}, absent) is absent
    with pytest.raises(BuildError, match="X=on, but there is none; get one"):
        settle("X", {"X": "on"}, absent)


def test_torch_switched_off_or_hidden(monkeypatch):
    assert "ADASGN_BUILD_TORCH=off" in find_torch({"ADASGN_BUILD_TORCH": "off"}).reason
    monkeypatch.setitem(sys.modules, "torch", None)  # find_spec and import fail
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = find_torch({})
    assert "build isolation" in found.reason
    assert "--no-build-isolation" in found.remedy
    with pytest.raises(BuildError, match="ADASGN_BUILD_TORCH=on, but torch was not in the environment"):
        find_torch({"ADASGN_BUILD_TORCH": "on"})


def test_torch_of_this_environment():
    torch = pytest.importorskip("torch")
    found = find_torch({"ADASGN_BUILD_TORCH": "on"})
    assert isinstance(found, TorchHeaders)
    assert found.version == torch.__version__
    assert (found.folder / "include/torch/library.h").is_file()


# -- CUDA -----------------------------------------------------------------------------------------------------------


def test_where_nvcc_is_looked_for(program, tmp_path):
    nvcc = program("path/nvcc")
    home = program("home/bin/nvcc").parents[1]
    default = program("default/bin/nvcc").parents[1]
    path = {"PATH": str(nvcc.parent)}
    assert find_nvcc(path, NOWHERE) == nvcc
    assert find_nvcc({**path, "CUDA_HOME": str(home)}, NOWHERE) == home / "bin/nvcc"
    assert find_nvcc({**path, "CUDA_HOME": str(home), "CUDACXX": str(nvcc)}, NOWHERE) == nvcc
    assert find_nvcc({**path, "CUDACXX": "nvcc"}, NOWHERE) == nvcc
    assert find_nvcc({"PATH": "/nonexistent"}, default) == default / "bin/nvcc"
    assert find_nvcc({"PATH": "/nonexistent"}, NOWHERE).reason == "no CUDA toolkit was found when it was built"
    for variable in ("CUDACXX", "CUDA_HOME"):  # named, but wrong: another toolkit must not be taken in silence
        assert variable in find_nvcc({**path, variable: "/nonexistent"}, default).reason


def test_cuda_switched_off_without_sources_or_asked_for_in_vain(program):
    assert "ADASGN_BUILD_CUDA=off" in find_cuda({"ADASGN_BUILD_CUDA": "off"}, sources=True).reason
    assert "no CUDA part" in find_cuda({}, sources=False).reason
    broken = str(program("broken/nvcc", "exit 3"))
    assert "does not run" in find_cuda({"CUDACXX": broken}, sources=True).reason
    strange = str(program("strange/nvcc", "echo hello"))
    assert "does not say" in find_cuda({"CUDACXX": strange}, sources=True).reason
    for environment in ({"CUDACXX": broken}, {"CUDACXX": "/nonexistent"}):
        with pytest.raises(BuildError, match="ADASGN_BUILD_CUDA=on, but"):
            find_cuda({**environment, "ADASGN_BUILD_CUDA": "on"}, sources=True)


def test_a_toolkit_older_than_the_kernels_need(program):
    said = """case "$1" in
--version) echo "Cuda compilation tools, release 11.8, V11.8.89" ;;
*) echo '#$ TOP=/nonexistent' >&2 ;;
esac"""
    environment = {"CUDACXX": str(program("bin/nvcc", said))}
    found = find_cuda(environment, sources=True)
    assert found.reason == f"CUDA: expected 12.0 or newer, found 11.8 ({environment['CUDACXX']})"
    assert found.remedy.startswith("install a CUDA toolkit 12.0 or newer, or name it with CUDA_HOME")
    with pytest.raises(BuildError, match=r"=on, but CUDA: expected 12\.0 or newer, found 11\.8"):
        find_cuda({**environment, "ADASGN_BUILD_CUDA": "on"}, sources=True)


def test_threads_of_nvcc():
    one, two = (Architecture(87),), (Architecture(87), Architecture(90))

    def options(chosen: tuple[Architecture, ...], threads: int, splits: bool) -> list[str]:
        return Toolkit(NOWHERE, NOWHERE, NOWHERE, (12, 6), chosen, splits).thread_options(threads)

    assert options(two, 6, splits=True) == options(two, 6, splits=False) == ["--threads=6"]
    assert options(one, 6, splits=True) == ["--split-compile=6"]
    assert options(one, 6, splits=False) == options(two, 1, splits=True) == options(one, 1, splits=True) == []


def test_a_toolkit_without_the_static_runtime(program, tmp_path):
    said = f"""case "$1" in
--version) echo "Cuda compilation tools, release 12.6, V12.6.68" ;;
--help) printf '%s\\n' '--threads <number>' '--split-compile <number>' ;;
*) echo '#$ TOP={tmp_path}/bin/..' >&2 ;;
esac"""
    nvcc = str(program("bin/nvcc", said))
    environment = {"CUDACXX": nvcc}
    assert "lacks include/cuda_runtime.h" in find_cuda(environment, sources=True).reason
    target = tmp_path / "targets/aarch64-linux"
    (target / "include").mkdir(parents=True)
    (target / "include/cuda_runtime.h").touch()
    assert "lacks libcudart_static.a" in find_cuda(environment, sources=True).reason
    (target / "lib").mkdir()
    (target / "lib/libcudart_static.a").touch()
    found = find_cuda({**environment, "CUDAARCHS": "87-real"}, sources=True)
    assert isinstance(found, Toolkit)
    assert (found.version, found.library, found.include) == ((12, 6), target / "lib", target / "include")
    assert list(map(str, found.architectures)) == ["8.7"]
    assert found.splits


@pytest.mark.parametrize(
    ("environment", "version", "expected"),
    [
        ({}, (12, 6), "8.0 8.6 8.7 8.9 9.0+PTX"),
        ({}, (13, 0), "8.0 8.6 8.7 8.9 9.0 10.0 11.0 12.0+PTX"),
        ({"TORCH_CUDA_ARCH_LIST": ""}, (12, 6), "8.0 8.6 8.7 8.9 9.0+PTX"),
        ({"TORCH_CUDA_ARCH_LIST": "8.7"}, (12, 6), "8.7"),
        ({"TORCH_CUDA_ARCH_LIST": "8.7+PTX"}, (12, 6), "8.7+PTX"),
        ({"TORCH_CUDA_ARCH_LIST": "9.0a;8.0 8.6+PTX"}, (12, 6), "8.0 8.6+PTX 9.0a"),
        ({"TORCH_CUDA_ARCH_LIST": "7.5 8.0 10.0 12.0+PTX"}, (13, 0), "8.0 10.0 12.0+PTX"),
        ({"CUDAARCHS": "87-real;90"}, (12, 6), "8.7 9.0+PTX"),
        ({"CUDAARCHS": "87-virtual"}, (12, 6), "8.7 PTX only"),
        ({"CUDAARCHS": "87-virtual;87-real"}, (12, 6), "8.7+PTX"),
        ({"CUDAARCHS": "110"}, (13, 0), "11.0+PTX"),
        ({"CUDAARCHS": "80", "TORCH_CUDA_ARCH_LIST": "8.9"}, (12, 6), "8.9"),
    ],
)
def test_lists_of_architectures(environment, version, expected):
    assert " ".join(map(str, architectures(environment, version, NOWHERE))) == expected


@pytest.mark.parametrize(
    ("names", "environment", "version", "expected"),
    [
        ("nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0", {}, (12, 6), "8.7"),
        ("nvidia,p3971-0089+p3834-0008\0nvidia,tegra264\0", {}, (13, 0), "11.0"),
        ("nvidia,tegra264\0", {}, (12, 6), "8.0 8.6 8.7 8.9 9.0+PTX"),
        ("nvidia,tegra194\0", {}, (12, 6), "8.0 8.6 8.7 8.9 9.0+PTX"),
        ("nvidia,tegra234\0", {"CUDAARCHS": "87;90-real"}, (12, 6), "8.7+PTX 9.0"),
    ],
)
def test_a_jetson_compiles_for_itself(names, environment, version, expected, tmp_path):
    tree = tmp_path / "proc/device-tree"
    tree.mkdir(parents=True)
    (tree / "compatible").write_text(names)
    assert " ".join(map(str, architectures(environment, version, tmp_path))) == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"CUDAARCHS": "native"}, "the GPU of the building machine must not decide, found 'native'"),
        ({"CUDAARCHS": "all-major"}, "expected entries like 87"),
        ({"CUDAARCHS": "8.7"}, "CUDAARCHS: expected entries like 87"),
        ({"TORCH_CUDA_ARCH_LIST": "87"}, "expected entries like 8.7"),
        ({"TORCH_CUDA_ARCH_LIST": "Orin"}, "expected entries like 8.7"),
        ({"TORCH_CUDA_ARCH_LIST": "7.2;7.5"}, "expected an architecture from 8.0 up, found '7.2;7.5'"),
    ],
)
def test_lists_that_cannot_be_met(environment, message):
    with pytest.raises(BuildError, match=re.escape(message)):
        architectures(environment, (13, 0))


def test_options_of_an_architecture():
    assert list(Architecture(87, ptx=True).flags) == [
        "-gencode=arch=compute_87,code=sm_87",
        "-gencode=arch=compute_87,code=compute_87",
    ]
    assert list(Architecture(87, binary=False, ptx=True).flags) == ["-gencode=arch=compute_87,code=compute_87"]


# -- compiling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "processors", "memory", "expected"),
    [
        ({}, 8, 100 * MEMORY_OF_A_JOB, 8),
        ({}, 6, 8_000_000_000, 5),
        ({}, 6, 2_000_000_000, 1),
        ({}, 6, 0, 1),
        ({"MAX_JOBS": "3"}, 8, 0, 3),
    ],
)
def test_jobs_fit_processors_and_memory(environment, processors, memory, expected):
    assert job_count(environment, processors, memory) == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "many"])
def test_jobs_that_are_no_number(text):
    with pytest.raises(BuildError, match="MAX_JOBS: expected a positive number"):
        job_count({"MAX_JOBS": text})


def test_memory_of_a_container(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable:    6000000 kB\n")
    assert available_memory(tmp_path) == 6_144_000_000
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("500\n")
    (group / "memory.max").write_text("max\n")
    assert available_memory(tmp_path) == 6_144_000_000
    (group / "memory.max").write_text("2000\n")
    assert available_memory(tmp_path) == 1500


@pytest.fixture
def compiler():
    distutils = pytest.importorskip("setuptools._distutils.ccompiler")
    from setuptools._distutils.sysconfig import customize_compiler

    made = distutils.new_compiler()
    customize_compiler(made)
    return made


def test_only_what_changed_is_compiled_again(compiler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source, header = Path("one.cpp"), Path("one.h")
    header.write_text("#define VALUE 1\n")
    source.write_text('#include "one.h"\nint value() { return VALUE; }\n')
    plain, other = Unit(source, ("-O0",)), Unit(source, ("-O0", "-DOTHER"))

    def times() -> list[int]:
        objects = compile_units(compiler, [plain, other], Path("objects"), [header], 2)
        assert objects[plain] != objects[other]
        return [Path(objects[unit]).stat().st_mtime_ns for unit in (plain, other)]

    first = times()
    assert times() == first
    header.write_text("#define VALUE 2\n")
    assert all(b > a for a, b in zip(first, times(), strict=True))
    source.write_text("syntax error")
    with pytest.raises(BuildError, match=r"failed on one.cpp \(exit status 1\)"):
        times()


def test_objects_of_the_same_content_are_shared_and_of_no_other(compiler, tmp_path, monkeypatch):
    def object_in(place: str, text: str = "", version: str = "there 1", option: str = "-O0", by: str = "c++ 12") -> int:
        folder = tmp_path / place
        (folder / "there").mkdir(parents=True)
        (folder / "there/there.h").touch()
        (folder / "one.cpp").write_text(f"#include <there.h>\nint value() {{ return 1; }}{text}\n")
        monkeypatch.chdir(folder)
        flags = (option, f"-isystem{folder / 'there'}", f"-ffile-prefix-map={folder}=.")
        unit = Unit(Path("one.cpp"), flags, foreign=version)
        (found,) = compile_units(compiler, [unit], tmp_path / "objects", [], 1, compiler_version=by).values()
        return Path(found).stat().st_mtime_ns

    first = object_in("here")
    assert object_in("elsewhere") == first
    for number, other in enumerate([{"text": " "}, {"version": "there 2"}, {"option": "-O1"}, {"by": "c++ 13"}]):
        assert object_in(f"other {number}", **other) > first, other


def test_folders_of_a_home_made_python_are_left_out(compiler):
    compiler.linker_so = ["gcc", "-shared", "-L/me/lib", "-Wl,-rpath,/me/lib", "-Wl,-rpath=/me/lib", "-Wl,-O1"]
    leave_out_folders_of_python(compiler)
    assert compiler.linker_so == ["gcc", "-shared", "-L/me/lib", "-Wl,-O1"]


def test_a_kernel_with_the_static_runtime_loads_without_a_gpu(compiler, tmp_path, monkeypatch):
    toolkit = find_cuda({**os.environ, "TORCH_CUDA_ARCH_LIST": "8.7"}, sources=True)
    if isinstance(toolkit, Absent):
        pytest.skip(toolkit.reason)
    monkeypatch.chdir(tmp_path)
    source = Path("kernel.cu")
    source.write_text(
        "__global__ void twice(float* x) { x[threadIdx.x] *= 2; }\n"
        'extern "C" int launch(float* x) { twice<<<1, 32>>>(x); return cudaGetLastError(); }\n'
        'extern "C" int version() { int v = 0; cudaRuntimeGetVersion(&v); return v; }\n'
    )
    flags = ("--compiler-options=-fPIC", *(flag for one in toolkit.architectures for flag in one.flags))
    unit = Unit(source, flags, toolkit.nvcc)
    objects = compile_units(compiler, [unit], Path("objects"), [], 1, toolkit.thread_options(2))
    runtime = str(toolkit.library / "libcudart_static.a")
    compiler.link_shared_object(
        [objects[unit]], "kernel.so", extra_postargs=[runtime, "-ldl", "-lrt", "-lpthread"], target_lang="c++"
    )
    library = ctypes.CDLL(str(tmp_path / "kernel.so"))
    assert library.version() == toolkit.version[0] * 1000 + toolkit.version[1] * 10
    source.write_text("syntax error")
    with pytest.raises(BuildError, match=r"failed on kernel.cu"):
        compile_units(compiler, [unit], Path("objects"), [source], 1)


class Compiler:
    """What setuptools says of its compiler."""

    def __init__(self, *, linker: str, compiler: str) -> None:
        self.compiler_cxx = [linker, "-pthread"]
        self.compiler_so = [compiler, "-fPIC"]


@pytest.mark.parametrize("missing", ["linker", "compiler"])
def test_without_a_compiler_the_build_says_what_to_install(missing):
    names = {"linker": "sh", "compiler": "sh", missing: "no-such-c++"}
    with pytest.raises(BuildError, match=r"C\+\+ compiler: expected gcc 11 .* found no 'no-such-c\+\+'; install one"):
        expect_compiler(Compiler(**names))


def test_without_the_headers_of_python_the_build_says_what_to_install(monkeypatch, tmp_path):
    expect_compiler(Compiler(linker="sh", compiler="sh"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(BuildError, match=r"expected .*Python\.h, found none; .* apt install python3-dev"):
        expect_compiler(Compiler(linker="sh", compiler="sh"))


def test_a_real_build_without_a_compiler_ends_in_one_line(tmp_path):
    environment = {**os.environ, "CC": "no-such-cc", "CXX": "no-such-c++", "ADASGN_BUILD_TORCH": "off"}
    environment["ADASGN_BUILD_CUDA"] = "off"
    command = [sys.executable, "setup.py", "-q", "build_ext", "-b", str(tmp_path), "-t", str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("adasgn_edge: C++ compiler: expected gcc 11")
    assert "Traceback" not in done.stderr
