"""What must be known of a GPU and its software beside times, and its ceilings: bytes and operations a second."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch

from adasgn_edge import engine
from adasgn_edge.errors import EngineError
from adasgn_edge.installation.build_info import read_build

__all__ = ["ceilings", "commit", "devices", "facts"]

TENSOR_RATES = {80: 1024, 86: 512, 87: 1024, 89: 512, 90: 2048, 120: 512}
"""Multiply-adds of binary16 with float accumulation, a clock and multiprocessor, by architecture."""
CLOCKS = ("clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem")
QUERIES = ("driver_version", *CLOCKS, "temperature.gpu", "power.draw")
MATRIX = 8192
DRAM_BYTES = 1 << 30
REPEATS = 20


def devices() -> list[tuple[str, int, int]]:
    """Name, architecture (87: 8.7) and multiprocessors of every GPU; raises EngineError where there is none."""
    native = engine._native()
    if not hasattr(native, "load_cuda"):
        part = read_build().cuda
        raise EngineError(f"no CUDA device: this installation has no CUDA part: {part.reason}; {part.remedy}")
    found = native.cuda_devices()
    if not found:
        raise EngineError("no CUDA device: the driver shows no GPU, or there is no driver")
    return [tuple(device) for device in found]


def facts() -> dict[str, Any]:
    """The first GPU, as plain values; clocks as nvidia-smi reads them, in MHz."""
    name, architecture, multiprocessors = devices()[0]
    return {
        "device": name,
        "compute_capability": f"{architecture // 10}.{architecture % 10}",
        "architecture": architecture,
        "multiprocessors": multiprocessors,
        "nvidia_smi": _nvidia_smi(),
        "cuda": read_build().cuda.version or "none",
        "torch_cuda": torch.version.cuda or "none",
    }


def commit(root: Path) -> dict[str, Any]:
    """The source's commit, and whether files differ from it; "unknown" outside of a repository."""
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "unknown", "uncommitted_changes": False}
    return {"commit": found, "uncommitted_changes": bool(changed)}


def ceilings(facts: dict[str, Any]) -> dict[str, Any]:
    """Bytes a second (dram, l2) and floating-point operations a second (fp16), each None where not known; `source`
    says how they were found: measured with torch, or from what is known of the device."""
    if torch.cuda.is_available():
        return {**_measured_ceilings(), "source": "measured in this run with torch"}
    clock = facts["nvidia_smi"].get("clocks.max.sm")
    rate = TENSOR_RATES.get(facts["architecture"])
    fp16 = None
    if clock is not None and rate is not None:
        fp16 = 2 * rate * facts["multiprocessors"] * float(clock) * 1e6
    how = "not measured, as torch has no CUDA device; operations from the device's multiprocessors and highest clock"
    return {"dram": None, "l2": None, "fp16": fp16, "source": how if fp16 else "not known"}


def _nvidia_smi() -> dict[str, str]:
    """Empty where there is none, as on a Jetson; "[N/A]" is left out."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, "--id=0", f"--query-gpu={','.join(QUERIES)}", "--format=csv,noheader,nounits"]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode != 0:
        return {}
    values = (value.strip() for value in said.stdout.splitlines()[0].split(","))
    return {query: value for query, value in zip(QUERIES, values, strict=True) if "N/A" not in value}


def _measured_ceilings() -> dict[str, float]:
    properties = torch.cuda.get_device_properties(0)
    half = torch.randn(MATRIX, MATRIX, device="cuda", dtype=torch.float16)
    product = torch.empty_like(half)
    seconds = _least_seconds(lambda: torch.matmul(half, half, out=product), 1)
    found = {"fp16": 2 * MATRIX**3 / seconds}
    # Half of the second-level cache holds both sides of the copy; many copies at once, for one is soon done.
    for name, size, copies in (("dram", DRAM_BYTES, 1), ("l2", properties.L2_cache_size // 4, 100)):
        source = torch.zeros(size, dtype=torch.uint8, device="cuda")
        target = torch.empty_like(source)
        found[name] = 2 * size * copies / _least_seconds(lambda a=target, b=source: a.copy_(b), copies)
    return found


def _least_seconds(call: Any, times: int) -> float:
    """Of `times` calls one after another, captured as a graph; the least of REPEATS."""
    aside = torch.cuda.Stream()
    with torch.cuda.stream(aside):
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            call()
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    least = float("inf")
    for _ in range(REPEATS):
        before.record()
        graph.replay()
        after.record()
        torch.cuda.synchronize()
        least = min(least, 1e-3 * before.elapsed_time(after))
    return least
