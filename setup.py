"""Build script: compiles the native engine; the project's metadata is in pyproject.toml.

Needs a C++17 compiler and pybind11, nothing else: no torch, no CUDA, no CMake. Sources and flags are those of
CMakeLists.txt.
"""

from __future__ import annotations

import platform
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension
from setuptools import setup
from setuptools.command.build_ext import build_ext

KERNELS = "csrc/adasgn/cpu/kernels_isa.cpp"
KERNEL_FLAGS = ["-O3", "-g0", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
X86_FLAGS = {
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma"],
    "avx2": ["-mavx2", "-mfma"],
    "sse2": [],
}
ARM_FLAGS: dict[str, list[str]] = {"neon": []}


def kernel_flags() -> dict[str, list[str]]:
    """Machine flags by instruction set, for the processor this is built on."""
    machine = platform.machine()
    if machine in ("x86_64", "AMD64"):
        return X86_FLAGS
    if machine in ("aarch64", "arm64"):
        return ARM_FLAGS
    raise SystemExit(f"adasgn_edge: expected an x86-64 or aarch64 processor, found {machine}")


class BuildEngine(build_ext):
    """Compiles the kernels once for each instruction set, then the rest."""

    def build_extension(self, ext: Pybind11Extension) -> None:
        objects = []
        for isa, flags in kernel_flags().items():
            objects += self.compiler.compile(
                [KERNELS],
                output_dir=str(Path(self.build_temp) / isa),
                macros=[("ADASGN_ISA", isa)],
                include_dirs=["csrc"],
                extra_postargs=["-std=c++17", *KERNEL_FLAGS, *flags],
                depends=ext.depends,
            )
        ext.extra_objects = objects
        super().build_extension(ext)


sources = [*Path("csrc/adasgn").glob("*.cpp"), Path("csrc/adasgn/cpu/dispatch.cpp"), Path("csrc/python/module.cpp")]
native = Pybind11Extension(
    "adasgn_edge._native",
    sorted(map(str, sources)),
    include_dirs=["csrc", "third_party"],
    depends=sorted(map(str, Path("csrc").rglob("*.h"))),
    cxx_std=17,
    extra_compile_args=["-O2", "-g0"],
)

ParallelCompile("ADASGN_BUILD_JOBS", default=2).install()  # two at a time: boards have little memory
setup(ext_modules=[native], cmdclass={"build_ext": BuildEngine})
