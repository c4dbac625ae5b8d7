"""Where `classify` and `demo` run the model: --device and --precision. What takes a GPU is in tests/gpu."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from adasgn_edge.cli import classify, demo
from adasgn_edge.deploy.model_file import shipped_model
from adasgn_edge.errors import EngineError
from adasgn_edge.hands import animate
from adasgn_edge.model.weights import shipped_weights
from adasgn_edge.replay import EngineClassifier, Replay

APP = typer.Typer(pretty_exceptions_enable=False)
APP.command("classify")(classify.command)
APP.command("demo")(demo.command)

ABSENT_GPU = "cuda:99"
"""On every machine an error, whether it has GPUs or not, and whether this installation can use them or not."""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.npz"
    np.savez(path, positions=animate("Swipe Up", seed=3))
    return path


def run(*arguments: object) -> Result:
    """A command in this process; raises what main() would turn into one line and exit status 2."""
    result = CliRunner().invoke(APP, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("options", [(), ("--device", "cpu"), ("--device", "cpu", "--precision", "f32")])
def test_classify_says_where_it_ran(clip: Path, options: tuple[str, ...]) -> None:
    row = json.loads(run("classify", "--json", *options, clip).stdout)
    assert (row["label"], row["device"], row["precision"]) == ("Swipe Up", "cpu", "f32")


def test_demo_runs_on_the_device_that_is_named() -> None:
    assert "(native engine, " in run("demo", "--model", "clips", "--device", "cpu", "--count", 1).stdout


@pytest.mark.parametrize("command", ["classify", "demo"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", ABSENT_GPU), "^device"),
        (("--device", "gpu"), '^device: expected "cpu", "cuda", "cuda:<index>" or "tensorrt", found \'gpu\''),
        (("--precision", "f16"), "^precision: expected f32 on the CPU, found f16"),
        (("--precision", "f64"), "^precision: expected one of f32, f16, found 'f64'"),
        (("--device", ABSENT_GPU, "--model", shipped_weights()), "`adasgn-edge export` makes the model file"),
    ],
)
def test_what_cannot_be_had_is_one_error(command: str, options: tuple[object, ...], message: str, clip: Path) -> None:
    played = [clip] if command == "classify" else [] if "--model" in options else ["--model", "clips"]
    with pytest.raises(EngineError, match=message):
        run(command, *options, *played)


def test_the_demos_stream_runs_where_streams_can() -> None:
    assert "false labels" in run("demo", "--device", "cpu", "--count", 1).stdout
    with pytest.raises(EngineError, match="device: expected"):
        run("demo", "--device", "tensorrt", "--count", 1)


def test_the_error_is_a_line_and_the_exit_status_2(clip: Path) -> None:
    command = [sys.executable, "-m", "adasgn_edge", "classify", "--json", "--device", ABSENT_GPU, str(clip)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("adasgn-edge: device")


@pytest.mark.parametrize("command", ["classify", "demo"])
def test_help_names_the_devices_and_who_knows_what_works(command: str) -> None:
    words = " ".join(run(command, "--help").stdout.replace("│", " ").split())
    assert "cpu, cuda (the GPU), cuda:1 (the second GPU) or tensorrt (built at the first run)" in words
    assert "adasgn-edge doctor" in words


@pytest.mark.parametrize("device", ["cuda", ABSENT_GPU])
def test_weights_are_not_run_on_the_cpu_in_place_of_a_gpu(device: str) -> None:
    with pytest.raises(EngineError, match="expected cpu and f32 for weights, which PyTorch runs, found"):
        Replay.load(shipped_weights(), device=device)


def test_a_replay_on_the_cpu_takes_threads() -> None:
    replay = Replay.load(shipped_model(), threads=2, device="cpu")
    assert isinstance(replay._classify, EngineClassifier)
    assert (replay.device, replay.precision, replay._classify.engine.threads) == ("cpu", "f32", 2)
