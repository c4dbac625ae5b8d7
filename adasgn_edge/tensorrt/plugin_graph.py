"""A model file as an ONNX graph of one node, the plugin, for TensorRT's own parser: for trtexec and other programs.

``clips`` (batch, T, V, 3) → ``logits`` (batch, K), ``actions`` (batch, T) int32. Needs the package ``onnx``, no torch.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from adasgn_edge.deploy.model_file import ModelFile
from adasgn_edge.errors import MissingDependencyError, ModelConfigError
from adasgn_edge.files import atomic_path
from adasgn_edge.model.config import COORDINATES
from adasgn_edge.tensorrt.plugin import BITS, NAME, NAMESPACE, VERSION

__all__ = ["write_plugin_graph"]

OPSET, IR_VERSION = 18, 10
"""Of ONNX; TensorRT 10 reads both."""


def write_plugin_graph(model: ModelFile, out: Path, precision: str = "f16", effort: float | None = None) -> None:
    """Write the graph of a model file.

    precision: of the plugin, "f16" or "f32"; effort: of a model that escalates, by default its own. Raises
    ModelConfigError for a causal model, which runs on the CPU alone, MissingDependencyError without the package onnx.
    """
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependencyError("ONNX export needs 'onnx': pip install 'adasgn-edge[onnx]'")
    import onnx

    config = model.config
    if config.causal is not None:
        raise ModelConfigError("ONNX for TensorRT: expected a model that is not causal, found a causal one")
    helper, kinds = onnx.helper, onnx.TensorProto
    content = model.to_bytes()
    # INT8, as TensorRT's parser makes text one byte too long and refuses UINT8.
    attributes: dict[str, Any] = {
        "plugin_version": VERSION,
        "plugin_namespace": NAMESPACE,
        "model": helper.make_tensor("model", kinds.INT8, [len(content)], content, raw=True),
        "precision": BITS[precision],
    }
    if effort is not None:
        attributes["effort"] = float(effort)
    node = helper.make_node(NAME, ["clips"], ["logits", "actions"], domain=NAMESPACE, **attributes)
    shape: list[str | int | None] = ["batch", config.frames, config.joints, COORDINATES]
    clips = helper.make_tensor_value_info("clips", kinds.FLOAT, shape)
    logits = helper.make_tensor_value_info("logits", kinds.FLOAT, ["batch", config.classes])
    actions = helper.make_tensor_value_info("actions", kinds.INT32, ["batch", config.frames])
    graph = helper.make_graph([node], NAME, [clips], [logits, actions])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(NAMESPACE, 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    with atomic_path(out) as temporary:
        temporary.write_bytes(made.SerializeToString())
