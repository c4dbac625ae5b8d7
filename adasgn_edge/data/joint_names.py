"""The joints that a file should hold, how people spell them, and whose they may be instead.

A name is taken apart into words at separators and where capital letters follow small ones. An axis may stand in front
or behind, as a word or as a letter; ``l``, ``r`` and a side behind the name are understood, so that ``HandTipLeft_X``,
``x_l_hand_tip`` and ``left hand tip.x`` are one column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from adasgn_edge.data.sources import Source, sources_for
from adasgn_edge.errors import ClipError
from adasgn_edge.lazy import cached_property
from adasgn_edge.skeletons import SkeletonLayout, builtin_layouts, load_layout
from adasgn_edge.wording import shown

__all__ = [
    "AXES", "CONFIDENCE", "OTHER_QUANTITIES", "JointNames", "NumberedAxis", "axis_splits", "numbered_axis",
    "numbered_confidence", "other_quantity", "split_words", "word_set",
]  # fmt: skip


def word_set(text: str) -> frozenset[str]:
    """The words of a text, to look others up in."""
    return frozenset(text.split())


AXES = "xyz"
CONFIDENCE = word_set(
    "conf confidence score scores visibility vis visible presence likelihood prob probability valid isvalid tracked "
    "istracked trackingstate trackingconfidence"
)
"""Words for how sure a tracker is, of a joint or of all of them."""
JOINT_CONFIDENCE = CONFIDENCE | word_set("c state")
"""Beside a joint's name, these too."""
FILLERS = word_set(
    "pos position positions p t trans translation location loc world global camera coord coords coordinate landmark "
    "landmarks keypoint kp 3d tracking"
)
"""Words beside a joint's name that say no more than that the numbers are its place."""
OTHER_QUANTITIES = word_set(
    "q quat quaternion rot rotation r orientation orient o euler angle angles v vel velocity a acc acceleration speed "
    "w omega normal dir direction size width radius"
)
"""Words for what is no place."""
SYNONYMS = {"l": "left", "r": "right", "pinky": "little", "pinkie": "little", "centre": "center"}
NUMBER = re.compile(r"(.*?)0*(\d{1,8})")


def split_words(name: str) -> list[str]:
    """The words of a name in small letters."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", re.sub(r"([A-Z])([A-Z][a-z])", r"\1 \2", name))
    return re.findall(r"[^\W_]+", name.casefold())


def axis_splits(words: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The ways to take an axis off: a word of its own behind or in front, a letter at the end or the beginning."""
    splits = []
    if words and words[-1] in tuple(AXES):
        splits.append((AXES.index(words[-1]), list(words[:-1])))
    if words and words[0] in tuple(AXES):
        splits.append((AXES.index(words[0]), list(words[1:])))
    if words and len(words[-1]) > 1 and words[-1][-1] in AXES:
        splits.append((AXES.index(words[-1][-1]), [*words[:-1], words[-1][:-1]]))
    if words and len(words[0]) > 1 and words[0][0] in AXES:
        splits.append((AXES.index(words[0][0]), [words[0][1:], *words[1:]]))
    return splits


def _key(words: Sequence[str]) -> str:
    """What all spellings of a joint's name have in common: no separators, the side in front."""
    key = "".join(SYNONYMS.get(word, word) for word in words)
    for side in ("left", "right"):
        if key.endswith(side) and key != side:
            return side + key[: -len(side)]
    return key


