"""The shipped model, trained on real hands only, recognises the hand made by code."""

from __future__ import annotations

import pytest

from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.model.weights import shipped_weights
from adasgn_edge.replay import Replay


def test_the_shipped_model_labels_made_gestures() -> None:
    if not shipped_weights().is_file():
        pytest.skip(f"no shipped weights at {shipped_weights()}")
    replay = Replay.load(shipped_weights(), threads=1)
    results = {
        (gesture, one_finger, seed): replay.classify(animate(gesture, one_finger=one_finger, seed=seed)).label == label
        for label, gesture in enumerate(GESTURES)
        for one_finger in (False, True)
        for seed in range(3)
    }
    wrong = [key for key, right in results.items() if not right]
    assert len(wrong) <= 0.05 * len(results), wrong
