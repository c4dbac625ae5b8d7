"""The camera with MediaPipe itself, on drawn hands; `make test-camera` sets up an environment with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs MediaPipe and OpenCV: make test-camera")
pytest.importorskip("mediapipe", reason="needs MediaPipe and OpenCV: make test-camera")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

import adasgn_edge
from adasgn_edge.camera import HandCamera, read_calibration
from adasgn_edge.errors import DatasetError, SourceError
from adasgn_edge.hands import animate, perform
from tests.camera.drawn_hand import before_camera, draw, room
from tests.camera.end_to_end import CAMERA, LAYOUT, RATE, VIEW, every_gesture, recognise_all, table, write_video

ROOT = Path(adasgn_edge.__file__).parents[1]
SEED = 0


def test_drawn_gestures_are_recognised() -> None:
    """At least 24 of 28. The seed was fixed beforehand; docs/streaming.md has others."""
    found = recognise_all(every_gesture(SEED), processes=2)
    print(table(found))
    assert sum(each.right for each in found) >= 24
    assert sum(each.placed for each in found) >= 0.9 * sum(each.drawn for each in found)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """A right hand that moves to its left, (H, W, 3) RGB."""
    clip = before_camera(animate("Swipe Left", seed=5, rate=RATE))[::2]
    background = room(CAMERA, 5)
    return [draw(joints, CAMERA, background) for joints in clip]


def tracks(video: Path, mirrored: bool) -> tuple[set[str], np.ndarray]:
    with HandCamera(video, LAYOUT, view=VIEW, mirrored=mirrored, real_time=False) as camera:
        seen = list(camera.seen())
        joints = [camera.frame(each).tracks[each.hands[0].name] for each in seen if each.hands]
    return {hand.side for each in seen for hand in each.hands}, np.stack(joints)


def test_sides_and_mirrored_pictures(pictures: list[np.ndarray], tmp_path: Path) -> None:
    """A picture turned round shows a left hand, or is mirrored; either way the model gets a right hand moving left."""
    write_video(tmp_path / "right.avi", pictures)
    write_video(tmp_path / "turned.avi", [picture[:, ::-1] for picture in pictures])
    sides, right = tracks(tmp_path / "right.avi", mirrored=False)
    assert sides == {"right"}
    sides, undone = tracks(tmp_path / "turned.avi", mirrored=True)
    assert sides == {"right"}
    np.testing.assert_allclose(undone, right, atol=0.02)  # but for what the video's compression does
    sides, left = tracks(tmp_path / "turned.avi", mirrored=False)
    assert sides == {"left"}
    moved = [track[-1, 0, 0] - track[0, 0, 0] for track in (right, undone, left)]
    assert moved[0] < -0.1
    np.testing.assert_allclose(moved, moved[0], atol=0.03)
    sides, _ = tracks(tmp_path / "right.avi", mirrored=True)
    assert sides == {"left"}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two gestures and the pauses about them, 20 pictures a second."""
    asked = [("Swipe Right", False), ("Shake", False)]
    joints = before_camera(perform(asked, seed=2, rate=20.0, pause=(0.6, 0.9)).positions, 0.7)
    background = room(CAMERA, 2)
    video = tmp_path_factory.mktemp("stream") / "stream.avi"
    write_video(video, (draw(each, CAMERA, background) for each in joints), rate=20.0)
    return video


def test_the_command_streams_a_video(stream: Path, tmp_path: Path) -> None:
    """By the model for hands that are held up, unless told otherwise; what was recorded plays alike."""
    pytest.importorskip("typer")
    said = ["--camera", stream, "--fov", VIEW, "--not-mirrored", "--json", "--steps"]
    ended = run("-m", "adasgn_edge", "stream", *said, "--record", tmp_path / "seen.jsonl")
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    ready = [row for row in rows if row["type"] == "step" and row["ready"]]
    assert len(ready) > 20
    assert {row["track"] for row in rows} == {"0"}
    assert any(row["type"] == "started" for row in rows)
    assert "end of the input" in ended.stderr
    played = run(
        "-m", "adasgn_edge", "stream", tmp_path / "seen.jsonl", "--model", "hands", "--json", "--steps", "--fast"
    )
    assert played.returncode == 0, played.stderr
    shown = ("stamp_ns", "label", "confidence")
    again = [json.loads(line) for line in played.stdout.splitlines()]
    assert [[row.get(key) for key in shown] for row in again] == [[row.get(key) for key in shown] for row in rows]


def test_the_command_says_what_it_needs(stream: Path) -> None:
    pytest.importorskip("typer")
    ended = run("-m", "adasgn_edge", "stream", "--camera", stream)
    assert ended.returncode != 0
    words = " ".join(ended.stderr.replace("│", " ").split())
    assert "--fov" in words
    assert "--calibration" in words
    assert "--not-mirrored" in words
    ended = run("-m", "adasgn_edge", "stream", "--camera", stream, "--fov", 60, "--not-mirrored", "--source", "model")
    assert ended.returncode == 2
    assert "--source" in ended.stderr
    ended = run("-m", "adasgn_edge", "stream", "--camera", "97", "--fov", 60, "--not-mirrored")
    assert ended.returncode != 0
    assert "camera 97" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_example_runs_without_a_window(stream: Path) -> None:
    ended = run(ROOT / "examples" / "webcam_hands.py", stream, "--fov", VIEW, "--not-mirrored", "--no-window")
    assert ended.returncode == 0, ended.stderr
    assert "pictures" in ended.stderr
    ended = run(ROOT / "examples" / "webcam_hands.py", stream)
    assert ended.returncode == 2
    assert "--fov" in ended.stderr


def test_files_that_are_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name, words in (("text.mp4", "expected a video"), ("none.mp4", "found no file")):
        with pytest.raises(DatasetError, match=words):
            HandCamera(tmp_path / name, LAYOUT, view=VIEW, mirrored=False)


def test_calibration_files(tmp_path: Path) -> None:
    """As ROS's camera_calibration writes it, as OpenCV does, as JSON."""
    import cv2

    ros = """image_width: 640
image_height: 480
camera_name: webcam
camera_matrix:
  rows: 3
  cols: 3
  data: [520.5, 0.0, 322.0, 0.0, 515.0, 236.0, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.28, 0.09, 0.0008, -0.0012, -0.01]
"""
    (tmp_path / "ros.yaml").write_text(ros)
    expected = read_calibration(tmp_path / "ros.yaml")
    assert (expected.fx, expected.fy, expected.cx, expected.cy) == (520.5, 515.0, 322.0, 236.0)
    assert expected.distortion == (-0.28, 0.09, 0.0008, -0.0012, -0.01)
    (tmp_path / "own.json").write_text(json.dumps(expected.to_dict()))
    assert read_calibration(tmp_path / "own.json") == expected
    storage = cv2.FileStorage(str(tmp_path / "opencv.yml"), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", np.array([[520.5, 0, 322], [0, 515, 236], [0, 0, 1.0]]))
    storage.write("distortion_coefficients", np.array([expected.distortion]))
    storage.release()
    assert read_calibration(tmp_path / "opencv.yml") == expected
    for name, text, words in (
        ("a.json", "{", "expected JSON"), ("a.yaml", "fx 3", "expected"), ("b.yaml", "image_width: 640\n", "found no"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        with pytest.raises(SourceError, match=words):
            read_calibration(tmp_path / name)
