"""A clip of one's own: one file of one or more persons. Each format has a reader; what follows is the same for all.

``.csv``, ``.tsv``, ``.txt``, ``.dat``  a table of numbers (:mod:`adasgn_edge.data.tables`), also ``.csv.gz``
``.npz``, ``.npy``                      an array (:mod:`adasgn_edge.data.arrays`)
``.json``, ``.jsonl``                   frames of joints (:mod:`adasgn_edge.data.documents`)
``.skeleton``                           a file of NTU RGB+D (:mod:`adasgn_edge.data.ntu`)

The joints are those of the layout, or of a source that is mapped onto it (:mod:`adasgn_edge.data.sources`). Then axes,
side and units are set right as asked for, and what the recording lacks is made good
(:mod:`adasgn_edge.data.cleaning`).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.arrays import read_array_bodies
from adasgn_edge.data.cleaning import Cleaning, clean_recording
from adasgn_edge.data.documents import read_document_bodies
from adasgn_edge.data.joint_names import JointNames
from adasgn_edge.data.ntu import read_skeleton_file
from adasgn_edge.data.persons import Body
from adasgn_edge.data.plausibility import doubts
from adasgn_edge.data.rows import read_table_bodies
from adasgn_edge.data.sources import Orientation, Source, load_source
from adasgn_edge.errors import ClipError, DatasetError
from adasgn_edge.skeletons import SkeletonLayout, load_layout

__all__ = ["CLIP_ENDINGS", "is_clip_name", "read_bodies", "read_clip", "read_recording"]

TABLES = (".csv", ".tsv", ".txt", ".dat", ".tab")
ARRAYS = (".npz", ".npy")
DOCUMENTS = (".json", ".jsonl", ".ndjson")
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


def read_clip(
    path: Path | str,
    layout: SkeletonLayout | str,
    *,
    missing: str = "fill",
    source: str | Path | Source | None = None,
    flip: str = "",
    mirror: bool = False,
    scale: float = 1.0,
) -> list[NDArray[np.float32]]:
    """The persons in a clip file as tracks (L, V, 3), float32, the most mobile first. See :func:`read_recording`.

    Warns of what was made good, and of what looks odd (:mod:`adasgn_edge.data.plausibility`).
    """
    layout = load_layout(layout)
    tracks, cleaning = read_recording(
        path, layout, missing=missing, source=source, orientation=Orientation(flip, mirror, scale)
    )
    for text in [*filter(None, [str(cleaning)]), *doubts(tracks, layout)]:
        warnings.warn(f"{path}: {text}", stacklevel=2)
    return tracks


def read_recording(
    path: Path | str,
    layout: SkeletonLayout | str,
    *,
    missing: str = "fill",
    source: str | Path | Source | None = None,
    orientation: Orientation = Orientation(),
) -> tuple[list[NDArray[np.float32]], Cleaning]:
    """The persons in a clip file as tracks (L, V, 3), the most mobile first, and what was made good.

    missing: what is done about missing joints, "fill" or "error"; source: whose joint order the file has, the layout's
    without; orientation: axes, side and units of the file. Raises DatasetError when the file cannot be read as its
    format, ClipError for what is in it, LayoutError for an unknown layout or source.
    """
    layout = load_layout(layout)
    bodies = [orientation.apply(layout, body) for body in read_bodies(path, layout, source)]
    found, cleaning = clean_recording(bodies, layout, missing, str(path))
    tracks = [track for track in found if len(track) >= 2]
    if not tracks:
        raise ClipError(f"{path}: expected at least two frames to see a movement, found one")
    cleaning += Cleaning(strays=len(found) - len(tracks))
    return tracks, cleaning


def read_bodies(
    path: Path | str, layout: SkeletonLayout | str, source: str | Path | Source | None = None
) -> list[Body]:
    """What is in a clip file, with the layout's joints, as it is: nothing filled in, nobody left out or joined.

    A missing joint is NaN. Raises as :func:`read_recording` does.
    """
    path, layout = Path(path), load_layout(layout)
    origin = None if source is None else load_source(source)
    if origin is not None:
        origin.matrix(layout)  # a source without a mapping onto the layout is found before the file is read
    names = JointNames.of(layout, origin)
    ending = _ending(path)
    if ending in TABLES:
        bodies = read_table_bodies(path, names)
    elif ending in ARRAYS:
        bodies = read_array_bodies(path, names)
    elif ending in DOCUMENTS:
        bodies = read_document_bodies(path, names)
    elif ending in SKELETONS:
        bodies = _skeleton_bodies(path, names)
    else:
        raise DatasetError(f"{path}: {_wrong_ending(path)}")
    return bodies if origin is None else [origin.onto(layout, body) for body in bodies]


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
        advice = f"; read it with --source {source.name}" if names.layout.name in source.mappings else ""
        raise ClipError(
            f"{path}: expected joints of {names.owner}, found those of layout {ntu.name!r}, as a .skeleton file has"
            f"{advice}"
        )
    return bodies
