"""A recording, or a recorded stream, as :mod:`adasgn_edge.data.source_report` looks at it: as it came, whatever it is.

Where nobody says whose joints it has and the layout's own do not fit, the sources that fit are tried, and the one whose
bones come out shortest is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.adapter import Adapter
from adasgn_edge.data.cleaning import clean_recording
from adasgn_edge.data.clips import holds_lines, read_given_bodies
from adasgn_edge.data.description import MODEL, StreamDescription
from adasgn_edge.data.joint_names import JointNames
from adasgn_edge.data.persons import Body
from adasgn_edge.data.perspective import place
from adasgn_edge.data.playing import file_stamps
from adasgn_edge.data.reading import read_lines
from adasgn_edge.data.source_report import JOINT_ORDER, Finding, bone_lengths, doubts_of_bodies, doubts_of_stamps
from adasgn_edge.data.sources import load_source, sources_for
from adasgn_edge.data.stream_frames import (
    HEADER,
    frame_of,
    is_frame_line,
    line_facts,
    written_places,
    written_positions,
)
from adasgn_edge.errors import AdaSGNError, ClipError, LayoutError, RecognitionError, SourceError
from adasgn_edge.skeletons import SkeletonLayout, load_layout
from adasgn_edge.wording import shown

__all__ = ["SourceReport", "examine"]

LAYOUTS = ("shrec22", "ntu25", "kinect20")
"""Those that are tried where none is named."""


@dataclass(frozen=True)
class SourceReport:
    """What a file is taken for and what is odd about it.

    stated: what positions were taken to be, by a header, options or, for the rest, as the layout has them; joints: the
    source whose joints they are, "model" for the layout's own; candidates: every source that they could be of; bodies,
    frames: in the file; rate: frames a second by its stamps, None without; malformed: lines that are no frames.
    """

    path: str
    layout: str
    stated: StreamDescription
    joints: str
    candidates: tuple[str, ...]
    bodies: int
    frames: int
    rate: float | None
    malformed: int
    findings: tuple[Finding, ...]


@dataclass
class _Recording:
    """bodies: with the layout's joints, in the source's axes; sides: of each body, None where nobody says."""

    bodies: list[Body]
    sides: list[str | None]
    stamps: NDArray[np.int64] | None = None
    malformed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Candidate:
    """What a file may be: bodies with that layout's joints, as described; bones: as of `bone_lengths`."""

    layout: SkeletonLayout
    description: StreamDescription
    recording: _Recording
    bodies: list[Body]
    bones: float


def examine(
    path: Path | str, layout: SkeletonLayout | str | None = None, stated: dict[str, Any] | None = None
) -> SourceReport:
    """Look at a file that `classify` reads, or at JSON lines of a stream, for a model of that layout.

    layout: None: the built-in one that fits best; stated: keys of a description (:class:`StreamDescription`) that are
    known; they come before those of a stream's header. The rest is looked for: joints among the sources that fit, all
    else as the layout has it. Raises DatasetError, ClipError, LayoutError, RecognitionError and SourceError for what
    cannot be read or stated.
    """
    path = Path(path)
    layouts = [load_layout(name) for name in (LAYOUTS if layout is None else [layout])]
    lines = _stream_lines(path)
    header = _header(lines) if lines is not None else {}
    given = {**header, **(stated or {})}
    found: list[_Candidate] = []
    first: AdaSGNError | None = None
    for tried in layouts:
        names = [given["joints"]] if "joints" in given else [MODEL, *(source.name for source in sources_for(tried))]
        for joints in names:
            try:
                found.append(_candidate(path, lines, tried, {**given, "joints": joints}))
            except (ClipError, LayoutError, RecognitionError, SourceError) as error:
                first = first or error
    if not found:
        assert first is not None
        raise first
    fits = [entry for entry in found if entry.description.joints == MODEL and entry.bones <= JOINT_ORDER]
    chosen = min(fits or found, key=lambda entry: entry.bones)
    others = [] if fits else [entry.description.joints for entry in found if entry.layout == chosen.layout]
    return _report(path, chosen, others, "joints" in given)


def _candidate(path: Path, lines: list[str] | None, layout: SkeletonLayout, given: dict[str, Any]) -> _Candidate:
    description = StreamDescription.from_dict({**StreamDescription.as_model(layout).to_dict(), **given})
    recording = _read(path, lines, layout, description)
    bodies = _adapted(recording, layout, description)
    tracks, _ = clean_recording(bodies, layout, "fill", str(path))
    bones = bone_lengths(max(tracks, key=len), layout) if layout.bones else 0.0
    return _Candidate(layout, description, recording, bodies, bones)


