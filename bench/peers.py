"""Other runtimes that run dense SGN, each as its users would run it: a NumPy array in, a NumPy array out, float32.

Two graphs of the same model: ``plain`` is the model as it is written in Conv2d and batch-norm layers
(bench/conv2d_sgn.py), which the runtimes fold and fuse as they can; ``identities`` is what ``adasgn-edge export
--onnx`` writes, in which two exact identities have already taken out most of the adjacency's arithmetic
(adasgn_edge/model/spatial.py). Every runtime is told the batch size beforehand, so that it may plan for fixed shapes.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adasgn_edge.model.adasgn import SGN
from adasgn_edge.onnx_graphs import OPSET, write_onnx
from bench.conv2d_sgn import Conv2dSGN

__all__ = ["GRAPHS", "PEERS", "Call", "Peers", "installed", "write_graph"]

Call = Callable[[NDArray[np.float32]], NDArray[np.float32]]

PEERS = {"eager": "torch", "compile": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino"}
"""Runtimes, and the package each needs."""
GRAPHS = ("plain", "identities")


def installed() -> tuple[str, ...]:
    """The runtimes whose packages are here."""
    return tuple(peer for peer, package in PEERS.items() if importlib.util.find_spec(package))


class _Logits(nn.Module):
    def __init__(self, model: SGN) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor) -> Tensor:
        return self.model(clip).logits


class Peers:
    """Dense SGN in the other runtimes; graphs are written to `folder` when first asked for."""

    def __init__(self, model: SGN, folder: Path) -> None:
        self._model, self._folder = model.eval(), folder
        self._modules = {"plain": Conv2dSGN(model).eval(), "identities": _Logits(model).eval()}

    def call(self, peer: str, graph: str, batch: int, threads: int) -> Call:
        """The model as a call on clips (batch, T, V, C); PyTorch uses the threads set for the process."""
        config = self._model.config
        shape = (batch, config.frames, config.joints, 3)
        if peer == "eager":
            return _torch_call(self._modules[graph])
        if peer == "compile":
            # One compilation for batch 1, one for all other sizes. fullgraph: an error rather than eager in its place.
            return _torch_call(torch.compile(self._modules[graph], fullgraph=True, dynamic=batch > 1))
        if peer == "onnxruntime":
            return _onnxruntime_call(self._onnx(graph), batch, threads)
        return _openvino_call(self._onnx(graph), shape, threads)

    def _onnx(self, graph: str) -> Path:
        path = self._folder / f"{graph}.onnx"
        if path.exists():
            return path
        if graph == "identities":
            write_onnx(self._model, path)
            return path
        config = self._model.config
        write_graph(self._modules[graph], (config.frames, config.joints, 3), path)
        return path


def write_graph(module: nn.Module, clip: tuple[int, int, int], path: Path) -> None:
    """A module on clips (B, T, V, C), of which `clip` is (T, V, C), as an ONNX file for any B."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            module,
            (torch.zeros(3, *clip),),
            path,
            input_names=["clip"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _torch_call(module: Callable[[Tensor], Tensor]) -> Call:
    def call(clips: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return module(torch.from_numpy(clips)).numpy()

    return call


def _onnxruntime_call(path: Path, batch: int, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("batch", batch)
    # Its threads spin while it runs, as they do by default, but not on into the next side's turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda clips: session.run(None, {"clip": clips})[0]


def _openvino_call(path: Path, shape: tuple[int, ...], threads: int) -> Call:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(shape))
    options = {
        "INFERENCE_PRECISION_HINT": "f32",  # else it may take bfloat16 where the processor has it
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()
    # Shared in- and outputs spare it a copy each; what is handed out is then a copy of our own.
    return lambda clips: np.array(request.infer([clips], share_inputs=True, share_outputs=True)[0])
