"""The reader of SHREC'21: both forms, the listed rule for flawed annotations, and every other flaw an error."""

from __future__ import annotations

import numpy as np
import pytest

from adasgn_edge.data.online import Annotation, plan_sequence_folds
from adasgn_edge.data.registry import open_dataset, open_online_dataset
from adasgn_edge.data.shrec21 import GESTURES, read_leap_text, read_shrec21
from adasgn_edge.errors import DatasetError
from adasgn_edge.skeletons import load_layout

TRAIN = ["1;DENY;5;9;CIRCLE;20;30; ", "2;ONE;1;40;"]
TEST = ["109;EXPAND;2;3;V;10;20;", "112;", ""]
NUMBERS = {"training": ("1", "2"), "test": ("109", "112")}


def hand(number: str, frames: int = 40) -> np.ndarray:
    """(frames, 20, 3) and never zero."""
    return np.random.default_rng(int(number)).uniform(0.1, 2.5, size=(frames, 20, 3)).astype(np.float32)


def write_compact(root, train=TRAIN, test=TEST):
    root.mkdir(parents=True, exist_ok=True)
    for split, lines in (("training", train), ("test", test)):
        np.savez(root / f"{split}.npz", **{number: hand(number) for number in NUMBERS[split]})
        (root / f"{split}_annotations.txt").write_text("\r\n".join(lines))
    return root


def write_sequence(path, positions):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.concatenate([positions, np.full((*positions.shape[:2], 4), 0.5)], axis=2).reshape(len(positions), -1)
    path.write_text("".join(";".join(f"{value:.9g}" for value in row) + ";\n" for row in rows) + "\n")


def write_distributed(root, twice=False):
    for split, lines, table in (
        ("training", TRAIN, "annotations_revised_training.txt"),
        ("test", TEST, "annotations_revised.txt"),
    ):
        folder = root / f"{split}_set" / f"{split}_set" if twice else root / f"{split}_set"
        for number in NUMBERS[split]:
            write_sequence(folder / "sequences" / f"{number}.txt", hand(number))
        (folder / table).write_text("\n".join(lines))
    return root


def test_compact_form(tmp_path):
    dataset = read_shrec21(write_compact(tmp_path))
    assert dataset.names == ("1", "2", "109", "112")
    assert dataset.split.tolist() == ["train", "train", "test", "test"]
    labels = list(GESTURES)
    assert dataset.annotations == (
        (Annotation(labels.index("DENY"), 4, 8), Annotation(labels.index("CIRCLE"), 19, 29)),
        (Annotation(0, 0, 39),),
        (Annotation(16, 1, 2), Annotation(labels.index("V"), 9, 19)),
        (),
    )
    assert dataset.class_names[0] == "One"
    assert dataset.class_names[4] == "OK"
    assert dataset.class_names[-1] == "Expand"
    assert len(dataset.class_names) == 17
    assert dataset.rate == 50.0
    assert dataset.corrected == ()


def test_joints_axes_and_units_are_those_of_the_layout(tmp_path):
    dataset = read_shrec21(write_compact(tmp_path))
    layout, leap, frames = load_layout("shrec22"), hand("2"), dataset.frames(1)
    assert dataset.layout == layout
    metres = leap * np.float32([0.5, 0.5, -0.5])
    for joint, place in (("palm", 0), ("thumb_tip", 3), ("index_base", 4), ("little_tip", 19)):
        assert np.allclose(frames[:, layout.index(joint)], metres[:, place], atol=1e-6)
    wrist = metres[:, 0] + 1.13 * (metres[:, 0] - metres[:, [4, 8, 12, 16]].mean(axis=1))
    assert np.allclose(frames[:, layout.index("wrist")], wrist, atol=1e-5)
    thumb = wrist + 0.4 * (metres[:, 1] - wrist)
    assert np.allclose(frames[:, layout.index("thumb_base")], thumb, atol=1e-5)


@pytest.mark.parametrize("twice", [False, True])
def test_the_distributed_form_is_the_same_data_set(tmp_path, twice):
    compact = read_shrec21(write_compact(tmp_path / "compact"))
    assert read_shrec21(write_distributed(tmp_path / "text", twice)).digest == compact.digest


@pytest.mark.parametrize(
    ("line", "gestures", "sentence"),
    [
        ("2;FOUR;30;41;", (3, 29, 39), "FOUR 30 to 41 ends after the sequence does, cut to its last frame, 40"),
        ("2;FOUR;40;99;", (3, 39, 39), "FOUR 40 to 99 ends after the sequence does, cut to its last frame, 40"),
    ],
)
def test_an_end_after_the_sequence_is_cut_and_said(tmp_path, line, gestures, sentence):
    dataset = read_shrec21(write_compact(tmp_path, [TRAIN[0], line]))
    assert dataset.annotations[1] == (Annotation(*gestures),)
    assert dataset.corrected == (f"training_annotations.txt, sequence 2: {sentence}",)


