"""What a recording lacks and how that is made good: one rule for every reader, `classify`, `convert` and `train`.

A joint is *missing* in a frame when a coordinate is NaN or all three are zero, which is how sensors and estimators mark
what they did not see. (An origin or root joint that alone is zero in every frame is what the coordinates are relative
to.) Then

- a frame of a person without any joint is *absent*: left out, in time nothing is made up;
- a person without any frame is absent; a recording with nobody is an error;
- persons are made of bodies (:mod:`adasgn_edge.data.persons`), and each one's first frames are checked, so that a bad
  one does not ruin all (:mod:`adasgn_edge.data.first_frames`);
- a missing joint is *filled*: it stands where the bone from its neighbour leads. The bone is interpolated linearly
  between the frames in which both ends were seen, and held before the first and after the last of them; the joint that
  was seen most often, from which the bones are followed, is interpolated itself. A joint that was never seen lies on
  its neighbour. More missing than seen is an error.

Everything is counted. With `missing="error"` a missing joint is an error in place of being filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.first_frames import steady_start, supports
from adasgn_edge.data.persons import Body, by_motion, join_bodies, without_strays
from adasgn_edge.errors import ClipError
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import listed, shown

__all__ = ["MISSING_CHOICES", "Cleaning", "clean_persons", "clean_recording", "fill_track", "seen_bodies"]

MISSING_CHOICES = ("fill", "error")

LARGEST_COORDINATE = 1e15
"""Whatever the unit: far beyond what is measured, and its square is within float32."""

CENTRE_REACH = 4.0
"""Coordinates may be relative to a joint that has the others around it, in radii of the body."""


@dataclass(frozen=True)
class Cleaning:
    """What was made good in one recording or in many; adding two adds their counts.

    filled_joints: joints of single frames that were not seen and filled; jumps: first frames left out, and joints of
    first frames filled, because they jumped; absent_frames: frames of a person without any joint, left out;
    absent_persons: bodies without any joint in any frame; joined: bodies that were somebody lost and found; strays:
    bodies seen too shortly to be a person.
    """

    filled_joints: int = 0
    jumps: int = 0
    absent_frames: int = 0
    absent_persons: int = 0
    joined: int = 0
    strays: int = 0

    def __add__(self, other: Cleaning) -> Cleaning:
        return Cleaning(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        """What was made good, for people; nothing when there was nothing."""
        texts = (
            (self.filled_joints, "missing joint filled", "missing joints filled"),
            (self.jumps, "jump in the first frames mended", "jumps in the first frames mended"),
            (self.absent_frames, "frame without anybody left out", "frames without anybody left out"),
            (self.absent_persons, "absent person left out", "absent persons left out"),
            (self.joined, "lost body joined to who it is", "lost bodies joined to who they are"),
            (self.strays, "stray detection left out", "stray detections left out"),
        )
        return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in texts if count)


def clean_recording(
    bodies: Sequence[Body], layout: SkeletonLayout, missing: str = "fill", what: str = "recording"
) -> tuple[list[NDArray[np.float32]], Cleaning]:
    """The persons of a recording as tracks (L, V, 3), the most mobile first, and what was made good.

    missing: what happens to missing joints, "fill" or "error". Raises ClipError that names `what`: a wrong shape,
    infinite coordinates, nobody in it, more missing than seen.
    """
    seen, cleaning = seen_bodies(bodies, layout, what)
    joined = join_bodies(seen)
    persons = without_strays(joined)
    cleaning += Cleaning(joined=len(seen) - len(joined), strays=len(joined) - len(persons))
    tracks, filled = clean_persons(by_motion(persons), layout, missing, what)
    return tracks, cleaning + filled


def seen_bodies(bodies: Sequence[Body], layout: SkeletonLayout, what: str = "recording") -> tuple[list[Body], Cleaning]:
    """Bodies in the frames in which they were seen, what is missing as NaN; raises ClipError when there is nobody."""
    seen, absent_frames = [], 0
    for number, body in enumerate(bodies, 1):
        positions = _with_nan(body.positions, layout, _whose(what, number, len(bodies)))
        there = np.isfinite(positions).any(axis=(1, 2))
        if there.any():
            absent_frames += int((~there).sum())
            seen.append(
                body if positions is body.positions and there.all() else Body(body.frames[there], positions[there])
            )
    if not seen:
        found = "only missing joints (zeros or NaN)" if bodies else "nobody"
        raise ClipError(f"{what}: expected somebody in at least one frame, found {found}")
    return seen, Cleaning(absent_frames=absent_frames, absent_persons=len(bodies) - len(seen))


def clean_persons(
    persons: Sequence[Body], layout: SkeletonLayout, missing: str = "fill", what: str = "recording"
) -> tuple[list[NDArray[np.float32]], Cleaning]:
    """Tracks (L, V, 3) of persons, missing joints being NaN, in the order given, and what was made good."""
    if missing not in MISSING_CHOICES:
        raise ClipError(f"missing: expected one of {', '.join(MISSING_CHOICES)}, found {missing!r}")
    tracks, cleaning = [], Cleaning()
    for number, person in enumerate(persons, 1):
        whose = _whose(what, number, len(persons))
        if missing == "error":
            _refuse_missing(person, layout, whose)
        steady, jumps = steady_start(person.positions, layout)
        track, filled = fill_track(steady, layout, whose)
        tracks.append(track)
        left_out = len(person.positions) - len(steady)
        cleaning += Cleaning(filled_joints=filled - (jumps - left_out), jumps=jumps)
    return tracks, cleaning


def fill_track(
    positions: NDArray[np.float32], layout: SkeletonLayout, what: str = "recording"
) -> tuple[NDArray[np.float32], int]:
    """A track (L, V, 3) with its missing joints, which are NaN, filled by the module's rule, and how many there were.

    Raises ClipError when more is missing than was seen.
    """
    missing: NDArray[np.bool_] = np.asarray(np.isnan(positions).any(axis=-1))  # (L, V)
    count = int(missing.sum())
    if count == 0:
        return np.ascontiguousarray(positions, dtype=np.float32), 0
    never = [layout.joints[joint] for joint in np.flatnonzero(missing.all(axis=0))]
    if 2 * count > missing.size:
        some = f"; never seen: {listed(never, 5)}" if never else ""
        raise ClipError(f"{what}: expected most joints to be seen, found {count / missing.size:.0%} missing{some}")
    for end in layout.scale_bone or ():
        if end in never:
            raise ClipError(
                f"{what}: expected joint {end!r}, by which the size is measured, to be seen, found it never"
            )
    filled = positions.astype(np.float64)
    frames = np.arange(len(filled))
    for joint, neighbour in _outwards(layout, int(missing.sum(axis=0).argmin())):
        lacks = missing[:, joint]
        if not lacks.any():
            continue
        start = filled[:, neighbour] if neighbour != joint else np.zeros_like(filled[:, joint])
        known = ~lacks
        if neighbour != joint and (known & ~missing[:, neighbour]).any():
            known &= ~missing[:, neighbour]
        bone = filled[known, joint] - start[known]
        for axis in range(3):
            along = np.interp(frames[lacks], frames[known], bone[:, axis]) if known.any() else 0.0
            filled[lacks, joint, axis] = start[lacks, axis] + along
    return filled.astype(np.float32), count


def _with_nan(positions: NDArray[np.float32], layout: SkeletonLayout, what: str) -> NDArray[np.float32]:
    """A body's positions with NaN for every coordinate of a missing joint."""
    if positions.ndim != 3 or positions.shape[1:] != (layout.joint_count, 3):
        expected = f"(frames, {layout.joint_count}, 3) for layout {layout.name!r}"
        raise ClipError(f"{what}: expected shape {expected}, found {positions.shape}")
    far = np.abs(positions) > LARGEST_COORDINATE  # infinity too, NaN not
    if far.any():
        frame, joint, axis = np.argwhere(far)[0]
        found = float(positions[frame, joint, axis])
        raise ClipError(
            f"{what}: expected coordinates up to {LARGEST_COORDINATE:g}, found "
            f"{'infinity' if np.isinf(found) else f'{found:g}'} in frame {frame}, joint {shown(layout.joints[joint])}"
        )
    zero = (positions == 0).all(axis=-1)  # (L, V)
    unknown = np.isnan(positions).any(axis=-1)
    if not (zero.any() or unknown.any()):
        return positions
    present = ~(zero | unknown).all(axis=1)
    always = np.flatnonzero(zero[present].all(axis=0)) if present.any() else np.empty(0, dtype=np.int64)
    if len(always) == 1 and int(always[0]) in _centres(layout):
        others = np.where((zero | unknown)[..., None], np.nan, positions)[present]
        radius = Body(np.flatnonzero(present), others).radius
        if np.linalg.norm(np.nanmedian(others, axis=(0, 1))) < CENTRE_REACH * radius:
            zero[present, always[0]] = False  # the origin of the coordinates
    return np.where((zero | unknown)[..., None], np.float32(np.nan), positions)


