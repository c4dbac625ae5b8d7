"""Pictures and space: a camera's intrinsics, and how joints of a picture become joints in space.

All positions are metres in optical axes: x to the right in the picture, y down, z away from the camera. Places in a
picture are pixels, (0, 0) the upper left corner of the upper left pixel.

:func:`place` puts a body whose shape is known, but not where it is, before the camera: pose estimators such as
MediaPipe give the shape ("world landmarks", their origin in the body) beside the places in the picture. :func:`lift`
reads the depth of joints from a depth image. Joints of a picture with neither have no third dimension, and none is made
up here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adasgn_edge.errors import SourceError
from adasgn_edge.wording import listed, shown

__all__ = ["Intrinsics", "lift", "place"]

DISTORTIONS = (0, 4, 5, 8)
"""How many coefficients of distortion there may be, in OpenCV's order: k1 k2 p1 p2, k3, k4 k5 k6."""
LEAST_FOCAL, MOST_PIXELS = 0.01, float(1 << 30)
"""Pixels: the least focal length, and the most that it or a principal point may be."""
FEWEST_JOINTS = 3
"""Joints that must be seen to place a body: two would do for three unknowns, but leave nothing to average over."""
_REFINEMENTS = 2
"""Gauss-Newton steps after the linear solution; a third changes micrometres."""
_UNDISTORTIONS = 30
"""Most steps of the fixed-point iteration that takes distortion away."""
_UNDONE = 0.05
"""Pixels that the last of them may still change."""


