"""A JSON file as bodies: frames of persons of joints, however they are nested and named.

``.json`` holds one document, ``.jsonl`` and ``.ndjson`` a frame a line. A joint is ``{"x": …, "y": …, "z": …}`` or
``[x, y, z]``, null where it is missing; a person is a list of joints, or an object of joints by name, perhaps below a
key such as ``landmarks``; a frame is a person, or a list of persons, perhaps below such a key and beside the frame's
number, the time or the person's identity; a document is a list of frames, perhaps below a key.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adasgn_edge.data.joint_names import JointNames, split_words
from adasgn_edge.data.persons import Body
from adasgn_edge.data.reading import read_lines
from adasgn_edge.data.tables import first_cells
from adasgn_edge.errors import ClipError, DatasetError
from adasgn_edge.wording import shown

__all__ = ["read_document_bodies", "read_pose"]

IDENTITIES = ("person", "person_id", "id", "body", "body_id", "track", "track_id", "tracking_id", "hand", "handedness")
FRAMES = ("frame", "frame_id", "frame_index", "index")
PLACES = ("position", "pos", "point", "translation")
CONFIDENCES = ("confidence", "score", "visibility", "c")
DEEPEST = 4
"""How many lists or objects may lie around a person in a frame."""
Point = tuple[float, float, float, float]
"""x, y, z and the confidence, 1 without one."""
MISSING: Point = (math.nan, math.nan, math.nan, 1.0)


def read_document_bodies(path: Path, names: JointNames) -> list[Body]:
    """The persons in a JSON file. Raises DatasetError for no JSON, ClipError for what is in it."""
    frames = _frames(path, _parse(path))
    seen: dict[str, tuple[list[int], list[list[Point]]]] = {}
    for place, frame in enumerate(frames):
        where = f"{path}, frame {place}"
        number = _frame_number(frame, place, where)
        for identity, person in _persons(frame, where):
            numbers, poses = seen.setdefault(identity, ([], []))
            if numbers and number <= numbers[-1]:
                raise ClipError(
                    f"{where}: expected a person once a frame and frames in order, found frame {number} again"
                )
            numbers.append(number)
            poses.append(read_pose(person, names, where))
    bodies = []
    for numbers, poses in seen.values():
        with np.errstate(over="ignore"):
            points = np.array(poses, dtype=np.float64).astype(np.float32)
        positions, confidences = points[..., :3].copy(), points[..., 3]
        if np.isinf(positions).any():
            frame, joint, _ = np.argwhere(np.isinf(positions))[0].tolist()
            raise ClipError(
                f"{path}, frame {frame}: expected finite coordinates, found infinity in {names.joints[joint]}"
            )
        positions[np.isnan(positions).any(axis=-1)] = np.nan
        if (confidences > 0).any():  # 0 throughout is one that nobody filled in, as MediaPipe's visibility of hands
            positions[confidences <= 0] = np.nan
        bodies.append(Body(np.array(numbers, dtype=np.int64), positions))
    return bodies


def _parse(path: Path) -> Any:
    lines = read_lines(path)
    try:
        if path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson")):
            return [json.loads(line) for line in lines if line.strip()]
        return json.loads("\n".join(lines))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: expected JSON, found {shown(str(error), 120)}") from None


def _point(value: Any) -> Point | None:
    """A joint's coordinates, None for what is no joint."""
    if isinstance(value, dict):
        named = {str(key).lower(): entry for key, entry in value.items()}
        if not {"x", "y", "z"} <= set(named):
            inner = next((named[key] for key in PLACES if key in named), None)
            if not isinstance(inner, dict):
                return None if inner is None else _point(inner)
            named |= {str(key).lower(): entry for key, entry in inner.items()}
            if not {"x", "y", "z"} <= set(named):
                return None
        confidence = next((named[key] for key in CONFIDENCES if _is_number(named.get(key))), 1)
        coordinates = [named[axis] for axis in "xyz"]
    elif isinstance(value, list) and len(value) == 3:
        coordinates, confidence = value, 1
    else:
        return None
    if not all(entry is None or _is_number(entry) for entry in coordinates):
        return None
    try:
        x, y, z = (math.nan if entry is None else float(entry) for entry in coordinates)
    except OverflowError:  # a whole number beyond any float
        x = y = z = math.inf
    return x, y, z, 1.0 if confidence > 0 else 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_person(value: Any) -> bool:
    """Whether a value is a list of joints, or an object of joints by name."""
    entries = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(entries, list) or not entries:
        return False
    joints = [entry for entry in entries if entry is not None]
    points = [entry for entry in joints if _point(entry) is not None]
    return len(points) > 0 and (len(points) == len(joints) if isinstance(value, list) else len(points) > 1)


