"""A small data set of continuous recordings, made up."""

from __future__ import annotations

import numpy as np

from adasgn_edge.data.online import Annotation, OnlineDataset
from adasgn_edge.skeletons import load_layout

CLASSES = ("wave", "tap", "grab")


def online_dataset(
    sequences: dict[str, list[tuple[int, int, int]]],
    frames: int = 100,
    rate: float = 50.0,
    test: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    **changed: object,
) -> OnlineDataset:
    """Sequences by name: their gestures (label, first, last); each of `frames` frames of a hand that moves a little."""
    layout = load_layout("shrec22")
    random = np.random.default_rng(0)
    count = len(sequences)
    values = {
        "name": "toy",
        "layout": layout,
        "rate": rate,
        "positions": random.normal(scale=0.05, size=(count * frames, layout.joint_count, 3)).astype(np.float32),
        "start": np.arange(count) * frames,
        "length": np.full(count, frames),
        "annotations": tuple(tuple(Annotation(*gesture) for gesture in own) for own in sequences.values()),
        "names": tuple(sequences),
        "split": np.asarray(["test" if name in test else "train" for name in sequences]),
        "class_names": CLASSES,
        "groups": groups,
    }
    return OnlineDataset(**{**values, **changed})
