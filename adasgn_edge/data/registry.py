"""Every data set that the package knows by name, where it lies, and opening it: converted once, then from one file."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adasgn_edge.data.cache import SUFFIX, load_dataset, save_dataset
from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.ntu import read_ntu
from adasgn_edge.data.nw_ucla import read_nw_ucla
from adasgn_edge.data.reading import check_bad_sample_choice, warn_left_out
from adasgn_edge.data.recordings import LABEL_TABLE, read_recordings
from adasgn_edge.data.shrec import read_shrec
from adasgn_edge.errors import DatasetError
from adasgn_edge.progress import Progress

__all__ = ["DATASETS", "DatasetEntry", "cached_path", "open_dataset", "user_cache_folder"]

READER_VERSION = 2
"""Counts up whenever a reader gives something else for the same files, so that cached conversions are made again."""

Reader = Callable[[Sequence[Path], str, Progress | None], SkeletonDataset]


@dataclass(frozen=True)
class DatasetEntry:
    """A public data set.

    description: for people; folders: where it lies below the data folder, the first is needed, further ones are read
    if they are there; files: patterns of the files that are read; train, test: published number of samples
    """

    description: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    train: int
    test: int
    read: Reader


def _shrec(classes: int, folders: Sequence[Path], on_bad_sample: str, progress: Progress | None) -> SkeletonDataset:
    return read_shrec(folders[0], classes, on_bad_sample, progress)


def _nw_ucla(folders: Sequence[Path], on_bad_sample: str, progress: Progress | None) -> SkeletonDataset:
    return read_nw_ucla(folders[0], on_bad_sample, progress)


def _ntu(split: str, folders: Sequence[Path], on_bad_sample: str, progress: Progress | None) -> SkeletonDataset:
    return read_ntu(folders, split, on_bad_sample, progress)


_SHREC_FILES = ("*_gestures.txt", "gesture_*/finger_*/subject_*/essai_*/skeletons_world.txt")
_NTU60 = ("nturgb+d_skeletons",)
_NTU120 = (*_NTU60, "nturgb+d_skeletons120")
_NTU_FILES = ("**/*.skeleton",)

DATASETS: dict[str, DatasetEntry] = {
    "shrec14": DatasetEntry(
        "SHREC'17 Track, hand, 14 gestures", ("SHREC17",), _SHREC_FILES, 1960, 840, partial(_shrec, 14)
    ),
    "shrec28": DatasetEntry(
        "SHREC'17 Track, hand, 28 gestures", ("SHREC17",), _SHREC_FILES, 1960, 840, partial(_shrec, 28)
    ),
    "nw-ucla": DatasetEntry(
        "Northwestern-UCLA, 10 actions, cross-view", ("NW-UCLA/all_sqe",), ("*.json",), 1020, 464, _nw_ucla
    ),
    "ntu60-cs": DatasetEntry(
        "NTU RGB+D 60, 60 actions, cross-subject", _NTU60, _NTU_FILES, 40091, 16487, partial(_ntu, "cs")
    ),
    "ntu60-cv": DatasetEntry(
        "NTU RGB+D 60, 60 actions, cross-view", _NTU60, _NTU_FILES, 37646, 18932, partial(_ntu, "cv")
    ),
    "ntu120-csub": DatasetEntry(
        "NTU RGB+D 120, 120 actions, cross-subject", _NTU120, _NTU_FILES, 63026, 50919, partial(_ntu, "csub")
    ),
    "ntu120-cset": DatasetEntry(
        "NTU RGB+D 120, 120 actions, cross-setup", _NTU120, _NTU_FILES, 54468, 59477, partial(_ntu, "cset")
    ),
}
"""The public data sets by name; NTU's numbers of samples are those without the authors' list of missing skeletons."""


def open_dataset(
    name_or_path: str | Path,
    root: Path | str | None = None,
    cache_dir: Path | str | None = None,
    on_bad_sample: str = "error",
    progress: Progress | None = None,
) -> SkeletonDataset:
    """Open a public data set by name, a folder of one's own recordings, or a converted file by path.

    root: the folder that holds the public data sets. By default ``$ADASGN_DATA``; without it the first of ``data`` and
    ``../shared/data`` that has the data set. cache_dir: where conversions are kept, by default ``$ADASGN_CACHE`` or the
    user's cache folder; a conversion is made again when the files, the reader or the cached file have changed, for the
    last of which there is a warning.
    on_bad_sample: "error" raises at the first broken sample, "skip" leaves such samples out and warns, naming them.

    Raises DatasetError. Warns when the number of samples is not the published one.
    """
    check_bad_sample_choice(on_bad_sample)
    name = str(name_or_path)
    if name not in DATASETS:
        return _open_path(Path(name_or_path), on_bad_sample, progress)
    entry, path = DATASETS[name], cached_path(name, root, cache_dir)
    dataset = _load_cached(path)
    # A cached set that lacks broken samples does not do for a caller who wants none broken: reading names the first.
    if dataset is None or (dataset.left_out and on_bad_sample == "error"):
        dataset = entry.read(_source_folders(name, root), on_bad_sample, progress)
        try:
            save_dataset(path, dataset)
        except OSError as error:
            warnings.warn(f"{path}: the converted data set cannot be kept: {error.strerror or error}", stacklevel=2)
    else:
        warn_left_out(name, dataset.left_out, stacklevel=3)
    train, test = (int((dataset.split == split).sum()) for split in ("train", "test"))
    if (train, test) != (entry.train, entry.test):
        warnings.warn(
            f"{name}: expected {entry.train} training and {entry.test} test samples as published, found {train} and "
            f"{test}; results cannot be compared with published ones",
            stacklevel=2,
        )
    return dataset


def cached_path(name: str, root: Path | str | None = None, cache_dir: Path | str | None = None) -> Path:
    """Where the conversion of a public data set's present files is kept, whether it exists yet or not."""
    folder = Path(cache_dir) if cache_dir is not None else user_cache_folder()
    source = _fingerprint(_source_folders(name, root), DATASETS[name].files)
    key = hashlib.sha256(f"{name}/{READER_VERSION}/{source}".encode()).hexdigest()[:12]
    return folder / f"{name}-{key}{SUFFIX}"


