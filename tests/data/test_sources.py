"""Other joint orders: the mappings of every built-in source, own descriptions, axes, side and units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adasgn_edge.data.clips import read_bodies
from adasgn_edge.data.description import described
from adasgn_edge.data.persons import Body
from adasgn_edge.data.sources import Orientation, Source, builtin_sources, load_source, sources_for
from adasgn_edge.errors import ClipError, DatasetError, LayoutError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import builtin_layouts, load_layout

SHREC = load_layout("shrec22")
CLIP = animate("Swipe Up", seed=3)[:20]
TWENTY_ONE = [SHREC.index(joint) for joint in SHREC.joints if joint != "palm"]  # MediaPipe's order
MEDIAPIPE = described(SHREC, "mediapipe-hand", axes="model", side="right")
FINGERS = ("thumb", "index", "middle", "ring", "little")


def body(positions: np.ndarray) -> Body:
    return Body(np.arange(len(positions)), positions.astype(np.float32))


@pytest.mark.parametrize("name", builtin_sources())
def test_every_mapping_keeps_places_and_sizes(name: str) -> None:
    """Weights sum to 1, so a moved or scaled body is mapped onto the moved or scaled one."""
    source = load_source(name)
    assert source.mappings
    positions = np.random.default_rng(0).normal(size=(4, len(source.joints), 3)).astype(np.float32)
    for target in source.mappings:
        layout = load_layout(target)
        mapped = source.onto(layout, body(positions)).positions
        assert mapped.shape == (4, layout.joint_count, 3)
        moved = source.onto(layout, body(2 * positions + np.float32([1, 2, 3]))).positions
        np.testing.assert_allclose(moved, 2 * mapped + np.float32([1, 2, 3]), atol=1e-4)
        assert layout.name not in (source.name,)


@pytest.mark.parametrize("name", builtin_sources())
def test_sides_stay_sides(name: str) -> None:
    """A body's left comes from joints of the left, or of the middle, and mirrored rules mirror."""
    source = load_source(name)
    for target, joints in source.mappings.items():
        for joint, weights in joints.items():
            side, _, _ = joint.partition("_")
            if target != "shrec22" and side in ("left", "right"):
                assert all(other.startswith(side) for other in weights), (target, joint)
                swap = {"left": "right", "right": "left"}[side]
                mirrored = {other.replace(side, swap, 1): weight for other, weight in weights.items()}
                assert joints[joint.replace(side, swap, 1)] == mirrored
        if target == "shrec22":
            for finger in FINGERS:
                sources = [next(iter(joints[f"{finger}_{part}"])) for part in ("joint_1", "joint_2", "tip")]
                called = {"little": ("little", "pinky"), "index": ("index", "forefinger")}.get(finger, finger)
                assert all(name.startswith(called) for name in sources)


def test_hands_of_21_joints() -> None:
    found = load_source("mediapipe-hand-21").onto(SHREC, body(CLIP[:, TWENTY_ONE])).positions
    others = [SHREC.index(joint) for joint in SHREC.joints if joint != "palm"]
    np.testing.assert_array_equal(found[:, others], CLIP[:, others])
    middle = (CLIP[:, 0] + CLIP[:, SHREC.index("middle_base")]) / 2
    np.testing.assert_allclose(found[:, 1], middle, atol=1e-6)
    assert np.abs(found[:, 1] - CLIP[:, 1]).max() < 0.02  # metres from the palm as it was


def test_the_orders_of_mano_and_of_26_joints() -> None:
    """mano-21's fingers are index, middle, pinky, ring, thumb, tips last; OpenXR has four metacarpals more."""
    mediapipe = load_source("mediapipe-hand").onto(SHREC, body(CLIP[:, TWENTY_ONE])).positions
    order = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
    found = load_source("mano").onto(SHREC, body(CLIP[:, TWENTY_ONE][:, order])).positions
    np.testing.assert_array_equal(found, mediapipe)
    joints = np.full((len(CLIP), 26, 3), 9, dtype=np.float32)
    joints[:, 0], joints[:, 1] = CLIP[:, 1], CLIP[:, 0]
    for finger, start in enumerate((2, 7, 12, 17, 22)):
        joints[:, start : start + 4] = CLIP[:, 2 + 4 * finger : 6 + 4 * finger]  # metacarpals stay 9
    np.testing.assert_array_equal(load_source("openxr").onto(SHREC, body(joints)).positions, CLIP)
    wrist_first = joints[:, [1, 0, *range(2, 26)]]
    np.testing.assert_array_equal(load_source("mrtk2").onto(SHREC, body(wrist_first)).positions, CLIP)


