"""Classifying clips of one's own: every format, JSON and table, broken files named while others are labelled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from adasgn_edge.cli import classify
from adasgn_edge.errors import ModelFileError
from adasgn_edge.export import export_weights
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.model.weights import TrainedModel, save_weights
from adasgn_edge.replay import Replay
from adasgn_edge.skeletons import load_layout

APP = typer.Typer(pretty_exceptions_enable=False)
APP.command()(classify.command)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    layout = load_layout("shrec22")
    model = build_model(ModelConfig(22, 14, (1, 11, 22)), layout)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_weights(path, TrainedModel(model.eval(), layout, "joint", GESTURES))
    return path


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, Path]:
    """The same gesture as text, csv and npz, and two persons in one npz."""
    clip = animate("Swipe V", seed=4)
    rows = clip.reshape(len(clip), -1)
    paths = {name: tmp_path / name for name in ("clip.txt", "clip.csv", "clip.npz", "pair.npz")}
    np.savetxt(paths["clip.txt"], rows, fmt="%.9g")
    np.savetxt(paths["clip.csv"], rows, fmt="%.9g", delimiter=",")
    np.savez(paths["clip.npz"], positions=clip)
    np.savez(paths["pair.npz"], positions=np.stack([clip, clip[::-1] + np.float32(0.3)]))
    return paths


def run(weights: Path, *arguments: object, status: int = 0) -> Result:
    result = CliRunner().invoke(APP, ["--model", str(weights), *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def test_json_lines_hold_what_a_replay_finds(weights: Path, clips: dict[str, Path]) -> None:
    rows = [json.loads(line) for line in run(weights, "--json", *clips.values()).stdout.splitlines()]
    assert [row["file"] for row in rows] == [str(path) for path in clips.values()]
    replay = Replay.load(weights)
    clip = animate("Swipe V", seed=4)
    expected = [replay.classify(clip)] * 3 + [replay.classify([clip, clip[::-1] + np.float32(0.3)])]
    for row, update in zip(rows, expected, strict=True):
        assert row["label"] == row["top"][0]["label"] == GESTURES[update.label]
        assert row["confidence"] == pytest.approx(update.confidence, abs=1e-5)
        assert len(row["top"]) == 3
        assert row["frames"] == len(clip)
        assert row["cost"]["paper"] == pytest.approx(update.cost.paper)
        assert row["cost"]["dense_full"] == pytest.approx(update.cost.dense_full)
        assert sum(row["action_shares"].values()) == pytest.approx(1)
        assert list(row["action_shares"]) == ["S-1", "B-1", "S-11", "B-11", "S-22", "B-22"]
    assert [row["persons"] for row in rows] == [1, 1, 1, 2]


def test_top_gives_that_many_labels_in_order(weights: Path, clips: dict[str, Path]) -> None:
    (line,) = run(weights, "--json", "--top", 14, clips["clip.npz"]).stdout.splitlines()
    top = json.loads(line)["top"]
    assert {entry["label"] for entry in top} == set(GESTURES)
    assert [entry["confidence"] for entry in top] == sorted((entry["confidence"] for entry in top), reverse=True)
    assert sum(entry["confidence"] for entry in top) == pytest.approx(1, abs=1e-4)


def test_table_shows_label_confidence_and_cost(weights: Path, clips: dict[str, Path], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    update = Replay.load(weights).classify(animate("Swipe V", seed=4))
    bracketed = clips["clip.txt"].rename(clips["clip.txt"].with_name("clip[red].txt"))
    output = run(weights, "--top", 2, bracketed).stdout
    for text in (bracketed.name, GESTURES[update.label], f"{update.confidence:.1%}", GESTURES[update.top(2)[1][0]],
                 f"{update.cost.paper / 1e9:.4f} GMAC, {update.cost.paper_ratio:.0%}"):  # fmt: skip
        assert text in output


@pytest.mark.parametrize("as_json", [True, False])
def test_broken_files_are_named_and_the_others_still_labelled(
    weights: Path, clips: dict[str, Path], tmp_path: Path, as_json: bool, monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    broken = {name: tmp_path / name for name in ("absent.txt", "ragged.csv", "joints.npz", "nan.npz", "flat.npz")}
    broken["ragged.csv"].write_text("1,2,3\n")
    np.savez(broken["joints.npz"], positions=np.zeros((5, 25, 3)))
    clip = animate("Tap")
    clip[3, 2, 1] = np.nan
    np.savez(broken["nan.npz"], positions=clip)
    np.savez(broken["flat.npz"], positions=np.zeros((5, 22, 3)))
    files = [broken["absent.txt"], clips["clip.txt"], *list(broken.values())[1:], clips["clip.csv"]]
    result = run(weights, *(["--json"] if as_json else []), *files, status=1)
    messages = result.stderr.splitlines()
    assert len(messages) == len(broken)
    for path, message in zip(broken.values(), messages, strict=True):
        assert str(path) in message
        assert "expected" in message
        assert "found" in message
    if as_json:
        labelled = [json.loads(line)["file"] for line in result.stdout.splitlines()]
        assert labelled == [str(clips["clip.txt"]), str(clips["clip.csv"])]
    else:
        assert all(str(clips[name]) in result.stdout for name in ("clip.txt", "clip.csv"))


WITHOUT_TORCH = """
import sys
from adasgn_edge.cli import main
sys.argv[:1] = ["adasgn-edge", "classify", "--json", "--top", "14", "--model"]
try:
    main()
finally:
    assert "numpy" in sys.modules
    print("loaded torch" if "torch" in sys.modules else "no torch", file=sys.stderr)
"""


def test_a_model_file_is_run_by_the_native_engine_without_torch(
    weights: Path, clips: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    model = tmp_path / "gestures.adasgn"
    export_weights(weights, model)
    files = [str(clips["clip.npz"]), str(clips["pair.npz"])]
    command = [sys.executable, "-c", WITHOUT_TORCH, str(model), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "no torch"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [json.loads(line) for line in run(weights, "--json", "--top", 14, *files).stdout.splitlines()]
    assert [row["persons"] for row in found] == [1, 2]
    for one, other in zip(found, expected, strict=True):
        assert one["label"] == other["label"]
        assert one["action_shares"] == other["action_shares"]
        assert one["cost"] == pytest.approx(other["cost"])
        confidences = [{entry["label"]: entry["confidence"] for entry in row["top"]} for row in (one, other)]
        assert confidences[0] == pytest.approx(confidences[1], abs=1e-4)


def test_a_damaged_model_file_is_named(clips: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "broken.adasgn"
    path.write_bytes(b"no model")
    with pytest.raises(ModelFileError, match=r"broken\.adasgn"):
        run(path, clips["clip.npz"])


def test_only_broken_files_print_no_table(weights: Path, tmp_path: Path) -> None:
    result = run(weights, tmp_path / "absent.npz", status=1)
    assert result.stdout == ""
    assert "absent.npz" in result.stderr
