"""A model file loaded on a device, ready to run; needs NumPy alone.

    engine = adasgn_edge.load("model.adasgn")
    result = engine.run(clips)              # (B, T, V, C) → result.logits (B, K)

Symbols: B clips, P persons, T frames, V joints, C = 3 coordinates, A branches, K classes, N frames of any clips.
Arrays may have any strides and any real type; they are taken as float32. Results are arrays of the caller's own.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adasgn_edge.errors import ClipError, EngineError, LayoutError, ModelFileError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["DEVICES", "Engine", "ModelDescription", "Result", "instruction_sets", "load"]

DEVICES = ("cpu",)
"""Devices that `load` accepts."""

Floats = NDArray[np.float32]


class Result(NamedTuple):
    """What one run gives.

    logits (B, K), averaged over the persons; actions (B, T), or (B, P, T) for clips with persons, the branch each
    frame took, None where all branches ran; features (B, T, 256) or (B, P, T, 256), None unless asked for.
    """

    logits: Floats
    actions: NDArray[np.int32] | None
    features: Floats | None


@dataclass(frozen=True)
class ModelDescription:
    """What a model expects and tells: the description in its file (docs/model_file.md).

    cost: MACs of a clip whose frames all take one branch, (A,), by convention ("paper", "full", "folded").
    """

    kind: str
    joints: int
    classes: int
    frames: int
    branches: tuple[str, ...]
    layout: SkeletonLayout
    class_names: tuple[str, ...]
    stream: str
    window: float
    precision: str
    cost: dict[str, list[int]]


class Engine:
    """One model on one device. Calls from several threads wait for each other; several engines do not.

    Every method raises ClipError for arrays of another shape, of values that are not finite, or more clips than
    `max_batch`.
    """

    def __init__(self, native: Any, device: str, max_batch: int, threads: int) -> None:
        """Use :func:`load`."""
        self._native = native
        self.device = device
        self.max_batch = max_batch
        self.threads = threads
        facts = native.description
        try:
            facts["layout"] = SkeletonLayout.from_dict(json.loads(facts["layout"]))
        except LayoutError as error:
            raise ModelFileError(f"model file: description: {error}") from None
        facts["branches"], facts["class_names"] = tuple(facts["branches"]), tuple(facts["class_names"])
        self.description = ModelDescription(**facts)

    @property
    def instruction_set(self) -> str:
        """What the CPU runs it with: "avx512", "avx2", "sse2" or "neon"."""
        return str(self._native.instruction_set)

    def run(self, clips: ArrayLike, actions: ArrayLike | None = None, *, features: bool = False) -> Result:
        """Recognise clips (B, T, V, C), or (B, P, T, V, C) whose P persons' scores are averaged.

        Each frame takes the branch that the policy picks (the only one of a dense model), or the one in `actions`
        (B, T) or (B, P, T). `features=True` returns each frame's feature as well.
        """
        array, persons = self._clips(clips)
        forced = None
        if actions is not None:
            forced = _integers("actions", actions)
            forced = forced if persons else forced[:, None]
        logits, taken, pooled = self._native.run(array, forced, features)
        if not persons:
            taken, pooled = taken[:, 0], pooled[:, 0] if features else None
        return Result(logits, taken, pooled)

    def run_fuse(self, clips: ArrayLike) -> Result:
        """Every branch on every frame of clips (B, T, V, C) or (B, P, T, V, C), the branches' logits averaged."""
        return Result(self._native.run_fuse(self._clips(clips)[0]), None, None)

    # -- stages, for callers that keep features of their own ------------------------------------------------------

    def policy_features(self, frames: ArrayLike, previous: ArrayLike | None = None) -> Floats:
        """Features (N, 256) of the cheapest branch; frames (N, V, C).

        previous: the frame before each, (N, V, C); equal frames, or None for all, stand for velocity zero.
        """
        return self._native.policy_features(_floats("frames", frames), _optional("previous frames", previous))

    def actions(self, features: ArrayLike) -> tuple[NDArray[np.int32], Floats | None]:
        """Actions (B, T) of policy features (B, T, 256), and their logits (B, T, A), None of a model without policy.

        The highest logit wins, the lowest index on a tie.
        """
        return self._native.actions(_floats("features", features))

    def branch_features(
        self,
        frames: ArrayLike,
        previous: ArrayLike | None,
        actions: ArrayLike,
        policy_features: ArrayLike | None = None,
    ) -> Floats:
        """Features (N, 256) of frames (N, V, C), each through the branch in actions (N,).

        previous: as in :meth:`policy_features`, whose result (N, 256), if given, serves the frames of action 0.
        """
        return self._native.branch_features(
            _floats("frames", frames),
            _optional("previous frames", previous),
            _integers("actions", actions),
            _optional("policy features", policy_features),
        )

    def temporal_head(self, features: ArrayLike) -> Floats:
        """Class logits (B, K) of features (B, T, 256)."""
        return self._native.temporal_head(_floats("features", features))

    # -- checks ---------------------------------------------------------------------------------------------------

    def _clips(self, clips: ArrayLike) -> tuple[Floats, bool]:
        """Clips as (B, P, T, V, C), and whether they came with persons."""
        array = _floats("clips", clips)
        if array.ndim not in (4, 5):
            facts = self.description
            expected = f"(B, {facts.frames}, {facts.joints}, 3) or (B, persons, {facts.frames}, {facts.joints}, 3)"
            raise ClipError(f"clips: expected shape {expected}, found {array.shape}")
        return (array, True) if array.ndim == 5 else (array[:, None], False)


