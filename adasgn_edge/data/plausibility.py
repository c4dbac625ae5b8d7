"""Recordings that are sound but look as if axes, side or units were other ones than their layout states.

Nothing is refused or changed here: a model gives a label for whatever it gets, so people are told what looks odd.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.persons import whole_body
from adasgn_edge.skeletons import Conventions, SkeletonLayout, stated_conventions

__all__ = [
    "BODY_CENTRED", "MIRRORED", "UNITS", "body_centred", "body_centring", "doubts", "doubts_of_dataset", "sides",
]  # fmt: skip

AXES = "xyz"
UPSIDE_DOWN = -0.3
"""Mean cosine between "up" and what is upright in a layout: 3 of SHREC'17's 2800 recordings lie below, and none of
NW-UCLA's 1484; with y turned round 2730 and 1484."""
MIRRORED = -0.05
"""How far the vectors of a layout's chirality point to the wrong side, over their length. Of SHREC'17's 1960 training
recordings none lies below, mirrored 1932; of NW-UCLA's 1020 nine, mirrored 1001."""
LYING, ALONG_ANOTHER = 0.3, 0.9
UNITS = {"millimetres": 0.001, "centimetres": 0.01, "inches": 0.0254, "feet": 0.3048}
"""Metres in other units that coordinates come in."""
STILL = 0.3
"""Whoever performs something moves some joint farther than this, in radii of the body: in SHREC'17 at least 0.88, in
NW-UCLA 0.58."""
PAUSE_FRAMES, PAUSE_SPEED, SMOOTHED = 20, 0.1, 5
"""A pause: more frames than that, in a row and between movements, slower than that share of the quick ones. 17 of
SHREC'17's 2800 recordings have one, 3 of NW-UCLA's."""
BODY_CENTRED = 0.15
"""The origin of coordinates that go with the body stays nearer than that to one point of it, in radii of the body.
MediaPipe's world landmarks: 0.035 to 0.068 in 14 gestures of a drawn hand (between the bases of index and ring finger);
a removed centroid or origin joint: 0. Of coordinates of a sensor the least is 3.8 in SHREC'17's 1960 training
recordings and 2.6 in NW-UCLA's 1020. A recording whose first frame's origin joint was made zero, and in which hardly
anybody moves, cannot be told from one that goes with the body."""
SAMPLES = 500
"""How many samples of a data set are looked at."""
SHARE = 0.1
"""What is odd about more than this share of a data set is worth a word."""


def doubts(tracks: Sequence[NDArray[np.float32]], layout: SkeletonLayout) -> list[str]:
    """What looks odd about a recording of complete tracks (L, V, 3), the first one being judged; a sentence each."""
    conventions, track = stated_conventions(layout), tracks[0].astype(np.float64)
    found = [_flat(track), _still(track)]
    if conventions is not None:
        side = _side(track, layout, conventions)
        found += [_size(track, conventions), _upright(track, layout, conventions, side)]
        if side < MIRRORED and not found[-1]:
            found.append(f"mirrored: expected {conventions.side}, this looks like its mirror image; if it is, --mirror")
    return [text for text in found if text]


def doubts_of_dataset(dataset: SkeletonDataset) -> list[str]:
    """What looks odd about many samples of a data set, with their share; a sentence each.

    Without the options that mend one clip: a model learns any axes and units, if it meets the same ones later.
    """
    chosen = np.unique(np.linspace(0, len(dataset) - 1, SAMPLES).astype(int))
    found = [text for sample in chosen for text in doubts(dataset.tracks(int(sample)), dataset.layout)]
    kinds = Counter(_kind(text) for text in found)
    examples = {_kind(text): text.partition("; if ")[0] for text in reversed(found)}
    shares = {kind: count / len(chosen) for kind, count in kinds.items() if count > SHARE * len(chosen)}
    return [
        f"data set {dataset.name!r}: {examples[kind]} (so or alike in {share:.0%} of the recordings looked at)"
        for kind, share in shares.items()
    ]


def body_centred(positions: NDArray[np.floating]) -> bool:
    """Whether the coordinates (L, V, 3), NaN = not seen, go with the body, so that its way through space is lost."""
    return body_centring(positions) < BODY_CENTRED


def body_centring(positions: NDArray[np.floating]) -> float:
    """How far the origin is from the point of the body that stays nearest to it (root mean square), in radii.

    Points are the joints' mean, the joints and the middles of any two of them. NaN = not seen; infinite where nothing
    is known: no frame with two joints.
    """
    points = np.asarray(positions, dtype=np.float64)
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=-1))  # (L, V)
    usable = seen.sum(axis=1) > 1
    points, seen = np.where(seen[..., None], points, 0.0)[usable], seen[usable]
    if not len(points):
        return float("inf")
    counts = seen.sum(axis=1)
    centre = points.sum(axis=1) / counts[:, None]  # (L, 3)
    spread = np.where(seen[..., None], points - centre[:, None], 0.0)
    radius = float(np.median(np.sqrt((spread**2).sum(axis=(1, 2)) / counts)))
    if not radius > 0:
        return float("inf")
    there = seen.astype(np.float64)
    squares = (points**2).sum(axis=-1)  # (L, V)
    coordinates = points.swapaxes(0, 1).reshape(points.shape[1], -1)
    products = coordinates @ coordinates.T  # (V, V), summed over frames
    together = there.T @ there  # (V, V): frames in which both are seen; as often as half of all counts
    own = squares.T @ there
    middles = (own + own.T + 2 * products) / 4  # of i and i: the joint itself
    often = together >= 0.5 * len(points)
    distances = middles[often] / together[often]
    nearest = min(float((centre**2).sum(axis=-1).mean()), float(distances.min(initial=np.inf)))
    return float(np.sqrt(max(nearest, 0.0))) / radius