@dataclass(frozen=True)
class Intrinsics:
    """A camera's intrinsics: focal lengths and principal point in pixels, the size of its pictures, its distortion.

    distortion: none, or 4, 5 or 8 coefficients as OpenCV and ROS (``plumb_bob``, ``rational_polynomial``) have them.
    Raises SourceError for what no camera has, and for a distortion that cannot be undone in the picture's inner half.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("fx", "fy", "cx", "cy"):
            value = getattr(self, name)
            low = LEAST_FOCAL if name in ("fx", "fy") else -MOST_PIXELS
            if not _is_number(value) or not low <= value <= MOST_PIXELS:
                kind = f"a positive number, at least {LEAST_FOCAL:g}," if name in ("fx", "fy") else "a number"
                raise SourceError(f"intrinsics: {name}: expected {kind} of pixels, found {shown(value)}")
        for name in ("width", "height"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 20:
                raise SourceError(f"intrinsics: {name}: expected a whole number of pixels, found {shown(value)}")
        if len(self.distortion) not in DISTORTIONS or not all(map(_is_number, self.distortion)):
            counts = ", ".join(map(str, DISTORTIONS))
            raise SourceError(
                f"intrinsics: distortion: expected {counts} numbers (k1 k2 p1 p2 k3 …), found {shown(self.distortion)}"
            )
        inner = [(x * self.width, y * self.height) for x in (0.25, 0.75) for y in (0.25, 0.75)]
        if np.isnan(self.directions(inner)).any():
            raise SourceError(
                f"intrinsics: distortion: expected one that can be undone, found {shown(self.distortion)} with focal "
                f"lengths of {self.fx:g} and {self.fy:g} pixels"
            )

    @classmethod
    def from_fov(cls, width: int, height: int, horizontal_degrees: float) -> Intrinsics:
        """Of a camera of which only the horizontal field of view is known: square pixels, the axis in the middle.

        Data sheets often give the diagonal field of view, which is larger. Raises SourceError.
        """
        if not _is_number(horizontal_degrees) or not 1 <= horizontal_degrees <= 170:
            raise SourceError(
                f"field of view: expected 1 to 170 degrees from left to right, found {shown(horizontal_degrees)}"
            )
        if not _is_number(width):
            raise SourceError(f"intrinsics: width: expected a whole number of pixels, found {shown(width)}")
        focal = 0.5 * width / math.tan(math.radians(horizontal_degrees) / 2)
        return cls(focal, focal, 0.5 * width, 0.5 * height, width, height)

    @classmethod
    def from_dict(cls, data: Any) -> Intrinsics:
        """From the keys of this class, or as ROS writes a calibration (camera_info, as a message or a YAML file's).

        Also ``{"width": …, "height": …, "horizontal_fov": degrees}``. Raises SourceError that names what is missing
        or wrong.
        """
        if not isinstance(data, Mapping):
            raise SourceError(f"intrinsics: expected an object with {_KEYS_TEXT}; found {shown(data)}")
        facts = _from_camera_info(data) if {"K", "k", "camera_matrix"} & set(data) else dict(data)
        if "horizontal_fov" in facts:
            _expect_keys(facts, {"width", "height", "horizontal_fov"})
            return cls.from_fov(facts["width"], facts["height"], facts["horizontal_fov"])
        facts.setdefault("distortion", ())
        _expect_keys(facts, {key.name for key in fields(cls)})
        if not isinstance(facts["distortion"], list | tuple):
            raise SourceError(f"intrinsics: distortion: expected a list of numbers, found {shown(facts['distortion'])}")
        facts["distortion"] = tuple(facts["distortion"])
        return cls(**facts)

    def to_dict(self) -> dict[str, Any]:
        """The object that :meth:`from_dict` reads."""
        data = asdict(self)
        data["distortion"] = list(self.distortion)
        return data

    def mirrored(self) -> Intrinsics:
        """Of the same camera's pictures with left and right exchanged."""
        k1_k2_p1, p2, more = self.distortion[:3], self.distortion[3:4], self.distortion[4:]
        distortion = (*k1_k2_p1, *(-value for value in p2), *more)
        return replace(self, cx=self.width - self.cx, distortion=distortion)

    def project(self, points: ArrayLike) -> NDArray[np.float64]:
        """Where points (..., 3) before the camera are in the picture, (..., 2) pixels; NaN of those behind it."""
        x, y, z = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
        z = np.where(z > 0, z, np.nan)
        flat = self._distorted(np.stack([x / z, y / z], axis=-1))
        return flat * (self.fx, self.fy) + (self.cx, self.cy)

    def directions(self, image: ArrayLike) -> NDArray[np.float64]:
        """Where places (..., 2) of the picture lie at a depth of 1, without distortion: x/z and y/z, (..., 2).

        NaN where the distortion cannot be undone, as it may be outside the picture.
        """
        seen = (np.asarray(image, dtype=np.float64) - (self.cx, self.cy)) / (self.fx, self.fy)
        if not any(self.distortion):
            return seen
        flat, step = seen, np.zeros_like(seen)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what cannot be undone runs away
            for _ in range(_UNDISTORTIONS):
                step = seen - self._distorted(flat)
                flat = flat + step
                if not (np.abs(step) > 1e-9).any():
                    break
            undone = (np.abs(step) * (self.fx, self.fy) < _UNDONE).all(axis=-1, keepdims=True)
        return np.where(undone, flat, np.nan)

    def _distorted(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        """OpenCV's model: what the lens makes of directions (..., 2)."""
        if not any(self.distortion):
            return flat
        k1, k2, p1, p2, k3, k4, k5, k6 = (*self.distortion, *(0.0,) * (8 - len(self.distortion)))
        x, y = flat[..., 0], flat[..., 1]
        r2 = x * x + y * y
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
            return np.stack(
                [
                    x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                    y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
                ],
                axis=-1,
            )


def place(
    world: ArrayLike, image: ArrayLike, intrinsics: Intrinsics, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """A body of known shape where the picture shows it, (S, 3) metres in optical axes: ``world`` and one translation.

    world: (S, 3) its shape, metres, optical axes, any origin; image: (S, 2) the same joints in the picture, pixels;
    weights: (S,) how much a joint counts, 1 without. The translation is the one of least squares in pixels: linear
    where each equation is multiplied out, then refined, as multiplying out weighs near joints less. A joint whose place
    in the picture is NaN is placed by the others; one without a shape stays NaN.

    How far away a body is rests on how large it is said to be: where ``world`` is 10 % too large, it is placed 10 % too
    far away, and moves 10 % too far in every direction. Raises SourceError where the joints do not say where the body
    is: too few of them, all in one point, behind the camera.
    """
    world, image = np.asarray(world, dtype=np.float64), np.asarray(image, dtype=np.float64)
    if world.ndim != 2 or world.shape[1] != 3:
        raise SourceError(f"world landmarks: expected shape (S, 3), found {world.shape}")
    if image.shape != (len(world), 2):
        raise SourceError(
            f"image landmarks: expected shape ({len(world)}, 2), as many as of the world, found {image.shape}"
        )
    if np.isinf(world).any() or np.isinf(image).any():
        raise SourceError("landmarks: expected finite numbers, found infinity")
    directions = intrinsics.directions(image)
    known = ~(np.isnan(world).any(axis=1) | np.isnan(directions).any(axis=1))
    share = np.ones(len(world))
    if weights is not None:
        share = np.asarray(weights, dtype=np.float64)
        if share.shape != (len(world),) or not (share >= 0).all() or not np.isfinite(share).all():
            raise SourceError(f"weights: expected {len(world)} numbers of 0 or more, found {shown(weights)}")
        known &= share > 0
    if known.sum() < FEWEST_JOINTS:
        raise SourceError(f"landmarks: expected at least {FEWEST_JOINTS} that were seen, found {known.sum()}")
    shape, seen = world[known], directions[known]
    scale = np.sqrt(share[known])[:, None] * (intrinsics.fx, intrinsics.fy)  # (S, 2): residuals in pixels at depth 1
    # (X + t_x) = a (Z + t_z) with a = x/z as seen, and the same for y.
    t = _least_squares(seen, seen * shape[:, 2:] - shape[:, :2], scale)
    for _ in range(_REFINEMENTS):
        depth = shape[:, 2:] + t[2]
        if not (depth > 0).all():
            break
        flat = (shape[:, :2] + t[:2]) / depth
        t = t + _least_squares(flat, depth * (seen - flat), scale / depth)
    if not (shape[:, 2] + t[2] > 0).all():
        raise SourceError(
            "landmarks: expected a body before the camera, found one whose shape and picture put it at or behind the "
            f"camera (z = {float(np.min(shape[:, 2] + t[2])):.3g} m)"
        )
    return world + t


def _least_squares(
    slopes: NDArray[np.float64], values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The t (3,) of t_xy - slopes t_z = values, all (S, 2), of least squares of the weighted differences."""
    squares = weights * weights
    total = squares.sum(axis=0)
    middle = (squares * slopes).sum(axis=0) / total
    apart = slopes - middle
    spread = float((squares * apart * apart).sum())
    if spread <= 1e-12 * float(total.sum()):
        raise SourceError("image landmarks: expected joints that are apart in the picture, found all in one place")
    mean = (squares * values).sum(axis=0) / total
    t_z = -float((squares * apart * values).sum()) / spread
    return np.array([*(mean + middle * t_z), t_z])


def lift(
    image: ArrayLike, depth: ArrayLike, intrinsics: Intrinsics, window: int = 5, jump: float = 0.05
) -> NDArray[np.float64]:
    """Joints (S, 2) of a picture, pixels, at the depth that a registered depth image has there, (S, 3) metres.

    depth: (H, W) metres along the optical axis, of the same camera and size; 0, NaN and infinity are missing. A joint
    takes the median of the `window` x `window` pixels around it. It is NaN where it is outside the picture, where more
    than half of those are missing, and where their middle 80 % span more than `jump` metres: there it lies on an edge,
    and the depth may be of what is behind. What is measured is the skin, a finger's half thickness before the
    joint. Raises SourceError.
    """
    image, values = np.asarray(image, dtype=np.float64), np.asarray(depth)
    if image.ndim != 2 or image.shape[1] != 2:
        raise SourceError(f"image landmarks: expected shape (S, 2), found {image.shape}")
    if values.dtype.kind != "f":
        raise SourceError(
            f"depth: expected metres as floating-point numbers, found {values.dtype}; whole numbers are "
            "mostly millimetres: depth * 0.001"
        )
    if values.shape != (intrinsics.height, intrinsics.width):
        raise SourceError(
            f"depth: expected {intrinsics.height} rows and {intrinsics.width} columns as the picture has, "
            f"found {values.shape}"
        )
    if window < 1 or window % 2 == 0:
        raise SourceError(f"window: expected an odd number of pixels, found {window}")
    joints = np.full((len(image), 3), np.nan)
    flat = intrinsics.directions(image)
    for joint, (u, v) in enumerate(image):
        if not (0 <= u < intrinsics.width and 0 <= v < intrinsics.height):
            continue
        row, column, reach = int(v), int(u), window // 2
        patch = values[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1].ravel()
        there = patch[np.isfinite(patch) & (patch > 0)].astype(np.float64)
        if 2 * len(there) < len(patch):
            continue
        near, middle, far = np.quantile(there, [0.1, 0.5, 0.9])
        if far - near <= jump:
            joints[joint] = (*(middle * flat[joint]), middle)
    return joints


# -- reading intrinsics ---------------------------------------------------------------------------------------------

_KEYS_TEXT = "fx, fy, cx, cy, width, height (pixels), or width, height and horizontal_fov (degrees)"


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)


def _expect_keys(facts: dict[str, Any], known: set[str]) -> None:
    missing, more = sorted(known - set(facts)), sorted(set(facts) - known, key=str)
    if missing or more:
        found = f"no {listed(missing)}" if missing else f"also {shown(more[0])}"
        raise SourceError(f"intrinsics: expected {_KEYS_TEXT}; found {found}")


def _from_camera_info(data: Mapping[Any, Any]) -> dict[str, Any]:
    """What ROS writes: a CameraInfo message (width, height, k, d) or a file of it (image_width, camera_matrix)."""

    def value(*names: str) -> Any:
        found = next((data[name] for name in names if name in data), None)
        return found["data"] if isinstance(found, Mapping) and "data" in found else found

    matrix, bent = value("k", "K", "camera_matrix"), value("d", "D", "distortion_coefficients", "distortion")
    if isinstance(matrix, list) and all(isinstance(row, list) for row in matrix):
        matrix = [number for row in matrix for number in row]
    if not isinstance(matrix, list | tuple) or len(matrix) != 9:
        raise SourceError(f"intrinsics: camera matrix: expected 3 x 3 numbers, row by row, found {shown(matrix)}")
    model = value("distortion_model")
    bent = [] if bent is None else bent
    if model not in (None, "", "plumb_bob", "rational_polynomial") and any(bent):
        raise SourceError(
            f"intrinsics: distortion_model: expected plumb_bob or rational_polynomial, found {shown(model)}; "
            "rectify the pictures of such a camera, and give the intrinsics of the rectified ones"
        )
    return {
        "fx": matrix[0], "fy": matrix[4], "cx": matrix[2], "cy": matrix[5],
        "width": value("width", "image_width"), "height": value("height", "image_height"), "distortion": bent,
    }  # fmt: skip
