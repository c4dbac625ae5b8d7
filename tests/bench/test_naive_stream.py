"""The baseline of streams: labels held for so many looks are gestures."""

from __future__ import annotations

import numpy as np
import pytest

from adasgn_edge.data.shrec import GESTURES
from adasgn_edge.data.shrec21 import GESTURES as ONLINE_GESTURES
from adasgn_edge.scoring import Detection
from bench.naive_stream import SHARED, held_labels

#                  nothing, 1, 1, 1, 2 too low, 2, 2, 0
BEST = np.array([[0.4, 0.3, 0.3], *[[0.1, 0.8, 0.1]] * 3, [0.3, 0.1, 0.6], *[[0.1, 0.1, 0.8]] * 2, [0.9, 0.05, 0.05]])
MOMENTS = [1.0 + 0.1 * look for look in range(8)]


def found(threshold, looks):
    return [
        (one.label, pytest.approx(one.start), pytest.approx(one.end), pytest.approx(one.decided))
        for one in held_labels(BEST, MOMENTS, threshold, looks)
    ]


def test_a_look_is_enough():
    assert found(0.7, 1) == [(1, 0.6, 0.8, 1.1), (2, 1.0, 1.1, 1.5), (0, 1.2, 1.2, 1.7)]


def test_labels_are_held():
    assert found(0.7, 2) == [(1, 0.6, 0.8, 1.2), (2, 1.0, 1.1, 1.6)]
    assert found(0.7, 3) == [(1, 0.6, 0.8, 1.3)]
    assert found(0.5, 3) == [(1, 0.6, 0.8, 1.3), (2, 0.9, 1.1, 1.6)]
    assert found(0.95, 1) == []


def test_one_label_throughout():
    assert held_labels(np.array([[0.1, 0.9]] * 3), [1.0, 1.5, 2.0], 0.5, 3) == [Detection(1, 0.5, 1.5, 2.0)]


def test_the_classes_are_of_both_sets():
    assert set(SHARED) <= set(GESTURES)
    assert set(SHARED.values()) <= set(ONLINE_GESTURES.values())
