"""A live stream of skeletons in, gestures out; needs NumPy alone.

    recogniser = adasgn_edge.Recogniser("model.adasgn")          # a causal model: docs/streaming.md
    output = recogniser.push(stamp_ns, {7: joints})              # (V, 3) metres, NaN = not seen
    for event in output.events:
        print(event.kind, recogniser.labels[event.label], event.start_ns)

Stamps are int64 nanoseconds of the source's own clock, the moment of capture: nothing here looks at another clock, so
what was recorded plays as it did live. Durations are seconds. Symbols: V joints of the layout, K classes, one of which
is none.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adasgn_edge.deploy.model_container import read_model_bytes
from adasgn_edge.engine import (
    MAX_THREADS,
    ModelDescription,
    device_called,
    expect_cuda_part,
    precision_of,
    whole_number,
)
from adasgn_edge.engine import _native as native_module
from adasgn_edge.errors import ClipError, EffortError, EngineError, RecognitionError
from adasgn_edge.host_array import as_numbers, packed_floats
from adasgn_edge.model.config import COORDINATES
from adasgn_edge.recognition import Decision
from adasgn_edge.regular_file import shown_path
from adasgn_edge.wording import shown

__all__ = [
    "MODES", "NO_LABEL", "OVERFLOWS", "WEIGHTS", "Decisions", "GestureEvent", "Output", "Recogniser", "Stats",
    "StepResult",
]  # fmt: skip

MODES = ("continual", "exact")
"""How a step is computed: with what earlier steps left, or anew over the whole window. Results agree to rounding."""
WEIGHTS = ("f32", "bf16")
"""What the continual mode keeps the temporal module's weights in; everything is computed in float."""
OVERFLOWS = ("refuse", "replace")
"""What happens to a body for which there is no place: it is passed over, or takes that of the one longest unseen."""
NO_LABEL = -1
"""The label of a step in which there is no gesture, or which is not ready."""
MAX_TRACKS = 4096
MAX_SECONDS = 1e6
_STATES = ("new", "tracked", "predicted", "lost")
_KINDS = ("started", "held", "ended")
_STAMPS = (-(1 << 63), (1 << 63) - 1)


class StepResult(NamedTuple):
    """One grid step of one track.

    track: the caller's number of it; state: "new" (its window is not full) or "tracked"; ready: whether it is full.
    stamp_ns: the moment on the grid that is judged, the model's delay before the step's own; newest_ns: stamp of the
    frame that completed the step; age: of the decision, the seconds between the two. label: the likeliest class,
    NO_LABEL (-1) for none and where not ready; confidence: its probability, or that of none, 0 where not ready;
    probabilities: (K,), not smoothed, None where not ready. action: the branch whose feature the frame keeps, -1 while
    its trail is not full; macs: multiply-adds spent on the step. interpolated: share of the window's steps without a
    frame within half a step; missing_joints: of the newest frame, filled. gesture: id of the one that goes on, 0 for
    none. spatial_seconds, temporal_seconds: computing times, of tracks that stepped together the share of one; on a
    GPU, where both run as one, all is temporal.
    """

    track: int
    state: str
    ready: bool
    stamp_ns: int
    newest_ns: int
    age: float
    label: int
    confidence: float
    probabilities: NDArray[np.float32] | None
    action: int
    macs: int
    interpolated: float
    missing_joints: int
    gesture: int
    spatial_seconds: float
    temporal_seconds: float

    def top(self, count: int) -> list[tuple[int, float]]:
        """The `count` most probable classes, none among them, the best first, each with its probability."""
        if self.probabilities is None:
            return []
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(label), float(self.probabilities[label])) for label in order]


@dataclass(frozen=True, slots=True)
class GestureEvent:
    """What happened to a gesture: "started", "held" (it goes on) or "ended".

    id: of the gesture, from 1, the same in all its events; label: its class; confidence: smoothed probability of the
    label, of an end the highest that it had. start_ns: dated back; end_ns: of a gesture that goes on, the step's stamp;
    decided_ns: newest stamp when this was decided. lost: it ended because its track was lost or started anew.
    """

    kind: str
    id: int
    track: int
    label: int
    confidence: float
    start_ns: int
    end_ns: int
    decided_ns: int
    lost: bool


