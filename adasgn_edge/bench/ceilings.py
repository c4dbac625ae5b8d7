"""What the core can do: a loop of nothing but multiply-adds, and a large matrix product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adasgn_edge.bench.interleave import Side
from adasgn_edge.engine import multiply_adds

__all__ = ["fma_side", "sgemm_sides"]

ROUNDS = 500_000
"""Of multiply-adds: about 2 ms of a modern core."""
SGEMM = 1536
"""Rows and columns of the matrices: 28 MB in all, past every private cache."""


def fma_side(instruction_set: str) -> Side:
    """Multiply-adds of an instruction set on one core, some milliseconds of them; EngineError where it has no such."""
    count = multiply_adds(instruction_set, ROUNDS)
    return Side(f"fma {instruction_set}", lambda _: multiply_adds(instruction_set, ROUNDS), float(count))


def sgemm_sides() -> list[Side]:
    """A large float32 product in NumPy's and in PyTorch's library, with the threads set for the process.

    NumPy's threads are set by the environment alone, before it is loaded.
    """
    import torch

    a, b = np.random.default_rng(0).standard_normal((2, SGEMM, SGEMM), dtype=np.float32)
    first, second, out = torch.from_numpy(a), torch.from_numpy(b), np.empty_like(a)
    products: dict[str, Callable[[int], object]] = {
        "sgemm numpy": lambda _: np.matmul(a, b, out=out),
        "sgemm torch": lambda _: torch.matmul(first, second),
    }
    return [Side(name, call, float(SGEMM**3)) for name, call in products.items()]
