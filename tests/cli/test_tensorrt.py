"""The commands of TensorRT, on the stand-in of tests/tensorrt."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("typer")

from adasgn_edge.cli import main
from adasgn_edge.errors import TensorRTError
from adasgn_edge.installation.build_info import Part
from tests.tensorrt.conftest import machine
from tests.tensorrt.models import write_random

__all__ = ["machine"]


@pytest.fixture
def run(monkeypatch, capsys):
    """The command, its exit status, and what it printed on one line each: output, errors."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["adasgn-edge", "tensorrt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, " ".join(said.out.split()), " ".join(said.err.split())

    return command


@pytest.fixture
def model(tmp_path):
    return write_random(tmp_path / "model.adasgn", "policy")


def test_what_is_built_is_checked_and_kept(machine, run, model, tmp_path):
    status, out, errors = run("build", model, "--max-batch", 8)
    assert (status, errors) == (0, "")
    assert out.startswith("TensorRT 10.3.0 on Orin, 16 multiprocessors (8.7), f16 checked: 16 clips, logits within ")
    assert out.endswith("MB, up to 8 clips")
    (engine,) = (tmp_path / "cache" / "tensorrt").glob("*.engine")
    assert str(engine) in out
    from adasgn_edge import load

    load(model, device="tensorrt", max_batch=8)
    assert machine.names.count("build_serialized_network") == 1


def test_classify_runs_on_it(machine, run, model, tmp_path, monkeypatch, capsys):
    import numpy as np

    from adasgn_edge.hands import animate

    np.savez(tmp_path / "hand.npz", positions=animate("Tap"))
    said = {}
    for device in ("cpu", "tensorrt"):
        arguments = ["classify", str(tmp_path / "hand.npz"), "--model", str(model), "--device", device, "--json"]
        monkeypatch.setattr(sys, "argv", ["adasgn-edge", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        said[device] = json.loads(capsys.readouterr().out)
    assert (said["tensorrt"].pop("device"), said["cpu"].pop("device")) == ("tensorrt", "cpu")
    assert (said["tensorrt"].pop("precision"), said["cpu"].pop("precision")) == ("f16", "f32")
    assert said["tensorrt"] == said["cpu"]
    assert machine.names.count("build_serialized_network") == 1


def test_a_file_of_ones_own_is_checked_against_its_model(machine, run, model, tmp_path):
    engine = tmp_path / "model.engine"
    assert run("build", model, "-o", engine, "--precision", "f32")[0] == 0
    assert sorted(path.name for path in tmp_path.glob("model.*")) == ["model.adasgn", "model.engine", "model.json"]
    status, out, errors = run("check", engine, "--model", model)
    assert (status, errors) == (0, "")
    assert "TensorRT 10.3.0 on Orin, 16 multiprocessors, f32; 16 clips, logits within" in out
    machine.state.wrong = 0.5
    status, _, errors = run("check", engine, "--model", model)
    assert status == 2
    assert "self-check: expected logits within 2e-05 of the CPU engine's" in errors


def test_an_engine_of_another_machine_is_told_from_ours(machine, run, model, tmp_path, monkeypatch):
    engine = tmp_path / "model.engine"
    run("build", model, "-o", engine)
    monkeypatch.setattr(machine.trt, "__version__", "10.16.2")
    status, _, errors = run("check", engine, "--model", model)
    assert status == 2
    assert "expected an engine for this machine and model, found one for tensorrt '10.3.0' and not '10.16.2'" in errors
    assert f"adasgn-edge tensorrt build {model} makes one" in errors


def test_a_refused_build_leaves_nothing(machine, run, model, tmp_path):
    machine.state.fails = {"build_serialized_network"}
    machine.state.logs = [(machine.trt.Severity.ERROR, "no tactic")]
    status, out, errors = run("build", model, "-o", tmp_path / "model.engine")
    assert status == 2
    assert "checked" not in out
    assert errors == "adasgn-edge: TensorRT: building the engine failed; it said: no tactic"
    assert not list(tmp_path.glob("*.engine"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "model.adasgn", "-o", "model.plan"), "--out: expected a name ending in .engine, found 'model.plan'"),
        (("build", "none.adasgn"), "none.adasgn: expected a model file, found nothing: No such file"),
        (("build", "model.adasgn", "--precision", "f8"), "precision: expected one of f32, f16, found 'f8'"),
        (("build", "model.adasgn", "--effort", "0.5"), "effort: expected none, as this model does not escalate"),
        (("check", "none.engine", "--model", "model.adasgn"), "found no file none.engine"),
        (("plugin", "--onnx", "model.onnx"), "--onnx: expected a model file to write, found none"),
    ],
)
def test_what_cannot_be_is_one_line(machine, run, model, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, errors = run(*arguments)
    assert status == 2
    assert message in errors


def test_little_memory_is_a_refusal_that_force_overrides(machine, run, model, monkeypatch):
    from adasgn_edge.tensorrt import engine

    def refuse(workspace):
        raise TensorRTError(f"too little for {workspace}")

    monkeypatch.setattr(engine, "expect_memory", refuse)
    status, _, errors = run("build", model, "--workspace", 64)
    assert (status, errors) == (2, "adasgn-edge: too little for 64")
    assert run("build", model, "--force")[0] == 0


def test_the_plugin_for_other_programs(machine, run, model, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    import adasgn_edge.installation.build_info as build_info

    found = build_info.read_build()
    monkeypatch.setattr(build_info, "read_build", lambda: found.__class__(**{**vars(found), "tensorrt": machine.part}))
    status, out, _ = run("plugin", model, "--onnx", tmp_path / "graph.onnx", "--max-batch", 4)
    assert status == 0
    assert f"{machine.library}: for TensorRT 10.3.0" in out
    assert f"trtexec --onnx={tmp_path / 'graph.onnx'} --saveEngine={model.with_suffix('.engine')}" in out
    assert f"--dynamicPlugins={machine.library} --minShapes=clips:1x6x22x3" in out
    assert "--maxShapes=clips:4x6x22x3" in out
    machine.part = Part(False, reason="no headers were found", remedy="sudo apt install libnvinfer-dev")
    monkeypatch.setattr(build_info, "read_build", lambda: found.__class__(**{**vars(found), "tensorrt": machine.part}))
    status, _, errors = run("plugin")
    assert status == 2
    assert "found that no headers were found; sudo apt install libnvinfer-dev" in errors


def test_phases_are_bars_on_a_terminal(monkeypatch, capsys):
    from adasgn_edge.cli.tensorrt import _Phases

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with _Phases() as step:
        for phase, done, steps in (("outer", 0, 2), ("inner \x1b[2J", 0, 3), ("inner \x1b[2J", 3, 3), ("outer", 2, 2)):
            step(phase, done, steps)
        step("outer", 2, 2)  # as when TensorRT says that it has finished
        step("empty", 0, 0)
    shown = capsys.readouterr().err
    assert "outer" in shown
    assert "\x1b[2J" not in shown


def test_without_tensorrt_the_command_that_brings_it_is_said(run, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    status, _, errors = run("build", model)
    assert status == 2
    assert "TensorRT: " in errors
    assert "python3-libnvinfer" in errors