def _centres(layout: SkeletonLayout) -> set[int]:
    """Joints that coordinates may be relative to: the origin, the ends of the scale bone, the root of the bones."""
    roots = np.flatnonzero(layout.parents == np.arange(layout.joint_count)) if layout.bones else np.empty(0)
    return {*supports(layout), *map(int, roots)}


def _refuse_missing(person: Body, layout: SkeletonLayout, what: str) -> None:
    missing = ~np.isfinite(person.positions).all(axis=-1)
    if missing.any():
        frame, joint = np.argwhere(missing)[0]
        raise ClipError(
            f"{what}: expected every joint in every frame, found {int(missing.sum())} missing (NaN or zero), the first "
            f"{layout.joints[joint]!r} in frame {person.frames[frame]}; missing='fill' (--missing fill) fills them"
        )


def _outwards(layout: SkeletonLayout, start: int) -> list[tuple[int, int]]:
    """Every joint with the neighbour that its bone leads from, nearest to `start` first; without bones, itself."""
    neighbours: dict[int, list[int]] = {joint: [] for joint in range(layout.joint_count)}
    for joint, parent in enumerate(layout.parents.tolist()):
        if joint != parent:
            neighbours[joint].append(parent)
            neighbours[parent].append(joint)
    order = [(start, start)]
    for joint, _ in order:
        reached = {reached for reached, _ in order}
        order += [(other, joint) for other in neighbours[joint] if other not in reached]
    reached = {reached for reached, _ in order}
    return order + [(joint, joint) for joint in range(layout.joint_count) if joint not in reached]


def _whose(what: str, number: int, persons: int) -> str:
    return what if persons == 1 else f"{what}, person {number}"
