"""Thresholds and efforts of a causal model, chosen on sequences that the models of folds were not trained on.

The models play the sequences held out through the recogniser itself; when a gesture starts and ends is then decided
anew, by the recogniser's own rule, for one choice of thresholds after another.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.online import OnlineDataset, plan_sequence_folds
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.deploy.model_file import write_model_file
from adasgn_edge.effort import ALWAYS, EffortPoint, EffortTable
from adasgn_edge.errors import CheckpointError, ModelConfigError
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.model.weights import TrainedModel, load_weights, save_weights
from adasgn_edge.online_evaluation import NANOSECONDS, detections_of, gestures_of
from adasgn_edge.progress import Progress
from adasgn_edge.recogniser import Decisions, Recogniser
from adasgn_edge.recognition import Decision, Recognition
from adasgn_edge.scoring import Gesture, Score, score
from adasgn_edge.train.report import find_weights

__all__ = [
    "THRESHOLDS", "Choice", "HeldOutStream", "choose_decision", "held_out_streams", "judge", "stream_effort",
    "write_recognition",
]  # fmt: skip

THRESHOLDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, ALWAYS)
"""Of confidence, below which a frame takes the next branch: those that are tried for an effort table."""
WEIGHT_OF_TIME = 0.2
"""What the Jaccard index of time weighs beside that of gestures when thresholds are chosen."""
_MS = 1_000_000
CHOICES: dict[str, tuple[float | int, ...]] = {
    "start": (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    "end": (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "smoothing": (1.0, 0.8, 0.6, 0.45, 0.3),
    "low": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "minimum": tuple(ms * _MS for ms in (0, 50, 100, 150, 200, 250, 300, 400)),
    "cool_down": tuple(ms * _MS for ms in (0, 100, 200, 400)),
    "start_shift": tuple(ms * _MS for ms in range(-300, 151, 50)),
    "end_shift": tuple(ms * _MS for ms in range(-300, 151, 50)),
}
"""What is tried of each threshold; all others stay meanwhile as they are."""
PASSES = 3
BEGINNINGS = (
    Decision(),
    Decision(smoothing=0.8, end=0.1, minimum=0, end_shift=0),
    Decision(smoothing=0.45, start=0.6, end=0.2, cool_down=400 * _MS, end_shift=0),
)
"""Where the search begins, since one threshold at a time does not find every way."""


@dataclass(frozen=True)
class HeldOutStream:
    """A sequence held out as its model saw it. stamps: (N,) of the ready steps, nanoseconds; probabilities: (N, K);
    macs: spent on them together; seconds: how long the sequence lasts; source: of joined data sets, the sequence's."""

    stamps: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    macs: int
    gestures: tuple[Gesture, ...]
    seconds: float
    source: str = ""


@dataclass(frozen=True)
class Choice:
    """Thresholds, and how they do on the streams that they were chosen on, those of each source together."""

    decision: Decision
    scores: Mapping[str, Score]

    @property
    def score(self) -> Score:
        """On all streams together."""
        return Score.combine(self.scores.values())

    @property
    def worth(self) -> float:
        """What the search maximises: the sources' mean, however many gestures each has."""
        each = [score.jaccard + WEIGHT_OF_TIME * score.time_jaccard for score in self.scores.values()]
        return sum(each) / len(each)


def held_out_streams(
    run: Path, dataset: OnlineDataset, threshold: float = 0.0, progress: Progress | None = None, stage: str = "stream"
) -> tuple[ModelConfig, Recognition, list[HeldOutStream]]:
    """Every model of a stage below the folder of a run on folds, each on the sequences that it was trained without.

    threshold: of confidence, below which a frame takes the next branch. Raises CheckpointError unless every fold of a
    division is there for each seed, all of one configuration.
    """
    found = _of_folds(run, dataset, stage)
    streams: list[HeldOutStream] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.adasgn"
        for trained, held in found:
            write_model_file(path, to_model_file(_with_threshold(trained, threshold)))
            what = f"playing {len(held)} sequences held out"
            streams += [_play(path, dataset, sequence) for sequence in (progress or Progress()).track(list(held), what)]
    first = found[0][0]
    assert first.recognition is not None  # of every causal model
    return first.model.config, first.recognition, streams


def _of_folds(run: Path, dataset: OnlineDataset, stage: str) -> list[tuple[TrainedModel, tuple[int, ...]]]:
    """The models with the sequences held out of each."""
    chosen: list[tuple[TrainedModel, tuple[int, ...]]] = []
    seen: dict[object, set[int]] = {}
    counts = set()
    for path in find_weights(run):
        trained = load_weights(path)
        if trained.model.config.causal is None or path.parent.name != stage:
            continue
        about = trained.provenance.get("sequence_fold")
        if about is None:
            raise CheckpointError(f"{path}: expected a model of a fold (train --folds K), found one of all sequences")
        held = plan_sequence_folds(dataset, about["count"])[about["number"] - 1].held
        if [dataset.names[sequence] for sequence in held] != about["held"]:
            raise CheckpointError(f"{path}: expected the sequences of its fold, found another division of the data set")
        if chosen and trained.model.config != chosen[0][0].model.config:
            raise CheckpointError(f"{path}: expected models of one configuration, found another")
        chosen.append((trained, held))
        counts.add(about["count"])
        seen.setdefault(trained.provenance.get("seed"), set()).add(about["number"])
    if not chosen:
        raise CheckpointError(f"{run}: expected causal models (stage {stage}), found none")
    if len(counts) > 1:
        raise CheckpointError(f"{run}: expected folds of one division, found several")
    for seed, numbers in seen.items():
        if missing := sorted(set(range(1, max(counts) + 1)) - numbers):
            raise CheckpointError(
                f"{run}: expected all {max(counts)} folds of seed {seed}, found none for {missing[0]}"
            )
    return chosen


