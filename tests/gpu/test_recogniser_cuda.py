"""`adasgn_edge.Recogniser(…, device="cuda")` on a GPU: what one on the CPU tells, of one body and of many."""

from __future__ import annotations

import numpy as np
import pytest

import adasgn_edge
from adasgn_edge.hands import GESTURES, perform


@pytest.mark.parametrize(("precision", "bound"), [("f32", 1e-4), ("f16", 0.02)])
@pytest.mark.parametrize("bodies", [1, 40])
def test_it_tells_what_one_on_the_cpu_tells(index: int, precision: str, bound: float, bodies: int) -> None:
    path, step = adasgn_edge.shipped_model("stream"), 20_000_000
    frames = perform([(gesture, False) for gesture in GESTURES], seed=1, rate=50.0).positions
    cpu, gpu = (
        adasgn_edge.Recogniser(path, device=device, precision=given, max_tracks=bodies)
        for device, given in (("cpu", None), (f"cuda:{index}", precision))
    )
    compared = 0
    for number in range(400):
        tracks = {body: frames[(number + 7 * body) % len(frames)] for body in range(bodies)}
        mine, other = (recogniser.push(number * step, tracks) for recogniser in (cpu, gpu))
        for a, b in zip(mine.results, other.results, strict=True):
            assert (a.track, a.stamp_ns, a.ready) == (b.track, b.stamp_ns, b.ready)
            if a.ready:
                assert np.abs(np.subtract(a.probabilities, b.probabilities)).max() < bound
                compared += 1
        if precision == "f32":
            assert [(e.kind, e.label, e.start_ns) for e in mine.events] == [
                (e.kind, e.label, e.start_ns) for e in other.events
            ]
    assert compared > 200 * bodies
