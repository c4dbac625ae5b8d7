"""The model file that comes with the package is the export of the weights beside it, and is recognised by all."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("torch")

import adasgn_edge
from adasgn_edge.data.shrec import read_shrec
from adasgn_edge.export import calibrated, to_model_file
from adasgn_edge.model.weights import load_weights, shipped_weights
from adasgn_edge.model_file import read_model_file, shipped_model


def test_it_is_the_export_of_the_shipped_weights():
    shipped, exported = read_model_file(shipped_model()), to_model_file(load_weights(shipped_weights()))
    provenance = {**exported.provenance, "weights_sha256": hashlib.sha256(shipped_weights().read_bytes()).hexdigest()}
    command = f"adasgn-edge export {shipped_weights()} -o {shipped_model()} --calibrate shrec14"
    assert shipped.provenance == provenance, command
    assert (shipped.kind, shipped.config, shipped.class_names) == (exported.kind, exported.config, exported.class_names)
    assert shipped.layout == exported.layout
    for name, tensor in exported.folded.tensors().items():
        # Folding adds in an order that the machine's library of linear algebra chooses.
        np.testing.assert_allclose(shipped.folded.tensors()[name], tensor, rtol=0, atol=1e-6 * np.abs(tensor).max())


@pytest.mark.slow
def test_its_action_shares_are_those_of_the_training_clips(data_root):
    def training_clips():
        return read_shrec(data_root / "SHREC17", 14)

    measured = calibrated(load_weights(shipped_weights()), training_clips).action_shares
    # A near tie may fall otherwise on another machine.
    np.testing.assert_allclose(read_model_file(shipped_model()).action_shares, measured, rtol=0, atol=1e-3)


def test_it_runs():
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    engine = adasgn_edge.load(adasgn_edge.shipped_model())
    assert engine.run(np.zeros((2, 20, 22, 3), np.float32)).logits.shape == (2, 14)
    assert engine.description.action_shares == read_model_file(shipped_model()).action_shares
    assert sum(engine.description.action_shares) == pytest.approx(1)
