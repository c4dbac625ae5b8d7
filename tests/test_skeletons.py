"""Layouts: what is built in, what a user may add, what is refused."""

import json

import numpy as np
import pytest

from adasgn_edge.data.plausibility import MIRRORED, sides
from adasgn_edge.data.sources import is_hand, load_source, other_side
from adasgn_edge.errors import LayoutError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import SkeletonLayout, builtin_layouts, load_layout

COUNTS = {
    "ntu25": (1, 9, 25), "shrec22": (1, 11, 22), "kinect20": (1, 9, 20), "coco17": (1, 9, 17), "pose33": (1, 9, 33),
    "openpose25": (1, 9, 25), "halpe26": (1, 9, 26), "zed34": (1, 9, 34), "mediapipe21": (1, 11, 21),
    "leap20": (1, 11, 20), "openxr26": (1, 11, 26),
}  # fmt: skip
SOURCES = {
    "coco17": "coco-17", "pose33": "mediapipe-pose-33", "openpose25": "openpose-25", "halpe26": "halpe-26",
    "zed34": "zed-34", "mediapipe21": "mediapipe-hand-21", "leap20": "leap-20", "openxr26": "openxr-26",
    "ntu25": "ntu25", "kinect20": "kinect20",
}  # fmt: skip
"""Whose joints a layout has, name by name."""


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


@pytest.mark.parametrize(("name", "source"), SOURCES.items())
def test_a_source_is_read_as_the_layout_of_its_own_joints(name, source):
    layout = load_layout(name)
    assert layout.joints == load_source(source).joints
    np.testing.assert_array_equal(load_source(source).matrix(layout), np.eye(layout.joint_count))


@pytest.mark.parametrize("name", COUNTS)
def test_layouts_are_as_good_for_the_other_side(name):
    """Of a body with left and right exchanged bones, groups and origin are the same ones."""
    layout = load_layout(name)
    other = other_side(layout)
    assert sorted(other) == list(range(layout.joint_count))
    if is_hand(layout):
        assert other == list(range(layout.joint_count))
        return
    assert layout.parents[other].tolist() == [other[parent] for parent in layout.parents]
    assert {other[joint] for joint in layout.origin_indices} == set(layout.origin_indices)
    for count in layout.joint_sets:
        groups = {frozenset(np.flatnonzero(row).tolist()) for row in layout.group_averages(count)}
        assert groups == {frozenset(other[joint] for joint in group) for group in groups}


@pytest.mark.parametrize("name", [name for name in COUNTS if name not in ("shrec22", "ntu25", "kinect20")])
def test_mirrored_recordings_are_told_from_others(name):
    """Of what a sensor sees of the package's hand, and of a body that stands before it."""
    layout = load_layout(name)
    shape = HAND_IN[name] if is_hand(layout) else standing(layout)
    recorded = animate("Tap", seed=1)[:, shape] if is_hand(layout) else np.stack([shape] * 3)
    assert layout.conventions is not None
    side, lengths = sides(recorded.astype(np.float64), layout, layout.conventions)
    assert (side / lengths > -MIRRORED).all()
    mirrored, _ = sides(recorded * [-1.0, 1.0, 1.0], layout, layout.conventions)
    np.testing.assert_allclose(mirrored, -side, rtol=1e-5)


HAND_IN = {
    "mediapipe21": [0, *range(2, 22)],
    "leap20": [1, *range(3, 22)],
    "openxr26": [1, 0, *range(2, 6), 0, *range(6, 10), 0, *range(10, 14), 0, *range(14, 18), 0, *range(18, 22)],
}
"""Numbers of shrec22's joints; a finger's metacarpal stands at the wrist."""
FORWARD = ("nose", "foot_index", "big_toe", "small_toe", "left_foot", "right_foot")
HEIGHTS = {
    "ankle": 0.1, "heel": 0.0, "toe": 0.0, "foot": 0.0, "knee": 0.5, "hip": 0.9, "pelvis": 0.95, "navel": 1.1,
    "chest": 1.25, "clavicle": 1.4, "shoulder": 1.4, "neck": 1.45, "head": 1.65, "nose": 1.6, "eye": 1.65,
    "ear": 1.6, "mouth": 1.55, "elbow": 1.1, "wrist": 0.9, "hand": 0.85, "thumb": 0.85, "pinky": 0.8, "index": 0.8,
}  # fmt: skip


def standing(layout: SkeletonLayout) -> np.ndarray:
    """A body (V, 3) that faces the sensor: x to its right, y up, z away from the sensor."""
    body = np.zeros((layout.joint_count, 3))
    for place, joint in zip(body, layout.joints, strict=True):
        height = next(height for part, height in HEIGHTS.items() if part in joint)
        place[:] = [-0.2 * ("left" in joint) + 0.2 * ("right" in joint), height, 2.0]
        if joint.endswith(FORWARD):
            place[2] = 1.85
    return body


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


def test_an_origin_of_several_joints(tmp_path):
    data = {"name": "pair", "joints": ["a", "b", "c"], "bones": [], "origin": ["c", "a"]}
    layout = SkeletonLayout.from_dict(data)
    assert layout.origin == ("c", "a")
    assert layout.origin_indices == (2, 0)
    frame = np.float32([[1, 2, 3], [9, 9, 9], [2, 4, 8]])
    np.testing.assert_array_equal(layout.origin_of(frame), np.float32([1.5, 3, 5.5]))
    assert layout.to_dict()["origin"] == ["c", "a"]
    assert SkeletonLayout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout
    with pytest.raises(LayoutError, match="expected one origin joint, found the mean of c, a"):
        _ = layout.origin_joint


def test_a_list_of_one_origin_is_that_joint():
    one, listed = (SkeletonLayout.from_dict({**STICK, "origin": origin}) for origin in ("b", ["b"]))
    assert one == listed
    assert listed.to_dict()["origin"] == "b"
    assert one.origin_joint == 1
    frame = np.float32([[1, 2, 3], [-0.0, 1e30, np.nan]])
    np.testing.assert_array_equal(one.origin_of(frame), frame[1])


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
        ({"origin": []}, "origin: expected a joint or a list of joints"),
        ({"origin": ["a", "z"]}, "no joint 'z'"),
        ({"origin": ["a", "a"]}, "origin: expected each joint once"),
        ({"origin": ["a", 1]}, "origin: expected a list of names"),
        ({"origin": {"a": 1}}, "origin: expected a joint or a list of joints"),
        ({"origin": ""}, "origin: expected a text"),
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
    with pytest.raises(LayoutError, match="expected one of coco17, halpe26, kinect20, leap20, "):
        load_layout("octopus")
    with pytest.raises(LayoutError, match="No such file"):
        load_layout(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(LayoutError, match="not valid JSON"):
        load_layout(tmp_path / "broken.json")
    with pytest.raises(LayoutError, match="'joints' is missing"):
        SkeletonLayout.from_dict({"name": "x"})
