"""``plot`` with input that is damaged, partial or of another kind: a picture of what is there, or one clear line."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")

from adasgn_edge import plots
from adasgn_edge.cli import main
from adasgn_edge.cli.plot import _read_logs, _read_models
from adasgn_edge.errors import CheckpointError, DatasetError


def write_log(folder, *rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(name, **changes):
    base = {"name": name, "accuracy": 0.9, "accuracy_deviation": None, "paper_gflops": 0.01, "full_gflops": 0.02}
    return {**base, **changes}


def test_pictures_leave_the_choice_of_a_backend_alone(tmp_path):
    """To whoever imports them: matplotlib has chosen none, and pyplot keeps no figure open."""
    code = (
        "import pathlib, sys, matplotlib\n"
        "from adasgn_edge import plots\n"
        "figure = plots.training_curves({'sgn': [{'epoch': 1, 'loss': 1.0}]}, '')\n"
        "plots.save(figure, pathlib.Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print(dict.__getitem__(matplotlib.rcParams, 'backend'))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    picture = tmp_path / "curves.png"
    command = [sys.executable, "-c", code, str(picture)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert not run.stdout.strip().isalpha(), run.stdout  # a sentinel, not the name of a backend


def test_the_same_stage_of_two_seeds_is_two_curves(tmp_path):
    for seed, loss in ((1, 0.5), (2, 0.25)):
        write_log(tmp_path / f"seed-{seed}" / "S-1", {"epoch": 1, "loss": loss, "test_accuracy": 0.5})
    write_log(tmp_path / "seed-1" / "sgn", {"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.9})
    logs = _read_logs(tmp_path)
    assert {name: rows[0]["loss"] for name, rows in logs.items()} == {"seed-1/S-1": 0.5, "seed-2/S-1": 0.25, "sgn": 1.0}
    left, _ = plots.training_curves(logs, "").axes
    assert len(left.lines) == 3
    assert list(_read_logs(tmp_path / "seed-1" / "sgn" / "log.jsonl")) == ["sgn"]


def test_figures_that_a_log_lacks_are_left_out(tmp_path):
    write_log(tmp_path / "S-1", {"epoch": 1}, {"epoch": 2, "loss": 0.5, "test_accuracy": None})
    left, right = plots.training_curves(_read_logs(tmp_path), "").axes
    assert left.lines[0].get_xdata().tolist() == [2]
    assert len(right.lines[0].get_xdata()) == 0


@pytest.mark.parametrize("line", ["{half", "[1, 2]", '{"loss": 1.0}', '"epoch"'])
def test_a_damaged_log_is_named_with_its_line(tmp_path, line):
    write_log(tmp_path / "S-1", {"epoch": 1, "loss": 1.0})
    with (tmp_path / "S-1" / "log.jsonl").open("a") as file:
        file.write(line)
    with pytest.raises(CheckpointError, match=r"log\.jsonl, line 2: expected the row of an epoch"):
        _read_logs(tmp_path)


def test_a_run_that_has_not_finished_an_epoch_has_no_curves(tmp_path):
    write_log(tmp_path / "S-1")
    with pytest.raises(DatasetError, match="found none with an epoch"):
        _read_logs(tmp_path)


def test_models_of_every_kind_are_drawn(tmp_path):
    path = tmp_path / "eval.json"
    models = [
        row("S-1, runs/a", stage="S-1"),
        row("S-1, runs/b", stage="S-1"),
        row("adasgn-a1"),
        row("sgn"),
        row("adasgn-shared at 0.1", stage="adasgn-shared"),
        row("downloaded"),
    ]
    path.write_text(json.dumps({"models": models}))
    figure = plots.accuracy_against_cost(_read_models(path), "")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "one branch on every frame", "AdaSGN, a policy for each frame", "dense SGN",
        "branches trained together, escalating", "others",
    ]  # fmt: skip
    assert "effort 0.1" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"models": 3}', '{"models": [3]}', '{"models": []}', '{"models": [{"name": "S-1"}]}',
        json.dumps({"models": [row("S-1", accuracy=None)]}), json.dumps({"models": [row("S-1", accuracy="much")]}),
        json.dumps({"models": [row("S-1", paper_gflops=math.nan)]}),
        json.dumps({"models": [row("x" * 100_000, accuracy=-7)]}),
    ],
)  # fmt: skip
def test_files_that_eval_did_not_write(tmp_path, content):
    path = tmp_path / "eval.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"eval\.json: expected a file written by") as error:
        _read_models(path)
    assert len(str(error.value)) < 500


def test_a_class_without_samples_is_said_to_be_one():
    shares = np.array([[0.25, 0.75], [np.nan, np.nan]])
    axes = plots.action_shares(["wave", "clap"], shares, ["S-1", "B-1"], "").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["wave", "clap (no samples)"]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [25, 0, 75, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tradeoff",), "eval --json FILE"),
        (("curves", "run", "-o", "x.xyz"), "expected a name ending in .png"),
        (("curves", "nowhere"), "nowhere: expected a run folder"),
        (("filmstrip", "--frames", "0"), "greater than or equal to 1"),
    ],
)
def test_mistakes_are_named(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "run" / "S-1", {"epoch": 1, "loss": 1.0})
    monkeypatch.setattr(sys, "argv", ["adasgn-edge", "plot", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
