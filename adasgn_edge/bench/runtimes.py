"""Other runtimes: which are here, and an ONNX graph in them as a call from NumPy to NumPy, float32."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRAPHS", "PEERS", "Call", "installed", "onnxruntime_call", "openvino_call"]

Call = Callable[[NDArray[np.float32]], NDArray[np.float32]]

PEERS = {"eager": "torch", "compile": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino"}
"""Runtimes, and the package each needs."""
GRAPHS = ("plain", "identities")


def installed() -> tuple[str, ...]:
    """The runtimes whose packages are here."""
    return tuple(peer for peer, package in PEERS.items() if importlib.util.find_spec(package))


def onnxruntime_call(path: Path, batch: int, threads: int, device: str = "cpu") -> Call:
    """A graph in ONNX Runtime, told the batch size beforehand; RuntimeError where it does not run on the device."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("batch", batch)
    # Its threads spin while it runs, as they do by default, but not on into the next side's turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    on_gpu = ("CUDAExecutionProvider", {"use_tf32": "0"})  # else products have the precision of TF32
    provider = "CPUExecutionProvider" if device == "cpu" else on_gpu
    session = onnxruntime.InferenceSession(path, options, providers=[provider])
    found = session.get_providers()[0]  # it goes on with the CPU where the GPU's part does not load
    if found != (provider if isinstance(provider, str) else provider[0]):
        raise RuntimeError(f"ONNX Runtime: expected to run on {device}, found {found}")
    return lambda clips: session.run(None, {"clip": clips})[0]


def openvino_call(path: Path, shape: tuple[int, ...], threads: int) -> Call:
    """A graph in OpenVINO on the CPU, for clips of this shape."""
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
