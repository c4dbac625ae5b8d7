"""Frames of a live stream: lines of JSON as they come.

A stream begins with a header, a line that says what its positions are (:mod:`adasgn_edge.data.description`)::

    {"source": {"joints": "mediapipe-hand-21", "axes": "optical", "units": "m", "mirrored": false, "gravity": "level",
                "side": "track", "intrinsics": {…}}}

unless the reader was told otherwise. Every other line is one moment of everybody in sight::

    {"stamp_ns": 1712000000020000000, "tracks": {"7": [[0.1, 0.2, 0.5], null, …], "8": {"joints": […], "side": "left"}}}
    {"t": 12.34, "joints": [[0.1, 0.2, 0.5], …]}
    {"t": 12.34, "image": [[612.5, 340.1], …], "world": [[0.01, -0.03, 0.002], …], "side": "right"}

``stamp_ns`` (whole nanoseconds) or ``t`` (seconds) is when it was captured, by whatever clock the source has.
``tracks`` holds the joints of each body by the tracker's identity for it; a single one, whose identity is "0", may
stand beside the stamp. Joints come as in the documents of :mod:`adasgn_edge.data.documents`: a list in the source's
order, or an object by name; null or NaN stands for a joint that was not seen. Where the header says that each track has
its own side, a track is an object that says it. Landmarks of image (pixels) and world (metres, optical axes) are placed
before the camera whose intrinsics the header has. Other keys are passed over.

A joint of exact zeros was not seen either, which is how many trackers mark it, unless it alone has never been anything
else: then it is the origin of the coordinates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.adapter import CENTRED, FLAT, Adapter
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.documents import read_pose
from adasgn_edge.data.joint_names import JointNames
from adasgn_edge.data.persons import Body
from adasgn_edge.data.perspective import place
from adasgn_edge.data.reading import read_lines
from adasgn_edge.data.sources import Orientation
from adasgn_edge.errors import ClipError, RecognitionError, SourceError
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import shown, warn

__all__ = [
    "HEADER", "LEFT_HAND", "LONGEST_LINE", "FrameParser", "StreamFrame", "frame_line", "frame_of", "has_header",
    "header_line", "is_frame_line", "is_header", "line_facts", "read_stream_bodies", "written_places",
    "written_positions",
]  # fmt: skip

LONGEST_LINE = 1 << 20
"""Bytes of a line that are read at most: hundreds of bodies."""
MOST_TRACKS = 1024
"""Bodies in a line."""
SINGLE = "0"
"""The identity of a body that comes without one."""
HEADER = "source"
BODY_KEYS = ("joints", "image", "world")
"""What a body's positions may be given as."""
WATCHED = 15
"""Frames after which coordinates that go with the body are told from others; less than any label takes."""
LEFT_HAND = "a left hand, mirrored to a right one"
_MOST = (1 << 63) - 1
_UNSEEN = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class StreamFrame:
    """One moment: its stamp in nanoseconds, and the joints (V, 3) in metres of each body; NaN: not seen.

    left: the bodies that were left hands, mirrored to right ones.
    """

    stamp_ns: int
    tracks: dict[str, NDArray[np.float32]]
    left: frozenset[str] = frozenset()


