"""Whose joints a recording or a stream has: another joint order mapped onto a layout.

A source is data: one JSON file. The built-in ones lie in ``adasgn_edge/data/sources``; one of your own is given by its
path. A mapping is linear: each joint of a layout is a weighted sum of joints of the source. The keys of the file:

==============  =====================================================================================================
``name``        short name
``aliases``     other names for it
``about``       what it is, for people
``hand``        whether it is a hand; else it is a body
``camera``      whether pictures lie behind it, which a program may have mirrored before the joints were found in them
``dimensions``  3, or 2 for places in a picture, which need a depth image to become positions
``centred``     whether it may come relative to the middle of the hand or body, in which form its path is lost
``axes``        where x, y and z point as it gives them, in the words of :mod:`adasgn_edge.data.axes`; null where
                nothing usual can be said
``axes_note``   what is to be said of that to people
``units``       metres of one unit as it gives them; null as above
``units_note``  what is to be said of that to people
``facts``       where order and rules come from, and how good the rules are
``joints``      names in the order of its coordinates
``mappings``    for each layout, each of its joints: a joint of the source, or an object of joints and weights; a
                joint's weights sum to 1
==============  =====================================================================================================

What a recording or a stream of it is in fact (axes, units, mirrored, side) is stated by whoever brings it:
:mod:`adasgn_edge.data.description`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.axes import Axes, parse_axes, parse_units, units_text
from adasgn_edge.data.persons import Body
from adasgn_edge.data.reading import read_lines
from adasgn_edge.errors import AdaSGNError, ClipError, LayoutError, SourceError
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import shown

__all__ = [
    "JointMap",
    "Orientation",
    "Source",
    "builtin_sources",
    "is_hand",
    "load_source",
    "other_side",
    "sources_for",
]

TEXTS = ("name", "about", "axes_note", "units_note", "facts")
FLAGS = ("hand", "camera", "centred")
KEYS = (*TEXTS, *FLAGS, "aliases", "dimensions", "axes", "units", "joints", "mappings")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
LARGEST_SCALE = 1e9
FORMER_KEYS = {"flip", "scale"}
"""Of descriptions before axes and units were data."""


class JointMap:
    """Weights (V, S) that make a layout's joints of a source's; NaN where one that a joint is made of is missing."""

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self.matrix = matrix  # (V, S)
        self._uses = np.ascontiguousarray((matrix != 0).T, dtype=np.float32)  # (S, V)
        self.copies = np.flatnonzero((matrix != 0).sum(axis=1) == 1)
        self.copied = matrix[self.copies].argmax(axis=1)

    def __call__(self, positions: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(..., S, 3) positions and (..., S) which are missing to (..., V, 3), float32.

        Added in the order of the source's joints, as data sets have been converted: runs know them by every bit.
        """
        mapped = np.einsum("vs,...sc->...vc", self.matrix, np.where(missing[..., None], np.float32(0), positions))
        if not missing.any():
            return mapped
        mapped[missing.astype(np.float32) @ self._uses > 0] = np.nan
        return mapped


