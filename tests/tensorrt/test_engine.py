"""Models on a stand-in for TensorRT beside the CPU engine: results, what is built when, graphs, what is refused."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

import adasgn_edge
from adasgn_edge import tensorrt
from adasgn_edge.errors import AdaSGNError, ClipError, EffortError, EngineError, ModelFileError, TensorRTError
from adasgn_edge.installation.build_info import Part
from adasgn_edge.installation.cuda_driver import Driver, Gpu
from adasgn_edge.tensorrt.cache import EngineCache
from tests.tensorrt.models import write_random


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: write_random(folder / f"{name}.adasgn", name) for name in ("policy", "escalating", "dense")}


def clips(count, *persons, seed=0):
    steps = np.random.default_rng(seed).normal(size=(count, *persons, 6, 22, 3))
    return (0.3 * steps).astype(np.float32)


def assert_same(found, expected):
    np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=1e-6 * np.abs(expected.logits).max())
    np.testing.assert_array_equal(found.actions, expected.actions)
    np.testing.assert_array_equal(found.macs, expected.macs)
    assert found.features is None


@pytest.mark.parametrize("name", ["policy", "escalating", "dense"])
def test_results_are_those_of_the_cpu(machine, files, name):
    engine = adasgn_edge.load(files[name], device="tensorrt", max_batch=6)
    cpu = adasgn_edge.load(files[name])
    assert (engine.device, engine.precision, engine.max_batch) == ("tensorrt", "f16", 6)
    assert engine.description == cpu.description
    for count in (1, 6, 6, 6, 3, 1):
        batch = clips(count, seed=count)
        assert_same(engine.run(batch), cpu.run(batch))
    empty = engine.run(clips(0))
    assert empty.logits.shape == (0, 5)
    assert empty.actions.shape == (0, 6)
    if name != "dense":
        assert len(np.unique(cpu.run(clips(6, seed=6)).actions)) > 1, "the test needs several branches in use"


@pytest.mark.parametrize("name", ["policy", "dense"])
def test_persons_are_clips_of_their_own_whose_logits_are_averaged(machine, files, name):
    engine = adasgn_edge.load(files[name], device="tensorrt", max_batch=6)
    batch = clips(2, 3)
    for _ in range(3):
        assert_same(engine.run(batch), adasgn_edge.load(files[name]).run(batch))
    assert ("set_input_shape", (6, 6, 22, 3)) in machine.state.calls


def test_a_model_that_escalates_decides_for_its_persons_together(machine, files):
    engine = tensorrt.load(files["escalating"], max_batch=6, persons=2)
    cpu = adasgn_edge.load(files["escalating"])
    batch = clips(3, 2)
    for _ in range(3):
        assert_same(engine.run(batch), cpu.run(batch))
    assert ("set_shape", "clips", (1, 2, 6, 22, 3), (1, 2, 6, 22, 3), (3, 2, 6, 22, 3)) in machine.state.calls
    with pytest.raises(ClipError, match=r"expected 2 persons, for which it was built, found 1; .*persons=1\) builds"):
        engine.run(clips(3))
    with pytest.raises(ClipError, match="expected 1 persons, for which it was built, found 2"):
        tensorrt.load(files["escalating"]).run(batch)


def test_an_engine_has_one_effort(machine, files):
    cpu = adasgn_edge.load(files["escalating"])
    batch = clips(16)
    for effort in (0.0, 0.5, 1.0):
        engine = tensorrt.load(files["escalating"], max_batch=16, effort=effort)
        assert_same(engine.run(batch), cpu.run(batch, effort=effort))
        assert_same(engine.run(batch, effort=effort), cpu.run(batch, effort=effort))
    with pytest.raises(TensorRTError, match=r"effort: expected 1\.0, with which it was built, found 0\.2"):
        engine.run(batch, effort=0.2)
    assert_same(tensorrt.load(files["escalating"]).run(batch, effort=0.5), cpu.run(batch))  # the model's own
    with pytest.raises(EffortError, match="this model does not escalate"):
        tensorrt.load(files["policy"], effort=0.5)


def test_the_second_run_of_a_shape_is_a_graph(machine, files):
    engine = adasgn_edge.load(files["policy"], device="tensorrt", max_batch=4)
    log, plain = engine._native.staging.log, ["upload", "execute", "download", "download"]
    log.clear()
    engine.run(clips(2))
    assert log == plain
    log.clear()
    engine.run(clips(2))
    assert log == ["begin", *plain, "launch"]
    log.clear()
    engine.run(clips(2, seed=5))
    assert log == ["launch"]
    log.clear()
    engine.run(clips(3))  # another shape: the graph is not good any more
    engine.prepare(3)
    assert log == [*plain, "begin", *plain, "launch", "launch"]


def test_without_graphs_it_runs_all_the_same_and_says_so(machine, files):
    machine.state.capturable = False
    with pytest.warns(UserWarning, match="runs without a CUDA graph, which is slower: GPU: capture of a graph"):
        engine = adasgn_edge.load(files["policy"], device="tensorrt", max_batch=2)  # its self-check runs several
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert_same(engine.run(clips(2)), adasgn_edge.load(files["policy"]).run(clips(2)))


def test_ctrl_c_in_a_capture_leaves_an_engine_that_runs(machine, files, monkeypatch):
    engine = adasgn_edge.load(files["policy"], device="tensorrt", max_batch=4)
    staging = engine._native.staging
    engine.run(clips(2))

    def interrupted(index, size=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(staging, "upload", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.run(clips(2))
    for _ in range(3):
        assert_same(engine.run(clips(2)), adasgn_edge.load(files["policy"]).run(clips(2)))


# -- the cache --------------------------------------------------------------------------------------------------------


def builds(machine):
    return machine.names.count("build_serialized_network")


def test_it_is_built_once(machine, files):
    for _ in range(2):
        engine = adasgn_edge.load(files["policy"], device="tensorrt")
        assert_same(engine.run(clips(2)), adasgn_edge.load(files["policy"]).run(clips(2)))
    assert builds(machine) == 1
    assert engine.checked is None  # by whoever built it


@pytest.mark.parametrize("change", ["precision", "max_batch", "library", "gpu", "module", "driver", "version"])
def test_another_one_is_built_for_whatever_differs(machine, files, monkeypatch, change):
    options = {"precision": "f16", "max_batch": 8}
    tensorrt.load(files["policy"], **options)
    if change == "library":
        machine.library.write_bytes(b"a newer plugin")
    elif change == "gpu":
        machine.driver = Driver("12.6", (Gpu("another", (8, 7)),))
    elif change == "module":
        machine.multiprocessors = 8
    elif change == "driver":
        machine.driver = Driver("13.2", machine.driver.gpus)
    elif change == "version":
        monkeypatch.setattr(machine.trt, "__version__", "10.3.1")
    else:
        options[change] = {"precision": "f32", "max_batch": 4}[change]
    tensorrt.load(files["policy"], **options)
    assert builds(machine) == 2


def test_a_torn_file_is_built_anew_with_a_note(machine, files):
    tensorrt.load(files["policy"])
    (path,) = EngineCache().folder.glob("*.engine")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="the cached engine is built anew: .*it is torn or was changed"):
        tensorrt.load(files["policy"])
    assert builds(machine) == 2
    tensorrt.load(files["policy"])
    assert builds(machine) == 2


def test_a_cache_that_others_can_write_to_is_refused_before_a_build(machine, files):
    folder = EngineCache().folder
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(TensorRTError, match="expected a folder that only you can write to"):
        tensorrt.load(files["policy"])
    assert builds(machine) == 0


def test_an_engine_that_tensorrt_does_not_read_is_built_anew(machine, files, monkeypatch):
    tensorrt.load(files["policy"])
    machine.state.readable = False
    with (
        pytest.warns(UserWarning, match="built anew: .*not compatible with this version of TensorRT"),
        pytest.raises(TensorRTError, match="expected an engine that it reads, found another; it said: The engine plan"),
    ):
        tensorrt.load(files["policy"])  # the new one is not read either


def test_an_engine_that_is_wrong_is_refused_and_not_kept(machine, files):
    machine.state.wrong = 0.5
    for precision in ("f16", "f32"):
        with pytest.raises(TensorRTError, match=r"self-check: expected logits within .* of the CPU engine's, found"):
            tensorrt.load(files["policy"], precision=precision)
    assert not EngineCache().folder.exists()


def test_the_bound_of_f32_is_tighter(machine, files):
    machine.state.wrong = 1e-3
    tensorrt.load(files["policy"], precision="f16")
    with pytest.raises(TensorRTError, match="self-check"):
        tensorrt.load(files["policy"], precision="f32")


# -- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.run(clips(1), np.zeros((1, 6), np.int32)),
        lambda engine: engine.run(clips(1), features=True),
        lambda engine: engine.run(clips(1), max_macs=10**9),
        lambda engine: engine.run(clips(1), max_ms=1.0),
        lambda engine: engine.run_fuse(clips(1)),
        lambda engine: engine.time_efforts(clips(1)),
        lambda engine: engine.policy_features(np.zeros((1, 22, 3))),
        lambda engine: engine.actions(np.zeros((1, 6, 256))),
        lambda engine: engine.branch_features(np.zeros((1, 22, 3)), None, np.zeros(1, int)),
        lambda engine: engine.temporal_head(np.zeros((1, 6, 256))),
        lambda engine: engine.instruction_set,
    ],
)
def test_what_a_built_network_cannot_do_is_a_named_error(machine, files, call):
    engine = adasgn_edge.load(files["policy"], device="tensorrt", max_batch=2)
    with pytest.raises(EngineError, match=r"expected (none|an engine)"):
        call(engine)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((1, 6, 21, 3)), r"expected shape \(B, 6, 22, 3\)"),
        (np.zeros((3, 6, 22, 3)), "expected 0 to 2, found 3"),
        (np.full((1, 6, 22, 3), np.nan), "clip 0: expected finite coordinates of at most 10000, found nan at frame 0"),
        (np.full((2, 1, 6, 22, 3), 1e5), "clip 0: expected finite coordinates of at most 10000, found 100000"),
        ("clips", "expected real numbers"),
    ],
)
def test_clips_are_checked_as_by_every_engine(machine, files, batch, message):
    engine = adasgn_edge.load(files["policy"], device="tensorrt", max_batch=2)
    with pytest.raises(ClipError, match=message):
        engine.run(batch)
    with pytest.raises(ClipError, match=message):
        adasgn_edge.load(files["policy"], max_batch=2).run(batch)  # in the same words
    assert_same(engine.run(clips(2)), adasgn_edge.load(files["policy"]).run(clips(2)))


def test_a_child_of_a_fork_is_refused(machine, files, monkeypatch):
    engine = adasgn_edge.load(files["policy"], device="tensorrt", max_batch=2)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(EngineError, match="expected a call from the process that loaded it"):
        engine.run(clips(1))


def test_a_run_that_fails_is_said(machine, files):
    engine = adasgn_edge.load(files["policy"], device="tensorrt", max_batch=2)
    machine.state.fails = {"execute_async_v3"}
    with pytest.raises(TensorRTError, match="expected a run, found that it failed"):
        engine.run(clips(1))
    machine.state.fails = set()
    assert_same(engine.run(clips(1)), adasgn_edge.load(files["policy"]).run(clips(1)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part": Part(False, reason="no headers were found", remedy="sudo apt install libnvinfer-dev")},
         "expected it to be built, found that no headers were found; sudo apt install libnvinfer-dev"),
        ({"part": Part(True, "11.4.1")}, r"expected one for TensorRT 10, found one built with the headers of 11\.4\.1"),
        ({"driver": Driver(problem="no NVIDIA driver")}, "TensorRT: no NVIDIA driver"),
        ({"staging": None}, "this installation has no CUDA part"),
    ],
)  # fmt: skip
def test_what_is_missing_here_is_said_before_anything_is_built(machine, files, change, message):
    for name, value in change.items():
        setattr(machine, name, value)
    with pytest.raises(TensorRTError, match=message):
        adasgn_edge.load(files["policy"], device="tensorrt")
    assert machine.names == []


def test_a_gpu_that_the_version_lacks_is_said(machine, files, monkeypatch):
    monkeypatch.setattr(machine.trt, "__version__", "10.13.3.9")
    with pytest.raises(TensorRTError, match=r"TensorRT 10\.13\.3\.9 has no code for GPUs of compute capability 8\.7"):
        adasgn_edge.load(files["policy"], device="tensorrt")


def test_an_unknown_major_is_refused(machine, files, monkeypatch):
    monkeypatch.setattr(machine.trt, "__version__", "8.6.1")
    with pytest.raises(TensorRTError, match=r"expected version 10 or 11, found 8\.6\.1"):
        adasgn_edge.load(files["policy"], device="tensorrt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tensorrt:1"}, 'expected "cpu", "cuda", "cuda:<index>" or "tensorrt"'),
        ({"device": "tensorrt", "threads": 2}, "threads: expected none on a GPU"),
        ({"device": "tensorrt", "instruction_set": "avx2"}, "instruction_set: expected none on a GPU"),
        ({"device": "tensorrt", "precision": "f8"}, "precision: expected one of f32, f16"),
        ({"device": "tensorrt", "max_batch": 0}, "max_batch: expected a whole number from 1"),
    ],
)
def test_options_that_cannot_be(machine, files, options, message):
    with pytest.raises(EngineError, match=message):
        adasgn_edge.load(files["policy"], **options)


def test_models_that_cannot_be(machine, files, tmp_path):
    with pytest.raises(EngineError, match="expected one that is not causal on TensorRT"):
        adasgn_edge.load(adasgn_edge.shipped_model("hands"), device="tensorrt")
    with pytest.raises(EngineError, match="persons: expected 1, as only models that escalate"):
        tensorrt.load(files["policy"], persons=2)
    with pytest.raises(EngineError, match="graph: expected none, as this model takes several branches"):
        tensorrt.load(files["policy"], graph="dense.onnx")
    (tmp_path / "none.adasgn").write_bytes(b"no model")
    with pytest.raises(ModelFileError):
        adasgn_edge.load(tmp_path / "none.adasgn", device="tensorrt")


def test_every_error_is_one_of_this_package(machine, files):
    machine.state.offers = False
    with pytest.raises(AdaSGNError, match="expected the creator adasgn_edge::AdaSGN"):
        adasgn_edge.load(files["policy"], device="tensorrt")
