"""A NumPy file as bodies: ``.npy``, or ``.npz`` with an array ``positions``, by its name or as the only one.

Shapes, V joints: (frames, V, 3); (persons, frames, V, 3); (frames, 3V) with x, y, z of the first joint first. Any other
one is an error that says which axes look swapped and how NumPy swaps them: nothing is guessed. Nothing in a file is
executed (no pickles), and nothing is allocated on its word: an array's header must fit the bytes that are there.
"""

from __future__ import annotations

import io
import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.joint_names import JointNames
from adasgn_edge.data.persons import Body
from adasgn_edge.data.reading import LARGEST_FILE, read_at_most, read_bytes
from adasgn_edge.data.tables import first_cells
from adasgn_edge.errors import AdaSGNError, ClipError, DatasetError
from adasgn_edge.wording import shown, warn

__all__ = ["bodies_of_array", "read_array_bodies", "read_arrays"]

KNOWN_NAMES = (
    "positions", "keypoint", "keypoints", "skeleton", "skeletons", "poses", "pose", "joints", "joint", "landmarks",
    "data", "coords", "coordinates", "xyz", "points", "arr_0",
)  # fmt: skip
"""What people call the array; several of them in one file must be told apart by the first name."""
MAGIC = b"\x93NUMPY"
HEADER_ERRORS = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError, EOFError)
"""What NumPy raises for a damaged or hostile header, which is a Python literal."""
ZIP_ERRORS = (
    OSError, ValueError, EOFError, KeyError, IndexError, OverflowError, MemoryError, RuntimeError, zipfile.BadZipFile,
    zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip
"""What zipfile raises for damaged, encrypted or unknown archives; RuntimeError asks for a password."""


def read_array_bodies(path: Path, names: JointNames) -> list[Body]:
    """The persons in a NumPy file, each seen in every frame; a joint with NaN in a frame is missing there.

    Raises DatasetError for a damaged file or one without such an array, ClipError for what is in it.
    """
    content = read_bytes(path)
    if content.startswith(MAGIC):
        return bodies_of_array(_array(path, "the array", content), names, str(path))
    if not content.startswith(b"PK"):
        raise DatasetError(f"{path}: expected a NumPy .npz archive or .npy array, found another kind of file")
    with _archive(path, content) as archive:
        members = _members(archive)
        name = _choose(path, archive, members)
        array = _array(path, shown(name), _member(path, archive, members[name]))
    return bodies_of_array(array, names, str(path))


def read_arrays(path: Path, only: str | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of numbers in an .npz file by their names, of all or the one; none of a file that is no archive.

    Raises DatasetError for a damaged file, or one with more than LARGEST_FILE bytes in all of its arrays.
    """
    content = read_bytes(path)
    if not content.startswith(b"PK"):
        return {}
    with _archive(path, content) as archive:
        wanted = {name: info for name, info in _members(archive).items() if only in (None, name)}
        total = sum(info.file_size for info in wanted.values())
        if total > LARGEST_FILE:
            raise DatasetError(f"{path}: expected at most {LARGEST_FILE >> 20} MB of arrays, found {total >> 20} MB")
        return {name: _array(path, shown(name), _member(path, archive, info)) for name, info in wanted.items()}


@contextmanager
def _archive(path: Path, content: bytes) -> Iterator[zipfile.ZipFile]:
    """A NumPy .npz archive; whatever zipfile raises of it is a DatasetError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive
    except AdaSGNError:
        raise
    except ZIP_ERRORS as error:
        found = shown(str(error), 120)
        raise DatasetError(f"{path}: expected a NumPy .npz archive, found a damaged one ({found})") from None


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {info.filename.removesuffix(".npy"): info for info in archive.infolist()}


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > LARGEST_FILE:
        found = f"{info.file_size >> 20} MB in {shown(info.filename)}"
        raise DatasetError(f"{path}: expected at most {LARGEST_FILE >> 20} MB, found {found}")
    with archive.open(info) as member:
        content = read_at_most(member, info.file_size + 1)
    if len(content) != info.file_size:
        raise DatasetError(f"{path}: expected {info.file_size} bytes in {shown(info.filename)}, found {len(content)}")
    return content


def _choose(path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> str:
    """The name of the array to read; warns of others that may be clips."""
    if "positions" in members:
        return "positions"
    shapes = {name: _shape(archive, info) for name, info in members.items()}
    large = {name: shape for name, shape in shapes.items() if shape is not None and len(shape) >= 2}
    known = [name for name in KNOWN_NAMES if name in members]
    found = known if len(known) == 1 else list(large)
    if len(members) == 1:
        found = list(members)
    if len(found) != 1:
        listed = [f"{name} {shape}" if shape is not None else name for name, shape in shapes.items()]
        raise DatasetError(f"{path}: expected an array 'positions', found {first_cells(listed, 6, 50) or 'no arrays'}")
    if others := [f"{name} {shape}" for name, shape in large.items() if name != found[0]]:
        warn(f"{path}: read {shown(found[0])}; arrays not used: {first_cells(others, length=50)}", stacklevel=2)
    return found[0]


def _shape(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...] | None:
    """The shape that a member's header states, None for what is no plain array of numbers."""
    with archive.open(info) as member:
        start = member.read(1 << 14)
    try:
        shape, _, dtype, _ = _header(start)
    except HEADER_ERRORS:
        return None
    return shape if dtype.kind in "fiu" else None


def _header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran's order, dtype, and where the data begin; raises one of HEADER_ERRORS."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the format, which only arrays with named fields have")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of headers that Python 2 wrote
        shape, fortran, dtype = readers[version](stream)
    if any(length < 0 for length in shape):
        raise ValueError(f"a negative length in the shape {shape}")
    return shape, fortran, dtype, stream.tell()


def _array(path: Path, name: str, content: bytes) -> NDArray[Any]:
    if not content.startswith(MAGIC):
        raise DatasetError(f"{path}: expected a NumPy array in {name}, found other bytes")
    try:
        shape, fortran, dtype, start = _header(content)
    except HEADER_ERRORS as error:
        reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
        raise DatasetError(f"{path}: expected a NumPy array in {name}, found a damaged one ({reason})") from None
    if dtype.hasobject:
        raise DatasetError(
            f"{path}: expected plain numbers in {name}, found Python objects (pickled), which are not read: "
            "they would run code; save np.stack(list(a)).astype(np.float32)"
        )
    if dtype.names is not None:
        fields = first_cells(dtype.names)
        raise ClipError(f"{path}: expected plain numbers in {name}, found an array of records with the fields {fields}")
    if dtype.kind not in "fiu":
        raise ClipError(f"{path}: expected numbers in {name}, found {dtype}")
    size = math.prod(shape) * dtype.itemsize
    if size != len(content) - start:
        raise DatasetError(
            f"{path}: expected {size} bytes for {name} of shape {_short(shape)}, found a damaged array of "
            f"{len(content) - start} bytes"
        )
    array = np.frombuffer(content, dtype, offset=start)
    return array.reshape(shape, order="F" if fortran else "C")


def _short(shape: Sequence[int]) -> str:
    return shown(str(tuple(shape)), 60).strip("'")


def bodies_of_array(array: NDArray[Any], names: JointNames, what: str) -> list[Body]:
    """The persons in an array of one of the module's shapes; raises ClipError for another, or for infinity."""
    joints = len(names.joints)
    if array.ndim == 2 and array.shape[1] == 3 * joints:
        array = array.reshape(-1, joints, 3)
    if array.ndim not in (3, 4) or array.shape[-2:] != (joints, 3):
        raise ClipError(f"{what}: {_expected(names)}, found {_short(array.shape)}{_shape_advice(array.shape, names)}")
    persons = array[None] if array.ndim == 3 else array
    if len(persons) == 0:
        raise ClipError(f"{what}: {_expected(names)} with at least one person, found none")
    if persons.shape[1] == 0:
        raise ClipError(f"{what}: {_expected(names)} with at least one frame, found none")
    if len(persons) > persons.shape[1]:
        raise ClipError(
            f"{what}: {_expected(names)}, found {_short(array.shape)}: {len(persons)} persons in {persons.shape[1]} "
            "frames; they look swapped: np.swapaxes(a, 0, 1)"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        persons = persons.astype(np.float32)
    infinite = np.isinf(persons)
    if infinite.any():
        person, frame, joint, _ = np.argwhere(infinite)[0].tolist()
        where = f"{what}, person {person + 1}" if len(persons) > 1 else what
        raise ClipError(
            f"{where}: expected finite coordinates (NaN for a missing joint), found infinity in frame {frame}, joint "
            f"{names.joints[joint]!r}"
        )
    persons[np.isnan(persons).any(axis=-1)] = np.nan
    frames = np.arange(persons.shape[1], dtype=np.int64)
    return [Body(frames, np.ascontiguousarray(positions)) for positions in persons]


def _expected(names: JointNames) -> str:
    joints = len(names.joints)
    return f"expected shape (frames, {joints}, 3) or (persons, frames, {joints}, 3) for {names.owner}"


def _shape_advice(shape: tuple[int, ...], names: JointNames) -> str:
    """What is probably wrong with a shape and how NumPy mends it."""
    joints, axes = len(names.joints), len(shape)
    if shape == (joints, 3):
        return ": a single frame"
    if axes == 2 and shape[0] == 3 * joints:
        return ": frames and coordinates look swapped: a.T"
    if axes == 1 or axes == 0:
        return ""
    if axes == 2:
        return names.other_owner(shape[1] / 3) if shape[1] % 3 == 0 else ""
    if axes == 5:
        return ": one clip is read: a[0]" + (f" of shape {_short(shape[1:])}" if shape[0] == 1 else "")
    coordinates_first = axes == 4 and shape[:1] == (3,)  # as ST-GCN writes them, with two persons at the end
    if shape[-2:] == (joints, 2) and not coordinates_first:
        return ": x and y alone; the model needs three-dimensional coordinates"
    if shape[-2:] == (joints, 4) and not coordinates_first:
        return ": a fourth number beside x, y, z, a confidence or 1: a[..., :3]"
    if axes in (3, 4) and shape[-1] == 3 and (hint := names.other_owner(shape[-2])):
        return hint
    if axes not in (3, 4):
        return ""
    found = [order for order in permutations(range(axes)) if tuple(shape[a] for a in order)[-2:] == (joints, 3)]
    if axes == 4:  # of the two axes left over, the shorter one counts the persons
        found = [order for order in found if shape[order[0]] <= shape[order[1]]]
    if not found:
        return ""
    names_of = ("persons", "frames", "joints", "coordinates")[-axes:]
    meaning = ", ".join(names_of[found[0].index(axis)] for axis in range(axes))
    sure = "" if len(found) == 1 else "perhaps "
    return f": the axes look like ({meaning}): {sure}np.transpose(a, {found[0]})"
