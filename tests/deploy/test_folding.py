"""The folded model equals the trained one: to 1e-12 in float64, the same branches taken."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from adasgn_edge.data.preprocess import make_clip  # noqa: E402
from adasgn_edge.data.reading import read_number_rows  # noqa: E402
from adasgn_edge.deploy.fold_weights import fold  # noqa: E402
from adasgn_edge.deploy.folded_network import FoldedModel, folded_cost, motion  # noqa: E402
from adasgn_edge.errors import CheckpointError  # noqa: E402
from adasgn_edge.model import spatial  # noqa: E402
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid  # noqa: E402
from adasgn_edge.model.weights import load_weights, shipped_weights  # noqa: E402
from adasgn_edge.skeletons import SkeletonLayout, load_layout  # noqa: E402
from tests.conftest import POLICY_WEIGHTS  # noqa: E402

ONE_JOINT = SkeletonLayout("one", ("hand",), (), ("hand",), None, (0.0, 1.0, 0.0), {})

NTU = ModelConfig(25, 60, branch_grid((1, 9, 25)))
ADAPTIVE = [
    ("ntu25", NTU),
    ("shrec22", ModelConfig(22, 14, branch_grid((1, 11, 22)), frames=6)),
    ("shrec22", ModelConfig(22, 3, branch_grid((11, 22), ("small",)), frames=3)),  # a policy on several joints
    ("shrec22", ModelConfig(22, 2, branch_grid((1,)), frames=2)),
    ("ntu25", ModelConfig(25, 4, branch_grid((1, 25), ("big",)), frames=1)),  # one frame: no neighbours on either side
    ("shrec22", ModelConfig(22, 14, (Branch(22, POSE), *branch_grid((11, 22))), frames=6)),
    (ONE_JOINT, ModelConfig(1, 2, (Branch(1, POSE), Branch(1, "small")), frames=4)),
]
SINGLE = [
    *[
        ("ntu25", ModelConfig(25, 60, branch_grid((1, 9, 25))).single(Branch.parse(b)))
        for b in ["S-1", "B-1", "S-9", "B-9", "S-25", "B-25"]
    ],
    ("shrec22", ModelConfig(22, 14, branch_grid((11,), ("big",)), 7, adaptive=False)),
    ("ntu25", ModelConfig.dense(25, 60)),
    ("shrec22", ModelConfig.dense(22, 28, frames=5)),
    (ONE_JOINT, ModelConfig.dense(1, 2, frames=4)),
    ("ntu25", ModelConfig(25, 60, (Branch(25, POSE),), adaptive=False)),
    (ONE_JOINT, ModelConfig(1, 2, (Branch(1, POSE),), frames=1, adaptive=False)),
]


def named(cases):
    names = [f"{layout if isinstance(layout, str) else layout.name}-{'/'.join(c.branch_names)}-T{c.frames}"
             f"{'' if c.transform else '-dense'}" for layout, c in cases]  # fmt: skip
    return pytest.mark.parametrize(("layout", "config"), cases, ids=names)


def relative_error(found, expected) -> float:
    expected = expected.numpy() if isinstance(expected, torch.Tensor) else expected
    assert found.shape == expected.shape
    assert np.ptp(expected) > 0, "the test needs values that differ"
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def random_clips(config, count=3, seed=1):
    return np.random.default_rng(seed).normal(size=(count, config.frames, config.joints, 3))


@torch.no_grad()
def assert_folding_is_exact(model, clips, tolerance=1e-12):
    """Features of each branch on each frame, action logits, actions and class logits."""
    model = model.double().eval()
    folded = fold(model.state_dict(), model.config)
    clip = torch.from_numpy(clips)
    moving, moving_np = spatial.motion(clip).flatten(0, 1), motion(clips).reshape(-1, *clips.shape[2:3], 6)
    branches = model.branches if model.config.routes else [model.spatial]
    for branch, twin in zip(branches, folded.branches, strict=True):
        assert relative_error(twin(moving_np), branch(moving)) < tolerance
    if model.config.adaptive:
        features = model.policy_features(moving)
        expected = model.action_logits(features, len(clip))
        assert relative_error(folded.action_logits(folded.policy_features(moving_np), len(clip)), expected) < tolerance
    if model.config.routes:
        assert relative_error(folded.forward_fuse(clips).logits, model.forward_fuse(clip).logits) < tolerance
        forced = np.random.default_rng(2).integers(len(branches), size=clips.shape[:2])
        expected = model.forward_forced(clip, torch.from_numpy(forced)).logits
        assert relative_error(folded.forward(clips, forced).logits, expected) < tolerance
    prediction, twin = model(clip), folded.forward(clips)
    np.testing.assert_array_equal(twin.actions, prediction.actions.numpy())
    assert relative_error(twin.logits, prediction.logits) < tolerance
    return twin


@named(ADAPTIVE)
def test_adaptive_model(random_trained, layout, config):
    prediction = assert_folding_is_exact(random_trained(config, load_layout(layout)).model, random_clips(config))
    assert config.frames < 3 or len(np.unique(prediction.actions)) > 1, "the test needs several branches in use"


@named(SINGLE)
def test_dense_and_single_models(random_trained, layout, config):
    assert_folding_is_exact(random_trained(config, load_layout(layout)).model, random_clips(config))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_random_weights(random_trained, seed):
    config = ModelConfig(22, 14, branch_grid((1, 11, 22)))
    model = random_trained(config, load_layout("shrec22"), seed).model
    assert_folding_is_exact(model, random_clips(config, seed=seed))


def real_clips(root, layout, frames, count=16):
    """A few of the SHREC'17 test gestures below `root`, (count, T, V, C)."""
    lines = (root / "test_gestures.txt").read_text().splitlines()
    clips = []
    for line in lines[:: len(lines) // count]:
        gesture, finger, subject, essai, *_ = line.split()
        path = root / f"gesture_{gesture}/finger_{finger}/subject_{subject}/essai_{essai}/skeletons_world.txt"
        clips.append(make_clip(read_number_rows(path, 66).reshape(-1, 22, 3), layout, frames))
    return np.stack(clips).astype(np.float64)


@pytest.mark.parametrize("weights", [shipped_weights(), POLICY_WEIGHTS], ids=["shipped", "policy"])
def test_trained_models_on_real_gestures(data_root, weights):
    trained = load_weights(weights)
    clips = real_clips(data_root / "SHREC17", trained.layout, trained.model.config.frames)
    assert_folding_is_exact(trained.model, clips)
    if trained.model.config.escalates:
        folded = fold(trained.model.state_dict(), trained.model.config)
        taken = set()
        for effort in (0.1, 0.5, 1.0):
            threshold = trained.effort.threshold(effort)
            prediction = trained.model(torch.from_numpy(clips), threshold)
            twin = folded.forward(clips, threshold=threshold)
            np.testing.assert_array_equal(twin.actions, prediction.actions.numpy())
            assert relative_error(twin.logits, prediction.logits.detach()) < 1e-12
            taken |= set(twin.actions.ravel().tolist())
        assert taken == {0, 1}


def test_float32_keeps_the_dtype_and_the_result(random_trained):
    config = ModelConfig(22, 14, branch_grid((1, 11, 22)))
    folded = fold(random_trained(config, load_layout("shrec22")).model.state_dict(), config)
    clips = random_clips(config)
    single, double = folded.astype(np.float32).forward(clips.astype(np.float32)), folded.forward(clips)
    assert single.logits.dtype == np.float32
    assert double.logits.dtype == np.float64
    np.testing.assert_array_equal(single.actions, double.actions)
    assert relative_error(single.logits, double.logits) < 1e-5


def test_tie_takes_the_cheapest(random_trained):
    config = ModelConfig(22, 3, branch_grid((1, 11)), frames=4)
    state = random_trained(config, load_layout("shrec22")).model.state_dict()
    state["policy.weight"].zero_()
    state["policy.bias"].copy_(torch.tensor([0.0, 1.0, 1.0, 0.5]))
    assert (fold(state, config).forward(random_clips(config)).actions == 1).all()


def test_missing_weight_is_named(random_trained):
    config = ModelConfig.dense(22, 3)
    state = dict(random_trained(config, load_layout("shrec22")).model.state_dict())
    del state["spatial.module.layers.1.itself.weight"]
    with pytest.raises(CheckpointError, match=r"spatial\.module\.layers\.1\.itself\.weight"):
        fold(state, config)


def test_without_policy_there_are_no_action_logits(random_trained):
    config = ModelConfig.dense(22, 3)
    folded = fold(random_trained(config, load_layout("shrec22")).model.state_dict(), config)
    with pytest.raises(ValueError, match="expected an adaptive model"):
        folded.action_logits(np.zeros((20, 256)), 1)


@named([ADAPTIVE[1], ADAPTIVE[-1], SINGLE[0], SINGLE[-1]])
def test_tensors_come_in_the_documented_order_and_shapes(random_trained, layout, config):
    folded = fold(random_trained(config, load_layout(layout)).model.state_dict(), config)
    tensors = folded.tensors()
    assert {name: array.shape for name, array in tensors.items()} == FoldedModel.shapes(config)
    assert list(tensors) == list(FoldedModel.shapes(config))


def test_folded_cost_is_that_of_the_brief_for_ntu25():
    """M MACs of the spatial modules of a 20-frame clip, counted by hand from the forward pass."""
    config = ModelConfig(25, 60, branch_grid((1, 9, 25)))
    temporal = 20 * (3 * 256 * 256 + 256 * 512) + 512 * 60
    spatial_macs = [(folded_cost(config.single(b))[0] - temporal) / 1e6 for b in config.branches]
    np.testing.assert_allclose(spatial_macs, [0.5, 2.3, 8.8, 42, 27.6, 122.5], rtol=0.02)
    pose = ModelConfig(25, 60, (Branch(25, POSE),), adaptive=False)
    assert folded_cost(pose)[0] - temporal == 20 * (150 * 256 + 256 * 256)
    adaptive = folded_cost(config)
    policy = 20 * 3 * 256 * 6
    assert adaptive[0] == folded_cost(config.single(Branch(1, "small")))[0] + policy
    assert adaptive[5] - adaptive[0] == folded_cost(config.single(Branch(25, "big")))[0] - temporal
