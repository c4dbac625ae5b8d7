"""Reader of NTU RGB+D 60 and 120 (Kinect v2, 25 joints, metres, 30 Hz): ``.skeleton`` text files as distributed.

A file holds the number of frames; for each frame the number of bodies; for each body a line of 10 fields (the tracker's
body ID first), the number of joints, and a line of 12 numbers per joint, x y z first.

What the tracker calls a body is not yet a person: it sees chairs and tables as bodies, and gives somebody whom it lost
for a moment a new ID. :func:`choose_persons` makes at most two persons of the bodies, without looking at the action:

1. *Lost and found* bodies are joined as everywhere (:mod:`adasgn_edge.data.persons`).
2. *Noise.* Who is seen in fewer than 12 frames is left out, as is who is wider than 0.8 of their height in over 0.7 of
   their frames and moves less than somebody who is not: a table, not a person who lies. Somebody always stays: the one
   seen longest, or of the wide ones the most mobile.
3. *Two persons*, those seen longest; who moves more comes first.

A person's track is the frames in which they were seen; frames without them are dropped, nothing is made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adasgn_edge.data.cleaning import clean_persons, seen_bodies
from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.ntu_protocol import ACTIONS, SPLITS, SampleName, group_of, missing_skeletons, split_of
from adasgn_edge.data.persons import FEW_FRAMES, Body, by_motion, join_bodies
from adasgn_edge.data.reading import BadSamples, read_lines
from adasgn_edge.errors import DatasetError
from adasgn_edge.progress import Progress
from adasgn_edge.skeletons import load_layout

__all__ = ["Body", "choose_persons", "read_ntu", "read_skeleton_file"]

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
MAX_PERSONS = 2
RATE = 30.0
"""Frames a second."""
WIDE = 0.8
WIDE_SHARE = 0.7
"""A body whose x extent is over WIDE of its y extent in more than this share of its frames is noise."""


def is_wide(body: Body) -> bool:
    """Whether a body is wider than a person is, in too many of its frames."""
    flat = body.positions[..., :2]
    width, height = (np.nanmax(flat, axis=1) - np.nanmin(flat, axis=1)).T  # (L,) each
    return float((width > WIDE * height).mean()) > WIDE_SHARE


def read_ntu(
    folders: Path | Sequence[Path],
    split: str,
    on_bad_sample: str = "error",
    progress: Progress | None = None,
    missing: str = "fill",
) -> SkeletonDataset:
    """Read the ``.skeleton`` files in and below `folders` with a published split: "cs", "cv", "csub" or "cset".

    "cs" and "cv" take setups 1 to 17 only, so a folder may hold all of NTU RGB+D 120. Samples on the authors' list of
    missing skeletons are left out, as published results do.
    on_bad_sample: "error" raises DatasetError at the first broken sample, "skip" names it in a warning and goes on.
    """
    if split not in SPLITS:
        raise DatasetError(f"NTU RGB+D: expected a split among {', '.join(SPLITS)}, found {split!r}")
    classes = SPLITS[split]
    layout = load_layout("ntu25")
    builder = DatasetBuilder(f"ntu{classes}-{split}", layout, ACTIONS[:classes], RATE)
    bad = BadSamples(f"NTU RGB+D {classes}", on_bad_sample)
    unusable = missing_skeletons()
    folders = [folders] if isinstance(folders, Path) else list(folders)
    paths = sorted({path for folder in folders for path in folder.rglob("*.skeleton")}, key=lambda path: path.name)
    if not paths:
        raise DatasetError(f"{', '.join(map(str, folders))}: expected .skeleton files, found none")
    for path in (progress or Progress()).track(paths, f"reading NTU RGB+D {classes}"):
        if path.stem in unusable:
            continue
        with bad.guard(str(path)):
            name = SampleName.parse(path.stem)
            if name.action > classes:
                continue
            bodies = read_skeleton_file(path)
            seen, absent = seen_bodies(bodies, layout, str(path))
            persons = choose_persons(seen)
            tracks, filled = clean_persons(persons, layout, missing, str(path))
            label, group = name.action - 1, group_of(name, split)
            builder.add(str(name), label, split_of(name, split), tracks, absent + filled, group)
    return builder.build(left_out=bad.report())


def read_skeleton_file(path: Path) -> list[Body]:
    """All bodies of a file in the order of their first frame, empty when there are none.

    Raises DatasetError that names the line for a truncated file, a wrong number of joints or fields, or no number.
    """
    lines = _Lines(path)
    seen: dict[str, tuple[list[int], list[list[float]]]] = {}
    for frame in range(lines.count("the number of frames")):
        in_frame = set()
        for _ in range(lines.count("the number of bodies")):
            body = lines.words(BODY_FIELDS, "the fields of a body")[0]
            if body in in_frame:
                raise DatasetError(f"{lines.where}: expected every body once a frame, found {body} twice")
            in_frame.add(body)
            joints = lines.count("the number of joints")
            if joints != JOINTS:
                raise DatasetError(f"{lines.where}: expected {JOINTS} joints, found {joints}")
            frames, rows = seen.setdefault(body, ([], []))
            frames.append(frame)
            rows.extend(lines.position() for _ in range(JOINTS))
    lines.end()
    return [
        Body(np.asarray(frames, dtype=np.int64), np.asarray(rows, dtype=np.float32).reshape(len(frames), JOINTS, 3))
        for frames, rows in seen.values()
    ]


def choose_persons(bodies: Sequence[Body]) -> list[Body]:
    """At most two persons, the one who moves more first, by the rule at the top of this module; none of none."""
    persons = sorted(join_bodies(bodies), key=lambda person: (-len(person.frames), -person.motion))
    lasting = [person for person in persons if len(person.frames) >= FEW_FRAMES] or persons[:1]
    upright = [person for person in lasting if not is_wide(person)]
    if upright:
        most = max(person.motion for person in upright)
        lasting = [person for person in lasting if not is_wide(person) or person.motion > most]
    else:
        lasting = by_motion(lasting)[:1]
    return by_motion(lasting[:MAX_PERSONS])


class _Lines:
    """The lines of a file, taken one after another; every failure names the line."""

    def __init__(self, path: Path) -> None:
        self._path, self._lines, self._next = path, read_lines(path), 0

    @property
    def where(self) -> str:
        """The line taken last."""
        return f"{self._path}, line {self._next}"

    def words(self, count: int, what: str) -> list[str]:
        """The `count` words of the next line."""
        self._next += 1
        if self._next > len(self._lines):
            raise DatasetError(f"{self.where}: expected {what}, found the end of a truncated file")
        words = self._lines[self._next - 1].split()
        if len(words) != count:
            raise DatasetError(f"{self.where}: expected {what} ({count} words), found {len(words)}")
        return words

    def count(self, what: str) -> int:
        """The whole number on the next line."""
        (word,) = self.words(1, what)
        if not word.isdecimal():
            raise DatasetError(f"{self.where}: expected {what}, found {word!r}")
        return int(word)

    def position(self) -> list[float]:
        """x, y, z of the joint on the next line."""
        words = self.words(JOINT_FIELDS, "a joint")
        try:
            return [float(word) for word in words[:3]]
        except ValueError as error:
            raise DatasetError(f"{self.where}: expected a joint, found {error}") from None

    def end(self) -> None:
        """Check that only blank lines are left."""
        if any(line.strip() for line in self._lines[self._next :]):
            raise DatasetError(f"{self._path}, line {self._next + 1}: expected the end of the file, found more lines")
