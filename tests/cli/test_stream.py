"""`adasgn-edge stream` as people and programs run it, on a causal model with random weights."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("torch")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

import adasgn_edge
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.stream_frames import StreamFrame, frame_line
from adasgn_edge.hands import GESTURES, perform
from adasgn_edge.recogniser import Recogniser
from adasgn_edge.skeletons import load_layout
from tests.causal_models import LABELS, write_causal
from tests.cli.conftest import status_of

ROOT = Path(adasgn_edge.__file__).parents[1]
RATE = 50.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_causal(tmp_path_factory.mktemp("causal") / "model.adasgn")


@pytest.fixture(scope="module")
def frames() -> list[StreamFrame]:
    """Half a minute of two hands, the second of which comes later."""
    hand = perform([(gesture, False) for gesture in GESTURES[:8]], seed=1, rate=RATE).positions
    return [
        StreamFrame(round(1e9 * n / RATE) + 10**18, {"7": joints} | ({"left": joints[::-1]} if n > 200 else {}))
        for n, joints in enumerate(hand)
    ]


@pytest.fixture(scope="module")
def lines(frames: list[StreamFrame]) -> list[str]:
    return list(map(frame_line, frames))


def command(model: Path, *arguments: object) -> list[str]:
    """The lines of these tests are as the model expects."""
    said = ["--model", str(model), "--source", "model"]
    return [sys.executable, "-m", "adasgn_edge", "stream", *said, *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "LINES": "30"}


Run = Callable[..., tuple[list[dict[str, Any]], str]]


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: the JSON lines that it prints, and what it says on standard error."""

    def printed(
        *arguments: object, given: Sequence[str] = (), status: int = 0, source: str | None = "model"
    ) -> tuple[list[dict[str, Any]], str]:
        path = tmp_path / "given"
        path.write_text("".join(f"{line}\n" for line in given))
        with path.open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            said = () if source is None else ("--source", source)
            found = status_of("stream", "--model", model, *said, *arguments)
        captured = capsys.readouterr()
        assert found == status, captured.err
        assert "Traceback" not in captured.err
        return [json.loads(line) for line in captured.out.splitlines() if line.startswith("{")], captured.err

    return printed


def expected_rows(model: Path, frames: Sequence[StreamFrame]) -> Iterator[tuple[str, str, str, int]]:
    """Kind, body, label and decision of every event."""
    recogniser, names = Recogniser(model), ("7", "left")
    for frame in frames:
        output = recogniser.push(frame.stamp_ns, {names.index(name): joints for name, joints in frame.tracks.items()})
        for event in output.events:
            yield event.kind, names[event.track], LABELS[event.label], event.decided_ns
    recogniser.reset()
    for event in recogniser.push(frames[-1].stamp_ns, {}).events:
        yield event.kind, names[event.track], LABELS[event.label], event.decided_ns


def told(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, int]]:
    return [(row["type"], row["track"], row["label"], row["decided_ns"]) for row in rows if row["type"] != "step"]


def test_lines_in_events_out(run: Run, model: Path, frames: list[StreamFrame], lines: list[str]) -> None:
    rows, said = run("--json", "--fast", given=lines)
    expected = list(expected_rows(model, frames))
    assert told(rows) == expected
    assert {kind for kind, *_ in expected} == {"started", "held", "ended"}
    assert {track for _, track, *_ in expected} == {"7", "left"}
    assert "stream ended: end of the input" in said
    assert f"frames    {len(frames)} in " in said
    started = sum(kind == "started" for kind, *_ in expected)
    assert f"gestures  {started} started: " in said
    for row in rows:
        assert (row["end_ns"] is None) == (row["type"] != "ended")
        assert row["start_ns"] <= row["decided_ns"]


def test_what_goes_on_has_ended_when_the_stream_has(run: Run, model: Path, lines: list[str]) -> None:
    """Whatever ends it: the end of the input, or lines that are none."""
    whole, _ = run("--json", "--fast", given=lines)
    starts = [row["decided_ns"] for row in whole if row["type"] == "started"]
    stamps = [json.loads(line).get("stamp_ns") for line in lines]
    until = next(place for place, stamp in enumerate(stamps) if stamp is not None and stamp > starts[0])
    for more, status in (((), 0), (("no",), 2)):
        rows, _ = run("--json", "--fast", "--strict", given=[*lines[:until], *more], status=status)
        events = [row for row in rows if row["type"] != "step"]
        assert events[-1]["type"] == "ended"
        assert events[-1]["lost"]
        assert {row["id"] for row in events if row["type"] == "started"} == {
            row["id"] for row in events if row["type"] == "ended"
        }