def test_the_mistyped_annotation_is_read_as_listed_and_no_other(tmp_path):
    root = write_compact(tmp_path, [*TRAIN, "64;TAP;1135;162;"])
    np.savez(root / "training.npz", **{number: hand(number) for number in ("1", "2")}, **{"64": hand("64", 1200)})
    dataset = read_shrec21(root)
    assert dataset.annotations[2] == (Annotation(list(GESTURES).index("TAP"), 1134, 1161),)
    assert dataset.corrected == (
        "training_annotations.txt, sequence 64: TAP 1135 to 162 has a mistyped digit, read as 1135 to 1162",
    )
    for other in ("64;TAP;1135;163;", "64;GRAB;1135;162;"):
        (root / "training_annotations.txt").write_text("\n".join([*TRAIN, other]))
        with pytest.raises(DatasetError, match=r"line 3, sequence 64, .*: expected its first frame before its last"):
            read_shrec21(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2;POINTING;1;9;", "line 2, sequence 2: expected one of ONE, .*, found 'POINTING'"),
        ("2;one;1;9;", "found 'one'"),
        ("2;ONE;9;1;", "line 2, sequence 2, ONE: expected its first frame before its last, found 9 and 1"),
        ("2;ONE;0;5;", "expected two frames from 1, found '0;5'"),
        ("2;ONE;-3;5;", "expected two frames from 1, found '-3;5'"),
        ("2;ONE;1.5;5;", "expected two frames from 1, found '1.5;5'"),
        ("2;ONE;one;5;", "expected two frames from 1, found 'one;5'"),
        ("2;ONE;;5;", "expected two frames from 1, found ';5'"),
        ("2;ONE;²;5;", "expected two frames from 1"),
        (f"2;ONE;1;{'9' * 5000};", "expected two frames from 1, found '1;99"),
        ("2;ONE;41;50;", "expected frames up to 40, found one that begins at 41"),
        ("2;ONE;1;9;TWO;20;", "expected LABEL;first;last for each gesture, found 5 words"),
        (
            "2;ONE;1;9;TWO;9;20;",
            "expected gestures in order of time that do not overlap, found TWO;9;20 after one that",
        ),
        ("2;ONE;20;29;TWO;1;9;", "expected gestures in order of time"),
        ("3;ONE;1;9;", "expected the number of a sequence that is there, found '3'"),
        ("2.0;ONE;1;9;", "expected the number of a sequence that is there, found '2.0'"),
        ("1;ONE;1;9;", "sequence 1 is annotated twice"),
        ("", "expected a line for every sequence, found none for 2"),
        ("x" * 20_000, "expected the number of a sequence that is there, found 'xxx"),
    ],
)
def test_any_other_flaw_is_an_error(tmp_path, line, message):
    root = write_compact(tmp_path)
    (root / "training_annotations.txt").write_text("\n".join([TRAIN[0], line]))
    with pytest.raises(DatasetError, match=f"training_annotations.txt.*{message}") as caught:
        read_shrec21(root)
    assert len(str(caught.value)) <= 600


def test_missing_files_are_named(tmp_path):
    with pytest.raises(
        DatasetError, match=r"expected training.npz or training_set/sequences of SHREC'21, found neither"
    ):
        read_shrec21(tmp_path)
    root = write_compact(tmp_path)
    (root / "test_annotations.txt").unlink()
    with pytest.raises(DatasetError, match=r"test_annotations.txt: expected the annotations of SHREC'21"):
        read_shrec21(root)
    (root / "test.npz").unlink()
    with pytest.raises(DatasetError, match=r"expected test.npz or test_set/sequences"):
        read_shrec21(root)


def test_archives_that_cannot_be(tmp_path):
    root = write_compact(tmp_path)
    good = (root / "training.npz").read_bytes()
    (root / "training.npz").write_bytes(good[: len(good) // 2])
    with pytest.raises(DatasetError, match=r"training.npz: expected a NumPy .npz archive, found a damaged one"):
        read_shrec21(root)
    for wrong in (np.zeros((5, 22, 3)), np.zeros((0, 20, 3)), np.zeros((5, 20, 3), int), np.zeros(5)):
        np.savez(root / "training.npz", **{"1": hand("1"), "2": wrong})
        with pytest.raises(DatasetError, match=r"sequence '2': expected numbers of shape \(frames, 20, 3\), found"):
            read_shrec21(root)
    np.savez(root / "training.npz", **{"1": hand("1"), "2": np.array([{}], dtype=object)})
    with pytest.raises(DatasetError, match="found Python objects"):
        read_shrec21(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [lines[0], lines[1].rsplit(";", 2)[0], lines[2]], "line 2: expected 140 numbers .* found 139"),
        (lambda lines: [lines[0], "", lines[2]], "line 2: expected 140 numbers between semicolons, found 1"),
        (lambda lines: [lines[0], lines[1], "x" + lines[2]], "line 3: expected numbers, found .*could not convert"),
        (lambda lines: [], "expected a line for each frame, found an empty file"),
    ],
)
def test_lines_of_a_sequence_that_cannot_be(tmp_path, change, message):
    path = tmp_path / "7.txt"
    write_sequence(path, hand("7", 3))
    assert read_leap_text(path).shape == (3, 20, 3)
    path.write_text("\n".join(change(path.read_text().splitlines()[:3])))
    with pytest.raises(DatasetError, match=rf"7.txt.*{message}"):
        read_leap_text(path)