class Output(NamedTuple):
    """What one push brought: results of every step that it completed, oldest first, and events in their order."""

    results: list[StepResult]
    events: list[GestureEvent]


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the recogniser was made; nothing resets them.

    pushes: all that may change something; frames: of tracks, usable and received; steps: on the grid, of all tracks;
    results: of them ready. duplicate, late: frames whose track has their stamp already, or a later one; clock_jumps:
    pushes with a stamp that did not continue the stream; gaps: tracks lost; overflow: frames of bodies without a place,
    bodies replaced; unusable_frames: too much missing, infinite or too far away; missing_joints: filled in usable ones;
    jumps: bodies faster than max_speed; skipped_steps: that fell into a gap; idle_steps: that took an earlier feature;
    escalated: frames that took a dearer branch; budget_misses: unsure ones kept from it by a budget; budget_overruns:
    pushes that took longer than total_budget; tracks_started, tracks_forgotten.
    """

    pushes: int
    frames: int
    steps: int
    results: int
    duplicate: int
    late: int
    clock_jumps: int
    gaps: int
    overflow: int
    unusable_frames: int
    missing_joints: int
    jumps: int
    skipped_steps: int
    idle_steps: int
    escalated: int
    budget_misses: int
    budget_overruns: int
    tracks_started: int
    tracks_forgotten: int


class Recogniser:
    """Recognises the gestures of up to `max_tracks` bodies in a live stream.

    Calls from several threads wait for each other; several recognisers do not. It belongs to the process that made it:
    in a child made by fork every call raises EngineError, and it can be neither copied nor pickled.
    """

    def __init__(
        self,
        model: str | bytes | os.PathLike[Any],
        *,
        device: Any = "cpu",
        precision: str | None = None,
        mode: str = "continual",
        weights: str = "f32",
        effort: float | None = None,
        max_macs: float | None = None,
        max_tracks: int = 8,
        overflow: str = "refuse",
        gap: float = 0.3,
        forget: float = 2.0,
        late: float = 1.0,
        missing: float = 0.34,
        max_speed: float | None = None,
        track_budget: float | None = None,
        total_budget: float | None = None,
        idle_motion: float | None = None,
        held_every: float | None = 0.5,
        decision: Decision | None = None,
        threads: int = 1,
        instruction_set: str | None = None,
    ) -> None:
        """A recogniser of a causal model's file; all memory is taken now.

        device: "cpu", or a GPU, "cuda" or "cuda:<index>", where all of the model then runs and the past stays.
        precision, threads, instruction_set: as of :func:`adasgn_edge.load`. mode: one of MODES, on a GPU continual.
        weights, one of WEIGHTS: "bf16" keeps those of the continual mode's temporal module, on the CPU, in 16
        bits, which makes a step of few bodies faster and moves probabilities in their third digit. effort, 0 to 1, or
        max_macs, the mean cost of a step as in the model's effort table: how often a model that escalates takes a
        dearer branch, by default its own. max_tracks, overflow (one of OVERFLOWS): how many bodies at once, and what
        happens to more. missing: a frame with more than this share of joints missing counts as not received. max_speed:
        of the origin joint, in scale bones a second, beyond which it is another body; None: any. idle_motion: a frame
        in which nothing moved farther, in scale bones, costs nothing; None: none does. decision: in place of the
        model's own.

        Seconds: gap: without a usable frame, after which a track starts anew; forget: unseen, after which it is
        forgotten; late: behind the newest stamp, beyond which the clock was set back and all starts anew. track_budget,
        total_budget: of a push, for one track and for all, after which no frame takes a dearer branch; None: none.
        held_every: between held events; None: none.

        Raises ModelFileError for a file that is none or no causal model's, EngineError for options that cannot be had,
        EffortError for an effort that the model does not have.
        """
        place = device_called(device, ("cpu", "cuda"))
        options = {
            "device": place.name,
            "precision": precision_of(place, precision),
            "exact": _one_of("mode", mode, MODES) == "exact",
            "halved": _one_of("weights", weights, WEIGHTS) == "bf16",
            "replace": _one_of("overflow", overflow, OVERFLOWS) == "replace",
            "max_tracks": whole_number("max_tracks", max_tracks, 1, MAX_TRACKS),
            "gap": _nanoseconds("gap", gap),
            "forget": _nanoseconds("forget", forget),
            "late": _nanoseconds("late", late),
            "missing": _number("missing", missing, 0, 1),
            "max_speed": _number("max_speed", max_speed or 0, 0, 1e6),
            "track_budget": _nanoseconds("track_budget", track_budget or 0),
            "total_budget": _nanoseconds("total_budget", total_budget or 0),
            "idle_motion": _number("idle_motion", idle_motion or 0, 0, 1e6),
            "held_every": _nanoseconds("held_every", held_every or 0),
            "decision": None if decision is None else _plain(decision),
            "threads": whole_number("threads", threads, 1, MAX_THREADS),
            "instruction_set": instruction_set,
        }
        native = native_module()
        if instruction_set is not None and instruction_set not in native.instruction_sets():
            known = ", ".join(native.instruction_sets())
            raise EngineError(f"instruction set: expected one of {known}, found {shown(instruction_set)}")
        if effort is not None and max_macs is not None:
            raise EffortError("expected one of effort and max_macs, found both")
        if place.kind == "cuda":
            expect_cuda_part(native, place)
        self._native = native.load_recogniser(read_model_bytes(model), shown_path(model), options)
        self.description = ModelDescription.from_json(self._native.description)
        self.mode, self.max_tracks = mode, options["max_tracks"]
        self.device = place.name
        self._joints = (self.description.config.recorded_joints, COORDINATES)
        if effort is not None:
            self.set_effort(effort)
        if max_macs is not None:
            self.set_max_macs(max_macs)

    @property
    def labels(self) -> tuple[str, ...]:
        """(K,) names of the classes, none among them."""
        return self.description.class_names

    @property
    def receptive_field(self) -> int:
        """Grid frames that a result depends on, and that a track must have had to be ready."""
        return int(self._native.receptive_field)

    @property
    def step(self) -> float:
        """Seconds between two grid steps."""
        assert self.description.recognition is not None  # of every causal model
        return 1e-9 * self.description.recognition.step

    @property
    def delay(self) -> float:
        """Seconds that a judgement lags behind what it is about, at most: the model's own delay, so that it sees what
        follows, and a step, which waits for the frame after it."""
        return float(1e-9 * self._native.delay)

    def push(self, stamp_ns: int, tracks: Mapping[int, ArrayLike], update_state: bool = True) -> Output:
        """Take one moment of the stream: the joints (V, 3), metres, of every body in sight by its number.

        A joint that was not seen is NaN. Bodies that are not there were not seen at this moment, so an empty push tells
        that nobody is. Bodies may also come in pushes of their own with one stamp, or somewhat out of order. What comes
        late or twice is counted and changes nothing. update_state=False: what would come of it, while nothing changes.

        Raises RecognitionError for a stamp or a number that is no int64 and for tracks that are no mapping, ClipError
        for joints of another shape or that are no numbers. A body with an infinite coordinate was not received, and
        is counted as such (`unusable_frames`), like one that lacks too much.
        """
        if not isinstance(stamp_ns, int | np.integer) or isinstance(stamp_ns, bool):
            raise RecognitionError(f"stamp_ns: expected whole nanoseconds, found {shown(stamp_ns)}")
        if not _STAMPS[0] <= stamp_ns <= _STAMPS[1]:
            raise RecognitionError(f"stamp_ns: expected a number that 64 bits hold, found {shown(stamp_ns)}")
        if not isinstance(tracks, Mapping):
            raise RecognitionError(f"tracks: expected joints by number, found {shown(tracks)}")
        bodies = list(tracks.items())  # which another thread may change meanwhile
        joints = np.empty((len(bodies), *self._joints), dtype=np.float32)
        for place, (track, values) in enumerate(bodies):
            plain = type(values) is np.ndarray and values.dtype == np.float32 and values.shape == self._joints
            joints[place] = values if plain else self._frame(track, values)
        identities = np.fromiter((_identity(track) for track, _ in bodies), dtype=np.int64, count=len(bodies))
        results, events = self._native.push(int(stamp_ns), identities, joints, bool(update_state))
        return Output([_result(row) for row in results], [_event(row) for row in events])

    def ready(self, track: int) -> bool:
        """Whether the track's window is full."""
        return bool(self._native.ready(_identity(track)))

    def state(self, track: int) -> str:
        """ "new", "tracked", "predicted" or "lost"; of a track that is not known, "lost"."""
        return _STATES[self._native.state(_identity(track))]

    def reset(self, track: int | None = None) -> None:
        """Begin anew with a track, or with all and any clock; gestures that go on end in the next push, lost."""
        self._native.reset(None if track is None else _identity(track))

    def stats(self) -> Stats:
        """Counts since the recogniser was made."""
        return Stats(**self._native.stats())

    def set_effort(self, effort: float) -> None:
        """From the next push on, spend so much: 0 is the first branch alone, 1 all. EffortError for others."""
        self.description.threshold(effort, None)  # refuses what is no number, and models that do not escalate
        if not 0 <= effort <= 1:
            raise EffortError(f"effort: expected a number from 0 to 1, found {shown(effort)}")
        self._native.set_effort(float(effort))

    def set_budgets(self, track: float | None, total: float | None) -> None:
        """From the next push on, seconds for one track and for all, as the options of these names; None: none."""
        chosen = [_nanoseconds(name, value or 0) for name, value in (("track_budget", track), ("total_budget", total))]
        self._native.set_budgets(*chosen)

    def set_max_macs(self, max_macs: float) -> None:
        """From the next push on, the largest effort whose mean cost of a step is within it; or EffortError."""
        self.description.threshold(None, max_macs)
        self._native.set_max_macs(int(min(max_macs, _STAMPS[1])))

    def _frame(self, track: int, values: ArrayLike) -> NDArray[np.float32]:
        what = f"track {shown(track)}"
        array = as_numbers(what, values)
        if array.shape != self._joints:
            raise ClipError(f"{what}: expected joints of shape {self._joints}, found {array.shape}")
        return packed_floats(what, array)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise EngineError("recogniser: expected to stay where it was made, found an attempt to copy or pickle it; "
                          "make another from the model file")  # fmt: skip


