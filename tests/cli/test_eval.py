"""``eval`` of several runs: what is one model over its seeds and what is not, fusion like with like, no figure that
stands for another. The models are untrained: which rows there are matters here, not how good they are."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")

import torch

from adasgn_edge.cli import main
from adasgn_edge.data.recordings import read_recordings
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.weights import TrainedModel, save_weights
from adasgn_edge.train.recipe import Recipe
from adasgn_edge.train.stages import plan_stages
from tests.train.conftest import STICK, stick_dataset, write_recordings


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("data") / "sticks", stick_dataset(48))


@pytest.fixture
def make(tmp_path, recordings):
    """Writes a run of untrained models that say of themselves what training would have noted."""
    dataset = read_recordings(recordings)

    def run(name, stream="joint", seeds=(1,), stages=("S-1",), digest=dataset.digest, best=0.77, **single) -> Path:
        data = {"dataset": str(recordings), "stream": stream}
        about = {"name": name.replace("/", "-"), "data": data, "model": {"frames": 4}}
        recipe = Recipe.model_validate({**about, "single": single})
        for seed in seeds:
            for stage in plan_stages(recipe, STICK, 3, 36, stages):
                torch.manual_seed(seed + len(name))
                provenance = {
                    "recipe": recipe.model_dump(mode="json"),
                    "stage": stage.name,
                    "alpha": stage.alpha,
                    "seed": seed,
                    "dataset": str(recordings),
                    "dataset_digest": digest,
                }
                folder = tmp_path / name / f"seed-{seed}" / stage.name
                model = build_model(stage.config, STICK)
                save_weights(
                    folder / "model.safetensors", TrainedModel(model, STICK, stream, dataset.class_names, provenance)
                )
                (folder / "log.jsonl").write_text(json.dumps({"epoch": 1, "loss": 1.0, "test_accuracy": best}) + "\n")
        return tmp_path / name

    return run


@pytest.fixture
def evaluate(monkeypatch, tmp_path, capsys):
    """Runs ``eval``; gives the JSON and what was printed."""

    def run(*arguments, warned=False):
        path = tmp_path / "eval.json"
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["adasgn-edge", "eval", *map(str, arguments), "--json", str(path)])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        text = path.read_text()
        assert "NaN" not in text
        captured = capsys.readouterr()
        assert ("warning" in captured.err) == warned, captured.err
        return json.loads(text), captured.out

    return run


@pytest.fixture
def refused(monkeypatch, tmp_path, capsys):
    """Runs ``eval``, which must fail with status 2; gives what it said."""

    def run(*arguments) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["adasgn-edge", "eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        error = " ".join(capsys.readouterr().err.replace("│", " ").split())
        assert "Traceback" not in error
        assert len(error) < 900
        return error

    return run


def rows(result):
    return {row["name"]: row["seeds"] for row in result["models"]}


# -- what is one model over its seeds ---------------------------------------------------------------------------


def test_seeds_of_one_recipe_in_two_folders_are_one_row(make, evaluate):
    make("a", seeds=(1, 2)), make("b", seeds=(3,))
    result, _ = evaluate("a", "b")
    assert rows(result) == {"S-1": 3}


@pytest.mark.parametrize(
    "other", [{"epochs": 7}, {"ema": 0.5}, {"stream": "bone"}, {"digest": "0" * 64}, {"augment": {"scale": 0.1}}]
)
def test_runs_that_differ_are_rows_of_their_own(make, evaluate, other):
    make("a", seeds=(1,)), make("b", seeds=(2,), **other)
    result, printed = evaluate("a", "b", warned="digest" in other)
    assert rows(result) == {"S-1, a": 1, "S-1, b": 1}
    assert "±" not in printed
    assert all(row["accuracy_deviation"] is None for row in result["models"])


def test_policies_upon_other_single_models_are_rows_of_their_own(make, evaluate):
    """The recipe's schedule of single models decides where AdaSGN starts."""
    make("a", seeds=(1,), stages=("adasgn-a1",)), make("b", seeds=(2,), stages=("adasgn-a1",), epochs=7)
    assert rows(evaluate("a", "b")[0]) == {"adasgn-a1, a": 1, "adasgn-a1, b": 1}
    make("c", seeds=(3,), stages=("adasgn-a1",))
    assert rows(evaluate("a", "c")[0]) == {"adasgn-a1": 2}


