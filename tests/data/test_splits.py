from __future__ import annotations

import re

import pytest

from adasgn_edge.data.dataset import DatasetBuilder
from adasgn_edge.data.splits import default_splits, split_notes
from adasgn_edge.skeletons import load_layout
from tests.data.recording_folders import track


def held(labels, subjects):
    splits, _ = default_splits(labels, subjects)
    out = {subject for subject, split in zip(subjects, splits, strict=True) if split == "test"}
    kept = {subject for subject, split in zip(subjects, splits, strict=True) if split == "train"}
    assert not out & kept
    return "".join(sorted(out))


@pytest.mark.parametrize(("count", "tested"), [(1, 0), (2, 1), (5, 1), (7, 1), (8, 2), (10, 2)])
def test_without_subjects_the_last_fifth_of_each_class_tests(count, tested):
    labels = [0, 1] * count
    splits, said = default_splits(labels, [""] * len(labels))
    assert splits == ["train"] * 2 * (count - tested) + ["test"] * 2 * tested
    assert f"the last fifth of each class tests ({2 * tested} of {2 * count} clips); a column subject" in said


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        ("aabbccddee", "e"),
        ("abcdefghij" * 3, "ij"),
        ("aabb", "b"),  # half is the least that can be held out
        ("aaab", "b"),
        ("aaabbbbbb", "a"),
        ("aaaabbbbccccddddeeeeffgg", "fg"),
    ],
)
def test_whole_subjects_test_about_a_fifth_the_last_first(subjects, expected):
    assert held([0] * len(subjects), list(subjects)) == expected


def test_no_class_loses_all_its_training_clips():
    labels, subjects = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1], list("aabbccddee")
    assert held(labels, subjects) == "d"
    assert held([0, 0, 1, 1], list("aabb")) == "b"  # unavoidable; the data set's notes say so


def test_one_subject_is_split_and_noted():
    splits, _ = default_splits([0, 0, 0, 0, 0], ["a"] * 5)
    assert splits == ["train"] * 4 + ["test"]


def dataset_of(*samples):
    """Samples of (label, split, group, seed of the content)."""
    builder = DatasetBuilder("mine", load_layout("kinect20"), ["x", "y", "z"])
    for number, (label, split, group, seed) in enumerate(samples):
        builder.add(f"{number}.npz", label, split, [track(seed=seed)], group=group)
    return builder.build()


def test_nothing_to_say():
    assert split_notes(dataset_of((0, "train", "a", 1), (0, "test", "b", 2), (1, "train", "a", 3))) == []


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([(0, "train", "", 1)], "no test clips"),
        ([(0, "test", "", 1)], "no training clips"),
        (
            [(0, "train", "", 1), (1, "test", "", 2), (2, "test", "", 3)],
            "classes with test clips but no training clip: y, z",
        ),
        (
            [(0, "train", "a", 1), (0, "test", "a", 2), (0, "train", "b", 3), (0, "test", "c", 4)],
            "subjects in both splits: a;",
        ),
        (
            [(0, "train", "", 1), (0, "train", "", 2), (0, "test", "", 1)],
            "recordings with the same content in both splits, .*: 0.npz = 2.npz$",
        ),
        (
            [(0, "train", "", 1), (0, "train", "", 1), (0, "test", "", 2)],
            "recordings with the same content in one split: 0.npz = 1.npz$",
        ),
        (
            [(0, "train", "", 1), (1, "train", "", 1), (0, "test", "", 2)],
            r"recordings with the same content and different labels: 0.npz = 1.npz \('x' and 'y'\)$",
        ),
    ],
)
def test_notes(samples, message):
    (note,) = split_notes(dataset_of(*samples))
    assert note.startswith("data set 'mine': ")
    assert re.search(message, note)


def test_many_repeated_recordings_make_a_short_note():
    (note,) = split_notes(dataset_of((0, "train", "", 1), (0, "test", "", 2), *[(0, "train", "", 1)] * 40))
    assert note.endswith("0.npz = 2.npz, 0.npz = 3.npz, 0.npz = 4.npz, … (40 in all)")
