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


CONVENTIONS = {"axes": "y up", "units": "m", "side": "both", "upright": ["a", "b"], "extent": [0.3, 3.0],
               "chirality": {"plane": ["a", "b", "a"], "towards": [["a", "b"]]}}  # fmt: skip
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
        ({"bones": 3}, "expected a list of .child, parent., found 3"),
        ({"joint_set": {}}, "found also 'joint_set'; did you mean 'joint_sets'?"),
        ({"scalebone": ["a", "b"]}, "did you mean 'scale_bone'"),
        ({"joints": "ab"}, "expected a list of names, found 'ab'"),
        ({"joints": ["a", 2]}, "expected a list of names"),
        ({"joints": [f"j{i}" for i in range(3000)], "bones": []}, "expected at most 256, found 3000"),
        ({"name": ""}, "name: expected a text"),
        ({"up": [0, "1", 0]}, "up: expected 3 numbers"),
        ({"up": [0, 0, 0]}, "up: expected a direction"),
        ({"up": [0, float("nan"), 0]}, "up: expected 3 numbers"),
        ({"joint_sets": {"one": [["a"]]}}, "joint counts as keys"),
        ({"joint_sets": {"9" * 5000: [["a"]]}}, "joint counts as keys"),
        ({"joint_sets": [1]}, "joint counts as keys"),
        ({"joint_sets": {"1": "ab"}}, "expected a list of groups"),
        ({"conventions": {"axes": "y up"}}, "key 'units' is missing"),
        ({"conventions": {**CONVENTIONS, "extent": [3.0, 0.3]}}, "expected least and most"),
        ({"conventions": {**CONVENTIONS, "upright": ["a", "z"]}}, "no joint 'z'"),
        (
            {"conventions": {**CONVENTIONS, "chirality": {"plane": ["a"], "towards": [["a", "b"]]}}},
            "expected three joints",
        ),
        (
            {"conventions": {**CONVENTIONS, "chirality": {"plane": ["a"] * 3, "towards": []}}},
            "expected a list of .from",
        ),
        (
            {"conventions": {**CONVENTIONS, "chirality": {"plane": ["a", "b", "z"], "towards": [["a", "b"]]}}},
            "joint 'z'",
        ),
        ({"conventions": {**CONVENTIONS, "unit": "m"}}, "found also 'unit'; did you mean 'units'"),
    ],
)
def test_layouts_that_are_refused(change, message):
    with pytest.raises(LayoutError, match=message):
        SkeletonLayout.from_dict({**STICK, **change})


def test_conventions_are_stated_for_every_layout_and_kept():
    for name in builtin_layouts():
        conventions = load_layout(name).conventions
        assert conventions is not None
        assert conventions.units == "m"
        assert conventions.upright is not None
    layout = SkeletonLayout.from_dict({**STICK, "conventions": CONVENTIONS})
    again = SkeletonLayout.from_dict(json.loads(json.dumps(layout.to_dict())))
    assert again.conventions == layout.conventions
    assert layout == SkeletonLayout.from_dict(STICK)  # the same skeleton, whatever is said about it


@pytest.mark.parametrize("text", ["[" * 100_000, '{"name": ' + "9" * 5000 + "}", '"ntu25"', "[1, 2]", "\xff\xfe{"])
def test_files_that_are_no_layout(tmp_path, text):
    path = tmp_path / "layout.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(LayoutError) as caught:
        load_layout(path)
    assert len(str(caught.value)) < 500


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
