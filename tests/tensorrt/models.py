"""Model files of random weights for the tests of TensorRT, made without torch."""

from __future__ import annotations

from pathlib import Path

from adasgn_edge.bench.random_models import random_file
from adasgn_edge.deploy.model_file import write_model_file
from adasgn_edge.effort import EffortPoint, EffortTable
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid
from adasgn_edge.skeletons import load_layout

__all__ = ["CONFIGS", "write_random"]

PERSONS = (Branch(22, POSE), *branch_grid((11,), ("small",)))
CONFIGS = {
    "policy": ModelConfig(22, 5, branch_grid((1, 11), ("small",)), frames=6),
    "escalating": ModelConfig(22, 5, PERSONS, frames=6, adaptive=False, escalates=True),
    "dense": ModelConfig.dense(22, 5, frames=6),
}


def write_random(path: Path, name: str) -> Path:
    """A model file of one of CONFIGS."""
    config = CONFIGS[name]
    names = tuple(f"class {number}" for number in range(config.classes))
    rows = ((0.0, 0.0, 1_000), (0.5, 0.335, 2_000), (1.0, 2.0, 3_000))
    effort = EffortTable(tuple(EffortPoint(*row, None) for row in rows), 0.5) if config.escalates else None
    write_model_file(path, random_file(config, load_layout("shrec22"), names, "joint", effort=effort))
    return path
