"""Other runtimes that run dense SGN, each as its users would run it: a NumPy array in, a NumPy array out, float32.

Two graphs of the same model: ``plain`` is the model as it is written in Conv2d and batch-norm layers
(conv2d_sgn.py), which the runtimes fold and fuse as they can; ``identities`` is what ``adasgn-edge export
--onnx`` writes, in which two exact identities have already taken out most of the adjacency's arithmetic
(adasgn_edge/model/spatial.py). Every runtime is told the batch size beforehand, so that it may plan for fixed shapes.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adasgn_edge.bench.conv2d_sgn import Conv2dSGN
from adasgn_edge.bench.runtimes import Call, onnxruntime_call, openvino_call
from adasgn_edge.deploy.onnx_graphs import OPSET, write_onnx
from adasgn_edge.model.adasgn import SGN

__all__ = ["Peers", "write_graph"]


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

    def call(self, peer: str, graph: str, batch: int, threads: int, device: str = "cpu") -> Call:
        """The model as a call on clips (batch, T, V, C); PyTorch uses the threads set for the process.

        device: of PyTorch and ONNX Runtime; OpenVINO has the CPU alone.
        """
        config = self._model.config
        shape = (batch, config.frames, config.joints, 3)
        if peer == "eager":
            return _torch_call(self._on(graph, device), device)
        if peer == "compile":
            # One compilation for batch 1, one for all other sizes. fullgraph: an error rather than eager in its place.
            return _torch_call(torch.compile(self._on(graph, device), fullgraph=True, dynamic=batch > 1), device)
        if peer == "onnxruntime":
            return onnxruntime_call(self._onnx(graph), batch, threads, device)
        return openvino_call(self._onnx(graph), shape, threads)

    def _on(self, graph: str, device: str) -> nn.Module:
        """The graph's module on a device; the one on the CPU stays there for the exports."""
        module = self._modules[graph]
        return module if device == "cpu" else copy.deepcopy(module).to(device)

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


def _torch_call(module: Callable[[Tensor], Tensor], device: str = "cpu") -> Call:
    def call(clips: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return module(torch.from_numpy(clips).to(device)).cpu().numpy()

    return call
