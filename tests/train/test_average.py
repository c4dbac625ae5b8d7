"""What is kept after a few steps is as right as after many: weights, statistics, and what the log says of them."""

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from adasgn_edge.errors import CheckpointError, DatasetError
from adasgn_edge.model.weights import load_weights
from adasgn_edge.train.average import WarmAverage, measure_statistics
from adasgn_edge.train.log import read_log
from adasgn_edge.train.loop import Trainer
from adasgn_edge.train.recipe import Recipe
from adasgn_edge.train.report import measure
from adasgn_edge.train.stage_run import StageRun, _batches
from adasgn_edge.train.stages import plan_stages
from tests.train.conftest import stick_dataset


class KilledError(Exception):
    """Stands for a kill at this moment."""


def killed(*_):
    raise KilledError


def recipe(ema: float = 0.995, epochs: int = 5, batch: int = 32, **more) -> Recipe:
    schedule = {"epochs": epochs, "batch": batch, "frozen_epochs": 1, "ema": ema, "learning_rate": 3e-3, **more}
    return Recipe.model_validate(
        {
            "name": "stick",
            "data": {"dataset": "stick"},
            "model": {"frames": 6},
            "single": schedule,
            "adaptive": schedule,
            "precision": "float32",
        }
    )


def train(out: Path, dataset=None, stage: int = 1, seed: int = 1, **settings) -> Path:
    t = Trainer(recipe(**settings), dataset or stick_dataset(), out, seed)
    return t.train(plan_stages(t.recipe, t.dataset.layout, len(t.dataset.class_names), len(t.train_clips))[stage])


def test_the_decay_grows_to_what_the_recipe_says():
    average = WarmAverage(nn.Linear(1, 1), 0.9)
    factors = []
    for _ in range(100):
        factors.append(average.factor())
        average.update(average.module)
    assert factors[0] == 0.1
    assert factors[9] == 10 / 19
    assert factors == sorted(factors)
    assert factors[-1] == 0.9
    assert np.prod(factors[:10]) < 2e-5, "nothing is left of the initial model after ten steps"


def test_the_average_is_the_weighted_mean_of_what_it_saw():
    model, expected = nn.Linear(1, 1, bias=False), 7.0
    nn.init.constant_(model.weight, expected)
    average = WarmAverage(model, 0.5)
    for step, value in enumerate((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0)):
        nn.init.constant_(model.weight, value)
        average.update(model)
        factor = min(0.5, (1 + step) / (10 + step))
        expected = factor * expected + (1 - factor) * value
    assert average.module.weight.item() == pytest.approx(expected)
    assert average.updates == 11


def test_statistics_are_those_of_the_clips_after_one_pass():
    random = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3), nn.BatchNorm1d(3)).eval()
    with torch.no_grad():
        model[2].running_mean += 100
    clips = [5 + 2 * torch.randn(40, 3, generator=random) for _ in range(3)]
    measure_statistics([model[0]], model, clips)
    torch.testing.assert_close(model[0].running_mean, torch.stack([c.mean(0) for c in clips]).mean(0))
    torch.testing.assert_close(model[0].running_var, torch.stack([c.var(0) for c in clips]).mean(0))
    assert (model[2].running_mean == 100).all(), "a batch norm that was not named stays as it is"
    assert not model[0].training
    assert model[0].momentum == 0.1


@pytest.mark.parametrize("ema", [0.0, 0.995, 0.9999])
def test_fifteen_steps_on_seventy_clips_are_enough(tmp_path, ema):
    """The kind of fault: the loss falls, and the model that is kept knows nothing of it."""
    path = train(tmp_path, ema=ema)
    row = read_log(path.with_name("log.jsonl"))[-1]
    assert row["train_accuracy"] > 0.9
    assert row["test_accuracy"] > 0.9
    assert "warning" not in row


def test_the_log_is_right_about_the_model_that_is_kept(tmp_path):
    """The last row's figures are those of `eval`, for a single model with an average, and are not the raw model's."""
    path = train(tmp_path, epochs=2)
    row = read_log(path.with_name("log.jsonl"))[-1]
    assert measure(path, stick_dataset()).evaluation.accuracy == row["test_accuracy"]
    assert 0 <= row["raw_test_accuracy"] <= 1


def test_adasgn_is_kept_with_the_figures_of_its_log(tmp_path):
    for stage in range(1, 6):
        path = train(tmp_path, stage=stage, epochs=2)
    row = read_log(path.with_name("log.jsonl"))[-1]
    evaluation = measure(path, stick_dataset()).evaluation
    assert path.parent.name == "adasgn-a1"
    assert evaluation.accuracy == row["test_accuracy"]
    assert evaluation.shares.tolist() == row["test_shares"]
    assert evaluation.paper_gflops == row["test_gflops"]


def test_a_wide_difference_is_told_once(tmp_path, monkeypatch):
    """An average that keeps the initial model, as it was without warm-up, is noticed at the end of the stage."""
    monkeypatch.setattr(WarmAverage, "factor", lambda self: 0.9999)
    with pytest.warns(UserWarning, match=r"the averaged weights, which are kept, are right on .*`ema`") as caught:
        path = train(tmp_path)
    assert len(caught) == 1
    rows = read_log(path.with_name("log.jsonl"))
    assert ["warning" in row for row in rows] == [False, False, False, False, True]
    assert rows[-1]["raw_test_accuracy"] > rows[-1]["test_accuracy"] + 0.2


