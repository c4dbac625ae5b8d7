"""What `doctor --source` says: of one wrong recording of each kind, of the right one, and of real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.persons import Body, whole_body
from adasgn_edge.data.source_file import examine
from adasgn_edge.data.source_report import doubts_of_bodies, doubts_of_stamps
from adasgn_edge.data.sources import is_hand, load_source
from adasgn_edge.errors import ClipError
from adasgn_edge.hands import GESTURES, animate, perform
from adasgn_edge.skeletons import SkeletonLayout, load_layout

HAND, KINECT, NTU = load_layout("shrec22"), load_layout("kinect20"), load_layout("ntu25")

STANDING = {
    "hip_center": (0, 0.95, 0), "spine": (0, 1.05, 0.02), "shoulder_center": (0, 1.4, 0.02), "head": (0, 1.6, 0),
    "shoulder": (0.18, 1.38, 0.01), "elbow": (0.25, 1.12, 0.03), "wrist": (0.28, 0.88, -0.05),
    "hand": (0.28, 0.8, -0.08),
    "hip": (0.09, 0.92, 0), "knee": (0.1, 0.5, -0.02), "ankle": (0.1, 0.1, 0.02), "foot": (0.12, 0.05, -0.12),
    "spine_base": (0, 0.95, 0), "spine_mid": (0, 1.15, 0.02), "neck": (0, 1.48, 0.01),
    "spine_shoulder": (0, 1.38, 0.02),
    "hand_tip": (0.28, 0.73, -0.1), "thumb": (0.25, 0.8, -0.12), "index": (0.27, 0.75, -0.1),
    "pinky": (0.29, 0.76, -0.05), "clavicle": (0.05, 1.4, 0.01), "pelvis": (0, 0.95, 0), "mid_hip": (0, 0.93, 0),
    "spine_navel": (0, 1.1, 0.02), "spine_chest": (0, 1.25, 0.02),
    "nose": (0, 1.6, -0.12), "eye": (0.03, 1.64, -0.1), "eye_inner": (0.02, 1.64, -0.1),
    "eye_outer": (0.05, 1.64, -0.09),
    "ear": (0.08, 1.6, 0), "mouth_left": (-0.03, 1.55, -0.1), "mouth_right": (0.03, 1.55, -0.1),
    "heel": (0.1, 0.04, 0.06), "foot_index": (0.12, 0.03, -0.14), "big_toe": (0.1, 0.03, -0.14),
    "small_toe": (0.15, 0.03, -0.12),
}  # fmt: skip
"""Somebody who faces the sensor; x of the right side, y from the floor, z from the body to the back."""


def standing(layout: SkeletonLayout, frames: int = 60) -> np.ndarray:
    """Somebody who steps to one side and raises the right arm, (L, V, 3), 2.5 m before the sensor."""
    pose = np.zeros((layout.joint_count, 3))
    for place, joint in enumerate(layout.joints):
        side, _, part = joint.partition("_")
        named = "pelvis" if joint == "hip" else joint
        pose[place] = STANDING[part if side in ("left", "right") else named]
        pose[place, 0] *= -1 if side == "left" else 1
    time = np.linspace(0, 1, frames)[:, None]
    track = np.repeat(pose[None], frames, axis=0)
    track[:, :, 0] += 0.5 * time
    for joint in ("right_wrist", "right_hand", "right_hand_tip", "right_thumb"):
        if joint in layout.joints:
            track[:, layout.index(joint), 1] += 0.6 * time[:, 0]
    return (track + np.array([0, -1.0, 2.5])).astype(np.float32)


def rotated(track: np.ndarray, about: int, degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn, first, second = np.eye(3), (about + 1) % 3, (about + 2) % 3
    turn[first, first] = turn[second, second] = cosine
    turn[first, second], turn[second, first] = -sine, sine
    return track @ turn.T


def in_picture(track: np.ndarray) -> np.ndarray:
    """Pixels of a pinhole camera, z = 0."""
    x, y, z = np.moveaxis(track, -1, 0)
    return np.stack([320 - 500 * x / z, 240 - 500 * y / z, 0 * z], axis=-1)


def image_landmarks(track: np.ndarray) -> np.ndarray:
    """Shares of a picture's width and height; z relative to the first joint."""
    x, y, z = np.moveaxis(track, -1, 0)
    return np.stack([0.5 - x / z, 0.5 - y / z, (z - z[:, :1]) / z.mean()], axis=-1)


