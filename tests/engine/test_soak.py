"""Loads, runs, streams and refusals for a long time, in a process of its own that must not grow.

ADASGN_SOAK_SECONDS says how long, 4 of the processor's unless set; by hand: python -m tests.engine.test_soak 600
"""

from __future__ import annotations

import gc
import itertools
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

import adasgn_edge
from adasgn_edge.engine import load_content
from adasgn_edge.errors import AdaSGNError, EngineError, ModelFileError
from tests.engine.test_corpus import CORPUS, file_of_input

MOST_GROWTH = 16 << 20
"""Bytes between a quarter of the time and its end: the heap goes up and down by half of that. What keeps a megabyte of
each load grows by more in a few seconds."""
RANDOM = np.random.default_rng(0)


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def native_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def refuse(counts: Counter[str], call: Callable[[], object], error: type[Exception] = AdaSGNError) -> None:
    try:
        call()
    except error:
        counts["refusals"] += 1
    else:
        raise AssertionError("not refused")


def load_and_run(counts: Counter[str]) -> None:
    engine = adasgn_edge.load(adasgn_edge.shipped_model("clips"), max_batch=4, threads=int(RANDOM.integers(1, 4)))
    clips = RANDOM.standard_normal((4, *engine.description.clip_shape)).astype(np.float32)
    actions = RANDOM.integers(0, 2, (4, engine.description.frames))
    for result in (engine.run(clips, effort=1.0), engine.run(clips, actions, features=True), engine.run_fuse(clips)):
        assert np.isfinite(result.logits).all()
        counts["runs"] += 1
    broken = clips.copy()
    broken[2, 3, 4, 1] = RANDOM.choice([np.nan, np.inf, 1e38])
    for call in (
        lambda: engine.run(broken), lambda: engine.run(clips[:, 1:]), lambda: engine.run(clips, actions + 2),
        lambda: engine.run(clips, effort=2.0), lambda: engine.temporal_head(np.full((1, 20, 256), 3e38)),
        lambda: engine.run(np.concatenate([clips, clips])),
    ):  # fmt: skip
        refuse(counts, call)
    counts["loads"] += 1


def stream(counts: Counter[str]) -> None:
    recogniser = adasgn_edge.Recogniser(adasgn_edge.shipped_model("hands"), max_tracks=3, overflow="replace")
    body = RANDOM.standard_normal((22, 3)).astype(np.float32)
    stamp = 0
    for _ in range(60):
        stamp += int(RANDOM.choice([33_000_000, 33_000_000, 33_000_000, 0, -5_000_000, 10**12]))
        tracks = {int(RANDOM.integers(6)): body + RANDOM.normal(0, 0.01, body.shape) for _ in range(2)}
        if RANDOM.random() < 0.2:
            tracks[7] = np.where(RANDOM.random(body.shape) < 0.1, np.nan, body * RANDOM.choice([1, 1e37]))
        for result in recogniser.push(stamp, tracks, bool(RANDOM.random() < 0.9)).results:
            assert result.probabilities is None or np.isfinite(result.probabilities).all()
        counts["pushes"] += 1
    for stamp in (float("nan"), 1 << 63):  # type: ignore[assignment]
        refuse(counts, lambda stamp=stamp: recogniser.push(stamp, {}))
    counts["loads"] += 1


def read(counts: Counter[str], path: Path) -> None:
    try:
        load_content(file_of_input(path.read_bytes()), "model")
        counts["loads"] += 1
    except ModelFileError:
        counts["refusals"] += 1
    for broken in (path, "/dev/zero", "/", "missing\0.adasgn"):
        refuse(counts, lambda broken=broken: adasgn_edge.load(broken), ModelFileError)


def torch_ops(counts: Counter[str]) -> None:
    import torch

    from adasgn_edge import torch_ops

    model = torch_ops.load(adasgn_edge.shipped_model("clips"), max_batch=2)
    clips = torch.randn(2, *model.description.clip_shape)
    assert model(clips).logits.isfinite().all()
    for broken in (clips * torch.nan, clips[:, 1:], clips.to("meta")):
        refuse(counts, lambda broken=broken: model(broken), ValueError)
    counts["loads"] += 1


def soak(seconds: float) -> str:
    """What was done, and by how much the process has grown meanwhile; raises if something is not as it should be."""
    counts: Counter[str] = Counter()
    work = [lambda: load_and_run(counts), lambda: stream(counts)]
    try:
        torch_ops(counts)
        work.append(lambda: torch_ops(counts))
    except (ImportError, EngineError):  # no torch here, or no ops for it
        pass
    files = itertools.cycle(CORPUS)
    start, growth_from, threads = time.process_time(), 0, 0
    while (spent := time.process_time() - start) < seconds:
        if not growth_from and spent > seconds / 4:
            growth_from, threads = resident(), native_threads()
        for one in work:
            one()
        for _ in range(8):
            read(counts, next(files))
    grown = resident() - growth_from
    assert growth_from > 0
    assert native_threads() <= threads
    done = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    assert grown < MOST_GROWTH, f"grown by {grown} bytes: {done}"
    return f"{done}; grown by {grown / 1e6:.1f} MB in {seconds:g} s"


def test_a_process_does_not_grow():
    seconds = os.environ.get("ADASGN_SOAK_SECONDS", "4")
    done = subprocess.run([sys.executable, "-m", __name__, seconds], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


if __name__ == "__main__":
    print(soak(float(sys.argv[1])))