def test_runs_of_another_precision_are_rows_of_their_own(make, evaluate):
    from adasgn_edge.model.weights import load_weights

    make("a", seeds=(1,))
    path = make("b", seeds=(2,)) / "seed-2" / "S-1" / "model.safetensors"
    trained = load_weights(path)
    trained.provenance["recipe"]["precision"] = "bfloat16"
    save_weights(path, trained)
    assert rows(evaluate("a", "b")[0]) == {"S-1, a": 1, "S-1, b": 1}


def test_the_same_seed_twice_is_not_two_seeds(make, evaluate):
    make("a", seeds=(1, 2)), make("copy", seeds=(1,))
    assert rows(evaluate("a", "copy")[0]) == {"S-1, a": 2, "S-1, copy": 1}
    assert rows(evaluate("a", "a", "a/seed-1/S-1/model.safetensors")[0]) == {"S-1": 2}, "the same files once"


def test_two_recipes_in_one_folder_are_told_apart_by_seed(make, evaluate):
    make("a", seeds=(1, 2)), make("a", seeds=(3,), epochs=7)
    assert rows(evaluate("a")[0]) == {"S-1, seed 1+2": 2, "S-1, seed 3": 1}


def test_an_alpha_that_was_added_later_changes_nothing_for_the_others(make, evaluate):
    path = make("a", seeds=(1, 2), stages=("adasgn-a1",))
    from adasgn_edge.model.weights import load_weights

    second = path / "seed-2" / "adasgn-a1" / "model.safetensors"
    trained = load_weights(second)
    trained.provenance["recipe"]["adaptive"]["alpha"] = [1.0, 9.0]
    save_weights(second, trained)
    assert rows(evaluate("a")[0]) == {"adasgn-a1": 2}


def test_weights_of_an_earlier_recipe_format_are_compared_as_they_are(make, evaluate):
    from adasgn_edge.model.weights import load_weights

    path = make("a", seeds=(1, 2, 3))
    for seed, extra in ((1, "x"), (2, "x"), (3, "y")):
        file = path / f"seed-{seed}" / "S-1" / "model.safetensors"
        trained = load_weights(file)
        trained.provenance["recipe"]["gone"] = extra
        save_weights(file, trained)
    assert rows(evaluate("a")[0]) == {"S-1, seed 1+2": 2, "S-1, seed 3": 1}


# -- fusion -------------------------------------------------------------------------------------------------------


def test_fusion_takes_one_model_of_each_path_stage_by_stage(make, evaluate):
    stages = ("sgn", "S-1", "S-3")
    for stream in ("joint", "bone", "velocity"):
        make(stream, stream, (1, 2), stages)
    result, printed = evaluate("--fuse", "joint/", "bone/", "velocity/")
    fusion = {row["stage"]: row for row in result["fusion"]}
    assert set(fusion) == set(stages)
    assert "3 streams fused: joint, bone, velocity" in printed
    for stage, row in fusion.items():
        alone = [m for m in result["models"] if m["name"].startswith(f"{stage},")]
        assert len(alone) == 3
        assert row["seeds"] == 2
        for cost in ("paper_gflops", "full_gflops"):
            assert row[cost] == pytest.approx(sum(m[cost] for m in alone))


def test_fusion_of_single_files_does_not_mind_their_seeds(make, evaluate):
    make("joint", "joint", (1,)), make("bone", "bone", (2,))
    files = ("joint/seed-1/S-1/model.safetensors", "bone/seed-2/S-1/model.safetensors")
    (row,) = evaluate("--fuse", *files)[0]["fusion"]
    assert (row["seeds"], row["streams"]) == (1, ["joint", "bone"])


