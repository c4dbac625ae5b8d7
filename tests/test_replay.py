"""Replay: the last update is the whole clip, costs add up, and the model is behind one small call."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from adasgn_edge.data.preprocess import make_clip, normalise
from adasgn_edge.deploy.model_file import shipped_model
from adasgn_edge.errors import CheckpointError, ClipError, ModelConfigError
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import ModelConfig, branch_grid
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.reference import ReferenceClassifier
from adasgn_edge.model.weights import TrainedModel, save_weights
from adasgn_edge.replay import Replay
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
CONFIG = ModelConfig(22, 14, branch_grid((1, 11, 22)))


def random_model(config: ModelConfig = CONFIG, seed: int = 0) -> torch.nn.Module:
    """Random weights, the policy's included, so that frames take different branches."""
    torch.manual_seed(seed)
    model = build_model(config, LAYOUT)
    for name, parameter in model.named_parameters():
        if name.startswith("policy"):
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def replay() -> Replay:
    return Replay(ReferenceClassifier(random_model()), LAYOUT, CONFIG, GESTURES)


def test_the_last_update_is_the_classification_of_the_whole_clip(replay: Replay) -> None:
    recording = animate("Pinch", seed=1)
    *_, last = replay.play(recording)
    whole = replay.classify(recording)
    with torch.no_grad():
        expected = random_model()(torch.from_numpy(make_clip(recording, LAYOUT, 20))[None])
    assert last.frames == whole.frames == len(recording)
    np.testing.assert_array_equal(last.probabilities, whole.probabilities)
    np.testing.assert_allclose(whole.probabilities, expected.logits.double().softmax(-1)[0].numpy(), rtol=1e-6)
    np.testing.assert_array_equal(whole.actions, expected.actions.numpy())
    assert last.cost == whole.cost


def test_an_update_sees_only_the_frames_received_so_far(replay: Replay) -> None:
    recording = animate("Swipe Left", seed=2)
    cut = recording[:7].copy()
    changed = recording.copy()
    changed[7:] += 1.0
    updates = list(replay.play(recording))
    assert [update.frames for update in updates] == list(range(1, len(recording) + 1))
    np.testing.assert_array_equal(updates[6].probabilities, replay.classify(cut).probabilities)
    np.testing.assert_array_equal(updates[6].probabilities, replay.classify(changed, frames=7).probabilities)
    assert not np.allclose(updates[6].probabilities, updates[-1].probabilities)


def test_update_reads_label_confidence_and_top(replay: Replay) -> None:
    update = replay.classify(animate("Tap"))
    assert update.probabilities.shape == (14,)
    np.testing.assert_allclose(update.probabilities.sum(), 1)
    assert update.top(3)[0] == (update.label, update.confidence)
    assert [probability for _, probability in update.top(14)] == sorted(update.probabilities, reverse=True)