class FrameParser:
    """Lines to frames with the layout's joints, axes, side and units.

    description: what the stream's positions are, None where its header is to say; orientation: corrections by hand,
    which come last. One parser reads one stream: it keeps the header, and which joints have been seen apart from the
    origin. Raises LayoutError and SourceError for a description that does not fit the source or the layout.
    """

    def __init__(
        self,
        layout: SkeletonLayout,
        description: StreamDescription | None = None,
        orientation: Orientation = Orientation(),
    ) -> None:
        self.layout, self.orientation = layout, orientation
        self.description: StreamDescription | None = None
        self._watched: list[NDArray[np.float32]] = []
        if description is not None:
            self._describe(description)

    def parse(self, line: str | bytes) -> StreamFrame | None:
        """The frame of a line, None of a header.

        Raises RecognitionError for a line that is neither, after which others may be good; SourceError for a stream of
        which not enough is said, or of which what is said is not true.
        """
        facts = line_facts(line)
        if is_header(facts):
            self._take_header(facts[HEADER])
            return None
        stamp, tracks = frame_of(facts)
        if self.description is None:
            raise SourceError(
                "expected to know what the positions of this stream are, found neither a header nor --source. Either "
                f"its first line says it, such as {header_line(StreamDescription.as_model(self.layout))}; or --source "
                "NAME and --axes do, --source model where all is as the model expects"
            )
        bodies, left = {}, []
        for identity, body in tracks.items():
            side = self._side(identity, body)
            bodies[identity] = self._joints(identity, body, side)
            if side == "left":
                left.append(identity)
        return StreamFrame(stamp, bodies, frozenset(left))

    def _describe(self, description: StreamDescription) -> None:
        self._adapter = Adapter(description, self.layout)
        self._names = JointNames.of(self.layout, self._adapter.source)
        self._moved = np.zeros(len(self._names.joints), dtype=bool)  # joints that were somewhere else than at zero
        self._watching = self._adapter.source is not None and self._adapter.source.centred
        self._intrinsics = description.intrinsics
        if self._intrinsics is not None and description.mirrored:
            self._intrinsics = self._intrinsics.mirrored()
        self.description = description

    def _take_header(self, data: Any) -> None:
        description = StreamDescription.from_dict(data)
        if self.description is None:
            self._describe(description)
        elif description != self.description:
            known, new = self.description.to_dict(), description.to_dict()
            key = next(key for key in {**known, **new} if known.get(key) != new.get(key))
            raise SourceError(
                "source: expected one description of a stream, found another in its header than was given before: "
                f"{key} {shown(new.get(key))}, not {shown(known.get(key))}"
            )

    def _side(self, identity: str, body: Mapping[str, Any]) -> str:
        """Left, right, or body."""
        assert self.description is not None
        stated, said = self.description.side, body.get("side")
        if said is None and stated != "track":
            return stated
        side = said.lower() if isinstance(said, str) else ""
        if side not in (("left", "right") if stated == "track" else (stated,)):
            may_be = "'left' or 'right'" if stated == "track" else repr(stated)
            found = "none" if said is None else shown(said)
            raise RecognitionError(
                f"track {shown(identity)}: side: expected {may_be}, as the stream is described, found {found}"
            )
        return side

    def _joints(self, identity: str, body: Mapping[str, Any], side: str) -> NDArray[np.float32]:
        """(V, 3) of the layout."""
        if "joints" in body:
            if "image" in body or "world" in body:
                raise RecognitionError(f"track {shown(identity)}: expected 'joints' or 'image' and 'world', found both")
            positions = self._seen(identity, body["joints"])
        else:
            positions = self._placed(identity, body)
        if self._watching:
            self._watch(positions)
        converted = self._adapter.convert(positions, side=side)
        if self.orientation == Orientation():
            return converted
        return self.orientation.apply(self.layout, Body(np.zeros(1, dtype=np.int64), converted[None])).positions[0]

    def _watch(self, positions: NDArray[np.float32]) -> None:
        """Look at the first frames with somebody for coordinates that go with the body."""
        if not np.isnan(positions).all():
            self._watched.append(positions)
        if len(self._watched) == WATCHED:
            self._adapter.expect_path(np.stack(self._watched))
            self._watching = False
            self._watched.clear()

    def _seen(self, identity: str, joints: Any) -> NDArray[np.float32]:
        """(S, 3) of the source; NaN: not seen."""
        where = f"track {shown(identity)}"
        if isinstance(joints, list) and joints and all(map(_is_pair, joints)):
            raise SourceError(f"{where}: expected x, y and z of joints, found x and y: {FLAT}")
        try:
            positions = written_positions(joints, self._names, where)
        except ClipError as error:
            raise RecognitionError(str(error)) from None
        if np.isinf(positions).any():
            joint = self._names.joints[int(np.argwhere(np.isinf(positions))[0, 0])]
            raise RecognitionError(f"track {shown(identity)}: expected finite coordinates, found infinity in {joint!r}")
        positions[np.isnan(positions).any(axis=-1)] = np.nan
        zero = (positions == 0).all(axis=-1)
        self._moved |= ~(zero | np.isnan(positions[:, 0]))
        if zero.any():
            never = np.flatnonzero(zero & ~self._moved)
            zero[never] = len(never) != 1
            positions[zero] = np.nan
        return positions

    def _placed(self, identity: str, body: Mapping[str, Any]) -> NDArray[np.float32]:
        """(S, 3) of the source, before the camera."""
        where = f"track {shown(identity)}"
        if "image" not in body:
            raise SourceError(f"{where}: found landmarks of the world without those of the image: {CENTRED}")
        if "world" not in body:
            raise SourceError(f"{where}: found landmarks of the image without those of the world: {FLAT}")
        if self._intrinsics is None:
            raise SourceError(
                f"{where}: landmarks of image and world: expected the camera's 'intrinsics' in the stream's header, "
                "found none"
            )
        world = self._seen(identity, body["world"])
        image = written_places(body["image"], self._adapter.joint_count, where)
        try:
            return place(world, image, self._intrinsics).astype(np.float32)
        except SourceError as error:
            raise RecognitionError(f"{where}: {error}") from None


