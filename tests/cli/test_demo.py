"""The demo: clips, lines and summary without a terminal; what the live screen draws; how it keeps time."""

from __future__ import annotations

import io
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from rich.console import Console
from typer.testing import CliRunner

from adasgn_edge.cli import demo
from adasgn_edge.cli.canvas import Canvas, View
from adasgn_edge.cli.demo_clips import made_clips
from adasgn_edge.cli.playback import Tally, arrivals, play_live
from adasgn_edge.cli.screen import Moment, Screen, bar
from adasgn_edge.data.shrec import class_names
from adasgn_edge.deploy.export import export_weights
from adasgn_edge.errors import CheckpointError, DatasetError, ModelConfigError
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import ModelConfig, branch_grid
from adasgn_edge.model.weights import TrainedModel, save_weights
from adasgn_edge.replay import Replay
from adasgn_edge.skeletons import load_layout

APP = typer.Typer(pretty_exceptions_enable=False)
APP.command()(demo.command)


def random_weights(path: Path, layout_name: str = "shrec22", names: tuple[str, ...] = GESTURES) -> Path:
    """A weights file of an untrained AdaSGN."""
    torch.manual_seed(0)
    layout = load_layout(layout_name)
    model = build_model(ModelConfig(layout.joint_count, len(names), branch_grid(layout.joint_counts)), layout)
    save_weights(path, TrainedModel(model.eval(), layout, "joint", names))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_weights(tmp_path_factory.mktemp("weights") / "model.safetensors")


@pytest.fixture(scope="module")
def replay(weights: Path) -> Replay:
    return Replay.load(weights)


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(APP, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def clip_lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if re.match(r" *\d+/\d+  (right|WRONG)  ", line)]


def test_without_a_terminal_a_line_for_each_clip_and_a_summary_that_agrees(weights: Path) -> None:
    output = run("--model", weights, "--count", 5)
    lines = clip_lines(output)
    assert len(lines) == 5
    right = sum("  right  " in line for line in lines)
    assert f"{right / 5:.1%} ({right} of 5 clips)" in output
    for word in ("mean cost, paper's count", "mean cost, full count", "frames by branch", "B-22", "saved"):
        assert word in output
    for line in lines:
        asked, found = re.search(r"(?:right|WRONG)  (.+) \((?:one finger|whole hand)\): (.+?) [\d.]+%", line).groups()
        assert (asked == found) == ("  right  " in line)


def test_all_gestures_in_both_versions_come_once_before_any_comes_again() -> None:
    clips = made_clips(GESTURES, GESTURES, 28, seed=1)
    assert len({clip.title for clip in clips}) == 28
    assert sorted(clip.label for clip in clips) == sorted([*range(14), *range(14)])
    assert [clip.title for clip in clips] != [clip.title for clip in made_clips(GESTURES, GESTURES, 28, seed=2)]
    again = made_clips(GESTURES, GESTURES, 28, seed=1)
    assert all(np.array_equal(one.tracks[0], other.tracks[0]) for one, other in zip(clips, again, strict=True))
    names = class_names(28)
    assert all(names[clip.label] == clip.title for clip in made_clips(names, GESTURES, 30, seed=0))


def test_gestures_are_chosen_by_name(weights: Path) -> None:
    lines = clip_lines(run("--model", weights, "--gestures", "grab, Swipe +", "--count", 6))
    assert {line.split("  ")[2].split(" (")[0] for line in lines} == {"Grab", "Swipe +"}
    for wrong in ("Wave", ","):
        assert "--gestures" in run("--model", weights, "--gestures", wrong, status=2)
    assert "positive" in run("--model", weights, "--speed", 0, status=2)


@pytest.fixture
def shrec_tree(tmp_path: Path) -> Path:
    """A little tree in the distributed format of SHREC'17: three training and six test sequences."""
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for number in range(9):
        split, gesture, finger = ("train" if number < 3 else "test"), number + 1, number % 2 + 1
        clip = animate(GESTURES[number], one_finger=finger == 1, seed=number)
        folder = tmp_path / f"gesture_{gesture}" / f"finger_{finger}" / "subject_1" / "essai_1"
        folder.mkdir(parents=True)
        np.savetxt(folder / "skeletons_world.txt", clip.reshape(len(clip), -1))
        lists[split].append(f"{gesture} {finger} 1 1 {gesture} {2 * gesture - (finger == 1)} {len(clip)}")
    for split, lines in lists.items():
        (tmp_path / f"{split}_gestures.txt").write_text("\n".join(lines))
    return tmp_path


