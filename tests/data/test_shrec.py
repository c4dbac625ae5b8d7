from __future__ import annotations

import numpy as np
import pytest

from adasgn_edge.data.shrec import GESTURES, class_names, read_shrec
from adasgn_edge.errors import DatasetError


def write_tree(root, lines, frames=5):
    """A tree with a train and a test list; every listed recording gets `frames` frames of random joints."""
    random = np.random.default_rng(0)
    for split, entries in lines.items():
        (root / f"{split}_gestures.txt").write_text("".join(f"{entry}\n" for entry in entries))
        for entry in entries:
            gesture, finger, subject, essai = entry.split()[:4]
            folder = root / f"gesture_{gesture}" / f"finger_{finger}" / f"subject_{subject}" / f"essai_{essai}"
            folder.mkdir(parents=True)
            np.savetxt(folder / "skeletons_world.txt", random.normal(size=(frames, 66)), fmt="%.6f")
    return root


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path, {"train": ["1 1 1 1 1 1 5", "14 2 1 1 14 28 5"], "test": ["3 2 2 1 3 6 5"]})


def test_labels_and_split(tree):
    dataset = read_shrec(tree, 14)
    assert dataset.labels.tolist() == [0, 13, 2]
    assert dataset.split.tolist() == ["train", "train", "test"]
    assert dataset.names[0] == "gesture_1/finger_1/subject_1/essai_1"
    assert dataset.class_names == GESTURES
    dataset = read_shrec(tree, 28)
    assert [dataset.class_names[label] for label in dataset.labels] == [
        "Grab (one finger)", "Shake (whole hand)", "Expand (whole hand)",
    ]  # fmt: skip


def test_wrong_length_is_named(tree):
    path = tree / "gesture_3" / "finger_2" / "subject_2" / "essai_1" / "skeletons_world.txt"
    path.write_text(path.read_text().split("\n", 1)[1])
    with pytest.raises(DatasetError, match=r"essai_1.*expected 5 frames \(test_gestures.txt, line 1\), found 4"):
        read_shrec(tree)
    with pytest.warns(UserWarning, match="1 broken samples left out"):
        assert len(read_shrec(tree, on_bad_sample="skip")) == 2


def test_missing_recording_is_named(tree):
    (tree / "gesture_1" / "finger_1" / "subject_1" / "essai_1" / "skeletons_world.txt").unlink()
    with pytest.raises(DatasetError, match=r"essai_1.*No such file"):
        read_shrec(tree)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 1 1 1 1 1", "line 1: expected 7 whole numbers"),
        ("1 1 1 1 15 29 5", "line 1: expected a gesture from 1 to 14, 1 or 2 as finger, and the labels that belong"),
        ("1 1 1 1 2 3 5", "labels that belong to them, found '1 1 1 1 2 3 5'"),
        ("1 1 1 1 1 2 5", "labels that belong to them, found '1 1 1 1 1 2 5'"),
        ("15 1 1 1 15 29 5", "expected a gesture from 1 to 14"),
        ("1 3 1 1 1 2 5", "1 or 2 as finger"),
        (f"1 1 1 1 1 1 {'9' * 5000}", "line 1: expected 7 whole numbers, found '1 1 1"),
        ("x" * 20_000, "line 1: expected 7 whole numbers, found 'xxx"),
    ],
)
def test_wrong_list_lines_are_fatal_or_named(tree, line, message):
    lists = tree / "train_gestures.txt"
    lists.write_text(f"{line}\n{lists.read_text().splitlines()[1]}\n")
    with pytest.raises(DatasetError, match=message) as caught:
        read_shrec(tree)
    assert len(str(caught.value)) < 500
    with pytest.warns(UserWarning, match=rf"1 broken samples left out:\n.*{message}"):
        assert len(read_shrec(tree, on_bad_sample="skip")) == 2


def test_a_list_that_is_no_text(tree):
    (tree / "train_gestures.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"train_gestures.txt: expected text"):
        read_shrec(tree)


def test_no_list_and_no_such_classes(tmp_path):
    with pytest.raises(DatasetError, match="expected the official split list"):
        read_shrec(tmp_path)
    with pytest.raises(DatasetError, match="expected 14 or 28 classes, found 7"):
        read_shrec(tmp_path, 7)


def test_class_names_are_different():
    assert len(set(class_names(28))) == 28


def test_published_counts(data_root):
    dataset = read_shrec(data_root / "SHREC17", 28)
    assert len(dataset) == 2800
    assert len(dataset.indices("train")) == 1960
    assert len(dataset.indices("test")) == 840
    assert len(set(dataset.labels.tolist())) == 28
    assert dataset.length.min() == 7
    assert dataset.length.max() == 171
    subjects = {split: {dataset.names[i].split("/")[2] for i in dataset.indices(split)} for split in ("train", "test")}
    assert len(subjects["train"]) == 20
    assert len(subjects["test"]) == 8
    assert not subjects["train"] & subjects["test"]
