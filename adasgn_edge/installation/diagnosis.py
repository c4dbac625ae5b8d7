"""What this installation can do here: facts of the build, of this machine and of the packages beside it.

Every part has `works`, and if it does not, `reason` and `remedy`: why, and the command or step that brings it. Rests on
Python alone, and loads nothing that may be broken into this process: a second Python tries it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sysconfig
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from adasgn_edge import __version__
from adasgn_edge.errors import EngineError
from adasgn_edge.installation.build_info import PACKAGE, REBUILD, BuildInfo, fits_gpu, read_build, same_torch
from adasgn_edge.installation.cuda_driver import Driver, query_driver
from adasgn_edge.installation.part_state import PartState, end_tries, try_statement
from adasgn_edge.installation.tensorrt_part import tensorrt_state

__all__ = ["EXTRAS", "Diagnosis", "diagnose"]

EXTRAS = {
    "cli": ("typer", "rich"),
    "train": ("torch", "safetensors", "pydantic"),
    "plot": ("matplotlib",),
    "onnx": ("onnx", "onnxscript"),
    "camera": ("mediapipe",),
}
"""Packages that an extra brings, beyond those of the extras it includes."""

REINSTALL = "pip install --force-reinstall --no-cache-dir adasgn-edge"


@dataclass
class Diagnosis:
    """The parts by name, "core" first; machine: where this was found."""

    machine: dict[str, str]
    parts: dict[str, PartState]

    @property
    def core_works(self) -> bool:
        """Whether models can be run at all."""
        return self.parts["core"].works


def diagnose() -> Diagnosis:
    """Look at everything; raises nothing. Starts other Pythons to try what is compiled and what is imported."""
    machine = {
        "adasgn_edge": __version__,
        "folder": str(PACKAGE),
        "python": platform.python_version(),
        "numpy": _version("numpy") or "none",
        "system": f"{platform.system()} {platform.machine()}",
    }
    try:
        build: BuildInfo | None = read_build()
        problem = ""
    except EngineError as error:
        build, problem = None, str(error)
    tasks: dict[str, Callable[[], PartState]] = {"core": lambda: _core(build, problem)}
    if build is not None:
        known = build
        tasks["cuda"] = lambda: _cuda(known, query_driver())
        tasks["torch ops"] = lambda: _torch(known)
        tasks["tensorrt"] = lambda: tensorrt_state(known.tensorrt, query_driver())
    for name, modules in EXTRAS.items():
        tasks[f"extra {name}"] = partial(_extra, name, modules)
    with ThreadPoolExecutor(2) as pool:
        looks = {name: pool.submit(_whatever_happens, task) for name, task in tasks.items()}
        try:
            parts = {name: look.result() for name, look in looks.items()}
        except BaseException:  # Ctrl-C: nobody waits for what the other Pythons import
            pool.shutdown(wait=False, cancel_futures=True)
            while any(look.running() for look in looks.values()):
                end_tries()
                time.sleep(0.02)
            raise
    return Diagnosis(machine, parts)


def _whatever_happens(look: Callable[[], PartState]) -> PartState:
    try:
        return look()
    except Exception as error:  # a damaged installation has no end of ways to fail
        return PartState(False, "cannot be told", f"looking at it failed: {error!r}", REINSTALL)


def _core(build: BuildInfo | None, problem: str) -> PartState:
    reason, said = try_statement("from adasgn_edge.engine import instruction_sets; print(*instruction_sets())")
    if reason:
        no_numpy, _ = try_statement("import numpy")
        if no_numpy:
            remedy = "pip install --force-reinstall numpy" if _version("numpy") else "pip install numpy"
            return PartState(False, "does not load: no NumPy", no_numpy, remedy)
        return PartState(False, "does not load", f"{reason}{_other_pythons()}", REINSTALL)
    usable = tuple(said.split())
    if build is None:
        return PartState(True, f"runs {', '.join(usable)}", f"how it was built is not known: {problem}")
    built = tuple(build.instruction_sets)
    facts = {"built": built, "usable": usable, "compiler": build.compiler, "flags": build.flags}
    return PartState(True, f"built for {', '.join(built)}; this processor runs {', '.join(usable)}", facts=facts)


def _other_pythons() -> str:
    """Compiled modules that lie here for another Python."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    names = sorted(path.name for path in PACKAGE.glob("_native.*") if not path.name.endswith(suffix))
    return f" (found {', '.join(names)}, made for another Python)" if names else ""


