"""A model file loaded on a device, ready to run; needs NumPy alone.

    engine = adasgn_edge.load("model.adasgn")     # or device="cuda"
    result = engine.run(clips)                    # (B, T, V, C) → result.logits (B, K)

Symbols: B clips, P persons, T frames, V joints, C = 3 coordinates, A branches, K classes, N frames of any clips. Clips
of a causal model are windows (B, lead + T, V_r, C) of recorded joints, whose results are those of the newest frame; its
stages take frames of V joints, the trail included (docs/engine.md).
Arrays may have any strides and any real type; they are taken as float32. torch tensors on the CPU serve as well, as if
detached. Results are NumPy arrays of the caller's own. On a GPU, clips may also be arrays that lie there already
(anything with DLPack or ``__cuda_array_interface__``), finished or still being computed: adasgn_edge/device_array.py.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adasgn_edge.deploy.model_container import read_model_bytes
from adasgn_edge.device_array import DeviceArray, on_device
from adasgn_edge.effort import EffortTable, threshold_of
from adasgn_edge.errors import AdaSGNError, ClipError, EffortError, EngineError, ModelFileError
from adasgn_edge.host_array import actions as branch_numbers
from adasgn_edge.host_array import as_numbers, detached, packed_floats
from adasgn_edge.installation.build_info import read_build
from adasgn_edge.model.config import COORDINATES, FEATURE, ModelConfig
from adasgn_edge.model.cost import CostTable
from adasgn_edge.recognition import Recognition
from adasgn_edge.regular_file import shown_path
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import shown

__all__ = [
    "DEVICES", "MAX_BATCH", "MAX_THREADS", "PRECISIONS", "Engine", "ModelDescription", "Result", "device_called",
    "expect_cuda_part", "instruction_sets", "load", "load_content", "multiply_adds", "precision_of", "whole_number",
]  # fmt: skip

DEVICES = ("cpu", "cuda", "tensorrt")
"""Devices that `load` accepts; "cuda:1" names the second GPU, "tensorrt" is the first one (docs/tensorrt.md)."""

PRECISIONS = ("f32", "f16")
"""Arithmetic of an engine: exact, or binary16 on tensor cores with float accumulation. The policy is always exact."""

MAX_BATCH, MAX_THREADS = 65536, 1024
"""The largest options of an engine."""

_PLACE = re.compile(r"(cpu|cuda|tensorrt)(?::([0-9]{1,4}))?")

Floats = NDArray[np.float32]


class Result(NamedTuple):
    """What one run gives.

    logits (B, K), averaged over the persons, of a model that escalates the logarithms of the probabilities averaged
    over its branches; actions (B, T), or (B, P, T) for clips with persons, the branch each frame took (of a model that
    escalates the last one), None where all branches ran; features (B, T, 256) or (B, P, T, 256), None unless asked for;
    macs (B,), what each sample cost with all its persons (full count).
    """

    logits: Floats
    actions: NDArray[np.int32] | None
    features: Floats | None
    macs: NDArray[np.int64]


@dataclass(frozen=True)
class ModelDescription:
    """What a model expects and tells: the description in its file (docs/model_file.md).

    config: all that fixes its shape; cost: MACs of a clip whose frames all take one branch, or that ends at it where
    clips escalate, (A,), by convention ("paper", "full", "folded"); action_shares: (A,) share of frames that the policy
    gives to each branch, None where it is not known; effort: the dial of a model that escalates, None of others;
    recognition: grid and decision rule of a causal model, None of others.
    """

    kind: str
    config: ModelConfig
    branches: tuple[str, ...]
    layout: SkeletonLayout
    class_names: tuple[str, ...]
    stream: str
    window: float
    precision: str
    cost: dict[str, list[int]]
    action_shares: tuple[float, ...] | None = None
    effort: EffortTable | None = None
    recognition: Recognition | None = None

    @property
    def joints(self) -> int:
        """V."""
        return self.config.joints

    @property
    def classes(self) -> int:
        """K."""
        return self.config.classes

    @property
    def frames(self) -> int:
        """T."""
        return self.config.frames

    @property
    def clip_shape(self) -> tuple[int, int, int]:
        """(T, V, C), of a causal model (lead + T, V_r, C)."""
        return self.config.clip_frames, self.config.recorded_joints, COORDINATES

    def threshold(
        self, effort: float | None, max_macs: float | None, max_ms: float | None = None, *, forced: bool = False
    ) -> float | None:
        """The confidence below which samples escalate: of an effort, of a budget for a clip, or the model's own.

        None of models that do not escalate, and where the caller forces the branches. max_ms is looked at here only to
        be refused: what takes how long is for an engine to say. Raises EffortError for what the model does not have.
        """
        options = {"effort": effort, "max_macs": max_macs, "max_ms": max_ms}
        asked = [(name, value) for name, value in options.items() if value is not None]
        if len(asked) > 1:
            raise EffortError(f"expected one of effort, max_macs and max_ms, found {' and '.join(dict(asked))}")
        for name, value in asked:
            if forced:
                raise EffortError(f"{name}: expected none beside actions, found {shown(value)}")
            if self.effort is None:
                raise EffortError(f"{name}: expected none, as this model does not escalate, found {shown(value)}")
            if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
                raise EffortError(f"{name}: expected a number, found {shown(value)}")
        if self.effort is None or forced:
            return None
        if max_macs is not None:
            effort = self.effort.within(max_macs)
        return threshold_of(self.effort, effort)

    @classmethod
    def from_json(cls, text: str) -> ModelDescription:
        """The description of a model file that the native engine has found sound; ModelFileError if it is not."""
        try:
            facts = json.loads(text)
            config = ModelConfig.from_dict(facts["config"])
            return cls(
                kind=facts["kind"],
                config=config,
                branches=config.branch_names,
                layout=SkeletonLayout.from_dict(facts["layout"]),
                class_names=tuple(facts["class_names"]),
                stream=facts["stream"],
                window=facts["window"],
                precision=facts["precision"],
                cost=facts["cost"],
                action_shares=tuple(facts["action_shares"]) if "action_shares" in facts else None,
                effort=EffortTable.from_json(facts["effort"]) if "effort" in facts else None,
                recognition=Recognition.from_json(facts["recognition"]) if config.causal is not None else None,
            )
        except (AdaSGNError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ModelFileError(f"model file: description: {shown(str(error), 300)}") from None


class Engine:
    """One model on one device. Calls from several threads wait for each other; several engines do not.

    An engine belongs to the process that loaded it: in a child made by fork every call raises EngineError, and it can
    be neither copied nor pickled. Every method raises ClipError for arrays of another shape, of more clips than
    `max_batch`, of masked values, or with coordinates that are not finite or beyond 1e4, which no normalised clip has.
    Ctrl-C ends a run on the CPU within a second, whatever its batch.
    """

    def __init__(self, native: Any, device: str, max_batch: int, threads: int, precision: str = "f32") -> None:
        """Use :func:`load`."""
        self._native = native
        self.device = device
        self.precision = precision
        self.max_batch = max_batch
        self.threads = threads
        self.description = ModelDescription.from_json(native.description)
        self._times: dict[tuple[int, int], tuple[float, float]] = {}

    @property
    def instruction_set(self) -> str:
        """What the CPU runs it with: "avx512", "avx2", "sse2" or "neon"; EngineError on a GPU."""
        if self.device != "cpu":
            raise EngineError(f"instruction set: expected an engine on the CPU, found one on {self.device}")
        return str(self._native.instruction_set)

    def run(
        self,
        clips: ArrayLike,
        actions: ArrayLike | None = None,
        *,
        features: bool = False,
        effort: float | None = None,
        max_macs: float | None = None,
        max_ms: float | None = None,
    ) -> Result:
        """Recognise clips (B, T, V, C), or (B, P, T, V, C) whose P persons' scores are averaged.

        Each frame takes the branch that the policy picks (the only one of a dense model), or the one in `actions`
        (B, T) or (B, P, T). A model that escalates sends samples that it is unsure of through its next branch, too: at
        `effort` 0 none, at 1 all, by default those of its own effort; or as many as keep the expected cost of a clip
        within `max_macs`, or the expected time of the run within `max_ms` once :meth:`time_efforts` has measured it.
        `features=True` returns each frame's feature as well.

        Raises EffortError for an effort or budget that the model does not have.
        """
        array, persons = self._clips(clips)
        forced = None
        if actions is not None:
            whole = (*array.shape[:2], self.description.frames)
            shape = whole if persons else whole[::2]
            forced = branch_numbers(actions, shape, len(self.description.branches)).reshape(whole)
        threshold = self.description.threshold(effort, max_macs, max_ms, forced=forced is not None)
        if max_ms is not None:
            threshold = self.description.threshold(self._effort_within(max_ms, *array.shape[:2]), None)
        options = {} if threshold is None else {"threshold": threshold}
        if isinstance(array, DeviceArray):
            logits, taken, pooled, macs = self._native.run_device(
                array.address, *array.shape[:2], forced, features, fuse=False, **options
            )
        else:
            logits, taken, pooled, macs = self._native.run(array, forced, features, **options)
        if not persons:
            taken, pooled = taken[:, 0], pooled[:, 0] if features else None
        return Result(logits, taken, pooled, macs)

    def time_efforts(self, clips: ArrayLike, repeats: int = 30) -> tuple[float, float]:
        """Milliseconds of a run of these clips at effort 0 and at effort 1, medians of `repeats` runs, on this machine.

        From then on ``run(…, max_ms=…)`` of as many clips and persons keeps to a budget: the efforts between the two
        are expected to take what lies between. Give clips as they will come, and time again when the machine's clocks
        have changed. Raises EffortError for a model that does not escalate.
        """
        repeats = whole_number("repeats", repeats, 1, 1 << 20)
        array, _ = self._clips(clips)
        medians = []
        for effort in (0.0, 1.0):
            self.run(clips, effort=effort)  # untimed: a GPU captures its graph
            spans = []
            for _ in range(repeats):
                started = time.perf_counter()
                self.run(clips, effort=effort)
                spans.append(1e3 * (time.perf_counter() - started))
            medians.append(float(np.median(spans)))
        low, high = medians
        self._times[array.shape[0], array.shape[1]] = low, high
        return low, high

    def _effort_within(self, max_ms: float, batch: int, persons: int) -> float:
        """The effort whose expected time is `max_ms`."""
        if (batch, persons) not in self._times:
            raise EffortError(
                f"max_ms: expected a batch that time_efforts has measured, found {batch} clips of {persons} persons"
            )
        low, high = self._times[batch, persons]
        if not max_ms >= low:
            raise EffortError(f"max_ms: expected at least {low:.3g}, what such a run takes at effort 0, found {max_ms}")
        return 1.0 if high <= low else min(1.0, (max_ms - low) / (high - low))

    def run_fuse(self, clips: ArrayLike) -> Result:
        """Every branch on every frame of clips (B, T, V, C) or (B, P, T, V, C), the branches' logits averaged."""
        array, _ = self._clips(clips)
        if isinstance(array, DeviceArray):
            logits, *_ = self._native.run_device(array.address, *array.shape[:2], None, False, fuse=True)
        else:
            logits = self._native.run_fuse(array)
        batch, persons = array.shape[:2]
        return Result(logits, None, None, np.full(batch, persons * CostTable(self.description.config).full_fuse))

    def prepare(self, clips: int, persons: int = 1, *, features: bool = False) -> None:
        """Make the first run of such a batch as fast as all others: on a GPU, capture its CUDA graph now."""
        counts = [whole_number(name, value, 0, 1 << 30) for name, value in (("clips", clips), ("persons", persons))]
        if self.device != "cpu":
            self._native.prepare(*counts, bool(features))

    # -- stages, for callers that keep features of their own ------------------------------------------------------

    def policy_features(self, frames: ArrayLike, previous: ArrayLike | None = None) -> Floats:
        """Features (N, 256) of the first branch; frames (N, V, C).

        previous: the frame before each, (N, V, C); equal frames, or None for all, stand for velocity zero.
        """
        current = self._rows("frames", frames, self._frame)
        return self._native.policy_features(current, self._rows_if("previous frames", previous, self._frame))

    def actions(self, features: ArrayLike) -> tuple[NDArray[np.int32], Floats | None]:
        """Actions (B, T) of policy features (B, T, 256), and their logits (B, T, A), None of a model without policy.

        The highest logit wins, the lowest index on a tie.
        """
        return self._native.actions(self._rows("features", features, self._pooled))

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
        current = self._rows("frames", frames, self._frame)
        return self._native.branch_features(
            current,
            self._rows_if("previous frames", previous, self._frame),
            branch_numbers(actions, current.shape[:1], len(self.description.branches)),
            self._rows_if("policy features", policy_features, (FEATURE,)),
        )

    def temporal_head(self, features: ArrayLike) -> Floats:
        """Class logits (B, K) of features (B, T, 256)."""
        return self._native.temporal_head(self._rows("features", features, self._pooled))

    # -- checks ---------------------------------------------------------------------------------------------------

    def _clips(self, clips: Any) -> tuple[Any, bool]:
        """Clips as (B, P, T, V, C), an array or a DeviceArray, and whether they came with persons."""
        array: Any = None
        if self.device.startswith("cuda"):
            array = on_device(detached(clips), self._native, int(self.device[5:] or 0))
        there = array is not None
        if not there:
            array = as_numbers("clips", clips)
        shape, last = tuple(array.shape), self.description.clip_shape
        if len(shape) not in (4, 5) or shape[-3:] != last:
            rest = ", ".join(map(str, last))
            raise ClipError(f"clips: expected shape (B, {rest}) or (B, persons, {rest}), found {shape}")
        batch, persons = shape[0], shape[1] if len(shape) == 5 else 1
        if persons < 1:
            raise ClipError(f"clips: expected 1 or more persons, found shape {shape}")
        self._expect_at_most("clips (samples x persons; the engine's max_batch is the most)", batch * persons, 1)
        whole = (batch, persons, *last)
        return (array._replace(shape=whole) if there else packed_floats("clips", array).reshape(whole)), len(shape) == 5

    @property
    def _frame(self) -> tuple[int, int]:
        return self.description.joints, COORDINATES

    @property
    def _pooled(self) -> tuple[int, int]:
        return self.description.frames, FEATURE

    def _rows(self, what: str, values: Any, row: tuple[int, ...]) -> Floats:
        """The input of a stage, (N, *row) or, of whole clips, (B, *row)."""
        array = as_numbers(what, values)
        if array.ndim != len(row) + 1 or array.shape[1:] != row:
            raise ClipError(f"{what}: expected shape (N, {', '.join(map(str, row))}), found {array.shape}")
        self._expect_at_most(what, len(array), 1 if row == self._pooled else self.description.frames)
        return packed_floats(what, array)

    def _rows_if(self, what: str, values: Any, row: tuple[int, ...]) -> Floats | None:
        return None if values is None else self._rows(what, values, row)

    def _expect_at_most(self, what: str, count: int, per_clip: int) -> None:
        """Before anything is converted: a broadcast array may stand for more than there is memory."""
        if count > self.max_batch * per_clip:
            raise ClipError(f"{what}: expected 0 to {self.max_batch * per_clip}, found {count}")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise EngineError("engine: expected to stay where it is loaded, found an attempt to copy or pickle it; "
                          "load the model file again")  # fmt: skip