def test_recorded_test_sequences_are_played_and_scored(weights: Path, replay: Replay, shrec_tree: Path) -> None:
    output = run("--model", weights, "--data", shrec_tree)
    lines = clip_lines(output)
    assert len(lines) == 6  # the test split only
    assert all("gesture_" in line for line in lines)
    right = 0
    for number in range(3, 9):
        rows = np.loadtxt(next(shrec_tree.glob(f"gesture_{number + 1}/*/*/*/*.txt")))
        right += replay.classify(rows.reshape(-1, 22, 3).astype(np.float32)).label == number
    assert f"({right} of 6 clips)" in output
    assert len(clip_lines(run("--model", weights, "--data", shrec_tree, "--count", 2))) == 2
    one = clip_lines(run("--model", weights, "--data", shrec_tree, "--gestures", "Pinch"))
    assert len(one) == 1
    assert "Pinch, gesture_4/finger_2/subject_1/essai_1" in one[0]


def test_a_model_file_plays_through_the_native_engine(weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    model = tmp_path / "gestures.adasgn"
    export_weights(weights, model)
    output, expected = (run("--model", path, "--count", 4) for path in (model, weights))
    assert clip_lines(output) == clip_lines(expected)
    assert "median (native engine, " in output
    assert "median (PyTorch)" in expected


def test_ctrl_c_ends_with_the_summary_so_far(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classify, calls = Replay.classify, []

    def interrupted(self: Replay, *arguments: object) -> object:
        calls.append(1)
        if len(calls) == 4:  # the first call warms up
            raise KeyboardInterrupt
        return classify(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Replay, "classify", interrupted)
    output = run("--model", weights, status=130)
    assert len(clip_lines(output)) == 2
    assert "ended after 2 of 28 clips" in output
    assert "of 2 clips)" in output


def test_wrong_models_and_folders_are_named(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.safetensors: expected a weights file"):
        run("--model", tmp_path / "nothing.safetensors")
    body = random_weights(tmp_path / "ntu.safetensors", "ntu25")
    with pytest.raises(ModelConfigError, match=r"found layout 'ntu25' .* adasgn-edge replay CLIP --model .*ntu\.safe"):
        run("--model", body)
    two = random_weights(tmp_path / "two.safetensors", names=("a", "b"))
    with pytest.raises(ModelConfigError, match=r"found layout 'shrec22' and a, b; play .* --data FOLDER"):
        run("--model", two)
    with pytest.raises(ModelConfigError, match=r"14 or 28 gestures; found a model of .* the labels a, b"):
        run("--model", two, "--data", tmp_path)
    with pytest.raises(DatasetError, match="official split list"):
        run("--model", weights, "--data", tmp_path)


# -- the live screen --------------------------------------------------------------------------------------------------


def test_live_play_shows_every_clip_to_its_end(replay: Replay) -> None:
    clips = made_clips(GESTURES, ("Tap",), 2, seed=0)
    written, tally = io.StringIO(), Tally()
    console = Console(file=written, force_terminal=True, width=100, height=32)
    play_live(console, replay, clips, tally, speed=40.0)
    assert [update.frames for _, update in tally.results] == [clip.length for clip in clips]
    for clip, update in tally.results:
        np.testing.assert_array_equal(update.probabilities, replay.classify(clip.tracks).probabilities)
    assert "clip 2 of 2" in written.getvalue()
    assert "recognised" in written.getvalue()


@pytest.mark.parametrize("skeleton", [True, False])
@pytest.mark.parametrize(("width", "height"), [(100, 32), (80, 24), (160, 50)])
def test_screen_fills_the_terminal_and_no_more(replay: Replay, width: int, height: int, skeleton: bool) -> None:
    recording = animate("Swipe V", seed=3)
    update = replace(replay.classify(recording, frames=30), actions=np.arange(20)[None] * 7 % 6)
    moment = Moment("clip 1 of 1  Swipe V", 12, update, False, 0, 0, 0.4, 0.3, 30.0, 5.0)
    console = Console(width=width, height=height, force_terminal=True, file=io.StringIO())
    lines = console.render_lines(
        Screen(replay, [recording], skeleton).draw(moment), console.options.update(height=height)
    )
    text = ["".join(segment.text for segment in line).rstrip() for line in lines]
    assert len(text) == height
    assert max(map(len, text)) <= width
    whole = "\n".join(text)
    assert "▸Swipe V" in whole
    for action in update.actions[0]:
        assert f" {action} " in whole
    strip = next(line for line in text if "oldest" in line)
    assert re.findall(r"\d", strip) == [str(action) for action in update.actions[0]]
    assert f"{update.cost.paper / 1e9:.3f} of {update.cost.dense_paper / 1e9:.3f} GMAC" in whole
    assert any("\u2800" < character < "\u28ff" for character in whole) == skeleton


def test_arrivals_skip_frames_that_came_while_the_model_was_busy() -> None:
    started = time.perf_counter()
    assert list(arrivals(10, rate=100.0))[-1] == 10
    assert time.perf_counter() - started >= 0.09  # not before the last frame arrives
    seen = []
    for frames in arrivals(50, rate=1000.0):
        seen.append(frames)
        time.sleep(0.02)
    assert seen == sorted(set(seen))
    assert seen[-1] == 50
    assert len(seen) < 10


def test_canvas_puts_dots_where_they_belong() -> None:
    canvas = Canvas(2, 1)
    canvas.dots(np.asarray([[0.0, 0.0], [3.0, 3.0], [9.0, 0.0], [-1.0, 0.0]]), "red")
    assert canvas.text().plain == "⠁⢀"
    canvas.line(np.asarray([0.0, 0.0]), np.asarray([3.0, 0.0]), "red")
    assert canvas.text().plain == "⠉⢉"
    full = Canvas(1, 1)
    full.blob(np.asarray([0.5, 1.5]), 9, "red")
    assert full.text().plain == "⣿"


def test_view_has_up_above_and_right_to_the_right() -> None:
    layout = load_layout("shrec22")
    recording = animate("Swipe Right")
    canvas = Canvas(40, 20)
    view = View(recording, layout)
    dots = np.stack([view.onto(canvas, joints)(joints) for joints in recording])
    assert (dots[0, layout.index("middle_tip")] < dots[0, layout.index("wrist")])[1]
    assert dots[len(dots) * 6 // 10, 0, 0] > dots[0, 0, 0] + 10
    assert dots.min() >= 0
    assert (dots.reshape(-1, 2).max(axis=0) <= [canvas.width - 1, canvas.height - 1]).all()


def test_bar_is_filled_to_an_eighth_of_a_character() -> None:
    assert [bar(share, 4) for share in (0.0, 0.5, 0.53125, 1.0, 7.0)] == ["    ", "██  ", "██▏ ", "████", "████"]


# -- models of one's own --------------------------------------------------------------------------------------------


def own_recordings(folder: Path, labels: tuple[str, ...] = ("Tap", "wave"), split: bool = False) -> Path:
    """Two clips of each label, the first of which trains."""
    rows = ["file,label,split" if split else "file,label"]
    for label in labels:
        for number in range(2):
            name = f"{label}_{number}.npz"
            folder.mkdir(exist_ok=True)
            np.savez(folder / name, positions=animate("Tap", seed=number), stamps_ns=np.arange(200)[:0])
            rows.append(f"{name},{label}" + (f",{('train', 'test')[number]}" if split else ""))
    (folder / "labels.csv").write_text("\n".join(rows))
    (folder / "layout.json").write_text('"shrec22"')
    return folder


def test_the_hand_performs_what_it_knows_of_other_labels(tmp_path: Path) -> None:
    path = random_weights(tmp_path / "own.safetensors", names=("wave", "Tap", "Grab (one finger)"))
    lines = clip_lines(run("--model", path, "--count", 6))
    titles = {line.split("  ")[2].split(":")[0] for line in lines}
    assert titles == {"Tap (whole hand)", "Tap (one finger)", "Grab (one finger)"}
    said = " ".join(run("--model", path, "--gestures", "wave", status=2).replace("│", " ").split())
    assert "expected gestures among Grab, Tap, found 'wave'" in said


def test_own_recordings_are_played_and_scored(tmp_path: Path) -> None:
    path = random_weights(tmp_path / "own.safetensors", names=("wave", "Tap", "Grab"))
    folder = own_recordings(tmp_path / "mine")
    lines = clip_lines(run("--model", path, "--data", folder))
    assert sorted(line.split("  ")[2].split(": ")[0] for line in lines) == [
        "Tap, Tap_0.npz", "Tap, Tap_1.npz", "wave, wave_0.npz", "wave, wave_1.npz",
    ]  # fmt: skip
    assert len(clip_lines(run("--model", path, "--data", folder, "--gestures", "WAVE"))) == 2
    tested = clip_lines(run("--model", path, "--data", own_recordings(tmp_path / "split", split=True)))
    assert sorted(line.split("  ")[2].split(": ")[0] for line in tested) == ["Tap, Tap_1.npz", "wave, wave_1.npz"]
    with pytest.raises(ModelConfigError, match="expected labels that the model knows, found 'spin'"):
        run("--model", path, "--data", own_recordings(tmp_path / "other", ("Tap", "spin")))
    body = random_weights(tmp_path / "body.safetensors", "ntu25", ("wave", "Tap", "Grab"))
    with pytest.raises(ModelConfigError, match="recordings of the model's layout 'ntu25', found 'shrec22'"):
        run("--model", body, "--data", folder)
