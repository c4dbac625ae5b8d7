"""Continuous recordings: what a data set of them refuses, what it gives, and its folds."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from adasgn_edge.data.online import Annotation, plan_sequence_folds
from adasgn_edge.errors import DatasetError
from tests.data.online_sets import online_dataset

TWO = {"a": [(0, 10, 19), (2, 20, 20)], "b": [(1, 0, 99)]}


def test_frames_stamps_and_counts():
    dataset = online_dataset(TWO, rate=40.0, test=("b",))
    assert len(dataset) == 2
    assert np.array_equal(dataset.frames(1), dataset.positions[100:200])
    assert np.shares_memory(dataset.frames(1), dataset.positions)
    stamps = dataset.stamps(0)
    assert stamps.dtype == np.int64
    assert (stamps[0], stamps[1], stamps[-1]) == (0, 25_000_000, 99 * 25_000_000)
    assert dataset.seconds() == 5.0
    assert dataset.seconds([1]) == 2.5
    assert dataset.indices("test").tolist() == [1]
    assert dataset.class_counts([0, 1]).tolist() == [1, 1, 1]
    assert dataset.class_counts([0]).tolist() == [1, 0, 1]


def test_stamps_do_not_drift():
    stamps = online_dataset({"a": []}, frames=30_001, rate=30.0).stamps(0)
    assert stamps[-1] == 1_000_000_000_000


def test_a_split_without_sequences_is_named():
    with pytest.raises(DatasetError, match="expected sequences in split 'test', found only train"):
        online_dataset(TWO).indices("test")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rate": 0.0}, "rate: expected frames a second, found 0.0"),
        ({"rate": float("nan")}, "rate: expected frames a second"),
        ({"positions": np.zeros((200, 21, 3), np.float32)}, r"expected \(frames, 22, 3\), found \(200, 21, 3\)"),
        ({"positions": np.full((200, 22, 3), np.inf, np.float32)}, "found infinity"),
        ({"start": np.zeros((2, 1), np.int64)}, r"start and length: expected \(2,\)"),
        ({"length": np.array([100, 0])}, "at least one frame"),
        ({"length": np.array([100, 101])}, "a sequence ends after the last of 200 frames"),
        ({"names": ("a", "a")}, "sequence name 'a' is used twice"),
        ({"split": np.asarray(["train"])}, "expected annotations and a split of 2 sequences, found 2 and 1"),
        ({"annotations": ((),)}, "expected annotations and a split of 2 sequences, found 1 and 2"),
        ({"groups": ("x",)}, "groups: expected 2 or none, found 1"),
        ({"class_names": ("wave", "wave", "tap")}, "class_names: expected different names"),
    ],
)
def test_what_does_not_fit_is_named(changed, message):
    with pytest.raises(DatasetError, match=f"data set 'toy': .*{message}"):
        online_dataset(TWO, **changed)


@pytest.mark.parametrize(
    ("gestures", "message"),
    [
        ([(3, 1, 2)], "sequence b, frames 1 to 2: expected a label from 0 to 2, found 3"),
        ([(-1, 1, 2)], "expected a label from 0 to 2, found -1"),
        ([(0, 5, 4)], "frames 5 to 4: expected a gesture within its 100 frames"),
        ([(0, -1, 4)], "frames -1 to 4: expected a gesture within"),
        ([(0, 90, 100)], "frames 90 to 100: expected a gesture within"),
        (
            [(0, 1, 5), (1, 5, 9)],
            "frames 5 to 9: expected gestures in order of time that do not overlap; one ends at 5",
        ),
        ([(0, 50, 60), (1, 5, 9)], "frames 5 to 9: expected gestures in order of time"),
    ],
)
def test_a_gesture_that_cannot_be_is_named(gestures, message):
    with pytest.raises(DatasetError, match=message):
        online_dataset({"a": [], "b": gestures})


def test_no_sequences():
    with pytest.raises(DatasetError, match="expected at least one sequence, found none"):
        online_dataset({"a": []}, names=())


def test_missing_joints_are_kept():
    dataset = online_dataset({"a": []})
    positions = dataset.positions.copy()
    positions[3, 4] = np.nan
    assert np.isnan(dataclasses.replace(dataset, positions=positions).frames(0)[3, 4]).all()


def test_the_digest_is_that_of_the_content():
    dataset = online_dataset(TWO)
    assert dataset.digest == online_dataset(TWO).digest
    assert dataset.digest == online_dataset(TWO, name="other", corrected=("one",)).digest
    moved = dataset.positions.copy()
    moved[0, 0, 0] += 1e-3
    others = [
        online_dataset(TWO, positions=moved),
        online_dataset(TWO, rate=49.0),
        online_dataset(TWO, test=("b",)),
        online_dataset(TWO, annotations=(dataset.annotations[0], (Annotation(1, 0, 98),))),
        online_dataset(TWO, groups=("x", "y")),
        online_dataset(TWO, class_names=("wave", "tap", "pinch")),
    ]
    assert len({dataset.digest, *(other.digest for other in others)}) == 7


def many(count: int = 30, seed: int = 0, **options):
    """Training sequences of one to four gestures, and four test sequences."""
    random = np.random.default_rng(seed)
    sequences = {
        f"{number}": [(int(random.integers(3)), 20 * place, 20 * place + 9) for place in range(random.integers(1, 5))]
        for number in range(1, count + 1)
    }
    return online_dataset(
        {**sequences, **{f"t{number}": [(0, 1, 2)] for number in range(4)}},
        test=tuple(f"t{number}" for number in range(4)),
        **options,
    )


@pytest.mark.parametrize("count", [2, 3, 5, 30])
def test_every_training_sequence_is_held_out_once(count):
    dataset = many()
    folds = plan_sequence_folds(dataset, count)
    pool = dataset.indices("train").tolist()
    assert [fold.number for fold in folds] == list(range(1, count + 1))
    assert Counter(sequence for fold in folds for sequence in fold.held) == dict.fromkeys(pool, 1)
    for fold in folds:
        assert sorted((*fold.held, *fold.train)) == pool
    assert folds == plan_sequence_folds(many(), count), "folds are drawn at random"
    assert str(folds[1]) == f"fold 2 of {count}"


def test_folds_are_balanced():
    dataset = many(60)
    counts = np.asarray([dataset.class_counts(fold.held) for fold in plan_sequence_folds(dataset, 4)])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 2
    plain = np.asarray([dataset.class_counts(range(15 * fold, 15 * fold + 15)) for fold in range(4)])
    assert counts.var(axis=0).sum() < plain.var(axis=0).sum() / 4


def test_whole_groups_are_held_out():
    groups = tuple(f"round {number // 10}" for number in range(30)) + ("test",) * 4
    dataset = many(groups=groups)
    folds = plan_sequence_folds(dataset, 3, by="group")
    assert sorted(tuple(sorted({groups[sequence] for sequence in fold.held})) for fold in folds) == [
        ("round 0",),
        ("round 1",),
        ("round 2",),
    ]
    with pytest.raises(DatasetError, match=r"expected 2 to 3 folds, since there are so many groups \(round 0, round 1"):
        plan_sequence_folds(dataset, 4, by="group")


def test_folds_that_cannot_be():
    with pytest.raises(DatasetError, match="expected 2 to 30 folds, since there are so many training sequences; found"):
        plan_sequence_folds(many(), 31)
    with pytest.raises(DatasetError, match="found 1"):
        plan_sequence_folds(many(), 1)
    with pytest.raises(DatasetError, match="expected a group for every training sequence"):
        plan_sequence_folds(many(), 3, by="group")
    with pytest.raises(DatasetError, match="expected them by sequence or group, found 'subject'"):
        plan_sequence_folds(many(), 3, by="subject")
