"""Steps of the recogniser: a frame of every body in, results out, each push completing one step of the model's grid."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.bench.clips import made_bodies
from adasgn_edge.bench.reference import FoldedReference
from adasgn_edge.bench.settings import Settings
from adasgn_edge.deploy.folded_network import softmax
from adasgn_edge.deploy.model_file import ModelFile
from adasgn_edge.errors import AdaSGNError, BenchError
from adasgn_edge.hands import GESTURES, perform
from adasgn_edge.model.cost import CostTable
from adasgn_edge.recogniser import Recogniser
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["BODIES", "TOLERANCE", "StreamContender", "frames_at", "grid_step", "stream_contenders"]

TOLERANCE = {"f32": 1e-4, "bf16": 0.02, "f16": 0.02}
"""Most that probabilities may differ from those of the reference in float64, by the arithmetic."""
BODIES = 10
"""How many step together in one push, beside one alone."""
SIDES = (("continual", "f32", 1), ("continual", "bf16", 1), ("exact", "f32", 1), ("continual", "f32", BODIES))
GPU_SIDES = (("continual", "f16", 1), ("continual", "f32", 1), ("continual", "f16", BODIES), ("continual", "f16", 100))
"""Mode, arithmetic and bodies of what is timed."""
CHECKED = 16
"""Steps that are compared."""
SCALE_FRAMES = 64
"""A frame is in units of the scale bone's lower median over as many frames up to it."""


@dataclass(frozen=True)
class StreamContender:
    """A recogniser. arithmetic: on the CPU what its weights are kept in, on a GPU its precision; bodies: in each push;
    frames: (F, V, 3) of the recording."""

    name: str
    title: str
    path: Path
    file: ModelFile
    device: str
    mode: str
    arithmetic: str
    bodies: int
    frames: NDArray[np.float32]
    threads: int
    fresh: dict[str, Any] = field(default_factory=dict)

    def make(self) -> Callable[[int], Any]:
        """A call that pushes the next moment; its windows are full."""
        recogniser = self._recogniser()
        step, numbers = grid_step(self.file), itertools.count()

        def call(_: int) -> Any:
            number = next(numbers)
            bodies = {body: self.frames[(number + 7 * body) % len(self.frames)] for body in range(self.bodies)}
            return recogniser.push(number * step, bodies)

        for _ in range(self.file.config.clip_frames):
            call(0)
        if not all(recogniser.ready(body) for body in range(self.bodies)):
            raise BenchError(f"{self.name}: expected its window to be full after as many steps, found it is not")
        return call

    def check(self) -> float:
        """The largest error of a probability, beside the reference on the same windows; or BenchError.

        A model that escalates is compared on its first branch.
        """
        config = self.file.config
        effort = {} if self.file.effort is None else {"effort": 0.0}
        frames = self.frames[: config.clip_frames - 1 + CHECKED]
        scaled = _scaled(frames, self.file.layout)
        try:
            recogniser = self._recogniser(**effort)
            outputs = [recogniser.push(n * grid_step(self.file), {3: one}) for n, one in enumerate(frames)]
        except (AdaSGNError, RuntimeError, ValueError) as error:
            raise BenchError(f"it failed: {type(error).__name__}: {str(error)[:200]}") from error
        found = [result.probabilities for output in outputs for result in output.results if result.ready]
        windows = np.stack([scaled[first : first + config.clip_frames] for first in range(len(found))])
        actions = np.zeros((len(windows), config.frames), np.int64)
        expected = softmax(FoldedReference(self.file.folded).whole(windows, actions))
        if len(found) != CHECKED:
            raise BenchError(f"expected {CHECKED} results of as many steps, found {len(found)}")
        off, limit = float(np.abs(np.asarray(found) - expected).max()), TOLERANCE[self.arithmetic]
        if not off <= limit:
            raise BenchError(f"expected probabilities within {limit:g} of the reference's, found {off:.2g}")
        return off

    @property
    def macs(self) -> float:
        """Multiply-adds of a push on the first branch, where nothing of earlier frames is computed again."""
        return float(self.bodies * CostTable(self.file.config).step[0])

    def _recogniser(self, **options: Any) -> Recogniser:
        if self.device == "cpu":
            options |= {"mode": self.mode, "weights": self.arithmetic, "threads": self.threads}
        else:
            options |= {"device": self.device, "precision": self.arithmetic}
        return Recogniser(self.path, max_tracks=self.bodies, **options)


def stream_contenders(settings: Settings, models: list[tuple[Path, ModelFile]]) -> list[StreamContender]:
    """Each model in both modes and with either kind of weights, on a GPU in both precisions, then several bodies."""
    on_gpu = settings.device != "cpu"
    found = []
    for path, file in models:
        frames = frames_at(1e9 / grid_step(file), file.layout)
        for mode, arithmetic, bodies in GPU_SIDES if on_gpu else SIDES:
            name = f"stream-{path.stem}-{mode}" + ("-bf16" if arithmetic == "bf16" else "")
            name += (f"-{bodies}" if bodies > 1 else "") + (f" {arithmetic}" if on_gpu else "")
            title = f"{path.stem}, a step, {mode}" if bodies == 1 else f"{path.stem}, a step of {bodies} bodies"
            title += f", {arithmetic}" if on_gpu else ", weights in bf16" if arithmetic == "bf16" else ""
            fresh = {"kind": "stream", "file": str(path), "mode": mode, "threads": 1 if on_gpu else settings.threads,
                     "device": settings.device, "precision": arithmetic if on_gpu else None,
                     "step": grid_step(file)}  # fmt: skip
            found.append(
                StreamContender(
                    name, title, path, file, settings.device, mode, arithmetic, bodies, frames, settings.threads, fresh
                )
            )
    return found


def grid_step(file: ModelFile) -> int:
    """Nanoseconds of a step, which every causal model has."""
    assert file.recognition is not None
    return file.recognition.step


def frames_at(rate: float, layout: SkeletonLayout) -> NDArray[np.float32]:
    """(F, V, 3) metres, so many a second: a hand that performs all gestures, or joints that sway for other layouts."""
    if layout.name == "shrec22":
        return perform([(gesture, False) for gesture in GESTURES], seed=1, rate=rate).positions
    frames = made_bodies(layout, 1, max(int(20 * rate), 2)).arrays[0]
    return np.ascontiguousarray(frames)


def _scaled(frames: NDArray[np.float32], layout: SkeletonLayout) -> NDArray[np.float32]:
    """As a recogniser scales a stream (docs/streaming.md)."""
    if layout.scale_bone is None:
        return frames
    first, second = (layout.index(joint) for joint in layout.scale_bone)
    bones = np.linalg.norm(frames[:, first].astype(float) - frames[:, second], axis=-1)
    ends = range(1, len(bones) + 1)
    scales = [np.sort(bones[max(0, end - SCALE_FRAMES) : end])[(min(end, SCALE_FRAMES) - 1) // 2] for end in ends]
    return (frames / np.asarray(scales)[:, None, None]).astype(np.float32)
