"""A converted data set as one file: written atomically, checked in full before anything in it is believed.

=======  ====================================================================================================
line 1   ``adasgn-edge data set, version 2``
line 2   SHA-256 of everything after this line, in hexadecimal
line 3   JSON: names, labels' names, splits, layout and the arrays' sizes
rest     the arrays, little-endian: positions (F, V, 3) float32; start, length (N, M) and labels (N,) int64
=======  ====================================================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import os
from dataclasses import asdict
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.cleaning import Cleaning
from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.errors import DatasetError, LayoutError
from adasgn_edge.files import atomic_path
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import shortened

__all__ = ["SUFFIX", "load_dataset", "read_checksum", "save_dataset"]

SUFFIX = ".skeletons"
VERSION = 2

_TITLE = "adasgn-edge data set, version "
_ARRAYS = {"positions": "<f4", "start": "<i8", "length": "<i8", "labels": "<i8"}
_CHUNK = 1 << 20
UNUSABLE = (
    KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, MemoryError,
    LayoutError,
)  # fmt: skip
"""What a header raises whose values are not of the kind that they should be."""


def save_dataset(path: Path, dataset: SkeletonDataset) -> str:
    """Write a data set to one file, atomically; returns its checksum."""
    arrays = {name: np.ascontiguousarray(getattr(dataset, name), dtype) for name, dtype in _ARRAYS.items()}
    header = {
        "name": dataset.name,
        "layout": dataset.layout.to_dict(),
        "names": dataset.names,
        "split": dataset.split.tolist(),
        "class_names": dataset.class_names,
        "left_out": dataset.left_out,
        "groups": dataset.groups,
        "rate": dataset.rate,
        "cleaning": asdict(dataset.cleaning),
        "shapes": {name: array.shape for name, array in arrays.items()},
    }
    parts: list[bytes | memoryview] = [json.dumps(header).encode() + b"\n"]
    parts += [array.data.cast("B") for array in arrays.values()]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(f"{_TITLE}{VERSION}\n{digest.hexdigest()}\n".encode())
        for part in parts:
            file.write(part)
    return digest.hexdigest()


def load_dataset(path: Path) -> SkeletonDataset:
    """Read a data set back; raises DatasetError for a missing, foreign or damaged file or another version."""
    try:
        with path.open("rb") as file:
            expected = _read_title(path, file)
            body = file.tell()
            found = _digest(file)
            if found != expected:
                raise DatasetError(
                    f"{path}: damaged or truncated; expected the checksum {expected[:12]}…, found {found[:12]}…"
                )
            file.seek(body)
            return _read_body(path, file)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from None


def read_checksum(path: Path) -> str:
    """The checksum that a file claims to have, without checking it; raises DatasetError like :func:`load_dataset`."""
    try:
        with path.open("rb") as file:
            return _read_title(path, file)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from None


def _read_title(path: Path, file: BufferedReader) -> str:
    """Check the first line and return the second."""
    title = file.readline(100).decode("latin-1").rstrip("\n")
    if not title.startswith(_TITLE):
        raise DatasetError(f"{path}: expected a converted data set of adasgn-edge, found another kind of file")
    if title != f"{_TITLE}{VERSION}":
        raise DatasetError(f"{path}: expected version {VERSION} of the format, found {title.removeprefix(_TITLE)!r}")
    return file.readline(100).decode("latin-1").rstrip("\n")


def _digest(file: BufferedReader) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _read_body(path: Path, file: BufferedReader) -> SkeletonDataset:
    """Header and arrays of a file whose checksum is right: what fails here was written wrongly, not damaged."""
    try:
        header = json.loads(file.readline())
        arrays = {name: _read_array(file, dtype, header["shapes"][name]) for name, dtype in _ARRAYS.items()}
        if file.read(1):
            raise ValueError("more bytes after the last array")
        split = _texts(header, "split")
        if not {*split} <= {"train", "test"}:
            raise ValueError("a split that is neither train nor test")
        return SkeletonDataset(
            name=str(header["name"]),
            layout=SkeletonLayout.from_dict(header["layout"]),
            names=_texts(header, "names"),
            split=np.asarray(split, dtype=np.str_),
            class_names=_texts(header, "class_names"),
            left_out=_texts(header, "left_out"),
            groups=_texts(header, "groups"),
            rate=None if header["rate"] is None else float(header["rate"]),
            cleaning=Cleaning(**{name: int(count) for name, count in header["cleaning"].items()}),
            **arrays,
        )
    except DatasetError as error:
        raise DatasetError(f"{path}: expected a complete data set: {error}") from None
    except UNUSABLE as error:
        found = f"{type(error).__name__}: {shortened(str(error), 150)}"
        raise DatasetError(f"{path}: expected a complete data set, found {found}") from None


def _texts(header: dict[str, Any], name: str) -> tuple[str, ...]:
    if not isinstance(header[name], list) or not all(isinstance(text, str) for text in header[name]):
        raise TypeError(f"{name}: not a list of texts")
    return tuple(header[name])


def _read_array(file: BufferedReader, dtype: str, shape: list[int]) -> NDArray[Any]:
    count = math.prod(operator.index(size) for size in shape)
    size = count * np.dtype(dtype).itemsize
    left = os.fstat(file.fileno()).st_size - file.tell()
    if min(shape, default=0) < 0 or size > left:  # before any memory is taken
        raise ValueError(f"{left} bytes for an array of {shape}")
    array = np.empty(shape, dtype)
    if file.readinto(array.data.cast("B")) != size:
        raise ValueError(f"too few bytes for an array of {shape}")
    chunks = range(0, count, _CHUNK)
    if dtype == "<f4" and not all(np.isfinite(array.reshape(-1)[start : start + _CHUNK]).all() for start in chunks):
        raise ValueError("coordinates that are not finite")
    return array.astype(np.dtype(dtype).newbyteorder("="), copy=False)