def test_every_step_a_line(run: Run, model: Path, frames: list[StreamFrame], lines: list[str]) -> None:
    rows, _ = run("--json", "--fast", "--steps", given=lines[:300])
    steps = [row for row in rows if row["type"] == "step"]
    recogniser = Recogniser(model)
    expected = [
        result
        for frame in frames[:300]
        for result in recogniser.push(frame.stamp_ns, dict(enumerate(frame.tracks.values()))).results
    ]
    assert len(steps) == len(expected) > 120
    for row, result in zip(steps, expected, strict=True):
        assert (row["stamp_ns"], row["ready"], row["state"]) == (result.stamp_ns, result.ready, result.state)
        assert row["confidence"] == pytest.approx(result.confidence, abs=1e-6)
        assert row["label"] == (None if result.label < 0 else LABELS[result.label])
        assert [entry["label"] for entry in row["top"]] == [LABELS[label] for label, _ in result.top(3)]
        assert row["branch"] == (None if result.action < 0 else "P-24")
    assert not steps[0]["ready"]
    assert steps[-1]["ready"]


@pytest.mark.parametrize("name", ["frames.jsonl", "frames.jsonl.gz"])
def test_a_file_of_lines_is_a_stream(
    run: Run, model: Path, frames: list[StreamFrame], tmp_path: Path, name: str
) -> None:
    import gzip

    text = "".join(frame_line(frame) + "\n" for frame in frames[:700]).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    rows, _ = run("--json", tmp_path / name)
    assert told(rows) == list(expected_rows(model, frames[:700])) != []


def test_a_recording_plays_with_its_stamps_or_at_a_rate(
    run: Run, model: Path, frames: list[StreamFrame], tmp_path: Path
) -> None:
    hand, stamps = np.stack([frame.tracks["7"] for frame in frames]), [frame.stamp_ns for frame in frames]
    np.savez(tmp_path / "hand.npz", positions=hand, stamps_ns=stamps)
    np.savetxt(tmp_path / "hand.csv", hand.reshape(len(hand), -1), fmt="%.9g", delimiter=",")
    alone = [StreamFrame(frame.stamp_ns, {"7": frame.tracks["7"]}) for frame in frames]
    expected = [(kind, "0", label, stamp) for kind, _, label, stamp in expected_rows(model, alone)]
    assert told(run("--json", tmp_path / "hand.npz")[0]) == expected
    rows, _ = run("--json", tmp_path / "hand.csv", "--fps", RATE)
    assert told(rows) == [(kind, track, label, stamp - 10**18) for kind, track, label, stamp in expected]


def test_a_stream_that_nobody_describes_is_refused(run: Run, lines: list[str]) -> None:
    _, said = run(given=lines[:3], status=2, source=None)
    assert "stream ended: expected to know what the positions of this stream are" in said
    assert '{"source": {"joints": "model"' in said
    assert "--source model" in said
    _, said = run("--axes", "optical", given=lines[:3], status=2, source=None)
    assert "expected --source NAME (or --source model) with --axes" in said


def test_a_header_says_it_and_a_left_hand_is_said(
    run: Run, model: Path, frames: list[StreamFrame], tmp_path: Path
) -> None:
    """Millimetres, optical axes, a mirrored picture, each hand with its side: the events are those of the hands."""
    header = {
        "joints": "model",
        "axes": "optical",
        "units": "mm",
        "mirrored": True,
        "gravity": "level",
        "side": "track",
    }
    given = [json.dumps({"source": header})]
    for frame in frames[:700]:
        tracks = {}
        for name, joints in frame.tracks.items():
            seen = joints.astype(float) * [1000, -1000, 1000]  # of a right hand: -x, and that mirrored
            if name == "left":
                seen[:, 0] *= -1
            tracks[name] = {"joints": seen.tolist(), "side": "left" if name == "left" else "right"}
        given.append(json.dumps({"stamp_ns": frame.stamp_ns, "tracks": tracks}))
    rows, said = run("--json", "--fast", given=given, source=None)
    assert told(rows) == list(expected_rows(model, frames[:700])) != []
    assert "hands     left ones, mirrored to right ones: left\n" in said
    contradicted = ("--axes", "ros")
    _, said = run(*contradicted, given=given, status=2)
    assert "stream ended: source: expected one description of a stream" in said
    headless = [given[0].replace('"units": "mm", ', ""), *given[1:]]
    assert "stream ended: source: expected also units: m, cm" in run(given=headless, status=2, source=None)[1]