WRONG = {
    "units, millimetres": (lambda track: 1000 * track, "units", "--units mm"),
    "units, centimetres": (lambda track: 100 * track, "units", "--units cm"),
    "units, inches": (lambda track: track / 0.0254, "units", "--units in"),
    "y down": (lambda track: track * [1, -1, 1], "y down", '--axes "right down back"'),
    "a picture's axes": (lambda track: track * [-1, -1, 1], "upside down", "--axes optical"),
    "z flipped": (lambda track: track * [1, 1, -1], "z flipped", '--axes "right up forward"'),
    "z up": (lambda track: track[..., [2, 0, 1]], "axes", "--axes ros"),
    "body-centred": (lambda track: track - track.mean(axis=1, keepdims=True), "body-centred", ""),
    "an origin joint": (lambda track: track - track[:, :1], "body-centred", ""),
    "flat": (lambda track: track * [1, 1, 0], "flat z", ""),
    "pixels": (in_picture, "flat z", ""),
    "image landmarks": (image_landmarks, "relative depth", ""),
}


def mirror_write(layout: SkeletonLayout) -> str:
    return "--side left" if layout is HAND else '--axes "left up back"'


def found(track: np.ndarray, layout: SkeletonLayout, **options) -> list:
    return doubts_of_bodies([whole_body(track.astype(np.float32))], layout, **options)


@pytest.mark.parametrize("gesture", GESTURES)
def test_nothing_is_odd_about_hands_as_they_are_recorded(gesture):
    assert found(animate(gesture, seed=1), HAND) == []


@pytest.mark.parametrize("layout", [KINECT, NTU], ids=["kinect20", "ntu25"])
def test_nothing_is_odd_about_bodies_as_they_are_recorded(layout):
    assert found(standing(layout), layout) == []


OF_SOURCES = ("mediapipe21", "openxr26", "leap20", "coco17", "pose33", "openpose25", "halpe26", "zed34")


def recorded(layout: SkeletonLayout) -> np.ndarray:
    """The package's hand, or somebody who stands there, with the joints of one of OF_SOURCES."""
    if not is_hand(layout):
        return standing(layout)
    (mapping,) = load_source(SOURCES[layout.name]).mappings.values()
    given = {next(iter(made)): name for name, made in mapping.items() if len(made) == 1}
    hand = animate("Swipe Left", seed=1)
    wrist = HAND.index("wrist")  # which stands for a metacarpal
    return hand[:, [HAND.index(given[joint]) if joint in given else wrist for joint in layout.joints]]


SOURCES = {"mediapipe21": "mediapipe-hand-21", "openxr26": "openxr-26", "leap20": "leap-20"}


@pytest.mark.parametrize("name", OF_SOURCES)
def test_layouts_of_sources_are_judged_as_others(name):
    layout = load_layout(name)
    track = recorded(layout)
    assert found(track, layout) == []
    for kind in ("y down", "a picture's axes", "z flipped"):
        change, expected, write = WRONG[kind]
        (finding,) = found(change(track), layout)
        assert (finding.kind, finding.write) == (expected, write)
    (finding,) = found(track * [-1, 1, 1], layout)
    assert (finding.kind, finding.write) == ("mirrored", "--side left" if is_hand(layout) else '--axes "left up back"')
    (finding,) = found(rotated(track, 2, 90), layout)
    assert finding.kind == "rolled"
    if name in ("mediapipe21", "openxr26"):  # of others no length is known
        (finding,) = found(1000 * track, layout)
        assert (finding.kind, finding.write) == ("units", "--units mm")


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("layout", [HAND, KINECT, NTU], ids=["shrec22", "kinect20", "ntu25"])
def test_each_wrong_kind_is_named_with_what_to_write(layout, name):
    change, kind, write = WRONG[name]
    track = animate("Swipe Left", seed=1) if layout is HAND else standing(layout)
    (finding,) = found(change(track), layout)
    assert (finding.kind, finding.write) == (kind, write)
    assert finding.says
    assert f"{finding.value:.0f}"[:2] in finding.shown or "%" in finding.shown or "." in finding.shown


@pytest.mark.parametrize("layout", [HAND, KINECT, NTU], ids=["shrec22", "kinect20", "ntu25"])
def test_mirrored(layout):
    track = animate("Swipe Left", seed=1) if layout is HAND else standing(layout)
    (finding,) = found(track * [-1, 1, 1], layout)
    assert (finding.kind, finding.write) == ("mirrored", mirror_write(layout))
    assert finding.value > 0.9


@pytest.mark.parametrize(("layout", "degrees"), [(HAND, 90), (HAND, -90), (NTU, 90), (NTU, 45), (KINECT, -45)])
def test_a_rolled_camera_is_named_with_the_way_things_fall(layout, degrees):
    track = animate("Swipe Left", seed=1) if layout is HAND else standing(layout)
    (finding,) = found(rotated(track, 2, degrees), layout)
    assert finding.kind == "rolled"
    assert abs(finding.value + degrees) < 25  # the sensor was turned the other way; a hand leans by itself
    gravity = np.array([float(part) for part in finding.write.partition("=")[2].split(",")])
    down = rotated(np.array([0.0, -1.0, 0.0]), 2, degrees)
    assert gravity @ down > 0.9


