"""The models that are measured: dense SGN and AdaSGN for hands (trained) and bodies (random weights)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge.bench.clips import Clips, default_clips
from adasgn_edge.bench.reference import MARGIN
from adasgn_edge.bench.torch_reference import TorchReference
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.deploy.folded_network import folded_cost
from adasgn_edge.deploy.model_file import write_model_file
from adasgn_edge.effort import threshold_of
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import FEATURE, TAPS, TEMPORAL, ModelConfig, branch_grid
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.weights import TrainedModel, load_weights, shipped_weights
from adasgn_edge.skeletons import load_layout

__all__ = [
    "AIM_SUBJECT", "DEFAULT", "DENSE_HANDS", "MODELS", "OnClips", "StageCost", "Subject", "config_of", "load_subject",
]  # fmt: skip

AIM_SUBJECT = "shrec22"
"""The subject with trained weights, for which speed has aims; the other is "ntu25"."""
DEFAULT = "adasgn-shared"
"""The model that the package ships."""
MODELS = {"shrec22": ("dense", "adasgn", DEFAULT), "ntu25": ("dense", "adasgn")}
"""The models of each subject, by its layout's name; "adasgn" has the paper's branches and policy."""

TRAINED_HANDS = Path(__file__).parent / "results" / "shrec14-joint" / "seed-1"
DENSE_HANDS = TRAINED_HANDS / "sgn" / "model.safetensors"
HANDS = {
    "dense": DENSE_HANDS,
    "adasgn": TRAINED_HANDS / "adasgn-a1" / "model.safetensors",
    DEFAULT: shipped_weights(),
}
BODIES = {"dense": ModelConfig.dense(25, 60), "adasgn": ModelConfig(25, 60, branch_grid((1, 9, 25)))}


@cache
def config_of(subject: str, model: str) -> ModelConfig:
    """The shape of one of MODELS."""
    return BODIES[model] if subject == "ntu25" else load_weights(HANDS[model]).model.config


@dataclass(frozen=True)
class OnClips:
    """A model, and what it does on its subject's clips.

    actions: (N, T) the branches that frames take, of a model that escalates the one at which each clip ends; margin:
    (N, T) by which each was decided, infinite where nothing is (adasgn_edge/bench/reference.py).
    """

    trained: TrainedModel
    reference: TorchReference
    actions: NDArray[np.int64]
    margin: NDArray[np.float64]

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.trained.model.config

    @property
    def decided(self) -> NDArray[np.bool_]:
        """(N,) whether every float32 engine must route the clip as the reference does."""
        return (self.margin > MARGIN).all(axis=1)

    def facts(self) -> dict[str, Any]:
        """For the report, as plain values. macs: mean of a clip, full count."""
        counts = np.bincount(self.actions.ravel(), minlength=len(self.config.branches))
        effort = self.trained.effort
        return {
            "shares": dict(zip(self.config.branch_names, (counts / counts.sum()).tolist(), strict=True)),
            "escalates": self.config.escalates,
            "effort": None if effort is None else effort.default,
            "threshold": None if effort is None else threshold_of(effort, None),
            "macs": float(CostTable(self.config).full[self.actions].mean()),
            "clips": len(self.actions),
            "undecided": int((~self.decided).sum()),
        }


@dataclass(frozen=True)
class Subject:
    """One skeleton's models and the clips they run on.

    models: by the names in MODELS; forced: whether their actions are imposed because the policy is untrained (it is run
    and paid for all the same); weights: where the weights come from, for people.
    """

    name: str
    title: str
    models: dict[str, OnClips]
    clips: Clips
    forced: bool
    weights: str

    def facts(self) -> dict[str, Any]:
        """For the report, as plain values."""
        models = {name: model.facts() for name, model in self.models.items()}
        return {"title": self.title, "clips": self.clips.source, "weights": self.weights, "models": models}

    def write(self, folder: Path) -> None:
        """Write every model as ``<name>-<model>.adasgn``."""
        for name, model in self.models.items():
            write_model_file(folder / f"{self.name}-{name}.adasgn", to_model_file(model.trained))


def _hands() -> Subject:
    trained = {name: load_weights(HANDS[name]) for name in MODELS["shrec22"]}
    clips = default_clips(trained[DEFAULT].layout, 14)
    return Subject(
        name="shrec22",
        title="hands: 22 joints, 14 gestures (SHREC'17)",
        models={name: _on_clips(one, clips) for name, one in trained.items()},
        clips=clips,
        forced=False,
        weights="trained (docs/results.md has the accuracies); the default AdaSGN is the shipped model at its own "
        "effort, AdaSGN with a policy the paper's six branches, trained with α = 1",
    )


def _bodies() -> Subject:
    layout = load_layout("ntu25")
    classes = tuple(f"A{number}" for number in range(1, 61))

    def untrained(config: ModelConfig) -> TrainedModel:
        torch.manual_seed(0)
        model = build_model(config, layout).eval()
        for name, tensor in model.state_dict().items():  # nothing at its initial zero or one
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape)
                tensor.copy_(noise + 0.5 if "running_var" in name else tensor + 0.2 * (noise - 0.5))
        return TrainedModel(model, layout, "joint", classes)

    clips = default_clips(layout, len(classes))
    hands = _hands()
    mix = hands.models["adasgn"].actions
    actions = np.resize(mix, (len(clips), mix.shape[1]))
    adaptive = untrained(BODIES["adasgn"])
    imposed = OnClips(adaptive, TorchReference(adaptive.model), actions, np.full(actions.shape, np.inf))
    return Subject(
        name="ntu25",
        title="bodies: 25 joints, 60 actions (NTU RGB+D's shape)",
        models={"dense": _on_clips(untrained(BODIES["dense"]), clips), "adasgn": imposed},
        clips=clips,
        forced=True,
        weights="random (no trained model of this shape is published here); AdaSGN's policy is run and paid for, "
        f"the frames then take the branches that the hands' policy chose on {hands.clips.source}",
    )


def load_subject(name: str) -> Subject:
    """One of MODELS' subjects."""
    return {"shrec22": _hands, "ntu25": _bodies}[name]()


def _on_clips(trained: TrainedModel, clips: Clips) -> OnClips:
    reference = TorchReference(trained.model, threshold=threshold_of(trained.effort, None))
    parts = [reference.decide(part) for part in np.array_split(clips.arrays, 8)]
    actions, margin = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return OnClips(trained, reference, actions, margin)


class StageCost:
    """MACs of the stages of a folded model, for one clip; they add up to the cost table in its model file."""

    def __init__(self, config: ModelConfig) -> None:
        self.temporal = CostTable(config).temporal_convolutions + TEMPORAL * config.classes
        self.policy = config.frames * TAPS * FEATURE * len(config.branches) if config.adaptive else 0
        self._total = total = folded_cost(config)
        alone = np.diff(total, prepend=0) if config.escalates else total
        self.policy_features = 0
        if config.adaptive:
            self.policy_features = int(total[0]) - self.temporal - self.policy
        self._branches = alone - self.temporal - self.policy - self.policy_features

    def branch(self, action: int) -> int:
        """MACs of one branch on every frame, nothing else."""
        return self.policy_features if self.policy and action == 0 else int(self._branches[action])

    def branches(self, actions: NDArray[np.integer]) -> float:
        """Mean MACs of a clip in the branches that its frames take, but for the policy's; actions (N, T)."""
        return float(self._branches[actions].mean())

    def clip(self, actions: NDArray[np.integer]) -> float:
        """Mean MACs of a whole clip; of a model that escalates, of all that it has run by the action it ends at."""
        return float(self._total[actions].mean())