def test_cost_is_the_chosen_branches_against_dense_sgn() -> None:
    actions = np.asarray([[0, 1, 2, 3, 4, 5] * 3 + [0, 0]])

    def classify(clip: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        return np.zeros((len(clip), 14), dtype=np.float32), np.repeat(actions, len(clip), axis=0)

    replay = Replay(classify, LAYOUT, CONFIG, GESTURES)
    table, dense = CostTable(CONFIG), CostTable(ModelConfig.dense(22, 14))
    cost = replay.classify(animate("Grab")).cost
    assert cost.paper == pytest.approx(table.paper[actions[0]].mean())
    assert cost.full == pytest.approx(table.full[actions[0]].mean())
    assert cost.paper_ratio == pytest.approx(cost.paper / dense.paper[0])
    assert cost.full_ratio == pytest.approx(cost.full / dense.full[0])
    pair = replay.classify([animate("Grab"), animate("Tap")]).cost
    assert pair.paper == pytest.approx(2 * cost.paper)
    assert pair.full_ratio == pytest.approx(cost.full_ratio)
    np.testing.assert_allclose(replay.shares(actions), np.asarray([5, 3, 3, 3, 3, 3]) / 20)


def test_persons_share_the_first_ones_reference_and_average_their_logits() -> None:
    first, second = animate("Grab", seed=1), animate("Grab", seed=2) + np.float32(0.5)
    clips: list[NDArray[np.float32]] = []

    def classify(clip: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        clips.append(clip)
        logits = np.zeros((len(clip), 14), dtype=np.float32)
        logits[0, 3], logits[-1, 4] = 4.0, 6.0
        return logits, np.zeros((len(clip), 20), dtype=np.int64)

    update = Replay(classify, LAYOUT, CONFIG, GESTURES).classify([first, second])
    assert update.label == 4
    assert update.confidence == pytest.approx(np.exp(3) / (np.exp(3) + np.exp(2) + 12))
    assert update.actions.shape == (2, 20)
    np.testing.assert_array_equal(clips[0][0], make_clip(first, LAYOUT, 20))
    moved = normalise(second, LAYOUT, first[0])
    np.testing.assert_array_equal(clips[0][1], make_clip(second, LAYOUT, 20, reference=first[0]))
    assert np.abs(clips[0][1] - moved[0]).max() < 10
    assert clips[0][1].mean() > 2  # half a metre away, in hand lengths


@pytest.mark.parametrize("stream", ["joint", "bone", "velocity"])
def test_load_uses_the_trained_models_stream_and_layout(tmp_path, stream: str) -> None:
    path = tmp_path / "model.safetensors"
    model = random_model()
    save_weights(path, TrainedModel(model, LAYOUT, stream, GESTURES))
    replay = Replay.load(path)
    assert (replay.layout, replay.stream, replay.class_names) == (LAYOUT, stream, GESTURES)
    recording = animate("Shake")
    with torch.no_grad():
        logits = model(torch.from_numpy(make_clip(recording, LAYOUT, 20, stream))[None]).logits
    np.testing.assert_allclose(
        replay.classify(recording).probabilities, logits.double().softmax(-1)[0].numpy(), rtol=1e-6
    )


def test_a_model_of_one_branch_replays_too() -> None:
    config = ModelConfig.dense(22, 14)
    update = Replay(ReferenceClassifier(random_model(config)), LAYOUT, config, GESTURES).classify(animate("Tap"))
    assert update.cost.paper_ratio == update.cost.full_ratio == 1
    assert (update.actions == 0).all()


def test_bad_input_is_named(replay: Replay, tmp_path) -> None:
    good = animate("Tap")
    with pytest.raises(ClipError, match="at least one frame"):
        next(replay.play(good[:0]))
    with pytest.raises(ClipError, match="at least one frame"):
        replay.classify([])
    with pytest.raises(ClipError, match=r"expected shape \(frames, 22, 3\)"):
        replay.classify(good[:, :20])
    with pytest.raises(ClipError, match="from 1 to"):
        replay.classify(good, frames=len(good) + 1)
    broken = good.copy()
    broken[5, 3, 1] = np.inf
    updates = replay.play(broken)
    for _ in range(5):
        next(updates)
    with pytest.raises(ClipError, match="infinity in frame 5, joint 'thumb_joint_1'"):
        next(updates)
    with pytest.raises(ModelConfigError, match="expected a layout of 22 joints"):
        Replay(ReferenceClassifier(random_model()), load_layout("ntu25"), CONFIG, GESTURES)
    with pytest.raises(ModelConfigError, match="expected 14 class names, found 2"):
        Replay(ReferenceClassifier(random_model()), LAYOUT, CONFIG, ("a", "b"))
    with pytest.raises(CheckpointError, match="found nothing"):
        Replay.load(tmp_path / "none.safetensors")
    with pytest.raises(ModelConfigError, match="found a causal one, which is for streams"):
        Replay.load(shipped_model("stream"))