def test_fusions_that_make_no_sense_are_refused(make, refused):
    make("joint", "joint", (1,), ("sgn", "S-1")), make("bone", "bone", (1,), ("S-1",)), make("bone2", "bone", (2,))
    make("both/joint", "joint"), make("both/bone", "bone", (2,)), make("twice/a", "bone"), make("twice/b", "bone")
    assert "at least two runs or files" in refused("--fuse", "joint")
    assert "found sgn of seed 1 in joint but not in bone; choose with --only" in refused("--fuse", "joint", "bone")
    assert "found S-1 of seed 1 in joint but not in bone2" in refused("--fuse", "joint", "bone2", "--only", "S-1")
    assert "different stream in each, found: bone is bone, bone2 is bone" in refused("--fuse", "bone", "bone2")
    assert "models of one stream in both, found bone, joint" in refused("--fuse", "both", "bone")
    assert "expected one S-1 of seed 1 in twice" in refused("--fuse", "twice", "joint")


# -- figures that stand for something else ------------------------------------------------------------------------


def test_the_best_epoch_is_shown_only_for_what_the_log_measured(make, evaluate, tmp_path):
    make("a", stages=("adasgn-a1",)), make("old", digest=None), make("changed", digest="1" * 64)
    assert evaluate("a")[0]["models"][0]["best_epoch"] == 0.77
    assert "77.00" in evaluate("a")[1]
    for other in (("--split", "train"), ("--policy", "random"), ("--policy", "fuse"), ("--policy", "S-1")):
        result, printed = evaluate("a", *other)
        assert result["models"][0]["best_epoch"] is None
        assert result["each"][0]["best_epoch"] is None
        assert "77.00" not in printed
    assert evaluate("changed", warned=True)[0]["models"][0]["best_epoch"] is None
    other = write_recordings(tmp_path / "other", stick_dataset(24, seed=3))
    assert evaluate("a", "--data", other)[0]["models"][0]["best_epoch"] is None
    assert evaluate("old", "--data", other)[0]["models"][0]["best_epoch"] is None


def test_the_mean_of_best_epochs_needs_all_of_them(make, evaluate):
    path = make("a", seeds=(1, 2))
    (path / "seed-2" / "S-1" / "log.jsonl").unlink()
    assert evaluate("a")[0]["models"][0]["best_epoch"] is None


def test_a_class_without_samples_is_a_dash_and_null(make, evaluate, tmp_path):
    dataset = stick_dataset(48)
    keep = (dataset.labels != 1) | (dataset.split == "train")
    split = np.where(keep, dataset.split, "train")
    folder = write_recordings(tmp_path / "sticks", dataclasses.replace(dataset, split=split))
    make("a", stages=("adasgn-a1",))
    result, printed = evaluate("a", "--data", folder, "--per-class")
    assert result["each"][0]["class_shares"][1] == [None] * 4
    (line,) = [line for line in printed.splitlines() if "│ y " in line]
    assert line.count("–") == 5, "accuracy and four shares"
    assert "nan" not in printed


def test_fused_branches_have_no_shares_per_class(make, evaluate):
    make("a", stages=("adasgn-a1",))
    _, printed = evaluate("a", "--policy", "fuse", "--per-class")
    assert "B-3 %" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "--split", "tset"), "--split: expected train or test, found 'tset'"),
        (("a", "--only", "S-1,S-9"), "--only: expected among S-1, found 'S-9'"),
        (("a", "--seeds", "1,4"), "--seeds: expected among 1, found 4"),
        (("a", "--policy", "best"), "expected a branch such as S-1"),
        (("a", "--policy", "fuse"), "model.safetensors: policy fuse: expected a model of several branches"),
        (("a", "--on-bad-sample", "ignore"), "expected one of error, skip"),
    ],
)
def test_mistakes_are_named(make, refused, arguments, message):
    make("a")
    assert message in refused(*arguments)
