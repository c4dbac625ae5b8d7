"""A source's joints to those of a layout, in its axes, side and units, as a description says that they come.

In this order: joints are mapped; axes and units changed, a mirrored picture undone; the whole turned so that things
fall down; a left hand mirrored to a right one. All of it is linear: one (V, S) matrix and one (3, 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adasgn_edge.data.axes import NAMED_AXES, parse_direction, to_model
from adasgn_edge.data.description import MODEL, StreamDescription
from adasgn_edge.data.persons import Body
from adasgn_edge.data.plausibility import body_centred
from adasgn_edge.data.sources import JointMap, Source, is_hand, load_source, other_side
from adasgn_edge.errors import LayoutError, SourceError
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import listed, shown

__all__ = ["CENTRED", "FLAT", "Adapter", "turn_down"]

FLAT = (
    "a model of 3-D recordings does not know 2-D ones. With a depth image, adasgn_edge.data.perspective.lift makes "
    "positions of places in a picture; landmarks of image and world (MediaPipe) make them with the camera's intrinsics"
)
CENTRED = (
    "expected positions relative to something that stays where it is, found the origin inside the body in frame after "
    "frame, as MediaPipe's world landmarks have it: the path is lost, and most gestures with it. Give landmarks of "
    "image and world with the camera's intrinsics (adasgn_edge.data.perspective.place), or `stream --camera`"
)
MIRROR = np.diag([-1.0, 1.0, 1.0])
ROLLED = np.diag([-1.0, -1.0, 1.0])
"""Half round about the axis that leads away from the sensor."""
UPSIDE_DOWN = -math.cos(math.radians(135))
"""How far up things fall, as a share of their way, where a sensor is turned by 135°. One turned farther hangs from the
ceiling, see :func:`turn_down`."""


class Adapter:
    """Makes the joints of a layout of what a described source gives; cheap enough for every frame of a control loop.

    Raises LayoutError for a source without a mapping onto the layout, SourceError for a description that does not fit
    the source or the layout.
    """

    def __init__(self, description: StreamDescription, layout: SkeletonLayout) -> None:
        self.description, self.layout = description, layout
        self.source: Source | None = None if description.joints == MODEL else load_source(description.joints)
        matrix = np.eye(layout.joint_count, dtype=np.float32) if self.source is None else self.source.matrix(layout)
        self._check_side()
        if description.mirrored and not is_hand(layout):
            matrix = matrix[self._sides_changed()]
        self._joints = JointMap(matrix)
        self._axes = description.units * to_model(description.axes)  # to the layout's, with the picture as it should be
        self._undo = MIRROR if description.mirrored else np.eye(3)
        if layout.up != (0, 1, 0) and (description.axes != NAMED_AXES["model"] or description.gravity is not None):
            raise LayoutError(
                f"layout {layout.name!r}: expected up to be y, as axes are turned to right, up, back; found "
                f"{list(layout.up)}"
            )
        self._turns = {side: self._turned(side, description.gravity) for side in ("left", "right", "body")}

    @property
    def joint_count(self) -> int:
        """S, the joints of the source."""
        return self._joints.matrix.shape[1]

    @property
    def joints(self) -> tuple[str, ...]:
        """(S,) the names of the source's joints, in its order."""
        return self.layout.joints if self.source is None else self.source.joints

    def convert(
        self, joints: ArrayLike, *, side: str | None = None, gravity: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """(S, 3) of a frame, a joint with NaN not having been seen, to (V, 3) of the layout.

        side: "left" or "right", of this hand where the description says that tracks have their own; gravity: which way
        things fall now, in the source's axes, for sensors that move. Raises SourceError for joints of another number,
        for joints without a third dimension (where a track has a path, :meth:`expect_path` tells), and for sides that
        are missing or contradict the description.
        """
        positions = _numbers(joints)
        if positions.ndim != 2:
            raise self._wrong_shape(positions)
        return self._convert(positions, side, gravity)

    def convert_track(
        self, joints: ArrayLike, *, side: str | None = None, gravity: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """(L, S, 3) of a track to (L, V, 3) of the layout, as :meth:`convert` does."""
        positions = _numbers(joints)
        if positions.ndim != 3:
            raise self._wrong_shape(positions)
        converted = self._convert(positions, side, gravity)
        self.expect_path(positions)
        return converted

    def expect_path(self, positions: NDArray[np.float32]) -> None:
        """Raises SourceError where joints (L, S, 3) go with the body, of a source that is known to come so."""
        if self.source is not None and self.source.centred and body_centred(positions):
            raise SourceError(f"joints of source {self.source.name!r}: {CENTRED}")

    def apply(self, body: Body) -> Body:
        """A body of a recording with the layout's joints, axes, side and units; see :meth:`Source.onto` for zeros."""
        self.expect_path(body.positions)
        if self.source is not None:
            body = self.source.onto(self.layout, body)
        positions = body.positions
        if self.description.mirrored:
            positions = positions[:, self._sides_changed()]
        return Body(body.frames, positions @ self._turn(None, None))

    def _convert(
        self, positions: NDArray[np.float32], side: str | None, gravity: ArrayLike | None
    ) -> NDArray[np.float32]:
        if positions.shape[-2:] != (self.joint_count, 3):
            raise self._wrong_shape(positions)
        turn = self._turn(side, gravity)
        finite = np.isfinite(positions)
        if finite.all():
            if not positions[..., 2].any():
                self._refuse_flat(positions)
            return np.matmul(np.matmul(self._joints.matrix, positions), turn)
        unseen: NDArray[np.bool_] = np.asarray(~finite.all(axis=-1))
        if unseen.all():
            self._refuse_flat(positions)
        return np.matmul(self._joints(positions, unseen), turn)

    def _turn(self, side: str | None, gravity: ArrayLike | None) -> NDArray[np.float32]:
        """(3, 3) that mapped joints are multiplied by."""
        stated = self.description.side
        if stated == "track":
            if side not in ("left", "right"):
                raise SourceError(
                    "side: expected 'left' or 'right' of every track, as the source is described; found "
                    f"{'none' if side is None else shown(side)}"
                )
        elif side is not None and side != stated:
            raise SourceError(f"side: expected {stated!r}, as the source is described; found {shown(side)}")
        else:
            side = stated
        if gravity is None:
            return self._turns[side]
        return self._turned(side, parse_direction(gravity, "gravity"))

    def _turned(self, side: str, gravity: tuple[float, float, float] | None) -> NDArray[np.float32]:
        """What mapped joints of that side are multiplied by."""
        turn = self._axes @ self._undo
        if gravity is not None:
            turn = turn @ turn_down((gravity @ self._axes).tolist())
        return (turn @ MIRROR if side == "left" else turn).astype(np.float32)

    def _sides_changed(self) -> list[int]:
        """(V,) for each joint of the layout the one of the other side, where the layout is a body."""
        others = other_side(self.layout)
        if others == list(range(self.layout.joint_count)) and not is_hand(self.layout):
            raise LayoutError(
                f"layout {self.layout.name!r}: expected joints called left_… and right_…, which change about where a "
                f"picture was mirrored; found {listed(self.layout.joints)}"
            )
        return others

    def _check_side(self) -> None:
        side, hand = self.description.side, is_hand(self.layout)
        if hand and side == "body":
            raise SourceError(
                f"side: expected 'right', 'left' or 'track' of the hands of layout {self.layout.name!r}, found 'body'"
            )
        if not hand and side != "body":
            raise SourceError(f"side: expected 'body' of the bodies of layout {self.layout.name!r}, found {side!r}")
        if self.source is not None and self.description.mirrored and not self.source.camera:
            raise SourceError(
                f"mirrored: expected false of source {self.source.name!r}, behind which there is no picture; found true"
            )

    def _refuse_flat(self, positions: NDArray[np.float32]) -> None:
        """Raises SourceError where joints have x and y and no z, or the same z of 0."""
        seen = np.isfinite(positions[..., :2]).all(axis=-1) & (positions[..., :2] != 0).any(axis=-1)
        z = positions[..., 2][seen]
        if len(z) >= 2 and (not z.any() or np.isnan(z).all()):
            raise SourceError(
                f"joints: expected x, y and z, found z {'0' if not z.any() else 'missing'} in all: {FLAT}"
            )

    def _wrong_shape(self, positions: NDArray[Any]) -> SourceError:
        if positions.ndim and positions.shape[-1] == 2:
            return SourceError(f"joints: expected x, y and z, found x and y: {FLAT}")
        owner = f"layout {self.layout.name!r}" if self.source is None else f"source {self.source.name!r}"
        return SourceError(
            f"joints: expected shape ({self.joint_count}, 3) of {owner}, for tracks with frames before it; found "
            f"{positions.shape}"
        )


def turn_down(gravity: Sequence[float]) -> NDArray[np.float64]:
    """(3, 3), from the right of positions in the layouts' axes: the smallest rotation that makes gravity point down.

    A sensor that is turned by more than 135° hangs upside down: it is rolled half round first, as what is left is
    smaller and, unlike a rotation by nearly half a circle, has an axis that does not hang on the measurement's noise.
    """
    length = math.hypot(*gravity)
    x, y, z = (entry / length for entry in gravity)
    rolled = y > UPSIDE_DOWN
    if rolled:
        x, y = -x, -y
    share = 1 / (1 - y)  # Rodrigues' formula with the axis (z, 0, -x), whose length is the angle's sine
    rotation = np.array(
        (
            (1 - x * x * share, -x, -x * z * share),
            (x, -y, z),
            (-x * z * share, -z, 1 - z * z * share),
        )
    )
    return ROLLED @ rotation if rolled else rotation


def _numbers(joints: ArrayLike) -> NDArray[np.float32]:
    try:
        return np.asarray(joints, dtype=np.float32)
    except (TypeError, ValueError):
        raise SourceError(f"joints: expected numbers, x, y and z of every joint; found {shown(joints)}") from None
