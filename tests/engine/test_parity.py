"""The native engine against the reference in float64, on every instruction set of this processor."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.engine import instruction_sets  # noqa: E402
from adasgn_edge.model.adasgn import AdaSGN  # noqa: E402
from adasgn_edge.model.spatial import motion  # noqa: E402

TOLERANCE = 1e-5  # of a feature's norm
MARGIN = 1e-4  # actions must agree where the top two logits are further apart


def relative_error(found, expected) -> float:
    """The largest error of a row, relative to the row's norm."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float((np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)).max())


def reference_features(model, clips, actions):
    """Features (B, T, 256) in float64 with given actions (B, T)."""
    if not isinstance(model, AdaSGN):
        return model.features(clips)
    moving = motion(clips).flatten(0, 1)
    features = model.routed_features(moving, torch.as_tensor(actions).flatten().long(), model.policy_features(moving))
    return features.view(*clips.shape[:2], -1)


@pytest.fixture(params=instruction_sets())
def isa(request):
    return request.param


@torch.no_grad()
def test_run_agrees_with_the_reference(pair, isa):
    engine = adasgn_edge.load(pair.path, instruction_set=isa, max_batch=5)
    clips = pair.clips(5)
    tensor = torch.as_tensor(clips).double()
    result = engine.run(clips, features=True)
    if isinstance(pair.reference, AdaSGN):
        moving = motion(tensor).flatten(0, 1)
        logits = pair.reference.policy(pair.reference.policy_features(moving).view(5, -1, 256)).numpy()
        top = np.sort(logits, axis=-1)
        decided = top[..., -1] - top[..., -2] > MARGIN
        assert decided.mean() > 0.95
        assert len(np.unique(result.actions)) > 1
        np.testing.assert_array_equal(result.actions[decided], logits.argmax(-1)[decided])
    else:
        assert not result.actions.any()
    features = reference_features(pair.reference, tensor, result.actions)
    assert relative_error(result.features, features) < TOLERANCE
    assert relative_error(result.logits, pair.reference.temporal(features)) < TOLERANCE


@torch.no_grad()
def test_forced_actions(adaptive, isa):
    engine = adasgn_edge.load(adaptive.path, instruction_set=isa, max_batch=3)
    clips = adaptive.clips(3, seed=1)
    branches = len(adaptive.reference.config.branches)
    actions = np.random.default_rng(2).integers(0, branches, (3, 20))
    for given in (actions, *(np.full_like(actions, branch) for branch in range(branches))):
        result = engine.run(clips, given, features=True)
        np.testing.assert_array_equal(result.actions, given)
        features = reference_features(adaptive.reference, torch.as_tensor(clips).double(), given)
        assert relative_error(result.features, features) < TOLERANCE
        assert relative_error(result.logits, adaptive.reference.temporal(features)) < TOLERANCE


@torch.no_grad()
def test_fuse(adaptive):
    engine = adasgn_edge.load(adaptive.path, max_batch=2)
    clips = adaptive.clips(2, seed=3)
    expected = adaptive.reference.forward_fuse(torch.as_tensor(clips).double()).logits
    result = engine.run_fuse(clips)
    assert relative_error(result.logits, expected) < TOLERANCE
    assert result.actions is None
    assert result.features is None


def test_persons_are_averaged(shrec):
    engine = adasgn_edge.load(shrec.path, max_batch=6)
    clips = shrec.clips(6, seed=4)
    alone = engine.run(clips, features=True)
    together = engine.run(clips.reshape(2, 3, *clips.shape[1:]), features=True)
    np.testing.assert_allclose(together.logits, alone.logits.reshape(2, 3, -1).mean(1), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(together.actions, alone.actions.reshape(2, 3, -1))
    np.testing.assert_array_equal(together.features, alone.features.reshape(2, 3, 20, 256))
    assert engine.run_fuse(clips.reshape(3, 2, *clips.shape[1:])).logits.shape == (3, 14)


def check_stages(engine, pair):
    """The stages put together are run, on an exact engine of any device."""
    clips = pair.clips(2, seed=5)
    previous = np.concatenate([clips[:, :1], clips[:, :-1]], axis=1)
    frames, before = clips.reshape(-1, 22, 3), previous.reshape(-1, 22, 3)
    whole = engine.run(clips, features=True)
    policy = engine.policy_features(frames, before)
    actions, logits = engine.actions(policy.reshape(2, 20, 256))
    np.testing.assert_array_equal(actions, whole.actions)
    np.testing.assert_array_equal(logits.argmax(-1), actions)
    for known in (policy, None):
        features = engine.branch_features(frames, before, actions.ravel(), known).reshape(2, 20, 256)
        assert relative_error(features, whole.features) < 1e-6
    assert relative_error(engine.temporal_head(features), whole.logits) < 1e-6
    still = engine.policy_features(frames)
    np.testing.assert_array_equal(still, engine.policy_features(frames, frames))


def test_stages_put_together_are_run(adaptive):
    check_stages(adasgn_edge.load(adaptive.path, max_batch=2), adaptive)


def test_the_batch_does_not_change_a_clip(shrec):
    engine = adasgn_edge.load(shrec.path, max_batch=9, threads=2)
    clips = shrec.clips(9, seed=6)
    whole = engine.run(clips).logits
    for size in (1, 2, 4):
        parts = np.concatenate([engine.run(clips[i : i + size]).logits for i in range(0, 9, size)])
        assert relative_error(parts, whole) < 1e-6
    assert engine.run(clips[:0]).logits.shape == (0, 14)


@torch.no_grad()
def test_half_precision_weights(adaptive, tmp_path):
    from adasgn_edge.deploy.model_file import ModelFile, read_model_file, write_model_file

    full = read_model_file(adaptive.path)
    half = ModelFile(full.folded, full.layout, full.class_names, full.stream, full.window, "f16")
    path = tmp_path / "half.adasgn"
    write_model_file(path, half)
    clips = adaptive.clips(2, seed=7)
    result = adasgn_edge.load(path).run(clips)
    folded = read_model_file(path).folded.astype(np.float64)
    expected = folded.forward(clips.astype(np.float64), result.actions.astype(np.int64))
    assert relative_error(result.logits, expected.logits) < TOLERANCE
    np.testing.assert_array_equal(result.actions, adasgn_edge.load(adaptive.path).run(clips).actions)