def test_kinects_bodies() -> None:
    ntu, kinect = load_layout("ntu25"), load_layout("kinect20")
    positions = np.random.default_rng(0).normal(size=(3, 25, 3)).astype(np.float32)
    found = load_source("kinect-v2").onto(kinect, body(positions)).positions
    for joint in ("head", "left_hand", "right_foot", "left_shoulder"):
        np.testing.assert_array_equal(found[:, kinect.index(joint)], positions[:, ntu.index(joint)])
    np.testing.assert_array_equal(
        found[:, kinect.index("shoulder_center")], positions[:, ntu.index("spine_shoulder")]
    )  # index 2 is the neck in one and the shoulder centre in the other
    azure = load_source("azure-kinect")
    joints = np.zeros((2, 32, 3), dtype=np.float32) + np.arange(32, dtype=np.float32)[None, :, None] + 1
    found = azure.onto(ntu, body(joints)).positions
    assert found[0, ntu.index("left_hand_tip"), 0] == 1 + azure.joints.index("left_hand_tip") == 10
    assert found[0, ntu.index("head"), 0] == 27


def test_a_joint_is_missing_where_one_that_it_is_made_of_is() -> None:
    clip = CLIP[:, TWENTY_ONE].copy()
    clip[2, 9] = np.nan  # middle base: with the wrist it makes the palm
    clip[3, 0] = 0  # the wrist, as trackers mark a missing joint
    clip[5, 20] = np.nan
    found = load_source("mediapipe-hand").onto(SHREC, body(clip)).positions
    missing = {(frame, SHREC.joints[joint]) for frame, joint in np.argwhere(np.isnan(found).any(-1)).tolist()}
    assert missing == {(2, "middle_base"), (2, "palm"), (3, "palm"), (5, "little_tip")}
    assert (found[3, 0] == 0).all()  # a copy stays as it is: cleaning decides
    clip = CLIP[:, TWENTY_ONE] - CLIP[:, :1]  # relative to the wrist, as some trackers give them
    assert not np.isnan(load_source("mediapipe-hand").onto(SHREC, body(clip)).positions).any()


def test_names_and_aliases() -> None:
    assert load_source("MediaPipe-Hand") is load_source("mediapipe_hand_21")
    names = [name for source in map(load_source, builtin_sources()) for name in (source.name, *source.aliases)]
    assert len(set(names)) == len(names)
    for name in builtin_sources():
        source = load_source(name)
        assert set(source.mappings) <= set(builtin_layouts())
        assert source.options.startswith(f"--source {name}")
    assert load_source("azure-kinect").options == "--source azure-kinect-32 --axes source --mirrored|--not-mirrored"
    assert load_source("leap").options == "--source leap-20 --axes source --side left|right"
    assert {source.name for source in sources_for(load_layout("kinect20"))} >= {"ntu25", "mediapipe-pose-33"}
    with pytest.raises(
        LayoutError, match=r"expected one of azure-kinect-32, .* or the path of a .json file; found 'kinetc'"
    ):
        load_source("kinetc")
    with pytest.raises(LayoutError, match="expected a mapping onto the model's layout 'shrec22'; it has kinect20"):
        load_source("ntu25").matrix(SHREC)


def description(**changes: Any) -> dict[str, Any]:
    mapping = {joint: joint for joint in SHREC.joints}
    return {
        "name": "glove", "aliases": [], "about": "", "hand": True, "camera": False, "dimensions": 3, "centred": False,
        "axes": None, "axes_note": "", "units": None, "units_note": "", "facts": "",
        "joints": [*SHREC.joints, "arm"], "mappings": {"shrec22": mapping}, **changes,
    }  # fmt: skip


def test_a_description_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "glove.json"
    path.write_text(json.dumps(description()), encoding="utf-8")
    np.savez(tmp_path / "clip.npz", positions=np.concatenate([CLIP, CLIP[:, :1]], axis=1))
    (found,) = read_bodies(tmp_path / "clip.npz", SHREC, described(SHREC, path, axes="model", side="right"))
    np.testing.assert_array_equal(found.positions, CLIP)
    (found,) = read_bodies(tmp_path / "clip.npz", SHREC, described(SHREC, str(path), axes="model", side="right"))
    np.testing.assert_array_equal(found.positions, CLIP)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"about": 1}, "about: expected text, found int"),
        ({"joints": []}, "joints: expected at least one"),
        ({"joints": ["wrist", "wrist"]}, "joints: expected a list of different names"),
        ({"joints": "wrist"}, "joints: expected a list of different names"),
        ({"flip": "y"}, "unknown key 'flip'; axes and units are stated in place of flip and scale"),
        ({"hand": 1}, "hand: expected true or false, found 1"),
        ({"dimensions": 4}, "dimensions: expected 2 or 3, found 4"),
        ({"axes": ["right", "up", "left"]}, "axes: expected one of right and left, one of up"),
        ({"axes": "sideways"}, "axes: expected optical, ros, model"),
        ({"units": -1}, "units: expected m, cm, mm, in, ft, or the metres of one unit"),
        ({"mappings": []}, "mappings: expected an object"),
        ({"mappings": {"shrec22": {"wrist": "elbow"}}}, "no joint 'elbow' in the source"),
        ({"mappings": {"shrec22": {"wrist": {"wrist": 0.5, "arm": 0.4}}}}, "expected weights that sum to 1, found 0.9"),
        ({"mappings": {"shrec22": {"wrist": []}}}, "expected a joint, or joints and weights"),
        ({"mappings": {"shrec22": {"wrist": {"wrist": None}}}}, "expected a number"),
    ],
)
def test_wrong_descriptions(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((LayoutError, ClipError), match=message):
        Source.from_dict(description(**changes))


def test_descriptions_that_do_not_fit_or_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="names other joints than the layout"):
        Source.from_dict(description(mappings={"shrec22": {"wrist": "wrist"}})).matrix(SHREC)
    lacking = description()
    del lacking["axes"]
    with pytest.raises(LayoutError, match="axes missing"):
        Source.from_dict(lacking)
    with pytest.raises(LayoutError, match="expected a JSON object, found list"):
        Source.from_dict([])
    for content in ("{", "[" * 100_000, "\xff"):
        (tmp_path / "own.json").write_text(content, encoding="latin-1")
        with pytest.raises(LayoutError, match=r"own\.json"):
            load_source(tmp_path / "own.json")
    with pytest.raises(LayoutError, match="expected a file, found nothing"):
        load_source(tmp_path / "absent.json")


