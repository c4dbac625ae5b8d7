"""The published splits against the published counts.

The data set is a full product: every subject of a setup performs every action of that setup (60) twice before three
cameras. Which subjects each setup has is written down below, so the names of all 114,480 samples can be listed.
"""

from __future__ import annotations

from collections import Counter

import pytest

from adasgn_edge.data.ntu_protocol import (
    ACTIONS,
    CS_TRAINING_SUBJECTS,
    CSUB_TRAINING_SUBJECTS,
    SPLITS,
    SampleName,
    missing_skeletons,
    split_of,
)
from adasgn_edge.data.registry import DATASETS
from adasgn_edge.errors import DatasetError

SUBJECTS_OF_SETUP = {
    1: (1, 2, 3, 4, 5, 6, 7, 8),
    2: (3, 7, 8, 9, 10, 11, 12, 13, 14),
    3: (1, 2, 7, 8, 15, 16, 17, 18, 19),
    4: (3, 7, 8, 20),
    5: (4, 10, 13, 15, 16, 17, 18, 21),
    6: (1, 7, 8, 15, 16, 17, 19, 22, 23, 24),
    7: (1, 7, 8, 15, 16, 17, 18, 19, 25, 26, 27, 28),
    8: (1, 7, 8, 15, 19, 25, 29, 30, 31, 32, 33, 34, 35, 36),
    9: (7, 8, 15, 16, 17, 19, 25),
    10: (7, 8, 13, 15, 16, 17, 18, 19, 21, 25),
    11: (1, 2, 7, 8, 15, 16, 17, 18, 19, 25, 27, 28, 38),
    12: (7, 8, 15, 16, 17, 18, 19, 25, 27, 28, 37),
    13: (7, 8, 15, 16, 17, 18, 19, 25, 27, 28, 37),
    14: (7, 8, 15, 17, 19, 25, 27, 37, 39),
    15: (7, 8, 15, 16, 17, 19, 25, 37),
    16: (7, 8, 19, 21, 25, 39, 40),
    17: (3, 7, 8, 9, 15, 16, 17, 20),
    18: (8, 41, 42, 43, 44, 45),
    19: (8, 41, 42, 46, 47, 48, 49, 50, 51),
    20: (8, 41, 43, 44, 52, 53, 54),
    21: (55, 56, 57, 58, 59, 60),
    22: (61, 62, 63, 64, 65, 66, 67),
    23: (55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68),
    24: (57, 60, 61, 62, 63, 64, 67),
    25: (55, 56, 58, 59, 65, 66, 68),
    26: (8, 41, 44, 49, 50, 51, 69, 70, 71, 72, 74, 75, 76, 77),
    27: (6, 8, 11, 41, 43, 44, 78, 79, 80, 81, 82, 83, 84, 85, 86),
    28: (8, 41, 42, 43, 46, 48, 70, 73, 87),
    29: (6, 8, 41, 43, 44, 48, 49, 51, 67, 74, 75, 80, 88, 89, 90),
    30: (8, 11, 41, 43, 44, 48, 67, 75, 76, 81, 85, 88, 91, 92, 93, 94, 95, 96),
    31: (6, 8, 41, 42, 43, 44, 51, 67, 82, 85, 96, 97, 98, 99, 100, 101),
    32: (8, 41, 43, 44, 67, 102, 103, 104, 105, 106),
}


def all_samples(actions: int) -> list[SampleName]:
    """Every sample of NTU RGB+D 60 or 120 as recorded, before any removal."""
    return [
        SampleName(setup, camera, subject, replication, action)
        for setup, subjects in SUBJECTS_OF_SETUP.items()
        if setup <= 17 or actions == 120
        for subject in subjects
        for camera in (1, 2, 3)
        for replication in (1, 2)
        for action in (range(1, 61) if setup <= 17 else range(61, 121))
    ]


def counts(names: list[SampleName], split: str) -> tuple[int, int]:
    found = Counter(split_of(name, split) for name in names)
    return found["train"], found["test"]


@pytest.mark.parametrize(("split", "published"), [("cs", (40320, 16560)), ("cv", (37920, 18960))])
def test_split_counts_before_removals(split, published):
    assert counts(all_samples(60), split) == published


@pytest.mark.parametrize(("actions", "published"), [(60, 56880), (120, 114480)])
def test_sample_counts(actions, published):
    names = all_samples(actions)
    assert len(set(names)) == len(names) == published


@pytest.mark.parametrize("split", SPLITS)
def test_registry_counts_are_those_without_missing_skeletons(split):
    missing = missing_skeletons()
    names = [name for name in all_samples(SPLITS[split]) if str(name) not in missing]
    entry = DATASETS[f"ntu{SPLITS[split]}-{split}"]
    assert counts(names, split) == (entry.train, entry.test)


def test_training_subjects():
    assert len(CS_TRAINING_SUBJECTS) == 20
    assert max(CS_TRAINING_SUBJECTS) <= 40
    assert len(CSUB_TRAINING_SUBJECTS) == 53
    assert max(CSUB_TRAINING_SUBJECTS) <= 106
    assert {subject for subjects in SUBJECTS_OF_SETUP.values() for subject in subjects} == set(range(1, 107))
    splits = [split_of(SampleName(setup, 1, 1, 1, 1), "cset") for setup in range(1, 33)]
    assert splits.count("train") == splits.count("test") == 16


def test_missing_skeletons_are_samples():
    missing = missing_skeletons()
    assert len(missing) == 535
    assert sum(SampleName.parse(name).setup <= 17 for name in missing) == 302
    assert missing <= set(map(str, all_samples(120)))


def test_actions():
    assert len(ACTIONS) == len(set(ACTIONS)) == 120
    assert ACTIONS[0] == "drink water"
    assert ACTIONS[42] == "fall down"
    assert ACTIONS[59] == "walk apart from each other"
    assert ACTIONS[60] == "put on headphone"
    assert ACTIONS[111] == "high-five"


def test_sample_names():
    name = SampleName.parse("S001C002P003R002A013")
    assert name == (1, 2, 3, 2, 13)
    assert str(name) == "S001C002P003R002A013"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S001C002P003R002", "expected a name such as"),
        ("S001C002P003R002A013.skeleton", "expected a name such as"),
        ("S033C001P001R001A001", "expected the setup from 1 to 32, found 33"),
        ("S001C004P001R001A001", "expected the camera from 1 to 3, found 4"),
        ("S001C001P107R001A001", "expected the subject from 1 to 106, found 107"),
        ("S001C001P001R001A000", "expected the action from 1 to 120, found 0"),
    ],
)
def test_wrong_sample_names(text, message):
    with pytest.raises(DatasetError, match=message):
        SampleName.parse(text)


def test_unknown_split():
    with pytest.raises(DatasetError, match="expected a split among"):
        split_of(SampleName(1, 1, 1, 1, 1), "xview")
