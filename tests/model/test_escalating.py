"""A model that escalates: unsure samples go on, and nothing else of a sample changes."""

import numpy as np
import pytest
import torch

from adasgn_edge.deploy.fold_weights import fold
from adasgn_edge.effort import Levels, escalate
from adasgn_edge.errors import ModelConfigError
from adasgn_edge.model.adasgn import AdaSGN, EscalatingSGN, build_model
from adasgn_edge.model.config import Branch, ModelConfig
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.temporal import TemporalModule
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
BRANCHES = tuple(map(Branch.parse, ("P-22", "S-11", "B-22")))


def escalating(stride=1, frames=7, classes=5) -> EscalatingSGN:
    config = ModelConfig(22, classes, BRANCHES, frames, adaptive=False, escalates=True, stride=stride)
    torch.manual_seed(0)
    model = build_model(config, LAYOUT)
    assert isinstance(model, EscalatingSGN)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            tensor.normal_(0, 0.3)
    model.branches[0].output_norm.weight.data.mul_(0.1)  # less sure than the others, so that two may be sure enough
    return model.double().eval()


def clips(count, frames=7):
    return torch.randn(count, frames, 22, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("persons", [1, 2, 3])
@torch.no_grad()
def test_it_does_what_was_calibrated_and_what_is_folded(stride, persons):
    model, clip = escalating(stride), clips(24)
    per_track = model.branch_logits(clip)  # (A, B, K)
    per_sample = per_track.view(len(BRANCHES), -1, persons, 5).mean(2).softmax(-1).numpy()
    folded = fold({name: tensor.numpy() for name, tensor in model.state_dict().items()}, model.config)
    reached = set()
    thresholds = np.quantile(per_sample[:2].cumsum(0).max(-1) / [[1], [2]], np.linspace(0.05, 0.95, 10))
    for threshold in (0.0, *thresholds, 2.0):
        expected, level = escalate(Levels(per_sample, CostTable(model.config).full), threshold)
        found = model(clip, threshold, persons)
        np.testing.assert_allclose(found.logits.exp().numpy(), expected, atol=1e-12)
        assert found.actions.shape == (24, 7)
        assert (found.actions.reshape(-1, persons * 7).numpy() == level[:, None]).all()
        twin = folded.forward(clip.numpy(), threshold=threshold, persons=persons)
        np.testing.assert_allclose(twin.logits, found.logits.numpy(), atol=1e-11)
        np.testing.assert_array_equal(twin.actions, found.actions.numpy())
        reached |= set(level.tolist())
    assert reached == {0, 1, 2}, "the test needs samples that end everywhere"


@torch.no_grad()
def test_a_forced_branch_is_that_branch_alone():
    model, clip = escalating(), clips(6)
    for action in range(len(BRANCHES)):
        forced = model.forward_forced(clip, torch.full((6, 7), action)).logits
        torch.testing.assert_close(forced, model.branch_logits(clip)[action])
    torch.testing.assert_close(model.forward_fuse(clip).logits, model.branch_logits(clip).mean(0))


def test_training_sees_every_branch_and_a_mixture():
    model, clip = escalating(), clips(16)
    uniform = torch.rand(16, 7, 3, generator=torch.Generator().manual_seed(2))
    mixed = model.forward_training(clip, uniform)[-1]
    share, others = uniform[:, :1, 0], 1 + (uniform[..., 1] * 2).long()
    actions = torch.where(uniform[..., 2] < share, others, 0)
    assert set(actions.flatten().tolist()) == {0, 1, 2}
    torch.testing.assert_close(mixed, model.forward_forced(clip, actions).logits)
    torch.testing.assert_close(model.forward_training(clip, uniform)[:-1], model.branch_logits(clip))


def test_a_clip_pays_for_every_branch_up_to_its_last():
    config = escalating(stride=2, frames=20, classes=14).config
    table, single = CostTable(config), [CostTable(config.single(branch)) for branch in BRANCHES]
    np.testing.assert_array_equal(table.full, np.cumsum([one.full[0] for one in single]))
    np.testing.assert_array_equal(table.paper, np.cumsum([one.paper[0] for one in single]))
    assert table.full[0] / 1e6 == pytest.approx(5.27, abs=0.01)


@pytest.mark.parametrize(("frames", "rows"), [(1, 1), (2, 1), (7, 4), (20, 10)])
@torch.no_grad()
def test_a_stride_leaves_out_every_second_row_of_the_first_convolution(frames, rows):
    torch.manual_seed(0)
    strided, plain = TemporalModule(frames, 5, stride=2).eval(), TemporalModule(frames, 5).eval()
    plain.load_state_dict(strided.state_dict())
    features = torch.randn(3, frames, 256)
    made = strided.across(features)
    assert made.shape == (3, rows, 256)
    torch.testing.assert_close(made, plain.across(features)[:, ::2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adaptive": True, "escalates": True}, "a policy or escalation"),
        ({"branches": BRANCHES[:1]}, "two branches or more"),
        ({"escalates": False}, "one branch in a model without"),
        ({"stride": 3}, "a stride of 1 or 2"),
        ({"stride": 0}, "a stride of 1 or 2"),
    ],
)
def test_configurations_that_make_no_sense(change, message):
    values = {"joints": 22, "classes": 5, "branches": BRANCHES, "adaptive": False, "escalates": True, **change}
    with pytest.raises(ModelConfigError, match=message):
        ModelConfig(**values)


def test_a_model_is_built_for_its_own_configuration():
    config = escalating().config
    transforms = {count: LAYOUT.group_averages(count) for count in config.joint_sets}
    with pytest.raises(ModelConfigError, match="adaptive configuration"):
        AdaSGN(config, transforms)
    with pytest.raises(ModelConfigError, match="that escalates"):
        EscalatingSGN(ModelConfig(22, 5, BRANCHES), transforms)
    with pytest.raises(ModelConfigError, match="initial transforms of shapes"):
        EscalatingSGN(config, {})
