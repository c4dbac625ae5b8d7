"""What a recording looks like, beside what a layout expects: axes, side, units, origin, gaps, time; and what to write.

Every finding is a doubt, with the number that shows it: positions are never changed here. Thresholds were measured on
the training recordings of SHREC'17 (hands) and NW-UCLA (bodies), as sensors gave them; see each constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.axes import DIRECTIONS, NAMED_AXES, Axes, axes_text, to_model
from adasgn_edge.data.cleaning import clean_recording, seen_bodies
from adasgn_edge.data.persons import FEW_FRAMES, Body
from adasgn_edge.data.plausibility import MIRRORED, UNITS, body_centred, body_centring, sides
from adasgn_edge.data.sources import is_hand
from adasgn_edge.skeletons import Conventions, SkeletonLayout, stated_conventions

__all__ = ["JOINT_ORDER", "Finding", "bone_lengths", "doubts_of_bodies", "doubts_of_stamps"]

HAND_BONE = (0.04, 0.2)
"""Metres from the wrist to the middle finger's base: 0.051 to 0.173 in SHREC'17."""
USUAL_BONE, USUAL_EXTENT = 0.1, 1.5
"""Metres: what a hand's scale bone and a body's longest axis are about."""
UNIT_WORDS = {"millimetres": "mm", "centimetres": "cm", "inches": "in", "feet": "ft"}
PICTURE = 3.0
"""Flat positions of a size of more than this are pixels."""
FLAT = 0.05
"""Depth over width or height, the median over the frames: at least 0.108 in SHREC'17, 0.191 in NW-UCLA."""
RELATIVE_DEPTH, DEEPEST = 0.02, 1.5
"""As `BODY_CENTRED`, of z alone: MediaPipe's image landmarks have 0 for the wrist's. Depth over width
or height beyond which z is no depth: at most 1.13 in SHREC'17."""
JOINT_ORDER = 0.9
"""Length of a bone, the mean over all of them, in radii of the body: at most 0.784 in SHREC'17 and 0.707 in NW-UCLA; of
joints in a random order at least 1.07."""
MISSING_JOINTS, MISSING_FRAMES = 0.05, 0.05
"""Shares that nobody need be told of."""
SLOWEST, FASTEST = 10.0, 250.0
"""Frames a second that sensors of skeletons have."""
LONGEST_GAP = 300_000_000
"""Nanoseconds after which the recogniser takes a track for lost, unless told otherwise."""
UNEVEN, FAR_OFF = 0.05, 0.5
"""More than that share of intervals is off the median by more than half of it."""
STAMP_UNITS = {"seconds": 1_000_000_000, "milliseconds": 1_000_000, "microseconds": 1000}
"""Nanoseconds of what people write into stamps."""


class Stance(NamedTuple):
    """How a layout's upright is held before a level sensor: usual roll and pitch, and how far off is odd; degrees."""

    roll: float
    pitch: float
    limit: float


HAND, TRUNK, LEFT = Stance(-12, -17, 55), Stance(0, -9, 28), Stance(-11, -10, 28)
STANCES = {
    ("wrist", "middle_base"): HAND,
    ("wrist", "middle_finger_mcp"): HAND,
    ("wrist", "middle_proximal"): HAND,
    ("palm", "middle_a"): HAND,
    ("hip_center", "shoulder_center"): TRUNK,
    ("spine_base", "spine_shoulder"): TRUNK,
    ("mid_hip", "neck"): TRUNK,
    ("hip", "neck"): TRUNK,
    ("pelvis", "neck"): TRUNK,
    ("left_hip", "left_shoulder"): LEFT,
}
"""By the joints that are upright. Roll is about the axis to the sensor, pitch about the one to the right. Farther off
in roll are 1.8 % of SHREC'17's recordings and 1.0 % of NW-UCLA's, in pitch 0.2 % and 0.1 %; from the left hip to the
left shoulder 1.9 and 1.3 % of NW-UCLA's training recordings. A neck stands for the middle of the shoulders."""
PALMS = (("wrist", "middle_base"), ("wrist", "middle_finger_mcp"), ("wrist", "middle_proximal"))
"""Scale bones of hands that are as long as HAND_BONE says."""


