"""Drawing with braille characters: 2 x 4 dots a character cell, and a skeleton drawn with them."""

from __future__ import annotations

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
    """The plane that a recording is drawn on: seen with the performer's eyes, a little from the side.

    positions: (L, V, 3), all that will be drawn; it decides the picture's bounds.
    """

    def __init__(self, positions: NDArray[np.float32], layout: SkeletonLayout, azimuth: float = 20.0) -> None:
        up = np.asarray(layout.up) / np.linalg.norm(layout.up)
        depth = np.asarray([0.0, 0.0, 1.0]) if abs(up[2]) < 0.5 else np.asarray([0.0, 1.0, 0.0])
        angle = np.deg2rad(azimuth)
        across = np.cos(angle) * np.cross(up, depth) + np.sin(angle) * depth
        self._axes = np.stack([across, -up], axis=1)  # (3, 2): to the right, and down as dots are counted
        flat = (positions @ self._axes).reshape(-1, 2)
        self._low, self._high = flat.min(axis=0), flat.max(axis=0)

    def __call__(self, points: NDArray[np.floating], canvas: Canvas) -> NDArray[np.float64]:
        """Points (N, 3) as dots (N, 2), the whole recording centred on the canvas and as large as fits."""
        room = np.asarray([canvas.width - 7, canvas.height - 7])
        scale = float((room / np.maximum(self._high - self._low, 1e-6)).min())
        middle = np.asarray([canvas.width - 1, canvas.height - 1]) / 2
        return middle + scale * (points @ self._axes - (self._low + self._high) / 2)


@dataclass(frozen=True)
class SkeletonPicture:
    """A skeleton that fills the space it is given.

    joints: (V, 3); marks: (N, 3) points drawn large in `style`; trail: (n, 3) where a joint has been.
    """

    view: View
    layout: SkeletonLayout
    joints: NDArray[np.float32]
    marks: NDArray[np.float32]
    trail: NDArray[np.float32]
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        canvas = Canvas(max(1, options.max_width), max(1, options.height or 16))
        canvas.dots(self.view(self.trail, canvas), "bright_black")
        joints = self.view(self.joints, canvas)
        for joint, parent in enumerate(self.layout.parents):
            canvas.line(joints[parent], joints[joint], "white")
        for mark in self.view(self.marks, canvas):
            canvas.blob(mark, 1.5, self.style)
        yield canvas.text()
