"""The torch ops' CUDA engine on the emulated device, as `make test-kernels` builds it.

The library takes the place of the installed ops, so this file runs in a process of its own.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

torch = pytest.importorskip("torch")
LIBRARY = os.environ.get("ADASGN_EMULATED_TORCH_OPS", "")
if not LIBRARY:
    pytest.skip("run by `make test-kernels`, which builds the emulated device", allow_module_level=True)

loader = types.ModuleType("adasgn_edge.torch_ops.library")
loader.load_library = lambda: torch.ops.load_library(LIBRARY)
sys.modules[loader.__name__] = loader

from tests.cuda.torch_ops_cases import *  # noqa: E402, F403

emulated = torch.ops.adasgn_emulated


class EmulatedPlace:
    """tests/cuda/emulated_torch_ops.cpp; Place of torch_ops_cases.py."""

    name = "cuda"

    def tensor(self, array) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array)).clone()

    def route(self, actions: torch.Tensor, branches: int) -> tuple[torch.Tensor, torch.Tensor]:
        return emulated.route_on_device(actions, branches)

    @contextmanager
    def stream(self, number: int) -> Iterator[None]:
        emulated.use_stream(number)
        yield
        emulated.use_stream(0)

    def wait(self) -> None:
        pass

    def capture(self, function: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], None]]:
        with self.stream(1):
            emulated.begin_capture()
            result = function().fill_(0)
            graph = emulated.end_capture()
        return result, lambda: emulated.launch(graph)


@pytest.fixture
def place() -> Iterator[EmulatedPlace]:
    yield EmulatedPlace()
    assert emulated.findings() == []
