"""This package's plugin for TensorRT: where its library lies, loading it, and what it is given.

The library is one file that holds the CUDA engine; TensorRT finds in it the creator of one kind of layer, which runs a
whole model.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

from adasgn_edge.errors import TensorRTError
from adasgn_edge.installation.build_info import PACKAGE, Part
from adasgn_edge.tensorrt.runtime import Missing, Version, expect_supported, look_for_tensorrt

__all__ = [
    "BITS", "LIBRARY", "NAME", "NAMESPACE", "VERSION", "expect_library", "fields", "find_creator", "library_digest",
    "probe", "trtexec_lines",
]  # fmt: skip

LIBRARY = PACKAGE / "libadasgn_tensorrt.so"
NAME, VERSION, NAMESPACE = "AdaSGN", "1", "adasgn_edge"

BITS = {"f32": 32, "f16": 16}

_loaded: set[str] = set()


def expect_library(part: Part, version: Version | None = None, library: Path | None = None) -> Path:
    """The plugin's library; TensorRTError where it was not built, or for another major than the TensorRT at hand.

    part: what the build noted of it; version: of the TensorRT at hand; library: LIBRARY, unless another is named.
    """
    library = library or LIBRARY
    if not part.built or not library.is_file():
        reason = part.reason if not part.built else f"{library} is not there"
        remedy = part.remedy if not part.built else "install adasgn-edge again"
        raise TensorRTError(f"TensorRT plugin: expected it to be built, found that {reason}; {remedy}")
    if version is not None and (made := Version.parse(part.version)).major != version.major:
        raise TensorRTError(
            f"TensorRT plugin: expected one for TensorRT {version.major}, found one built with the headers of {made}: "
            f"{library}; install the libnvinfer-dev of {version} and build adasgn-edge again"
        )
    return library


def library_digest(library: Path) -> str:
    """SHA-256 of the library."""
    return hashlib.sha256(library.read_bytes()).hexdigest()


def find_creator(trt: Any, library: Path) -> Any:
    """TensorRT's object that makes the plugin, its library loaded; TensorRTError where the library offers none.

    Loading it again would be an error of TensorRT's, so that it is loaded once in a process.
    """
    registry = trt.get_plugin_registry()
    if str(library) not in _loaded:
        if registry.load_library(str(library)) is None:
            raise TensorRTError(f"TensorRT plugin: expected a library that TensorRT {trt.__version__} loads: {library}")
        _loaded.add(str(library))
    creator = registry.get_creator(NAME, VERSION, NAMESPACE)
    if creator is None:
        raise TensorRTError(
            f"TensorRT plugin: expected the creator {NAMESPACE}::{NAME}, version {VERSION}, in {library}, found none; "
            f"a library that was built for another major than {trt.__version__} offers none"
        )
    return creator


def fields(trt: Any, content: bytes, precision: str, effort: float | None) -> list[Any]:
    """What the plugin is given: the bytes of a model file, the precision ("f16" or "f32"), the effort or None.

    A field keeps its array alive, but TensorRT's collection of fields only points to what they hold: keep this list
    until the plugin has been made.
    """
    import numpy as np  # doctor rests on Python alone

    given = [
        trt.PluginField("model", np.frombuffer(content, np.int8), trt.PluginFieldType.INT8),
        trt.PluginField("precision", np.array([BITS[precision]], np.int32), trt.PluginFieldType.INT32),
    ]
    if effort is not None:
        given.append(trt.PluginField("effort", np.array([effort], np.float32), trt.PluginFieldType.FLOAT32))
    return given


def trtexec_lines(
    library: Path, clip_shape: tuple[int, int, int], max_batch: int, graph: str, engine: str
) -> list[str]:
    """Commands of NVIDIA's trtexec that build an engine file of a graph with the plugin in it, and that time it.

    clip_shape: (T, V, 3); graph: what `adasgn-edge export --tensorrt-onnx` wrote.
    """
    rest = "x".join(map(str, clip_shape))
    shapes = [f"--{which}Shapes=clips:{batch}x{rest}" for which, batch in (("min", 1), ("opt", 1), ("max", max_batch))]
    plugin = f"--dynamicPlugins={library}"
    build = ["trtexec", f"--onnx={graph}", f"--saveEngine={engine}", plugin, *shapes]
    time = ["trtexec", f"--loadEngine={engine}", plugin, f"--shapes=clips:1x{rest}", "--useCudaGraph"]
    return [shlex.join(build), shlex.join(time)]


def probe(library: str = str(LIBRARY)) -> str:
    """For doctor, in a Python of its own: what is found of TensorRT and of the plugin in it, as JSON."""
    trt = look_for_tensorrt()
    if isinstance(trt, Missing):
        return json.dumps({"reason": trt.reason, "remedy": trt.remedy})
    found = {"version": str(getattr(trt, "__version__", "")), "file": str(getattr(trt, "__file__", ""))}
    try:
        expect_supported(trt)
        if Path(library).is_file():
            find_creator(trt, Path(library))
    except Exception as error:  # TensorRT's own, too
        found["problem"] = str(error)
    return json.dumps(found)
