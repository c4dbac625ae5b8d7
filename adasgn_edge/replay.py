"""A recording played through a model as it would arrive: frame after frame, a label each time.

At every step the frames received so far are the clip, preprocessed as in testing, so the last update is the
classification of the whole recording. Needs NumPy; what runs the model is any callable (:class:`Classifier`): the
native engine for a model file, the PyTorch reference for trained weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.preprocess import make_clips
from adasgn_edge.deploy.fused_file import FUSED_ENDING, check_fusable, read_fused_file
from adasgn_edge.effort import threshold_of
from adasgn_edge.engine import Engine, load_content
from adasgn_edge.engine import load as load_engine
from adasgn_edge.errors import ClipError, EngineError, ModelConfigError, ModelFileError
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.model.cost import CostTable
from adasgn_edge.regular_file import shown_path
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import shown

__all__ = ["Classifier", "ClipCost", "EngineClassifier", "FusedReplay", "Replay", "Update"]

MODEL_FILE = ".adasgn"
WEIGHTS = ".safetensors"


class Classifier(Protocol):
    """What runs a model."""

    def __call__(self, clip: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The M persons of one sample, (M, T, V, C) → class logits (M, classes), or their mean (1, classes), and the
        branch that each frame took (M, T)."""


class EngineClassifier:
    """The native engine as a :class:`Classifier`; at most the engine's `max_batch` persons.

    effort: of a model that escalates, by default its own.
    """

    def __init__(self, engine: Engine, effort: float | None = None) -> None:
        self.engine, self.effort = engine, effort

    def __call__(self, clip: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Class logits (1, classes) of the persons (M, T, V, C) of one sample, and the branch of each frame (M, T)."""
        result = self.engine.run(clip[None], effort=self.effort)
        assert result.actions is not None  # only `run_fuse` has none
        return result.logits, result.actions[0].astype(np.int64)


@dataclass(frozen=True)
class ClipCost:
    """MACs of one classification in the two conventions of model/cost.py, and what dense SGN pays for the same."""

    paper: float
    full: float
    dense_paper: float
    dense_full: float

    @property
    def paper_ratio(self) -> float:
        """Share of dense SGN's cost, paper's convention."""
        return self.paper / self.dense_paper

    @property
    def full_ratio(self) -> float:
        """Share of dense SGN's cost, full count."""
        return self.full / self.dense_full


@dataclass(frozen=True)
class Update:
    """What is known after `frames` received frames.

    probabilities: (classes,) softmax of the persons' averaged logits; actions: (M, T) the branch of each clip frame
    of each person, of fused streams (M, S·T); cost: of this classification, all persons together.
    """

    frames: int
    probabilities: NDArray[np.float64]
    actions: NDArray[np.int64]
    cost: ClipCost

    @property
    def label(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(self.probabilities.max())

    def top(self, count: int) -> list[tuple[int, float]]:
        """The `count` most probable classes, the best first, each with its probability."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(label), float(self.probabilities[label])) for label in order]


class Replay:
    """Plays recordings through a model. A recording is one (L, V, 3) track, or several: one per person.

    runtime: what runs the model, for people; device and precision: as of :func:`adasgn_edge.load`. Raises
    ModelConfigError when layout, class names and configuration do not fit together.
    """

    def __init__(
        self,
        classify: Classifier,
        layout: SkeletonLayout,
        config: ModelConfig,
        class_names: Sequence[str],
        stream: str = "joint",
        runtime: str = "PyTorch",
        device: str = "cpu",
        precision: str = "f32",
    ) -> None:
        if config.causal is not None:
            raise ModelConfigError(
                "expected a model of clips, found a causal one, which is for streams (`adasgn-edge stream`)"
            )
        if layout.joint_count != config.joints:
            raise ModelConfigError(
                f"replay: expected a layout of {config.joints} joints, found {layout.name!r} of {layout.joint_count}"
            )
        if len(class_names) != config.classes:
            raise ModelConfigError(f"replay: expected {config.classes} class names, found {len(class_names)}")
        self.layout, self.config, self.class_names, self.stream = layout, config, tuple(class_names), stream
        self.runtime, self.device, self.precision = runtime, device, precision
        self._classify = classify
        self._cost = CostTable(config)
        dense = CostTable(ModelConfig.dense(config.joints, config.classes, config.frames))
        self._dense_paper, self._dense_full = float(dense.paper[0]), float(dense.full[0])

    @classmethod
    def load(
        cls,
        path: str | Path,
        threads: int | None = None,
        *,
        device: str = "cpu",
        precision: str | None = None,
        effort: float | None = None,
    ) -> Replay:
        """A replay of a model file (``.adasgn``) or a fused one (``.fused``) through the native engine, of trained
        weights through PyTorch: a file, or the folder of a run that holds one model.

        device, precision: as of :func:`adasgn_edge.load`; weights run on the CPU in f32 alone. threads: on the CPU, the
        engine's, by default 1; PyTorch's for the whole process, by default as it is. One clip is little work: on a busy
        machine one is fastest. effort: of a model that escalates, by default its own; EffortError for others. Raises
        ModelFileError, EngineError or CheckpointError.
        """
        if Path(path).suffix == FUSED_ENDING:
            return FusedReplay.of(path, threads, device, precision, effort)
        if Path(path).suffix != MODEL_FILE:
            if Path(path).is_file() and Path(path).suffix != WEIGHTS:
                raise ModelFileError(
                    f"{path}: expected a model file ({MODEL_FILE}), fused streams ({FUSED_ENDING}), weights "
                    f"({WEIGHTS}) or the folder of a run, found another file"
                )
            if device != "cpu" or precision not in (None, "f32"):
                found = ", ".join(shown(value) for value in (device, precision) if value is not None)
                raise EngineError(
                    f"device, precision: expected cpu and f32 for weights, which PyTorch runs, found {found}; "
                    f"`adasgn-edge export` makes the model file ({MODEL_FILE}) that a GPU runs"
                )
            return cls._load_weights(path, threads, effort)
        threads = threads if device == "cpu" else None
        return cls._of_engine(load_engine(path, device, precision=precision, threads=threads), effort)

    @classmethod
    def _of_engine(cls, engine: Engine, effort: float | None) -> Replay:
        on_cpu = engine.device == "cpu"
        runtime = f"native engine, {engine.instruction_set if on_cpu else f'{engine.device}, {engine.precision}'}"
        model = engine.description
        threshold_of(model.effort, effort)  # an error now rather than at the first clip
        return Replay(
            EngineClassifier(engine, effort),
            model.layout,
            model.config,
            model.class_names,
            model.stream,
            runtime,
            engine.device,
            engine.precision,
        )

    @classmethod
    def _load_weights(cls, path: str | Path, threads: int | None, effort: float | None) -> Replay:
        import torch

        from adasgn_edge.model.reference import ReferenceClassifier
        from adasgn_edge.model.weights import load_weights, one_model

        if threads is not None:
            torch.set_num_threads(threads)
        trained = load_weights(one_model(Path(path)))
        classify = ReferenceClassifier(trained.model, threshold_of(trained.effort, effort))
        return Replay(classify, trained.layout, trained.model.config, trained.class_names, trained.stream)

    @property
    def branch_names(self) -> tuple[str, ...]:
        """Names of the branches, in action order."""
        return self.config.branch_names

    def shares(self, actions: NDArray[np.int64]) -> NDArray[np.float64]:
        """(A,) share of the frames in `actions`, of any shape, that took each branch."""
        return np.bincount(actions.ravel(), minlength=len(self.branch_names)) / actions.size

    def play(self, recording: NDArray[np.float32] | Sequence[NDArray[np.float32]]) -> Iterator[Update]:
        """One update per received frame; the last one equals :meth:`classify`.

        Raises ClipError for a recording with no frames or, when they arrive, for unusable ones.
        """
        tracks = self._tracks(recording)
        for frames in range(1, max(map(len, tracks)) + 1):
            yield self._update(tracks, frames)

    def classify(
        self, recording: NDArray[np.float32] | Sequence[NDArray[np.float32]], frames: int | None = None
    ) -> Update:
        """The update after the first `frames` frames, by default after all of them."""
        tracks = self._tracks(recording)
        longest = max(map(len, tracks))
        if frames is not None and not 1 <= frames <= longest:
            raise ClipError(f"expected a number of received frames from 1 to {longest}, found {frames}")
        return self._update(tracks, frames or longest)

    def _tracks(self, recording: NDArray[np.float32] | Sequence[NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        tracks = [recording] if isinstance(recording, np.ndarray) else list(recording)
        if not tracks or max(map(len, tracks)) == 0:
            raise ClipError("expected a recording with at least one frame, found none")
        return tracks

    def _update(self, tracks: Sequence[NDArray[np.float32]], frames: int) -> Update:
        clip = make_clips([track[:frames] for track in tracks], self.layout, self.config.frames, self.stream)
        logits, actions = self._classify(clip)
        mean = logits.mean(axis=0, dtype=np.float64)
        exponentials = np.exp(mean - mean.max())
        return Update(frames, exponentials / exponentials.sum(), actions, self._cost_of(actions))

    def _cost_of(self, actions: NDArray[np.int64]) -> ClipCost:
        persons, shares = len(actions), self.shares(actions)
        return ClipCost(
            paper=persons * self._cost.mean(shares, "paper"),
            full=persons * self._cost.mean(shares, "full"),
            dense_paper=persons * self._dense_paper,
            dense_full=persons * self._dense_full,
        )


class FusedReplay(Replay):
    """Plays recordings through models of one shape, each of its own input stream, and averages their probabilities.

    An update's actions are those of every stream one after another, (M, S·T) of S streams; costs add up.
    """

    def __init__(self, parts: Sequence[Replay]) -> None:
        first = parts[0]
        self.parts = tuple(parts)
        super().__init__(
            first._classify,
            first.layout,
            first.config,
            first.class_names,
            "+".join(part.stream for part in parts),
            f"{first.runtime}, {len(parts)} streams",
            first.device,
            first.precision,
        )

    @classmethod
    def of(
        cls, path: str | Path, threads: int | None, device: str, precision: str | None, effort: float | None
    ) -> FusedReplay:
        """A replay of a fused file; options as of :meth:`Replay.load`."""
        models, name, threads = read_fused_file(path), shown_path(path), threads if device == "cpu" else None
        engines = {
            stream: load_content(content, f"{name}: {stream}.adasgn", device, precision=precision, threads=threads)
            for stream, content in models.items()
        }
        try:
            check_fusable([engine.description for engine in engines.values()])
        except ModelFileError as error:
            raise ModelFileError(f"{name}: {error}") from None
        for stream, engine in engines.items():
            if engine.description.stream != stream:
                found = engine.description.stream
                raise ModelFileError(f"{name}: {stream}.adasgn: expected a model of that stream, found one of {found}")
        return cls([Replay._of_engine(engine, effort) for engine in engines.values()])

    def _update(self, tracks: Sequence[NDArray[np.float32]], frames: int) -> Update:
        updates = [part._update(tracks, frames) for part in self.parts]
        costs = [update.cost for update in updates]
        return Update(
            frames,
            np.mean([update.probabilities for update in updates], axis=0),
            np.concatenate([update.actions for update in updates], axis=1),
            ClipCost(*(sum(getattr(cost, figure.name) for cost in costs) for figure in fields(ClipCost))),
        )