def load(
    path: str | os.PathLike[str],
    device: str = "cpu",
    *,
    max_batch: int = 64,
    threads: int = 1,
    instruction_set: str | None = None,
) -> Engine:
    """Load a ``.adasgn`` file on a device.

    max_batch: the most clips (times persons) of one run; memory for them is taken now. threads: of this engine.
    instruction_set: one of :func:`instruction_sets`, by default the best this processor has. Raises ModelFileError
    for a file that is missing, damaged or of another version, EngineError for a device or options that cannot be had.
    """
    if device not in DEVICES:
        raise EngineError(f"device: expected one of {', '.join(DEVICES)}, found {device!r}")
    native = _native().Engine(os.fspath(Path(path)), max_batch, threads, instruction_set)
    return Engine(native, device, max_batch, threads)


def instruction_sets() -> tuple[str, ...]:
    """Instruction sets that this installation has and this processor can run, the best first."""
    return tuple(_native().instruction_sets())


def _native() -> Any:
    try:
        from adasgn_edge import _native
    except ImportError as error:
        raise EngineError(
            f"native engine: expected the compiled module adasgn_edge._native, found none that loads ({error}); "
            "install the package with `pip install .`, or build in place with `python setup.py build_ext --inplace`"
        ) from None
    return _native


def _floats(what: str, values: ArrayLike) -> Floats:
    try:
        array = np.asarray(values)
        if not np.issubdtype(array.dtype, np.floating) and not np.issubdtype(array.dtype, np.integer):
            raise ClipError(f"{what}: expected real numbers, found {array.dtype}")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the engine refuses
            return np.ascontiguousarray(array, dtype=np.float32)
    except ValueError as error:
        if isinstance(error, ClipError):
            raise
        raise ClipError(f"{what}: expected an array of numbers, found {type(values).__name__} ({error})") from None


def _optional(what: str, values: ArrayLike | None) -> Floats | None:
    return None if values is None else _floats(what, values)


def _integers(what: str, values: ArrayLike) -> NDArray[np.int32]:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise ClipError(f"{what}: expected whole numbers, found {array.dtype}")
    limits = np.iinfo(np.int32)
    return np.ascontiguousarray(np.clip(array, limits.min, limits.max), dtype=np.int32)
