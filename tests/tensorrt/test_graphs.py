"""ONNX graphs for TensorRT: dense SGN in both precisions, and a whole model as one node of the plugin."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import adasgn_edge
from adasgn_edge import tensorrt
from adasgn_edge.bench.clips import recorded
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.deploy.model_file import read_model_file, write_model_file
from adasgn_edge.deploy.onnx_graphs import write_onnx
from adasgn_edge.errors import MissingDependencyError, ModelConfigError, TensorRTError
from adasgn_edge.model.config import ModelConfig, branch_grid
from adasgn_edge.model.weights import TrainedModel, load_weights
from adasgn_edge.skeletons import load_layout
from adasgn_edge.tensorrt.plugin_graph import write_plugin_graph
from tests.conftest import POLICY_WEIGHTS
from tests.deploy.conftest import random_trained
from tests.tensorrt.models import write_random

__all__ = ["random_trained"]

DENSE_WEIGHTS = POLICY_WEIGHTS.parents[1] / "sgn" / "model.safetensors"


def session(path):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # of constants in binary16 that it cannot fold, on a CPU
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.mark.slow
def test_a_dense_graph_in_place_of_the_plugin(machine, random_trained, tmp_path):
    trained = random_trained(ModelConfig.dense(22, 5, frames=6), load_layout("shrec22"))
    write_model_file(tmp_path / "dense.adasgn", to_model_file(trained))
    cpu = adasgn_edge.load(tmp_path / "dense.adasgn")
    batch = (0.3 * np.random.default_rng(0).normal(size=(2, 3, 6, 22, 3))).astype(np.float32)
    expected = cpu.run(batch)
    for precision, bound in (("f32", 1e-5), ("f16", 0.02)):
        (graph,) = write_onnx(trained.model, tmp_path / f"{precision}.onnx", precision=precision)
        engine = tensorrt.load(
            tmp_path / "dense.adasgn", graph=graph, precision=precision, max_batch=8, typical_batch=4
        )
        for _ in range(3):
            result = engine.run(batch)
            assert np.linalg.norm(result.logits - expected.logits) <= bound * np.linalg.norm(expected.logits)
            np.testing.assert_array_equal(result.actions, expected.actions)
            np.testing.assert_array_equal(result.macs, expected.macs)
    assert "load_library" not in machine.names
    shapes = [call[1:] for call in machine.state.calls if call[0] == "set_shape"]
    assert shapes[0] == ("clip", (1, 6, 22, 3), (4, 6, 22, 3), (8, 6, 22, 3))
    # A graph in binary16 is not what f32 promises.
    with pytest.raises(TensorRTError, match="self-check: expected logits within 2e-05"):
        tensorrt.load(tmp_path / "dense.adasgn", graph=tmp_path / "f16.onnx", precision="f32")


@pytest.mark.slow
def test_dense_sgn_in_binary16_labels_recorded_clips_as_in_float32(data_root, tmp_path, monkeypatch):
    """Plain casts of the whole model do not: here what they spoil stays float32."""
    monkeypatch.setenv("ADASGN_DATA", str(data_root))
    trained = load_weights(DENSE_WEIGHTS)
    clips = recorded("shrec14", 20, trained.stream)
    logits = {}
    for precision in ("f32", "f16"):
        (path,) = write_onnx(trained.model, tmp_path / f"{precision}.onnx", precision=precision)
        (logits[precision],) = session(path).run(["logits"], {"clip": clips.arrays})
    errors = np.linalg.norm(logits["f16"] - logits["f32"], axis=1) / np.linalg.norm(logits["f32"], axis=1)
    other = int((logits["f16"].argmax(1) != logits["f32"].argmax(1)).sum())
    print(
        f"{len(errors)} clips: error at most {errors.max():.1e}, median {np.median(errors):.1e}; {other} other labels"
    )
    assert errors.max() < 5e-3
    assert other <= len(errors) // 200


@pytest.mark.slow
def test_branches_of_a_policy_are_in_binary16_and_what_decides_is_not(random_trained, tmp_path):
    onnx = pytest.importorskip("onnx")
    model = random_trained(ModelConfig(22, 5, branch_grid((1,)), frames=2), load_layout("shrec22")).model
    for path in write_onnx(model, tmp_path / "graphs", precision="f16"):
        graph = onnx.load(path).graph
        halves = [one.name for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT16]
        assert bool(halves) == path.name.startswith("branch-"), path.name
        kinds = {value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]}
        assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}, path.name


@pytest.mark.parametrize("name", ["policy", "escalating"])
def test_a_model_is_one_node_with_the_file_in_it(tmp_path, name):
    onnx = pytest.importorskip("onnx")
    file = write_random(tmp_path / "model.adasgn", name)
    effort = 0.25 if name == "escalating" else None
    write_plugin_graph(read_model_file(file), tmp_path / "model.onnx", "f32", effort)
    made = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(made)
    (node,) = made.graph.node
    assert (node.op_type, node.domain) == ("AdaSGN", "adasgn_edge")
    given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    assert (given.pop("plugin_version"), given.pop("plugin_namespace")) == (b"1", b"adasgn_edge")
    content = given.pop("model")
    assert content.data_type == onnx.TensorProto.INT8
    assert onnx.numpy_helper.to_array(content).tobytes() == file.read_bytes()
    assert given == ({"precision": 32} if effort is None else {"precision": 32, "effort": effort})
    shapes = [
        [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]
        for value in [*made.graph.input, *made.graph.output]
    ]
    assert shapes == [["batch", 6, 22, 3], ["batch", 5], ["batch", 6]]


def test_a_causal_model_is_no_node(tmp_path):
    with pytest.raises(ModelConfigError, match="expected a model that is not causal"):
        write_plugin_graph(read_model_file(adasgn_edge.shipped_model("hands")), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_onnx_the_node_is_a_named_error(tmp_path, monkeypatch):
    file = read_model_file(write_random(tmp_path / "model.adasgn", "policy"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'adasgn-edge\[onnx\]'"):
        write_plugin_graph(file, tmp_path / "model.onnx")


@pytest.fixture
def export(monkeypatch, capsys, tmp_path):
    """`adasgn-edge export` of small weights into a folder: its exit status and what it says of an error."""
    pytest.importorskip("typer")
    from adasgn_edge.cli import main
    from adasgn_edge.model.weights import save_weights
    from tests.deploy.conftest import random_model

    config = ModelConfig(22, 5, branch_grid((1,)), frames=6)
    trained = TrainedModel(
        random_model(config, load_layout("shrec22")), load_layout("shrec22"), "joint", tuple("abcde")
    )
    save_weights(tmp_path / "weights.safetensors", trained)
    monkeypatch.chdir(tmp_path)

    def command(*options):
        monkeypatch.setattr(sys, "argv", ["adasgn-edge", "export", "weights.safetensors", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, " ".join(capsys.readouterr().err.split())

    return command


def test_export_writes_the_node_beside_the_model_file(export, tmp_path):
    onnx = pytest.importorskip("onnx")
    assert export("--tensorrt-onnx", "node.onnx") == (0, "")
    (node,) = onnx.load(tmp_path / "node.onnx").graph.node
    given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    assert onnx.numpy_helper.to_array(given["model"]).tobytes() == (tmp_path / "model.adasgn").read_bytes()
    assert given["precision"] == 16


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--onnx-precision", "f16"), "--onnx-precision: expected it beside --onnx or --tensorrt-onnx, found 'f16'"),
        (("--onnx", "graphs", "--onnx-precision", "f8"), "--onnx-precision: expected f32 or f16, found 'f8'"),
        (("--tensorrt-onnx", "node.pb"), "--tensorrt-onnx: expected a name ending in .onnx, found 'node.pb'"),
    ],
)
def test_options_of_export_that_cannot_be(export, tmp_path, options, said):
    status, errors = export(*options)
    assert status == 2
    assert said in errors
    assert not (tmp_path / "model.adasgn").exists()
