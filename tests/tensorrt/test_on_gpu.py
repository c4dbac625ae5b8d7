"""TensorRT itself on a GPU: `pytest -m tensorrt tests/tensorrt`, part of `make gpu`; skipped where either is missing.

tests/tensorrt/test_stand_in.py runs the same on the stand-in.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

native = pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

import adasgn_edge  # noqa: E402
from adasgn_edge import tensorrt  # noqa: E402
from adasgn_edge.errors import ClipError, TensorRTError  # noqa: E402
from adasgn_edge.installation.build_info import read_build  # noqa: E402
from adasgn_edge.installation.cuda_driver import query_driver  # noqa: E402
from adasgn_edge.tensorrt.plugin import expect_library  # noqa: E402
from adasgn_edge.tensorrt.runtime import find_tensorrt  # noqa: E402
from adasgn_edge.tensorrt.self_check import BOUNDS  # noqa: E402
from tests.tensorrt.models import write_random  # noqa: E402

pytestmark = pytest.mark.tensorrt


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """All that an engine needs, and a cache of its own."""
    driver = query_driver()
    if driver.problem:
        pytest.skip(driver.problem)
    if not hasattr(native, "Staging"):
        pytest.skip("this installation has no CUDA part")
    try:
        find_tensorrt()
        expect_library(read_build().tensorrt)
    except TensorRTError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("ADASGN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    found = {name: write_random(folder / f"{name}.adasgn", name) for name in ("policy", "escalating", "dense")}
    return {**found, "shrec14": adasgn_edge.shipped_model("clips")}


def clips(cpu, *counts):
    random = np.random.default_rng(sum(counts))
    return (0.3 * random.normal(size=(*counts, *cpu.description.clip_shape))).astype(np.float32)


def assert_close(found, expected, precision):
    same = (found.actions == expected.actions).reshape(len(found.actions), -1).all(1)
    assert same.mean() > 0.8  # of random weights a few decisions are close
    errors = np.linalg.norm(found.logits - expected.logits, axis=1)[same]
    assert (errors <= BOUNDS[precision] * np.linalg.norm(expected.logits, axis=1)[same]).all()
    np.testing.assert_array_equal(found.macs[same], expected.macs[same])


@pytest.mark.parametrize("precision", ["f16", "f32"])
@pytest.mark.parametrize("name", ["policy", "escalating", "dense", "shrec14"])
def test_results_are_those_of_the_cpu(files, name, precision):
    cpu = adasgn_edge.load(files[name])
    engine = adasgn_edge.load(files[name], device="tensorrt", max_batch=32, precision=precision)
    assert engine.checked is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # runs are captured
        for count in (1, 1, 1, 32, 32, 32, 5):
            batch = clips(cpu, count)
            assert_close(engine.run(batch), cpu.run(batch), precision)
    again = adasgn_edge.load(files[name], device="tensorrt", max_batch=32, precision=precision)
    assert again.checked is None  # from the cache
    batch = clips(cpu, 7)
    np.testing.assert_array_equal(again.run(batch).logits, engine.run(batch).logits)


def test_a_graph_gives_what_a_plain_run_gives(files):
    engine = adasgn_edge.load(files["shrec14"], device="tensorrt", max_batch=4)
    batch = clips(engine, 4)
    plain, captured, replayed = (engine.run(batch).logits for _ in range(3))
    np.testing.assert_array_equal(captured, plain)
    np.testing.assert_array_equal(replayed, plain)


def test_persons(files):
    for name, options in (("policy", {}), ("escalating", {"persons": 2})):
        cpu = adasgn_edge.load(files[name])
        engine = tensorrt.load(files[name], max_batch=16, precision="f32", **options)
        batch = clips(cpu, 8, 2)
        for _ in range(3):
            assert_close(engine.run(batch), cpu.run(batch), "f32")


def test_clips_are_checked_and_the_engine_goes_on(files):
    cpu = adasgn_edge.load(files["policy"])
    engine = adasgn_edge.load(files["policy"], device="tensorrt", max_batch=2, precision="f32")
    batch = clips(cpu, 2)
    with pytest.raises(ClipError):
        engine.run(np.full_like(batch, np.nan))
    assert_close(engine.run(batch), cpu.run(batch), "f32")


@pytest.mark.parametrize("precision", ["f16", "f32"])
def test_dense_sgn_from_onnx(tmp_path, precision):
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from adasgn_edge.deploy.export import to_model_file
    from adasgn_edge.deploy.model_file import write_model_file
    from adasgn_edge.deploy.onnx_graphs import write_onnx
    from adasgn_edge.model.weights import load_weights
    from tests.conftest import POLICY_WEIGHTS

    trained = load_weights(POLICY_WEIGHTS.parents[1] / "sgn" / "model.safetensors")
    write_model_file(tmp_path / "dense.adasgn", to_model_file(trained))
    (graph,) = write_onnx(trained.model, tmp_path / "dense.onnx", precision=precision)
    cpu = adasgn_edge.load(tmp_path / "dense.adasgn")
    engine = tensorrt.load(tmp_path / "dense.adasgn", graph=graph, precision=precision, max_batch=8)
    for count in (1, 1, 8, 8):
        batch = clips(cpu, count)
        assert_close(engine.run(batch), cpu.run(batch), precision)
