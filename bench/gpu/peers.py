"""Dense SGN in other runtimes on a GPU, in binary16, as it is usually written (adasgn_edge/bench/conv2d_sgn.py)."""

from __future__ import annotations

import copy
import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adasgn_edge.bench.conv2d_sgn import Conv2dSGN
from adasgn_edge.bench.peers import write_graph
from adasgn_edge.model.adasgn import SGN
from bench.gpu.measured import HALF_TOLERANCE

__all__ = ["NAMES", "UNTIMED", "OnDevice", "Peer", "Peers"]

OnDevice = Callable[[NDArray[np.float32], int, bool], list[float]]
"""Batches (batches, B, T, V, 3), repeats, wait → microseconds of every repeat, as the engine's time_graph."""

NAMES = {
    "eager": "PyTorch eager, float16",
    "compile": "torch.compile max-autotune with a CUDA graph, float16",
    "onnxruntime": "ONNX Runtime CUDA, float16",
    "tensorrt-dense-f16": "TensorRT from ONNX, float16",
    "tensorrt-dense-f32": "TensorRT from ONNX, float32",
    "tensorrt-adasgn": "AdaSGN in TensorRT by our plugin, float16",
}
UNTIMED = 10
COMPILE_SECONDS = 75.0
"""What compiling for one batch size may take: with less time left it is not begun."""


@dataclass(frozen=True)
class Peer:
    """A runtime ready for one batch size. call: clips (B, T, V, 3) of the host → logits (B, K), of this model."""

    name: str
    call: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    on_device: OnDevice | None
    tolerance: float | None = HALF_TOLERANCE
    model: str = "dense"


class _Halved(nn.Module):
    """float32 in and out, binary16 in between."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).half().eval()

    def forward(self, clip: Tensor) -> Tensor:
        return self.model(clip.half()).float()


class Peers:
    """Makes the runtimes that are here; `missing` says which are not, and why.

    deadline: of time.monotonic(), after which nothing more is compiled; others: more of them by name, and what makes
    one for a batch size.
    """

    def __init__(
        self, dense: SGN, folder: Path, deadline: float, others: Sequence[tuple[str, Callable[[int], Peer]]] = ()
    ) -> None:
        self._module = _Halved(Conv2dSGN(dense.cpu().float()))
        self._shape = (dense.config.frames, dense.config.joints, 3)
        self._folder, self._deadline = folder, deadline
        self._makers = [
            ("eager", self._eager),
            ("compile", self._compiled),
            ("onnxruntime", self._onnxruntime),
            *others,
        ]
        self.missing: dict[str, str] = {}

    def of(self, batch: int) -> Iterator[Peer]:
        """Those for one batch size. What a runtime raises is kept in `missing`, and the others go on."""
        for name, make in self._makers:
            try:
                yield make(batch)
            except Exception as error:  # runtimes raise errors of their own kinds
                self.missing[f"{name}, batch {batch}"] = " ".join(str(error).split())[:300] or type(error).__name__

    def _eager(self, batch: int) -> Peer:
        module, static = self._on_gpu(batch)
        return Peer("eager", _call(lambda: module(static), static), _timed(lambda: module(static), static))

    def _compiled(self, batch: int) -> Peer:
        """Compiled for this batch size alone, then captured. What mode="max-autotune" adds to the kernels of
        "max-autotune-no-cudagraphs" is a CUDA graph too, behind checks on the host that this one does without."""
        if time.monotonic() + COMPILE_SECONDS > self._deadline:
            raise RuntimeError("not compiled: too little time was left (--limit)")
        module, static = self._on_gpu(batch)
        torch.compiler.reset()
        compiled = torch.compile(module, mode="max-autotune-no-cudagraphs", fullgraph=True, dynamic=False)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(aside):
            for _ in range(3):
                compiled(static)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(graph):
            result = compiled(static)

        def replay() -> Tensor:
            graph.replay()
            return result

        return Peer("compile", _call(replay, static), _timed(replay, static))

    def _onnxruntime(self, batch: int) -> Peer:
        if importlib.util.find_spec("onnxruntime") is None:
            raise RuntimeError("onnxruntime is not installed")
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise RuntimeError(f"onnxruntime {onnxruntime.__version__} has no CUDA provider")
        path = self._folder / "half.onnx"
        if not path.exists():
            write_graph(copy.deepcopy(self._module).cpu(), self._shape, path)
        options = onnxruntime.SessionOptions()
        options.add_free_dimension_override_by_name("batch", batch)
        session = onnxruntime.InferenceSession(path, options, providers=["CUDAExecutionProvider"])
        if session.get_providers()[0] != "CUDAExecutionProvider":
            raise RuntimeError("onnxruntime's CUDA provider does not load")
        return Peer("onnxruntime", lambda clips: session.run(None, {"clip": clips})[0], None)

    def _on_gpu(self, batch: int) -> tuple[nn.Module, Tensor]:
        if not torch.cuda.is_available():
            raise RuntimeError(f"torch {torch.__version__} has no CUDA device")
        return self._module.cuda(), torch.zeros(batch, *self._shape, device="cuda")


def _call(run: Callable[[], Tensor], static: Tensor) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """By way of pinned memory, as our engine's calls."""
    pinned = torch.empty(static.shape, pin_memory=True)
    view = pinned.numpy()

    def call(clips: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            view[:] = clips
            static.copy_(pinned, non_blocking=True)
            return run().cpu().numpy()  # waits

    return call


def _timed(run: Callable[[], Tensor], static: Tensor) -> OnDevice:
    def on_device(batches: NDArray[np.float32], repeats: int, wait: bool) -> list[float]:
        with torch.inference_mode():
            inputs = torch.from_numpy(batches).to("cuda")
            marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
            for i in range(-UNTIMED, repeats):
                static.copy_(inputs[max(i, 0) % len(inputs)])
                if wait:
                    torch.cuda.synchronize()
                if i >= 0:
                    marks[i][0].record()
                run()
                if i >= 0:
                    marks[i][1].record()
            torch.cuda.synchronize()
            return [1e3 * before.elapsed_time(after) for before, after in marks]

    return on_device
