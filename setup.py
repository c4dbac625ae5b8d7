"""Build script: compiles the native engine and, beside a torch, the torch ops; metadata is in pyproject.toml.

The engine needs a C++17 compiler and pybind11, nothing else. Environment variables:

    ADASGN_BUILD_TORCH=auto|on|off   torch ops; auto: if torch can be imported here (see --no-build-isolation)
    ADASGN_BUILD_CUDA=auto|on|off    CUDA part; auto: if nvcc is found (CUDACXX, CUDA_HOME, PATH, /usr/local/cuda)
    ADASGN_BUILD_TENSORRT=auto|on|off
                                     plugin for TensorRT; auto: if the CUDA part is built and TensorRT's headers are
                                     found (TENSORRT_INCLUDE, TENSORRT_ROOT, /usr/include)
    TORCH_CUDA_ARCH_LIST, CUDAARCHS  GPUs to compile for; by default all from 8.0, on a Jetson its own
    MAX_JOBS                         compilers at once; by default what processors and memory allow
    ADASGN_OBJECTS                   folder of object files, which builds may share; by default build/objects

What was built, and why a part was not, is written to adasgn_edge/_build.json. Sources and flags of the engine are those
of CMakeLists.txt.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent))  # not there when a build front end runs this file

from build_support.compiling import Unit, compile_units, expect_compiler, leave_out_folders_of_python
from build_support.cuda import Toolkit, find_cuda
from build_support.jobs import job_count
from build_support.libstdcxx import expect_shared, link_options
from build_support.parts import Absent, BuildError
from build_support.tensorrt import TensorRTHeaders, find_tensorrt
from build_support.torch_part import TorchHeaders, find_torch

KERNELS = Path("csrc/adasgn/cpu/kernels_isa.cpp")
KERNEL_FLAGS = ("-O3", "-fno-stack-protector", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
X86_FLAGS = {
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma"),
    "avx2": ("-mavx2", "-mfma"),
    "sse2": (),
}
ARM_FLAGS: dict[str, tuple[str, ...]] = {"neon": ()}
COMMON_FLAGS = (
    *("-std=c++17", "-O2", "-g0", "-fvisibility=hidden", "-fstack-protector-strong", "-Icsrc", "-isystemthird_party"),
    *("-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"),
    f"-ffile-prefix-map={Path.cwd()}=.",  # no module tells where it was built
)
LINK_FLAGS = ("-Wl,-z,relro,-z,now",)
TORCH_OPS = "adasgn_edge._torch_ops"
TENSORRT_PLUGIN = "adasgn_edge.libadasgn_tensorrt"
NVCC_FLAGS = ("-std=c++17", "-O3", "-Icsrc", "-Ikernels", "--compiler-options=-fPIC,-fvisibility=hidden,-g0")


def kernel_flags() -> dict[str, tuple[str, ...]]:
    """Machine flags by instruction set, for the processor this is built on."""
    machine = platform.machine()
    if machine in ("x86_64", "AMD64"):
        return X86_FLAGS
    if machine in ("aarch64", "arm64"):
        return ARM_FLAGS
    raise BuildError(f"processor: expected x86-64 or aarch64, found {machine}")


def files(*patterns: str) -> list[Path]:
    """Sources that match, in an order that does not change."""
    return sorted(path for pattern in patterns for path in Path().glob(pattern))


def runtime_of(cuda: Toolkit) -> list[str]:
    """Options that link CUDA's runtime in, which looks for the driver when first used: it loads where there is none."""
    return [str(cuda.library / "libcudart_static.a"), "-ldl", "-lrt", "-lpthread"]