def load(
    path: str | bytes | os.PathLike[Any],
    device: Any = "cpu",
    *,
    max_batch: int = 64,
    precision: str | None = None,
    threads: int | None = None,
    instruction_set: str | None = None,
) -> Engine:
    """Load a ``.adasgn`` file on a device: "cpu", "cuda", "cuda:<index>" (or a torch.device so named) or "tensorrt".

    max_batch: the most clips (times persons) of one run; memory for them is taken now. precision: one of PRECISIONS,
    by default "f32" on the CPU, which has no other, and "f16" on a GPU. On the CPU only, threads: of this engine, by
    default 1; instruction_set: one of :func:`instruction_sets`, by default the best this processor has. The file is
    read once. Raises ModelFileError for a file that is missing, no regular file, damaged or of another version,
    EngineError for a device or options that cannot be had.
    """
    name = shown_path(path)
    return _load(lambda: read_model_bytes(path), name, device, max_batch, precision, threads, instruction_set)


def load_content(
    content: bytes, name: str, device: Any = "cpu", *, precision: str | None = None, threads: int | None = None
) -> Engine:
    """As :func:`load`, of what a ``.adasgn`` file holds; name: of the file in messages."""
    return _load(lambda: content, name, device, 64, precision, threads, None)


def _load(
    read: Callable[[], bytes],
    name: str,
    device: Any,
    max_batch: int,
    precision: str | None,
    threads: int | None,
    instruction_set: str | None,
) -> Engine:
    """An engine on what `read` gives, which is called once the options are known to be sound."""
    place = device_called(device)
    max_batch = whole_number("max_batch", max_batch, 1, MAX_BATCH)
    chosen = precision_of(place, precision)
    native = _native()
    if place.kind == "cpu":
        threads = 1 if threads is None else whole_number("threads", threads, 1, MAX_THREADS)
        if instruction_set is not None and instruction_set not in native.instruction_sets():
            known = ", ".join(native.instruction_sets())
            raise EngineError(f"instruction set: expected one of {known}, found {shown(instruction_set)}")
        engine = native.load(read(), name, max_batch, threads, instruction_set)
        return Engine(engine, place.name, max_batch, threads)
    for option, value in (("threads", threads), ("instruction_set", instruction_set)):
        if value is not None:
            raise EngineError(f"{option}: expected none on a GPU, found {shown(value)}")
    if place.kind == "tensorrt":
        from adasgn_edge.tensorrt.engine import Model, load_model

        return load_model(Model(read(), name, max_batch=max_batch, precision=chosen))
    expect_cuda_part(native, place)
    engine = native.load_cuda(read(), name, max_batch, chosen == "f16", place.number)
    return Engine(engine, place.name, max_batch, 1, chosen)


