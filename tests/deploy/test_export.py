"""The export command, and the ONNX graphs in ONNX Runtime against the reference."""

import hashlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from adasgn_edge.data.cache import load_dataset, save_dataset  # noqa: E402
from adasgn_edge.data.dataset import DatasetBuilder  # noqa: E402
from adasgn_edge.deploy.export import DEFAULT_WINDOW, export_weights, to_model_file  # noqa: E402
from adasgn_edge.deploy.model_file import read_model_file  # noqa: E402
from adasgn_edge.deploy.onnx_graphs import OPSET, write_onnx  # noqa: E402
from adasgn_edge.errors import (  # noqa: E402
    CheckpointError,
    MissingDependencyError,
    ModelConfigError,
    ModelFileError,
    OutputError,
)
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid  # noqa: E402
from adasgn_edge.model.weights import load_weights, save_weights  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402
from adasgn_edge.train.sampler import ClipSampler  # noqa: E402
from tests.model.test_causal import CONFIGS as CAUSAL_CONFIGS  # noqa: E402
from tests.model.test_causal import random_model as random_causal_model  # noqa: E402
from tests.model.test_causal import windows  # noqa: E402

LAYOUT = load_layout("shrec22")


def clips(config, count, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, config.frames, config.joints, 3)).astype(np.float32)


def export_command(*arguments):
    typer = pytest.importorskip("typer")
    from typer.testing import CliRunner

    from adasgn_edge.cli.export import command

    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def checkpoint(adaptive_trained, tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, adaptive_trained)
    return path


# -- the model file ---------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_exported_file_computes_what_the_checkpoint_does(checkpoint, tmp_path):
    out = tmp_path / "model.adasgn"
    export_weights(checkpoint, out)
    reference = load_weights(checkpoint)
    model = read_model_file(out)
    batch = clips(model.config, 8)
    found, expected = model.folded.forward(batch), reference.model(torch.from_numpy(batch))
    np.testing.assert_array_equal(found.actions, expected.actions.numpy())
    np.testing.assert_allclose(found.logits, expected.logits.numpy(), rtol=0, atol=1e-5 * expected.logits.abs().max())
    assert model.class_names == reference.class_names
    assert model.layout == reference.layout
    assert model.provenance["dataset"] == "random"
    assert model.provenance["weights_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()


def test_window_is_the_callers_else_the_trainings_else_the_default(adaptive_trained):
    assert to_model_file(adaptive_trained).window == DEFAULT_WINDOW
    adaptive_trained.provenance["window"] = 1.25
    assert to_model_file(adaptive_trained).window == 1.25
    assert to_model_file(adaptive_trained, window=3.0).window == 3.0


def test_a_diverged_model_is_refused_and_leaves_no_file(adaptive_trained, tmp_path):
    adaptive_trained.model.temporal.widen.weight.data[0, 0] = float("nan")
    save_weights(tmp_path / "nan.safetensors", adaptive_trained)
    with pytest.raises(ModelFileError, match=r"model\.adasgn: tensor temporal\.widen\.weight: expected finite"):
        export_weights(tmp_path / "nan.safetensors", tmp_path / "model.adasgn")
    assert not (tmp_path / "model.adasgn").exists()


def test_not_a_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="expected a weights file, found nothing"):
        export_weights(tmp_path / "none.safetensors", tmp_path / "model.adasgn")


def test_command(checkpoint, tmp_path):
    out = tmp_path / "half.adasgn"
    result = export_command(checkpoint, "-o", out, "--half", "--window", "1.5")
    assert result.exit_code == 0, result.output
    model = read_model_file(out)
    assert (model.precision, model.window, model.kind) == ("f16", 1.5, "adasgn")
    assert "adasgn, " in result.output
    assert "B-22" in result.output
    result = export_command(tmp_path / "none", "-o", out)
    assert isinstance(result.exception, CheckpointError)


# -- how often the policy picks each branch ----------------------------------------------------------------------------