def user_cache_folder() -> Path:
    """``$ADASGN_CACHE``, else the folder "adasgn-edge" where the system keeps a user's caches.

    Raises DatasetError for a user who has no home folder, as in some containers.
    """
    if chosen := os.environ.get("ADASGN_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = _home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")
    return base / "adasgn-edge"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise DatasetError(
            f"cache: expected a home folder, or the variable ADASGN_CACHE with a folder for conversions, found {error}"
        ) from None


def _open_path(path: Path, on_bad_sample: str, progress: Progress | None) -> SkeletonDataset:
    if path.is_file() and path.suffix == SUFFIX:
        dataset = load_dataset(path)
        warn_left_out(str(path), dataset.left_out, stacklevel=4)
        return dataset
    if path.is_dir():
        return read_recordings(path, on_bad_sample, progress)
    raise DatasetError(
        f"unknown data set {str(path)!r}: expected one of {', '.join(DATASETS)}, a folder with {LABEL_TABLE}, "
        f"or a converted file ending in {SUFFIX}"
    )


def _load_cached(path: Path) -> SkeletonDataset | None:
    if not path.exists():
        return None
    try:
        return load_dataset(path)
    except DatasetError as error:
        warnings.warn(f"{error}; converting the data set again", stacklevel=3)
        return None


def _source_folders(name: str, root: Path | str | None) -> list[Path]:
    """The data set's folders that exist; raises DatasetError that says where they were looked for."""
    entry = DATASETS[name]
    chosen = root if root is not None else os.environ.get("ADASGN_DATA") or None
    places = [Path(chosen)] if chosen is not None else [Path("data"), Path("..", "shared", "data")]
    for place in places:
        if (place / entry.folders[0]).is_dir():
            return [place / folder for folder in entry.folders if (place / folder).is_dir()]
    looked = " or ".join(str(place / entry.folders[0]) for place in places)
    raise DatasetError(
        f"data set {name!r}: expected its files in {looked}, found no such folder; "
        "say where the data sets are with --root or the environment variable ADASGN_DATA"
    )


def _fingerprint(folders: Sequence[Path], patterns: Sequence[str]) -> str:
    """Number, total size and newest change of the files: cheap, and different when any file is added or changed."""
    status = [path.stat() for folder in folders for pattern in patterns for path in folder.glob(pattern)]
    newest = max((found.st_mtime_ns for found in status), default=0)
    return f"{len(status)} files, {sum(found.st_size for found in status)} bytes, {newest}"