@dataclass(frozen=True)
class JointNames:
    """The joints that a file should hold, in its order, and whose they are: the layout's, or a source's."""

    joints: tuple[str, ...]
    layout: SkeletonLayout
    source: Source | None = None

    @classmethod
    def of(cls, layout: SkeletonLayout, source: Source | None) -> JointNames:
        """Those of the source, or without one of the layout."""
        return cls(source.joints if source else layout.joints, layout, source)

    @property
    def owner(self) -> str:
        """For messages."""
        return f"source {self.source.name!r}" if self.source else f"layout {self.layout.name!r}"

    @cached_property
    def _keys(self) -> dict[str, int]:
        keys = {_key(split_words(joint)): index for index, joint in enumerate(self.joints)}
        if len(keys) == len(self.joints):
            return keys
        return {"".join(split_words(joint)): index for index, joint in enumerate(self.joints)}

    def find(self, words: Sequence[str]) -> int | None:
        """The joint that words name, None for none."""
        for fillers in (frozenset[str](), FILLERS, FILLERS | {"joint"}):
            kept = [word for word in words if word not in fillers]
            for key in (_key(kept), "".join(kept)):
                if key in self._keys:
                    return self._keys[key]
        return None

    def joint_and_axis(self, words: Sequence[str]) -> tuple[int, int] | None:
        """The joint and the axis that words name, None for none."""
        for axis, rest in axis_splits(words):
            if rest and (joint := self.find(rest)) is not None:
                return joint, axis
        return None

    def joint_with_confidence(self, words: Sequence[str]) -> int | None:
        """The joint whose confidence words name, None for none."""
        for word, rest in ((words[-1], words[:-1]), (words[0], words[1:])) if len(words) > 1 else ():
            if word in JOINT_CONFIDENCE and (joint := self.find(rest)) is not None:
                return joint
        return None

    def of_cells(self, path: object, cells: Sequence[str]) -> list[int]:
        """The joint that each cell of a column names, or numbers from 0 or 1. Raises ClipError for another."""
        count = len(self.joints)
        known = {cell: self.find(split_words(cell)) for cell in set(cells)}
        if None not in known.values():
            return [joint for cell in cells if (joint := known[cell]) is not None]
        matches = {cell: NUMBER.fullmatch(cell.removesuffix(".0")) for cell in known}
        values = {cell: int(match[2]) for cell, match in matches.items() if match}
        if len(values) == len(known):
            first = 1 if min(values.values()) == 1 and max(values.values()) == count else 0
            if max(values.values()) - first < count:
                return [values[cell] - first for cell in cells]
            hint = self.other_owner(max(values.values()) - first + 1)
            raise ClipError(
                f"{path}: expected joints 0 to {count - 1} of {self.owner}, found {len(known)} others{hint}"
            )
        wrong = next(cell for cell, joint in known.items() if joint is None)
        hint = self.other_owner_of_names([f"{cell}_{axis}" for cell in known for axis in AXES])
        raise ClipError(
            f"{path}: expected joints of {self.owner}, found {shown(wrong)}{f': joints of {hint}' if hint else ''}"
        )

    def other_owner(self, joints: float) -> str:
        """What a number of joints tells: the sources that have as many and how they are read, and layouts whose joints
        no source has that can be read; else nothing."""
        if self.source is not None:
            return ""
        found = [source for source in sources_for(self.layout) if len(source.joints) == joints]
        readable = {source.joints for source in found}
        same = [layout for layout in map(load_layout, builtin_layouts()) if layout.joint_count == joints]
        layouts = [layout.name for layout in same if layout.joints not in readable]
        hints = [f"those of the layout {' or '.join(layouts)}, which is not this one"] if layouts else []
        if len(found) == 1:
            hints.append(f"those of {found[0].name}: {_advice(found[0])}")
        elif found:
            *others, last = [source.name for source in found]
            hints.append(f"read with --source {', '.join(others)} or {last}")
        return f"; {joints:g} joints: perhaps {', or '.join(hints)}" if hints else ""

    def other_owner_of_names(self, header: Sequence[str]) -> str:
        """The source nearly all of whose joints a header names, and how it is read; else nothing."""
        if self.source is not None:
            return ""
        found = []
        for source in sources_for(self.layout):
            theirs = JointNames.of(self.layout, source)
            hits = {theirs.joint_and_axis(split_words(name)) for name in header} - {None}
            if len(hits) >= 2.9 * len(source.joints):
                found.append(source)
        best = max(found, key=lambda source: len(source.joints), default=None)
        return f"{best.name}: {_advice(best)}" if best else ""


def _advice(source: Source) -> str:
    return f"read it with {source.options}, or with --axes model if its axes and units were changed already"


@dataclass(frozen=True)
class NumberedAxis:
    """What names such as x0, joint_0_x or hand.3.y say: what is before the number, the number (-1: none), the axis."""

    prefix: str
    number: int
    axis: int


def numbered_axis(words: Sequence[str]) -> NumberedAxis | None:
    """Number and axis in a name of a joint by its number, or of a bare axis; None for others and other quantities."""
    for axis, rest in axis_splits(words):
        kept = [word for word in rest if word not in FILLERS]
        if not kept:
            return NumberedAxis("", -1, axis)
        match = NUMBER.fullmatch(kept[-1])
        letters = [word.rstrip("0123456789") for word in kept]
        if match and not any(word in OTHER_QUANTITIES for word in letters):
            return NumberedAxis("_".join([*kept[:-1], match[1]]).strip("_"), int(match[2]), axis)
    return None


def other_quantity(words: Sequence[str], names: JointNames) -> bool:
    """Whether a name is that of a rotation, velocity and so on of a joint."""
    if len(words) == 1 and words[0].strip("abcdefghijklmnopqrstuvwxyz").isdecimal():
        return False  # V1, V2, … are R's names for columns without one
    for rest in [list(words), *(rest for _, rest in axis_splits(words))]:
        split = [
            part for word in rest for part in ((word[:-1], word[-1]) if word[-1:] in tuple("qrvw") else (word,)) if part
        ]
        for attempt in ([word for word in rest if word], split):
            kept = [word for word in attempt if word.rstrip("0123456789") not in OTHER_QUANTITIES]
            numbers = "".join(word for word in attempt if word not in kept).strip("qrvw")
            numbered = NUMBER.fullmatch("".join(kept)) is not None or numbers.isdecimal()
            if len(kept) < len(attempt) and (numbered or names.find(kept) is not None):
                return True
    return False


def numbered_confidence(words: Sequence[str]) -> int | None:
    """The number in a name of a confidence of a numbered joint, such as visibility_0, joint_0_c or v0."""
    parts = [part for word in words for part in re.findall(r"[^\W\d_]+|\d{1,8}", word)]
    numbers = [part for part in parts if part.isdecimal()]
    said = any(part in JOINT_CONFIDENCE for part in parts) or parts[:1] == ["v"]
    return int(numbers[-1]) if said and numbers and len(parts) > 1 else None