def test_a_pitched_camera():
    (finding,) = found(rotated(standing(NTU), 0, 50), NTU)
    assert finding.kind == "pitched"
    gravity = np.array([float(part) for part in finding.write.partition("=")[2].split(",")])
    assert gravity @ rotated(np.array([0.0, -1.0, 0.0]), 0, 50) > 0.95


def test_options_are_in_the_axes_that_were_stated():
    """A recording in a picture's axes that was stated to be in ROS's: positions came out turned."""
    from adasgn_edge.data.axes import NAMED_AXES, to_model

    optical = standing(NTU) @ to_model(NAMED_AXES["optical"]).T
    (finding,) = found(optical @ to_model(NAMED_AXES["ros"]), NTU, axes=NAMED_AXES["ros"])
    assert finding.write == "--axes optical"


def test_joints_in_another_order():
    order = np.random.default_rng(0).permutation(25)
    (finding,) = found(standing(NTU)[:, order], NTU)
    assert finding.kind == "joint order"


def test_missing_joints_frames_and_strays():
    track = animate("Shake", seed=2)
    holes = track.copy()
    holes[::2, HAND.index("little_tip")] = np.nan
    holes[::3, HAND.index("ring_tip")] = np.nan
    holes[:, HAND.index("thumb_tip")] = 0
    (finding,) = doubts_of_bodies([whole_body(holes)], HAND)
    assert finding.kind == "missing joints"
    assert finding.value == pytest.approx((1 / 2 + 1 / 3 + 1) / 22, abs=0.005)
    assert "thumb_tip 100%" in finding.says
    assert "little_tip 50%" in finding.says
    there = np.flatnonzero(np.arange(len(track)) % 4 < 3)
    (finding,) = doubts_of_bodies([Body(there, track[there])], HAND)
    assert (finding.kind, round(finding.value, 1)) == ("missing frames", 0.2)
    stray = Body(np.arange(3), track[:3] + np.float32(2))
    (finding,) = doubts_of_bodies([whole_body(np.concatenate([track, track])), stray], HAND)
    assert (finding.kind, finding.value) == ("stray bodies", 1)


def test_stamps():
    even = np.round(np.arange(100) * 1e9 / 30).astype(np.int64)
    assert doubts_of_stamps(even) == []
    assert doubts_of_stamps(even[:1]) == []
    for factor, name in ((1e9, "seconds"), (1e6, "milliseconds"), (1e3, "microseconds")):
        stamps = (np.arange(400) * 1e9 / 30 / factor).astype(np.int64)
        kinds = {finding.kind: finding for finding in doubts_of_stamps(stamps)}
        if name != "seconds":  # whole seconds repeat
            assert f"stamps in {name}," in kinds["frame rate"].says
    (finding,) = doubts_of_stamps(even * 10)
    assert (finding.kind, round(finding.value)) == ("frame rate", 3)
    late = even.copy()
    late[50:] += 10**9
    (finding,) = doubts_of_stamps(late)
    assert (finding.kind, finding.value) == ("gaps", 1)
    again = np.sort(np.concatenate([even, even[10:20]]))
    (finding,) = doubts_of_stamps(again)
    assert (finding.kind, round(finding.value, 2)) == ("stamps", 0.09)
    uneven = even[np.random.default_rng(0).random(100) < 0.8]
    (finding,) = doubts_of_stamps(uneven)
    assert finding.kind == "jitter"


# -- files ----------------------------------------------------------------------------------------------------------


def mediapipe(track: np.ndarray) -> np.ndarray:
    """A hand in MediaPipe's joints and axes, (L, 21, 3)."""
    source = load_source("mediapipe-hand-21")
    copies = {next(iter(rule)): joint for joint, rule in source.mappings["shrec22"].items() if len(rule) == 1}
    return track[:, [HAND.index(copies[joint]) for joint in source.joints]] * np.float32([-1, -1, 1])


def write_stream(path: Path, track: np.ndarray, header: dict | None = None, rate: float = 30.0) -> Path:
    lines = [] if header is None else [json.dumps({"source": header})]
    for number, joints in enumerate(track):
        lines.append(json.dumps({"stamp_ns": round(number * 1e9 / rate), "tracks": {"7": joints.tolist()}}))
    path.write_text("\n".join(lines) + "\n")
    return path


HEADER = {
    "joints": "mediapipe-hand-21", "axes": "optical", "units": "m", "mirrored": False, "gravity": "level",
    "side": "right",
}  # fmt: skip


