"""Models on NVIDIA's TensorRT (docs/tensorrt.md): :func:`load` makes an engine and keeps what it built.

``adasgn_edge.load(path, device="tensorrt")`` is its short form. All comes only when it is asked for, as doctor looks at
TensorRT with Python alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adasgn_edge.tensorrt.engine import Model, TensorRTEngine, build_engine, load

__all__ = ["Model", "TensorRTEngine", "build_engine", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from adasgn_edge.tensorrt import engine

    return getattr(engine, name)