def written_places(image: Any, count: int, where: str) -> NDArray[np.float64]:
    """(S, 2) pixels of a body's image landmarks, NaN: not seen; RecognitionError for others than `count` of them."""
    found = np.empty(0)
    if isinstance(image, list) and len(image) == count:
        try:
            found = np.array([_UNSEEN[:2] if joint is None else joint for joint in image])
        except (ValueError, OverflowError):  # ragged
            found = np.empty(0)
    if found.dtype.kind not in "fi" or found.shape != (count, 2):
        raise RecognitionError(f"{where}: image: expected {count} joints of [u, v] pixels, found {shown(image)}")
    return found.astype(np.float64)


def written_positions(joints: Any, names: JointNames, where: str) -> NDArray[np.float32]:
    """(S, 3) of a body's joints as they were written, NaN: not seen; ClipError for other joints than the names'."""
    if isinstance(joints, list) and len(joints) == len(names.joints):
        try:  # the common case, which is quick
            plain = np.array([_UNSEEN if joint is None else joint for joint in joints])
        except (ValueError, OverflowError):  # ragged
            plain = np.empty(0)
        if plain.dtype.kind in "fi" and plain.shape == (len(joints), 3):
            return _as_float32(plain)
    points = np.array(read_pose(joints, names, where))
    if (points[:, 3] > 0).any():  # confidences of 0 throughout are those that nobody filled in
        points[points[:, 3] <= 0, :3] = np.nan
    return _as_float32(points[:, :3])


def _is_pair(joint: Any) -> bool:
    return isinstance(joint, list) and len(joint) == 2 and all(isinstance(entry, int | float) for entry in joint)


def _as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        return values.astype(np.float32)


def line_facts(line: str | bytes) -> dict[str, Any]:
    """The JSON object of a line; RecognitionError for anything else."""
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = "no text of UTF-8, or too deep"
        if isinstance(error, json.JSONDecodeError):
            reason = f"{error.msg}, character {error.pos}"
        text = line.decode(errors="replace") if isinstance(line, bytes) else line
        raise RecognitionError(f"expected a JSON object, found {shown(text)} ({reason})") from None
    if not isinstance(facts, dict):
        raise RecognitionError(f"expected a JSON object, found {shown(facts)}")
    return facts


def _keys(facts: Mapping[str, Any]) -> str:
    return f"the keys {', '.join(map(shown, list(facts)[:6])) or 'none'}"


def frame_of(facts: Mapping[str, Any]) -> tuple[int, dict[str, Mapping[str, Any]]]:
    """A line's stamp in nanoseconds, and who is there: each with "joints", or with "image" and "world", as written.

    Raises RecognitionError for a line that is no frame.
    """
    stamp = _stamp(facts)
    given = [key for key in ("tracks", *BODY_KEYS) if key in facts]
    if not given or (len(given) > 1 and given != ["image", "world"]):
        found = f"both {given[0]!r} and {given[1]!r}" if given else _keys(facts)
        raise RecognitionError(f"expected 'tracks', 'joints' or 'image' and 'world', found {found}")
    tracks = facts.get("tracks", {SINGLE: facts})
    if not isinstance(tracks, dict):
        raise RecognitionError(f"tracks: expected an object of joints by identity, found {shown(tracks)}")
    if len(tracks) > MOST_TRACKS:
        raise RecognitionError(f"tracks: expected at most {MOST_TRACKS}, found {len(tracks)}")
    bodies: dict[str, Mapping[str, Any]] = {}
    for identity, body in tracks.items():
        written = body if isinstance(body, dict) and any(key in body for key in BODY_KEYS) else {"joints": body}
        if written.get("joints", body) is not None:
            bodies[identity] = written
    return stamp, bodies


