"""What TensorRT is asked for when an engine is built, and what is said where that fails or is ended."""

from __future__ import annotations

import _thread
import signal
import threading
import time

import numpy as np
import pytest

import adasgn_edge
from adasgn_edge import tensorrt
from adasgn_edge.errors import TensorRTError
from adasgn_edge.tensorrt import self_check
from adasgn_edge.tensorrt.build import expect_memory
from adasgn_edge.tensorrt.cache import EngineCache
from tests.tensorrt import fake_tensorrt as fake
from tests.tensorrt.models import write_random


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: write_random(folder / f"{name}.adasgn", name) for name in ("policy", "escalating", "dense")}


def asked(machine, name):
    return [call[1:] for call in machine.state.calls if call[0] == name]


def test_what_a_build_asks_for(machine, files):
    steps = []
    tensorrt.load(files["policy"], max_batch=8, workspace=64, report=lambda *step: steps.append(step))
    assert machine.names[:7] == [
        "create_network", "load_library", "create_plugin", "add_input", "set_memory_pool_limit", "set_shape",
        "build_serialized_network",
    ]  # fmt: skip
    assert asked(machine, "create_network") == [(2,)]  # strongly typed, by the number that this version has
    assert asked(machine, "load_library") == [(str(machine.library),)]
    size = files["policy"].stat().st_size
    ((name, given, phase),) = asked(machine, "create_plugin")
    assert (name, given, phase.name) == ("AdaSGN", {"model": size, "precision": 1}, "BUILD")
    assert asked(machine, "add_input") == [("clips", (-1, 6, 22, 3))]
    assert asked(machine, "set_memory_pool_limit") == [(fake.MemoryPoolType.WORKSPACE, 64 << 20)]
    assert asked(machine, "set_shape") == [("clips", (1, 6, 22, 3), (1, 6, 22, 3), (8, 6, 22, 3))]
    assert steps == [("Building Engine", done, 3) for done in (0, 1, 2, 3, 3)]


def test_the_library_is_loaded_once(machine, files):
    for precision in ("f16", "f32"):
        tensorrt.load(files["policy"], precision=precision)
    assert machine.names.count("load_library") == 1


def test_the_flag_is_that_of_the_version(machine, files, monkeypatch):
    monkeypatch.setattr(fake.NetworkDefinitionCreationFlag.STRONGLY_TYPED, "_value_", 0)
    monkeypatch.setattr(fake.NetworkDefinitionCreationFlag, "__int__", lambda flag: flag._value_, raising=False)
    tensorrt.load(files["policy"])
    assert asked(machine, "create_network") == [(1,)]


def test_f32_is_exact(machine, files):
    tensorrt.load(files["policy"], precision="f16")
    assert asked(machine, "clear_flag") == []
    tensorrt.load(files["policy"], precision="f32")
    assert asked(machine, "clear_flag") == [(fake.BuilderFlag.TF32,)]


def test_an_effort_is_given_to_the_plugin(machine, files):
    tensorrt.load(files["escalating"], effort=0.25)
    assert asked(machine, "create_plugin")[0][1].keys() == {"model", "precision", "effort"}


@pytest.mark.parametrize(
    ("fails", "what"),
    [
        ("create_plugin", "making the plugin failed"),
        ("add_plugin_v3", "adding the plugin failed"),
        ("build_serialized_network", "building the engine failed"),
    ],
)
def test_a_build_that_fails_says_tensorrts_last_lines(machine, files, fails, what):
    machine.state.fails = {fails}
    machine.state.logs = [(fake.Severity.ERROR, f"line  {number}\nof many") for number in range(9)]
    machine.state.logs.append((fake.Severity.INFO, "and a chatty one"))
    with pytest.raises(TensorRTError, match=f"TensorRT: {what}; it said: ") as raised:
        tensorrt.load(files["policy"])
    if fails == "build_serialized_network":
        assert str(raised.value).endswith("; ".join(f"line {number} of many" for number in range(4, 9)))
    assert not EngineCache().folder.exists()


