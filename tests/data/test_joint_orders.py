"""Every source's joints by their numbers: where each joint of a layout comes from, written here a second time.

Numbers are those of the makers' own lists (each source's file names the place); a tuple is a joint that a rule makes of
others.
"""

from __future__ import annotations

import numpy as np
import pytest

from adasgn_edge.data.adapter import Adapter
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.joint_names import JointNames, split_words
from adasgn_edge.data.sources import builtin_sources, load_source
from adasgn_edge.errors import LayoutError
from adasgn_edge.skeletons import builtin_layouts, load_layout

PARTS = ("base", "joint_1", "joint_2", "tip")
FINGERS = ("thumb", "index", "middle", "ring", "little")
Numbers = dict[str, int | tuple[int, ...]]


def hand(wrist: int, *fingers: tuple[int, int, int, int], palm: int | None = None) -> Numbers:
    """Thumb to little, each from base to tip; without a palm it is made of wrist and middle base."""
    numbers: Numbers = {"wrist": wrist, "palm": (wrist, fingers[2][0]) if palm is None else palm}
    for finger, joints in zip(FINGERS, fingers, strict=True):
        numbers |= {f"{finger}_{part}": joint for part, joint in zip(PARTS, joints, strict=True)}
    return numbers


def run(first: int, step: int = 1) -> tuple[int, int, int, int]:
    return first, first + step, first + 2 * step, first + 3 * step


HANDS: dict[str, Numbers] = {
    # WRIST, THUMB_CMC MCP IP TIP, INDEX_FINGER_MCP PIP DIP TIP, MIDDLE 9-12, RING 13-16, PINKY 17-20
    "mediapipe-hand-21": hand(0, run(1), run(5), run(9), run(13), run(17)),
    # wrist, thumb1-4, forefinger1-4, middle1-4, ring1-4, pinky1-4
    "openpose-hand-21": hand(0, run(1), run(5), run(9), run(13), run(17)),
    # each finger from its tip, the wrist last
    "interhand-21": hand(20, run(3, -1), run(7, -1), run(11, -1), run(15, -1), run(19, -1)),
    # wrist, index1-3, middle1-3, pinky1-3, ring1-3, thumb1-3, then the tips of thumb, index, middle, ring, pinky
    "mano-21": hand(0, (13, 14, 15, 16), (1, 2, 3, 17), (4, 5, 6, 18), (10, 11, 12, 19), (7, 8, 9, 20)),
    # the same, then the tips of index, middle, pinky, ring, thumb
    "mano-21-joint-order": hand(0, (13, 14, 15, 20), (1, 2, 3, 16), (4, 5, 6, 17), (10, 11, 12, 19), (7, 8, 9, 18)),
    # PALM, WRIST, thumb METACARPAL PROXIMAL DISTAL TIP, others METACARPAL PROXIMAL INTERMEDIATE DISTAL TIP
    "openxr-26": hand(1, run(2), run(7), run(12), run(17), run(22), palm=0),
    "mrtk2-26": hand(0, run(2), run(7), run(12), run(17), run(22), palm=1),
    "webxr-25": hand(0, run(1), run(6), run(11), run(16), run(21)),
    # wrist, thumb KNUCKLE to TIP, others METACARPAL KNUCKLE to TIP, then two of the forearm
    "visionos-27": hand(0, run(1), run(6), run(11), run(16), run(21)),
    # palm, thumb A B End, others A B C End; wrist and thumb base by rules
    "leap-20": hand(0, (0, 1, 2, 3), run(4), run(8), run(12), run(16), palm=0)
    | {"wrist": (0, 4, 8, 12, 16), "thumb_base": (0, 1, 4, 8, 12, 16)},
}

PAIRS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def limbs(left: tuple[int, ...], right: tuple[int, ...]) -> Numbers:
    """Shoulder, elbow, wrist, hip, knee, ankle of both sides."""
    both = (("left", left), ("right", right))
    return {f"{side}_{part}": joint for side, joints in both for part, joint in zip(PAIRS, joints, strict=True)}


