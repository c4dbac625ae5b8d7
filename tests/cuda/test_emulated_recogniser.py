"""`adasgn_edge.Recogniser(…, device="cuda")` on the emulated device: what one on the CPU tells."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import adasgn_edge
from adasgn_edge.errors import EngineError
from adasgn_edge.hands import perform


def told(recogniser: adasgn_edge.Recogniser, frames: np.ndarray) -> tuple[list[Any], list[Any]]:
    outputs = [recogniser.push(20_000_000 * number, {7: joints}) for number, joints in enumerate(frames)]
    return [result for o in outputs for result in o.results], [event for o in outputs for event in o.events]


def test_the_shipped_model_tells_what_it_tells_on_the_cpu(emulated: ModuleType) -> None:
    frames = perform([("Grab", False), ("Swipe Right", False)], seed=1, rate=50.0).positions
    path = adasgn_edge.shipped_model("stream")
    (results, events), (ours, told_ours) = (
        told(adasgn_edge.Recogniser(path, device=device, max_tracks=1), frames) for device in ("cpu", "cuda")
    )
    assert len(events) > 2
    assert [(event.kind, event.label) for event in told_ours] == [(event.kind, event.label) for event in events]
    off = [
        np.abs(np.subtract(a.probabilities, b.probabilities)).max()
        for a, b in zip(results, ours, strict=True)
        if a.ready
    ]
    assert 0 < max(off) < 0.01  # binary16 by default
    assert emulated.findings() == []


def test_what_a_gpu_does_not_do(emulated: ModuleType) -> None:
    path = adasgn_edge.shipped_model("stream")
    assert adasgn_edge.Recogniser(path, device="cuda:0", precision="f32").device == "cuda:0"
    for options, message in (
        ({"mode": "exact"}, "mode: expected continual on a device other than the CPU, found exact"),
        ({"weights": "bf16"}, "weights: expected f32 on a device other than the CPU, found bf16"),
        ({"threads": 2}, "threads: expected 1 on a device other than the CPU, found others"),
        ({"precision": "f64"}, "precision: expected one of f32, f16, found 'f64'"),
        ({"device": "cuda:1"}, r"device: expected a GPU below 1"),
    ):
        with pytest.raises(EngineError, match=message):
            adasgn_edge.Recogniser(path, **{"device": "cuda", **options})
