"""The model file that comes with the package is the export of the weights beside it, and is recognised by all."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("torch")

import adasgn_edge
from adasgn_edge.export import to_model_file
from adasgn_edge.model.weights import load_weights, shipped_weights
from adasgn_edge.model_file import read_model_file, shipped_model


def test_it_is_the_export_of_the_shipped_weights():
    shipped, exported = read_model_file(shipped_model()), to_model_file(load_weights(shipped_weights()))
    provenance = {**exported.provenance, "weights_sha256": hashlib.sha256(shipped_weights().read_bytes()).hexdigest()}
    command = f"adasgn-edge export {shipped_weights()} -o {shipped_model()}"
    assert shipped.provenance == provenance, command
    assert (shipped.kind, shipped.config, shipped.class_names) == (exported.kind, exported.config, exported.class_names)
    assert shipped.layout == exported.layout
    assert shipped.effort == exported.effort
    for name, tensor in exported.folded.tensors().items():
        # Folding adds in an order that the machine's library of linear algebra chooses.
        np.testing.assert_allclose(shipped.folded.tensors()[name], tensor, rtol=0, atol=1e-6 * np.abs(tensor).max())


def test_it_runs():
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    engine = adasgn_edge.load(adasgn_edge.shipped_model())
    assert engine.run(np.zeros((2, 20, 22, 3), np.float32)).logits.shape == (2, 14)
    assert engine.description.effort == read_model_file(shipped_model()).effort