class TestOrientation:
    def test_flip_and_scale(self) -> None:
        found = Orientation("Yx", scale=0.001).apply(SHREC, body(CLIP)).positions
        np.testing.assert_allclose(found, CLIP * np.float32([-0.001, -0.001, 0.001]), rtol=1e-6)
        assert Orientation().apply(SHREC, one := body(CLIP)) is one

    def test_mirror_of_a_hand(self) -> None:
        found = Orientation(mirror=True).apply(SHREC, body(CLIP)).positions
        np.testing.assert_array_equal(found, CLIP * np.float32([-1, 1, 1]))
        twice = Orientation("x", mirror=True).apply(SHREC, body(CLIP)).positions
        np.testing.assert_array_equal(twice, CLIP)

    @pytest.mark.parametrize("layout", ["ntu25", "kinect20"])
    def test_mirror_of_a_body_changes_sides(self, layout: str) -> None:
        skeleton = load_layout(layout)
        positions = np.random.default_rng(0).normal(size=(3, skeleton.joint_count, 3)).astype(np.float32)
        found = Orientation(mirror=True).apply(skeleton, body(positions)).positions
        for joint in skeleton.joints:
            other = joint.replace("left", "L").replace("right", "left").replace("L", "right")
            expected = positions[:, skeleton.index(other)] * np.float32([-1, 1, 1])
            np.testing.assert_array_equal(found[:, skeleton.index(joint)], expected)

    def test_missing_stays_missing(self) -> None:
        clip = CLIP.copy()
        clip[2, 3] = np.nan
        found = Orientation("y", True, 2).apply(SHREC, body(clip)).positions
        assert np.argwhere(np.isnan(found).any(-1)).tolist() == [[2, 3]]

    @pytest.mark.parametrize("flip", ["w", "xx", "x,y", "-y", "xyzx", "y" * 5000])
    def test_wrong_axes(self, flip: str) -> None:
        with pytest.raises(ClipError, match="flip: expected axes such as y or xz") as caught:
            Orientation(flip)
        assert len(str(caught.value)) < 200

    @pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
    def test_wrong_scales(self, scale: float) -> None:
        with pytest.raises(ClipError, match="scale: expected a positive factor"):
            Orientation(scale=scale)


def test_a_source_is_told_by_names_and_by_numbers(tmp_path: Path) -> None:
    joints = load_source("mediapipe-hand").joints
    path = tmp_path / "clip.csv"
    rows = "\n".join(",".join(map(str, row)) for row in CLIP[:, TWENTY_ONE].reshape(len(CLIP), -1).tolist())
    for spell in (str, str.upper, lambda joint: joint.replace("_finger", "")):
        path.write_text(",".join(f"{spell(joint)}_{axis}" for joint in joints for axis in "xyz") + "\n" + rows)
        if spell is not str and spell is not str.upper:
            with pytest.raises(ClipError, match="joints without columns"):
                read_bodies(path, SHREC)
            continue
        with pytest.raises(
            ClipError, match="found those of mediapipe-hand-21: read it with --source mediapipe-hand-21"
        ):
            read_bodies(path, SHREC)
        (found,) = read_bodies(path, SHREC, MEDIAPIPE)
        np.testing.assert_allclose(found.positions[:, 2:], CLIP[:, 2:], atol=1e-6)
    path.write_text(rows)
    (found,) = read_bodies(path, SHREC, MEDIAPIPE)
    np.testing.assert_allclose(found.positions[:, 2:], CLIP[:, 2:], atol=1e-6)
    path.write_text("\n".join(",".join(map(str, row)) for row in CLIP.reshape(len(CLIP), -1).tolist()))
    with pytest.raises(ClipError, match=r"expected 63 numbers .* of source 'mediapipe-hand-21'.* found 66"):
        read_bodies(path, SHREC, MEDIAPIPE)
    with pytest.raises((ClipError, DatasetError)):
        read_bodies(tmp_path / "absent.csv", SHREC, MEDIAPIPE)