class Decisions:
    """Where gestures start and end in the probabilities of one track: the very code that a recogniser decides by.

    For choosing a :class:`Decision` on recorded probabilities. classes: K; none: the class that is no gesture. Raises
    EngineError for values that make no sense.
    """

    def __init__(self, decision: Decision, *, classes: int, none: int) -> None:
        self._classes = whole_number("classes", classes, 2, 1 << 20)
        none = whole_number("none", none, 0, self._classes - 1)
        self._native = native_module().decisions(_plain(decision), self._classes, none)

    def run(self, stamps: ArrayLike, probabilities: ArrayLike) -> list[GestureEvent]:
        """The events of one track from its beginning: stamps int64 (N,), nanoseconds, ascending; probabilities (N, K).

        A gesture that goes on at the end ends there, lost. Held events are left out. Raises ClipError for other arrays.
        """
        times = as_numbers("stamps", stamps)
        if times.dtype.kind not in "iu" or times.ndim != 1:
            raise ClipError(f"stamps: expected int64 of shape (N,), found {times.dtype} of shape {times.shape}")
        rows = as_numbers("probabilities", probabilities)
        if rows.shape != (len(times), self._classes):
            raise ClipError(f"probabilities: expected shape ({len(times)}, {self._classes}), found {rows.shape}")
        if not (np.isfinite(rows).all() and rows.size == (np.abs(rows - 0.5) <= 0.5001).sum()):
            wrong = rows[~(np.abs(rows - 0.5) <= 0.5001)]
            raise ClipError(f"probabilities: expected numbers from 0 to 1, found {wrong.flat[0]:g}")
        if (np.diff(times) <= 0).any():
            row = int(np.argmax(np.diff(times) <= 0)) + 1
            raise ClipError(
                "stamps: expected every one to be later than the one before, found "
                f"{times[row]} after {times[row - 1]} in row {row}"
            )
        packed = np.ascontiguousarray(times, dtype=np.int64)
        return [_event(row) for row in self._native.run(packed, packed_floats("probabilities", rows))]