@dataclass(frozen=True)
class Finding:
    """A doubt about a recording.

    kind: what it is about, in a word or two; value: the number that shows it, and measure: words around that number;
    says: what the recording is taken for; write: options of `classify` and `stream` that set it right if that is so,
    empty where none does.
    """

    kind: str
    value: float
    measure: str
    says: str
    write: str = ""

    @property
    def shown(self) -> str:
        """The number in its words."""
        return self.measure.format(self.value)


# -- positions ------------------------------------------------------------------------------------------------------


def doubts_of_bodies(
    bodies: Sequence[Body], layout: SkeletonLayout, axes: Axes = NAMED_AXES["model"], what: str = "recording"
) -> list[Finding]:
    """What looks odd about bodies with the layout's joints, axes and units, or what is stated to be.

    axes: those that the recording had before they were set right, in which options are written. Raises ClipError for a
    recording in which nobody can be followed.
    """
    found: list[Finding | None] = list(_missing(seen_bodies(bodies, layout, what)[0], layout))
    tracks, _ = clean_recording(bodies, layout, "fill", what)
    track = max(tracks, key=len).astype(np.float64)
    unordered = _joint_order(track, layout)
    if unordered:  # then positions say nothing of axes and units
        return [finding for finding in (*found, unordered) if finding]
    conventions, centred = stated_conventions(layout), body_centred(track)
    picture = _flat(track) or (None if centred else _relative_depth(track))
    found.append(picture)
    if not picture:  # whose axes and units are those of no space
        found += [_centred(track) if centred else None, _units(track, layout, conventions)]
        found.append(_orientation(track, layout, conventions, axes, centred))
    return [finding for finding in found if finding]


def bone_lengths(track: NDArray[np.floating], layout: SkeletonLayout) -> float:
    """Mean length of a bone in radii of the body, the median over the frames (L, V, 3): small in the right order."""
    bones = np.linalg.norm(track - track[:, layout.parents], axis=-1).mean(axis=1)
    centred = track - track.mean(axis=1, keepdims=True)
    radius = np.sqrt((centred**2).sum(axis=-1).mean(axis=1))
    return float(np.median(bones / np.maximum(radius, 1e-12)))


