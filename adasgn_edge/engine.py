"""A model file loaded on a device, ready to run; needs NumPy alone.

    engine = adasgn_edge.load("model.adasgn")     # or device="cuda"
    result = engine.run(clips)                    # (B, T, V, C) → result.logits (B, K)

Symbols: B clips, P persons, T frames, V joints, C = 3 coordinates, A branches, K classes, N frames of any clips.
Arrays may have any strides and any real type; they are taken as float32. Results are arrays of the caller's own. On a
GPU, clips may also be arrays that lie there already (anything with ``__cuda_array_interface__`` or DLPack).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adasgn_edge.build_info import read_build
from adasgn_edge.device_array import DeviceArray, on_device
from adasgn_edge.errors import ClipError, EngineError, LayoutError, ModelFileError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["DEVICES", "PRECISIONS", "Engine", "ModelDescription", "Result", "instruction_sets", "load"]

DEVICES = ("cpu", "cuda")
"""Devices that `load` accepts; "cuda:1" names the second GPU."""

PRECISIONS = ("f32", "f16")
"""Arithmetic of an engine: exact, or binary16 on tensor cores with float accumulation. The policy is always exact."""

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

    def __init__(self, native: Any, device: str, max_batch: int, threads: int, precision: str = "f32") -> None:
        """Use :func:`load`."""
        self._native = native
        self.device = device
        self.precision = precision
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
        """What the CPU runs it with: "avx512", "avx2", "sse2" or "neon"; EngineError on a GPU."""
        if self.device != "cpu":
            raise EngineError(f"instruction set: expected an engine on the CPU, found one on {self.device}")
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
        if isinstance(array, DeviceArray):
            logits, taken, pooled = self._native.run_device(*self._on_device(array), forced, features, fuse=False)
        else:
            logits, taken, pooled = self._native.run(array, forced, features)
        if not persons:
            taken, pooled = taken[:, 0], pooled[:, 0] if features else None
        return Result(logits, taken, pooled)

    def run_fuse(self, clips: ArrayLike) -> Result:
        """Every branch on every frame of clips (B, T, V, C) or (B, P, T, V, C), the branches' logits averaged."""
        array, _ = self._clips(clips)
        if isinstance(array, DeviceArray):
            return Result(self._native.run_device(*self._on_device(array), None, False, fuse=True)[0], None, None)
        return Result(self._native.run_fuse(array), None, None)

    def prepare(self, clips: int, persons: int = 1, *, features: bool = False) -> None:
        """Make the first run of such a batch as fast as all others: on a GPU, capture its CUDA graph now."""
        if self.device != "cpu":
            self._native.prepare(clips, persons, features)

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

    def _clips(self, clips: Any) -> tuple[Any, bool]:
        """Clips as (B, P, T, V, C), an array or a DeviceArray, and whether they came with persons."""
        array: Any = None if self.device == "cpu" else on_device(clips, int(self.device.partition(":")[2] or 0))
        if array is None:
            array = _floats("clips", clips)
        shape, facts = array.shape, self.description
        there = isinstance(array, DeviceArray)
        if len(shape) not in (4, 5) or (there and shape[-3:] != (facts.frames, facts.joints, 3)):
            expected = f"(B, {facts.frames}, {facts.joints}, 3) or (B, persons, {facts.frames}, {facts.joints}, 3)"
            raise ClipError(f"clips: expected shape {expected}, found {shape}")
        if len(shape) == 5:
            return array, True
        return (array._replace(shape=(shape[0], 1, *shape[1:])) if there else array[:, None]), False

    def _on_device(self, array: DeviceArray) -> tuple[int, int, int, int]:
        return array.address, array.shape[0], array.shape[1], array.stream


def load(
    path: str | os.PathLike[str],
    device: str = "cpu",
    *,
    max_batch: int = 64,
    precision: str | None = None,
    threads: int | None = None,
    instruction_set: str | None = None,
) -> Engine:
    """Load a ``.adasgn`` file on a device: "cpu", "cuda" or "cuda:<index>".

    max_batch: the most clips (times persons) of one run; memory for them is taken now. precision: one of PRECISIONS,
    by default "f32" on the CPU, which has no other, and "f16" on a GPU. On the CPU only, threads: of this engine, by
    default 1; instruction_set: one of :func:`instruction_sets`, by default the best this processor has. Raises
    ModelFileError for a file that is missing, damaged or of another version, EngineError for a device or options that
    cannot be had.
    """
    name, _, index = device.partition(":")
    if name not in DEVICES or (index and (name == "cpu" or not index.isdecimal())):
        raise EngineError(f'device: expected "cpu", "cuda" or "cuda:<index>", found {device!r}')
    if precision is not None and precision not in PRECISIONS:
        raise EngineError(f"precision: expected one of {', '.join(PRECISIONS)}, found {precision!r}")
    file = os.fsencode(path)  # as the system has it, whatever the locale
    if b"\0" in file:
        raise ModelFileError(f"{path!r}: expected a path, found one with a null character")
    if name == "cpu":
        if precision == "f16":
            raise EngineError("precision: expected f32 on the CPU, found f16")
        threads = 1 if threads is None else threads
        return Engine(_native().Engine(file, max_batch, threads, instruction_set), device, max_batch, threads)
    for option, value in (("threads", threads), ("instruction_set", instruction_set)):
        if value is not None:
            raise EngineError(f"{option}: expected none on a GPU, found {value!r}")
    native = _native()
    if not hasattr(native, "CudaEngine"):
        part = read_build().cuda
        raise EngineError(f"device {device!r}: this installation has no CUDA part: {part.reason}; {part.remedy}")
    precision = precision or "f16"
    engine = native.CudaEngine(file, max_batch, precision == "f16", int(index or 0))
    return Engine(engine, device, max_batch, 1, precision)


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
