"""What is written is what is read, in a file that safetensors reads too, by code that needs NumPy alone."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.data.preprocess import make_clip  # noqa: E402
from adasgn_edge.deploy.export import to_model_file  # noqa: E402
from adasgn_edge.deploy.folded_network import FoldedModel  # noqa: E402
from adasgn_edge.deploy.model_container import DIGEST  # noqa: E402
from adasgn_edge.deploy.model_file import ModelFile, _checksum, read_model_file, write_model_file  # noqa: E402
from adasgn_edge.errors import ModelFileError, OutputError  # noqa: E402
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid  # noqa: E402
from adasgn_edge.skeletons import builtin_layouts, load_layout  # noqa: E402

ADAPTIVE = ModelConfig(22, 5, branch_grid((1, 11, 22)), frames=6)
WITH_POSE = ModelConfig(22, 5, (Branch(22, POSE), Branch(11, "small"), Branch(22, "big")), frames=6)


def with_array(model, name, value):
    """The model with the first number of one tensor replaced."""
    arrays = {key: array.copy() for key, array in model.folded.tensors().items()}
    arrays[name].flat[0] = value
    return dataclasses.replace(model, folded=FoldedModel.build(model.config, lambda key, _: arrays[key]))


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (ADAPTIVE, "adasgn"),
        (WITH_POSE, "adasgn"),
        (ADAPTIVE.single(Branch(1, "small")), "single"),
        (WITH_POSE.single(Branch(22, POSE)), "single"),
        (ModelConfig.dense(22, 5), "sgn"),
    ],
)
def test_round_trip(random_trained, tmp_path, config, kind):
    trained = random_trained(config, load_layout("shrec22"))
    written = to_model_file(trained, window=1.5)
    path = tmp_path / "model.adasgn"
    write_model_file(path, written)
    found = read_model_file(path)
    assert found.kind == kind
    for field in ("config", "layout", "class_names", "stream", "window", "precision", "provenance", "costs"):
        assert getattr(found, field) == getattr(written, field), field
    for name, array in found.folded.tensors().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, written.folded.tensors()[name].astype(np.float32), err_msg=name)
    assert found.to_bytes() == path.read_bytes()


def test_action_shares_are_kept(adaptive_trained):
    adaptive_trained.action_shares = (0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0)
    content = to_model_file(adaptive_trained).to_bytes()
    assert ModelFile.from_bytes(content).action_shares == adaptive_trained.action_shares
    assert ModelFile.from_bytes(content).to_bytes() == content


@pytest.mark.parametrize("config", [ADAPTIVE.single(Branch(1, "small")), ModelConfig.dense(22, 5)])
def test_a_model_without_policy_has_no_action_shares(random_trained, config):
    trained = random_trained(config, load_layout("shrec22"))
    trained.action_shares = (1.0,)
    with pytest.raises(ModelFileError, match=r"expected no action_shares of a model without policy, found \[1\.0\]"):
        to_model_file(trained)


@pytest.mark.parametrize("config", [ADAPTIVE, WITH_POSE], ids=["S-1", "P-22"])
def test_half_precision_keeps_the_actions(random_trained, config):
    trained = random_trained(config, load_layout("shrec22"))
    exact = to_model_file(trained).folded.tensors()  # float64
    half = ModelFile.from_bytes(to_model_file(trained, precision="f16").to_bytes())
    full = ModelFile.from_bytes(to_model_file(trained).to_bytes())
    assert len(half.to_bytes()) < 0.7 * len(full.to_bytes())
    clips = np.random.default_rng(0).normal(size=(4, 6, 22, 3)).astype(np.float32)
    found, expected = half.folded.forward(clips), full.folded.forward(clips)
    np.testing.assert_array_equal(found.actions, expected.actions)
    error = np.abs(found.logits - expected.logits).max() / np.abs(expected.logits).max()
    assert 0 < error < 5e-3
    for name, array in half.folded.tensors().items():
        is_matrix = name.rpartition(".")[2] in ("weight", "neighbours", "itself")
        if name.startswith(("branches.0.", "policy.")) or not is_matrix:
            np.testing.assert_array_equal(array, exact[name].astype(np.float32), err_msg=name)
        else:
            np.testing.assert_array_equal(array, exact[name].astype(np.float16).astype(np.float32), err_msg=name)


@pytest.mark.parametrize("config", [ADAPTIVE, WITH_POSE], ids=["S-1", "P-22"])
@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_safetensors_reads_it(random_trained, tmp_path, config, precision):
    safetensors = pytest.importorskip("safetensors")
    path = tmp_path / "model.adasgn"
    model = to_model_file(random_trained(config, load_layout("shrec22")), precision=precision)
    write_model_file(path, model)
    with safetensors.safe_open(path, framework="np") as file:
        assert set(file.metadata()) == {"checksum", "format", "version", "model"}
        assert json.loads(file.metadata()["model"])["kind"] == "adasgn"
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert set(found) == set(model.folded.tensors())
    for name, array in model.folded.tensors().items():
        np.testing.assert_array_equal(found[name], array.astype(found[name].dtype), err_msg=name)


def test_layout_of_the_bytes(adaptive_file):
    content = adaptive_file.to_bytes()
    length = int.from_bytes(content[:8], "little")
    assert (8 + length) % 64 == 0
    header = json.loads(content[8 : 8 + length])
    assert content[44:108].decode() == header["__metadata__"]["checksum"].removeprefix("sha256:")
    description = json.loads(header["__metadata__"]["model"])
    assert description["preprocessing"]["origin"] == 0
    assert description["preprocessing"]["scale_bone"] == [0, 10]
    assert description["preprocessing"]["parents"][:4] == [0, 0, 0, 2]
    assert description["config"]["branches"] == ["S-1", "B-1", "S-11", "B-11", "S-22", "B-22"]


@pytest.mark.parametrize("name", builtin_layouts())
def test_a_model_of_every_layout_that_ships_is_read_by_both_readers(random_trained, tmp_path, name):
    layout = load_layout(name)
    branch = Branch(layout.joint_counts[1], "small")
    config = ModelConfig(layout.joint_count, 3, (branch, Branch(layout.joint_count, "big"))).single(branch)
    model = to_model_file(random_trained(config, layout))
    write_model_file(tmp_path / "model.adasgn", model)
    again = read_model_file(tmp_path / "model.adasgn")
    assert again.layout == layout
    assert again.layout.conventions == layout.conventions
    assert again.to_bytes() == model.to_bytes()
    content = model.to_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    origin = json.loads(header["__metadata__"]["model"])["preprocessing"]["origin"]
    several = name in ("coco17", "pose33")
    assert origin == (list(layout.origin_indices) if several else layout.origin_joint)
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    engine = adasgn_edge.load(tmp_path / "model.adasgn")
    assert engine.description.layout == layout
    recorded = np.random.default_rng(0).normal(size=(30, layout.joint_count, 3)).astype(np.float32)
    clip = make_clip(recorded, layout, 20)
    np.testing.assert_allclose(
        engine.run(clip[None]).logits, model.folded.forward(clip[None]).logits, rtol=1e-3, atol=1e-4
    )


def test_the_pose_branch_halves_where_it_routes_nothing(random_trained):
    """In float32 where the policy looks at it, as matrices are where it is all there is."""
    layout = load_layout("shrec22")
    for config, dtype in ((WITH_POSE, "F32"), (WITH_POSE.single(Branch(22, POSE)), "F16")):
        content = to_model_file(random_trained(config, layout), precision="f16").to_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        for name, shape in (("hidden", [132, 256]), ("output", [256, 256])):
            entry = header[f"branches.0.{name}.weight"]
            assert (entry["dtype"], entry["shape"]) == (dtype, shape)
            assert header[f"branches.0.{name}.bias"]["dtype"] == "F32"


def test_a_file_of_version_1_is_the_same_model(adaptive_file):
    """As files were written before branches had names of their own."""
    content = adaptive_file.to_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"]["model"])
    description["branches"] = [description["config"].pop(key) for key in ("stride", "escalates", "branches")][-1]
    description["config"] |= {"joint_sets": [1, 11, 22], "sizes": ["small", "big"]}
    header["__metadata__"] |= {"version": "1", "model": json.dumps(description)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    old = bytearray(len(text).to_bytes(8, "little") + text + content[8 + length :])
    old[DIGEST] = _checksum(old)
    found = ModelFile.from_bytes(bytes(old))
    assert found.config == adaptive_file.config
    assert found.to_bytes() == content


def test_reading_and_running_needs_no_torch(adaptive_file, tmp_path):
    write_model_file(tmp_path / "model.adasgn", adaptive_file)
    program = (
        "import sys, numpy\n"
        "from adasgn_edge.deploy.model_file import read_model_file\n"
        "model = read_model_file(sys.argv[1])\n"
        "print(model.folded.forward(numpy.ones((1, 6, 22, 3), 'f4')).logits.shape)\n"
        "heavy = ('torch', 'safetensors', 'pydantic', 'typer', 'rich', 'matplotlib', 'onnx')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model.adasgn")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "(1, 5)\n[]\n"


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_weights_that_no_file_can_hold_are_refused(adaptive_file, tmp_path, value):
    broken = with_array(adaptive_file, "branches.3.layers.1.itself", value)
    with pytest.raises(ModelFileError, match=r"branches\.3\.layers\.1\.itself: expected finite F32 weights, found"):
        write_model_file(tmp_path / "model.adasgn", broken)
    assert list(tmp_path.iterdir()) == []


def test_weights_too_large_for_half_precision_are_refused(adaptive_file):
    broken = dataclasses.replace(with_array(adaptive_file, "temporal.widen.weight", 70000.0), precision="f16")
    with pytest.raises(ModelFileError, match=r"temporal\.widen\.weight: expected finite F16 weights, found 70000"):
        broken.to_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ("one", "two")}, "expected 5 class names, found 2"),
        ({"stream": "depth"}, "expected a stream among joint, bone, velocity, found 'depth'"),
        ({"window": 0.0}, "expected a window above 0"),
        ({"window": float("nan")}, "expected a window above 0"),
        ({"precision": "int8"}, "expected a precision among f32, f16, found 'int8'"),
        ({"action_shares": (0.5, 0.5)}, "expected action_shares as 6 numbers"),
        ({"action_shares": (float("nan"), 1.0, 0.0, 0.0, 0.0, 0.0)}, "expected action_shares as 6 numbers"),
        ({"action_shares": (0.5,) * 6}, "expected action_shares that add up to 1"),
        ({"layout": load_layout("ntu25")}, "expected a layout of 22 joints, found 25"),
    ],
)
def test_facts_that_do_not_fit_are_refused(adaptive_file, change, message):
    with pytest.raises(ModelFileError, match=message):
        dataclasses.replace(adaptive_file, **change)


@pytest.mark.parametrize("provenance", [{"loss": float("nan")}, {"path": object()}, {"name": "\ud800"}])
def test_provenance_that_json_cannot_hold_is_refused(adaptive_file, provenance):
    with pytest.raises(ModelFileError, match="that JSON can hold"):
        dataclasses.replace(adaptive_file, provenance=provenance).to_bytes()


def test_provenance_beyond_the_header_is_refused(adaptive_file):
    with pytest.raises(ModelFileError, match="at most 1048576 bytes"):
        dataclasses.replace(adaptive_file, provenance={"log": "x" * (1 << 20)}).to_bytes()


def test_files_that_cannot_be_opened(tmp_path, adaptive_file):
    with pytest.raises(ModelFileError, match="expected a model file, found nothing: No such file"):
        read_model_file(tmp_path / "none.adasgn")
    with pytest.raises(ModelFileError, match="expected a model file, found a folder"):
        read_model_file(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_model_file(tmp_path / "file" / "model.adasgn", adaptive_file)
