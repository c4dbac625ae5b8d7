"""Pictures of the kinematic hand: skin, light and shadow, good enough for a hand tracker that learnt from photographs.

A hand is some forty balls drawn along its bones and over its palm. Their nearest surface to each pixel is smoothed into
skin, lit from the side, and laid over a blurred room. Nothing is read from a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.perspective import Intrinsics
from adasgn_edge.skeletons import load_layout

__all__ = ["before_camera", "draw", "room"]

LAYOUT = load_layout("shrec22")
TO_OPTICAL = np.array([-1.0, -1.0, 1.0])
"""From the layout's axes (right, up, back) to optical ones: the performer's right is the picture's left."""
FINGERS = ("index", "middle", "ring", "little")
PALM, BACK = np.array([0.93, 0.70, 0.60]), np.array([0.80, 0.57, 0.44])
"""Skin of a hand's two sides."""
COLOURS = np.array([[np.nan] * 3, [0.22, 0.28, 0.42], [0.97, 0.80, 0.76], [0.66, 0.40, 0.33]])
"""Of what is not skin: sleeve, nails, creases."""
_SKIN, _SLEEVE, _NAIL, _CREASE = range(4)
LIGHT = np.array([-0.45, -0.6, -0.66]) / np.linalg.norm([-0.45, -0.6, -0.66])
"""From a surface to the light, optical axes: upper left, from the camera's side."""

# Radii of joints in metres on a hand whose wrist-middle-base bone is 10 cm; from base to tip.
_THUMB = (0.014, 0.0125, 0.0105, 0.0085)
_FINGER = {"index": 0.0098, "middle": 0.0102, "ring": 0.0096, "little": 0.0084}
_TAPER = (1.12, 0.98, 0.88, 0.74)


def before_camera(clip: NDArray[np.floating], metres: float = 0.75) -> NDArray[np.float64]:
    """A clip (L, 22, 3) of the layout in optical axes, moved so that its middle is before the camera, as far away."""
    joints = np.asarray(clip, dtype=np.float64) * TO_OPTICAL
    middle = (joints.min(axis=(0, 1)) + joints.max(axis=(0, 1))) / 2
    return joints - middle + np.array([0.0, 0.0, metres])


def room(camera: Intrinsics, seed: int = 0) -> NDArray[np.uint8]:
    """A background (H, W, 3) RGB: a room out of focus."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((camera.height, camera.width, 3), np.float32) + np.float32(rng.uniform(0.35, 0.6))
    for _ in range(14):
        x, y = rng.uniform(0, camera.width), rng.uniform(0, camera.height)
        w, h = rng.uniform(20, 160, 2)
        grey = rng.uniform(0.15, 0.85)
        tone = np.clip(grey + rng.normal(0, 0.04, 3), 0, 1)
        cv2.rectangle(picture, (int(x - w), int(y - h)), (int(x + w), int(y + h)), tone.tolist(), -1)
    picture = cv2.GaussianBlur(picture, (0, 0), 14)
    noise = rng.normal(0, 0.008, picture.shape)
    return np.uint8(255 * np.clip(picture + noise, 0, 1))


def draw(joints: NDArray[np.float64], camera: Intrinsics, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) RGB of a hand's joints (22, 3), layout shrec22 in optical axes, metres."""
    bones = np.array([bone for bone in _bones(joints) if min(bone[2], bone[6]) > 0.05], dtype=np.float32)
    ends = bones[:, :8].reshape(-1, 2, 4)  # (N, 2 ends, place and radius)
    centres = camera.project(ends[..., :3]).astype(np.float32)
    radii = np.float32(camera.fx) * ends[..., 3] / ends[..., 2]
    margin = 12
    low = np.floor((centres - radii[..., None]).min(axis=(0, 1))).astype(int) - margin
    high = np.ceil((centres + radii[..., None]).max(axis=(0, 1))).astype(int) + margin
    left, top = np.clip(low, 0, (camera.width, camera.height))
    right, bottom = np.clip(high, 0, (camera.width, camera.height))
    picture = background.copy()
    if left >= right or top >= bottom:
        return picture
    nearest = np.full((bottom - top, right - left), np.inf, dtype=np.float32)  # where the hand may be
    kind = np.zeros(nearest.shape, dtype=np.int8)
    for middles, pixels, depths, metres, its_kind in zip(
        centres - np.float32([left, top]), radii, ends[..., 2], ends[..., 3], bones[:, 8], strict=True
    ):
        begin = np.maximum(0, np.floor((middles - pixels[:, None]).min(axis=0))).astype(int)
        end = np.maximum(0, np.ceil((middles + pixels[:, None]).max(axis=0)) + 1).astype(int)
        patch = nearest[begin[1] : end[1], begin[0] : end[0]]
        if not patch.size:
            continue
        u = np.arange(begin[0], begin[0] + patch.shape[1], dtype=np.float32) + np.float32(0.5)
        v = np.arange(begin[1], begin[1] + patch.shape[0], dtype=np.float32)[:, None] + np.float32(0.5)
        surface = _ball_between(u, v, middles, pixels, depths, metres)
        kind[begin[1] : end[1], begin[0] : end[0]][surface < patch] = its_kind
        np.minimum(patch, surface, out=patch)
    if np.isfinite(nearest).any():
        part = picture[top:bottom, left:right]
        part[:] = _lit(nearest, kind, _palm_side(joints), camera, part)
    return picture