def test_what_came_in_is_recorded_and_plays_again(run: Run, lines: list[str], tmp_path: Path) -> None:
    record = tmp_path / "recorded.jsonl"
    options = ("--json", "--fast", "--record", record, "--mirror", "--scale", 2)
    mirrored, _ = run(*options, given=[*lines[:500], "no"])
    first, *recorded = record.read_text().splitlines()
    assert json.loads(first) == {"source": StreamDescription.as_model(load_layout("shrec22")).to_dict()}
    assert len(recorded) == 500
    assert told(run("--json", record, source=None)[0]) == told(mirrored)
    plain, _ = run("--json", "--fast", given=lines[:500])
    assert told(plain) != told(mirrored)
    _, said = run("--record", tmp_path, given=lines[:5], status=2)
    assert f"{tmp_path}: cannot be written (Is a directory)" in said


def test_files_play_in_real_time_where_asked(run: Run, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_text("\n".join(lines[:100]))
    spans = []
    for speed in ("--fast", "--real-time"):
        began = time.monotonic()
        run(path, speed)
        spans.append(time.monotonic() - began)
    assert spans[1] - spans[0] > 1.0  # 2 s of frames


def test_malformed_lines_are_named_and_skipped_or_end_it(
    run: Run, model: Path, frames: list[StreamFrame], lines: list[str]
) -> None:
    spoilt = [
        line for number, line in enumerate(lines[:700]) for line in ([line, "{}"] if number % 10 == 3 else [line])
    ]
    rows, said = run("--json", "--fast", given=spoilt)
    assert told(rows) == list(expected_rows(model, frames[:700]))
    assert "adasgn-edge: line 5: expected either 'stamp_ns' (nanoseconds) or 't' (seconds), found the keys none" in said
    assert "malformed 70 lines" in said
    _, said = run("--strict", given=spoilt, status=2)
    assert "stream ended: line 5: expected either" in said
    _, said = run("--max-malformed", 2, given=[lines[0], "no", "no", "no"], status=2)
    assert "stream ended: line 4: expected a JSON object, found 'no'" in said
    assert "(3 malformed lines in a row)" in said


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_signals_end_it_with_a_summary(
    model: Path, lines: list[str], number: signal.Signals, status: int, word: str
) -> None:
    process = subprocess.Popen(
        command(model, "--json", "--steps"), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for line in lines[:5]:
        process.stdin.write(line + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["type"] == "step"  # it runs, and waits for more
    process.send_signal(number)
    output, said = process.communicate(timeout=30)
    assert process.returncode == status, said
    assert f"stream ended: {word}" in said
    assert re.search(r"frames    [1-5] in ", said)
    assert "Traceback" not in said
    for line in output.splitlines():
        json.loads(line)


def test_it_ends_when_nobody_reads_any_more_even_when_nothing_is_written(model: Path, lines: list[str]) -> None:
    process = subprocess.Popen(
        command(model, "--json"), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(lines[0] + "\n")
    process.stdin.flush()
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(timeout=30) == 1
    assert "stream ended: nobody reads the output any more" in said
    assert "Traceback" not in said
    process.stdin.close()


def test_a_named_pipe_is_a_stream(model: Path, frames: list[StreamFrame], lines: list[str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        command(model, "--json", "--fast", pipe), env=environment(), stdout=subprocess.PIPE, text=True
    )
    with pipe.open("w") as writer:
        writer.write("\n".join(lines[:700]))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert told(list(map(json.loads, output.splitlines()))) == list(expected_rows(model, frames[:700]))


def test_lines_for_people_without_torch(model: Path, lines: list[str]) -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom adasgn_edge.cli import main\nmain()"
    _, _, _, *arguments = command(model, "--fast")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input="\n".join(lines),
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0].split()
    assert first[1:4] == ["s", "body", "7"]
    assert first[4] == "started"
    assert first[5] in LABELS
    assert "held" not in done.stdout


def test_a_terminal_shows_it_live(model: Path, frames: list[StreamFrame], tmp_path: Path) -> None:
    """In a terminal of its own: the whole screen while it plays, in real time, the summary after it."""
    path = tmp_path / "hand.jsonl"
    path.write_text("\n".join(frame_line(frame) for frame in frames[:150]))
    master, slave = pty.openpty()
    began = time.monotonic()
    process = subprocess.Popen(command(model, path), env={**environment(), "TERM": "xterm"}, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while True:
        try:
            chunk = os.read(master, 1 << 16)
        except OSError:  # how a pseudo-terminal ends
            break
        if not chunk:
            break
        shown += chunk
    assert process.wait(timeout=30) == 0
    assert time.monotonic() - began > 2.9
    text = shown.decode()
    for word in ("\x1b[?1049h", "\x1b[?1049l", "body 7", "probabilities", "frames a second", "4 gestures, a step"):
        assert word in text, word
    assert text.rindex("stream ended: end of the input") > text.rindex("\x1b[?1049l"), "the screen is left first"


def test_many_bodies_jumps_and_budgets_are_what_the_options_say(run: Run, frames: list[StreamFrame]) -> None:
    def counted(changed: Sequence[StreamFrame], *arguments: object) -> str:
        said = run("--json", "--fast", *arguments, given=list(map(frame_line, changed)))[1]
        return next((line for line in said.splitlines() if line.strip().startswith("counted")), "")

    two = frames[200:260]
    assert "overflow" not in counted(two)
    assert "overflow 59" in counted(two, "--max-tracks", 1)
    after_another = [
        StreamFrame(frame.stamp_ns, {"later" if n >= 30 else "7": frame.tracks["7"]}) for n, frame in enumerate(two)
    ]
    assert "overflow 15" in counted(after_another, "--max-tracks", 1)  # until it is lost, 0.3 s
    assert counted(after_another, "--max-tracks", 1, "--overflow", "replace").split()[1:3] == ["overflow", "1"]
    moved = [
        StreamFrame(frame.stamp_ns, {name: joints + 5.0 for name, joints in frame.tracks.items()})
        if n >= 100
        else frame
        for n, frame in enumerate(frames[:200])
    ]
    assert "jumps" not in counted(moved)
    assert "jumps 1" in counted(moved, "--max-speed", 100)
    pushes = len(two) + 1  # the last one tells that all has ended
    assert f"budget overruns {pushes}" in counted(two, "--total-budget", 1e-9)


def test_what_cannot_be_used_is_named(run: Run, model: Path, lines: list[str], tmp_path: Path) -> None:
    for arguments, said in (
        ((tmp_path / "nothing.csv",), "nothing.csv: expected"),
        ((tmp_path,), "found a folder"),
        (("--fps", 0), "--fps"),
        (("--source", "dog-9"), "source: expected one of"),
        (
            ("--source", "leap-20"),
            "source 'leap-20': expected also --axes source (as it gives them: right up forward, 0.5)",
        ),
        (("--source", "mediapipe-hand-21", "--axes", "source"), "--mirrored or --not-mirrored"),
        (("--source", "coco-17", "--axes", "source"), "a body has not the joints of a hand"),
        (("--source", "openpose-hand-21", "--axes", "source"), "Lifted by a depth image they are positions"),
        (("--axes", "sideways"), "axes: expected optical, ros, model"),
        (("--gravity", "up"), "gravity: expected three numbers"),
        (("--side", "body"), "side: expected 'right', 'left' or 'track'"),
        (("--units", "miles"), "units: expected m, cm, mm, in, ft"),
        (("--mirrored", "--axes", "source"), "axes: 'source' says that they are those of a source; which one?"),
        (("--mode", "quick"), "mode: expected one of continual, exact"),
        (("--weights", "f16"), "weights: expected one of f32, bf16, found 'f16'"),
        (("--effort", 0.5), "does not escalate"),
        (("--overflow", "wait"), "overflow: expected one of refuse, replace, found 'wait'"),
        (("--max-speed", -1), "--max-speed"),
        (("--track-budget", -1), "--track-budget"),
        (("--model", adasgn_edge.shipped_model()), "causal"),
        (("--flip", "w"), "flip: expected axes"),
    ):
        assert said in run(*arguments, given=lines[:1], status=2)[1]
    master, slave = pty.openpty()
    done = subprocess.run(command(model), env=environment(), stdin=slave, capture_output=True, text=True)
    os.close(master)
    os.close(slave)
    assert done.returncode == 2
    assert "found a terminal" in " ".join(done.stderr.replace("│", " ").split())


def test_help_teaches() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adasgn_edge", "stream", "--help"], env=environment(), capture_output=True, text=True
    )
    shown = " ".join(done.stdout.replace("│", " ").split())
    for word in (
        '"stamp_ns"',
        "my-tracker | adasgn-edge stream --source model --json | my-robot",
        "SIGTERM",
        "--real-time",
        "Examples",
    ):
        assert word in shown, word
