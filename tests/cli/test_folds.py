"""``train --folds`` and ``eval`` of what it wrote: which folds there are, what is said of them, mistakes in a line."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")

from adasgn_edge.model.weights import load_weights
from tests.cli.conftest import status_of
from tests.train.conftest import stick_dataset, stick_subjects, write_recordings

TRAIN = ("--only", "S-1,S-3", "--epochs", 2, "--threads", 1)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("data") / "sticks", stick_subjects(72))


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory):
    """Two folds, two stages, one seed."""
    out = tmp_path_factory.mktemp("runs") / "folds"
    arguments = ["train", recordings, "--folds", 2, "--out", out, *TRAIN]
    assert status_of(*arguments) == 0
    return out


def results(run, tmp_path, *arguments):
    status, printed = run("eval", *arguments, "--json", tmp_path / "eval.json")
    assert status == 0, printed
    return json.loads((tmp_path / "eval.json").read_text()), printed


def test_folds_one_by_one_are_the_folds_of_one_command(recordings, trained, run, tmp_path):
    out = tmp_path / "run"
    command = ("train", recordings, "--folds", 2, "--out", out, *TRAIN)
    status, printed = run(*command, "--fold", 2)
    assert status == 0, printed
    assert "sticks, fold 2 of 2: trained on 27 clips; held out 27 of subject 2, subject 4, subject 6" in printed
    assert "fold 2 of 2, S-3 2/2 loss" in printed
    assert re.search(r"S-3 2/2 loss \S+ train \S+% held out \S+%", printed), "not called the test split's"
    assert [path.name for path in out.iterdir()] == ["fold-2-of-2"]
    result, printed = results(run, tmp_path, out)
    assert {row["name"]: row["folds"]["found"] for row in result["models"]} == {"S-1": [2], "S-3": [2]}
    assert "1 of 2" in printed
    before = {path: path.stat().st_mtime_ns for path in out.glob("**/*.safetensors")}
    assert run(*command)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "a finished fold is left alone"
    one, other = (results(run, tmp_path, path)[0]["models"] for path in (out, trained))
    assert [row["accuracy"] for row in one] == [row["accuracy"] for row in other]


def test_eval_of_folds(trained, run, tmp_path):
    result, printed = results(run, tmp_path, trained)
    assert "held out of folds, argmax routing" in printed
    assert "test split" not in printed
    assert "bootstrap by groups, for other groups (54 clips of 6 groups)" in printed
    for row in result["models"]:
        each = [m for m in result["each"] if m["stage"] == row["name"]]
        names = [name for m in each for name in result["clips"][m["data"]]["names"]]
        groups = [group for m in each for group in result["clips"][m["data"]]["groups"]]
        correct = [right for m in each for right in m["correct"]]
        assert len(set(names)) == len(names) == row["clips"] == 54
        assert not any(group.startswith("test") for group in groups)
        assert [m["fold"]["number"] for m in each] == row["folds"]["found"] == [1, 2]
        assert row["accuracy"] == pytest.approx(np.mean(correct))
        assert row["folds"]["accuracies"] == pytest.approx([np.mean(m["correct"]) for m in each])
        assert row["interval"]["low"] <= row["accuracy"] <= row["interval"]["high"]
    (comparison,) = result["comparisons"]  # two models are compared without being asked
    first, second = (
        np.concatenate([m["correct"] for m in result["each"] if m["stage"] == comparison[which]])
        for which in ("first", "second")
    )
    (pair,) = comparison["pairs"]
    assert (pair["only_first"], pair["only_second"]) == ((first > second).sum(), (first < second).sum())
    assert comparison["difference"] == pytest.approx(np.mean(first - second))
    assert f"{comparison['first']} less {comparison['second']}, on the same 54 clips" in printed


def test_folds_over_all_clips_lie_beside(recordings, trained, run, tmp_path):
    out = shutil.copytree(trained, tmp_path / "run")
    chosen = ("--folds", 4, "--over", "all", "--fold", "1,3", "--only", "S-1", *TRAIN[2:])
    status, printed = run("train", recordings, "--out", out, *chosen)
    assert status == 0, printed
    assert {path.name for path in out.iterdir()} == {
        "fold-1-of-2", "fold-2-of-2", "fold-1-of-4-over-all", "fold-3-of-4-over-all",
    }  # fmt: skip
    file = out / "fold-1-of-4-over-all" / "seed-1" / "S-1" / "model.safetensors"
    assert sum(load_weights(file).provenance["clips"].values()) == 72
    result, _ = results(run, tmp_path, out)
    assert {row["name"] for row in result["models"]} == {"S-1, 2 folds", "S-1, 1+3 of 4 folds over all", "S-3"}
    result, printed = results(run, tmp_path, out, "--against", "S-3", "--only", "S-3")
    assert result["comparisons"] == []
    status, printed = run("eval", out, "--against", "S-3")
    assert status == 2
    assert "comparison of S-1, 1+3 of 4 folds over all with S-3: expected the same clips" in printed


def test_fold_tables_name_the_fold(trained, run):
    status, printed = run("eval", trained / "fold-1-of-2", "--only", "S-1", "--per-class")
    assert status == 0
    assert "S-1, seed 1, fold 1 of 2: per class" in printed


def test_recordings_that_have_changed_are_refused(trained, run, tmp_path):
    data = stick_subjects(72)
    groups = list(data.groups)
    groups[1], groups[5] = groups[5], groups[1]  # a clip that was trained on would now be held out
    changed = write_recordings(tmp_path / "changed", dataclasses.replace(data, groups=tuple(groups)))
    status, printed = run("eval", trained / "fold-1-of-2", "--data", changed)
    assert status == 2
    assert "expected the clips that it was made of" in printed


def test_against_a_model(trained, run, tmp_path):
    result, _ = results(run, tmp_path, trained / "fold-1-of-2", trained / "fold-2-of-2", "--against", "S-1")
    assert [(c["first"], c["second"]) for c in result["comparisons"]] == [("S-3", "S-1")]
    status, printed = run("eval", trained / "fold-1-of-2", "--against", "sgn")
    assert status == 2
    assert "--against: expected one of 'S-1', 'S-3', found 'sgn'" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fold", "1"), "--fold 1: expected --folds K beside it, found none"),
        (("--over", "all"), "--over all: expected --folds K beside it, found none"),
        (("--folds", "2", "--fold", "3"), "--fold: expected from 1 to 2, found 3"),
        (("--folds", "2", "--fold", "one"), "--fold: expected numbers with commas between, found 'one'"),
        (("--folds", "2", "--over", "test"), "--over: expected train or all, found 'test'"),
        (("--folds", "7"), "expected 2 to 6 folds, since groups are held out whole and there are 6 (subject 1,"),
        (("--folds", "1"), "expected 2 to 6 folds"),
    ],
)
def test_mistakes_are_named(recordings, run, tmp_path, arguments, message):
    status, printed = run("train", recordings, "--out", tmp_path / "run", *TRAIN, *arguments)
    assert status == 2
    assert message in printed
    assert not (tmp_path / "run").exists()


def test_recordings_without_subjects_have_no_folds(run, tmp_path):
    folder = write_recordings(tmp_path / "sticks", stick_dataset(24))
    status, printed = run("train", folder, "--folds", 2)
    assert status == 2
    assert "a column subject in labels.csv), found a data set without groups" in printed


def test_folds_have_a_run_folder_of_their_own(recordings, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, printed = run("train", recordings, "--folds", 2, "--list-stages")
    assert status == 0
    assert "fold 1 of 2: trained on 27 clips; held out 27 of subject 1, subject 3, subject 5" in printed
    status, printed = run("train", recordings, "--folds", 2, "--only", "S-1", "--epochs", 1, "--threads", 1)
    assert status == 0
    assert "adasgn-edge eval runs/sticks-joint-folds" in printed
    assert len(list((tmp_path / "runs" / "sticks-joint-folds").glob("fold-*/seed-1/S-1/model.safetensors"))) == 2