def _cuda(build: BuildInfo, driver: Driver) -> PartState:
    part = build.cuda
    gpus = []
    for gpu in driver.gpus:
        capability = "{}.{}".format(*gpu.capability)
        gpus.append({"name": gpu.name, "capability": capability, "code": _code(part.architectures, gpu.capability)})
    facts = {
        "built": part.built,
        "version": part.version,
        "architectures": part.architectures,
        "driver": driver.cuda,
        "gpus": gpus,
    }
    seen = "; ".join(f"{gpu['name']} ({gpu['capability']})" for gpu in gpus) or driver.problem
    if not part.built:
        return PartState(False, f"not built; here: {seen}", part.reason, part.remedy, facts)
    summary = f"CUDA {part.version} for {', '.join(part.architectures)}; here: {seen}"
    if driver.problem:
        remedy = "install NVIDIA's driver, or let this container see the GPU"
        return PartState(False, summary, driver.problem, remedy, facts)
    unfit = [gpu for gpu in gpus if gpu["code"] is None]
    if len(unfit) == len(gpus):
        reason = f"none of the architectures fits {unfit[0]['name']} ({unfit[0]['capability']})"
        return PartState(False, summary, reason, f"TORCH_CUDA_ARCH_LIST={unfit[0]['capability']} {REBUILD}", facts)
    slow = [gpu for gpu in gpus if gpu["code"] == "ptx"]
    note = f"code for {slow[0]['name']} is compiled from PTX at the first start" if slow else ""
    return PartState(
        True, summary, note, f"TORCH_CUDA_ARCH_LIST={slow[0]['capability']} {REBUILD}" if slow else "", facts
    )


def _code(architectures: tuple[str, ...], capability: tuple[int, int]) -> str | None:
    found = {fits_gpu(architecture, capability) for architecture in architectures}
    return "binary" if "binary" in found else "ptx" if "ptx" in found else None


def _torch(build: BuildInfo) -> PartState:
    part = build.torch
    installed = _version("torch")
    gpu = build.torch_cuda
    facts: dict[str, Any] = {"built": part.built, "version": part.version, "installed": installed}
    facts["cuda"] = {"built": gpu.built, "version": gpu.version, "reason": gpu.reason, "remedy": gpu.remedy}
    if not part.built:
        return PartState(False, "not built", part.reason, part.remedy, facts)
    summary = f"built against torch {part.version}, {'with' if gpu.built else 'without'} CUDA"
    if installed is None:
        return PartState(False, summary, "torch is not installed", f"pip install torch=={part.version}", facts)
    if not same_torch(part.version, installed):
        return PartState(False, summary, f"torch {installed} is installed", REBUILD, facts)
    problem, _ = try_statement("import adasgn_edge.torch_ops")
    if problem:
        return PartState(False, summary, problem, REBUILD, facts)
    return PartState(True, f"{summary}; they load", facts=facts)


def _extra(name: str, modules: tuple[str, ...]) -> PartState:
    missing = [module for module in modules if _spec_missing(module)]
    facts = {"packages": {module: _version(module) for module in modules}}
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        return PartState(False, "incomplete", reason, f"pip install 'adasgn-edge[{name}]'", facts)
    problem, _ = try_statement(f"import {', '.join(modules)}")
    if problem:
        return PartState(False, "does not load", problem, f"pip install --force-reinstall 'adasgn-edge[{name}]'", facts)
    return PartState(
        True, ", ".join(f"{module} {version}" for module, version in facts["packages"].items()), facts=facts
    )


def _spec_missing(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is None
    except (ImportError, ValueError):
        return True


def _version(package: str) -> str | None:
    """None where the package, or what it says of itself, is missing."""
    try:
        return importlib.metadata.version(package)
    except (importlib.metadata.PackageNotFoundError, KeyError, OSError, ValueError):
        return None
