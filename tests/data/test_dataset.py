from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.errors import DatasetError
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("kinect20")


def track(length: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 20, 3)).astype(np.float32)


@pytest.fixture
def dataset() -> SkeletonDataset:
    builder = DatasetBuilder("toy", LAYOUT, ("walk", "hug"))
    builder.add("a", 0, "train", [track(5, 1)])
    builder.add("b", 1, "train", [track(7, 2), track(3, 3)])
    builder.add("c", 1, "test", [track(1, 4)])
    return builder.build(left_out=["d: broken"])


def test_what_goes_in_comes_out(dataset):
    assert len(dataset) == 3
    assert dataset.person_count == 2
    assert dataset.left_out == ("d: broken",)
    assert dataset.indices("train").tolist() == [0, 1]
    found = list(dataset)
    assert [(name, label) for name, label, _ in found] == [("a", 0), ("b", 1), ("c", 1)]
    for tracks, expected in zip([t for _, _, t in found], [[(5, 1)], [(7, 2), (3, 3)], [(1, 4)]], strict=True):
        for one, (length, seed) in zip(tracks, expected, strict=True):
            np.testing.assert_array_equal(one, track(length, seed))


def test_normalised_by_the_first_person(dataset):
    positions = dataset.normalised_positions()
    spine = LAYOUT.index("spine")
    origin = track(7, 2)[0, spine]
    start, length = dataset.start[1, 1], dataset.length[1, 1]
    np.testing.assert_array_equal(positions[start : start + length], track(3, 3) - origin)
    np.testing.assert_array_equal(positions[dataset.start[:, 0], spine], np.zeros((3, 3)))
    np.testing.assert_array_equal(dataset.tracks(1)[0], track(7, 2))  # the recorded ones are left as they were


def test_an_unscalable_hand_is_named():
    layout = load_layout("shrec22")
    builder = DatasetBuilder("hands", layout, ("wave",))
    builder.add("flat", 0, "train", [np.zeros((3, 22, 3), dtype=np.float32)])
    with pytest.raises(DatasetError, match="'hands', sample flat: expected the first frame's bone"):
        builder.build().normalised_positions()


def test_builder_refuses():
    with pytest.raises(DatasetError, match="'toy': expected at least one usable sample, found none"):
        DatasetBuilder("toy", LAYOUT, ("walk",)).build()
    builder = DatasetBuilder("toy", LAYOUT, ("walk",))
    builder.add("a", 0, "train", [track(2, 0)])
    builder.add("a", 0, "test", [track(2, 0)])
    with pytest.raises(DatasetError, match="sample name 'a' is used twice"):
        builder.build()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.array([0, 1, 2])}, "labels: expected 0 to 1, found 0 to 2"),
        ({"labels": np.array([-1, 1, 0])}, "labels: expected 0 to 1, found -1 to 1"),
        ({"names": ("a", "b")}, "expected 3 names and splits, found 2 and 3"),
        ({"positions": np.zeros((16, 19, 3), np.float32)}, r"expected \(frames, 20, 3\), found \(16, 19, 3\)"),
        ({"positions": np.zeros((15, 20, 3), np.float32)}, "a track ends after the last of 15 frames"),
        ({"length": np.array([[5, 0], [0, 3], [1, 0]])}, "needs a first person with at least one frame"),
        ({"start": np.zeros((2, 2), np.int64)}, r"start and length: expected \(3, persons\)"),
    ],
)
def test_inconsistent_parts_are_named(dataset, changes, message):
    with pytest.raises(DatasetError, match=message):
        dataclasses.replace(dataset, **changes)


def test_an_empty_split_is_named(dataset):
    with pytest.raises(DatasetError, match="expected samples in split 'validation', found only test, train"):
        dataset.indices("validation")