class Device(NamedTuple):
    """A device by its name, as a caller gave it; kind: one of DEVICES; number: of a GPU, 0 unless said."""

    name: str
    kind: str
    number: int


def device_called(device: Any, kinds: Sequence[str] = DEVICES) -> Device:
    """The device that a name or a torch.device means; EngineError unless it is one of these kinds."""
    place = _PLACE.fullmatch(device if isinstance(device, str) else _device_name(device))
    if place is None or place[1] not in kinds or (place[1] != "cuda" and place[2]):
        known = [f'"{name}"' for kind in kinds for name in ((kind, "cuda:<index>") if kind == "cuda" else (kind,))]
        raise EngineError(f"device: expected {', '.join(known[:-1])} or {known[-1]}, found {shown(device)}")
    return Device(place[0], place[1], int(place[2] or 0))


def precision_of(device: Device, precision: Any) -> str:
    """What a device computes in: as asked for; None: f32 on the CPU, f16 on a GPU."""
    if precision is not None and precision not in PRECISIONS:
        raise EngineError(f"precision: expected one of {', '.join(PRECISIONS)}, found {shown(precision)}")
    if device.kind == "cpu" and precision == "f16":
        raise EngineError("precision: expected f32 on the CPU, found f16")
    return precision or ("f32" if device.kind == "cpu" else "f16")