COCO = limbs((5, 7, 9, 11, 13, 15), (6, 8, 10, 12, 14, 16))
"""nose, eyes 1 2, ears 3 4, shoulders 5 6, elbows 7 8, wrists 9 10, hips 11 12, knees 13 14, ankles 15 16"""
EIGHTEEN = limbs((5, 6, 7, 11, 12, 13), (2, 3, 4, 8, 9, 10))
"""NOSE, NECK, the right arm 2-4, the left one 5-7, the right leg 8-10, the left one 11-13."""
AZURE = limbs((5, 6, 7, 18, 19, 20), (12, 13, 14, 22, 23, 24)) | {
    "head": 26, "left_hand": 8, "right_hand": 15, "left_foot": 21, "right_foot": 25,
}  # fmt: skip
"""PELVIS, NAVEL, CHEST, NECK, left CLAVICLE 4 to THUMB 10, right 11-17, left HIP 18 to FOOT 21, right to 25, HEAD 26"""
KINECT = limbs((4, 5, 6, 12, 13, 14), (8, 9, 10, 16, 17, 18)) | {
    "head": 3, "left_hand": 7, "right_hand": 11, "left_foot": 15, "right_foot": 19,
}  # fmt: skip
"""Of v1 and v2: trunk 0-2, HEAD 3, the left arm 4-7, the right one 8-11, the left leg 12-15, the right one 16-19."""

BODIES: dict[str, Numbers] = {
    "coco-17": COCO | {"head": (3, 4), "left_foot": 15, "right_foot": 16},
    # then the crown 17, neck 18, hip 19, big toes 20 21, small toes 22 23, heels 24 25
    "halpe-26": COCO | {"head": (3, 4), "left_foot": (20, 22), "right_foot": (21, 23)},
    # Nose, Neck, right arm 2-4, left arm 5-7, MidHip 8, right leg 9-11, left leg 12-14, REye LEye REar 17 LEar 18,
    # LBigToe 19 LSmallToe LHeel, RBigToe 22 RSmallToe RHeel
    "openpose-25": limbs((5, 6, 7, 12, 13, 14), (2, 3, 4, 9, 10, 11))
    | {"head": (17, 18), "left_foot": (19, 20), "right_foot": (22, 23)},
    "zed-18": EIGHTEEN | {"head": (16, 17), "left_foot": 13, "right_foot": 10},
    "hri-18": EIGHTEEN | {"head": (16, 17), "left_foot": 13, "right_foot": 10},
    # ears 7 8, shoulders 11 12, elbows 13 14, wrists 15 16, hips 23 24, knees 25 26, ankles 27 28, FOOT_INDEX 31 32
    "mediapipe-pose-33": limbs((11, 13, 15, 23, 25, 27), (12, 14, 16, 24, 26, 28))
    | {"head": (7, 8), "left_foot": 31, "right_foot": 32},
    "azure-kinect-32": AZURE,
    "zed-34": AZURE,
    # ears 8 9, shoulders 12 13, elbows 14 15, wrists 16 17, hips 18 19, knees 20 21, ankles 22 23, big toes 24 25,
    # small toes 26 27, heels 28 29, HAND_THUMB_4 30 31, HAND_INDEX_1 32 33, HAND_MIDDLE_4 34 35, HAND_PINKY_1 36 37
    "zed-38": limbs((12, 14, 16, 18, 20, 22), (13, 15, 17, 19, 21, 23))
    | {"head": (8, 9), "left_foot": (24, 26), "right_foot": (25, 27), "left_hand": (16, 32, 36),
       "right_hand": (17, 33, 37)},
    "kinect20": KINECT,
    "ntu25": KINECT,
}  # fmt: skip


def test_every_source_is_here() -> None:
    assert {*HANDS, *BODIES} == set(builtin_sources())


def made_of(name: str, layout: str) -> dict[str, set[int]]:
    """The numbers of the source's joints that each joint of the layout is made of."""
    skeleton = load_layout(layout)
    matrix = load_source(name).matrix(skeleton)
    return {joint: set(np.flatnonzero(matrix[row]).tolist()) for row, joint in enumerate(skeleton.joints)}


def numbers(value: int | tuple[int, ...]) -> set[int]:
    return {value} if isinstance(value, int) else set(value)


@pytest.mark.parametrize("name", HANDS)
def test_hands(name: str) -> None:
    found = made_of(name, "shrec22")
    assert found == {joint: numbers(value) for joint, value in HANDS[name].items()}
    assert load_source(name).hand
    with pytest.raises(LayoutError, match="a hand has not the joints of a body"):
        load_source(name).matrix(load_layout("ntu25"))