def _report(path: Path, chosen: _Candidate, others: Sequence[str], joints_are_stated: bool) -> SourceReport:
    layout, description, recording, bodies = chosen.layout, chosen.description, chosen.recording, chosen.bodies
    findings = doubts_of_bodies(bodies, layout, description.axes, str(path))
    if description.joints != MODEL and not joints_are_stated:
        findings.insert(0, _other_joints(description.joints, others))
    if recording.malformed:
        says = f"no frames, the first one: {recording.malformed[0]}"
        share = len(recording.malformed) / (len(recording.malformed) + max(len(body.frames) for body in bodies))
        findings.append(Finding("malformed lines", share, "{:.1%} of the lines", says))
    if recording.stamps is not None:
        findings += doubts_of_stamps(recording.stamps)
    return SourceReport(
        path=str(path),
        layout=layout.name,
        stated=description,
        joints=description.joints,
        candidates=tuple(others) or (description.joints,),
        bodies=len(bodies),
        frames=len(np.unique(np.concatenate([body.frames for body in bodies]))),
        rate=_rate(recording.stamps),
        malformed=len(recording.malformed),
        findings=tuple(findings),
    )


def _other_joints(joints: str, candidates: Sequence[str]) -> Finding:
    source = load_source(joints)
    others = [name for name in candidates if name not in (joints, MODEL)]
    also = f", or of {' or '.join(others)}, which have as many" if others else ""
    axes = "source" if source.axes else "…"
    write = f"--source {source.name} --axes {axes}, or --axes model where axes and units were changed already"
    says = f"the joints of {source.name}{also}"
    return Finding("other joints", len(source.joints), "{:.0f} joints", says, write)


def _adapted(recording: _Recording, layout: SkeletonLayout, description: StreamDescription) -> list[Body]:
    """The bodies in the layout's axes and units, as described; hands that do not say which as if they were right."""
    bodies = []
    for body, side in zip(recording.bodies, recording.sides, strict=True):
        stated = side or "right" if description.side == "track" else description.side
        bodies.append(Adapter(replace(description, joints=MODEL, side=stated, intrinsics=None), layout).apply(body))
    return bodies


# -- reading --------------------------------------------------------------------------------------------------------


def _stream_lines(path: Path) -> list[str] | None:
    """The lines of a recorded stream; None for a recording."""
    if not holds_lines(path) or not path.is_file():
        return None
    lines = [line for line in read_lines(path) if line.strip()]
    return lines if lines and is_frame_line(lines[0]) else None


def _header(lines: list[str]) -> dict[str, Any]:
    """What a stream says of itself in its first line, which is taken away."""
    source = line_facts(lines[0]).get(HEADER)
    if source is None:
        return {}
    del lines[0]
    return StreamDescription.from_dict(source).to_dict()


def _read(path: Path, lines: list[str] | None, layout: SkeletonLayout, description: StreamDescription) -> _Recording:
    """Bodies with the layout's joints, otherwise as they came."""
    source = None if description.joints == MODEL else load_source(description.joints)
    names = JointNames.of(layout, source)
    if lines is None:
        bodies = read_given_bodies(path, names)
        frames = max((int(body.frames[-1]) + 1 for body in bodies), default=0)
        recording = _Recording(bodies, [None] * len(bodies), file_stamps(path, frames))
    else:
        recording = _read_lines(str(path), lines, names, description)
    if source is not None:
        recording.bodies = [source.onto(layout, body) for body in recording.bodies]
    return recording


def _read_lines(what: str, lines: list[str], names: JointNames, description: StreamDescription) -> _Recording:
    """Bodies by the tracker's names of them, with the joints of the names."""
    stamps: list[int] = []
    poses: dict[str, tuple[list[int], list[NDArray[np.float32]], list[str | None]]] = {}
    malformed: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            stamp, tracks = frame_of(line_facts(line))
            seen = {name: _joints(track, names, f"track {shown(name)}", description) for name, track in tracks.items()}
        except (ClipError, RecognitionError, SourceError) as error:
            malformed.append(f"line {number}: {error}")
            continue
        for name, (joints, side) in seen.items():
            frames, positions, sides = poses.setdefault(name, ([], [], []))
            frames.append(len(stamps))
            positions.append(joints)
            sides.append(side)
        stamps.append(stamp)
    if not poses:
        reason = malformed[0] if malformed else "lines without anybody"
        raise RecognitionError(f"{what}: expected frames with the joints of {names.owner}, found none: {reason}")
    bodies = [Body(np.array(frames), np.stack(positions)) for frames, positions, _ in poses.values()]
    sides = [next(filter(None, said), None) for _, _, said in poses.values()]
    return _Recording(bodies, sides, np.array(stamps, dtype=np.int64), malformed)


def _joints(
    body: Mapping[str, Any], names: JointNames, where: str, description: StreamDescription
) -> tuple[NDArray[np.float32], str | None]:
    """(S, 3) joints of a body, NaN = not seen, and which hand it says that it is.

    Landmarks of the world are taken as they are where the picture or its camera is missing: then they are looked at.
    """
    side = body["side"] if body.get("side") in ("left", "right") else None
    positions = written_positions(body["joints"] if "joints" in body else body.get("world"), names, where)
    if "image" in body and "world" in body and description.intrinsics is not None:
        image = written_places(body["image"], len(names.joints), where)
        positions = place(positions, image, description.intrinsics).astype(np.float32)
    positions[~np.isfinite(positions).all(axis=-1)] = np.nan
    return positions, side


def _rate(stamps: NDArray[np.int64] | None) -> float | None:
    steps = np.diff(stamps) if stamps is not None else np.empty(0)
    steps = steps[steps > 0]
    return float(1e9 / np.median(steps)) if len(steps) else None
