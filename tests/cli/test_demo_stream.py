"""The demo with a causal model: one stream of gestures, told while they go on, scored at the end."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

from adasgn_edge.cli import demo, demo_stream
from adasgn_edge.cli.demo_stream import RATE, Score, labels_of, the_performance
from adasgn_edge.cli.session import Session
from adasgn_edge.errors import EngineError, ModelConfigError
from adasgn_edge.hands import GESTURES, Performance, Performed, perform
from adasgn_edge.recogniser import GestureEvent, Recogniser
from tests.causal_models import write_causal

APP = typer.Typer(pretty_exceptions_enable=False)
APP.command()(demo.command)
SHREC21 = ("ONE", "RIGHT", "V", "CROSS", "GRAB", "TAP", "none")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_causal(tmp_path_factory.mktemp("causal") / "model.adasgn")


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(APP, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def event(label: str, start: float, decided: float) -> GestureEvent:
    number = SHREC21.index(label)
    return GestureEvent(
        "started", 1, 0, number, 0.9, round(1e9 * start), round(1e9 * decided), round(1e9 * decided), False
    )


def test_without_a_terminal_a_line_for_each_gesture_and_a_summary_that_agrees(model: Path) -> None:
    output = run("--model", model, "--count", 6, "--seed", 3)
    lines = [line for line in output.splitlines() if re.match(r" *[\d.]+ s  (right|WRONG)  ", line)]
    assert len(lines) >= 3
    right = sum("  right  " in line for line in lines)
    assert f"{right} of " in output
    assert f"{len(lines) - right} in " in output
    for word in ("recognised", "false labels", "multiply-adds a step", "not known", "Shake"):
        assert word in output, word
    recogniser = Recogniser(model)
    stream = the_performance(GESTURES, 6, 3)
    started = [
        found
        for number, joints in enumerate(stream.positions)
        for found in recogniser.push(round(1e9 * number / RATE), {0: joints}).events
        if found.kind == "started"
    ]
    assert [line.split()[0] for line in lines] == [f"{1e-9 * found.decided_ns:.2f}" for found in started]


def test_a_performance_has_every_version_before_any_comes_again() -> None:
    stream = the_performance(("Tap", "Grab"), 6, seed=1)
    asked = [(done.gesture, done.one_finger) for done in stream.performed]
    assert sorted(asked[:4]) == [("Grab", False), ("Grab", True), ("Tap", False), ("Tap", True)]
    assert len(asked) == 6


def test_gestures_are_known_by_their_own_names_and_those_of_shrec21() -> None:
    def known(gesture: str, labels: tuple[str, ...], one_finger: bool = False) -> set[str]:
        return {labels[label] for label in labels_of(Performed(gesture, one_finger, 0, 1), labels)}

    assert known("Swipe X", SHREC21) == {"CROSS"}
    assert known("Tap", SHREC21) == {"TAP"}
    assert known("Shake", SHREC21) == set()
    assert known("Swipe X", (*GESTURES, "none")) == {"Swipe X"}
    assert known("Tap", ("Tap (one finger)", "Tap (whole hand)"), True) == {"Tap (one finger)"}


def test_a_gesture_is_recognised_once_by_an_event_that_is_of_it() -> None:
    hand = perform([("Tap", False)], rate=RATE).positions
    stream = Performance(
        hand, (Performed("Tap", False, 30, 60), Performed("Grab", False, 120, 150), Performed("Shake", True, 300, 330))
    )
    score = Score(stream, SHREC21)
    assert score.take(event("GRAB", 1.2, 1.5)) == "WRONG", "another label"
    assert score.take(event("TAP", 2.6, 2.7)) == "WRONG", "after it"
    assert score.take(event("TAP", 0.2, 0.5)) == "WRONG", "before it"
    assert score.take(event("TAP", 0.9, 1.6)) == "right"
    assert score.take(event("TAP", 1.7, 1.8)) == "WRONG", "once more"
    assert score.take(event("GRAB", 4.9, 5.3)) == "right", "a little late"
    assert (score.false, score.over(3.0), score.over(100.0)) == (4, (1, 1), (2, 2))
    assert score.delays == pytest.approx([0.6, 1.3])
    assert score.unknown == ["Shake"]
    assert [score.now(frame) for frame in (0, 40, 310)] == ["–", "Tap (whole hand)", "Shake (one finger)"]


def test_live_play_shows_what_is_performed_and_told(model: Path) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100, height=34)
    session, stream = Session(Recogniser(model)), the_performance(("Tap",), 2, 0)
    demo_stream._play_live(console, session, Score(stream, session.recogniser.labels), speed=6.0)
    assert session.frames == len(stream.positions)
    for word in ("performed: ", "Tap", "body hand", "a kinematic hand at 30 frames a second", "recognised, "):
        assert word in written.getvalue(), word


def test_ctrl_c_ends_with_the_summary_so_far(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push, calls = Session.push, []

    def interrupted(self: Session, frame: object) -> object:
        calls.append(1)
        if len(calls) == 100:
            raise KeyboardInterrupt
        return push(self, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "push", interrupted)
    output = run("--model", model, status=130)
    assert "ended after 99 of " in output
    assert "false labels" in output


def test_what_a_causal_model_does_not_do_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelConfigError, match="expected a model for clips, which --data plays"):
        run("--model", model, "--data", tmp_path)
    with pytest.raises(EngineError, match=r'device: expected "cpu", "cuda" or .*, found .tensorrt.'):
        run("--model", model, "--device", "tensorrt")
    with pytest.raises(EngineError, match="precision: expected f32 on the CPU, found f16"):
        run("--model", model, "--precision", "f16")
    with pytest.raises(ModelConfigError, match="expected a model that knows Shake, found the labels TAP"):
        run("--model", model, "--gestures", "Shake")