def test_killed_after_the_last_epoch(tmp_path, monkeypatch):
    """The state is there, the weights are not: the next start trains nothing and keeps the same model."""
    whole = train(tmp_path / "whole")

    with monkeypatch.context() as patch:
        patch.setattr("adasgn_edge.train.course.save_weights", killed)
        with pytest.raises(KilledError):
            train(tmp_path / "killed")
    monkeypatch.setattr(StageRun, "epoch", killed)
    first, second = load_weights(whole).model.state_dict(), load_weights(train(tmp_path / "killed")).model.state_dict()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_no_clip_is_lost_to_a_batch_of_one():
    assert [len(b) for b in _batches(torch.arange(65), 32)] == [32, 33]
    assert [len(b) for b in _batches(torch.arange(66), 32)] == [32, 32, 2]
    assert [len(b) for b in _batches(torch.arange(5), 32)] == [5], "a batch may be larger than the set"
    assert torch.cat(list(_batches(torch.arange(97), 32))).tolist() == list(range(97))


# -- data sets that little or nothing can be learnt from ----------------------------------------------------------


def changed(dataset, **fields):
    return dataclasses.replace(dataset, **fields)


def test_sets_that_nothing_can_be_learnt_from(tmp_path):
    dataset = stick_dataset(12)
    one = np.where(np.arange(12) == 1, "train", "test")
    with pytest.raises(DatasetError, match="expected at least 2 training clips, found 1"):
        train(tmp_path, changed(dataset, split=one))
    with pytest.raises(DatasetError, match="expected samples in split 'train', found only test"):
        train(tmp_path, changed(dataset, split=np.full(12, "test")))
    same = np.where((dataset.labels == 1) & (dataset.split == "train"), "train", "test")
    with pytest.raises(DatasetError, match="at least 2 classes, found only 'y'"):
        train(tmp_path, changed(dataset, split=same))


def test_two_clips_can_be_learnt(tmp_path):
    dataset = stick_dataset(12)
    two = np.where(np.isin(np.arange(12), (1, 2)), "train", "test")
    with pytest.warns(UserWarning, match=r"no training clip of 'x', so .*\(4 test clips"):
        path = train(tmp_path, changed(dataset, split=two))
    assert read_log(path.with_name("log.jsonl"))[-1]["train_accuracy"] == 1.0


def test_without_test_clips_training_says_so_and_compares_on_training_clips(tmp_path):
    dataset = changed(stick_dataset(), split=np.full(96, "train"))
    with pytest.warns(UserWarning, match="no test clips, so training goes without test figures"):
        path = train(tmp_path, dataset)
    rows = read_log(path.with_name("log.jsonl"))
    assert not any("test_accuracy" in row for row in rows)
    assert rows[-1]["kept_train_accuracy"] > 0.9
    assert rows[-1]["raw_train_accuracy"] > 0.9
    with pytest.raises(DatasetError, match="split 'test', found only train"):
        measure(path, dataset)


# -- data that changed since --------------------------------------------------------------------------------------


def variants():
    """The set of before, changed in one thing each."""
    dataset = stick_dataset()
    positions = dataset.positions.copy()
    positions[0, 0, 0] += 0.001
    labels = dataset.labels.copy()
    labels[1] = (labels[1] + 1) % 3
    split = dataset.split.copy()
    split[4] = "train"
    return {
        "positions": changed(dataset, positions=positions),
        "labels": changed(dataset, labels=labels),
        "split": changed(dataset, split=split),
        "class names": changed(dataset, class_names=("x", "y", "w")),
        "fewer clips": stick_dataset(93),
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(tmp_path_factory.mktemp("run"), epochs=1)


@pytest.mark.parametrize("what", variants())
def test_changed_data_is_noticed_when_finished(finished, what):
    with pytest.raises(CheckpointError, match=r"model\.safetensors: trained on other data"):
        train(finished.parents[2], variants()[what], epochs=1)
    assert train(finished.parents[2], epochs=1) == finished, "the same data, built anew, is the same"


def test_changed_data_is_noticed_half_way_and_below_adasgn(tmp_path, finished, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("adasgn_edge.train.course.save_weights", killed)
        with pytest.raises(KilledError):
            train(tmp_path, epochs=1)
    with pytest.raises(CheckpointError, match=r"state\.safetensors: trained on other data"):
        train(tmp_path, variants()["labels"], epochs=1)
    single = tmp_path / "below" / "seed-1" / "S-1" / "model.safetensors"
    single.parent.mkdir(parents=True)
    single.write_bytes(finished.read_bytes())
    with pytest.raises(CheckpointError, match=r"S-1/model\.safetensors: trained on other data"):
        train(tmp_path / "below", variants()["labels"], stage=5, epochs=1)
    with pytest.raises(CheckpointError, match=r"S-1/model\.safetensors: trained with other settings"):
        train(tmp_path / "below", stage=5, epochs=2)


def test_weights_from_before_the_digest_are_left_alone(tmp_path, finished):
    from adasgn_edge.model.weights import save_weights

    trained = load_weights(finished)
    digest = trained.provenance.pop("dataset_digest")
    assert digest == stick_dataset().digest
    path = tmp_path / "seed-1" / "S-1" / "model.safetensors"
    save_weights(path, trained)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train(tmp_path, epochs=1) == path
