"""What the core can do: a loop of nothing but multiply-adds, and a large matrix product."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bench.interleave import Side

__all__ = ["fma_side", "sgemm_sides"]

SOURCE = Path(__file__).with_name("fma_peak.cpp")
VECTORS = {
    "avx512": (64, ["-mavx512f", "-mfma"]),
    "avx2": (32, ["-mavx2", "-mfma"]),
    "sse2": (16, []),
    "neon": (16, []),
}
"""Bytes of a vector and the compiler's flags, by instruction set."""
FMA_SECONDS = 2e-3
SGEMM = 1536
"""Rows and columns of the matrices: 28 MB in all, past every private cache."""


def fma_side(instruction_set: str, folder: Path) -> Side | None:
    """Multiply-adds of an instruction set on one core, about 2 ms of them; None where there is no C++ compiler."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        return None
    width, flags = VECTORS[instruction_set]
    library = folder / f"fma-{instruction_set}.so"
    options = ["-O3", "-ffp-contract=fast", "-shared", "-fPIC", f"-DVECTOR_BYTES={width}", *flags]
    subprocess.run([compiler, *options, str(SOURCE), "-o", str(library)], check=True, capture_output=True)
    function = ctypes.CDLL(str(library)).adasgn_fma_peak
    function.argtypes, function.restype = (ctypes.c_long, ctypes.POINTER(ctypes.c_float)), ctypes.c_long
    sink = ctypes.c_float(1.0)
    per_round = function(1, ctypes.byref(sink))
    rounds = int(FMA_SECONDS * 1e11 / per_round)  # 1e11: a modern core's operations a second
    return Side(f"fma {instruction_set}", lambda _: function(rounds, ctypes.byref(sink)), rounds * per_round / 2)


def sgemm_sides() -> list[Side]:
    """A large float32 product in NumPy's and in PyTorch's library, with the threads set for the process.

    NumPy's threads are set by the environment alone (``python -m bench`` gives it one).
    """
    a, b = np.random.default_rng(0).standard_normal((2, SGEMM, SGEMM), dtype=np.float32)
    first, second, out = torch.from_numpy(a), torch.from_numpy(b), np.empty_like(a)
    products: dict[str, Callable[[int], object]] = {
        "sgemm numpy": lambda _: np.matmul(a, b, out=out),
        "sgemm torch": lambda _: torch.matmul(first, second),
    }
    return [Side(name, call, float(SGEMM**3)) for name, call in products.items()]