def _kind(text: str) -> str:
    return text.partition(":")[0]


def _flat(track: NDArray[np.float64]) -> str:
    spread = np.ptp(track.reshape(-1, 3), axis=0)
    flat = [axis for axis, reach in zip(AXES, spread, strict=True) if reach <= 1e-6 * spread.max()]
    if not flat or spread.max() == 0:
        return ""
    return f"flat: {' and '.join(flat)} never changes; a model of 3-D recordings does not know 2-D ones"


def _still(track: NDArray[np.float64]) -> str:
    radius = whole_body(track.astype(np.float32)).radius
    if not radius > 0 or len(track) < 2:
        return ""
    if np.linalg.norm(np.ptp(track, axis=0), axis=-1).max() < STILL * radius:
        return "still: nobody moves; a model without a class for that still gives a label"
    speed = np.linalg.norm(np.diff(track, axis=0), axis=-1).mean(axis=1)
    if len(speed) < PAUSE_FRAMES + 2 * SMOOTHED:
        return ""
    speed = np.convolve(speed, np.full(SMOOTHED, 1 / SMOOTHED), "same")
    quick = float(np.quantile(speed, 0.9))
    moving = np.flatnonzero(speed > 0.5 * quick)
    for first, last in pairwise(moving.tolist()):
        if (speed[first + 1 : last] < PAUSE_SPEED * quick).sum() > PAUSE_FRAMES:
            return (
                f"pause: nobody moves in frames {first + 1} to {last}; several gestures in one recording get one label"
            )
    return ""


def _size(track: NDArray[np.float64], conventions: Conventions) -> str:
    if conventions.extent is None:
        return ""
    least, most = conventions.extent
    size = float(np.median(np.ptp(track, axis=1).max(axis=-1)))
    if least <= size <= most:
        return ""
    units = [(name, factor) for name, factor in UNITS.items() if least <= size * factor <= most]
    hint = f"; if these are {units[0][0]}, --scale {units[0][1]:g}" if units else ""
    return f"size: expected a body of {least:g} to {most:g} {conventions.units}, found {size:.3g}{hint}"


def _side(track: NDArray[np.float64], layout: SkeletonLayout, conventions: Conventions) -> float:
    """How far the vectors of the chirality point to their side of the plane, over their length: -1 to 1."""
    along, lengths = sides(track, layout, conventions)
    return float(along.sum() / lengths.sum()) if lengths.sum() > 0 else 0.0


def sides(
    track: NDArray[np.float64], layout: SkeletonLayout, conventions: Conventions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(L,) how far the chirality's vectors point to their side in each frame, negative in a mirror image, and (L,) the
    sum of their lengths; zeros for a layout without chirality."""
    if conventions.chirality is None:
        return np.zeros(len(track)), np.zeros(len(track))
    first, second, third = (track[:, layout.index(joint)] for joint in conventions.chirality.plane)
    normal = np.cross(second - first, third - first)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
    starts, ends = zip(*conventions.chirality.towards, strict=True)
    vectors = track[:, [layout.index(joint) for joint in ends]] - track[:, [layout.index(joint) for joint in starts]]
    return (vectors @ normal[..., None]).sum(axis=(1, 2)), np.linalg.norm(vectors, axis=-1).sum(axis=1)


def _upright(track: NDArray[np.float64], layout: SkeletonLayout, conventions: Conventions, side: float) -> str:
    if conventions.upright is None:
        return ""
    lower, upper = conventions.upright
    direction = track[:, layout.index(upper)] - track[:, layout.index(lower)]
    length = np.linalg.norm(direction, axis=-1, keepdims=True)
    if not (length > 0).any():
        return ""
    direction = (direction[length[:, 0] > 0] / length[length > 0][:, None]).mean(axis=0)  # (3,)
    up = np.asarray(layout.up) / np.linalg.norm(layout.up)
    name = AXES[int(np.abs(up).argmax())]
    along = float(direction @ up)
    if along < UPSIDE_DOWN:
        # Turned round alone, an axis mirrors; a camera's x right, y down, z away is turned about z by half a circle.
        both = {"x": "xz", "y": "xy", "z": "yz"}[name]
        flips = name if side < MIRRORED else both if side > -MIRRORED else f"{name} or --flip {both}"
        return f"upside down: {upper} is below {lower}, up being {name} in layout {layout.name}; if not, --flip {flips}"
    other = int(np.abs(direction).argmax())
    if conventions.extent is not None and abs(along) < LYING and abs(direction[other]) > ALONG_ANOTHER:
        return (
            f"lying: {upper} is beside {lower}, up being {name} in layout {layout.name}; if nobody lies there, "
            f"{AXES[other]} may be up in this recording"
        )
    return ""
