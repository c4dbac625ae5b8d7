"""Every command that writes, where nothing fits any more: one line names the file, and nothing half-written is left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

from adasgn_edge.train.checkpoint import STATE
from tests.cli.conftest import status_of
from tests.examples.recorded_stream import write_recording
from tests.faults import largest_file
from tests.train.conftest import stick_subjects, write_recordings

WEIGHTS = "run/seed-1/adasgn-shared/model.safetensors"
RECORD = ("--label", "tap", "--count", 1, "--seconds", 1, "--pause", 0.2, "--no-countdown")
BENCH = ("bench", "--quick", "--only", "loop", "--loop", "100Hz", "--loop-seconds", 0.1, "--seconds", 0.1)
TRAIN = ("train", "sticks", "--epochs", 1, "--threads", 1)

COMMANDS: dict[str, tuple[tuple[object, ...], str]] = {
    "train FOLDER": ((*TRAIN, "--out", "out/run"), "out/run/fold-1-of-3/seed-1/adasgn-shared"),
    "train --folds": ((*TRAIN, "--folds", 2, "--only", "S-1", "--out", "out/run"), "out/run/fold-1-of-2/seed-1/S-1"),
    "train FOLDER, the card": ((*TRAIN, "--out", "run"), WEIGHTS),
    "export": (("export", WEIGHTS, "-o", "out/model.adasgn"), "out/model.adasgn"),
    "convert": (("convert", "sticks", "--out", "out/a.skeletons"), "out/a.skeletons"),
    "record": (("record", "out/clips", "stream.jsonl", *RECORD), "out/clips"),
    "plot": (("plot", "curves", "run", "-o", "out/curves.png"), "out/curves.png"),
    "eval --json": (("eval", "run", "--json", "out/eval.json"), "out/eval.json"),
    "calibrate --json": (("calibrate", "run", "--json", "out/table.json"), "out/table.json"),
    "calibrate --into": (("calibrate", "run", "--into", WEIGHTS), WEIGHTS),
    "bench --json": ((*BENCH, "--json", "out/bench.json"), "out/bench.json"),
    "bench --html": ((*BENCH, "--html", "out/bench.html"), "out/bench.html"),
    "stream --record": (("stream", "stream.jsonl", "--fast", "--record", "out/stream.jsonl"), "out/stream.jsonl"),
    "stream --mcap": (("stream", "stream.jsonl", "--fast", "--mcap", "out/stream.mcap"), "out/stream.mcap"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, a finished run on them, a stream."""
    folder = tmp_path_factory.mktemp("disk")
    write_recordings(folder / "sticks", stick_subjects(36, 3))
    write_recording(folder / "stream.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADASGN_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        assert status_of(*TRAIN, "--out", "run") == 0
    (folder / "out").mkdir()
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_fits(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    arguments, path = COMMANDS[name]
    if name == "plot":
        pytest.importorskip("matplotlib")
    if name == "stream --mcap":
        pytest.importorskip("foxglove")
    monkeypatch.setenv("ADASGN_CACHE", str(place / "cache"))
    monkeypatch.chdir(place)
    before = files_of(place)
    with largest_file(0):
        status = status_of(*arguments)
    said = capsys.readouterr().err
    assert status == 2, said
    assert f"{path}: cannot be written (File too large)" in said
    assert "Traceback" not in said
    after = files_of(place)
    streamed = {path} if name.startswith("stream") else set()  # grow by whole lines, of which none fits
    assert {file: after.pop(file) for file in streamed} == dict.fromkeys(streamed, b"")
    assert after == before
    shutil.rmtree(place / "out")
    (place / "out").mkdir()


def test_a_recorded_stream_keeps_its_whole_lines(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(place)
    with largest_file(20_000):
        assert status_of("stream", "stream.jsonl", "--fast", "--json", "--record", "out/recorded.jsonl") == 2
    assert "stream ended: out/recorded.jsonl: cannot be written (File too large)" in capsys.readouterr().err
    lines = (place / "out" / "recorded.jsonl").read_text().splitlines()
    assert len(lines) > 5
    assert all(json.loads(line) for line in lines)
    assert not (place / "run" / STATE).exists()
