"""A clip of one's own: one file of one or more persons. Each format has a reader; what follows is the same for all.

``.csv``, ``.tsv``, ``.txt``, ``.dat``  a table of numbers (:mod:`adasgn_edge.data.tables`), also ``.csv.gz``
``.npz``, ``.npy``                      an array (:mod:`adasgn_edge.data.arrays`)
``.json``, ``.jsonl``                   frames of joints (:mod:`adasgn_edge.data.documents`)
``.skeleton``                           a file of NTU RGB+D (:mod:`adasgn_edge.data.ntu`)

The joints are those of the layout, in its axes, side and units, or what a description says
(:mod:`adasgn_edge.data.description`); a file of lines of a stream (``.jsonl``) with a header says it itself. Then
corrections by hand follow, and what the recording lacks is made good (:mod:`adasgn_edge.data.cleaning`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.adapter import Adapter
from adasgn_edge.data.arrays import read_array_bodies
from adasgn_edge.data.cleaning import Cleaning, clean_recording
from adasgn_edge.data.description import MODEL, StreamDescription, described
from adasgn_edge.data.documents import read_document_bodies
from adasgn_edge.data.joint_names import JointNames
from adasgn_edge.data.ntu import read_skeleton_file
from adasgn_edge.data.persons import Body
from adasgn_edge.data.plausibility import doubts
from adasgn_edge.data.rows import read_table_bodies
from adasgn_edge.data.sources import Orientation, load_source
from adasgn_edge.data.stream_frames import LEFT_HAND, has_header, read_stream_bodies
from adasgn_edge.errors import ClipError, DatasetError, SourceError
from adasgn_edge.skeletons import SkeletonLayout, load_layout
from adasgn_edge.wording import warn

__all__ = [
    "CLIP_ENDINGS",
    "holds_lines",
    "is_clip_name",
    "read_bodies",
    "read_clip",
    "read_given_bodies",
    "read_recording",
]

TABLES = (".csv", ".tsv", ".txt", ".dat", ".tab")
ARRAYS = (".npz", ".npy")
LINES = (".jsonl", ".ndjson")
DOCUMENTS = (".json", *LINES)
SKELETONS = (".skeleton",)
CLIP_ENDINGS = (*TABLES, *ARRAYS, *DOCUMENTS, *SKELETONS)
"""Endings of files that are read, in small letters; texts may have .gz after them."""
NAMELESS = (
    "read the joints into an array and save it: np.savez('clip.npz', positions=a), a of shape (frames, joints, 3)"
)
OTHER_ENDINGS = {
    (".xlsx", ".xls", ".ods", ".numbers"): "save the sheet as .csv",
    (".parquet", ".feather", ".arrow"): "save the table as .csv: pandas.read_parquet(...).to_csv('clip.csv')",
    (".mat",): "np.savez('clip.npz', positions=scipy.io.loadmat(path)['...'])",
    (".pkl", ".pickle", ".pt", ".pth", ".joblib"): f"a pickle would run code and is not read; {NAMELESS}",
    (".h5", ".hdf5", ".bvh", ".c3d", ".fbx", ".trc", ".xml", ".yaml", ".yml"): NAMELESS,
    (".bag", ".db3", ".mcap"): f"export the topic, for instance to .csv; or {NAMELESS}",
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".jpg", ".png", ".oni", ".svo", ".svo2"): (
        "skeletons are classified, not pictures: run a pose estimator first, such as MediaPipe"
    ),
    (".skeletons",): "a converted data set; its clips are classified with `adasgn-edge eval`",
    (".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"): "unpack it first",
}


def is_clip_name(name: str) -> bool:
    """Whether a file of that name is read as a clip."""
    return _ending(Path(name)) in CLIP_ENDINGS


def holds_lines(path: Path) -> bool:
    """Whether a file is one of lines of JSON by its name, as recorded streams are."""
    return _ending(path) in LINES


def read_clip(
    path: Path | str,
    layout: SkeletonLayout | str,
    *,
    missing: str = "fill",
    source: str | Path | StreamDescription | None = None,
    axes: str | Sequence[str] | None = None,
    units: str | float | None = None,
    mirrored: bool | None = None,
    gravity: str | Sequence[float] | None = None,
    side: str | None = None,
    flip: str = "",
    mirror: bool = False,
    scale: float = 1.0,
) -> list[NDArray[np.float32]]:
    """The persons in a clip file as tracks (L, V, 3), float32, the most mobile first. See :func:`read_recording`.

    source: whose joints the file has, and axes to side what they are, as :func:`adasgn_edge.data.description.described`
    has them; or a description. flip, mirror, scale: corrections by hand, which come last. Raises SourceError too, for
    what is not said of a source or cannot be.

    Warns of what was made good, of a left hand, and of what looks odd (:mod:`adasgn_edge.data.plausibility`).
    """
    layout = load_layout(layout)
    said = {"axes": axes, "units": units, "mirrored": mirrored, "gravity": gravity, "side": side}
    if isinstance(source, StreamDescription):
        more = [name for name, value in said.items() if value is not None]
        if more:
            raise SourceError(f"source: expected a description alone, found {', '.join(more)} beside it")
        description: StreamDescription | None = source
    elif source is None and all(value is None for value in said.values()):
        description = None
    else:
        description = described(layout, MODEL if source is None else source, **said)  # type: ignore[arg-type]
    tracks, cleaning = read_recording(
        path, layout, missing=missing, description=description, orientation=Orientation(flip, mirror, scale)
    )
    for text in [*filter(None, [str(cleaning)]), *doubts(tracks, layout)]:
        warn(f"{path}: {text}", stacklevel=2)
    return tracks


def read_recording(
    path: Path | str,
    layout: SkeletonLayout | str,
    *,
    missing: str = "fill",
    description: StreamDescription | None = None,
    orientation: Orientation = Orientation(),
) -> tuple[list[NDArray[np.float32]], Cleaning]:
    """The persons in a clip file as tracks (L, V, 3), the most mobile first, and what was made good.

    missing: what is done about missing joints, "fill" or "error"; description: what the file's positions are, without
    one as the layout expects; orientation: corrections by hand. Raises DatasetError when the file cannot be read as its
    format, ClipError for what is in it, LayoutError for an unknown layout or source, SourceError for a description that
    does not fit the source, the layout or the file.
    """
    layout = load_layout(layout)
    bodies = [orientation.apply(layout, body) for body in read_bodies(path, layout, description)]
    if description is not None and description.side == "left":
        warn(f"{path}: {LEFT_HAND}", stacklevel=2)
    found, cleaning = clean_recording(bodies, layout, missing, str(path))
    tracks = [track for track in found if len(track) >= 2]
    if not tracks:
        raise ClipError(f"{path}: expected at least two frames to see a movement, found one")
    cleaning += Cleaning(strays=len(found) - len(tracks))
    return tracks, cleaning


def read_bodies(
    path: Path | str, layout: SkeletonLayout | str, description: StreamDescription | None = None
) -> list[Body]:
    """What is in a clip file, as the layout's joints, axes, side and units, as it is: nothing filled in, nobody joined.

    A missing joint is NaN. Raises as :func:`read_recording` does.
    """
    path, layout = Path(path), load_layout(layout)
    adapter = None if description is None else Adapter(description, layout)  # which may fail before the file is read
    if holds_lines(path) and has_header(path):
        return read_stream_bodies(path, layout, description)
    bodies = read_given_bodies(path, JointNames.of(layout, None if adapter is None else adapter.source))
    return bodies if adapter is None else [adapter.apply(body) for body in bodies]


def read_given_bodies(path: Path, names: JointNames) -> list[Body]:
    """What is in a clip file that has the joints of the names, as it was written: axes, side and units too.

    Raises DatasetError and ClipError as :func:`read_recording` does.
    """
    ending = _ending(path)
    if ending in TABLES:
        return read_table_bodies(path, names)
    if ending in ARRAYS:
        return read_array_bodies(path, names)
    if ending in DOCUMENTS:
        return read_document_bodies(path, names)
    if ending in SKELETONS:
        return _skeleton_bodies(path, names)
    raise DatasetError(f"{path}: {_wrong_ending(path)}")


def _ending(path: Path) -> str:
    """The ending in small letters, without .gz after that of a text."""
    ending = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    return inner if ending == ".gz" and inner in (*TABLES, *DOCUMENTS, *SKELETONS) else ending


def _wrong_ending(path: Path) -> str:
    ending = path.suffix.lower()
    if path.is_dir():
        return "expected a file, found a folder"
    found = f"found the ending {ending!r}" if ending else "found none"
    advice = next((f": {advice}" for endings, advice in OTHER_ENDINGS.items() if ending in endings), "")
    return f"expected a file ending in {', '.join(CLIP_ENDINGS)}, {found}{advice}"


def _skeleton_bodies(path: Path, names: JointNames) -> list[Body]:
    bodies, ntu = read_skeleton_file(path), load_layout("ntu25")
    if names.joints != ntu.joints:
        source = load_source("ntu25")
        advice = f"; read it with {source.options}" if source.fits(names.layout) else ""
        raise ClipError(
            f"{path}: expected joints of {names.owner}, found those of layout {ntu.name!r}, as a .skeleton file has"
            f"{advice}"
        )
    return bodies
