"""adasgn_edge: real-time recognition of actions and gestures from skeleton streams (AdaSGN, ICCV 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adasgn_edge.engine import load

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`adasgn_edge.load` comes with the engine only when it is asked for, so that importing the package stays cheap."""
    if name == "load":
        from adasgn_edge.engine import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
