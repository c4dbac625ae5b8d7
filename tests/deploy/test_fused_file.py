"""Several streams in one file: what is written is what is read and averaged; what does not belong together is not."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

import torch

import adasgn_edge
from adasgn_edge.cli import main
from adasgn_edge.deploy.export import export_fused, to_model_file
from adasgn_edge.deploy.fused_file import check_fusable, read_fused_file, write_fused_file
from adasgn_edge.deploy.model_file import ModelFile
from adasgn_edge.errors import ModelFileError
from adasgn_edge.hands import animate
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import ModelConfig, branch_grid
from adasgn_edge.model.weights import TrainedModel, save_weights
from adasgn_edge.replay import FusedReplay, Replay
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
NAMES = ("tap", "grab", "swipe")
CLIP = animate("Tap", seed=3)
STREAMS = ("joint", "bone", "velocity")


def trained(stream: str, joints: tuple[int, ...] = (1, 11)) -> TrainedModel:
    """A model with a policy and random weights."""
    torch.manual_seed(len(stream))
    model = build_model(ModelConfig(22, 3, branch_grid(joints, ("small",))), LAYOUT).eval()
    return TrainedModel(model, LAYOUT, stream, NAMES)


@pytest.fixture(scope="module")
def models() -> dict[str, ModelFile]:
    return {stream: to_model_file(trained(stream)) for stream in STREAMS}


@pytest.fixture(scope="module")
def fused(models: dict[str, ModelFile], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fused") / "gestures.fused"
    write_fused_file(path, list(models.values()))
    return path


def test_each_model_comes_back_and_the_file_is_the_same_every_time(fused, models, tmp_path):
    assert read_fused_file(fused) == {stream: model.to_bytes() for stream, model in models.items()}
    write_fused_file(tmp_path / "again.fused", [models[stream] for stream in reversed(STREAMS)])
    assert (tmp_path / "again.fused").read_bytes() == fused.read_bytes()
    with zipfile.ZipFile(fused) as archive:  # by any program for archives
        archive.extractall(tmp_path)
    assert adasgn_edge.load(tmp_path / "bone.adasgn").description.stream == "bone"


def test_probabilities_are_averaged_and_costs_add_up(fused, models, tmp_path):
    alone = []
    for stream, model in models.items():
        (tmp_path / f"{stream}.adasgn").write_bytes(model.to_bytes())
        alone.append(Replay.load(tmp_path / f"{stream}.adasgn"))
    replay = Replay.load(fused)
    assert isinstance(replay, FusedReplay)
    assert (replay.stream, replay.class_names) == ("joint+bone+velocity", NAMES)
    for recording in (CLIP, [CLIP, CLIP[5:]]):
        update, parts = replay.classify(recording), [part.classify(recording) for part in alone]
        np.testing.assert_allclose(update.probabilities, np.mean([p.probabilities for p in parts], axis=0), rtol=1e-12)
        assert not np.allclose(parts[0].probabilities, parts[1].probabilities, atol=1e-3)
        for figure in ("paper", "full", "dense_paper", "dense_full"):
            assert getattr(update.cost, figure) == pytest.approx(sum(getattr(p.cost, figure) for p in parts))
        np.testing.assert_array_equal(update.actions, np.concatenate([p.actions for p in parts], axis=1))
        assert replay.shares(update.actions).sum() == pytest.approx(1)
    assert [u.frames for u in replay.play(CLIP[:4])] == [1, 2, 3, 4]


def test_models_that_do_not_belong_together_are_refused(models, tmp_path):
    joint, bone = models["joint"], models["bone"]
    other = to_model_file(trained("bone", (1, 22)))
    left = replace(LAYOUT, name="other")
    for pair, message in (
        ([joint], "two or more models"),
        ([joint, joint], "different streams, found joint, joint"),
        ([joint, other], "branches and frames of bone as joint has, found S-1 S-22 and S-1 S-11"),
        ([joint, replace(bone, class_names=("a", "b", "c"))], "the class names of bone as joint has"),
        ([joint, replace(bone, layout=left)], "the layout of bone as joint has, found 'other' and 'shrec22'"),
    ):
        with pytest.raises(ModelFileError, match=message):
            check_fusable(pair)
        with pytest.raises(ModelFileError, match=r"no\.fused: expected"):
            write_fused_file(tmp_path / "no.fused", pair)
        assert not (tmp_path / "no.fused").exists()


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as written:
        for name, data in members.items():
            written.writestr(name, data)
    return content.getvalue()


Spoil = Callable[[dict[str, bytes]], bytes]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "nothing": (lambda m: b"", "expected a fused file"),
    "one model": (lambda m: m["joint.adasgn"], "expected a fused file"),
    "one member": (lambda m: archive({"joint.adasgn": m["joint.adasgn"]}), "two or more of joint.adasgn"),
    "another name": (lambda m: archive({**m, "../evil.adasgn": b"x"}), r"two or more of .*found '.*evil"),
    "a folder": (lambda m: archive({**m, "joint/": b""}), "two or more of"),
    "compressed": (lambda m: archive(m, zipfile.ZIP_DEFLATED), "without compression"),
    "cut short": (lambda m: archive(m)[:-30], "expected a fused file"),
    "the end alone": (lambda m: archive(m)[-400:], "joint.adasgn whole"),
    "streams exchanged": (
        lambda m: archive({"joint.adasgn": m["bone.adasgn"], "bone.adasgn": m["joint.adasgn"]}),
        "joint.adasgn: expected a model of that stream, found one of bone",
    ),
    "a stream twice": (
        lambda m: archive({"joint.adasgn": m["bone.adasgn"], "bone.adasgn": m["bone.adasgn"]}),
        "models of different streams",
    ),
    "no model": (lambda m: archive({**m, "bone.adasgn": b"no model"}), r"gestures.fused: bone.adasgn: expected"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_spoilt_files_are_named_errors(models, tmp_path, spoil, message):
    members = {f"{stream}.adasgn": model.to_bytes() for stream, model in models.items()}
    path = tmp_path / "gestures.fused"
    path.write_bytes(spoil(members))
    with pytest.raises(ModelFileError, match=message) as caught:
        Replay.load(path)
    assert "gestures.fused" in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_every_flipped_byte_is_found_or_does_not_matter(fused, models, tmp_path):
    """What still loads is the same models: bytes of the archive that nobody looks at, such as a date."""
    whole, random = fused.read_bytes(), np.random.default_rng(0)
    path = tmp_path / "flipped.fused"
    with zipfile.ZipFile(fused) as opened:
        heads = [info.header_offset for info in opened.infolist()]
    near = [head + place for head in heads for place in range(0, 45, 3)] + list(range(len(whole) - 230, len(whole), 7))
    refused = 0
    for place in [*near, *random.integers(0, len(whole), 20)]:
        flipped = bytearray(whole)
        flipped[place] ^= 0x55
        path.write_bytes(flipped)
        try:
            found = read_fused_file(path)
        except ModelFileError:
            refused += 1
            continue
        assert found == {stream: model.to_bytes() for stream, model in models.items()}, place
    assert refused > 40


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["adasgn-edge", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_three_streams_by_the_commands(tmp_path, monkeypatch, capsys):
    for stream in STREAMS:
        save_weights(tmp_path / stream / "seed-1" / "a" / "model.safetensors", trained(stream))
    folders = [tmp_path / stream for stream in STREAMS]
    out = tmp_path / "gestures.fused"
    assert run(monkeypatch, "export", *folders, "-o", out, "--window", 2) == 0
    printed = capsys.readouterr().out
    assert "gestures.fused: 3 models" in printed
    assert all(f"stream {stream}" in printed for stream in STREAMS)
    np.savez(tmp_path / "clip.npz", positions=CLIP)
    assert run(monkeypatch, "classify", tmp_path / "clip.npz", "--model", out, "--json") == 0
    row = json.loads(capsys.readouterr().out)
    (direct,) = (Replay.load(out).classify(CLIP),)
    assert row["label"] == NAMES[direct.label]
    assert row["confidence"] == pytest.approx(direct.confidence, abs=1e-6)
    assert run(monkeypatch, "export", *folders, "-o", tmp_path / "x.adasgn") == 2
    assert "expected a name ending in .fused" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, "export", *folders[:1] * 2, "-o", out) == 2
    assert "models of different streams" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, "export", *folders, "-o", out, "--onnx", tmp_path / "x.onnx") == 2
    assert "--onnx: expected one model, found 3" in " ".join(capsys.readouterr().err.split())


def test_what_was_exported_is_what_eval_fuses(tmp_path):
    """`eval --fuse` averages softmax scores of the reference; the file those of the engine."""
    paths = []
    for stream in STREAMS:
        paths.append(tmp_path / stream / "model.safetensors")
        save_weights(paths[-1], trained(stream))
    export_fused(paths, tmp_path / "gestures.fused")
    by_engine = Replay.load(tmp_path / "gestures.fused").classify(CLIP).probabilities
    by_reference = np.mean([Replay.load(path).classify(CLIP).probabilities for path in paths], axis=0)
    np.testing.assert_allclose(by_engine, by_reference, atol=1e-5)
