"""The model file that comes with the package is the export of the weights beside it, and is recognised by all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import adasgn_edge
from adasgn_edge.cli.demo_stream import RATE, Score, the_performance
from adasgn_edge.data.registry import open_online_dataset
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.deploy.model_file import model_called, read_model_file, shipped_model
from adasgn_edge.errors import DatasetError
from adasgn_edge.hands import GESTURES
from adasgn_edge.model.weights import load_weights, shipped_weights
from adasgn_edge.online_evaluation import evaluate
from adasgn_edge.shipped import SHIPPED


@pytest.mark.parametrize("kind", SHIPPED)
def test_it_is_the_export_of_the_shipped_weights(kind):
    weights = shipped_weights(kind)
    shipped, exported = read_model_file(shipped_model(kind)), to_model_file(load_weights(weights))
    provenance = {**exported.provenance, "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    command = f"adasgn-edge export {weights} -o {shipped_model(kind)}"
    assert shipped.provenance == provenance, command
    assert (shipped.kind, shipped.config, shipped.class_names) == (exported.kind, exported.config, exported.class_names)
    assert shipped.layout == exported.layout
    assert (shipped.effort, shipped.recognition) == (exported.effort, exported.recognition)
    for name, tensor in exported.folded.tensors().items():
        # Folding adds in an order that the machine's library of linear algebra chooses.
        np.testing.assert_allclose(shipped.folded.tensors()[name], tensor, rtol=0, atol=1e-6 * np.abs(tensor).max())


def test_it_runs():
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    engine = adasgn_edge.load(adasgn_edge.shipped_model())
    assert engine.run(np.zeros((2, 20, 22, 3), np.float32)).logits.shape == (2, 14)
    assert engine.description.effort == read_model_file(shipped_model()).effort


def test_the_model_for_streams_finds_gestures():
    """In a few recordings that it was trained on; how good it is on others is for docs/results.md to say."""
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    try:
        dataset = open_online_dataset("shrec21")
    except DatasetError as error:
        pytest.skip(str(error))
    sequences = dataset.indices("train")[:20].tolist()
    scores = {
        mode: evaluate(
            lambda mode=mode: adasgn_edge.Recogniser(shipped_model("stream"), mode=mode), dataset, sequences
        ).score
        for mode in ("continual", "exact")
    }
    assert scores["continual"].detection_rate > 0.85
    assert scores["continual"].false_positive_rate < 0.1
    assert scores["continual"].figures() == scores["exact"].figures()


def test_the_model_of_hands_knows_the_packages_own():
    """Which is held up; the one for streams alone finds next to nothing."""
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    found = {}
    for kind in ("hands", "stream"):
        recogniser, performance = adasgn_edge.Recogniser(shipped_model(kind)), the_performance(GESTURES, 28, 0)
        score = Score(performance, recogniser.labels)
        for number, joints in enumerate(performance.positions):
            for event in recogniser.push(round(1e9 * number / RATE), {0: joints}).events:
                if event.kind == "started":
                    score.take(event)
        found[kind] = len(score.recognised), score.false
    assert found["hands"][0] >= 26
    assert found["hands"][1] <= 1
    assert found["stream"][0] <= 3, "then it would do for a camera too"


def test_shipped_models_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_called(Path("hands")) == shipped_model("hands")
    assert model_called(Path("hand")) == Path("hand")
    Path("hands").touch()
    assert model_called(Path("hands")) == Path("hands"), "a file is what is meant"


def test_a_default_is_the_shipped_model_whatever_lies_in_the_folder(tmp_path, monkeypatch):
    """A folder of clips may well be called clips; a name that was given is looked for there first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    assert model_called(None, "clips") == shipped_model("clips")
    assert model_called("clips", "clips") == Path("clips")
    assert model_called(Path("hands"), "clips") == shipped_model("hands")
    assert model_called("own.adasgn", "clips") == Path("own.adasgn")
