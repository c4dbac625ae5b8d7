"""The first frames of a track, on which all normalisation rests: one bad frame must not decide it.

Of the first three steps from frame to frame one is a *jump* when it is out of proportion to those after it. From a
frame from which the whole body jumps the track does not start; a joint that normalisation rests on and that jumps
alone, its bones changing their length, was not seen where it seems to be.

Hands and bodies do move quickly, so the limits are such that among the 2800 recordings of SHREC'17 no joint jumps and
no body does, while the wrist put 10 cm off in the first frame is found in most of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.persons import Body
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["steady_start", "supports"]

FIRST_STEPS = 3
"""How many leading steps are looked at."""
LEAST_NEXT, NEXT_STEPS = 4, 5
"""At least and at most so many steps after one say how much movement is usual."""
BODY_JUMP = (1.5, 2.0)
JOINT_JUMP = (0.5, 1.5)
"""A jump is longer than the first, in radii of the body, plus the second times the longest step after it."""
BONE_CHANGE = 0.8
"""The bones of a joint that jumps alone become that much longer or shorter, as a share of what they are after it."""


def steady_start(positions: NDArray[np.float32], layout: SkeletonLayout) -> tuple[NDArray[np.float32], int]:
    """A track (L, V, 3) without leading frames from which the body jumps, joints that jump there NaN.

    Also how many frames and joints these are. Missing joints are NaN; steps to or from them do not count.
    """
    some = positions[: FIRST_STEPS + NEXT_STEPS + 1].astype(np.float64)
    radius = Body(np.arange(len(some)), positions[: len(some)]).radius
    if not radius > 0:
        return positions, 0
    moves = np.diff(some, axis=0) / radius  # (L - 1, V, 3), NaN where a joint was not seen before and after
    centre = _mean_of_seen(moves)  # (L - 1, 3)
    first = _start(np.linalg.norm(centre, axis=-1), BODY_JUMP)
    kept, jumps = positions[first:], first
    for joint in sorted(supports(layout)):
        alone = np.linalg.norm(moves[first:, joint] - centre[first:], axis=-1)
        until = _start(alone, JOINT_JUMP)
        if until and _bones_change(some[first:], joint, until, layout):
            kept = kept.copy() if kept.base is not None else kept
            jumps += int(np.isfinite(kept[:until, joint]).all(axis=-1).sum())
            kept[:until, joint] = np.nan
    return kept, jumps


def supports(layout: SkeletonLayout) -> set[int]:
    """Joints that normalisation rests on: the origin and the ends of the scale bone."""
    return {layout.index(joint) for joint in (*layout.origin, *(layout.scale_bone or ()))}


def _start(steps: NDArray[np.float64], limits: tuple[float, float]) -> int:
    """The first frame after the last leading jump; steps: (L - 1,) lengths in radii, NaN where not seen."""
    first = 0
    for place in range(FIRST_STEPS):
        after = steps[place + 1 : place + 1 + NEXT_STEPS]
        after = after[np.isfinite(after)]
        if len(after) >= LEAST_NEXT and steps[place] > limits[0] + limits[1] * after.max():
            first = place + 1
    return first


def _bones_change(some: NDArray[np.float64], joint: int, until: int, layout: SkeletonLayout) -> bool:
    """Whether a joint's bones have other lengths in the frames before `until` than after; true without bones."""
    parents = layout.parents
    others = [other for other, parent in enumerate(parents) if parent == joint and other != joint]
    others += [int(parents[joint])] if parents[joint] != joint else []
    if not others:
        return True
    length = np.linalg.norm(some[:, others] - some[:, [joint]], axis=-1)  # (L, bones)
    seen = np.isfinite(length[:until]).any(axis=0) & np.isfinite(length[until:]).any(axis=0)
    if not seen.any():
        return False
    usual = np.nanmedian(length[until:, seen], axis=0)
    change = np.abs(length[:until, seen] - usual).max(axis=0, initial=0, where=np.isfinite(length[:until, seen]))
    return bool(np.median(change / np.maximum(usual, np.finfo(np.float64).tiny)) > BONE_CHANGE)


def _mean_of_seen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the joints of (L, V, 3) that are not NaN; NaN in frames that have none."""
    seen = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(seen, values, 0).sum(axis=1) / seen.sum(axis=1)
    return mean
