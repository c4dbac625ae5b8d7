"""The model against a plain transcription of the equations, and what its parts promise."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from adasgn_edge.bench.conv2d_sgn import Conv2dSGN  # noqa: E402
from adasgn_edge.errors import ModelConfigError  # noqa: E402
from adasgn_edge.model.adasgn import SGN, AdaSGN, build_model, gumbel_straight_through  # noqa: E402
from adasgn_edge.model.config import Branch, ModelConfig, branch_grid  # noqa: E402
from adasgn_edge.model.spatial import motion  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402

LAYOUT = load_layout("shrec22")
CONFIG = ModelConfig(joints=22, classes=5, branches=branch_grid((1, 11, 22)), frames=6)


def shaken(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random values in every parameter and statistic, so that nothing is tested at its initial zero or one."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.copy_(noise + 0.5 if "running_var" in name else tensor + 0.2 * (noise - 0.5))
    return model


@pytest.fixture
def adaptive() -> AdaSGN:
    torch.manual_seed(0)
    return shaken(build_model(CONFIG, LAYOUT)).double().eval()


@pytest.fixture
def clip() -> torch.Tensor:
    return torch.randn(3, 6, 22, 3, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("joints", "layout"), [(22, "shrec22"), (25, "ntu25")])
def test_dense_sgn_is_the_published_network(training, joints, layout):
    torch.manual_seed(0)
    ours = shaken(build_model(ModelConfig.dense(joints, 7, frames=5), load_layout(layout)))
    plain = Conv2dSGN(ours).double().train(training)
    ours = ours.double().train(training)
    clip = torch.randn(4, 5, joints, 3).double().requires_grad_()
    logits, expected = ours(clip).logits, plain(clip)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)
    gradient = torch.autograd.grad(logits.square().sum(), clip)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.square().sum(), clip)[0], rtol=1e-8, atol=1e-8)


def test_key_bias_has_no_effect(adaptive, clip):
    """Softmax rows absorb φ's bias, which the fast form never reads."""
    before = adaptive(clip).logits
    for branch in adaptive.branches:
        branch.module.adjacency.phi.bias.data.add_(3.0)
    torch.testing.assert_close(adaptive(clip).logits, before, rtol=0, atol=0)


def test_velocity_is_zero_in_the_first_frame(clip):
    moving = motion(clip)
    assert (moving[:, 0, :, 3:] == 0).all()
    torch.testing.assert_close(moving[:, 2, :, 3:], clip[:, 2] - clip[:, 1])


@pytest.mark.parametrize("action", range(6))
def test_forced_action_runs_that_branch_alone(adaptive, clip, action):
    actions = torch.full((3, 6), action)
    features = adaptive.branches[action](motion(clip).flatten(0, 1)).view(3, 6, -1)
    expected = adaptive.temporal(features)
    torch.testing.assert_close(adaptive.forward_forced(clip, actions).logits, expected)


def test_argmax_routing_mixes_branches_frame_by_frame(adaptive, clip):
    adaptive.policy.weight.data.mul_(5)
    prediction = adaptive(clip)
    assert len(prediction.actions.unique()) > 1, "the test needs several branches in use"
    every = adaptive.all_features(motion(clip).flatten(0, 1), adaptive.policy_features(motion(clip).flatten(0, 1)))
    picked = every[torch.arange(18), prediction.actions.flatten()].view(3, 6, -1)
    torch.testing.assert_close(prediction.logits, adaptive.temporal(picked))
    torch.testing.assert_close(adaptive.forward_forced(clip, prediction.actions).logits, prediction.logits)


def test_tie_takes_the_cheapest(adaptive, clip):
    adaptive.policy.weight.data.zero_()
    adaptive.policy.bias.data.zero_()
    assert (adaptive(clip).actions == 0).all()


def test_fuse_averages_the_branches(adaptive, clip):
    one_by_one = [adaptive.forward_forced(clip, torch.full((3, 6), a)).logits for a in range(6)]
    prediction = adaptive.forward_fuse(clip)
    torch.testing.assert_close(prediction.logits, torch.stack(one_by_one).mean(0))
    assert prediction.actions is None