def _stamp(facts: Mapping[str, Any]) -> int:
    """Nanoseconds."""
    if ("stamp_ns" in facts) == ("t" in facts):
        found = "both" if "t" in facts else _keys(facts)
        raise RecognitionError(f"expected either 'stamp_ns' (nanoseconds) or 't' (seconds), found {found}")
    if "stamp_ns" in facts:
        stamp = facts["stamp_ns"]
        if isinstance(stamp, bool) or not isinstance(stamp, int):
            raise RecognitionError(f"stamp_ns: expected a whole number of nanoseconds, found {shown(stamp)}")
    else:
        seconds = facts["t"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < _MOST / 1e9:
            raise RecognitionError(f"t: expected seconds as a number, found {shown(seconds)}")
        stamp = round(seconds * 1e9)
    if not -_MOST <= stamp <= _MOST:
        raise RecognitionError(f"stamp_ns: expected a number that 64 bits hold, found {shown(stamp)}")
    return stamp


def is_frame_line(line: str | bytes) -> bool:
    """Whether a file that begins with this line holds frames of a stream, rather than a recording without stamps."""
    try:
        facts = line_facts(line)
    except RecognitionError:
        return False
    return is_header(facts) or bool({"stamp_ns", "t"} & facts.keys() and {"tracks", *BODY_KEYS} & facts.keys())


def is_header(facts: Mapping[str, Any]) -> bool:
    """Whether the object of a line is a header rather than a frame."""
    return HEADER in facts and not {"stamp_ns", "t", "tracks", *BODY_KEYS} & facts.keys()


def has_header(path: Path) -> bool:
    """Whether a file of lines begins with a header. Raises DatasetError for a file that cannot be read."""
    first = next((line for line in read_lines(path) if line.strip()), "")
    try:
        return is_header(line_facts(first))
    except RecognitionError:
        return False


def header_line(description: StreamDescription) -> str:
    """A description as the first line of a stream, without its end."""
    return json.dumps({HEADER: description.to_dict()})


def frame_line(frame: StreamFrame) -> str:
    """A frame as a line, without its end; parsed again it is the same frame, to the last bit."""
    tracks = ", ".join(f"{json.dumps(name)}: [{_joint_texts(joints)}]" for name, joints in frame.tracks.items())
    return f'{{"stamp_ns": {frame.stamp_ns}, "tracks": {{{tracks}}}}}'


def _joint_texts(joints: NDArray[np.float32]) -> str:
    seen: NDArray[np.bool_] = np.asarray(~np.isnan(joints).any(axis=-1))
    rows = (", ".join(map(str, joint)) for joint in joints)  # NumPy's shortest text of a float32
    return ", ".join(f"[{row}]" if there else "null" for row, there in zip(rows, seen, strict=True))


def read_stream_bodies(path: Path, layout: SkeletonLayout, description: StreamDescription | None = None) -> list[Body]:
    """The bodies of a file of lines that begins with a header; frames are numbered as they come.

    Warns of left hands that were mirrored. Raises ClipError for a line that is no frame, SourceError for a description
    other than the header's, and what reading the file raises.
    """
    parser = FrameParser(layout, description)
    seen: dict[str, tuple[list[int], list[NDArray[np.float32]]]] = {}
    number, left = 0, False
    for place_in_file, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            frame = parser.parse(line)
        except RecognitionError as error:
            raise ClipError(f"{path}, line {place_in_file}: {error}") from None
        except SourceError as error:
            raise SourceError(f"{path}, line {place_in_file}: {error}") from None
        if frame is None:
            continue
        for identity, joints in frame.tracks.items():
            numbers, poses = seen.setdefault(identity, ([], []))
            numbers.append(number)
            poses.append(joints)
        number, left = number + 1, left or bool(frame.left)
    if left:
        warn(f"{path}: {LEFT_HAND}", stacklevel=2)
    return [Body(np.array(numbers, dtype=np.int64), np.stack(poses)) for numbers, poses in seen.values()]