def test_a_gpu_that_the_builder_refuses_is_said(machine, files):
    machine.state.fails = {"build_serialized_network"}
    machine.state.logs = [(fake.Severity.ERROR, "Target GPU SM 87 is not supported by this TensorRT release.")]
    with pytest.raises(TensorRTError, match="building the engine for this GPU failed; it said: Target GPU SM 87"):
        tensorrt.load(files["policy"])


@pytest.mark.parametrize(("kind", "what"), [("Builder", "builder"), ("Runtime", "runtime")])
def test_tensorrt_that_sees_no_gpu(machine, files, kind, what):
    machine.state.fails = {kind}
    with pytest.raises(TensorRTError, match=f"making a {what} failed; it said: CUDA initialization failure"):
        tensorrt.load(files["policy"])


def test_one_logger_serves_a_process(machine, files):
    from adasgn_edge.tensorrt.runtime import shared_logger

    first = shared_logger(machine.trt)
    tensorrt.load(files["policy"])
    first.last.append("of another build")
    assert shared_logger(machine.trt) is first
    assert not first.last


def test_a_library_that_tensorrt_does_not_load(machine, files):
    machine.state.fails = {"load_library"}
    with pytest.raises(TensorRTError, match=r"expected a library that TensorRT 10\.3\.0 loads: .*libadasgn_tensorrt"):
        tensorrt.load(files["policy"])


def test_no_memory_to_run_in(machine, files):
    machine.state.fails = {"create_execution_context"}
    with pytest.raises(TensorRTError, match="expected memory to run the engine in"):
        tensorrt.load(files["policy"])


