"""`adasgn-edge record`: prompts, clips and tables out of a stream; what is not kept; how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.cli.demo_stream import FIRST_EMITTED, RATE, the_performance
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.label_table import read_label_table
from adasgn_edge.data.recordings import read_recordings
from adasgn_edge.data.stream_frames import StreamFrame, frame_line, header_line
from adasgn_edge.skeletons import load_layout

Run = Callable[..., tuple[int, str]]
LAYOUT = load_layout("shrec22")
PAUSED = ("--pause", 1, "--seconds", 1.5)


@pytest.fixture
def lines() -> list[str]:
    """A header and 13.5 s of a hand that taps every 2.5 s, from 1.2 s on."""
    stream = the_performance(["Tap"], 5, seed=3, every=2.5, first=1.2)
    frames = [
        StreamFrame(10**18 + round(1e9 * number / RATE), {"7": joints})
        for number, joints in enumerate(stream.positions)
    ]
    return [header_line(StreamDescription.as_model(LAYOUT)), *map(frame_line, frames)]


@pytest.fixture
def stream(lines: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "hand.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_clips_of_a_label_lie_in_a_folder_that_is_a_data_set(run: Run, stream: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    status, printed = run("record", out, stream, "--label", "Tap", "--subject", "anna", "--count", 3, *PAUSED)
    assert status == 0, printed
    assert "1/3 1 go … Tap/anna_001.npz, 45 frames 2/3 1 go" in printed
    assert printed.endswith("holds 3 clips by 1 subject: Tap 3")
    status, printed = run(
        "record", out, stream, "--label", "Grab", "--subject", "ben", "--count", 2, *PAUSED, "--no-countdown"
    )
    assert status == 0
    assert "1/2 go … Grab/ben_001.npz" in printed
    assert "holds 5 clips by 2 subjects: Grab 2, Tap 3" in printed
    dataset = read_recordings(out)
    assert dataset.class_names == ("Grab", "Tap")
    assert dataset.groups == ("anna", "anna", "anna", "ben", "ben")
    assert dataset.rate == pytest.approx(30, rel=0.01)
    recorded = stream.read_text().splitlines()[1:]
    first = np.load(out / "Tap" / "anna_001.npz")["stamps_ns"][0]
    assert f'"stamp_ns": {first}' in recorded[30], "the first clip begins a pause after the first frame"


def test_what_is_odd_is_said_and_what_is_empty_is_performed_again(run: Run, lines: list[str], tmp_path: Path) -> None:
    header, *frames = lines
    nobody = [line.split(', "tracks"')[0] + ', "tracks": {}}' for line in frames[25:85]]
    path = tmp_path / "gaps.jsonl"
    path.write_text("\n".join([header, *frames[:25], *nobody, *frames[85:]]))
    status, printed = run("record", tmp_path / "mine", path, "--label", "Tap", "--count", 3, *PAUSED)
    assert status == 0
    assert "not kept: expected somebody in at least half of the frames, found somebody in 0 of 45" in printed
    assert "1/3 1 go … not kept" in printed
    assert "3/3 1 go … Tap/003.npz" in printed
    assert "Tap 3; 1 were not kept" in printed
    status, printed = run("record", tmp_path / "flipped", path, "--label", "Tap", "--count", 1, *PAUSED, "--flip", "yz")
    assert status == 0
    assert "; upside down: " in printed


def test_a_stream_that_ends_early_is_said(run: Run, stream: Path, tmp_path: Path) -> None:
    status, printed = run("record", tmp_path / "mine", stream, "--label", "Tap", "--count", 50, *PAUSED)
    assert status == 1
    assert "ended after 5 of 50 clips: end of the input" in printed
    assert len(read_label_table(tmp_path / "mine" / "labels.csv").rows) == 5
    status, printed = run("record", tmp_path / "mine", stream, "--label", "Tap", *PAUSED)
    assert status == 0, "without a count the end of the stream is the end"
    assert "holds 10 clips: Tap 10" in printed


def test_a_recording_is_cut(run: Run, stream: Path, tmp_path: Path) -> None:
    (tmp_path / "cuts.csv").write_text("start,end,label,subject\n1,2.5,Tap,anna\n3.5,5,Tap,ben\n")
    status, printed = run("record", tmp_path / "mine", stream, "--cut", tmp_path / "cuts.csv")
    assert status == 0, printed
    assert "1 to 2.5 s Tap: Tap/anna_001.npz, 45 frames" in printed
    (tmp_path / "cuts.csv").write_text("start,end,label,subject\n1,2.5,Tap,anna\n300,500,Tap,ben\n")
    status, printed = run("record", tmp_path / "mine", stream, "--cut", tmp_path / "cuts.csv")
    assert status == 2
    assert "300 to 500 s Tap: not kept" in printed
    assert "expected clips of 2 lines, found nothing to learn from in 1" in printed
    assert len(read_recordings(tmp_path / "mine")) == 3


def test_what_cannot_be_recorded_is_refused_before_anybody_performs(run: Run, stream: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((stream,), "expected either --label NAME or --cut"),
        ((stream, "--label", "a", "--cut", "cuts.csv"), "expected either --label NAME or --cut"),
        (("--cut", "cuts.csv"), "expected FILE"),
        ((stream, "--label", "a", "--seconds", 0), "expected clips of 0.2 to 600 seconds"),
        ((stream, "--label", "a", "--layout", "nowhere"), "nowhere"),
        ((stream, "--label", ""), "label: expected a name"),
        (("--label", "a", "--camera", 0), "--camera: expected either --fov DEGREES"),
        ((stream, "--label", "a", "--camera", 0), "expected nothing that the camera itself says"),
        ((stream, "--label", "a", "--axes", "ros"), "expected --source NAME"),
    ):
        status, printed = run("record", tmp_path / "mine", *arguments)
        assert (status, message in printed) == (2, True), printed
    assert not (tmp_path / "mine").exists()
    headless = tmp_path / "headless.jsonl"
    headless.write_text("\n".join(stream.read_text().splitlines()[1:]))
    status, printed = run("record", tmp_path / "other", headless, "--label", "a")
    assert status == 2
    assert "expected to know what the positions of this stream are" in printed


def test_ctrl_c_loses_no_finished_clip(lines: list[str], tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "adasgn_edge", "record", str(tmp_path / "mine"), "--label", "Tap", *map(str, PAUSED),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdin is not None
        process.stdin.write("\n".join(lines[: 1 + 30 * 5 + 45]) + "\n")  # two clips, and 0.5 s of the third
        process.stdin.flush()
        table = tmp_path / "mine" / "labels.csv"
        until = time.monotonic() + 60
        while not (table.exists() and len(table.read_text().splitlines()) == 3):
            assert time.monotonic() < until, "two clips are written while the stream goes on"
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "not kept: ended before the clip did" in out
    assert "ended after 2 clips: interrupted" in said
    assert len(read_recordings(tmp_path / "mine")) == 2
    assert not list((tmp_path / "mine").rglob("*.tmp"))


def test_the_hand_stands_in_for_a_sensor(tmp_path: Path) -> None:
    """`demo --emit | record`: a gesture in every clip, at the defaults of both."""
    environment = dict(os.environ)
    emit = [
        sys.executable,
        "-m",
        "adasgn_edge",
        "demo",
        "--emit",
        "--gestures",
        "tap",
        "--count",
        "2",
        "--speed",
        "200",
    ]
    record = [sys.executable, "-m", "adasgn_edge", "record", str(tmp_path / "mine"), "--label", "Tap", "--count", "2"]
    with subprocess.Popen(emit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as hand:
        done = subprocess.run(record, stdin=hand.stdout, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "1/2  3 2 1 go … Tap/001.npz, 60 frames\n" in done.stdout
    stream = the_performance(["Tap"], 2, seed=0, every=5.0, first=FIRST_EMITTED)
    for number, performed in enumerate(stream.performed):
        begin = 3 + 5 * number
        assert begin <= performed.first / RATE < performed.last / RATE <= begin + 2, "the whole gesture is in the clip"
