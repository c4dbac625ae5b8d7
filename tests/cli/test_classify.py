"""Classifying clips of one's own: every format, JSON and table, broken files named while others are labelled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from adasgn_edge.cli import classify
from adasgn_edge.data.sources import load_source
from adasgn_edge.deploy.export import export_weights
from adasgn_edge.deploy.model_file import shipped_model
from adasgn_edge.errors import AdaSGNError, ModelFileError
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import ModelConfig, branch_grid
from adasgn_edge.model.weights import TrainedModel, save_weights
from adasgn_edge.replay import Replay
from adasgn_edge.skeletons import load_layout
from tests.data.ntu_files import body_track, frames_of, write_skeleton

APP = typer.Typer(pretty_exceptions_enable=False)
APP.command()(classify.command)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    layout = load_layout("shrec22")
    model = build_model(ModelConfig(22, 14, branch_grid((1, 11, 22))), layout)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_weights(path, TrainedModel(model.eval(), layout, "joint", GESTURES))
    return path


def quieter(clip: np.ndarray) -> np.ndarray:
    """Another hand that moves less, and so comes second."""
    return clip[0] + (clip[::-1] - clip[0]) / 2 + np.float32(0.3)


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, Path]:
    """The same gesture as text, csv and npz, and two persons in one npz."""
    clip = animate("Swipe V", seed=4)
    rows = clip.reshape(len(clip), -1)
    paths = {name: tmp_path / name for name in ("clip.txt", "clip.csv", "clip.npz", "pair.npz")}
    np.savetxt(paths["clip.txt"], rows, fmt="%.9g")
    np.savetxt(paths["clip.csv"], rows, fmt="%.9g", delimiter=",")
    np.savez(paths["clip.npz"], positions=clip)
    np.savez(paths["pair.npz"], positions=np.stack([clip, quieter(clip)]))
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
    expected = [replay.classify(clip)] * 3 + [replay.classify([clip, quieter(clip)])]
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
    broken = {name: tmp_path / name for name in ("absent.txt", "ragged.csv", "joints.npz", "endless.npz", "flat.npz")}
    broken["ragged.csv"].write_text("1,2,3\n")
    np.savez(broken["joints.npz"], positions=np.zeros((5, 25, 3)))
    clip = animate("Tap")
    clip[3, 2, 1] = np.inf
    np.savez(broken["endless.npz"], positions=clip)
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


def rows_of(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def wide(clip: np.ndarray, joints: Sequence[str]) -> str:
    """The clip as CSV with a header of names."""
    header = ",".join(f"{joint}_{axis}" for joint in joints for axis in "xyz")
    return (
        header
        + "\n"
        + "\n".join(",".join(f"{number:.7g}" for number in frame) for frame in clip.reshape(len(clip), -1))
    )


class TestOptions:
    """With the shipped model, which knows the animated gestures."""

    CLIP = animate("Swipe Up", seed=3)

    def label(self, tmp_path: Path, clip: np.ndarray, *options: object) -> str:
        np.savez(tmp_path / "clip.npz", positions=clip)
        (row,) = rows_of(run(shipped_model(), "--json", *options, tmp_path / "clip.npz"))
        return row["label"]

    def test_axes_side_and_units(self, tmp_path: Path) -> None:
        assert self.label(tmp_path, self.CLIP) == "Swipe Up"
        down = self.CLIP * np.float32([1, -1, 1])
        assert self.label(tmp_path, down) == "Swipe Down"
        assert self.label(tmp_path, down, "--flip", "y") == "Swipe Up"
        right = animate("Swipe Right", seed=1)
        left_hand = right * np.float32([-1, 1, 1])
        assert self.label(tmp_path, right) == "Swipe Right"
        assert self.label(tmp_path, left_hand) != "Swipe Right"
        assert self.label(tmp_path, left_hand, "--mirror") == "Swipe Right"
        assert self.label(tmp_path, self.CLIP * np.float32(1000), "--scale", "0.001") == "Swipe Up"

    def test_a_source(self, tmp_path: Path) -> None:
        source = load_source("mediapipe-hand-21")
        others = [place for place, joint in enumerate(load_layout("shrec22").joints) if joint != "palm"]
        path = tmp_path / "clip.csv"
        path.write_text(wide(self.CLIP[:, others] * np.float32([-1, -1, 1]), source.joints))
        refused = run(shipped_model(), path, status=1).stderr
        assert "found those of mediapipe-hand-21: read it with --source mediapipe-hand-21" in refused
        assert "--axes source --mirrored|--not-mirrored --side left|right" in refused
        as_it_comes = ("--source", "mediapipe-hand-21", "--axes", "source", "--not-mirrored", "--side")
        (row,) = rows_of(run(shipped_model(), "--json", *as_it_comes, "right", path))
        assert row["label"] == "Swipe Up"
        assert row["warnings"] == []
        path.write_text(wide(self.CLIP[:, others] * np.float32([1, -1, 1]), source.joints))
        (row,) = rows_of(run(shipped_model(), "--json", *as_it_comes, "left", path))
        assert row["label"] == "Swipe Up"
        assert row["warnings"] == ["a left hand, mirrored to a right one"]
        path.write_text(wide(self.CLIP[:, others], source.joints))  # converted already
        converted = ("--source", "mediapipe-hand-21", "--axes", "model", "--side", "right")
        assert rows_of(run(shipped_model(), "--json", *converted, path))[0]["label"] == "Swipe Up"

    def test_gravity(self, tmp_path: Path) -> None:
        turn = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], dtype=np.float32)  # a sensor on its side
        rolled = self.CLIP @ turn
        assert self.label(tmp_path, rolled) != "Swipe Up"
        gravity = ",".join(map(str, [0, -9.81, 0] @ turn))
        assert self.label(tmp_path, rolled, "--gravity", gravity) == "Swipe Up"
        assert self.label(tmp_path, self.CLIP * np.float32([-1, -1, 1]), "--axes", "optical") == "Swipe Up"
        assert self.label(tmp_path, self.CLIP * np.float32([-1, 1, 1]), "--side", "left") == "Swipe Up"

    def test_world_landmarks_alone_are_refused(self, tmp_path: Path) -> None:
        others = [place for place, joint in enumerate(load_layout("shrec22").joints) if joint != "palm"]
        np.savez(tmp_path / "clip.npz", positions=(self.CLIP - self.CLIP.mean(axis=1, keepdims=True))[:, others])
        options = ("--source", "mediapipe-hand-21", "--axes", "source", "--not-mirrored", "--side", "right")
        said = run(shipped_model(), *options, tmp_path / "clip.npz", status=1).stderr
        assert "found the origin inside the body in frame after frame" in said

    def test_a_skeleton_file_is_refused_by_a_model_of_hands(self, tmp_path: Path) -> None:
        path = write_skeleton(tmp_path / "a.skeleton", frames_of(14, one=("1", 0, body_track(14))))
        assert "found those of layout 'ntu25'" in run(shipped_model(), path, status=1).stderr

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--flip", "up"), "flip: expected axes such as y or xz"),
            (("--scale", "0"), "scale: expected a positive factor"),
            (("--scale", "nan"), "scale: expected a positive factor"),
            (("--missing", "guess"), "--missing: expected one of fill, error, found 'guess'"),
            (("--source", "mediapip"), "source: expected one of azure-kinect-32"),
            (("--source", "azure-kinect-32"), "expected a mapping onto the model's layout 'shrec22'"),
            (("--source", "leap-20"), "source 'leap-20': expected also --axes source"),
            (("--axes", "sideways"), "axes: expected optical, ros, model"),
            (("--side", "both"), "side: expected left, right, track, body; found 'both'"),
            (("--side", "body"), "side: expected 'right', 'left' or 'track' of the hands"),
        ],
    )
    def test_wrong_options_are_one_error(self, tmp_path: Path, options: tuple[str, str], message: str) -> None:
        with pytest.raises(AdaSGNError, match=message):
            run(shipped_model(), *options, tmp_path / "one.csv", tmp_path / "two.csv")

    def test_missing_joints_can_be_refused(self, tmp_path: Path) -> None:
        clip = self.CLIP.copy()
        clip[5, 3] = np.nan
        np.savez(tmp_path / "clip.npz", positions=clip)
        assert "thumb_joint_1" in run(shipped_model(), "--missing", "error", tmp_path / "clip.npz", status=1).stderr

    def test_missing_joints_are_filled_and_counted(self, tmp_path: Path) -> None:
        clip = self.CLIP.copy()
        clip[5, 3] = np.nan
        np.savez(tmp_path / "clip.npz", positions=clip)
        (row,) = rows_of(run(shipped_model(), "--json", tmp_path / "clip.npz"))
        assert row["label"] == "Swipe Up"
        assert row["cleaning"]["filled_joints"] == 1


class TestFolders:
    def test_clips_of_a_folder_in_order(self, weights: Path, clips: dict[str, Path], tmp_path: Path) -> None:
        folder = tmp_path / "recordings"
        (folder / "anna").mkdir(parents=True)
        for place in ("b.csv", "anna/z.csv", "a.CSV"):
            shutil.copy(clips["clip.csv"], folder / place)
        for name in ("labels.csv", "classes.txt", "README.txt", "layout.json", "notes.md", ".hidden.csv"):
            (folder / name).write_text("file,label\n")
        found = rows_of(run(weights, "--json", clips["clip.npz"], folder, clips["clip.npz"]))
        expected = [clips["clip.npz"], folder / "a.CSV", folder / "anna" / "z.csv", folder / "b.csv", clips["clip.npz"]]
        assert [row["file"] for row in found] == list(map(str, expected))

    def test_a_folder_without_clips(self, weights: Path, clips: dict[str, Path], tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "a.md").write_text("x")
        result = run(weights, "--json", tmp_path / "empty", clips["clip.csv"], tmp_path / "notes", status=1)
        assert [row["file"] for row in rows_of(result)] == [str(clips["clip.csv"])]
        first, second = result.stderr.splitlines()
        assert "empty: expected clips (.csv, " in first
        assert first.endswith("in the folder, found no files")
        assert second.endswith("found 1 other files, such as a.md")


def test_warnings_are_a_line_each_and_in_the_row(weights: Path, tmp_path: Path) -> None:
    clip = animate("Tap", seed=1)
    path = tmp_path / "clip.csv"
    joints = load_layout("shrec22").joints
    lines = wide(clip, joints).splitlines()
    path.write_text("\n".join([lines[0] + ",gyro", *(line + ",1" for line in lines[1:])]))
    result = run(weights, "--json", path)
    (row,) = rows_of(result)
    assert row["warnings"] == ["columns not used: gyro"]
    assert result.stderr == f"adasgn-edge: {path}: warning: columns not used: gyro\n"
    assert row["cleaning"]["filled_joints"] == 0


@pytest.mark.parametrize("name", ["a" * 300, "", "loop.csv"])
def test_names_that_no_file_can_have(weights: Path, clips: dict[str, Path], tmp_path: Path, name: str) -> None:
    if name == "loop.csv":
        (tmp_path / name).symlink_to(tmp_path / name)
    path = tmp_path / name if name else tmp_path / "absent.csv"
    result = run(weights, "--json", path, clips["clip.csv"], status=1)
    assert len(result.stderr.splitlines()) == 1
    assert [row["file"] for row in rows_of(result)] == [str(clips["clip.csv"])]


def test_letters_that_standard_output_cannot_show(weights: Path, clips: dict[str, Path], tmp_path: Path) -> None:
    path = clips["clip.csv"].rename(tmp_path / "größe.csv")
    command = [sys.executable, "-m", "adasgn_edge", "classify", "--json", "--model", str(weights), str(path)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["file"] == str(path)
