"""Files of the trained models that come with the package: which there are, and where they lie."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["SHIPPED", "shipped_file"]

SHIPPED = {"clips": "shrec14", "stream": "shrec21", "hands": "hands"}
"""What a model is for, and the name of its files in the package's folder of weights."""


def shipped_file(kind: str, ending: str) -> Path:
    """Path of a model's file, whether it is there or not; kind: one of SHIPPED."""
    return Path(str(resources.files("adasgn_edge") / "weights" / f"{SHIPPED[kind]}{ending}"))
