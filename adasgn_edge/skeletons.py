"""Skeleton layouts: what the V joints of a clip are and how they belong together.

A layout is data: one JSON file. The built-in ones (``ntu25``, ``shrec22``, ``kinect20``) lie in
``adasgn_edge/layouts``; a layout of your own is loaded by its path::

    layout = load_layout("my_robot_hand.json")

and is accepted wherever a layout name is (recipes, recordings, the command line). The keys of the file:

==============  ===============================================================================================
``name``        short name, also used in file metadata
``joints``      V names, in the order of the coordinates
``bones``       ``[child, parent]`` names, each joint but the root once as a child: the tree that the bone stream
                subtracts along and that pictures are drawn with
``origin``      the joint whose position in the first frame becomes (0, 0, 0)
``scale_bone``  two joints whose distance in the first frame becomes 1, or ``null``: coordinates stay in metres
``up``          ``[x, y, z]``: the direction of "up" in the recorded coordinates, for drawing
``joint_sets``  for each reduced joint count V_i the V_i groups of joint names whose means initialise the
                transform M_i; groups are disjoint. V itself needs no entry: the identity
==============  ===============================================================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import LayoutError

__all__ = ["SkeletonLayout", "builtin_layouts", "load_layout"]


@dataclass(frozen=True)
class SkeletonLayout:
    """Joint names, bones and joint groups of one kind of skeleton; see the module's table of keys."""

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[str, str], ...]
    origin: str
    scale_bone: tuple[str, str] | None
    up: tuple[float, float, float]
    joint_sets: dict[int, tuple[tuple[str, ...], ...]]

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
        return {
            "name": self.name,
            "joints": list(self.joints),
            "bones": [list(bone) for bone in self.bones],
            "origin": self.origin,
            "scale_bone": list(self.scale_bone) if self.scale_bone else None,
            "up": list(self.up),
            "joint_sets": {str(count): [list(g) for g in groups] for count, groups in self.joint_sets.items()},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SkeletonLayout:
        """Build and check a layout; raises LayoutError that names the first thing wrong with it."""
        try:
            layout = cls(
                name=str(data["name"]),
                joints=tuple(data["joints"]),
                bones=tuple((child, parent) for child, parent in data["bones"]),
                origin=data["origin"],
                scale_bone=tuple(data["scale_bone"]) if data.get("scale_bone") else None,
                up=tuple(float(c) for c in data.get("up", (0, 1, 0))),  # type: ignore[arg-type]
                joint_sets={
                    int(count): tuple(tuple(group) for group in groups)
                    for count, groups in data.get("joint_sets", {}).items()
                },
            )
        except KeyError as error:
            raise LayoutError(f"layout: key {error} is missing; expected name, joints, bones, origin") from None
        except (TypeError, ValueError) as error:
            raise LayoutError(f"layout: malformed value ({error})") from None
        layout._check()
        return layout

    def _check(self) -> None:
        def fail(message: str) -> None:
            raise LayoutError(f"layout {self.name!r}: {message}")

        if not self.joints:
            fail("expected at least one joint, found none")
        if len(set(self.joints)) != self.joint_count:
            fail("joint names repeat")
        self.index(self.origin)
        if self.scale_bone is not None:
            if len(self.scale_bone) != 2:
                fail(f"scale_bone: expected two joints, found {len(self.scale_bone)}")
            for joint in self.scale_bone:
                self.index(joint)
        if len(self.up) != 3:
            fail(f"up: expected 3 numbers, found {len(self.up)}")
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


def builtin_layouts() -> tuple[str, ...]:
    """Names of the layouts that come with the package."""
    folder = resources.files("adasgn_edge") / "layouts"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def load_layout(name: str | Path | SkeletonLayout) -> SkeletonLayout:
    """A built-in layout by name (``"shrec22"``) or one's own by the path of its JSON file.

    Raises LayoutError for an unknown name, a missing file or a malformed layout.
    """
    if isinstance(name, SkeletonLayout):
        return name
    if str(name) in builtin_layouts():
        text = (resources.files("adasgn_edge") / "layouts" / f"{name}.json").read_text(encoding="utf-8")
    elif Path(name).suffix == ".json":
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise LayoutError(f"layout file {name}: {error.strerror or error}") from None
    else:
        known = ", ".join(builtin_layouts())
        raise LayoutError(f"unknown layout {str(name)!r}: expected one of {known}, or the path of a .json file")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise LayoutError(f"layout {name}: not valid JSON ({error})") from None
    if not isinstance(data, dict):
        raise LayoutError(f"layout {name}: expected a JSON object, found {type(data).__name__}")
    return SkeletonLayout.from_dict(data)
