"""Drawing with braille characters: 2 x 4 dots a character cell, and a skeleton drawn with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["Canvas", "SkeletonPicture", "View"]

_DOT_BITS = np.asarray([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Bit of each dot of a cell, from the braille block of Unicode."""
_BLANK = 0x2800
FOLLOWED = 1.15
"""Sizes of the figure: a way that is longer is not shown all at once."""
ASIDE_SHARE = 0.75
"""A figure that is followed goes so much of the way to the canvas's edge before the picture moves."""
FLAT = 1.5
"""A figure lies flat whose smaller variance along the ground is so many times that of its height."""
ROUND, ASIDE = 1.5, 20.0
"""A figure whose two variances along the ground differ by less has no side that shows more; it is then seen from so
many degrees aside."""


Placing = Callable[[NDArray[np.floating]], NDArray[np.float64]]


class Canvas:
    """Dots on a grid of `columns` x `rows` character cells; (0, 0) is the upper left dot."""

    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = 2 * columns, 4 * rows
        self._dots = np.zeros((self.height, self.width), dtype=bool)
        self._styles = np.full((rows, columns), "", dtype=object)

    def dots(self, points: NDArray[np.float64], style: str) -> None:
        """Set dots at (N, 2) coordinates x, y, rounded; what lies outside is left out. A cell has its last style."""
        x, y = np.rint(points).astype(int).T
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        x, y = x[inside], y[inside]
        self._dots[y, x] = True
        self._styles[y // 4, x // 2] = style

    def line(self, start: NDArray[np.float64], end: NDArray[np.float64], style: str) -> None:
        """A straight line between two points (2,)."""
        steps = int(np.abs(end - start).max()) + 1
        self.dots(start + np.linspace(0, 1, steps + 1)[:, None] * (end - start), style)

    def blob(self, centre: NDArray[np.float64], radius: float, style: str) -> None:
        """A filled disc."""
        reach = np.arange(-np.ceil(radius), np.ceil(radius) + 1)
        offsets = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
        self.dots(np.rint(centre) + offsets[np.hypot(*offsets.T) <= radius], style)

    def text(self) -> Text:
        """The picture, a line of characters per row of cells."""
        rows, columns = self._styles.shape
        cells = self._dots.reshape(rows, 4, columns, 2).transpose(0, 2, 1, 3)  # (rows, columns, 4, 2)
        codes = _BLANK + (cells * _DOT_BITS).sum(axis=(2, 3))
        picture = Text(no_wrap=True, end="")
        for row in range(rows):
            for column in range(columns):
                picture.append(chr(codes[row, column]), self._styles[row, column] or None)
            if row < rows - 1:
                picture.append("\n")
        return picture


class View:
    """The plane that a recording is drawn on, and how large.

    positions: (L, V, 3), all that will be drawn. The plane is upright, unless a figure lies flat, and turned to where
    the figure spreads most; what is to the right of somebody who sees with the performer's eyes is to the right. The
    figure fills the canvas: where its way is much longer than it is large, the picture goes with it. plane: (3, 2),
    to the right and down, of an earlier view of the same body.
    """

    def __init__(
        self, positions: NDArray[np.float32], layout: SkeletonLayout, plane: NDArray[np.float64] | None = None
    ) -> None:
        joints = positions.astype(np.float64)
        self.plane = _plane(joints - joints.mean(axis=1, keepdims=True), layout) if plane is None else plane
        flat = joints @ self.plane  # (L, V, 2)
        low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
        figure = np.ptp(flat, axis=1).max(axis=0)
        self._middle, self._way = (low + high) / 2, high - low
        self._extent = np.maximum(np.minimum(high - low, FOLLOWED * figure), 1e-6)

    def onto(self, canvas: Canvas, figure: NDArray[np.floating]) -> Placing:
        """What turns points (N, 3) into dots (N, 2) of a canvas on which all of `figure` (V, 3) is to be seen."""
        room = np.asarray([canvas.width - 7, canvas.height - 7])
        scale = float((room / self._extent).min())
        reach = room / scale / 2
        flat = np.asarray(figure, dtype=np.float64) @ self.plane
        low, high = flat.min(axis=0), flat.max(axis=0)
        aside = ASIDE_SHARE * np.maximum(reach - (high - low) / 2, 0)  # how far from the middle of the canvas it may be
        followed = np.clip(self._middle, (low + high) / 2 - aside, (low + high) / 2 + aside)
        middle = np.where(self._way <= 2 * reach, self._middle, followed)
        centre = np.asarray([canvas.width - 1, canvas.height - 1]) / 2
        return lambda points: centre + scale * (points @ self.plane - middle)


def _plane(figure: NDArray[np.float64], layout: SkeletonLayout) -> NDArray[np.float64]:
    """(3, 2) the directions to the right, and down as dots are counted; figure: (L, V, 3) about its own middle."""
    up = np.asarray(layout.up) / np.linalg.norm(layout.up)
    depth = np.asarray([0.0, 0.0, 1.0]) if abs(up[2]) < 0.5 else np.asarray([0.0, 1.0, 0.0])
    right = np.cross(up, depth)
    points = figure.reshape(-1, 3)
    level = points @ np.stack([right, depth], axis=1)
    spread, directions = np.linalg.eigh(level.T @ level / len(level))
    height = float(np.mean((points @ up) ** 2))
    if spread[0] > FLAT * height:  # lies flat: seen from above
        return np.stack([right, -depth], axis=1)
    across = directions[:, 1] if spread[1] > ROUND * spread[0] else _turned(ASIDE)
    across = across * (1 if across[0] >= 0 else -1)
    return np.stack([across[0] * right + across[1] * depth, -up], axis=1)


def _turned(degrees: float) -> NDArray[np.float64]:
    return np.asarray([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])


@dataclass(frozen=True)
class SkeletonPicture:
    """A skeleton that fills the space it is given.

    joints: (V, 3); marks: (N, 3) points drawn large in `style`; trail: (n, 3) where a joint has been; others: (V, 3) of
    further bodies.
    """

    view: View
    layout: SkeletonLayout
    joints: NDArray[np.float32]
    marks: NDArray[np.float32]
    trail: NDArray[np.float32]
    style: str
    others: tuple[NDArray[np.float32], ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        canvas = Canvas(max(1, options.max_width), max(1, options.height or 16))
        dots = self.view.onto(canvas, np.concatenate([self.joints, *self.others]))
        canvas.dots(dots(self.trail), "bright_black")
        for body, style in [*((other, "bright_black") for other in self.others), (self.joints, "white")]:
            placed = dots(body)
            for joint, parent in enumerate(self.layout.parents):
                canvas.line(placed[parent], placed[joint], style)
        for mark in dots(self.marks):
            canvas.blob(mark, 1.5, self.style)
        yield canvas.text()