def _result(row: Sequence[Any]) -> StepResult:
    track, state, ready, stamp, newest, age, label, confidence, probabilities, action, macs, between, missing, *rest = (
        row
    )
    gesture, spatial, temporal = rest
    return StepResult(
        track, _STATES[state], ready, stamp, newest, 1e-9 * age, label, confidence, probabilities, action, macs,
        between, missing, gesture, 1e-9 * spatial, 1e-9 * temporal,
    )  # fmt: skip


def _event(row: Sequence[Any]) -> GestureEvent:
    return GestureEvent(_KINDS[row[0]], *row[1:])


def _identity(track: Any) -> int:
    if not isinstance(track, int | np.integer) or isinstance(track, bool) or not _STAMPS[0] <= track <= _STAMPS[1]:
        raise RecognitionError(f"track: expected a whole number of 64 bits, found {shown(track)}")
    return int(track)


def _one_of(what: str, value: Any, known: Sequence[str]) -> str:
    if value not in known:
        raise EngineError(f"{what}: expected one of {', '.join(known)}, found {shown(value)}")
    return str(value)


def _number(what: str, value: Any, low: float, high: float) -> float:
    """An option as a float; EngineError unless it is a number from `low` to `high`."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not (math.isfinite(value) and low <= value <= high):
        raise EngineError(f"{what}: expected a number from {low:g} to {high:g}, found {shown(value)}")
    return float(value)


def _nanoseconds(what: str, seconds: Any) -> int:
    """Seconds of an option as whole nanoseconds."""
    return round(1e9 * _number(f"{what} (seconds)", seconds, 0, MAX_SECONDS))


def _plain(decision: Decision) -> dict[str, Any]:
    """The parameters by name, as the native module takes them."""
    if not isinstance(decision, Decision):
        raise EngineError(f"decision: expected adasgn_edge.recognition.Decision, found {shown(decision)}")
    return {field.name: getattr(decision, field.name) for field in fields(decision)}
