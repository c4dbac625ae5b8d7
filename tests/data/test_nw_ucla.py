from __future__ import annotations

import json

import numpy as np
import pytest

from adasgn_edge.data.nw_ucla import ACTIONS, read_nw_ucla
from adasgn_edge.errors import DatasetError
from tests.data.recording_folders import track


def write_file(folder, name, label, skeletons=None, file_name=None):
    joints = track(4).tolist() if skeletons is None else skeletons
    content = {"file_name": file_name or name, "skeletons": joints, "label": label}
    (folder / f"{name}.json").write_text(json.dumps(content))


def test_labels_and_views(tmp_path):
    write_file(tmp_path, "a01_s01_e00_v01", 1)
    write_file(tmp_path, "a08_s10_e02_v02", 7)
    write_file(tmp_path, "a12_s03_e10_v03", 10, skeletons=np.ones((1, 20, 3)).tolist())
    dataset = read_nw_ucla(tmp_path)
    assert dataset.labels.tolist() == [0, 6, 9]
    assert [dataset.class_names[label] for label in dataset.labels] == ["pick up with one hand", "donning", "carry"]
    assert dataset.split.tolist() == ["train", "train", "test"]
    assert dataset.length[:, 0].tolist() == [4, 4, 1]
    assert dataset.layout.name == "kinect20"
    assert dataset.groups == ("view 1", "view 2", "view 3")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("a02_s01_e00_v01", {"label": 1}, "expected the name 'a02_s01_e00_v01' and label 2 .* found .* and 1"),
        ("a02_s01_e00_v01", {"label": 2, "file_name": "x"}, "found 'x'"),
        ("a07_s01_e00_v01", {"label": 7}, "expected an action among 1, 2, .*found action 7"),
        ("a01_s01_e00_v04", {"label": 1}, "a view from 1 to 3, found action 1, view 4"),
        ("wave", {"label": 1}, "expected a name such as a01_s01_e00_v01.json"),
        ("a01_s01_e00_v01", {"label": 1, "skeletons": []}, "found"),
        ("a01_s01_e00_v01", {"label": 1, "skeletons": [[[0, 0, 0]] * 19]}, r"found \(1, 19, 3\)"),
        (
            "a01_s01_e00_v01",
            {"label": 1, "skeletons": [[[0, 0]] + [[0, 0, 0]] * 19]},
            "frames x 20 joints x 3 numbers",
        ),
        ("a01_s01_e00_v01", {"label": 1, "skeletons": [[["0", 0, 0]] * 20]}, "expected frames x 20 joints x 3 numbers"),
        (
            "a01_s01_e00_v01",
            {"label": 1, "skeletons": [[[10**400, 0, 0]] * 20]},
            "frames x 20 joints x 3 numbers",
        ),
        ("a01_s01_e00_v01", {"label": 1, "skeletons": [[[True, False, True]] * 20]}, "frames x 20 joints x 3 numbers"),
        ("a01_s01_e00_v01", {"label": 1, "skeletons": {"head": [0, 0, 0]}}, "expected frames x 20 joints x 3 numbers"),
        ("a01_s01_e00_v01", {"label": 1, "skeletons": [[[1e300, 0, 0]] * 20]}, "found infinity"),
        ("a01_s01_e00_v01", {"label": 1, "skeletons": [[[None, 0, 0]] * 20]}, "expected somebody"),
        ("a01_s01_e00_v01", {"label": "x" * 20_000}, "label 1 inside the file, found .*xxx"),
        ("a01_s01_e00_v01", {"label": [[1] * 999] * 999}, "label 1 inside the file, found .*1, 1"),
        ("a01_s01_e00_v01", {"label": 1, "skeletons": [[[0, 0, float("nan")]] * 20]}, "expected somebody"),
    ],
)
def test_broken_files_are_fatal_or_named(tmp_path, name, changes, message):
    write_file(tmp_path, "a03_s01_e00_v01", 3)
    write_file(tmp_path, name, **changes)
    with pytest.raises(DatasetError, match=message) as caught:
        read_nw_ucla(tmp_path)
    assert len(str(caught.value)) < 600
    with pytest.warns(UserWarning, match=f"1 broken samples left out:\n.*{name}"):
        assert len(read_nw_ucla(tmp_path, on_bad_sample="skip")) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"label": 1}', "[" * 100_000, "9" * 5000, "\0" * 99])
def test_files_that_are_no_such_json(tmp_path, text):
    (tmp_path / "a01_s01_e00_v01.json").write_text(text)
    with pytest.raises(DatasetError, match=r"a01_s01_e00_v01.json: (not valid JSON|expected an object|expected text)"):
        read_nw_ucla(tmp_path)


def test_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"expected the .json files of NW-UCLA, found none"):
        read_nw_ucla(tmp_path)


def test_published_counts(data_root):
    dataset = read_nw_ucla(data_root / "NW-UCLA" / "all_sqe")
    assert len(dataset) == 1484
    assert len(dataset.indices("train")) == 1020
    assert len(dataset.indices("test")) == 464
    assert set(dataset.labels.tolist()) == set(range(len(ACTIONS)))
    assert (dataset.length == 1).sum() == 2
    assert dataset.length.max() == 201
