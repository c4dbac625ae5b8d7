"""Models with random weights as files, each with the reference in float64 beside it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
torch = pytest.importorskip("torch")

from adasgn_edge.deploy.export import to_model_file  # noqa: E402
from adasgn_edge.deploy.model_file import write_model_file  # noqa: E402
from adasgn_edge.effort import EffortTable, Levels, calibrate  # noqa: E402
from adasgn_edge.model.adasgn import AdaSGN, AnyModel, EscalatingSGN, build_model  # noqa: E402
from adasgn_edge.model.config import POSE, Branch, CausalShape, ModelConfig, branch_grid  # noqa: E402
from adasgn_edge.model.cost import CostTable  # noqa: E402
from adasgn_edge.model.spatial import motion  # noqa: E402
from adasgn_edge.model.weights import TrainedModel  # noqa: E402
from adasgn_edge.recognition import Recognition  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402

CONFIGS = {
    "shrec22": ("shrec22", ModelConfig(22, 14, branch_grid((1, 11, 22)))),
    "ntu25": ("ntu25", ModelConfig(25, 60, branch_grid((1, 9, 25)))),
    "dense22": ("shrec22", ModelConfig.dense(22, 14)),
    "dense25": ("ntu25", ModelConfig.dense(25, 120)),
    "single": ("ntu25", ModelConfig(25, 2, branch_grid((9,), ("small",)), 7, True, False)),
    "pose22": ("shrec22", ModelConfig(22, 14, (Branch(22, POSE), Branch(11, "small"), *branch_grid((22,))))),
    "pose25": ("ntu25", ModelConfig(25, 60, (Branch(25, POSE),), adaptive=False)),
    "stride22": ("shrec22", ModelConfig(22, 14, (Branch(22, POSE), Branch(22, "small")), 7, stride=2)),
    "escalating22": (
        "shrec22",
        ModelConfig(
            22, 14, (Branch(22, POSE), *branch_grid((11, 22), ("small",))), adaptive=False, escalates=True, stride=2
        ),
    ),
    "short": ("shrec22", ModelConfig(22, 3, branch_grid((1, 22), ("big",)), 1)),
}
TRAIL = CausalShape(origin=1)  # of T = 15, lead = 9
PALM = CausalShape((1, 3), (3, 5), 4, origin=1)
CAUSAL = {
    "causal25": ("shrec22", ModelConfig(25, 18, (Branch(25, POSE),), TRAIL.frames, adaptive=False, causal=TRAIL)),
    "causal small": (
        "shrec22",
        ModelConfig(24, 300, (Branch(13, "small"),), PALM.frames, adaptive=False, causal=PALM),
    ),
    "causal dense": ("ntu25", ModelConfig.dense(28, 18, TRAIL.frames, TRAIL)),
    "causal escalating": (
        "shrec22",
        ModelConfig(
            24, 14, (Branch(24, POSE), Branch(13, "small"), Branch(24, "big")), PALM.frames, adaptive=False,
            escalates=True, causal=PALM,
        ),
    ),
}  # fmt: skip
"""Models for streams, which the torch ops do not run."""


class Pair(NamedTuple):
    """A model file and the model it was made from, in float64."""

    path: Path
    reference: AnyModel

    def clips(self, count: int, seed: int = 0) -> np.ndarray:
        """Random clips (count, T, V, C), of a causal model windows (count, lead + T, V_r, C)."""
        config = self.reference.config
        shape = (count, config.clip_frames, config.recorded_joints, 3)
        return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@torch.no_grad()
def random_effort(model: EscalatingSGN) -> EffortTable:
    """The dial on random clips, once the model's confidences are neither all alike nor all 1."""
    config = model.config
    clips = torch.randn(64, config.clip_frames, config.recorded_joints, 3)
    first = model.branch_logits(clips)[0]
    model.temporal.classify.bias -= first.mean(0)
    spread = first.std(0).mean() / 2
    model.temporal.classify.weight /= spread
    model.temporal.classify.bias /= spread
    probabilities = model.branch_logits(clips).softmax(-1).double().numpy()
    return calibrate(Levels(probabilities, CostTable(config).full), np.arange(64) % config.classes, 0.3)


def random_pair(folder: Path, name: str) -> Pair:
    """A model with nothing at its initial zero or one, whose policy or escalation uses several branches."""
    known = CONFIGS if name in CONFIGS else CAUSAL
    layout_name, config = known[name]
    layout = load_layout(layout_name)
    torch.manual_seed(sorted(known).index(name))
    model = build_model(config, layout).eval()
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape)
            tensor.copy_(noise + 0.5 if "running_var" in key else tensor + 0.2 * (noise - 0.5))
            if key == "policy.weight":
                tensor.mul_(5)
    effort = None
    if isinstance(model, EscalatingSGN):
        effort = random_effort(model)
    if isinstance(model, AdaSGN):  # a bias that leaves every branch about equally likely
        clips = torch.randn(32, config.frames, config.joints, 3)
        with torch.no_grad():
            logits = model.action_logits(model.policy_features(motion(clips).flatten(0, 1)), 32)
            model.policy.bias -= logits.mean((0, 1))
    names = tuple(f"class {label}" for label in range(config.classes))
    path = folder / f"{name}.adasgn"
    rules = None if config.causal is None else Recognition(50_000_000, config.classes - 1)
    trained = TrainedModel(model, layout, "joint", names, effort=effort, recognition=rules)
    write_model_file(path, to_model_file(trained))
    return Pair(path, model.double())


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("models")
    return {name: random_pair(folder, name) for name in CONFIGS}


@pytest.fixture(scope="session")
def causal_pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("causal")
    return {name: random_pair(folder, name) for name in CAUSAL}


@pytest.fixture(params=sorted(set(CONFIGS) - {"escalating22"}))
def pair(request: pytest.FixtureRequest, pairs: dict[str, Pair]) -> Pair:
    return pairs[request.param]


@pytest.fixture
def shrec(pairs: dict[str, Pair]) -> Pair:
    return pairs["shrec22"]


@pytest.fixture(params=["shrec22", "pose22"])
def adaptive(request: pytest.FixtureRequest, pairs: dict[str, Pair]) -> Pair:
    """AdaSGN on 22 joints, its first branch S-1 or P-22."""
    return pairs[request.param]


@pytest.fixture
def escalating(pairs: dict[str, Pair]) -> Pair:
    """A model that escalates through three branches, its temporal module with a stride."""
    return pairs["escalating22"]
