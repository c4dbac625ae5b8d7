"""`adasgn-edge replay`: a clip of any layout through a model, frame by frame; the plane that it is drawn on."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")

from rich.console import Console

from adasgn_edge.cli.canvas import Canvas, View
from adasgn_edge.cli.playback import PlayedClip, Tally, play_live
from adasgn_edge.data.clips import read_recording
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.replay import Replay
from adasgn_edge.skeletons import load_layout
from tests.cli.conftest import status_of
from tests.cli.test_demo import random_weights
from tests.data.recording_folders import STANDING

Run = Callable[..., tuple[int, str]]


def walker(length: int = 40) -> np.ndarray:
    """Somebody who walks towards the camera, (length, 20, 3), joints as in kinect20."""
    steps = np.linspace(3.0, 1.5, length)[:, None, None] * np.array([0.0, 0.0, 1.0])
    swing = 0.2 * np.sin(np.linspace(0, 12, length))[:, None, None] * np.array([0, 0, 1.0])
    body = np.repeat(STANDING[None], length, axis=0)
    body[:, 12:16] += swing
    body[:, 16:20] -= swing
    return (body + steps + np.array([0.0, 0.9, 0.0])).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model of another layout than the demo's."""
    return random_weights(tmp_path_factory.mktemp("model") / "model.safetensors", "kinect20", ("stand", "walk", "sit"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    stamps = 5 * 10**9 + 40_000_000 * np.arange(40)
    np.savez(tmp_path / "walk.npz", positions=walker(), stamps_ns=stamps)
    return tmp_path / "walk.npz"


def test_every_frame_has_its_probabilities_and_its_branch(
    model: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of("replay", clip, "--model", model, "--json") == 0
    *frames, whole = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["type"] for row in frames] == ["frame"] * 40
    assert frames[10]["seconds"] == pytest.approx(0.4), "25 frames a second, by the file's stamps"
    replay = Replay.load(model)
    tracks, _ = read_recording(clip, replay.layout)
    for number in (0, 20, 39):
        update = replay.classify(tracks, number + 1)
        found = list(frames[number]["probabilities"].values())
        np.testing.assert_allclose(found, update.probabilities, atol=1e-4)
        assert list(frames[number]["probabilities"]) == ["stand", "walk", "sit"]
        assert frames[number]["branch"] == replay.branch_names[update.actions[0, -1]]
    assert whole["type"] == "clip"
    assert whole["probabilities"] == frames[-1]["probabilities"]
    assert sum(whole["action_shares"].values()) == pytest.approx(1, abs=1e-3)


def test_people_read_a_line_a_frame(run: Run, model: Path, clip: Path) -> None:
    status, printed = run("replay", clip, "--model", model)
    assert status == 0
    assert printed.count(" s ") == 40
    assert f"{clip}: " in printed
    assert "after 40 frames; frames by branch: " in printed
    np.savez(clip, positions=walker())
    assert " 3.900 s " in run("replay", clip, "--model", model, "--fps", 10)[1]


def test_what_cannot_be_played_is_said(run: Run, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "hand.npz", positions=animate("Tap"))
    for arguments, message in (
        ((tmp_path / "hand.npz", "--model", model), "for layout 'kinect20'"),
        ((tmp_path / "nothing.npz", "--model", model), "nothing.npz"),
        ((tmp_path / "hand.npz", "--model", "stream"), "expected a model of clips, found a causal one"),
        ((tmp_path / "hand.npz", "--speed", 0), "expected a positive number"),
    ):
        status, printed = run("replay", *arguments)
        assert (status, message in printed) == (2, True), printed


def test_any_layout_is_played_on_the_whole_terminal(model: Path) -> None:
    written, tally = io.StringIO(), Tally()
    console = Console(file=written, force_terminal=True, width=100, height=32)
    two = [walker(), walker()[5:] + np.array([1.0, 0, 0], dtype=np.float32)]
    play_live(console, Replay.load(model), [PlayedClip("walk.npz", None, two, 30.0)], tally, speed=50.0)
    text = written.getvalue()
    assert "kinect20" in text
    assert "recognised" not in text, "nobody knows the label"
    assert " right  ·" not in text
    assert any("\u2800" < character < "\u28ff" for character in text)
    assert tally.results[0][1].frames == 40


# -- the picture ------------------------------------------------------------------------------------------------------


def placed(positions: np.ndarray, layout: str, canvas: Canvas) -> np.ndarray:
    """(L, V, 2) dots of a recording, as it is played."""
    view = View(positions, load_layout(layout))
    return np.stack([view.onto(canvas, joints)(joints) for joints in positions])


def test_the_hand_fills_its_panel_and_never_leaves_it() -> None:
    canvas = Canvas(54, 21)
    shares = []
    for gesture in GESTURES:
        for seed in range(4):
            dots = placed(animate(gesture, seed=seed), "shrec22", canvas)
            assert dots.min() >= 0
            assert (dots.reshape(-1, 2).max(axis=0) <= [canvas.width - 1, canvas.height - 1]).all()
            shares.append((np.ptp(dots, axis=1) / [canvas.width, canvas.height]).max(axis=1).mean())
    assert min(shares) > 0.5
    assert np.mean(shares) > 0.7


def test_a_figure_is_seen_from_where_it_shows_most() -> None:
    canvas, layout = Canvas(60, 30), load_layout("kinect20")
    front = placed(walker(), "kinect20", canvas)
    assert front[0, layout.index("head"), 1] < front[0, layout.index("hip_center"), 1], "heads are above"
    turned = walker()[..., [2, 1, 0]] * np.array([1, 1, -1], dtype=np.float32)  # a quarter round
    for body in (walker(), turned):
        dots = placed(body, "kinect20", canvas)
        arms = np.abs(dots[0, 7, 0] - dots[0, 11, 0])
        assert arms > 0.25 * np.ptp(dots[0, :, 1]), "the arms lie beside the trunk, not before it"
    hand = animate("Grab", seed=2)
    flat = hand[..., [0, 2, 1]] * np.array([1, 1, -1], dtype=np.float32)  # over a Leap, palm down
    upright, lying = (placed(positions, "shrec22", canvas) for positions in (hand, flat))
    for dots in (upright, lying):
        assert np.ptp(dots[0], axis=0).min() > 0.3 * np.ptp(dots[0], axis=0).max(), "not from its edge"
