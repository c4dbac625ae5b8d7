"""Models with random weights as files, each with the reference in float64 beside it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
torch = pytest.importorskip("torch")

from adasgn_edge.export import to_model_file  # noqa: E402
from adasgn_edge.model.adasgn import SGN, AdaSGN, build_model  # noqa: E402
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid  # noqa: E402
from adasgn_edge.model.spatial import motion  # noqa: E402
from adasgn_edge.model.weights import TrainedModel  # noqa: E402
from adasgn_edge.model_file import write_model_file  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402

CONFIGS = {
    "shrec22": ("shrec22", ModelConfig(22, 14, branch_grid((1, 11, 22)))),
    "ntu25": ("ntu25", ModelConfig(25, 60, branch_grid((1, 9, 25)))),
    "dense22": ("shrec22", ModelConfig.dense(22, 14)),
    "dense25": ("ntu25", ModelConfig.dense(25, 120)),
    "single": ("ntu25", ModelConfig(25, 2, branch_grid((9,), ("small",)), 7, True, False)),
    "pose22": ("shrec22", ModelConfig(22, 14, (Branch(22, POSE), Branch(11, "small"), *branch_grid((22,))))),
    "pose25": ("ntu25", ModelConfig(25, 60, (Branch(25, POSE),), adaptive=False)),
    "short": ("shrec22", ModelConfig(22, 3, branch_grid((1, 22), ("big",)), 1)),
}


class Pair(NamedTuple):
    """A model file and the model it was made from, in float64."""

    path: Path
    reference: SGN | AdaSGN

    def clips(self, count: int, seed: int = 0) -> np.ndarray:
        """Random clips (count, T, V, C)."""
        config = self.reference.config
        shape = (count, config.frames, config.joints, 3)
        return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def random_pair(folder: Path, name: str) -> Pair:
    """A model with nothing at its initial zero or one, whose policy uses several branches."""
    layout_name, config = CONFIGS[name]
    layout = load_layout(layout_name)
    torch.manual_seed(sorted(CONFIGS).index(name))
    model = build_model(config, layout).eval()
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape)
            tensor.copy_(noise + 0.5 if "running_var" in key else tensor + 0.2 * (noise - 0.5))
            if key == "policy.weight":
                tensor.mul_(5)
    if isinstance(model, AdaSGN):  # a bias that leaves every branch about equally likely
        clips = torch.randn(32, config.frames, config.joints, 3)
        with torch.no_grad():
            logits = model.action_logits(model.policy_features(motion(clips).flatten(0, 1)), 32)
            model.policy.bias -= logits.mean((0, 1))
    names = tuple(f"class {label}" for label in range(config.classes))
    path = folder / f"{name}.adasgn"
    write_model_file(path, to_model_file(TrainedModel(model, layout, "joint", names)))
    return Pair(path, model.double())


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("models")
    return {name: random_pair(folder, name) for name in CONFIGS}


@pytest.fixture(params=sorted(CONFIGS))
def pair(request: pytest.FixtureRequest, pairs: dict[str, Pair]) -> Pair:
    return pairs[request.param]


@pytest.fixture
def shrec(pairs: dict[str, Pair]) -> Pair:
    return pairs["shrec22"]


@pytest.fixture(params=["shrec22", "pose22"])
def adaptive(request: pytest.FixtureRequest, pairs: dict[str, Pair]) -> Pair:
    """AdaSGN on 22 joints, its first branch S-1 or P-22."""
    return pairs[request.param]