@dataclass(frozen=True)
class Source:
    """One joint order and its mappings; see the module's table of keys."""

    name: str
    aliases: tuple[str, ...]
    about: str
    hand: bool
    camera: bool
    dimensions: int
    centred: bool
    axes: Axes | None
    axes_note: str
    units: float | None
    units_note: str
    facts: str
    joints: tuple[str, ...]
    mappings: dict[str, dict[str, dict[str, float]]]

    @property
    def options(self) -> str:
        """The options of `classify` and `stream` for its recordings as they come."""
        options = [f"--source {self.name}"]
        if self.dimensions == 2:  # once lifted
            options.append("--axes optical --units m")
        elif self.axes is None or self.units is None:
            options.append(f"--axes {'source' if self.axes else 'X,Y,Z'} --units {units_text(self.units or 1)}")
        else:
            options.append("--axes source")
        options += ["--mirrored|--not-mirrored"] if self.camera else []
        options += ["--side left|right"] if self.hand else []
        return " ".join(options)

    def fits(self, layout: SkeletonLayout) -> bool:
        """Whether it is mapped onto the layout, or has the very joints of it."""
        return layout.name in self.mappings or self.joints == layout.joints

    def matrix(self, layout: SkeletonLayout) -> NDArray[np.float32]:
        """Weights (V of the layout, V of the source); raises LayoutError when there is no mapping onto the layout."""
        mapping = self.mappings.get(layout.name)
        if mapping is None and self.joints == layout.joints:
            return np.eye(layout.joint_count, dtype=np.float32)
        if mapping is None:
            known = ", ".join(self.mappings) or "none"
            reason = ""
            if self.hand != is_hand(layout):
                kinds = {True: "a hand", False: "a body"}
                reason = f": {kinds[self.hand]} has not the joints of {kinds[not self.hand]}"
            raise LayoutError(
                f"source {self.name!r}: expected a mapping onto the model's layout {layout.name!r}; it has {known}"
                f"{reason}"
            )
        if set(mapping) != set(layout.joints):
            raise LayoutError(
                f"source {self.name!r}: its mapping onto {layout.name!r} names other joints than the layout"
            )
        matrix = np.zeros((layout.joint_count, len(self.joints)), dtype=np.float32)
        for joint, weights in mapping.items():
            for source_joint, weight in weights.items():
                matrix[layout.index(joint), self.joints.index(source_joint)] = weight
        return matrix

    def onto(self, layout: SkeletonLayout, body: Body) -> Body:
        """The body with the layout's joints. A joint is missing (NaN) where one that it is made of is.

        A joint of exact zeros, the mark of many trackers for a missing one, is taken as missing too, unless it is zero
        in every frame: then it is the origin of the coordinates. A mere copy stays as it is.
        """
        joints = JointMap(self.matrix(layout))
        positions = body.positions
        zero = (positions == 0).all(axis=-1)  # (L, V of the source)
        mapped = joints(positions, np.isnan(positions).any(axis=-1) | (zero & ~zero.all(axis=0)))
        mapped[:, joints.copies] = positions[:, joints.copied]
        return Body(body.frames, mapped)

    @classmethod
    def from_dict(cls, data: Any) -> Source:
        """Build and check a source; raises LayoutError that names the first thing wrong with it."""
        if not isinstance(data, dict):
            raise LayoutError(f"source: expected a JSON object, found {type(data).__name__}")
        if set(data) != set(KEYS):
            missing, unknown = [key for key in KEYS if key not in data], sorted(set(data) - set(KEYS))
            wrong = f"{', '.join(missing)} missing" if missing else f"unknown key {shown(unknown[0])}"
            if FORMER_KEYS & set(data):
                wrong += "; axes and units are stated in place of flip and scale"
            raise LayoutError(f"source: expected the keys {', '.join(KEYS)}; {wrong}")
        name = data["name"] if isinstance(data["name"], str) else "?"

        def check(good: bool, message: str) -> None:
            if not good:
                raise LayoutError(f"source {shown(name)}: {message}")

        for key in TEXTS:
            check(isinstance(data[key], str), f"{key}: expected text, found {type(data[key]).__name__}")
        for key in ("aliases", "joints"):
            good = isinstance(data[key], list) and all(isinstance(entry, str) for entry in data[key])
            check(good and len(set(data[key])) == len(data[key]), f"{key}: expected a list of different names")
        check(len(data["joints"]) > 0, "joints: expected at least one")
        for key in FLAGS:
            check(isinstance(data[key], bool), f"{key}: expected true or false, found {shown(data[key])}")
        check(data["dimensions"] in (2, 3), f"dimensions: expected 2 or 3, found {shown(data['dimensions'])}")
        try:
            axes = None if data["axes"] is None else parse_axes(data["axes"])
            units = None if data["units"] is None else parse_units(data["units"])
        except SourceError as error:
            raise LayoutError(f"source {shown(name)}: {error}") from None
        check(isinstance(data["mappings"], dict), "mappings: expected an object of layouts")
        mappings: dict[str, dict[str, dict[str, float]]] = {}
        for layout, joints in data["mappings"].items():
            check(isinstance(joints, dict), f"mappings, {shown(layout)}: expected an object of joints")
            mappings[layout] = {}
            for joint, rule in joints.items():
                weights = {rule: 1.0} if isinstance(rule, str) else rule
                where = f"mappings, {shown(layout)}, {shown(joint)}"
                check(isinstance(weights, dict) and bool(weights), f"{where}: expected a joint, or joints and weights")
                mappings[layout][joint] = {source: _number(weight) for source, weight in weights.items()}
                for source in weights:
                    check(source in data["joints"], f"{where}: no joint {shown(source)} in the source")
                total = sum(mappings[layout][joint].values())
                check(abs(total - 1) < 1e-4, f"{where}: expected weights that sum to 1, found {total:g}")
        return cls(
            **{key: data[key] for key in (*TEXTS, *FLAGS, "dimensions")},
            aliases=tuple(data["aliases"]),
            axes=axes,
            units=units,
            joints=tuple(data["joints"]),
            mappings=mappings,
        )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LayoutError(f"source: expected a number, found {shown(str(value))}")
    return float(value)