def _with_threshold(trained: TrainedModel, threshold: float) -> TrainedModel:
    """A model whose default effort is this threshold."""
    if not trained.model.config.escalates:
        return trained
    points = (EffortPoint(0.0, 0.0, 0, None), EffortPoint(1.0, ALWAYS, 1, None))
    return replace(trained, effort=EffortTable(points, threshold / ALWAYS))


def _play(model: Path, dataset: OnlineDataset, sequence: int) -> HeldOutStream:
    recogniser = Recogniser(model, max_tracks=1)
    stamps, rows, macs = [], [], 0
    for stamp, joints in zip(dataset.stamps(sequence).tolist(), dataset.frames(sequence), strict=True):
        for result in recogniser.push(stamp, {0: joints}).results:
            if result.probabilities is not None:
                macs += result.macs
                stamps.append(result.stamp_ns)
                rows.append(result.probabilities)
    classes = len(recogniser.labels)
    probabilities = np.asarray(rows, dtype=np.float32).reshape(len(rows), classes)
    gestures = tuple(gestures_of(dataset, sequence))
    source = dataset.sources[sequence] if dataset.sources else ""
    return HeldOutStream(
        np.asarray(stamps, np.int64), probabilities, macs, gestures, dataset.seconds([sequence]), source
    )


def judge(
    decision: Decision, recognition: Recognition, streams: Sequence[HeldOutStream], names: Sequence[str]
) -> Score:
    """The score of these streams with these thresholds; names: of the gestures."""
    return _choice(decision, recognition, streams, names).score


def _choice(
    decision: Decision, recognition: Recognition, streams: Sequence[HeldOutStream], names: Sequence[str]
) -> Choice:
    decide = Decisions(decision, classes=len(names) + 1, none=recognition.none)
    scores: dict[str, list[Score]] = {}
    late = recognition.delay / NANOSECONDS  # stamps are of what is judged
    for stream in streams:
        events = decide.run(stream.stamps, stream.probabilities)  # in which every gesture ends
        detections = [replace(own, decided=own.decided + late) for own in detections_of(events, 0)]
        found = score(detections, stream.gestures, stream.seconds, names)
        scores.setdefault(stream.source, []).append(found)
    return Choice(decision, {source: Score.combine(own) for source, own in scores.items()})


def choose_decision(
    recognition: Recognition, streams: Sequence[HeldOutStream], names: Sequence[str], progress: Progress | None = None
) -> Choice:
    """The thresholds that do best on these streams; of joined data sets each counts alike.

    One threshold after another takes the best of its :data:`CHOICES`, the others staying as they are, in PASSES rounds;
    that from several beginnings, of which the best end is kept.
    """
    ends = []
    for first in (progress or Progress()).track(BEGINNINGS, "choosing thresholds"):
        best = _choice(first, recognition, streams, names)
        for name in [*CHOICES] * PASSES:
            best = max([best, *_others(best, name, recognition, streams, names)], key=lambda choice: choice.worth)
        ends.append(best)
    return max(ends, key=lambda choice: choice.worth)


def _others(
    best: Choice, name: str, recognition: Recognition, streams: Sequence[HeldOutStream], names: Sequence[str]
) -> Iterator[Choice]:
    """The same with every other choice of one threshold."""
    values: dict[str, float | int] = asdict(best.decision)
    for value in CHOICES[name]:
        changed = {**values, name: value}
        if value != values[name] and changed["end"] <= changed["start"]:
            yield _choice(Decision(**changed), recognition, streams, names)  # type: ignore[arg-type]


def stream_effort(
    decision: Decision,
    recognition: Recognition,
    by_threshold: Mapping[float, Sequence[HeldOutStream]],
    names: Sequence[str],
    default: float,
) -> EffortTable:
    """The effort table of a model that escalates: what a step costs at each threshold, and, in place of an accuracy,
    the Jaccard index of gestures."""
    macs = {}
    for threshold, streams in by_threshold.items():
        steps = sum(len(stream.stamps) for stream in streams)
        macs[threshold] = sum(stream.macs for stream in streams) / steps
    lowest, highest = macs[0.0], macs[ALWAYS]
    points: list[EffortPoint] = []
    for threshold in sorted(by_threshold):
        effort = min(1.0, max(0.0, (macs[threshold] - lowest) / (highest - lowest)))
        effort = 1.0 if threshold == ALWAYS else round(effort, 4)
        if points and effort <= points[-1].effort:
            continue  # as dear as the one before: nothing was that unsure
        jaccard = judge(decision, recognition, by_threshold[threshold], names).jaccard
        points.append(EffortPoint(effort, threshold, round(macs[threshold]), jaccard))
    return EffortTable(tuple(points), default)


def write_recognition(
    path: Path, config: ModelConfig, recognition: Recognition, effort: EffortTable | None
) -> TrainedModel:
    """Store thresholds, and an effort table, in weights of the configuration that they were chosen for, atomically.

    Raises ModelConfigError for weights of another configuration or grid.
    """
    trained = load_weights(path)
    if trained.model.config != config:
        raise ModelConfigError(f"{path}: expected a model as in the folds, found one of another configuration")
    own = trained.recognition
    if own is None or (own.step, own.delay) != (recognition.step, recognition.delay):
        found = "none" if own is None else f"{own.step} and {own.delay} ns"
        expected = f"{recognition.step} and {recognition.delay} ns"
        raise ModelConfigError(f"{path}: expected the folds' grid and delay, {expected}, found {found}")
    trained = replace(trained, recognition=recognition, effort=effort)
    save_weights(path, trained)
    return trained