@pytest.fixture
def recordings(tmp_path):
    """Six clips of hands as a converted file; the last two test."""
    generator = np.random.default_rng(0)
    builder = DatasetBuilder("hands", LAYOUT, ["open", "close", "wave", "point", "rest"])
    for index in range(6):
        clip = generator.normal(size=(8 + index, 22, 3)).astype(np.float32)
        builder.add(f"clip {index}", index % 5, "train" if index < 4 else "test", [clip])
    save_dataset(tmp_path / "hands.skeletons", builder.build())
    return tmp_path / "hands.skeletons"


@torch.no_grad()
def test_calibration_counts_the_policys_picks_on_training_clips(checkpoint, recordings, tmp_path):
    out = tmp_path / "model.adasgn"
    result = export_command(checkpoint, "-o", out, "--calibrate", recordings)
    assert result.exit_code == 0, result.output
    trained, dataset = load_weights(checkpoint), load_dataset(recordings)
    sampler = ClipSampler(dataset, "train", trained.model.config.frames, trained.stream, "cpu")
    actions = trained.model(sampler.clips(torch.arange(4), None)).actions
    expected = np.bincount(actions.numpy().ravel(), minlength=6) / actions.numel()
    found = read_model_file(out).action_shares
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert (expected > 0).sum() > 1, "the test needs several branches in use"
    for share in found:
        assert f"{100 * share:.2f}" in result.output


def test_weights_that_know_their_shares_need_no_calibration(adaptive_trained, tmp_path):
    adaptive_trained.action_shares = (0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0)
    save_weights(tmp_path / "model.safetensors", adaptive_trained)
    assert load_weights(tmp_path / "model.safetensors").action_shares == adaptive_trained.action_shares
    export_weights(tmp_path / "model.safetensors", tmp_path / "model.adasgn")
    assert read_model_file(tmp_path / "model.adasgn").action_shares == adaptive_trained.action_shares


def test_unknown_shares_are_left_out_and_said_to_be(checkpoint, tmp_path):
    result = export_command(checkpoint, "-o", tmp_path / "model.adasgn")
    assert "not known: --calibrate DATA" in result.output
    assert read_model_file(tmp_path / "model.adasgn").action_shares is None


def test_a_model_without_policy_cannot_be_calibrated(random_trained, recordings, tmp_path):
    save_weights(tmp_path / "dense.safetensors", random_trained(ModelConfig.dense(22, 5), LAYOUT))
    out = tmp_path / "model.adasgn"
    result = export_command(tmp_path / "dense.safetensors", "-o", out, "--calibrate", recordings)
    assert isinstance(result.exception, ModelConfigError)
    assert "expected AdaSGN, found a model without policy (B-22)" in str(result.exception)
    assert not out.exists()


def test_calibration_needs_clips_of_the_models_layout(checkpoint, tmp_path):
    builder = DatasetBuilder("bodies", load_layout("ntu25"), ["sit"])
    builder.add("clip", 0, "train", [np.random.default_rng(0).normal(size=(9, 25, 3)).astype(np.float32)])
    dataset = builder.build()
    with pytest.raises(ModelConfigError, match="expects layout 'shrec22', data set 'bodies' has 'ntu25'"):
        export_weights(checkpoint, tmp_path / "model.adasgn", calibration=lambda: dataset)


# -- ONNX -------------------------------------------------------------------------------------------------------------