def _ball_between(
    u: NDArray[np.float32],
    v: NDArray[np.float32],
    middles: NDArray[np.float32],
    pixels: NDArray[np.float32],
    depths: NDArray[np.float32],
    metres: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The surface at pixels u, v of a ball that goes from one end of a bone to the other, or infinite."""
    (u0, v0), (along_u, along_v) = middles[0], middles[1] - middles[0]
    length = along_u**2 + along_v**2
    surface = np.float32(np.inf)
    shares = [np.float32(0), np.float32(1)]  # both ends count where one hides the other
    if length > 1:
        shares.append(np.clip(((u - u0) * along_u + (v - v0) * along_v) / length, 0, 1))
    for share in shares:
        du, dv = u - u0 - share * along_u, v - v0 - share * along_v
        rest = 1 - (du * du + dv * dv) / (pixels[0] + share * (pixels[1] - pixels[0])) ** 2
        radius, depth = metres[0] + share * (metres[1] - metres[0]), depths[0] + share * (depths[1] - depths[0])
        there = depth - radius * np.sqrt(np.maximum(rest, 0))
        surface = np.minimum(surface, np.where(rest > 0, there, np.float32(np.inf)))
    return surface


def _lit(
    depth: NDArray[np.float32],
    kind: NDArray[np.int8],
    palm_side: NDArray[np.float64],
    camera: Intrinsics,
    background: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Surfaces (h, w), metres, infinite where there is none, and what they are of, lit before the background."""
    there = np.isfinite(depth)
    typical = float(np.median(depth[there]))
    pixel = typical / camera.fx  # metres
    blur = max(0.8, 0.0022 / pixel)
    filled = np.where(there, depth, typical + 0.05).astype(np.float32)
    smooth = cv2.bilateralFilter(filled, 2 * int(np.ceil(1.5 * blur)) + 1, 0.012, blur)
    dy, dx = np.gradient(cv2.GaussianBlur(smooth, (0, 0), 0.8))
    normal = np.stack([dx / pixel, dy / pixel, -np.ones_like(dx)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    lambert, facing = np.clip(normal @ LIGHT.astype(np.float32), 0, 1), np.clip(-normal[..., 2], 0, 1)
    hidden = np.clip((smooth - cv2.GaussianBlur(smooth, (0, 0), 4 * blur)) / 0.012, 0, 1)  # lower than what is around
    light = (0.42 + 0.62 * lambert) * (0.62 + 0.38 * facing) * (1 - 0.45 * hidden)
    palm = np.clip(0.5 + normal @ palm_side.astype(np.float32), 0, 1)[..., None]
    albedo = BACK + palm * (PALM - BACK)
    painted = COLOURS[kind]
    soft = cv2.GaussianBlur((kind > 0).astype(np.float32), (0, 0), 0.6)[..., None] * (kind[..., None] > 0)
    albedo = np.where(np.isnan(painted), albedo, albedo + soft * (painted - albedo))
    colour = np.clip(albedo * light[..., None], 0, 1)
    alpha = cv2.GaussianBlur(there.astype(np.float32), (0, 0), 0.7)[..., None]
    return (255 * colour * alpha + background * (1 - alpha)).clip(0, 255).astype(np.uint8)


def _palm_side(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Out of the palm, of length 1."""
    at = {name: joints[LAYOUT.index(name)] for name in ("wrist", "index_base", "little_base")}
    out = np.cross(at["index_base"] - at["wrist"], at["little_base"] - at["wrist"])
    return out / np.linalg.norm(out)


def _bones(joints: NDArray[np.float64]) -> Iterator[tuple[float, ...]]:
    """Both ends, each with its radius, and what it is of: 9 numbers a bone."""
    at = {name: joints[LAYOUT.index(name)] for name in LAYOUT.joints}
    size = float(np.linalg.norm(at["middle_base"] - at["wrist"])) / 0.1
    palm = _palm_side(joints)
    knuckles = np.array([at[f"{finger}_base"] for finger in FINGERS])
    across = _unit(knuckles[0] - knuckles[-1])
    wrist = at["wrist"]
    forward = _unit(at["middle_base"] - wrist)

    def bone(
        start: NDArray[np.float64], end: NDArray[np.float64], first: float, last: float, kind: int = _SKIN
    ) -> tuple[float, ...]:
        return (*start, size * first, *end, size * last, kind)

    for finger in ("thumb", *FINGERS):
        radii = _THUMB if finger == "thumb" else tuple(taper * _FINGER[finger] for taper in _TAPER)
        chain = [at[f"{finger}_{joint}"] for joint in ("base", "joint_1", "joint_2", "tip")]
        for joint in range(3):
            yield bone(chain[joint], chain[joint + 1], radii[joint], radii[joint + 1])
        axis = across  # about which the finger bends
        if finger == "thumb":
            axis = _unit(np.cross(palm, chain[3] - chain[1])) * (
                -1 if np.dot(np.cross(palm, across), forward) < 0 else 1
            )
        for joint in range(1, 4):
            along = _unit(chain[joint] - chain[joint - 1])
            side = _unit(axis - np.dot(axis, along) * along)
            inside = np.cross(side, along)  # towards the palm's side
            inside *= np.sign(np.dot(np.cross(across, forward), palm))
            radius = radii[joint]
            if joint < 3:  # the crease of a joint, inside
                middle = chain[joint] + 0.8 * radius * size * inside
                half = 0.65 * radius * size * side
                yield bone(middle - half, middle + half, 0.24 * radius, 0.24 * radius, _CREASE)
            else:
                nail = chain[3] - 0.62 * radius * size * inside
                yield bone(
                    nail - 0.7 * radius * size * along,
                    nail + 0.25 * radius * size * along,
                    0.5 * radius,
                    0.5 * radius,
                    _NAIL,
                )
    heel = wrist + 0.012 * size * forward
    bases = heel + np.linspace(0.019, -0.019, 4)[:, None] * size * across
    for place in np.linspace(0, 3, 13):  # the palm, from the index finger's side to the little finger's
        low, share = min(2, int(place)), place - min(2, int(place))
        start = bases[low] + share * (bases[low + 1] - bases[low])
        end = knuckles[low] + share * (knuckles[low + 1] - knuckles[low])
        yield bone(start, end, 0.0135, 0.0112)
    for base in knuckles:  # knuckles on the back
        yield bone(base - 0.003 * size * palm, base - 0.003 * size * palm, 0.0105, 0.0105)
    lifted = 0.006 * size * palm
    yield bone(wrist + 0.010 * size * forward + lifted, at["thumb_joint_1"], 0.014, 0.0125)  # the thumb's ball
    yield bone(bases[0] + lifted, (at["thumb_base"] + at["thumb_joint_1"]) / 2 + lifted, 0.013, 0.0135)
    yield bone(bases[3] + 0.7 * lifted, bases[3] + 0.6 * (knuckles[3] - bases[3]) + 0.7 * lifted, 0.0125, 0.0115)
    web = (at["thumb_joint_1"] + at["thumb_base"]) / 2
    for share in (0.35, 0.6, 0.85):
        yield bone(web, bases[0] + share * (knuckles[0] - bases[0]), 0.0105, 0.0105)

    def on_palm(right: float, up: float) -> NDArray[np.float64]:
        """A place on the palm's skin: from the index finger (0) to the little one (1), from the wrist (0) up (1)."""
        place = min(2, int(3 * right))
        share = 3 * right - place
        low = bases[place] + share * (bases[place + 1] - bases[place])
        high = knuckles[place] + share * (knuckles[place + 1] - knuckles[place])
        return low + up * (high - low) + 0.0122 * size * palm

    for line in (
        ((1.0, 0.72), (0.7, 0.74), (0.42, 0.86), (0.3, 0.97)),  # heart
        ((0.0, 0.78), (0.3, 0.70), (0.6, 0.56), (0.9, 0.42)),  # head
        ((0.0, 0.78), (0.25, 0.62), (0.42, 0.40), (0.40, 0.08)),  # life
    ):
        for first, last in pairwise(line):
            yield bone(on_palm(*first), on_palm(*last), 0.0016, 0.0016, _CREASE)
    along = _unit(-forward + np.array([0.0, 0.7, 0.15]))
    for side in (-0.011, 0.0, 0.011):
        edge = wrist + side * size * across
        yield bone(edge, edge + 0.07 * size * along, 0.0165, 0.021)
    yield bone(wrist + 0.07 * size * along, wrist + 0.3 * size * along, 0.038, 0.046, _SLEEVE)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)
