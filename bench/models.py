"""The models that are measured: dense SGN and AdaSGN for hands (trained, with two α) and bodies (random weights)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge.export import to_model_file
from adasgn_edge.folded import folded_cost
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import FEATURE, TAPS, TEMPORAL, ModelConfig, branch_grid
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.weights import TrainedModel, load_weights, shipped_weights
from adasgn_edge.model_file import write_model_file
from adasgn_edge.skeletons import load_layout
from bench.clips import Clips, default_clips

__all__ = ["ADAPTIVE_MODELS", "AIM_SUBJECT", "SUBJECTS", "Adaptive", "StageCost", "Subject", "load_subject"]

SUBJECTS = {
    "shrec22": ModelConfig(22, 14, branch_grid((1, 11, 22))),
    "ntu25": ModelConfig(25, 60, branch_grid((1, 9, 25))),
}
"""The adaptive models that are measured, by their layout's name; beside each, dense SGN of the same layout."""
AIM_SUBJECT = "shrec22"
"""The one with trained weights, for which speed has aims."""

ADAPTIVE_MODELS = {"shrec22": ("adasgn", "adasgn-a2"), "ntu25": ("adasgn",)}
"""The AdaSGN models of a subject, the one whose stages are measured first; adasgn-a2 was trained with α = 2."""

TRAINED_HANDS = Path(__file__).parent / "results" / "shrec14-joint" / "seed-1"
DENSE_HANDS = TRAINED_HANDS / "sgn" / "model.safetensors"


@dataclass(frozen=True)
class Adaptive:
    """An AdaSGN, and the branches (N, T) that its frames take on the subject's clips."""

    trained: TrainedModel
    actions: NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """One skeleton's models and the clips they run on.

    adaptive: by the names in ADAPTIVE_MODELS; forced: whether their actions are imposed because the policy is untrained
    (it is run and paid for all the same); weights: where the weights come from, for people.
    """

    name: str
    title: str
    dense: TrainedModel
    adaptive: dict[str, Adaptive]
    clips: Clips
    forced: bool
    weights: str

    def trained(self, model: str) -> TrainedModel:
        """The model called "dense", or an adaptive one."""
        return self.dense if model == "dense" else self.adaptive[model].trained

    def actions(self, model: str) -> NDArray[np.int64]:
        """(N, T) the branches that a model's frames take on the clips."""
        if model == "dense":
            return np.zeros((len(self.clips), self.dense.model.config.frames), np.int64)
        return self.adaptive[model].actions

    def facts(self) -> dict[str, Any]:
        """For the report, as plain values."""
        shares = {}
        for model, adaptive in self.adaptive.items():
            names = adaptive.trained.model.config.branch_names
            counts = np.bincount(adaptive.actions.ravel(), minlength=len(names))
            shares[model] = dict(zip(names, (counts / counts.sum()).tolist(), strict=True))
        return {"title": self.title, "clips": self.clips.source, "weights": self.weights, "action_shares": shares}

    def write(self, folder: Path) -> None:
        """Write every model as ``<name>-<model>.adasgn``."""
        for model in ("dense", *self.adaptive):
            write_model_file(folder / f"{self.name}-{model}.adasgn", to_model_file(self.trained(model)))


def _hands() -> Subject:
    weights = {"adasgn": shipped_weights(), "adasgn-a2": TRAINED_HANDS / "adasgn-a2" / "model.safetensors"}
    trained = {model: load_weights(weights[model]) for model in ADAPTIVE_MODELS["shrec22"]}
    clips = default_clips(trained["adasgn"].layout, 14)
    return Subject(
        name="shrec22",
        title="hands: 22 joints, 14 gestures (SHREC'17)",
        dense=load_weights(DENSE_HANDS),
        adaptive={model: Adaptive(one, _actions(one, clips)) for model, one in trained.items()},
        clips=clips,
        forced=False,
        weights="trained, the policy decides; AdaSGN is the shipped model (α = 1), AdaSGN α=2 a cheaper one "
        "(docs/results.md has the accuracies)",
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
    mix = hands.actions("adasgn")
    return Subject(
        name="ntu25",
        title="bodies: 25 joints, 60 actions (NTU RGB+D's shape)",
        dense=untrained(ModelConfig.dense(25, 60)),
        adaptive={"adasgn": Adaptive(untrained(SUBJECTS["ntu25"]), np.resize(mix, (len(clips), mix.shape[1])))},
        clips=clips,
        forced=True,
        weights="random (no trained model of this shape is published here); AdaSGN's policy is run and paid for, "
        f"the frames then take the branches that the hands' model chose on {hands.clips.source}",
    )


def load_subject(name: str) -> Subject:
    """One of SUBJECTS."""
    return {"shrec22": _hands, "ntu25": _bodies}[name]()


@torch.inference_mode()
def _actions(trained: TrainedModel, clips: Clips) -> NDArray[np.int64]:
    actions = [trained.model(torch.from_numpy(part)).actions for part in np.array_split(clips.arrays, 8)]
    return torch.cat(actions).numpy()


class StageCost:
    """MACs of the stages of a folded model, for one clip; they add up to the cost table in its model file."""

    def __init__(self, config: ModelConfig) -> None:
        self.temporal = CostTable(config).temporal_convolutions + TEMPORAL * config.classes
        self.policy = config.frames * TAPS * FEATURE * len(config.branches) if config.adaptive else 0
        total = folded_cost(config)
        self.policy_features = 0
        if config.adaptive:
            self.policy_features = int(total[0]) - self.temporal - self.policy
        self._branches = total - self.temporal - self.policy - self.policy_features

    def branch(self, action: int) -> int:
        """MACs of one branch on every frame, nothing else."""
        return self.policy_features if self.policy and action == 0 else int(self._branches[action])

    def branches(self, actions: NDArray[np.integer]) -> float:
        """Mean MACs of a clip in all branches but the policy's; actions (N, T)."""
        return float(self._branches[actions].mean())

    def clip(self, actions: NDArray[np.integer]) -> float:
        """Mean MACs of a whole clip."""
        return self.temporal + self.policy + self.policy_features + self.branches(actions)