def test_a_source_is_known_by_its_joints(tmp_path):
    hand = mediapipe(perform([("Tap", False), ("Swipe Left", False)], seed=1).positions)
    report = examine(write_stream(tmp_path / "hand.jsonl", hand), "shrec22")
    assert report.joints == "mediapipe-hand-21"  # and not MANO's, whose bones would be longer
    assert "mano-21" in report.candidates
    assert [finding.kind for finding in report.findings] == ["other joints", "upside down"]
    assert report.findings[1].write == "--axes optical"
    assert "--source mediapipe-hand-21" in report.findings[0].write
    assert round(report.rate or 0, 1) == 30.0
    np.savez(tmp_path / "hand.npz", positions=hand)
    again = examine(tmp_path / "hand.npz", "shrec22")
    assert (again.findings, again.rate) == (report.findings, None)
    assert examine(tmp_path / "hand.npz", "shrec22", {"joints": "mediapipe-hand-21", "axes": "optical"}).findings == ()


def test_a_stream_that_says_what_it_is(tmp_path):
    hand = mediapipe(perform([("Tap", False), ("Swipe Left", False)], seed=1).positions)
    assert examine(write_stream(tmp_path / "right.jsonl", hand, HEADER), "shrec22").findings == ()
    (finding,) = examine(write_stream(tmp_path / "mm.jsonl", 1000 * hand, HEADER), "shrec22").findings
    assert (finding.kind, finding.write) == ("units", "--units mm")
    (finding,) = examine(write_stream(tmp_path / "ros.jsonl", hand, {**HEADER, "axes": "ros"}), "shrec22").findings
    assert finding.kind == "axes"
    left = hand * np.float32([-1, 1, 1])
    (finding,) = examine(write_stream(tmp_path / "left.jsonl", left, HEADER), "shrec22").findings
    assert finding.kind == "mirrored"
    assert examine(write_stream(tmp_path / "said.jsonl", left, {**HEADER, "side": "left"}), "shrec22").findings == ()
    world = hand - hand[:, [5, 13]].mean(axis=1, keepdims=True)
    (finding,) = examine(write_stream(tmp_path / "world.jsonl", world, HEADER), "shrec22").findings
    assert finding.kind == "body-centred"


def test_lines_that_are_no_frames_are_counted(tmp_path):
    path = write_stream(tmp_path / "hand.jsonl", animate("Shake", seed=1))
    with path.open("a") as file:
        file.write('{"stamp_ns": "soon"}\n{"stamp_ns": 99999999999, "joints": [[1, 2, 3]]}\n')
    report = examine(path, "shrec22")
    assert report.malformed == 2
    assert "malformed lines" in [finding.kind for finding in report.findings]


def test_the_layout_that_fits_is_found(tmp_path):
    for layout, track in ((HAND, animate("Tap", seed=1)), (NTU, standing(NTU)), (KINECT, standing(KINECT))):
        np.savez(tmp_path / "clip.npz", positions=track)
        report = examine(tmp_path / "clip.npz")
        assert (report.layout, report.joints, report.findings) == (layout.name, "model", ())
    np.savez(tmp_path / "clip.npz", positions=mediapipe(animate("Tap", seed=1)))
    report = examine(tmp_path / "clip.npz")
    assert (report.layout, report.joints) == ("shrec22", "mediapipe-hand-21")


def test_what_no_source_explains_is_an_error(tmp_path):
    np.savez(tmp_path / "odd.npz", positions=np.random.default_rng(0).normal(size=(30, 19, 3)))
    with pytest.raises(ClipError, match="19"):
        examine(tmp_path / "odd.npz", "shrec22")


# -- real recordings ------------------------------------------------------------------------------------------------

REAL = {
    **{name: entry[:2] for name, entry in WRONG.items()},
    "mirrored": (lambda track: track * [-1, 1, 1], "mirrored"),
    "rolled to the left": (lambda track: rotated(track, 2, 90), "rolled"),
    "rolled to the right": (lambda track: rotated(track, 2, -90), "rolled"),
}


@pytest.mark.parametrize("name", ["shrec14", "nw-ucla"])
def test_real_recordings_are_silent_and_wrong_ones_are_not(data_root, name):
    from adasgn_edge.data.registry import open_dataset

    dataset = open_dataset(name, data_root)
    training = np.flatnonzero(dataset.split == "train")
    chosen = training[np.linspace(0, len(training) - 1, 300).astype(int)]
    tracks = [dataset.tracks(int(sample))[0] for sample in chosen]
    silent = sum(not found(track, dataset.layout) for track in tracks)
    assert silent >= 0.95 * len(tracks)
    for title, (change, kind) in REAL.items():
        named = [kind in {finding.kind for finding in found(change(track), dataset.layout)} for track in tracks[::3]]
        assert np.mean(named) >= 0.9, title
