"""Layouts: what is built in, what a user may add, what is refused."""

import json

import numpy as np
import pytest

from adasgn_edge.errors import LayoutError
from adasgn_edge.skeletons import SkeletonLayout, builtin_layouts, load_layout

COUNTS = {"ntu25": (1, 9, 25), "shrec22": (1, 11, 22), "kinect20": (1, 9, 20)}


@pytest.mark.parametrize("name", COUNTS)
def test_builtin_layouts(name):
    layout = load_layout(name)
    assert layout.joint_counts == COUNTS[name]
    assert len(layout.bones) == layout.joint_count - 1
    for count in layout.joint_counts:
        matrix = layout.group_averages(count)
        assert matrix.shape == (count, layout.joint_count)
        np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-6)
        assert ((matrix > 0).sum(0) == 1).all(), "each joint is in exactly one group"
    assert SkeletonLayout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


def test_all_builtin_layouts_are_tested():
    assert set(builtin_layouts()) == set(COUNTS)


def test_ntu_groups_are_the_published_ones():
    groups = load_layout("ntu25").group_averages(9) > 0
    published = [
        (1, 2, 13, 17),
        (3, 5, 9, 21),
        (4,),
        (6,),
        (10,),
        (7, 8, 22, 23),
        (11, 12, 24, 25),
        (14, 15, 16),
        (18, 19, 20),
    ]
    assert [tuple((np.flatnonzero(row) + 1).tolist()) for row in groups] == published


def test_a_layout_of_ones_own(tmp_path):
    data = {"name": "stick", "joints": ["a", "b", "c"], "bones": [["b", "a"], ["c", "b"]], "origin": "a",
            "scale_bone": ["a", "b"], "joint_sets": {"1": [["a", "b", "c"]]}}  # fmt: skip
    path = tmp_path / "stick.json"
    path.write_text(json.dumps(data))
    layout = load_layout(path)
    assert layout.joint_counts == (1, 3)
    assert layout.parents.tolist() == [0, 0, 1]


STICK = {"name": "stick", "joints": ["a", "b"], "bones": [["b", "a"]], "origin": "a"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": []}, "at least one joint"),
        ({"joints": ["a", "a"]}, "repeat"),
        ({"bones": [["b", "x"]]}, "no joint 'x'"),
        ({"bones": [["b", "a"], ["a", "b"]]}, "expected 1 bones, found 2"),
        ({"joints": ["a", "b", "c"], "bones": [["b", "c"], ["c", "b"]]}, "circle"),
        ({"bones": [["b", "a"], ["b", "a"]]}, "child of two"),
        ({"origin": "z"}, "no joint 'z'"),
        ({"scale_bone": ["a"]}, "expected two joints"),
        ({"joint_sets": {"2": [["a"]]}}, "expected 2 groups, found 1"),
        ({"joint_sets": {"2": [["a"], ["a"]]}}, "disjoint"),
        ({"bones": 3}, "malformed"),
    ],
)
def test_layouts_that_are_refused(change, message):
    with pytest.raises(LayoutError, match=message):
        SkeletonLayout.from_dict({**STICK, **change})


def test_missing_layouts(tmp_path):
    with pytest.raises(LayoutError, match="expected one of kinect20, ntu25, shrec22"):
        load_layout("octopus")
    with pytest.raises(LayoutError, match="No such file"):
        load_layout(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(LayoutError, match="not valid JSON"):
        load_layout(tmp_path / "broken.json")
    with pytest.raises(LayoutError, match="'joints' is missing"):
        SkeletonLayout.from_dict({"name": "x"})