def session(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5 * expected.abs().max().item())


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.parametrize("branch", [None, Branch(1, "small"), Branch(22, POSE)], ids=str)
def test_dense_and_single_models_in_onnx_runtime(random_trained, tmp_path, branch):
    pytest.importorskip("onnxscript")
    config = ModelConfig.dense(22, 5, frames=6)
    if branch is not None:
        config = ModelConfig(22, 5, (branch,), frames=6, adaptive=False)
    model = random_trained(config, LAYOUT).model
    (path,) = write_onnx(model, tmp_path / "graphs" / "sgn.onnx")
    graph = session(path)
    for count in (1, 4):  # neither is the number that was traced with
        batch = clips(config, count)
        (logits,) = graph.run(["logits"], {"clip": batch})
        assert_close(logits, model(torch.from_numpy(batch)).logits)


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.parametrize(
    "branches", [branch_grid((1, 11)), (Branch(22, POSE), *branch_grid((11,)))], ids=["S-1", "P-22"]
)
def test_adaptive_graphs_in_onnx_runtime(random_trained, tmp_path, branches):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    config = ModelConfig(22, 5, branches, frames=6)
    model = random_trained(config, LAYOUT).model
    paths = write_onnx(model, tmp_path / "graphs")
    names = ["policy.onnx", *(f"branch-{i}.onnx" for i in range(1, len(branches))), "head.onnx"]
    assert [path.name for path in paths] == names
    for path in paths:
        proto = onnx.load(path)
        onnx.checker.check_model(proto)
        assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", OPSET)]
    graphs = {path.stem: session(path) for path in paths}
    for count in (1, 5):
        batch = clips(config, count)
        expected = model(torch.from_numpy(batch))
        moving, features, action_logits, actions = graphs["policy"].run(None, {"clip": batch})
        assert_close(action_logits, model.action_logits(torch.from_numpy(features), count))
        np.testing.assert_array_equal(actions, expected.actions.numpy())
        for action in range(1, len(config.branches)):
            (every,) = graphs[f"branch-{action}"].run(None, {"moving": moving})
            assert_close(every, model.branches[action](torch.from_numpy(moving)))
            frames = np.flatnonzero(actions.ravel() == action)
            if len(frames):
                (features[frames],) = graphs[f"branch-{action}"].run(None, {"moving": moving[frames]})
        (logits,) = graphs["head"].run(None, {"features": features.reshape(count, config.frames, -1)})
        assert_close(logits, expected.logits)
    assert len(np.unique(actions)) > 1, "the test needs several branches in use"


def test_onnx_of_adasgn_is_a_folder_and_of_others_a_file(adaptive_trained, random_trained, tmp_path):
    with pytest.raises(ModelConfigError, match="expected a folder for AdaSGN's graphs"):
        write_onnx(adaptive_trained.model, tmp_path / "model.onnx")
    with pytest.raises(ModelConfigError, match=r"expected a file ending in \.onnx"):
        write_onnx(random_trained(ModelConfig.dense(22, 3), LAYOUT).model, tmp_path / "folder")


def test_of_several_graphs_all_are_written_or_none(adaptive_trained, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    written = []

    def export(module, example, path, **options):
        path.write_bytes(b"graph")
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch.onnx, "export", export)
    with pytest.raises(OutputError, match=r"branch-1\.onnx: cannot be written \(No space left on device\)"):
        write_onnx(adaptive_trained.model, tmp_path)
    assert len(written) == 2
    assert list(tmp_path.iterdir()) == []
    assert sorted(path.name for path in write_onnx(adaptive_trained.model, tmp_path)) == sorted(
        path.name for path in tmp_path.iterdir()
    )


def test_missing_onnx_packages_are_named(adaptive_trained, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"needs 'onnx': pip install 'adasgn-edge\[onnx\]'"):
        write_onnx(adaptive_trained.model, tmp_path / "graphs")


@torch.no_grad()
@pytest.mark.parametrize("config", CAUSAL_CONFIGS, ids=lambda config: "+".join(config.branch_names))
def test_windows_of_a_causal_model_in_onnx(config, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    model, given = random_causal_model(config).float(), windows(config, 5).float()
    (path,) = write_onnx(model, tmp_path / "causal.onnx")
    (found,) = runtime.InferenceSession(path).run(None, {"clip": given.numpy()})
    if config.escalates:
        found, expected = found[0], model.branch_logits(given)[0].softmax(-1)
    else:
        expected = model(given).logits
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