@pytest.fixture
def interruptible():
    """What runs in the background of a shell ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_build_and_nothing_is_kept(machine, files, interruptible):
    machine.state.steps = 1000
    machine.state.step = lambda done: _thread.interrupt_main() if done == 2 else time.sleep(0.001)
    with pytest.raises(KeyboardInterrupt):
        tensorrt.load(files["policy"])
    assert not EngineCache().folder.exists()
    assert not machine.state.building


@pytest.mark.parametrize("when", ["before the builder begins", "when it has begun"])
def test_ctrl_c_while_the_builders_thread_is_made(machine, files, monkeypatch, when):
    """The signal may come anywhere in `Thread.start`, which waits for the thread to run."""
    start, building = threading.Thread.start, threading.Event()
    machine.state.steps = 1000
    machine.state.step = lambda done: (building.set(), time.sleep(0.001))
    late = []

    def interrupted(thread):
        if when == "when it has begun":
            start(thread)
            building.wait(10)
        else:
            late.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tensorrt.load(files["policy"])
    assert not machine.state.building
    for thread in late:  # the thread that was asked for runs after all
        start(thread)
        thread.join(10)
        assert not building.is_set()
    assert not EngineCache().folder.exists()


def test_an_error_in_the_builder_is_passed_on(machine, files):
    def fail(done):
        raise MemoryError("of the builder")

    machine.state.step = fail
    with pytest.raises(MemoryError, match="of the builder"):
        tensorrt.load(files["policy"])


def test_an_error_of_who_shows_the_progress_ends_the_build(machine, files):
    def show(phase, done, steps):
        raise ValueError(f"{phase}: no terminal")

    with pytest.raises(ValueError, match="Building Engine: no terminal"):
        tensorrt.load(files["policy"], report=show)
    assert not EngineCache().folder.exists()


# -- memory -----------------------------------------------------------------------------------------------------------


def test_memory_is_looked_at_first(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  8000000 kB\nMemAvailable:    1310720 kB\n")  # 1280 MiB
    expect_memory(256, meminfo)
    with pytest.raises(TensorRTError, match=r"expected 1281 MiB of free memory for building \(257 .*found 1280; end"):
        expect_memory(257, meminfo)
    meminfo.write_text("nothing")
    with pytest.warns(UserWarning, match="how much memory is free cannot be told"):
        expect_memory(256, meminfo)


def test_a_build_without_memory_is_not_begun(machine, files, monkeypatch):
    from adasgn_edge.tensorrt import engine

    def refuse(workspace):
        raise TensorRTError("too little")

    monkeypatch.setattr(engine, "expect_memory", refuse)
    with pytest.raises(TensorRTError, match="too little"):
        tensorrt.load(files["policy"])
    assert machine.names == []


# -- graphs -----------------------------------------------------------------------------------------------------------


def test_what_is_no_graph_is_refused(machine, files, tmp_path):
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    with pytest.raises(TensorRTError, match="expected an ONNX graph that its parser takes, found: In node 3"):
        tensorrt.load(files["dense"], graph=tmp_path / "graph.onnx")


def test_the_parser_lives_as_long_as_the_build(machine, files, tmp_path):
    (tmp_path / "graph.onnx").write_bytes(b"\x08 what the stand-in takes for a graph")
    machine.state.readable = False  # it is built, and cannot be run
    with pytest.raises(TensorRTError, match="expected an engine that it reads"):
        tensorrt.load(files["dense"], graph=tmp_path / "graph.onnx")
    assert "build_serialized_network" in machine.names


# -- the self-check ---------------------------------------------------------------------------------------------------


class Altered:
    """An engine whose results are changed."""

    def __init__(self, engine, change):
        self._engine, self._change = engine, change

    def run(self, clips):
        return self._change(self._engine.run(clips), self._engine, clips)


def check(file, change, precision="f32"):
    cpu = adasgn_edge.load(file)
    return self_check.check_against(cpu, Altered(cpu, change), precision, 16, 1, None)


def unchanged(result, engine, clips):
    return result


def other_branch(result, engine, clips):
    """The first frame takes another branch, and the logits are right for that."""
    actions = result.actions.copy()
    actions[0, 0, 0] = (actions[0, 0, 0] + 1) % 4
    return engine.run(clips, actions)._replace(actions=actions)


@pytest.mark.parametrize("name", ["policy", "escalating", "dense"])
def test_an_engine_agrees_with_itself(files, name):
    outcome = check(files[name], unchanged)
    assert (outcome.clips, outcome.frames, outcome.differing) == (16, 96, 0)
    assert outcome.logit_error < 1e-5


def test_a_decided_frame_on_another_branch_is_found(files):
    with pytest.raises(TensorRTError, match="expected every decided frame on the CPU engine's branch, found 1 of 96"):
        check(files["policy"], other_branch)


def test_an_undecided_frame_may_take_another_branch(files, monkeypatch):
    monkeypatch.setattr(self_check, "MARGIN", 1e9)
    outcome = check(files["policy"], other_branch)
    assert (outcome.undecided, outcome.differing) == (96, 1)


def ended_elsewhere(result, engine, clips):
    """The first sample ends at the other branch, with the logits of that."""
    level = 1 - int(result.actions[0, 0, 0])
    other = engine.run(clips, effort=float(level))
    actions, logits = result.actions.copy(), result.logits.copy()
    actions[0], logits[0] = other.actions[0], other.logits[0]
    return result._replace(actions=actions, logits=logits)


def test_a_sample_that_ends_at_another_branch_is_found(files, monkeypatch):
    with pytest.raises(TensorRTError, match="expected samples to end at the CPU engine's branch, found 1 of 16"):
        check(files["escalating"], ended_elsewhere)
    monkeypatch.setitem(self_check.SLACK, "f32", 1.0)
    assert check(files["escalating"], ended_elsewhere).differing == 6


def test_frames_of_one_sample_at_several_branches_are_found(files):
    def torn(result, engine, clips):
        actions = result.actions.copy()
        actions[0, 0, 0] = 1 - actions[0, 0, 0]
        return result._replace(actions=actions)

    with pytest.raises(TensorRTError, match="expected a sample to end at one branch"):
        check(files["escalating"], torn)


def test_logits_that_are_none_are_found(files):
    with pytest.raises(TensorRTError, match="expected finite logits"):
        check(files["dense"], lambda result, engine, clips: result._replace(logits=result.logits * np.nan))