def _containers(value: Any) -> list[Any]:
    return [entry for entry in value.values() if isinstance(entry, list | dict)] if isinstance(value, dict) else []


def _holds_joints(value: Any, depth: int = 0) -> bool:
    """Whether there is a person, or a long list of numbers, somewhere below: looked for in the first entries."""
    if _is_person(value) or (isinstance(value, list) and len(value) > 5 and all(map(_is_number, value))):
        return True
    inner = value if isinstance(value, list) else _containers(value)
    return depth <= DEEPEST and any(_holds_joints(entry, depth + 1) for entry in inner[:100])


def _frames(path: Path, document: Any) -> Sequence[Any]:
    """The list of frames of a document: itself, or the one list of frames somewhere below its keys."""
    value = document
    for _ in range(4):
        if isinstance(value, list):
            if _is_person(value):
                raise ClipError(f"{path}: expected a list of frames, found {len(value)} joints of a single one")
            return value
        if not isinstance(value, dict):
            break
        inner = [entry for entry in _containers(value) if _holds_joints(entry)]
        if len(inner) != 1:
            keys = first_cells([str(key) for key in value], 6)
            raise ClipError(f"{path}: expected one list of frames, found {len(inner)} below the keys {keys or 'none'}")
        value = inner[0]
    raise ClipError(f"{path}: expected a list of frames of joints with x, y and z, found {shown(str(value), 40)}")


def _frame_number(frame: Any, place: int, where: str) -> int:
    if isinstance(frame, dict):
        for key in FRAMES:
            if key in frame:
                number = frame[key]
                if not _is_number(number) or number != number or abs(number) > 1 << 53 or number != int(number):
                    raise ClipError(f"{where}: expected a whole number as {key!r}, found {shown(str(number), 30)}")
                return int(number)
    return place


def _persons(frame: Any, where: str, way: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """The persons of a frame, each with their identity, or failing that the way to them, keys and places in lists.

    Nobody is below null or empty lists.
    """
    if frame is None or frame in ([], {}):
        return []
    deep = len(way) > DEEPEST
    if _is_person(frame) or deep or (isinstance(frame, list) and _is_number(frame[0])):
        return [("/".join(way), frame)]
    if isinstance(frame, list):
        return [found for place, entry in enumerate(frame) for found in _persons(entry, where, (*way, str(place)))]
    if not isinstance(frame, dict):
        return [("/".join(way), frame)]
    groups = {
        str(key): found
        for key, entry in frame.items()
        if isinstance(entry, list | dict) and (found := _persons(entry, where, (*way, str(key))))
    }
    words = {frozenset(split_words(key)): key for key in groups}
    twice = next((key for known, key in words.items() if "world" in known and known - {"world"} in words), None)
    if twice is not None:
        raise ClipError(f"{where}: expected one set of joints, found {first_cells(list(groups))}: keep one")
    found = [person for group in groups.values() for person in group]
    identity = next((str(frame[key]) for key in IDENTITIES if isinstance(frame.get(key), str | int)), None)
    return [(f"={identity}", found[0][1])] if identity is not None and len(found) == 1 else found


def read_pose(person: Any, names: JointNames, where: str) -> list[Point]:
    """The person's joints in the order of the names, missing ones NaN."""
    count = len(names.joints)
    if isinstance(person, list) and len(person) == 3 * count and all(map(_is_number, person)):
        person = [person[start : start + 3] for start in range(0, 3 * count, 3)]
    if isinstance(person, list):
        if not _is_person(person) or len(person) != count:
            numbers = len(person) / 3 if all(map(_is_number, person)) else 0
            hint = names.other_owner(len(person) if _is_person(person) else numbers)
            what = f"{len(person)} joints" if _is_person(person) else first_cells([str(entry) for entry in person])
            raise ClipError(f"{where}: expected the {count} joints of {names.owner}, found {what}{hint}")
        return [_point(entry) or MISSING for entry in person]
    if not _is_person(person):
        found = shown(str(person), 40)
        raise ClipError(f"{where}: expected the {count} joints of {names.owner} with x, y and z, found {found}")
    pose = {names.find(split_words(str(key))): _point(entry) or MISSING for key, entry in person.items()}
    if not set(range(count)) <= set(pose):
        absent = [joint for index, joint in enumerate(names.joints) if index not in pose]
        hint = names.other_owner_of_names([f"{key}_{axis}" for key in person for axis in "xyz"])
        reason = f"those of {hint}" if hint else f"none called {first_cells(absent)}"
        raise ClipError(f"{where}: expected the {count} joints of {names.owner}, found {reason}")
    return [pose[index] for index in range(count)]