class Parts:
    """What is built here: decided once, from the environment and the machine."""

    def __init__(self) -> None:
        kernels = files("kernels/*.cu")
        self.torch = find_torch(os.environ)
        self.cuda = find_cuda(os.environ, bool(kernels))
        self.torch_cuda = self._torch_cuda()
        self.tensorrt = find_tensorrt(os.environ, self.cuda)
        strings = self.torch.string_flags if isinstance(self.torch, TorchHeaders) else []
        common = (*COMMON_FLAGS, *strings)

        # The kernels, which take longest, come first.
        self.core = [
            Unit(KERNELS, (*common, *KERNEL_FLAGS, f"-DADASGN_ISA={isa}", *machine))
            for isa, machine in kernel_flags().items()
        ]
        core = files("csrc/adasgn/*.cpp", "csrc/adasgn/cpu/dispatch.cpp", "csrc/adasgn/online/*.cpp")
        core.remove(Path("csrc/adasgn/version.cpp"))  # of C++ programs; the package says its own
        self.core += [Unit(path, common) for path in core]
        self.gpu: list[Unit] = []
        with_cuda = common
        if isinstance(self.cuda, Toolkit):
            with_cuda = (*common, "-DADASGN_CUDA", "-Ikernels", f"-isystem{self.cuda.include}")
            targets = tuple(flag for one in self.cuda.architectures for flag in one.flags)
            toolkit = f"CUDA {self.cuda.version}"
            self.gpu = [Unit(path, (*NVCC_FLAGS, *strings, *targets), self.cuda.nvcc, toolkit) for path in kernels]
            self.gpu += [Unit(path, with_cuda, foreign=toolkit) for path in files("csrc/adasgn/cuda/*.cpp")]
        headers = f"{sysconfig.get_config_var('SOABI')} {sys.hexversion:x} pybind11 {pybind11.__version__}"
        self.python = [
            Unit(path, (*with_cuda, f"-isystem{pybind11.get_include()}"), foreign=headers)
            for path in files("csrc/python/*.cpp")
        ]
        self.ops: list[Unit] = []
        if isinstance(self.torch, TorchHeaders):
            plain = isinstance(self.torch_cuda, Absent)
            sources = files("csrc/torch/*.cpp") if plain else files("csrc/torch/*.cpp", "csrc/torch/cuda/*.cpp")
            flags = (*(common if plain else with_cuda), *self.torch.flags)
            self.ops = [Unit(path, flags, foreign=f"torch {self.torch.version}") for path in sources]
        self.plugin: list[Unit] = []
        if isinstance(self.tensorrt, TensorRTHeaders):
            flags = (*with_cuda, f"-isystem{self.tensorrt.include}")
            foreign = f"TensorRT {self.tensorrt.version}"
            self.plugin = [Unit(path, flags, foreign=foreign) for path in files("csrc/tensorrt/*.cpp")]

    def _torch_cuda(self) -> Absent | None:
        """Why the torch ops have no CUDA part; None: they have."""
        if isinstance(self.cuda, Absent):
            return self.cuda
        if isinstance(self.torch, Absent):
            return self.torch
        if self.torch.cuda is None:
            return Absent(f"torch {self.torch.version} was made without CUDA", "install a torch with CUDA, then again")
        return None

    def extensions(self) -> list[Extension]:
        """The modules to link; their objects come from :meth:`objects_of`."""
        modules = [Extension("adasgn_edge._native", [], language="c++", extra_link_args=[*LINK_FLAGS])]
        if isinstance(self.torch, TorchHeaders):
            # No path to torch is noted: its libraries are in the process when this one is loaded.
            libraries = ["c10", "torch_cpu"] if self.torch_cuda else ["c10", "torch_cpu", "c10_cuda", "torch_cuda"]
            folder = str(self.torch.folder / "lib")
            modules.append(
                Extension(
                    TORCH_OPS, [], language="c++", libraries=libraries, library_dirs=[folder],
                    extra_link_args=[*LINK_FLAGS],
                )
            )  # fmt: skip
        for module, gpu in zip(modules, (self.cuda, self.torch_cuda or self.cuda), strict=False):
            if isinstance(gpu, Toolkit):
                module.extra_link_args += runtime_of(gpu)
        if self.plugin and isinstance(self.cuda, Toolkit):
            # What of the engine it does not use is left out, and all but two names are its own.
            exports = ["-Wl,--no-undefined", "-Wl,--gc-sections", "-Wl,--version-script=csrc/tensorrt/exports.map"]
            arguments = [*LINK_FLAGS, *exports, *runtime_of(self.cuda)]
            modules.append(Extension(TENSORRT_PLUGIN, [], language="c++", extra_link_args=arguments))
        return modules

    def units_of(self, module: str) -> list[Unit]:
        """What is linked into a module. Both hold the engine: the torch ops must not depend on pybind11's module."""
        if module == "adasgn_edge._native":
            return [*self.core, *self.gpu, *self.python]
        if module == TENSORRT_PLUGIN:
            return [*self.core, *self.gpu, *self.plugin]
        return [*self.core, *([] if self.torch_cuda else self.gpu), *self.ops]

    def record(self, compiler: str) -> dict[str, object]:
        """The content of _build.json; adasgn_edge/installation/build_info.py reads it."""

        def absent(part: Absent) -> dict[str, object]:
            return {"built": False, "reason": part.reason, "remedy": part.remedy}

        cuda: dict[str, object]
        if isinstance(self.cuda, Toolkit):
            version = ".".join(map(str, self.cuda.version))
            cuda = {"built": True, "version": version, "architectures": [str(a) for a in self.cuda.architectures]}
        else:
            cuda = absent(self.cuda)
        torch: dict[str, object]
        if isinstance(self.torch, TorchHeaders):
            gpu = {"built": True, "version": self.torch.cuda} if self.torch_cuda is None else absent(self.torch_cuda)
            torch = {"built": True, "version": self.torch.version, "cuda": gpu}
        else:
            torch = absent(self.torch)
        tensorrt: dict[str, object]
        if isinstance(self.tensorrt, TensorRTHeaders):
            tensorrt = {"built": True, "version": self.tensorrt.version}
        else:
            tensorrt = absent(self.tensorrt)
        return {
            "version": 1,
            "machine": platform.machine(),
            "compiler": compiler,
            "flags": " ".join(flag for flag in COMMON_FLAGS if not flag.startswith("-ffile-prefix-map")),
            "instruction_sets": {isa: " ".join(flags) for isa, flags in kernel_flags().items()},
            "cuda": cuda,
            "torch": torch,
            "tensorrt": tensorrt,
        }

    def statements(self) -> list[str]:
        """What is built and what is not, for the person who reads along."""
        if isinstance(self.cuda, Toolkit):
            version, targets = ".".join(map(str, self.cuda.version)), ", ".join(map(str, self.cuda.architectures))
            cuda = f"CUDA {version} for {targets}"
        else:
            cuda = f"not built: {self.cuda.reason}; {self.cuda.remedy}"
        if isinstance(self.torch, TorchHeaders):
            without = "" if self.torch_cuda is None else f", without CUDA: {self.torch_cuda.reason}"
            torch = f"against torch {self.torch.version}{without}"
        else:
            torch = f"not built: {self.torch.reason}; {self.torch.remedy}"
        if isinstance(self.tensorrt, TensorRTHeaders):
            tensorrt = f"for TensorRT {self.tensorrt.version}"
        else:
            tensorrt = f"not built: {self.tensorrt.reason}; {self.tensorrt.remedy}"
        return [
            f"instruction sets: {', '.join(kernel_flags())}",
            f"CUDA part: {cuda}",
            f"torch ops: {torch}",
            f"TensorRT plugin: {tensorrt}",
        ]


