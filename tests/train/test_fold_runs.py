"""Training and measuring on folds: nothing of the test split is seen, a fold goes on where it was and is no other one,
and every held-out clip counts once, judged by the model that was trained without it."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from adasgn_edge.data.folds import fold_dataset, plan_folds
from adasgn_edge.errors import CheckpointError, DatasetError, ModelConfigError
from adasgn_edge.model.config import ModelConfig, branch_grid
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.weights import load_weights, save_weights
from adasgn_edge.train.comparison import compare
from adasgn_edge.train.evaluate import Evaluation, evaluate
from adasgn_edge.train.fusion import fuse
from adasgn_edge.train.loop import Trainer
from adasgn_edge.train.report import Measurement, Model, find_weights, measure, models_of, summarise
from adasgn_edge.train.sampler import ClipSampler
from adasgn_edge.train.stages import fingerprint
from tests.train.conftest import stick_subjects
from tests.train.test_loop import Stopping, assert_equal_weights, recipe, stage_of

WHOLE = stick_subjects()
DATASET = dataclasses.replace(WHOLE, labels=np.where(np.arange(len(WHOLE)) % 5 == 0, 0, WHOLE.labels))
"""A fifth of the labels say nothing about the clip, so that no model is right everywhere."""
FOLDS = plan_folds(DATASET, 3)


def trainer(out: Path, fold=FOLDS[0], seed: int = 1, dataset=DATASET, **changes) -> Trainer:
    return Trainer(recipe(**changes), dataset, out, seed, fold=fold)


def single(t: Trainer):
    """The stage S-1."""
    return stage_of(t, "S-1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """S-1 on three folds with two seeds."""
    out = tmp_path_factory.mktemp("folds")
    for seed in (1, 2):
        for fold in FOLDS:
            t = trainer(out, fold, seed)
            t.train(single(t))
    return out


def test_a_run_on_a_fold_never_sees_the_test_split(finished):
    tested = {name for name, split in zip(DATASET.names, DATASET.split, strict=True) if split == "test"}
    for fold in FOLDS:
        t = trainer(finished, fold)
        trained, held = {*t.train_clips.names}, {*t.test_clips.names}
        assert not (trained | held) & tested
        assert not trained & held
        assert len(trained) + len(held) == len(DATASET) - len(tested) == fold.clips
        longest = t.dataset.length.sum()
        assert len(t.train_clips.positions) == longest, "frames of test clips lie on the device"
    t = trainer(finished, plan_folds(DATASET, 4, "all")[0])
    assert len(t.train_clips) + len(t.test_clips) == len(DATASET)


def test_where_a_fold_lies_and_what_is_noted(finished):
    path = finished / "fold-2-of-3" / "seed-1" / "S-1" / "model.safetensors"
    provenance = load_weights(path).provenance
    assert provenance["fold"] == FOLDS[1].to_dict()
    assert provenance["fold"]["groups"] == ["subject 2", "subject 5"]
    assert provenance["clips"] == {"train": 48, "test": 24}
    assert provenance["dataset_digest"] == fold_dataset(DATASET, FOLDS[1]).digest
    t = trainer(finished)
    assert fingerprint(t.recipe, single(t), 1) == fingerprint(t.recipe, single(t), 1, None)
    others = [fingerprint(t.recipe, single(t), 1, fold) for fold in (None, *FOLDS, *plan_folds(DATASET, 3, "all"))]
    assert len(set(others)) == 7


def test_a_fold_that_was_stopped_ends_as_one_that_was_not(finished, tmp_path):
    t = trainer(tmp_path, FOLDS[1])
    t.reporter = Stopping(2)
    with pytest.raises(KeyboardInterrupt):
        t.train(single(t))
    folder = tmp_path / "fold-2-of-3" / "seed-1" / "S-1"
    assert (folder / "state.safetensors").exists()
    t = trainer(tmp_path, FOLDS[1])
    weights = t.train(single(t))
    assert weights == folder / "model.safetensors"
    assert_equal_weights(finished / "fold-2-of-3" / "seed-1" / "S-1" / "model.safetensors", weights)


@pytest.mark.parametrize("file", ["state.safetensors", "model.safetensors"])
def test_another_fold_in_its_place_is_refused(finished, tmp_path, file):
    t = trainer(tmp_path, FOLDS[0])
    if file == "state.safetensors":
        t.reporter = Stopping(1)
        with pytest.raises(KeyboardInterrupt):
            t.train(single(t))
    else:
        shutil.copytree(finished / "fold-1-of-3", tmp_path / "fold-1-of-3")
    shutil.move(tmp_path / "fold-1-of-3", tmp_path / "fold-2-of-3")
    t = trainer(tmp_path, FOLDS[1])
    with pytest.raises(CheckpointError, match="trained with other settings"):
        t.train(single(t))


def test_a_finished_fold_of_changed_data_is_refused(finished, tmp_path):
    shutil.copytree(finished / "fold-1-of-3", tmp_path / "fold-1-of-3")
    labels = DATASET.labels.copy()
    labels[1] = (labels[1] + 1) % 3
    changed = dataclasses.replace(DATASET, labels=labels)
    t = trainer(tmp_path, plan_folds(changed, 3)[0], dataset=changed)
    with pytest.raises(CheckpointError, match="trained on other data"):
        t.train(single(t))
    with pytest.raises(DatasetError, match="expected the clips that it was made of"):
        trainer(tmp_path, FOLDS[0], dataset=changed)


def test_adasgn_on_a_fold_starts_from_the_branches_of_that_fold(tmp_path):
    short = {"epochs": 1, "batch": 16}
    for fold in FOLDS[:2]:
        t = trainer(tmp_path, fold, single=short, adaptive={**short, "alpha": [1.0]})
        for name in stage_of(t, "adasgn-a1").config.branch_names:
            t.train(stage_of(t, name))
        model = t.build(stage_of(t, "adasgn-a1"))
        for branch, name in zip(model.branches, model.config.branch_names, strict=True):
            own = load_weights(tmp_path / fold.folder / "seed-1" / name / "model.safetensors").model
            for key, tensor in own.spatial.state_dict().items():
                assert torch.equal(branch.state_dict()[key], tensor), (fold, name, key)


# -- measuring --------------------------------------------------------------------------------------------------


def measured(out: Path, dataset=DATASET) -> list[Measurement]:
    return [measure(path, dataset) for path in find_weights(out)]


def test_every_held_out_clip_counts_once(finished):
    (model,) = models_of(measured(finished))
    assert (model.name, model.seeds, model.folds) == ("S-1", (1, 2), tuple(FOLDS))
    pool = [name for name, split in zip(DATASET.names, DATASET.split, strict=True) if split == "train"]
    assert sorted(model.names) == sorted(pool)
    group_of = dict(zip(DATASET.names, DATASET.groups, strict=True))
    assert model.groups == tuple(group_of[name] for name in model.names)
    right = np.zeros((2, 3))
    for row, seed in enumerate((1, 2)):
        for fold in FOLDS:  # counted apart from the code under test, clip by clip
            path = finished / fold.folder / f"seed-{seed}" / "S-1" / "model.safetensors"
            held = np.isin(np.asarray(DATASET.groups), fold.groups)
            alone = dataclasses.replace(DATASET, split=np.where(held, "test", "other"))
            sampler = ClipSampler(alone, "test", 6, "joint", "cpu")
            right[row, fold.number - 1] = evaluate(load_weights(path).model, sampler).correct.sum()
    (row,) = summarise([model])
    assert row.accuracy == pytest.approx(right.sum() / 2 / len(pool))
    assert row.accuracy_deviation == pytest.approx(np.std(right.sum(1) / len(pool), ddof=1))
    assert (row.clips, row.groups, row.seeds) == (72, 6, 2)
    assert row.folds["accuracies"] == pytest.approx((right.mean(0) / 24).tolist())
    assert row.folds["accuracy"] == pytest.approx(np.mean(right) / 24)
    assert row.folds["deviation"] == pytest.approx(np.std(right.mean(0) / 24, ddof=1))
    assert (row.folds["found"], row.folds["count"], row.folds["over"]) == ([1, 2, 3], 3, "train")
    assert 0.3 < row.accuracy < 1
    assert row.interval.low <= row.accuracy <= row.interval.high
    assert row.interval.covers == "other groups and seeds"


def test_seeds_of_other_folds_are_rows_of_their_own(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "fold-2-of-3" / "seed-2")
    rows = summarise(models_of(measured(tmp_path / "run")))
    found = {row.name: (row.seeds, row.clips, row.folds["found"]) for row in rows}
    assert found == {"S-1, 3 folds": (1, 72, [1, 2, 3]), "S-1, 1+3 of 3 folds": (1, 48, [1, 3])}


def test_folds_and_whole_runs_are_told_apart(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    for fold in (None, plan_folds(DATASET, 2)[1], plan_folds(DATASET, 2, "all")[0]):
        t = trainer(tmp_path / "run", fold)
        t.train(single(t))
    models = models_of(measured(tmp_path / "run"))
    assert {model.name: len(model.names) for model in models} == {
        "S-1, 3 folds": 72,
        "S-1, 2 of 2 folds": 36,
        "S-1, 1 of 2 folds over all": plan_folds(DATASET, 2, "all")[0].held,
        "S-1, whole data set": 24,
    }
    whole, folds = (next(m for m in models if end in m.name) for end in ("whole data set", "3 folds"))
    with pytest.raises(ModelConfigError, match="expected the same clips, found 72 and 24, 0 of them in both"):
        compare(folds, whole)


def test_data_whose_groups_have_changed_are_refused(finished):
    path = finished / "fold-1-of-3" / "seed-1" / "S-1" / "model.safetensors"
    groups = list(DATASET.groups)
    one, other = groups.index("subject 1"), groups.index("subject 2")
    groups[one], groups[other] = groups[other], groups[one]
    with pytest.raises(DatasetError, match=r"model\.safetensors: .*expected the clips that it was made of"):
        measure(path, dataclasses.replace(DATASET, groups=tuple(groups)))
    groups = tuple("subject 7" if group == "subject 1" else group for group in DATASET.groups)
    with pytest.raises(DatasetError, match=r"model\.safetensors: .*expected subject 1, subject 4 to be held out"):
        measure(path, dataclasses.replace(DATASET, groups=groups))
    with pytest.raises(DatasetError, match="found a data set without groups"):
        measure(path, dataclasses.replace(DATASET, groups=()))


def test_weights_with_a_broken_fold_are_named(finished, tmp_path):
    trained = load_weights(finished / "fold-1-of-3" / "seed-1" / "S-1" / "model.safetensors")
    trained.provenance["fold"]["number"] = 9
    save_weights(tmp_path / "model.safetensors", trained)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: the weights do not fit .*expected a fold"):
        measure(tmp_path / "model.safetensors", DATASET)


# -- comparing --------------------------------------------------------------------------------------------------

CONFIG = ModelConfig(joints=3, classes=3, branches=branch_grid((1, 3)), frames=4)


def model_of(name: str, rights: dict[int, list[int]], names: list[str], groups: tuple[str, ...] = ()) -> Model:
    """A model of which each seed gets the clips right where there is a 1."""
    runs = []
    for seed, right in rights.items():
        scores = np.stack([right, 1 - np.asarray(right)], axis=1).astype(np.float32)
        evaluation = Evaluation(scores, np.zeros(len(right), np.int64), None, CostTable(CONFIG))
        trained = type("Trained", (), {"provenance": {"seed": seed, "stage": name}})()
        runs.append((Measurement(Path(name), trained, evaluation, None, "", tuple(names), groups),))
    return Model(name, tuple(runs))


def test_comparison_counted_by_hand():
    names = list("abcdefgh")
    one = model_of("one", {1: [1, 1, 1, 1, 1, 0, 0, 1]}, names)
    two = model_of("two", {5: [0, 1, 0, 0, 1, 1, 0, 1]}, names)
    comparison = compare(one, two)  # a, c, d against f: of four clips, p = 2 (1 + 4) / 16
    (pair,) = comparison.pairs
    assert (pair.first_seed, pair.second_seed, pair.only_first, pair.only_second) == (1, 5, 3, 1)
    assert pair.p == comparison.p_clips == pytest.approx(10 / 16)
    assert comparison.difference == pytest.approx(2 / 8)
    assert comparison.interval.low < 0 < comparison.interval.high
    assert (comparison.p_groups, comparison.p_seeds) == (None, None)
    assert compare(two, one).difference == -comparison.difference


def test_clips_are_matched_by_name_and_seeds_by_number():
    one = model_of("one", {1: [1, 0, 1, 1], 2: [1, 1, 1, 0], 3: [0, 0, 0, 0]}, list("abcd"))
    two = model_of("two", {2: [0, 1, 1, 0], 1: [1, 0, 1, 0]}, list("dcba"))  # seed 2: b, c; seed 1: d, b
    comparison = compare(one, two)
    assert [(p.first_seed, p.second_seed, p.only_first, p.only_second) for p in comparison.pairs] == [
        (1, 1, 2, 1),  # a, c against b
        (2, 2, 1, 0),  # a
    ]
    # over both seeds a +2, b -1, c +1, d 0: of ±2 ±1 ±1 the sums 4, 2, 2, 0 and opposites, six of eight at least 2
    assert comparison.p_clips == pytest.approx(6 / 8)
    assert comparison.difference == pytest.approx(2 / 8)
    assert comparison.p_seeds is None, "a quarter in each of the two pairs, so there is no spread"
    with pytest.raises(ModelConfigError, match="expected a seed that both have, found 1, 2 and 3, 4"):
        compare(*(model_of("m", {seed: [1, 0] for seed in seeds}, ["a", "b"]) for seeds in ((1, 2), (3, 4))))


def test_groups_are_one_unit():
    """Six subjects of whom five gain two clips each, and one loses two: by clips sure, by subjects not."""
    names = [f"{number:02d}" for number in range(24)]
    groups = tuple(f"subject {number // 4}" for number in range(24))
    one = [1, 1, 1, 1] * 5 + [0, 0, 1, 1]
    two = [0, 0, 1, 1] * 5 + [1, 1, 1, 1]
    comparison = compare(model_of("one", {1: one}, names, groups), model_of("two", {1: two}, names, groups))
    assert comparison.p_clips == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert comparison.p_groups == pytest.approx(2 * (1 + 6) / 2**6)
    assert comparison.interval.covers == "other groups"
    assert comparison.groups == 6


# -- fusing -----------------------------------------------------------------------------------------------------


def stream_of(stream: str, folds: dict[int, list[list[float]]], seed: int = 1) -> tuple[Path, list[Measurement]]:
    """Softmax scores of class 0, which is the right one, and of class 1, for the clips of each fold."""
    found = []
    for number, scores in folds.items():
        evaluation = Evaluation(np.asarray(scores), np.zeros(len(scores), np.int64), None, CostTable(CONFIG))
        trained = type("Trained", (), {"provenance": {"seed": seed, "stage": "sgn"}, "stream": stream})()
        found.append(Measurement(Path(stream), trained, evaluation, None, f"data {number}", fold=FOLDS[number - 1]))
    return Path(stream), found


def test_streams_are_fused_fold_by_fold_and_pooled():
    wrong, unsure, right = [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]
    joint = stream_of("joint", {1: [wrong, unsure, right], 2: [wrong]})
    bone = stream_of("bone", {2: [right], 1: [right, right, right]})
    (row,) = fuse([joint, bone])  # .45, .55 and .7 of class 0 on fold 1; .45 on fold 2: two of four clips
    assert (row.accuracy, row.seeds, row.streams) == (0.5, 1, ("joint", "bone"))
    assert row.paper_gflops == pytest.approx(2 * joint[1][0].evaluation.paper_gflops)
    with pytest.raises(ModelConfigError, match="found sgn of seed 1, fold 2 of 3, in joint but not in bone"):
        fuse([joint, (bone[0], bone[1][1:])])
    path, more = stream_of("joint", {1: [right]}, seed=2)
    other, others = stream_of("bone", {1: [right]}, seed=2)
    with pytest.raises(ModelConfigError, match="expected sgn on the same folds for every seed"):
        fuse([(path, joint[1] + more), (other, bone[1] + others)])
    whole = [dataclasses.replace(m, fold=None) for m in joint[1][:1]]
    with pytest.raises(ModelConfigError, match="of a whole data set, or of one division into folds, found both"):
        fuse([(joint[0], whole), bone])