def test_opening_by_name(tmp_path, monkeypatch):
    write_compact(tmp_path / "SHREC21")
    with pytest.warns(UserWarning, match="shrec21: expected 108 training and 72 test sequences as published, found 2"):
        dataset = open_online_dataset("shrec21", tmp_path)
    monkeypatch.setenv("ADASGN_DATA", str(tmp_path))
    with pytest.warns(UserWarning, match="as published"):
        assert open_online_dataset("shrec21").digest == dataset.digest
    monkeypatch.setenv("ADASGN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(
        DatasetError, match=r"data set 'shrec21': expected its files in .*nowhere/SHREC21, found no such"
    ):
        open_online_dataset("shrec21")
    with pytest.raises(DatasetError, match="expected the folder that holds SHREC21, found that itself: --root"):
        open_online_dataset("shrec21", tmp_path / "SHREC21")


def test_names_of_the_other_kind():
    with pytest.raises(DatasetError, match=r"unknown data set of continuous recordings 'shrec14': .*trimmed clips"):
        open_online_dataset("shrec14")
    with pytest.raises(DatasetError, match=r"expected one of shrec21, hands$"):
        open_online_dataset("shrec22")
    with pytest.raises(DatasetError, match="expected one of trimmed clips; shrec21 is one of continuous recordings"):
        open_dataset("shrec21")


@pytest.fixture(scope="module")
def dataset(data_root):
    if not (data_root / "SHREC21").is_dir():
        pytest.skip(f"no SHREC21 in {data_root}")
    return open_online_dataset("shrec21", data_root)


class TestRealData:
    def test_published_numbers(self, dataset):
        train, test = dataset.indices("train"), dataset.indices("test")
        assert (len(train), len(test)) == (108, 72)
        assert (dataset.length[train].sum(), dataset.length[test].sum()) == (200_869, 119_558)
        expected = {"Grab": (25, 16), "Pinch": (23, 16), "Tap": (24, 14)}
        counts = zip(dataset.class_counts(train).tolist(), dataset.class_counts(test).tolist(), strict=True)
        for name, both in zip(dataset.class_names, counts, strict=True):
            assert both == expected.get(name, (24, 16))
        assert np.isfinite(dataset.positions).all()

    def test_the_six_flaws(self, dataset):
        cut = {"136": ("FOUR 1397 to 1515", 1497), "142": ("THREE 1494 to 1621", 1605)}
        cut |= {"145": ("TWO 1325 to 1465", 1447), "151": ("THREE 1180 to 1286", 1270)}
        why = "ends after the sequence does, cut to its last frame"
        assert sorted(dataset.corrected) == [
            *(f"test_annotations.txt, sequence {name}: {text} {why}, {last}" for name, (text, last) in cut.items()),
            "test_annotations.txt, sequence 155: V 595 to 528 has a mistyped digit, read as 495 to 528",
            "training_annotations.txt, sequence 64: TAP 1135 to 162 has a mistyped digit, read as 1135 to 1162",
        ]

    def test_a_hand_in_metres(self, dataset):
        layout = dataset.layout
        bone = dataset.positions[:, layout.index("middle_base")] - dataset.positions[:, layout.index("wrist")]
        assert 0.07 < np.median(np.linalg.norm(bone, axis=1)) < 0.11
        assert np.median(dataset.positions[:, layout.index("palm"), 2]) < 0, "z is not turned"

    def test_rounds_in_which_every_gesture_occurs_eight_times(self, dataset):
        for fold in plan_sequence_folds(dataset, 3, by="group"):
            assert len(fold.held) == 36
            assert set(dataset.class_counts(fold.held).tolist()) <= {7, 8, 9}
        for fold in plan_sequence_folds(dataset, 4, by="sequence"):
            assert set(dataset.class_counts(fold.held).tolist()) <= {5, 6, 7}

    @pytest.mark.parametrize("number", ["4", "6", "8"])
    def test_the_text_is_the_array(self, dataset, data_root, number):
        path = data_root / "SHREC21" / "as_distributed" / f"{number}.txt"
        if not path.is_file():
            pytest.skip(f"no {path}")
        with np.load(data_root / "SHREC21" / "training.npz") as arrays:
            assert np.array_equal(read_leap_text(path), arrays[number])
