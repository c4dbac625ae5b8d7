"""Evaluation: figures that can be counted by hand."""

import numpy as np
import pytest
import torch

from adasgn_edge.errors import CheckpointError, ModelConfigError
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import Branch, ModelConfig, branch_grid
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.spatial import motion
from adasgn_edge.model.weights import TrainedModel, save_weights
from adasgn_edge.train.evaluate import Evaluation, evaluate, policy_shares
from adasgn_edge.train.fusion import fuse_streams
from adasgn_edge.train.report import find_weights, measure, models_of, summarise
from adasgn_edge.train.sampler import ClipSampler
from tests.train.conftest import STICK, stick_dataset

CONFIG = ModelConfig(joints=3, classes=3, branches=branch_grid((1, 3)), frames=4)


def evaluation(scores, labels, actions) -> Evaluation:
    return Evaluation(np.array(scores, np.float32), np.array(labels), actions, CostTable(CONFIG))


def test_figures_counted_by_hand():
    actions = np.array([[[0, 0, 0, 3]], [[3, 3, 3, 3]], [[1, 1, 2, 2]]])
    e = evaluation([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3]], [0, 1, 2], actions)
    assert e.accuracy == pytest.approx(2 / 3)
    assert e.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert e.shares.tolist() == pytest.approx([3 / 12, 2 / 12, 2 / 12, 5 / 12])
    assert e.class_shares[1].tolist() == [0, 0, 0, 1]
    table = CostTable(CONFIG)
    assert e.paper_gflops == pytest.approx((table.paper @ e.shares) / 1e9)
    assert e.full_gflops == pytest.approx((table.full @ e.shares) / 1e9)


def test_fusion_averages_scores_and_adds_costs():
    actions = np.zeros((2, 1, 4), np.int64)
    first = evaluation([[0.6, 0.4, 0], [0.6, 0.4, 0]], [0, 1], actions)
    second = evaluation([[0.6, 0.4, 0], [0.1, 0.9, 0]], [0, 1], actions)
    fused = fuse_streams([first, second])
    assert fused.accuracy == 1.0
    assert fused.paper_gflops == pytest.approx(first.paper_gflops + second.paper_gflops)
    with pytest.raises(ModelConfigError, match="same samples"):
        fuse_streams([first, evaluation([[1, 0, 0], [1, 0, 0]], [1, 1], actions)])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model(CONFIG, STICK)


def test_policies(model, dataset):
    sampler = ClipSampler(dataset, "test", 4, "joint", "cpu")
    assert evaluate(model, sampler).shares.tolist() == [1, 0, 0, 0], "an untrained policy ties, the cheapest wins"
    assert evaluate(model, sampler, Branch(3, "big")).shares.tolist() == [0, 0, 0, 1]
    random = evaluate(model, sampler, "random", seed=1)
    assert (random.shares > 0.1).all()
    np.testing.assert_array_equal(random.actions, evaluate(model, sampler, "random", seed=1).actions)
    fuse = evaluate(model, sampler, "fuse")
    assert fuse.paper_gflops == pytest.approx(CostTable(CONFIG).paper_fuse / 1e9)
    assert fuse.full_gflops > evaluate(model, sampler, Branch(3, "big")).full_gflops
    for policy, message in (("best", "expected a policy"), (Branch(2, "big"), "expected one of the branches")):
        with pytest.raises(ModelConfigError, match=message):
            evaluate(model, sampler, policy)
    dense = build_model(ModelConfig.dense(3, 3, 4), STICK)
    with pytest.raises(ModelConfigError, match="expected a model of several branches"):
        evaluate(dense, sampler, "fuse")


def test_the_policys_shares_are_those_of_a_whole_evaluation(model):
    sampler = ClipSampler(stick_dataset(persons=2), "train", 4, "joint", "cpu")
    with torch.no_grad():  # a bias that leaves every branch about equally likely
        torch.nn.init.normal_(model.policy.weight)
        clip = sampler.clips(torch.arange(len(sampler)), None)
        features = model.eval().policy_features(motion(clip).flatten(0, 1))
        model.policy.bias -= model.action_logits(features, len(clip)).mean((0, 1))
    expected = evaluate(model, sampler).shares
    assert (expected > 0).sum() > 1, "the test needs several branches in use"
    model.train()
    for batch in (5, 64):
        assert policy_shares(model, sampler, batch) == pytest.approx(expected, abs=1e-6)
    assert model.training


def test_evaluation_leaves_the_model_as_it_was(model, dataset):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    evaluate(model, ClipSampler(dataset, "test", 4, "joint", "cpu"))
    assert model.training
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.items())


def test_batch_size_does_not_change_the_result(model):
    sampler = ClipSampler(stick_dataset(persons=2), "test", 4, "joint", "cpu")
    first, second = evaluate(model, sampler, batch=5), evaluate(model, sampler, batch=64)
    np.testing.assert_allclose(first.scores, second.scores, rtol=1e-4, atol=1e-6)


def test_measuring_files_and_seeds(model, dataset, tmp_path):
    for seed in (1, 2):
        folder = tmp_path / f"seed-{seed}" / "adasgn-a1"
        trained = TrainedModel(model, STICK, "joint", dataset.class_names, {"stage": "adasgn-a1", "seed": seed})
        save_weights(folder / "model.safetensors", trained)
        (folder / "log.jsonl").write_text(f'{{"epoch": 1, "test_accuracy": 0.{seed}}}\n')
    measured = [measure(path, dataset) for path in find_weights(tmp_path)]
    (row,) = summarise(models_of(measured))
    assert (row.name, row.seeds, row.accuracy_deviation) == ("adasgn-a1", 2, 0.0)
    assert row.best_epoch == pytest.approx(0.15)
    (alone,) = summarise(models_of(measured[:1]))
    assert alone.to_dict()["accuracy_deviation"] is None
    with pytest.raises(CheckpointError, match="found neither"):
        find_weights(tmp_path / "seed-3")


def test_model_and_data_must_fit(model, dataset, tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, TrainedModel(model, STICK, "joint", ("a", "b", "c"), {}))
    with pytest.raises(ModelConfigError, match="which are not the 3"):
        measure(path, dataset)