def _missing(bodies: Sequence[Body], layout: SkeletonLayout) -> list[Finding]:
    """Joints that were not seen, frames in which somebody who is followed was not seen, bodies seen for a moment."""
    found = []
    longest = max(bodies, key=lambda body: len(body.frames))
    unseen: NDArray[np.bool_] = np.asarray(np.isnan(longest.positions).any(axis=-1))  # (L, V)
    share = float(unseen.mean())
    if share > MISSING_JOINTS:
        most = np.argsort(-unseen.mean(axis=0), kind="stable")[:3]
        named = ", ".join(f"{layout.joints[joint]} {unseen[:, joint].mean():.0%}" for joint in most)
        found.append(Finding("missing joints", share, "{:.0%} of all joints", f"not seen; most often {named}"))
    span = int(longest.frames[-1] - longest.frames[0]) + 1
    absent = 1 - len(longest.frames) / span
    if absent > MISSING_FRAMES:
        says = "the body that is seen longest is not there in them"
        found.append(Finding("missing frames", absent, "{:.0%} of the frames", says))
    strays = sum(len(body.frames) < FEW_FRAMES <= len(longest.frames) // 4 for body in bodies)
    if strays:
        says = f"bodies seen in fewer than {FEW_FRAMES} frames: reflections, or a tracker that loses who it follows"
        found.append(Finding("stray bodies", strays, f"{{:.0f}} of {len(bodies)} bodies", says))
    return found


def _joint_order(track: NDArray[np.float64], layout: SkeletonLayout) -> Finding | None:
    length = bone_lengths(track, layout)
    if not layout.bones or length <= JOINT_ORDER:
        return None
    says = f"joints in another order than layout {layout.name!r} has: its bones would reach across the whole body"
    return Finding("joint order", length, "a bone is {:.2g} of the body's radius long", says, "--source NAME")


def _depth(track: NDArray[np.float64]) -> float:
    """Depth over width or height, the median over the frames."""
    width, height, depth = np.ptp(track, axis=1).T
    return float(np.median(depth / np.maximum(np.maximum(width, height), 1e-12)))


def _flat(track: NDArray[np.float64]) -> Finding | None:
    share = _depth(track)
    if share >= FLAT:
        return None
    size = float(np.median(np.ptp(track, axis=1)[:, :2].max(axis=-1)))
    kind = "pixels of a picture" if size > PICTURE else "places in a picture or a plane"
    return Finding(
        "flat z",
        share,
        "the depth is {:.1%} of width or height",
        f"{kind}: a model of 3-D recordings does not know 2-D ones. A depth image makes positions of them "
        "(adasgn_edge.data.perspective.lift); MediaPipe's image landmarks its world landmarks",
    )


def _centred(track: NDArray[np.float64]) -> Finding:
    return Finding(
        "body-centred",
        body_centring(track),
        "the origin is {:.2g} of the body's radius away from one point of it",
        "positions relative to the body itself (MediaPipe's world landmarks alone, a removed centroid): where it moves "
        "is lost, and no option brings it back. Give positions relative to the sensor; of MediaPipe image and world "
        "landmarks with the camera's intrinsics",
    )


def _relative_depth(track: NDArray[np.float64]) -> Finding | None:
    centring = body_centring(track * [0.0, 0.0, 1.0])
    if centring >= RELATIVE_DEPTH or _depth(track) > DEEPEST:  # the longest way is no depth: z is up
        return None
    return Finding(
        "relative depth",
        centring,
        "z = 0 is {:.2g} of the body's depth away from one point of it",
        "a depth relative to the body (MediaPipe's image landmarks): give image and world landmarks with the camera's "
        "intrinsics",
    )


def _units(track: NDArray[np.float64], layout: SkeletonLayout, conventions: Conventions | None) -> Finding | None:
    """Of hands too, which a model scales: distances and speeds are in metres all the same."""
    if conventions is None or conventions.units != "m":
        return None
    if conventions.extent is not None:
        size, usual = float(np.median(np.ptp(track, axis=1).max(axis=-1))), USUAL_EXTENT
        (least, most), measure = conventions.extent, "the body's longest side is {:.3g}"
    elif layout.scale_bone in PALMS:
        start, end = (track[:, layout.index(joint)] for joint in layout.scale_bone)
        size, usual = float(np.median(np.linalg.norm(end - start, axis=-1))), USUAL_BONE
        (least, most), measure = HAND_BONE, "from the wrist to the middle finger's base it is {:.3g}"
    else:
        return None
    if least <= size <= most or size == 0:
        return None
    name = min(UNITS, key=lambda unit: abs(np.log(size * UNITS[unit] / usual)))
    if not least <= size * UNITS[name] <= most:
        says = f"no usual units: metres expected, {least:g} to {most:g} of them"
        return Finding("units", size, measure, says, f"--units {usual / size:.2g}")
    harmless = "" if conventions.extent else "; the model scales hands, distances and speeds are wrong all the same"
    return Finding("units", size, measure, f"{name}, metres expected{harmless}", f"--units {UNIT_WORDS[name]}")


# -- axes and side --------------------------------------------------------------------------------------------------


class _Pose(NamedTuple):
    """upright: mean direction (3,) of what is upright; heights: (L,) of it along y; side: of the chirality, -1 to 1;
    sides: (L,) the same in each frame; place: mean (3,) of all joints, zeros where that says nothing."""

    upright: NDArray[np.float64]
    heights: NDArray[np.float64]
    side: float
    sides: NDArray[np.float64]
    place: NDArray[np.float64]
    stance: Stance

    @property
    def roll(self) -> float:
        """Degrees from the usual one, -180 to 180."""
        return _turn(self.upright[0], self.upright[1], self.stance.roll)

    @property
    def pitch(self) -> float:
        """The same about the axis to the right; looked at from where roll is undone."""
        return _turn(self.upright[2], float(np.hypot(*self.upright[:2])), self.stance.pitch)


def _turn(sine: float, cosine: float, usual: float) -> float:
    return float((np.degrees(np.arctan2(sine, cosine)) - usual + 180) % 360 - 180)


def _orientation(
    track: NDArray[np.float64], layout: SkeletonLayout, conventions: Conventions | None, axes: Axes, centred: bool
) -> Finding | None:
    """Where x, y and z seem to point, if not where they should."""
    if conventions is None or tuple(layout.up) != (0, 1, 0) or conventions.upright not in STANCES:
        return None
    lower, upper = (track[:, layout.index(joint)] for joint in conventions.upright)
    directions = (upper - lower) / np.maximum(np.linalg.norm(upper - lower, axis=-1, keepdims=True), 1e-12)
    side_of_frames, lengths = sides(track, layout, conventions)
    pose = _Pose(
        directions.mean(axis=0),
        directions[:, 1],
        float(side_of_frames.sum() / max(lengths.sum(), 1e-12)),
        side_of_frames,
        np.zeros(3) if centred else track.mean(axis=(0, 1)),
        STANCES[conventions.upright],
    )
    limit = pose.stance.limit
    if pose.side >= MIRRORED and abs(pose.roll) <= limit and abs(pose.pitch) <= limit:
        return None
    turned = _likeliest(pose)
    written = _words_after(axes, turned)
    name, signs = axes_text(written), np.diag(turned)
    write = f'--axes "{name}"' if " " in name else f"--axes {name}"
    if not np.array_equal(np.abs(turned), np.eye(3)):
        return _tilted(pose, axes, turned, write)
    flipped = "".join(axis for axis, sign in zip("xyz", signs, strict=True) if sign < 0)
    upside = float((pose.heights < 0).mean())
    match flipped:
        case "":
            return _tilted(pose, axes, turned, "")
        case "x":
            hand = is_hand(layout)
            says = "its mirror image: " + (
                "a left hand, or a mirrored picture (--mirrored), or x the other way" if hand else "x the other way"
            )
            share = float((pose.sides < 0).mean())
            return Finding("mirrored", share, "{:.0%} of the frames", says, "--side left" if hand else write)
        case "y":
            return Finding("y down", upside, "{:.0%} of the frames", "y points down", write)
        case "z":
            share = float((track[..., 2].mean(axis=1) < 0).mean())
            return Finding("z flipped", share, "{:.0%} of the frames", "z the other way: towards the sensor", write)
        case "xy":
            says = "a picture's axes, y down, or a sensor that hangs upside down"
            return Finding("upside down", upside, "{:.0%} of the frames", says, write)
    return Finding("axes", upside, "upside down in {:.0%} of the frames", f"the axes {flipped} the other way", write)


def _tilted(pose: _Pose, axes: Axes, turned: NDArray[np.float64], write: str) -> Finding:
    """A sensor that is rolled or pitched; by a right angle, it may be axes that are other ones."""
    about = "z" if abs(pose.roll) >= abs(pose.pitch) else "x"
    if np.linalg.det(turned) > 0 and (not write or turned["xyz".index(about), "xyz".index(about)] == 1):
        angle = pose.roll if about == "z" else pose.pitch
        sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
        down = -np.array([sine, cosine, 0.0] if about == "z" else [0.0, cosine, sine])
        gravity = ",".join(f"{number:.2f}" for number in (to_model(axes) @ down).tolist())
        kind, way = ("rolled", "to its side") if about == "z" else ("pitched", "up or down")
        says = f"a sensor that is turned {way}" + (f", or axes {write.partition(' ')[2]}" if write else "")
        return Finding(kind, angle, "by about {:.0f} degrees", says, f"--gravity={gravity}")
    return Finding("axes", pose.roll, "what should be up is turned by {:.0f} degrees", "other axes than stated", write)


def _likeliest(pose: _Pose) -> NDArray[np.float64]:
    """The signed permutation (3, 3) of axes after which somebody stands upright, before the sensor, the right way
    round; the simplest of those."""
    usual = np.tan(np.radians([pose.stance.roll, 45, pose.stance.pitch]))
    usual /= np.linalg.norm(usual)
    distance = float(np.linalg.norm(pose.place))
    place = pose.place / distance if distance > 0 else pose.place
    turns, hands, changes = _signed_permutations()
    fits = 2 * (usual @ turns @ pose.upright) + (turns @ place)[:, 2] - 0.1 * changes
    handed = 1.0 if abs(pose.side) < abs(MIRRORED) else float(np.sign(pose.side))
    return turns[int(np.where(hands == handed, fits, -np.inf).argmax())]


@cache
def _signed_permutations() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(48, 3, 3) ways to name three axes anew, the one that changes nothing first; (48,) their determinants; (48,) how
    many axes each of them turns round or puts in another place."""
    turns = np.zeros((48, 3, 3))
    for number, (order, signs) in enumerate(product(permutations(range(3)), product((1.0, -1.0), repeat=3))):
        turns[number, range(3), order] = signs
    diagonal = turns[:, range(3), range(3)]
    changes = (turns.sum(axis=-1) < 0).sum(axis=-1) + (diagonal == 0).sum(axis=-1)
    return turns, np.round(np.linalg.det(turns)), changes.astype(np.float64)


def _words_after(axes: Axes, turned: NDArray[np.float64]) -> Axes:
    """Where the recording's own axes point, if what was made of them must still be turned like that."""
    names = {direction: word for word, direction in DIRECTIONS.items()}
    x, y, z = (names[int(row[0]), int(row[1]), int(row[2])] for row in to_model(axes) @ turned.T)
    return x, y, z


# -- time -----------------------------------------------------------------------------------------------------------


def doubts_of_stamps(stamps: NDArray[np.int64]) -> list[Finding]:
    """What looks odd about the stamps (L,) of frames, nanoseconds, in the order in which they came."""
    steps = np.diff(stamps)
    if not len(steps):
        return []
    found = []
    backwards = float((steps <= 0).mean())
    if backwards > 0:
        says = "stamps that repeat or go back: frames out of order, or a clock that was set; they are left out"
        found.append(Finding("stamps", backwards, "{:.0%} of the frames", says))
    steps = steps[steps > 0]
    if not len(steps):
        return found
    middle = float(np.median(steps))
    rate = 1e9 / middle
    if not SLOWEST <= rate <= FASTEST:
        units = [name for name, factor in STAMP_UNITS.items() if SLOWEST <= rate / factor <= FASTEST]
        says, write = f"a rate that sensors do not have ({SLOWEST:g} to {FASTEST:g})", ""
        if units:
            says, write = f"stamps in {units[0]}, nanoseconds expected", f"stamp_ns times {STAMP_UNITS[units[0]]}"
        found.append(Finding("frame rate", rate, "{:.3g} frames a second", says, write))
        return found
    uneven = float((np.abs(steps - middle) > FAR_OFF * middle).mean())
    if uneven > UNEVEN:
        says = "an uneven rate: frames are lost, or stamps say when they arrived and not when they were captured"
        found.append(Finding("jitter", uneven, "{:.0%} of the intervals are far from the median", says))
    gaps = int((steps > LONGEST_GAP).sum())
    if gaps:
        says = f"longer than {LONGEST_GAP / 1e9:g} s without a frame, the longest {steps.max() / 1e9:.2f} s: tracks "
        found.append(Finding("gaps", gaps, "{:.0f} of them", says + "start anew after them"))
    return found
