"""Skeleton layouts: what the V joints of a clip are and how they belong together.

A layout is data: one JSON file. The built-in ones (``shrec22``, ``ntu25``, ``coco17``, ``mediapipe21`` and more) lie in
``adasgn_edge/layouts``; a layout of your own is loaded by its path::

    layout = load_layout("my_robot_hand.json")

and is accepted wherever a layout name is (recipes, recordings, the command line). The keys of the file:

==============  ===============================================================================================
``name``        short name, also used in file metadata
``joints``      V names, in the order of the coordinates
``bones``       ``[child, parent]`` names, each joint but the root once as a child: the tree that the bone stream
                subtracts along and that pictures are drawn with
``origin``      the joint whose position in the first frame becomes (0, 0, 0), or a list of joints, whose mean does
``scale_bone``  two joints whose distance in the first frame becomes 1, or ``null``: coordinates stay in metres
``up``          ``[x, y, z]``: the direction of "up" in the recorded coordinates, for drawing
``joint_sets``  for each reduced joint count V_i the V_i groups of joint names whose means initialise the
                transform M_i; groups are disjoint. V itself needs no entry: the identity
``conventions`` (may be missing) how recordings of this layout are to be made, see :class:`Conventions`
==============  ===============================================================================================

Other keys are refused, so that a misspelt one does not go unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import LayoutError
from adasgn_edge.lazy import cached_property
from adasgn_edge.text_file import parse_json, read_text
from adasgn_edge.wording import nearest, shown

__all__ = ["Chirality", "Conventions", "SkeletonLayout", "builtin_layouts", "load_layout", "stated_conventions"]


LARGEST_LAYOUT = 256
"""Joints that a layout may have; the engine's limit too."""
MOST_VECTORS = 1024
REQUIRED_KEYS = ("name", "joints", "bones", "origin")
KEYS = (*REQUIRED_KEYS, "scale_bone", "up", "joint_sets", "conventions")


@dataclass(frozen=True)
class Chirality:
    """What is on one side of a body: fingers curl towards the palm, toes point forwards.

    plane: three joints, anticlockwise seen from that side; towards: (from, to) joints whose vectors point there
    """

    plane: tuple[str, str, str]
    towards: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of the key ``chirality``."""
        return {"plane": list(self.plane), "towards": [list(pair) for pair in self.towards]}


@dataclass(frozen=True)
class Conventions:
    """How recordings of a layout are made: a model only knows what looks like what it was trained on.

    axes: where x, y and z point, in words; units: of the coordinates; side: which hand or side, in words
    upright: (lower, upper) joints of which the second is above the first, as "up" goes, in nearly every recording
    extent: (least, most) size of what is recorded along its longest axis, in the units; null where a scale bone makes
    recordings of every size alike
    chirality: how a recording is told from its mirror image: vectors that point to the side of a plane, or null
    """

    axes: str
    units: str
    side: str
    upright: tuple[str, str] | None
    extent: tuple[float, float] | None
    chirality: Chirality | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of the key ``conventions``."""
        return {
            "axes": self.axes,
            "units": self.units,
            "side": self.side,
            "upright": list(self.upright) if self.upright else None,
            "extent": list(self.extent) if self.extent else None,
            "chirality": self.chirality.to_dict() if self.chirality else None,
        }