@dataclass(frozen=True)
class Orientation:
    """What makes a layout's coordinates of others: x to the subject's right, y up, z away from the camera, metres.

    flip: axes to negate, of "xyz"; mirror: x negated, and joints of the left and the right changed about: a left hand
    becomes a right one; scale: factor of all coordinates, 0.001 for millimetres. Raises ClipError for other values.
    """

    flip: str = ""
    mirror: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        axes = self.flip.lower()
        if set(axes) - set("xyz") or len(set(axes)) != len(axes):
            raise ClipError(f"flip: expected axes such as y or xz, each once; found {shown(self.flip)}")
        if not 1 / LARGEST_SCALE <= self.scale <= LARGEST_SCALE:
            raise ClipError(f"scale: expected a positive factor, such as 0.001 for millimetres; found {self.scale:g}")

    def apply(self, layout: SkeletonLayout, body: Body) -> Body:
        """The body, joints in the order of the layout, in the layout's axes, side and units."""
        if self == Orientation():
            return body
        factors = [-self.scale if axis in self.flip.lower() else self.scale for axis in "xyz"]
        positions = body.positions
        if self.mirror:
            factors[0] = -factors[0]
            positions = positions[:, other_side(layout)]
        return Body(body.frames, positions * np.asarray(factors, dtype=np.float32))


def is_hand(layout: SkeletonLayout) -> bool:
    """Whether the layout is one hand, of whose joints none is called left or right, rather than a body."""
    words = {word.lower() for joint in layout.joints for word in WORD.findall(joint)}
    return not words & {"left", "right", "l", "r"}


def other_side(layout: SkeletonLayout) -> list[int]:
    """(V,) the index of each joint's counterpart on the other side; of a joint in the middle, its own."""
    swap = {"left": "right", "right": "left"}
    other = []
    for joint in layout.joints:
        words = [swap.get(word, word) for word in joint.split("_")]
        other.append(layout.index("_".join(words)))
    return other


def builtin_sources() -> tuple[str, ...]:
    """Names of the sources that come with the package."""
    return tuple(sorted(_builtin()))


@cache
def _builtin() -> dict[str, Source]:
    folder = resources.files("adasgn_edge") / "data" / "sources"
    texts = [entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.name.endswith(".json")]
    sources = [Source.from_dict(json.loads(text)) for text in texts]
    return {source.name: source for source in sources}


def load_source(name: str | Path | Source) -> Source:
    """A built-in source by its name or an alias (``"mediapipe-hand-21"``), or one's own by the path of its JSON file.

    Raises LayoutError for an unknown name, a missing file or a malformed source.
    """
    if isinstance(name, Source):
        return name
    for source in _builtin().values():
        if str(name).lower().replace("_", "-") in (source.name, *source.aliases):
            return source
    if Path(name).suffix.lower() != ".json":
        known = ", ".join(builtin_sources())
        raise LayoutError(f"source: expected one of {known}, or the path of a .json file; found {shown(str(name))}")
    try:
        data = json.loads("\n".join(read_lines(Path(name))))
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, AdaSGNError) else f"{name}: not valid JSON ({error})"
        raise LayoutError(f"source {reason}") from None
    return Source.from_dict(data)


def sources_for(layout: SkeletonLayout) -> Sequence[Source]:
    """The built-in sources that fit the layout."""
    return [source for _, source in sorted(_builtin().items()) if source.fits(layout)]
