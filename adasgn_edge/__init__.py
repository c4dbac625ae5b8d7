"""adasgn_edge: real-time recognition of actions and gestures from skeleton streams (AdaSGN, ICCV 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adasgn_edge.deploy.model_file import shipped_model
    from adasgn_edge.engine import load
    from adasgn_edge.recogniser import Recogniser

__all__ = ["Recogniser", "__version__", "load", "shipped_model"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What the package offers comes only when it is asked for, so that importing the package stays cheap."""
    if name == "load":
        from adasgn_edge.engine import load

        return load
    if name == "shipped_model":
        from adasgn_edge.deploy.model_file import shipped_model

        return shipped_model
    if name == "Recogniser":
        from adasgn_edge.recogniser import Recogniser

        return Recogniser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What the package offers beside what is imported already."""
    return sorted({*globals(), *__all__})