@dataclass(frozen=True)
class SkeletonLayout:
    """Joint names, bones and joint groups of one kind of skeleton; see the module's table of keys."""

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[str, str], ...]
    origin: tuple[str, ...]
    scale_bone: tuple[str, str] | None
    up: tuple[float, float, float]
    joint_sets: dict[int, tuple[tuple[str, ...], ...]]
    conventions: Conventions | None = field(default=None, compare=False)

    @property
    def joint_count(self) -> int:
        """V, the number of joints."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Index of a joint in the coordinate order; raises LayoutError for a name that is not in the layout."""
        try:
            return self.joints.index(joint)
        except ValueError:
            raise LayoutError(
                f"layout {self.name!r}: no joint {joint!r}; its joints are {', '.join(self.joints)}"
            ) from None

    @cached_property
    def parents(self) -> NDArray[np.int64]:
        """(V,) index of each joint's parent; the root is its own parent, so that its bone is zero."""
        parents = np.arange(self.joint_count)
        for child, parent in self.bones:
            parents[self.index(child)] = self.index(parent)
        return parents

    @cached_property
    def origin_indices(self) -> tuple[int, ...]:
        """Indices of the joints whose mean is the origin, one or more."""
        return tuple(self.index(joint) for joint in self.origin)

    @property
    def origin_joint(self) -> int:
        """Index of the one joint that is the origin; raises LayoutError where several are."""
        if len(self.origin) > 1:
            raise LayoutError(
                f"layout {self.name!r}: expected one origin joint, found the mean of {', '.join(self.origin)}"
            )
        return self.origin_indices[0]

    def origin_of(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """(3,) where the origin is in a frame (V, 3), float32."""
        if len(self.origin) == 1:
            return frame[self.origin_indices[0]]
        return frame[list(self.origin_indices)].mean(axis=0, dtype=np.float64).astype(np.float32)

    @cached_property
    def joint_counts(self) -> tuple[int, ...]:
        """All joint counts a model can use without a transform of the user's own, ascending, V included."""
        return tuple(sorted({*self.joint_sets, self.joint_count}))

    def group_averages(self, joint_count: int) -> NDArray[np.float32]:
        """Initial transform M_i, shape (V_i, V): each row averages one joint group (paper, Eq. 3).

        Raises LayoutError when the layout defines no joint set of that count.
        """
        if joint_count == self.joint_count and joint_count not in self.joint_sets:
            return np.eye(joint_count, dtype=np.float32)
        if joint_count not in self.joint_sets:
            known = ", ".join(map(str, self.joint_counts))
            raise LayoutError(f"layout {self.name!r}: no joint set of {joint_count} joints; it has {known}")
        matrix = np.zeros((joint_count, self.joint_count), dtype=np.float32)
        for row, group in enumerate(self.joint_sets[joint_count]):
            matrix[row, [self.index(joint) for joint in group]] = 1 / len(group)
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """The layout as the JSON object that :func:`load_layout` reads."""
        data: dict[str, Any] = {
            "name": self.name,
            "joints": list(self.joints),
            "bones": [list(bone) for bone in self.bones],
            "origin": self.origin[0] if len(self.origin) == 1 else list(self.origin),
            "scale_bone": list(self.scale_bone) if self.scale_bone else None,
            "up": list(self.up),
            "joint_sets": {str(count): [list(g) for g in groups] for count, groups in self.joint_sets.items()},
        }
        if self.conventions is not None:
            data["conventions"] = self.conventions.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SkeletonLayout:
        """Build and check a layout; raises LayoutError that names the first thing wrong with it."""
        _expect_keys("layout", data, KEYS, REQUIRED_KEYS)
        joints = _names("joints", data["joints"])
        if len(joints) > LARGEST_LAYOUT:
            raise LayoutError(f"layout: joints: expected at most {LARGEST_LAYOUT}, found {len(joints)}")
        bones, sets = data["bones"], data.get("joint_sets", {})
        if not isinstance(bones, list):
            raise LayoutError(f"layout: bones: expected a list of [child, parent], found {shown(bones)}")
        if not isinstance(sets, dict) or not all(_is_count(key) for key in sets):
            raise LayoutError(f"layout: joint_sets: expected an object with joint counts as keys, found {shown(sets)}")
        layout = cls(
            name=_text("name", data["name"]),
            joints=joints,
            bones=tuple(_pair("bones", bone) for bone in bones),
            origin=_origin(data["origin"]),
            scale_bone=_pair("scale_bone", data["scale_bone"]) if data.get("scale_bone") is not None else None,
            up=_numbers("up", data.get("up", (0, 1, 0)), 3),  # type: ignore[arg-type]
            joint_sets={int(count): _groups(count, groups) for count, groups in sets.items()},
            conventions=_conventions(data["conventions"]) if data.get("conventions") is not None else None,
        )
        layout._check()
        return layout

    def _check(self) -> None:
        def fail(message: str) -> None:
            raise LayoutError(f"layout {self.name!r}: {message}")

        if not self.joints:
            fail("expected at least one joint, found none")
        if len(set(self.joints)) != self.joint_count:
            fail("joint names repeat")
        if len(set(self.origin)) != len(self.origin):
            fail("origin: expected each joint once, found one repeated")
        named = [*self.origin, *(self.scale_bone or ())]
        if self.conventions is not None:
            named += self.conventions.upright or ()
            if self.conventions.chirality is not None:
                named += [*self.conventions.chirality.plane, *sum(self.conventions.chirality.towards, ())]
        for joint in named:
            self.index(joint)
        if not any(self.up):
            fail("up: expected a direction, found only zeros")
        for child, parent in self.bones:
            if child == parent:
                fail(f"bones: expected two joints, found {child!r} twice")
        children = [child for child, _ in self.bones]
        if len(set(children)) != len(children):
            fail("a joint is the child of two bones")
        if self.bones and len(children) != self.joint_count - 1:
            fail(f"expected {self.joint_count - 1} bones, found {len(children)}")
        for start in range(self.joint_count):  # every joint must lead to the root
            place, steps = start, 0
            while self.parents[place] != place:
                place, steps = int(self.parents[place]), steps + 1
                if steps > self.joint_count:
                    fail(f"the bones of joint {self.joints[start]!r} run in a circle")
        for count, groups in self.joint_sets.items():
            if count < 1:
                fail(f"joint set {count}: expected at least one group")
            named = [joint for group in groups for joint in group]
            if count != len(groups):
                fail(f"joint set {count}: expected {count} groups, found {len(groups)}")
            if not all(groups) or len(set(named)) != len(named):
                fail(f"joint set {count}: groups must be non-empty and disjoint")
            for joint in named:
                self.index(joint)


def _expect_keys(what: str, data: Any, known: Sequence[str], required: Sequence[str]) -> None:
    if not isinstance(data, dict):
        raise LayoutError(f"{what}: expected an object, found {shown(data)}")
    for key in required:
        if key not in data:
            raise LayoutError(f"{what}: key {key!r} is missing; expected {', '.join(required)}")
    for key in data:
        if key not in known:
            near = nearest(str(key), known)
            hint = f"; did you mean {near!r}?" if near else ""
            raise LayoutError(f"{what}: expected the keys {', '.join(known)}, found also {shown(key)}{hint}")


def _conventions(data: Any) -> Conventions:
    keys = [key.name for key in fields(Conventions)]
    _expect_keys("layout: conventions", data, keys, keys)
    extent = None
    if data["extent"] is not None:
        extent = _numbers("conventions: extent", data["extent"], 2)
        if not 0 < extent[0] < extent[1]:
            raise LayoutError(f"layout: conventions: extent: expected least and most, found {shown(data['extent'])}")
    return Conventions(
        axes=_text("conventions: axes", data["axes"]),
        units=_text("conventions: units", data["units"]),
        side=_text("conventions: side", data["side"]),
        upright=None if data["upright"] is None else _pair("conventions: upright", data["upright"]),
        extent=None if extent is None else (extent[0], extent[1]),
        chirality=None if data["chirality"] is None else _chirality(data["chirality"]),
    )


def _chirality(data: Any) -> Chirality:
    keys = [key.name for key in fields(Chirality)]
    _expect_keys("layout: conventions: chirality", data, keys, keys)
    plane, towards = _names("conventions: plane", data["plane"]), data["towards"]
    if len(plane) != 3:
        raise LayoutError(f"layout: conventions: plane: expected three joints, found {shown(list(plane))}")
    if not isinstance(towards, list | tuple) or not 0 < len(towards) <= MOST_VECTORS:
        raise LayoutError(f"layout: conventions: towards: expected a list of [from, to], found {shown(towards)}")
    return Chirality((plane[0], plane[1], plane[2]), tuple(_pair("conventions: towards", pair) for pair in towards))


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise LayoutError(f"layout: {key}: expected a text, found {shown(value)}")
    return value


def _names(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise LayoutError(f"layout: {key}: expected a list of names, found {shown(value)}")
    return tuple(value)


def _origin(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_text("origin", value),)
    if not isinstance(value, list | tuple) or not value:
        raise LayoutError(f"layout: origin: expected a joint or a list of joints, found {shown(value)}")
    return _names("origin", value)


def _is_count(key: Any) -> bool:
    return isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) < 5


def _pair(key: str, value: Any) -> tuple[str, str]:
    names = _names(key, value)
    if len(names) != 2:
        raise LayoutError(f"layout: {key}: expected two joints, found {shown(value)}")
    return names[0], names[1]


def _groups(count: str, value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list | tuple):
        raise LayoutError(f"layout: joint set {count}: expected a list of groups, found {shown(value)}")
    return tuple(_names(f"joint set {count}", group) for group in value)


def _numbers(key: str, value: Any, count: int) -> tuple[float, ...]:
    ok = isinstance(value, list | tuple) and len(value) == count
    if not ok or not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e30 for v in value):
        raise LayoutError(f"layout: {key}: expected {count} numbers, found {shown(value)}")
    return tuple(float(number) for number in value)


