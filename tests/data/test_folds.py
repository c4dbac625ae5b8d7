"""Folds: whole groups, every clip held out once, nothing of the test split in them."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.folds import Fold, fold_dataset, plan_folds
from adasgn_edge.data.registry import open_dataset
from adasgn_edge.errors import DatasetError
from adasgn_edge.skeletons import load_layout
from tests.data.recording_folders import track


def grouped(train: dict[str, int], test: dict[str, int] | None = None, shuffled: int | None = None) -> SkeletonDataset:
    """So many clips of each group, some of two persons, in the order given or in a random one."""
    clips = [
        (f"{split} {group} {number}", split, group)
        for split, groups in (("train", train), ("test", test or {}))
        for group, count in groups.items()
        for number in range(count)
    ]
    order = range(len(clips)) if shuffled is None else np.random.default_rng(shuffled).permutation(len(clips))
    builder = DatasetBuilder("toy", load_layout("kinect20"), ("walk", "hug"))
    for place in order:
        name, split, group = clips[place]
        tracks = [track(3 + (place + person) % 4, 100 * place + person) for person in range(1 + place % 2)]
        builder.add(name, place % 2, split, tracks, group=group)
    return builder.build()


TRAIN = {"subject 1": 4, "subject 2": 3, "subject 9": 6, "subject 10": 5, "subject 11": 1}
TEST = {"subject 3": 2, "subject 4": 7}


def held(dataset: SkeletonDataset) -> tuple[str, ...]:
    return tuple(name for name, split in zip(dataset.names, dataset.split, strict=True) if split == "test")


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("over", ["train", "all"])
def test_every_clip_is_held_out_once_with_its_whole_group(count, over):
    dataset = grouped(TRAIN, TEST, shuffled=1)
    folds = plan_folds(dataset, count, over)
    pool = {name for name in dataset.names if over == "all" or name.startswith("train")}
    assert [(fold.number, fold.count, fold.over, fold.clips) for fold in folds] == [
        (number, count, over, len(pool)) for number in range(1, count + 1)
    ]
    parts = [fold_dataset(dataset, fold) for fold in folds]
    everything = Counter(name for part in parts for name in held(part))
    assert everything == dict.fromkeys(pool, 1)
    for fold, part in zip(folds, parts, strict=True):
        assert {*part.names} == pool, "a clip of the test split is in the fold, or one is lost"
        assert len(held(part)) == fold.held
        group_of = dict(zip(part.names, part.groups, strict=True))
        outside = {group_of[name] for name in part.names if name not in held(part)}
        assert {group_of[name] for name in held(part)} == {*fold.groups}
        assert not outside & {*fold.groups}


def test_a_clip_in_a_fold_is_the_clip_itself():
    dataset = grouped(TRAIN, TEST, shuffled=2)
    whole = {name: (label, tracks) for name, label, tracks in dataset}
    part = fold_dataset(dataset, plan_folds(dataset, 3)[1])
    assert part.length.sum() == len(part.positions), "frames of clips that are not in the fold"
    assert part.person_count == 2
    for name, label, tracks in part:
        assert label == whole[name][0]
        for one, other in zip(tracks, whole[name][1], strict=True):
            np.testing.assert_array_equal(one, other)
    assert part.name == "toy, fold 2 of 3"


def test_groups_go_from_the_largest_to_the_fold_with_fewest_clips():
    # 9 (6 clips) -> fold 1; 10 (5) -> fold 2; 1 (4) -> fold 2, now 9; 2 (3) -> fold 1, now 9; 11 (1) -> fold 1
    first, second = plan_folds(grouped(TRAIN, TEST), 2)
    assert (first.groups, first.held) == (("subject 2", "subject 9", "subject 11"), 10)
    assert (second.groups, second.held) == (("subject 1", "subject 10"), 9)
    even = plan_folds(grouped({f"s{number}": 2 for number in (10, 9, 1, 2)}), 2)
    assert [fold.groups for fold in even] == [("s1", "s9"), ("s2", "s10")], "natural order where groups are equal"


def test_folds_do_not_depend_on_the_order_of_the_clips():
    in_order = [fold.groups for fold in plan_folds(grouped(TRAIN, TEST), 3)]
    assert [fold.groups for fold in plan_folds(grouped(TRAIN, TEST, shuffled=3), 3)] == in_order


def test_folds_over_the_training_clips_do_not_depend_on_the_test_clips():
    one, other = plan_folds(grouped(TRAIN, TEST), 3), plan_folds(grouped(TRAIN, {"subject 5": 3}), 3)
    assert one == other
    assert plan_folds(grouped(TRAIN, TEST), 3, "all")[0].pool != one[0].pool


@pytest.mark.parametrize(
    ("groups", "count", "message"),
    [
        ({"": 4}, 2, "expected a group for every clip .*a column subject in labels.csv.*without groups"),
        ({"a": 4, "": 2}, 2, r"expected a group \(subject\) for every clip, found none for train  0, train  1"),
        ({"a": 4}, 2, "expected at least 2 groups, found only a"),
        ({"view 1": 4, "view 2": 3}, 3, r"expected 2 folds, .*there are 2 \(view 1, view 2\); found 3"),
        (TRAIN, 6, r"expected 2 to 5 folds, .*there are 5 \(subject 1, .*; found 6"),
        (TRAIN, 1, "expected 2 to 5 folds.*found 1"),
        (TRAIN, 0, "found 0"),
    ],
)
def test_folds_that_cannot_be_made_are_named(groups, count, message):
    with pytest.raises(DatasetError, match=message):
        plan_folds(grouped(groups, {"z": 2} if "" not in groups else {}), count)


def test_what_folds_are_over_is_named():
    with pytest.raises(DatasetError, match="expected them over one of train, all, found 'test'"):
        plan_folds(grouped(TRAIN), 2, "test")


def test_a_fold_of_other_groups_or_other_clips_is_refused():
    dataset = grouped(TRAIN, TEST)
    fold = plan_folds(dataset, 2)[0]
    renamed = tuple("subject 2" if group == "subject 1" else group for group in dataset.groups)
    with pytest.raises(DatasetError, match=r"fold 1 of 2: expected subject 2, .* held out, found .*groups .*changed"):
        fold_dataset(dataclasses.replace(dataset, groups=renamed), fold)
    swapped = list(dataset.groups)  # the same groups and sizes, but two clips have changed places
    first, second = swapped.index("subject 1"), swapped.index("subject 9")
    swapped[first], swapped[second] = swapped[second], swapped[first]
    with pytest.raises(DatasetError, match="expected the clips that it was made of"):
        fold_dataset(dataclasses.replace(dataset, groups=tuple(swapped)), fold)
    moved = dataset.positions.copy()
    moved[dataset.start[0, 0]] += 0.1
    with pytest.raises(DatasetError, match="expected the clips that it was made of"):
        fold_dataset(dataclasses.replace(dataset, positions=moved), fold)


def test_a_fold_is_noted_and_read_back():
    for over, text, folder in (("train", "fold 2 of 3", "fold-2-of-3"), ("all", "fold 2 of 3 over all", None)):
        fold = plan_folds(grouped(TRAIN, TEST), 3, over)[1]
        assert Fold.from_dict(fold.to_dict()) == fold
        assert (str(fold), fold.folder) == (text, folder or "fold-2-of-3-over-all")
    for wrong in ({}, [], {**fold.to_dict(), "number": 4}, {**fold.to_dict(), "groups": "subject 1"}):
        with pytest.raises(DatasetError, match="expected a fold with number, count, over"):
            Fold.from_dict(wrong)


def test_folds_of_the_public_data_sets(data_root):
    shrec = open_dataset("shrec14", data_root)
    assert [fold.held for fold in plan_folds(shrec, 4)] == [500, 500, 500, 460]
    assert sum(len(fold.groups) for fold in plan_folds(shrec, 7, "all")) == 28
    ucla = open_dataset("nw-ucla", data_root)
    assert [fold.groups for fold in plan_folds(ucla, 2)] == [("view 1",), ("view 2",)]
    with pytest.raises(DatasetError, match=r"expected 2 folds.*\(view 1, view 2\); found 5"):
        plan_folds(ucla, 5)