def expect_cuda_part(native: Any, device: Device) -> None:
    """EngineError that says what to do, where this installation cannot run on a GPU."""
    if not hasattr(native, "load_cuda"):
        part = read_build().cuda
        raise EngineError(f"device {device.name!r}: this installation has no CUDA part: {part.reason}; {part.remedy}")


def _device_name(device: Any) -> str:
    """The name of a torch.device, without needing torch; of anything else one that no device has."""
    return str(device) if (type(device).__module__, type(device).__name__) == ("torch", "device") else ""


def whole_number(what: str, value: Any, low: int, high: int) -> int:
    """An option that counts something, as an int; EngineError unless it is a whole number from `low` to `high`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not low <= int(value) <= high:
        raise EngineError(f"{what}: expected a whole number from {low} to {high}, found {shown(value)}")
    return int(value)


def instruction_sets() -> tuple[str, ...]:
    """Instruction sets that this installation has and this processor can run, the best first."""
    return tuple(_native().instruction_sets())


def multiply_adds(instruction_set: str | None, rounds: int) -> int:
    """For benchmarks: run so many rounds of multiply-adds and nothing else on this core; returns how many there were.

    instruction_set: one of :func:`instruction_sets`, None for the best; EngineError for another.
    """
    return int(_native().multiply_adds(instruction_set, rounds))


def _native() -> Any:
    try:
        from adasgn_edge import _native
    except ImportError as error:
        raise EngineError(
            f"native engine: expected the compiled module adasgn_edge._native, found none that loads ({error}); "
            "install the package with `pip install .`, or build in place with `python setup.py build_ext --inplace`"
        ) from None
    return _native
