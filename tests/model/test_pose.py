"""The pose branch: against its equation in plain NumPy, what it costs, and its place in a model."""

import numpy as np
import pytest

from adasgn_edge.errors import ModelConfigError
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid
from adasgn_edge.model.cost import CostTable

torch = pytest.importorskip("torch")

from adasgn_edge.model.adasgn import SGN, AdaSGN, build_model  # noqa: E402
from adasgn_edge.model.spatial import PoseBranch, motion  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402
from tests.model.test_model import shaken  # noqa: E402

LAYOUT = load_layout("shrec22")
P22 = Branch(22, POSE)
SINGLE = ModelConfig(22, 5, (P22,), frames=6, adaptive=False)
ADAPTIVE = ModelConfig(22, 5, (P22, Branch(11, "small"), *branch_grid((22,))), frames=6)


def transcribed(branch: PoseBranch, frames: np.ndarray, training: bool) -> np.ndarray:
    """Clip (B, T, V, 3) to features (B·T, 256) with one loop per statement of the definition."""
    state = {name: tensor.numpy() for name, tensor in branch.state_dict().items()}

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        mean, variance = (x.mean(0), x.var(0)) if training else (state[f"{name}.running_mean"],
                                                                  state[f"{name}.running_var"])  # fmt: skip
        return (x - mean) / np.sqrt(variance + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    rows = []
    for clip in frames:
        for t, frame in enumerate(clip):
            velocity = frame - clip[t - 1] if t > 0 else np.zeros_like(frame)
            rows.append([*frame.ravel(), *velocity.ravel()])
    x = norm("norm", np.array(rows))
    x = np.maximum(norm("hidden_norm", linear("hidden", x)), 0)
    return np.maximum(norm("output_norm", linear("output", x)), 0)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("joints", [1, 22])
@torch.no_grad()
def test_it_is_its_equation(training, joints):
    branch = shaken(PoseBranch(joints)).double()
    clips = torch.randn(3, 4, joints, 3, generator=torch.Generator().manual_seed(1)).double()
    expected = transcribed(branch, clips.numpy(), training)
    found = branch.train(training)(motion(clips).flatten(0, 1))
    assert found.shape == (12, 256)
    assert (found > 0).any()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-10)


def test_its_cost_is_two_products_a_frame_in_every_convention():
    single, adaptive = CostTable(SINGLE), CostTable(ADAPTIVE)
    spatial = 6 * (132 * 256 + 256 * 256)
    assert single.full_spatial[0] == spatial
    assert single.paper[0] == spatial + single.temporal_convolutions
    assert adaptive.full[0] == adaptive.full_fixed
    assert adaptive.full_fixed == spatial + adaptive.temporal_convolutions + 512 * 5 + 6 * 3 * 256 * 4
    assert (np.diff(adaptive.paper) > 0).all()
    paper_s1 = CostTable(ModelConfig(22, 14, branch_grid((1,)))).paper[0]
    assert CostTable(ModelConfig(22, 14, (P22,), adaptive=False)).paper[0] < paper_s1


def test_parameters():
    branch = PoseBranch(22)
    expected = 2 * 132 + 132 * 256 + 3 * 256 + 256 * 256 + 3 * 256
    assert sum(parameter.numel() for parameter in branch.parameters()) == expected


def test_a_model_of_it_alone_has_no_transform():
    model = build_model(SINGLE, LAYOUT)
    assert isinstance(model, SGN)
    assert isinstance(model.spatial, PoseBranch)
    assert model.eval()(torch.randn(2, 6, 22, 3)).logits.shape == (2, 5)
    with pytest.raises(ModelConfigError, match="expected no initial transform for P-22"):
        SGN(SINGLE, LAYOUT.group_averages(1))


@torch.no_grad()
def test_the_policy_looks_at_it():
    model = shaken(build_model(ADAPTIVE, LAYOUT)).double().eval()
    assert isinstance(model, AdaSGN)
    clips = torch.randn(2, 6, 22, 3, generator=torch.Generator().manual_seed(3)).double()
    moving = motion(clips).flatten(0, 1)
    features = model.policy_features(moving)
    torch.testing.assert_close(features, model.branches[0](moving), rtol=0, atol=0)
    logits = model.action_logits(features, 2)
    assert logits.shape == (2, 6, 4)
    prediction = model(clips)
    assert torch.equal(prediction.actions, logits.argmax(-1))
    for action, branch in enumerate(model.branches):
        forced = model.forward_forced(clips, torch.full((2, 6), action)).logits
        torch.testing.assert_close(forced, model.temporal(branch(moving).view(2, 6, 256)))


def test_its_weights_come_from_a_single_model():
    adaptive, single = build_model(ADAPTIVE, LAYOUT), shaken(build_model(SINGLE, LAYOUT), seed=4)
    adaptive.load_branch(P22, single)
    torch.testing.assert_close(adaptive.branches[0].hidden.weight, single.spatial.hidden.weight)
    with pytest.raises(ModelConfigError, match="S-11"):
        adaptive.load_branch(Branch(11, "small"), single)


def test_gradients_flow_to_all_of_it():
    model = build_model(ADAPTIVE, LAYOUT).train()
    clips = torch.randn(4, 6, 22, 3)
    uniform = torch.rand(4, 6, 4).clamp(1e-6, 1 - 1e-6)
    logits, actions = model.forward_training(clips, 1.0, uniform)
    (logits.square().sum() + (actions * torch.arange(4)).sum()).backward()
    for name, parameter in model.branches[0].named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_transform_of_an_adaptive_model_is_for_graphs_only():
    with pytest.raises(ModelConfigError, match="expected initial transforms of shapes"):
        AdaSGN(ADAPTIVE, {22: LAYOUT.group_averages(22)})


def test_a_configuration_from_before_there_were_pose_branches():
    old = {"joints": 22, "classes": 5, "joint_sets": [11, 22], "sizes": ["small", "big"], "frames": 6,
           "transform": True, "adaptive": True}  # fmt: skip
    assert ModelConfig.from_dict(old) == ModelConfig(22, 5, branch_grid((11, 22)), 6)
    assert ModelConfig.from_dict(ADAPTIVE.to_dict()) == ADAPTIVE
    assert ADAPTIVE.to_dict()["branches"] == ["P-22", "S-11", "S-22", "B-22"]
    assert ADAPTIVE.joint_sets == (11, 22)
    with pytest.raises(ModelConfigError, match="expected the keys"):
        ModelConfig.from_dict({**old, "branches": ["S-11"]})