@pytest.mark.parametrize("layout", ["ntu25", "kinect20"])
@pytest.mark.parametrize("name", BODIES)
def test_bodies(name: str, layout: str) -> None:
    found, said = made_of(name, layout), BODIES[name]
    for joint, value in said.items():
        assert found[joint] == numbers(value), joint
    if layout not in (name, "ntu25"):  # trunk joints lie between hips and shoulders, or beyond
        trunk = {said[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "shoulder")}
        assert found["hip_center"] == found["spine"] == trunk
    if "left_hand" not in said:  # on the line of the forearm
        for side in ("left", "right"):
            assert found[f"{side}_hand"] == {said[f"{side}_elbow"], said[f"{side}_wrist"]}
    assert not load_source(name).hand
    with pytest.raises(LayoutError, match="a body has not the joints of a hand"):
        load_source(name).matrix(load_layout("shrec22"))


def test_index_2_is_the_shoulder_centre_of_one_kinect_and_the_neck_of_the_other() -> None:
    assert made_of("ntu25", "kinect20")["shoulder_center"] == {20}
    assert made_of("kinect20", "kinect20") == {joint: {row} for row, joint in enumerate(load_layout("kinect20").joints)}


def test_hri_msgs_numbers_eyes_and_ears_left_first() -> None:
    order = {name: load_source(name).joints for name in ("hri-18", "zed-18", "openpose-25")}
    assert order["hri-18"][14:] == ("left_eye", "right_eye", "left_ear", "right_ear")
    assert order["zed-18"][14:] == ("right_eye", "left_eye", "right_ear", "left_ear")
    assert order["openpose-25"][15:19] == ("right_eye", "left_eye", "right_ear", "left_ear")
    assert order["hri-18"][:14] == order["zed-18"][:14]


@pytest.mark.parametrize("name", BODIES)
def test_a_figure_as_each_source_gives_it(name: str) -> None:
    """A stick figure that stands before the sensor, in the source's axes and units, comes back upright and in place."""
    source = load_source(name)
    places = {"hip": (0.1, 0.0), "knee": (0.1, -0.45), "ankle": (0.1, -0.85), "shoulder": (0.2, 0.5),
              "elbow": (0.3, 0.25), "wrist": (0.35, 0.0), "ear": (0.08, 0.75)}  # fmt: skip
    figure = np.zeros((len(source.joints), 3))
    for number, joint in enumerate(source.joints):
        side, _, part = joint.partition("_")
        across, height = places.get(part, (0.0, 0.7 if joint == "head" else 0.2))
        figure[number] = (across if side == "right" else -across, height, 3.0)
    axes, units = ("left down back", "m") if source.dimensions == 2 else (source.axes, source.units)
    said = {"joints": name, "axes": axes, "units": units, "mirrored": False, "gravity": "level", "side": "body"}
    description = StreamDescription.from_dict(said)
    given = figure * [-1, -1, 1] if description.axes[0] == "left" else figure
    for target in builtin_layouts():
        layout = load_layout(target)
        if not source.fits(layout):
            continue
        found = Adapter(description, layout).convert(given / description.units)
        for joint in ("left_wrist", "right_wrist", "left_knee", "right_shoulder"):
            expected = figure[source.joints.index(joint)]
            np.testing.assert_allclose(found[layout.index(joint)], expected, atol=1e-5)
        if "head" in layout.joints:
            assert found[layout.index("head"), 1] > found[layout.index("left_shoulder"), 1]


@pytest.mark.parametrize("name", [*HANDS, *BODIES])
def test_columns_are_found_by_the_sources_names(name: str) -> None:
    """Whoever writes x, y and z after a source's names is understood, and told whose they are when nobody said it."""
    source = load_source(name)
    for layout in filter(source.fits, map(load_layout, builtin_layouts())):
        names = JointNames.of(layout, source)
        for number, joint in enumerate(source.joints):
            for axis in range(3):
                assert names.joint_and_axis(split_words(f"{joint}_{'xyz'[axis]}")) == (number, axis)
        if source.joints != layout.joints:
            header = [f"{joint}_{axis}" for joint in source.joints for axis in "xyz"]
            told = JointNames.of(layout, None).other_owner_of_names(header)
            alike = [other for other in builtin_sources() if set(load_source(other).joints) == set(source.joints)]
            assert any(told.startswith(f"{other}: read it with --source {other} ") for other in alike), told