class BuildParts(build_ext):
    """Compiles everything several files at a time, links the modules, notes what they are."""

    def run(self) -> None:
        super().run()
        # After the modules, which setuptools copies into the source tree of an editable installation.
        folder = Path(self.get_ext_fullpath("adasgn_edge._native")).parent
        if not parts.ops:
            Path(self.get_ext_fullpath(TORCH_OPS)).unlink(missing_ok=True)  # of an earlier build
        if not parts.plugin:
            Path(self.get_ext_fullpath(TENSORRT_PLUGIN)).unlink(missing_ok=True)
        record = parts.record(self._compiler_version())
        (folder / "_build.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def get_ext_filename(self, fullname: str) -> str:
        """The plugin is no module of Python's, so its name has nothing of Python's version."""
        if fullname in (TENSORRT_PLUGIN, TENSORRT_PLUGIN.rpartition(".")[2]):
            return fullname.replace(".", "/") + ".so"
        return str(super().get_ext_filename(fullname))

    def _compiler_version(self) -> str:
        said = subprocess.run([self.compiler.compiler_cxx[0], "--version"], capture_output=True, text=True, check=True)
        return said.stdout.splitlines()[0]

    def build_extensions(self) -> None:
        expect_compiler(self.compiler)
        leave_out_folders_of_python(self.compiler)
        jobs = job_count(os.environ)
        for line in [*parts.statements(), f"{jobs} compilers at once (MAX_JOBS)"]:
            print(f"adasgn_edge: {line}", flush=True)
        units = list(dict.fromkeys(unit for module in self.extensions for unit in parts.units_of(module.name)))
        headers = [path for folder in ("csrc", "kernels", "third_party") for path in Path(folder).rglob("*.h*")]
        headers += list(Path("kernels").rglob("*.cuh"))
        folder = Path(os.environ.get("ADASGN_OBJECTS") or "build/objects")
        if self.force:
            shutil.rmtree(folder, ignore_errors=True)
        threads = parts.cuda.thread_options(jobs) if isinstance(parts.cuda, Toolkit) else []
        objects = compile_units(self.compiler, units, folder, headers, jobs, threads, self._compiler_version())
        for module in self.extensions:
            module.extra_objects = [objects[unit] for unit in parts.units_of(module.name)]
            if module.name == TORCH_OPS:
                module.extra_link_args += link_options(self.compiler.compiler_cxx)
            module.depends = module.extra_objects
        super().build_extensions()
        if parts.ops:
            expect_shared(Path(self.get_ext_fullpath(TORCH_OPS)))


parts = Parts()
setup(ext_modules=parts.extensions(), cmdclass={"build_ext": BuildParts})
