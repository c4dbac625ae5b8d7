"""Where a clip comes from: another joint order mapped onto a layout; axes, side and units set right.

A source is data: one JSON file. The built-in ones lie in ``adasgn_edge/data/sources``; one of your own is given by its
path. A mapping is linear: each joint of a layout is a weighted sum of joints of the source. The keys of the file:

============  =======================================================================================================
``name``      short name
``aliases``   other names for it
``about``     what it is, for people
``axes``      where x, y and z point in its recordings, for people
``units``     of its recordings, for people
``flip``      the axes to negate in its recordings as they come, so that x points to the subject's right, y up and z
              away from the camera: what ``--flip`` is then given. Never applied unasked: one may have converted them
``scale``     the factor that makes metres of its recordings as they come: what ``--scale`` is then given
``facts``     where order and rules come from, and how good the rules are
``joints``    names in the order of its coordinates
``mappings``  for each layout, each of its joints: a joint of the source, or an object of joints and weights; a joint's
              weights sum to 1
============  =======================================================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.persons import Body
from adasgn_edge.data.reading import read_lines
from adasgn_edge.errors import AdaSGNError, ClipError, LayoutError
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import shown

__all__ = ["Orientation", "Source", "builtin_sources", "load_source", "sources_for"]

TEXTS = ("name", "about", "axes", "units", "flip", "facts")
KEYS = {*TEXTS, "aliases", "scale", "joints", "mappings"}


@dataclass(frozen=True)
class Source:
    """One joint order and its mappings; see the module's table of keys."""

    name: str
    aliases: tuple[str, ...]
    about: str
    axes: str
    units: str
    flip: str
    scale: float
    facts: str
    joints: tuple[str, ...]
    mappings: dict[str, dict[str, dict[str, float]]]

    @property
    def options(self) -> str:
        """The options of `classify` for its recordings as they come."""
        options = [f"--source {self.name}"]
        options += [f"--flip {self.flip}"] if self.flip else []
        options += [f"--scale {self.scale:g}"] if self.scale != 1 else []
        return " ".join(options)

    def matrix(self, layout: SkeletonLayout) -> NDArray[np.float32]:
        """Weights (V of the layout, V of the source); raises LayoutError when there is no mapping onto the layout."""
        mapping = self.mappings.get(layout.name)
        if mapping is None:
            known = ", ".join(self.mappings) or "none"
            raise LayoutError(
                f"source {self.name!r}: expected a mapping onto the model's layout {layout.name!r}; it has {known}"
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
        matrix = self.matrix(layout)
        positions = body.positions
        zero = (positions == 0).all(axis=-1)  # (L, V of the source)
        missing = np.isnan(positions).any(axis=-1) | (zero & ~zero.all(axis=0))
        mapped = np.einsum("vs,lsc->lvc", matrix, np.where(missing[..., None], np.float32(0), positions))
        mapped[missing.astype(np.float32) @ (matrix != 0).T.astype(np.float32) > 0] = np.nan
        copies = np.flatnonzero((matrix != 0).sum(axis=1) == 1)
        mapped[:, copies] = positions[:, matrix[copies].argmax(axis=1)]
        return Body(body.frames, mapped.astype(np.float32, copy=False))

    @classmethod
    def from_dict(cls, data: Any) -> Source:
        """Build and check a source; raises LayoutError that names the first thing wrong with it."""
        if not isinstance(data, dict):
            raise LayoutError(f"source: expected a JSON object, found {type(data).__name__}")
        if set(data) != KEYS:
            missing, unknown = sorted(KEYS - set(data)), sorted(set(data) - KEYS)
            wrong = f"{', '.join(missing)} missing" if missing else f"unknown key {shown(unknown[0])}"
            raise LayoutError(f"source: expected the keys {', '.join(sorted(KEYS))}; {wrong}")
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
        Orientation(data["flip"], False, _number(data["scale"]))
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
        texts = {key: data[key] for key in TEXTS}
        return cls(
            **texts,
            aliases=tuple(data["aliases"]),
            scale=_number(data["scale"]),
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
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ClipError(f"scale: expected a positive factor, such as 0.001 for millimetres; found {self.scale:g}")

    def apply(self, layout: SkeletonLayout, body: Body) -> Body:
        """The body, joints in the order of the layout, in the layout's axes, side and units."""
        if self == Orientation():
            return body
        factors = [-self.scale if axis in self.flip.lower() else self.scale for axis in "xyz"]
        positions = body.positions
        if self.mirror:
            factors[0] = -factors[0]
            positions = positions[:, _other_side(layout)]
        return Body(body.frames, positions * np.asarray(factors, dtype=np.float32))


def _other_side(layout: SkeletonLayout) -> list[int]:
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
    """The built-in sources with a mapping onto the layout."""
    return [source for _, source in sorted(_builtin().items()) if layout.name in source.mappings]
