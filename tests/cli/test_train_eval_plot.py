"""From a folder of one's own recordings to trained models, their evaluation and pictures, by the commands alone."""

import hashlib
import json
import shutil
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from adasgn_edge.cli import main
from adasgn_edge.deploy.model_file import read_model_file
from adasgn_edge.model.weights import load_weights, save_weights
from tests.train.conftest import stick_dataset, write_recordings

RECIPE = """
[data]
dataset = "{folder}"
[model]
frames = 5
[single]
epochs = 2
batch = 16
[adaptive]
epochs = 2
batch = 16
alpha = [1.0]
"""


def run(monkeypatch, *arguments: object) -> int:
    """The command line in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["adasgn-edge", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Recordings, a recipe, and a finished run."""
    folder = tmp_path_factory.mktemp("mine")
    recordings = write_recordings(folder / "recordings", stick_dataset(48))
    (folder / "mine.toml").write_text(RECIPE.format(folder=recordings))
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, "train", folder / "mine.toml", "--out", folder / "run", "--seeds", "1,2", "--threads", 1) == 0
    return folder


def test_train_writes_every_stage_and_is_done_the_second_time(trained, monkeypatch, capsys):
    stages = ("sgn", "S-1", "B-1", "S-3", "B-3", "adasgn-a1")
    files = [trained / "run" / f"seed-{seed}" / stage / "model.safetensors" for seed in (1, 2) for stage in stages]
    before = [path.stat().st_mtime_ns for path in files]
    assert run(monkeypatch, "train", trained / "mine.toml", "--out", trained / "run", "--seeds", "1,2") == 0
    assert [path.stat().st_mtime_ns for path in files] == before
    assert load_weights(files[-1]).provenance["dataset"] == str(trained / "recordings")


def test_eval_aggregates_seeds(trained, monkeypatch, capsys):
    assert run(monkeypatch, "eval", trained / "run", "--json", trained / "eval.json", "--per-class", "--confusion") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "adasgn-a1, seed 2: per class" in printed
    assert "adasgn-a1, seed 1: confusion" in printed
    result = json.loads((trained / "eval.json").read_text())
    assert {row["name"]: row["seeds"] for row in result["models"]} == dict.fromkeys(
        ("S-1", "B-1", "S-3", "B-3", "sgn", "adasgn-a1"), 2
    )
    for row in result["models"]:
        each = [m["accuracy"] for m in result["each"] if m["stage"] == row["name"]]
        assert row["accuracy"] == pytest.approx(np.mean(each))
        assert row["accuracy_deviation"] == pytest.approx(np.std(each, ddof=1))
        total = np.sum([m["confusion"] for m in result["each"] if m["stage"] == row["name"]])
        assert total == 2 * 12


def test_eval_of_one_branch_and_fused(trained, monkeypatch, capsys):
    chosen = ("eval", trained / "run", "--only", "adasgn-a1", "--seeds", "1", "--json", trained / "one.json")
    assert run(monkeypatch, *chosen, "--policy", "S-3") == 0
    (row,) = json.loads((trained / "one.json").read_text())["models"]
    assert row["shares"] == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("tradeoff", "eval.json"),
        ("tradeoff", "run"),
        ("curves", "run"),
        ("shares", "weights"),
        ("shares", "folder"),
        ("filmstrip", "weights"),
        ("filmstrip", "folder"),
    ],
)
def test_plot_writes_a_picture(trained, monkeypatch, tmp_path, kind, source):
    if source == "eval.json" and not (trained / "eval.json").exists():
        assert run(monkeypatch, "eval", trained / "run", "--json", trained / "eval.json") == 0
    weights = trained / "run" / "seed-1" / "adasgn-a1" / "model.safetensors"
    given = {"weights": weights, "folder": weights.parent}.get(source, trained / source)
    path = tmp_path / f"{kind}.png"
    assert run(monkeypatch, "plot", kind, given, "-o", path) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 10_000


