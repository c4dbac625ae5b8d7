"""The reference model as ONNX graphs, for other runtimes.

A dense or single model is one graph:

=================  ==============================================================================================
``NAME.onnx``      ``clip`` (batch, T, V, 3) → ``logits`` (batch, K)
=================  ==============================================================================================

A model that escalates is one graph too, which makes every step of the escalation for all; the caller compares:

=================  ==============================================================================================
``NAME.onnx``      ``clip`` (batch, T, V, 3) → ``probabilities`` (A, batch, K): the mean over branches 0 … i for each i
=================  ==============================================================================================

AdaSGN is a folder, because ONNX has no cheap way to send each frame through a graph of its own; the caller routes:

==================  =============================================================================================
``policy.onnx``     ``clip`` (batch, T, V, 3) → ``moving`` (batch·T, V, 6), ``features`` (batch·T, 256) of branch 0,
                    ``action_logits`` (batch, T, A), ``actions`` (batch, T) int64
``branch-I.onnx``   for I = 1 … A-1: ``moving`` (frames, V, 6) → ``features`` (frames, 256), for frames of action I
``head.onnx``       ``features`` (batch, T, 256) → ``logits`` (batch, K)
==================  =============================================================================================
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from adasgn_edge.errors import MissingDependencyError, ModelConfigError
from adasgn_edge.files import atomic_path
from adasgn_edge.model.adasgn import SGN, AdaSGN, AnyModel, EscalatingSGN
from adasgn_edge.model.config import COORDINATES, FEATURE
from adasgn_edge.model.spatial import motion
from adasgn_edge.progress import Progress

__all__ = ["OPSET", "write_onnx"]

OPSET = 18
EXAMPLES = 3  # batch size while tracing; the graphs take any


class Graph(NamedTuple):
    """One file to write. rows: the name of the input's first dimension, which may be any number."""

    path: Path
    module: nn.Module
    example: Tensor
    input: str
    outputs: list[str]
    rows: str


class _Whole(nn.Module):
    def __init__(self, model: SGN) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor) -> Tensor:
        return self.model(clip).logits


class _Levels(nn.Module):
    def __init__(self, model: EscalatingSGN) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor) -> Tensor:
        sums, means = None, []
        for level, logits in enumerate(self.model.branch_logits(clip)):
            probabilities = logits.softmax(-1)
            sums = probabilities if sums is None else sums + probabilities
            means.append(sums / (level + 1))
        return torch.stack(means)


class _Policy(nn.Module):
    def __init__(self, model: AdaSGN) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        moving = motion(clip).flatten(0, 1)
        features = self.model.policy_features(moving)
        action_logits = self.model.action_logits(features, clip.shape[0])
        return moving, features, action_logits, action_logits.argmax(-1)


def write_onnx(model: AnyModel, out: Path, progress: Progress | None = None) -> list[Path]:
    """Write a model's graphs: to the file `out` (ending in ``.onnx``), or for AdaSGN into the folder `out`.

    Returns the files. Raises ModelConfigError when `out` is a file's name for AdaSGN or a folder's for another model,
    MissingDependencyError without the packages ``onnx`` and ``onnxscript``, OutputError where not all can be written.
    """
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(f"ONNX export needs {package!r}: pip install 'adasgn-edge[onnx]'")
    adaptive, is_file = isinstance(model, AdaSGN), out.suffix == ".onnx"
    if adaptive == is_file:
        expected = "a folder for AdaSGN's graphs" if adaptive else "a file ending in .onnx"
        raise ModelConfigError(f"ONNX export: expected {expected}, found {str(out)!r}")
    graphs = _adaptive_graphs(model, out) if isinstance(model, AdaSGN) else [_whole_graph(model, out)]
    with _quiet(), ExitStack() as stack:  # all of the graphs or none
        for graph in (progress or Progress()).track(graphs, "writing ONNX"):
            temporary = stack.enter_context(atomic_path(graph.path))
            torch.onnx.export(
                graph.module.eval(),
                (graph.example,),
                temporary,
                input_names=[graph.input],
                output_names=graph.outputs,
                dynamic_shapes=({0: torch.export.Dim(graph.rows)},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    return [graph.path for graph in graphs]


def _whole_graph(model: SGN | EscalatingSGN, path: Path) -> Graph:
    clip = torch.zeros(EXAMPLES, model.config.clip_frames, model.config.recorded_joints, COORDINATES)
    if isinstance(model, EscalatingSGN):
        return Graph(path, _Levels(model), clip, "clip", ["probabilities"], "batch")
    return Graph(path, _Whole(model), clip, "clip", ["logits"], "batch")


def _adaptive_graphs(model: AdaSGN, folder: Path) -> list[Graph]:
    frames, joints = model.config.frames, model.config.joints
    clip = torch.zeros(EXAMPLES, frames, joints, COORDINATES)
    moving = torch.zeros(EXAMPLES, joints, 2 * COORDINATES)
    features = torch.zeros(EXAMPLES, frames, FEATURE)
    policy_outputs = ["moving", "features", "action_logits", "actions"]
    graphs = [Graph(folder / "policy.onnx", _Policy(model), clip, "clip", policy_outputs, "batch")]
    for index, branch in enumerate(model.branches):
        if index > 0:  # branch 0 is in the policy's graph
            graphs.append(Graph(folder / f"branch-{index}.onnx", branch, moving, "moving", ["features"], "frames"))
    return [*graphs, Graph(folder / "head.onnx", model.temporal, features, "features", ["logits"], "batch")]


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's notes on packages that it does not need here are not for the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
