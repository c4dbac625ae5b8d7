"""A clip of one's own: one file of one to M persons, V joints in the order of the layout.

``.npz``  array ``positions``: (L, V, 3) for one person, (M, L, V, 3) for several; written by ``numpy.savez``
``.csv``  a line a frame, 3V numbers x1,y1,z1,x2,… between commas. The first line may be a header (it is one when no
          cell is a number). With a header whose first column is called ``person``, a line is one person in one frame,
          and the whole number in that column tells persons apart; each one's lines are in the order of time
``.txt``  a line a frame, 3V numbers between blanks
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.cleaning import Cleaning, clean_recording
from adasgn_edge.data.persons import whole_body
from adasgn_edge.data.preprocess import as_recording
from adasgn_edge.data.reading import read_lines, read_number_rows
from adasgn_edge.errors import ClipError, DatasetError
from adasgn_edge.skeletons import SkeletonLayout, load_layout

__all__ = ["CLIP_ENDINGS", "is_clip_name", "read_clip", "read_recording"]

CLIP_ENDINGS = (".npz", ".csv", ".txt")
"""Endings of the files that are read, in lower case."""
NPZ_ERRORS = (OSError, ValueError, KeyError, EOFError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise for damaged or hostile archives."""
LARGEST_PERSON = 1 << 24
"""Whole numbers below this are exact in float32."""


def is_clip_name(name: str) -> bool:
    """Whether a file of that name is read as a clip."""
    return Path(name).suffix.lower() in CLIP_ENDINGS


def read_recording(
    path: Path | str, layout: SkeletonLayout | str, *, missing: str = "fill"
) -> tuple[list[NDArray[np.float32]], Cleaning]:
    """The persons of :func:`read_clip`, and what was made good: nothing, since what is missing is an error there."""
    return read_clip(path, layout), Cleaning()


def read_clip(path: Path | str, layout: SkeletonLayout | str) -> list[NDArray[np.float32]]:
    """Read a clip file: one (L, V, 3) float32 track of at least two frames per person.

    Raises DatasetError when the file cannot be read as its format (missing, unknown ending, ragged or damaged), and
    ClipError for what is in it: a wrong number of joints, no or one frame, NaN or infinity.
    """
    path, layout = Path(path), load_layout(layout)
    readers = {".npz": _read_npz, ".csv": _read_csv, ".txt": _read_txt}
    ending = path.suffix.lower()
    if ending not in readers:
        raise DatasetError(f"{path}: expected a file ending in {', '.join(readers)}, found the ending {ending!r}")
    if not path.is_file():
        raise DatasetError(f"{path}: expected a file, found {'a folder' if path.is_dir() else 'nothing'}")
    persons = readers[ending](path, layout)
    bodies = [whole_body(as_recording(positions, layout, str(path))) for positions in persons]
    tracks, _ = clean_recording(bodies, layout, what=str(path))
    for number, track in enumerate(tracks, 1):
        if len(track) < 2:
            what = str(path) if len(tracks) == 1 else f"{path}, person {number}"
            raise ClipError(f"{what}: expected at least two frames to see a movement, found one")
    return tracks


def _read_txt(path: Path, layout: SkeletonLayout) -> list[NDArray[np.float32]]:
    rows = read_number_rows(path, columns=3 * layout.joint_count)
    return [rows.reshape(-1, layout.joint_count, 3)]


def _read_csv(path: Path, layout: SkeletonLayout) -> list[NDArray[np.float32]]:
    columns = 3 * layout.joint_count
    header = _csv_header(path)
    has_person = bool(header) and header[0].lower() == "person"
    rows = read_number_rows(path, columns + has_person, delimiter=",", header_rows=1 if header else 0)
    if not has_person:
        return [rows.reshape(-1, layout.joint_count, 3)]
    if len(rows) == 0:
        raise ClipError(f"{path}: expected at least one frame, found none")
    numbers = rows[:, 0]
    wrong = ~(np.abs(numbers) < LARGEST_PERSON) | (numbers != np.round(numbers))
    if wrong.any():
        raise ClipError(f"{path}: expected whole person numbers below {LARGEST_PERSON}, found {numbers[wrong][0]:g}")
    persons = dict.fromkeys(numbers.tolist())  # in order of appearance
    return [rows[numbers == person, 1:].reshape(-1, layout.joint_count, 3) for person in persons]


def _csv_header(path: Path) -> list[str]:
    """Cells of the first line when none of them is a number, else nothing."""
    lines = read_lines(path)
    cells = [cell.strip() for cell in lines[0].split(",")] if lines else []
    return [] if any(map(_is_number, cells)) else cells


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_npz(path: Path, layout: SkeletonLayout) -> list[NDArray[np.float32]]:
    if not zipfile.is_zipfile(path):
        raise DatasetError(f"{path}: expected a NumPy .npz archive, found another kind of file or a damaged one")
    try:
        with np.load(path, allow_pickle=False) as archive:  # a pickled (object) array is a ValueError
            names = archive.files
            positions = archive["positions"] if "positions" in names else None
    except NPZ_ERRORS as error:
        raise DatasetError(f"{path}: expected plain numbers in 'positions', found a damaged array ({error})") from None
    if positions is None:
        raise DatasetError(f"{path}: expected an array 'positions', found {', '.join(names) or 'no arrays'}")
    if positions.dtype.kind not in "fiu":
        raise ClipError(f"{path}: expected numbers in 'positions', found {positions.dtype}")
    if positions.ndim not in (3, 4):
        joints = layout.joint_count
        raise ClipError(
            f"{path}: expected shape (frames, {joints}, 3) or (persons, frames, {joints}, 3), found {positions.shape}"
        )
    if positions.ndim == 4 and len(positions) == 0:
        raise ClipError(f"{path}: expected at least one person, found none")
    return [positions] if positions.ndim == 3 else list(positions)
