"""What this installation can do here: facts of the build, of this machine and of the packages beside it. NumPy alone.

Every part has `works`, and if it does not, `reason` and `remedy`: why, and the command or step that brings it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adasgn_edge import __version__
from adasgn_edge.build_info import REBUILD, BuildInfo, fits_gpu, read_build, same_torch
from adasgn_edge.cuda_driver import Driver, query_driver
from adasgn_edge.errors import EngineError

__all__ = ["EXTRAS", "Diagnosis", "PartState", "diagnose"]

EXTRAS = {
    "cli": ("typer", "rich"),
    "train": ("torch", "safetensors", "pydantic"),
    "plot": ("matplotlib",),
    "onnx": ("onnx", "onnxscript"),
}
"""Packages that an extra brings, beyond those of the extras it includes."""

_TORCH_SECONDS = 300  # importing torch from a cold disk on a board


@dataclass
class PartState:
    """One row of the table; facts: what is worth knowing of the part, ready for JSON."""

    works: bool
    summary: str
    reason: str = ""
    remedy: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


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
    """Look at everything; starts a second Python to try the torch ops."""
    machine = {
        "adasgn_edge": __version__,
        "folder": str(Path(__file__).parent),
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "system": f"{platform.system()} {platform.machine()}",
    }
    try:
        build: BuildInfo | None = read_build()
        problem = ""
    except EngineError as error:
        build, problem = None, str(error)
    parts = {"core": _core(build, problem)}
    if build is not None:
        parts["cuda"] = _cuda(build, query_driver())
        parts["torch ops"] = _torch(build)
    parts |= {f"extra {name}": _extra(name, modules) for name, modules in EXTRAS.items()}
    return Diagnosis(machine, parts)


def _core(build: BuildInfo | None, problem: str) -> PartState:
    from adasgn_edge.engine import instruction_sets

    try:
        usable = instruction_sets()
    except EngineError as error:
        return PartState(False, "does not load", str(error), "pip install --force-reinstall adasgn-edge")
    if build is None:
        return PartState(True, f"runs {', '.join(usable)}", f"how it was built is not known: {problem}")
    built = tuple(build.instruction_sets)
    facts = {"built": built, "usable": usable, "compiler": build.compiler, "flags": build.flags}
    return PartState(True, f"built for {', '.join(built)}; this processor runs {', '.join(usable)}", facts=facts)


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
    problem = _try("import adasgn_edge.torch_ops")
    if problem:
        return PartState(False, summary, problem, REBUILD, facts)
    return PartState(True, f"{summary}; they load", facts=facts)


def _try(statement: str) -> str:
    """What goes wrong when another Python, with the same path, runs a statement; empty if nothing."""
    program = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); {statement}"
    command = [sys.executable, "-c", program, json.dumps(sys.path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TORCH_SECONDS)
    except subprocess.TimeoutExpired:
        return f"`{statement}` took more than {_TORCH_SECONDS} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def _extra(name: str, modules: tuple[str, ...]) -> PartState:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    facts = {"packages": {module: _version(module) for module in modules}}
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        return PartState(False, "incomplete", reason, f"pip install 'adasgn-edge[{name}]'", facts)
    return PartState(
        True, ", ".join(f"{module} {version}" for module, version in facts["packages"].items()), facts=facts
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
