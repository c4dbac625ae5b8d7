"""Recordings of one's own: which folds, what is kept, and what the card says; class weights."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from adasgn_edge.data.folds import Fold, fold_dataset, plan_folds
from adasgn_edge.deploy.model_file import read_model_file
from adasgn_edge.errors import DatasetError
from adasgn_edge.model.weights import load_weights
from adasgn_edge.train.card import balanced_accuracy
from adasgn_edge.train.own import all_training, plan_own, trained_on_all, whole_of
from adasgn_edge.train.recipe import load_recipe
from adasgn_edge.train.sampler import ClipSampler
from adasgn_edge.train.stages import plan_stages, settings_of
from tests.cli.conftest import run  # noqa: F401
from tests.train.conftest import stick_dataset, stick_subjects, write_recordings


def stages_of(dataset, only=()):
    recipe = load_recipe("own", changes={"data": {"dataset": "shrec14"}})
    return plan_stages(recipe, dataset.layout, len(dataset.class_names), len(dataset), only)


def people(samples=96):
    """Clips of eight people, none of whom is set apart to test."""
    dataset = stick_subjects(samples)
    return dataclasses.replace(dataset, split=np.where(np.arange(samples) % 5 == 0, "test", "train"))


def without_split(folder):
    """The column split, which is the third, taken out of a table."""
    rows = [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()]
    (folder / "labels.csv").write_text("\n".join(",".join(row[:2] + row[3:]) for row in rows))


def test_folds_are_of_people_where_they_are_known():
    dataset = people()
    plan = plan_own(dataset, all_training(dataset), stages_of(dataset))
    assert (plan.whole.split == "train").all()
    assert not plan.tested
    assert len(plan.folds) == 4
    assert {fold.by for fold in plan.folds} == {"group"}
    assert sorted(group for fold in plan.folds for group in fold.groups) == sorted(set(dataset.groups))
    assert sum(fold.held for fold in plan.folds) == len(dataset), "every clip is held out once, whatever its split was"
    assert plan.parts == (*plan.folds, None)
    three = dataclasses.replace(dataset, groups=tuple(f"p{i % 3}" for i in range(len(dataset))))
    assert len(plan_own(three, all_training(three), stages_of(three)).folds) == 3


@pytest.mark.parametrize("groups", [(), ("only",) * 96])
def test_folds_are_runs_of_each_class_where_they_are_not(groups):
    dataset = dataclasses.replace(people(), groups=groups)
    plan = plan_own(dataset, all_training(dataset), stages_of(dataset))
    assert {fold.by for fold in plan.folds} == {"clip"}
    held = []
    for fold in plan.folds:
        part = fold_dataset(dataset, Fold.from_dict(json.loads(json.dumps(fold.to_dict()))))
        tested = [part.names[sample] for sample in part.indices("test")]
        labels = part.labels[part.indices("test")]
        assert np.bincount(labels, minlength=3).tolist() == [8, 8, 8], "of every class alike"
        for label in range(3):
            own = [int(name.removeprefix("sample")) for name, its in zip(tested, labels, strict=True) if its == label]
            assert np.ptp(own) == 3 * 7, "one run of it"
        held += tested
    assert sorted(held) == sorted(dataset.names)
    changed = dataclasses.replace(dataset, names=("another", *dataset.names[1:]))
    with pytest.raises(DatasetError, match="expected the clips that it was made of"):
        fold_dataset(changed, plan.folds[0])


def test_a_split_that_the_table_says_is_kept(tmp_path):
    dataset = stick_subjects(96)
    folder = write_recordings(tmp_path / "mine", dataset)
    assert whole_of(dataset, folder) is dataset
    assert whole_of(dataset, tmp_path / "mine.skeletons") is dataset, "a converted file says it too"
    plan = plan_own(dataset, dataset, stages_of(dataset))
    assert plan.tested
    assert {fold.over for fold in plan.folds} == {"train"}, "for the effort table; test clips are in no fold"
    assert sum(fold.held for fold in plan.folds) == len(dataset.indices("train"))
    assert plan_own(dataset, dataset, stages_of(dataset, ("S-1",))).folds == (), (
        "its accuracy is that of the test split"
    )
    without_split(folder)
    assert (whole_of(dataset, folder).split == "train").all()


def test_a_fold_of_before_is_one_of_groups():
    fold = plan_folds(people(), 2)[0]
    noted = fold.to_dict()
    del noted["by"]
    assert Fold.from_dict(noted) == fold


def test_what_was_trained_on_every_clip_is_known():
    dataset = people()
    whole = all_training(dataset)
    provenance = {"dataset_digest": whole.digest, "clips": {"train": 96, "test": 0}}
    assert trained_on_all(provenance, dataset)
    assert not trained_on_all(provenance, whole)
    assert not trained_on_all({**provenance, "fold": {}}, dataset)
    assert not trained_on_all({**provenance, "dataset_digest": dataset.digest}, dataset)


def test_a_class_weighs_as_much_as_any_other():
    dataset = stick_dataset(96)
    few = dataclasses.replace(dataset, split=np.where((dataset.labels == 1) & (np.arange(96) > 20), "none", "train"))
    sampler = ClipSampler(few, "train", 8, "joint", "cpu")
    count = torch.bincount(sampler.labels, minlength=4).float()
    assert count.tolist() == [32, 7, 32, 0]
    balanced = sampler.class_weights(4, 1.0)
    torch.testing.assert_close((balanced * count)[:3], torch.full((3,), 71 / 3))
    assert balanced[3] == 0
    torch.testing.assert_close(sampler.class_weights(3, 0.0), torch.ones(3))
    halfway = sampler.class_weights(3, 0.5)
    assert float(halfway[1] / halfway[0]) == pytest.approx((32 / 7) ** 0.5)
    even = ClipSampler(dataclasses.replace(dataset, split=np.full(96, "train")), "train", 8, "joint", "cpu")
    torch.testing.assert_close(even.class_weights(3, 1.0), torch.ones(3))


def test_balance_is_a_setting_of_the_run_and_its_absence_changes_no_fingerprint():
    own = load_recipe("own", changes={"data": {"dataset": "shrec14"}})
    assert settings_of(own, own.single, None)["balance"] == 1.0
    shrec = load_recipe("shrec14")
    assert "balance" not in settings_of(shrec, shrec.single, None)


def test_balanced_accuracy_counts_classes_and_not_clips():
    assert balanced_accuracy(np.array([[90, 0, 0], [5, 5, 0], [0, 0, 0]])) == pytest.approx(0.75)


@pytest.mark.slow
def test_a_run_ends_with_a_card_that_travels_with_the_model(tmp_path, run, monkeypatch):  # noqa: F811
    """Folds of three people, the model of all clips, its effort table, card and model file; and what `eval` says."""
    monkeypatch.chdir(tmp_path)
    dataset = dataclasses.replace(stick_dataset(48), groups=tuple(f"p{i // 3 % 3}" for i in range(48)))
    folder = write_recordings(tmp_path / "mine", dataset)
    without_split(folder)
    for name, _, (track,) in dataset:
        np.savez(folder / f"{name}.npz", positions=track, stamps_ns=40_000_000 * np.arange(len(track)))
    status, printed = run("train", "mine", "--epochs", 12, "--threads", 1)
    assert status == 0, printed
    assert "no column split" not in printed
    assert "fold 3 of 3 over all: trained on 33 clips; held out 15 of p2" in printed
    assert "the model that is kept: trained on all 48 clips" in printed
    kept = "runs/mine-joint/seed-1/adasgn-shared/model.safetensors"
    assert f"adasgn-edge export {kept} -o mine.adasgn" in printed

    trained = load_weights(kept)
    card = trained.provenance["card"]
    assert trained.effort is not None
    assert trained.provenance["window"] == pytest.approx(float(np.median(dataset.length[:, 0])) / 25, abs=1e-3)
    assert card["data"]["digest"] == trained.provenance["dataset_digest"]
    assert card["data"]["classes"] == {"x": 16, "y": 16, "z": 16}
    assert card["data"]["subjects"] == {"p0": 18, "p1": 15, "p2": 15}
    assert card["accuracy"]["on"] == "3 folds of subjects"
    assert card["accuracy"]["clips"] == 48
    assert card["commands"][0] == "adasgn-edge train mine --epochs 12"
    page = (tmp_path / "runs" / "mine-joint" / "card.md").read_text()
    assert f"| accuracy | {100 * card['accuracy']['accuracy']:.1f} % (" in page
    assert "| p1 | 15 | 15 |" in page

    status, evaluated = run("eval", "runs/mine-joint", "--json", "eval.json")
    assert status == 0
    assert f"Trained on every clip, and so judged by the models of folds: {kept}" in evaluated
    (model,) = json.loads((tmp_path / "eval.json").read_text())["models"]
    assert model["accuracy"] == pytest.approx(card["accuracy"]["accuracy"]), "eval and card measure the same"
    status, refused = run("eval", kept)
    assert status == 2
    assert "trained on every clip of its data set" in refused
    status, learnt = run("eval", kept, "--split", "train")
    assert status == 0
    assert "has changed since" not in learnt

    assert run("export", kept, "-o", "mine.adasgn")[0] == 0
    assert read_model_file(tmp_path / "mine.adasgn").provenance["card"] == card
    status, again = run("train", "mine", "--epochs", 12, "--threads", 1)
    assert status == 0
    assert "12/12" not in again, "finished stages are left alone"
    assert load_weights(kept).provenance["card"] == card
