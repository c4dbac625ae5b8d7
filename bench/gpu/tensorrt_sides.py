"""TensorRT on a GPU: dense SGN from ONNX, in binary16 and in float32, as users would build it; AdaSGN by the plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge import tensorrt
from adasgn_edge.deploy.onnx_graphs import write_onnx
from adasgn_edge.model.adasgn import SGN
from adasgn_edge.tensorrt.runtime import find_tensorrt
from bench.gpu.measured import HALF_TOLERANCE
from bench.gpu.peers import UNTIMED, OnDevice, Peer

__all__ = ["TensorRTSides"]

FLOAT_TOLERANCE = 1e-4
"""Of logits in float32 of another runtime, whose sums have another order."""


class TensorRTSides:
    """Makes them, each built for its batch size alone. paths: model files, of "dense" and perhaps of "adasgn"."""

    def __init__(self, dense: SGN, paths: Mapping[str, Path], folder: Path) -> None:
        self._dense, self._paths, self._folder = dense, paths, folder

    def makers(self) -> list[tuple[str, Callable[[int], Peer]]]:
        """By the names that reports have."""
        return [
            ("tensorrt-dense-f16", lambda batch: self._graph("f16", batch)),
            ("tensorrt-dense-f32", lambda batch: self._graph("f32", batch)),
            *([("tensorrt-adasgn", self._plugin)] if "adasgn" in self._paths else []),
        ]

    def _graph(self, precision: str, batch: int) -> Peer:
        find_tensorrt()  # before minutes are spent on the graph
        path = self._folder / f"dense-{precision}.onnx"
        if not path.exists():
            write_onnx(self._dense.cpu().float(), path, precision=precision)
        engine = tensorrt.load(
            self._paths["dense"], max_batch=batch, typical_batch=batch, precision=precision, graph=path
        )
        tolerance = HALF_TOLERANCE if precision == "f16" else FLOAT_TOLERANCE
        return _peer(f"tensorrt-dense-{precision}", engine, "dense", tolerance)

    def _plugin(self, batch: int) -> Peer:
        engine = tensorrt.load(self._paths["adasgn"], max_batch=batch)
        return _peer("tensorrt-adasgn", engine, "adasgn", HALF_TOLERANCE)


def _peer(name: str, engine: tensorrt.TensorRTEngine, model: str, tolerance: float) -> Peer:
    return Peer(name, lambda clips: engine.run(clips).logits, _timed(engine), tolerance, model)


def _timed(engine: tensorrt.TensorRTEngine) -> OnDevice:
    """Of the graph that a run is: one copy of the clips to the device, the network, and copies of what it gives."""

    def on_device(batches: NDArray[np.float32], repeats: int, wait: bool) -> list[float]:
        engine.prepare(batches.shape[1])
        network = engine._native
        staging, graph = network.staging, network.graph
        if graph is None:
            raise RuntimeError("TensorRT's run is no CUDA graph")
        stream = torch.cuda.ExternalStream(staging.stream)
        marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
        turns = np.array_split(np.arange(repeats), min(repeats, len(batches)))
        for batch, turn in zip(batches, turns, strict=False):
            staging.synchronise()  # before the memory that is copied from changes
            staging.host(0)[: batch.nbytes] = batch.reshape(-1).view(np.uint8)
            for i in [*[-1] * UNTIMED, *turn]:
                if wait:
                    staging.synchronise()
                if i >= 0:
                    marks[i][0].record(stream)
                staging.launch(graph)
                if i >= 0:
                    marks[i][1].record(stream)
        staging.synchronise()
        return [1e3 * before.elapsed_time(after) for before, after in marks]

    return on_device