def test_gumbel_sample_is_one_hot_with_relaxed_gradient():
    logits = torch.randn(4, 7, 6, dtype=torch.float64, requires_grad=True)
    uniform = torch.rand(4, 7, 6, dtype=torch.float64)
    sample = gumbel_straight_through(logits, 0.7, uniform)
    torch.testing.assert_close(sample.detach(), nn.functional.one_hot(sample.argmax(-1), 6).double())
    gumbel = -torch.log(-torch.log(uniform))
    assert (sample.argmax(-1) == (logits.log_softmax(-1) + gumbel).argmax(-1)).all()
    weight = torch.randn(4, 7, 6, dtype=torch.float64)
    relaxed = ((logits.log_softmax(-1) + gumbel) / 0.7).softmax(-1)
    expected = torch.autograd.grad((relaxed * weight).sum(), logits)[0]
    torch.testing.assert_close(torch.autograd.grad((sample * weight).sum(), logits)[0], expected)


def test_gumbel_samples_follow_the_policy():
    probabilities = torch.tensor([0.1, 0.2, 0.7])
    uniform = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(0)).clamp(1e-6, 1 - 1e-6)
    sample = gumbel_straight_through(probabilities.log().expand(200_000, 3), 1.0, uniform)
    torch.testing.assert_close(sample.mean(0), probabilities, atol=5e-3, rtol=0)


def training_gradients(model, clip, frozen):
    model.branches.requires_grad_(not frozen)
    model.zero_grad()
    uniform = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(2)).double()
    logits, actions = model.forward_training(clip, 1.0, uniform)
    (logits.square().sum() + (actions * torch.arange(6)).sum()).backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def every_branch_on_every_frame(model, clip):
    """The estimator as the paper states it, without any saving."""
    uniform = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(2)).double()
    moving = motion(clip).flatten(0, 1)
    policy_features = model.policy_features(moving)
    actions = gumbel_straight_through(model.action_logits(policy_features, 3), 1.0, uniform)
    features = (model.all_features(moving, policy_features) * actions.flatten(0, 1).unsqueeze(-1)).sum(1)
    logits = model.temporal(features.view(3, 6, -1))
    model.zero_grad()
    (logits.square().sum() + (actions * torch.arange(6)).sum()).backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("frozen", [False, True])
def test_training_through_taken_branches_gives_the_estimators_gradient(adaptive, clip, frozen):
    adaptive.temporal.train()
    logits, gradients = training_gradients(adaptive, clip, frozen)
    expected_logits, expected = every_branch_on_every_frame(adaptive, clip)
    torch.testing.assert_close(logits, expected_logits)
    assert set(gradients) >= {"policy.weight", "policy.bias"}
    for name, gradient in expected.items():
        found = gradients.get(name, torch.zeros_like(gradient))
        torch.testing.assert_close(found, gradient, rtol=1e-8, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")
    assert gradients["policy.weight"].abs().sum() > 0


def test_batch_statistics_are_updated_on_all_frames_in_paper_mode(adaptive, clip):
    adaptive.train()
    before = adaptive.branches[5].module.layers[0].norm.running_mean.clone()
    adaptive.forward_training(clip, 1.0, torch.rand(3, 6, 6).double())
    assert not torch.equal(before, adaptive.branches[5].module.layers[0].norm.running_mean)


def test_branch_takes_over_a_single_model(adaptive):
    branch = Branch(11, "big")
    single = shaken(build_model(CONFIG.single(branch), LAYOUT), seed=5).double()
    assert isinstance(single, SGN)
    adaptive.load_branch(branch, single)
    torch.testing.assert_close(adaptive.branches[3].transform, single.spatial.transform)
    with pytest.raises(ModelConfigError, match="B-22"):
        adaptive.load_branch(Branch(22, "big"), single)


@pytest.mark.parametrize(("batch", "frames", "joint_sets"), [(1, 1, (1,)), (2, 7, (1, 22)), (1, 33, (1, 11, 22))])
def test_any_frames_and_joint_sets(batch, frames, joint_sets):
    model = build_model(ModelConfig(22, 3, branch_grid(joint_sets), frames=frames), LAYOUT).eval()
    prediction = model(torch.randn(batch, frames, 22, 3))
    assert prediction.logits.shape == (batch, 3)
    assert prediction.actions.shape == (batch, frames)


def test_layout_must_fit():
    with pytest.raises(ModelConfigError, match="22 joints"):
        build_model(ModelConfig.dense(25, 4), LAYOUT)
