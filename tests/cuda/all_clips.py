"""Parity of the CUDA engine on the emulated device with the reference in float64, on every recorded test clip.

Run: ``ADASGN_EMULATED_MODULE=build/kernels/tests/cuda/_native_emulated… python -m tests.cuda.all_clips [CLIPS]`` after
``make test-kernels``; about ten minutes for SHREC'17's 840 clips. Beside the engine stands PyTorch in binary16 on the
same model and the same actions: the engine's binary16 may err at most twice as much (docs/benchmarks.md).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from numpy.typing import ArrayLike

import adasgn_edge.engine
from adasgn_edge.bench.clips import Clips, default_clips
from adasgn_edge.bench.half import TorchHalf
from adasgn_edge.bench.parity import TOLERANCE, Parity, compare, expect
from adasgn_edge.bench.torch_reference import TorchReference, load_reference
from adasgn_edge.engine import Result
from bench.markdown import table
from tests.cuda.conftest import load_emulated

BY_FRAME, TILES = (True, 32, 32), (False, 128, 128)


class Watched:
    """An engine that says how far it is."""

    def __init__(self, name: str, engine: adasgn_edge.Engine, clips: int) -> None:
        self.name, self.engine, self.clips, self.done = name, engine, clips, 0

    def run(self, clips: ArrayLike, actions: ArrayLike | None = None, *, features: bool = False) -> Result:
        """As of an engine."""
        result = self.engine.run(clips, actions, features=features)
        self.done += len(result.logits)
        print(f"{self.name}: {self.done} of {self.clips} clips", file=sys.stderr, flush=True)
        return result


def main() -> int:
    """Compare; exit status 1 where it does not hold."""
    module = load_emulated()
    adasgn_edge.engine._native = lambda: module
    with tempfile.TemporaryDirectory() as folder:
        path, reference = load_reference(None, None, Path(folder))
        assert isinstance(reference, TorchReference)
        engines = {}
        for name, precision, schedule in (
            ("f32, a block per frame", "f32", BY_FRAME),
            ("f16, a block per frame", "f16", BY_FRAME),
            ("f16, tiles of 128 rows", "f16", TILES),
        ):
            engines[name] = adasgn_edge.load(path, "cuda", max_batch=60, precision=precision)
            engines[name]._native.force_schedule(*schedule)
    facts = next(iter(engines.values())).description
    clips: Clips = default_clips(facts.layout, facts.classes, facts.frames, facts.stream)
    if len(sys.argv) > 1:
        step = max(1, len(clips) // int(sys.argv[1]))
        labels = None if clips.labels is None else clips.labels[::step]
        clips = Clips(clips.arrays[::step], labels, clips.persons, clips.source)
    expected = expect(reference, clips)
    half = compare("PyTorch, binary16", TorchHalf(reference, expected), expected)
    rows = [compare(name, Watched(name, engine, len(clips)), expected) for name, engine in engines.items()]
    print(f"\n{clips.source}: {len(clips)} clips, {expected.actions.size} frames, {half.undecided} undecided\n")
    print(to_markdown([*rows, half]))
    findings = module.findings()
    print("\n".join(findings))
    sound = [row.holds(TOLERANCE if row.engine.startswith("f32") else limit(half)) for row in rows]
    return 0 if all(sound) and not findings else 1


def limit(half: Parity) -> float:
    """Most that binary16 may err."""
    return 2 * max(half.feature_error, half.logit_error)


def to_markdown(rows: list[Parity]) -> str:
    """The rows as a table."""
    header = ["", "feature error: largest", "median", "logit error: largest", "median", "other actions, decided",
              "undecided", "other labels", "accuracy", "reference's"]  # fmt: skip
    cells = []
    for row in rows:
        errors = (row.feature_error, row.feature_error_median, row.logit_error, row.logit_error_median)
        counts = (row.other_actions_decided, row.other_actions_undecided, row.other_labels)
        shares = (row.accuracy, row.reference_accuracy)
        cells.append(
            [row.engine, *(f"{error:.1e}" for error in errors), *map(str, counts),
             *("–" if share is None else f"{share:.2%}" for share in shares)]
        )  # fmt: skip
    return table(header, cells)


if __name__ == "__main__":
    sys.exit(main())