def builtin_layouts() -> tuple[str, ...]:
    """Names of the layouts that come with the package."""
    folder = resources.files("adasgn_edge") / "layouts"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


SHARPER = {
    "shrec22": Chirality(
        ("wrist", "index_base", "little_base"),
        (
            ("wrist", "thumb_joint_2"),
            ("index_base", "index_joint_1"),
            ("middle_base", "middle_joint_1"),
            ("ring_base", "ring_joint_1"),
            ("little_base", "little_joint_1"),
        ),
    )
}
"""What tells recordings of a built-in layout from their mirror images better than its own file does. The file stays as
it is: data sets are known by a digest of it."""


def stated_conventions(layout: SkeletonLayout) -> Conventions | None:
    """The layout's conventions; a built-in layout that states none has its file's. See also :data:`SHARPER`."""
    if layout.name not in builtin_layouts():
        return layout.conventions
    builtin = load_layout(layout.name)
    known, stated = builtin.conventions, layout.conventions
    if builtin != layout or known is None or stated not in (None, known):
        return stated
    return replace(known, chirality=SHARPER.get(layout.name, known.chirality))


def load_layout(name: str | Path | SkeletonLayout) -> SkeletonLayout:
    """A built-in layout by name (``"shrec22"``) or one's own by the path of its JSON file.

    Raises LayoutError for an unknown name, a missing file or a malformed layout.
    """
    if isinstance(name, SkeletonLayout):
        return name
    if str(name) in builtin_layouts():
        text = (resources.files("adasgn_edge") / "layouts" / f"{name}.json").read_text(encoding="utf-8")
    elif Path(name).suffix == ".json":
        text = read_text(Path(name), "a layout", LayoutError)
    else:
        known = ", ".join(builtin_layouts())
        raise LayoutError(
            f"unknown layout {shown(str(name), 100)}: expected one of {known}, or the path of a .json file"
        )
    return SkeletonLayout.from_dict(parse_json(text, f"layout {name}:", LayoutError))