def test_commands_take_the_folder_of_a_run(trained, monkeypatch, tmp_path, capsys):
    """Where it holds one model; models of folds count only where there are no others."""
    alone = tmp_path / "run"
    for name in ("seed-1/S-3", "fold-1-of-2/seed-1/S-3"):
        (alone / name).mkdir(parents=True)
        shutil.copy(trained / "run/seed-1/S-3/model.safetensors", alone / name)
    fold = alone / "fold-1-of-2/seed-1/S-3/model.safetensors"
    weights = load_weights(fold)
    weights.provenance["fold"] = {"number": 1}
    save_weights(fold, weights)
    model = tmp_path / "model.adasgn"
    assert run(monkeypatch, "export", alone, "-o", model) == 0
    expected = read_model_file(model).provenance["weights_sha256"]
    assert expected == hashlib.sha256((alone / "seed-1/S-3/model.safetensors").read_bytes()).hexdigest()
    clip = sorted((trained / "recordings").rglob("*.npz"))[0]
    capsys.readouterr()
    given = (alone, alone / "seed-1/S-3/model.safetensors", model)
    rows = []
    for which in given:
        assert run(monkeypatch, "classify", clip, "--model", which, "--json") == 0
        rows.append(json.loads(capsys.readouterr().out))
    assert rows[0]["top"] == rows[1]["top"]
    assert rows[0]["label"] == rows[2]["label"]

    (alone / "seed-2/S-3").mkdir(parents=True)
    shutil.copy(trained / "run/seed-2/S-3/model.safetensors", alone / "seed-2/S-3")
    for arguments in (("export", alone, "-o", model), ("classify", clip, "--model", alone), ("plot", "shares", alone)):
        assert run(monkeypatch, *arguments) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert "expected one model, found seed-1/S-3, seed-2/S-3: give one of these folders" in error
    assert run(monkeypatch, "export", trained / "recordings", "-o", model) == 2
    assert "expected weights, or the folder of a run with a finished stage" in " ".join(capsys.readouterr().err.split())


def test_singles_of_other_settings_carry_no_policy(trained, monkeypatch, capsys):
    """AdaSGN starts from the single models that its own recipe would have trained."""
    changed = trained / "changed.toml"
    changed.write_text((trained / "mine.toml").read_text().replace("[single]", "[single]\nlearning_rate = 0.002"))
    out = trained / "changed"
    for branch in ("S-1", "B-1", "S-3", "B-3"):
        (out / "seed-1" / branch).mkdir(parents=True)
        shutil.copy(trained / "run/seed-1" / branch / "model.safetensors", out / "seed-1" / branch)
    given = ("train", changed, "--only", "adasgn-a1", "--out", out, "--threads", 1)
    assert run(monkeypatch, *given) == 2
    assert "S-1/model.safetensors: trained with other settings" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train",), "expected a recipe"),
        (("train", "shrek"), "unknown recipe 'shrek'"),
        (("train", "shrec14", "--alpha", "much"), "--alpha: expected numbers"),
        (("train", "shrec14", "--alpha", "1"), "--alpha 1: expected stages that have one, found adasgn-shared"),
        (("eval", "nowhere"), "nowhere: expected a weights file"),
        (("plot", "curves", "nowhere"), "nowhere: expected a run folder"),
        (("cost", "--layout", "octopus"), "unknown layout 'octopus'"),
        (("cost", "--joint-sets", "9,1"), "ascending"),
    ],
)
def test_mistakes_are_one_line_and_status_2(monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_cost_prints_the_table(monkeypatch, capsys):
    assert run(monkeypatch, "cost", "--layout", "ntu25", "--classes", "60") == 0
    printed = capsys.readouterr().out
    assert "160.35" in printed, "B-25 and dense SGN in the paper's convention, 1e6 MACs"
    assert "322.48" in printed, "all branches"
