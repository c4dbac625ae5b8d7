"""Every data set that the package knows by name, where it lies, and opening it: converted once, then from one file."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.cache import SUFFIX, load_dataset, save_dataset
from adasgn_edge.data.cleaning import MISSING_CHOICES
from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.hand_streams import read_hand_streams
from adasgn_edge.data.ntu import ENDINGS, read_ntu
from adasgn_edge.data.nw_ucla import read_nw_ucla
from adasgn_edge.data.online import OnlineDataset
from adasgn_edge.data.plausibility import doubts_of_dataset
from adasgn_edge.data.reading import check_bad_sample_choice, warn_left_out
from adasgn_edge.data.recordings import LABEL_TABLE, RecordingFolder
from adasgn_edge.data.shrec import read_shrec
from adasgn_edge.data.shrec21 import read_shrec21
from adasgn_edge.data.splits import split_notes
from adasgn_edge.data.walking import files_below, is_folder, is_there
from adasgn_edge.errors import DatasetError
from adasgn_edge.progress import Progress
from adasgn_edge.wording import shown, warn

__all__ = [
    "DATASETS",
    "ONLINE_DATASETS",
    "DatasetEntry",
    "OnlineDatasetEntry",
    "cached_path",
    "open_dataset",
    "open_online_dataset",
    "user_cache_folder",
]

READER_VERSION = 9
"""Counts up whenever a reader gives something else for the same files, so that cached conversions are made again."""

Reader = Callable[[Sequence[Path], str, Progress | None, str], SkeletonDataset]
"""The set in its folders; what to do with a broken sample and with missing joints, see :func:`open_dataset`."""


@dataclass(frozen=True)
class DatasetEntry:
    """A public data set.

    description: for people; folders: where it lies below the data folder, the first is needed, further ones are read
    if they are there; files: endings of the files that are read; train, test: published number of samples
    """

    description: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    train: int
    test: int
    read: Reader


def _shrec(
    classes: int, folders: Sequence[Path], on_bad_sample: str, progress: Progress | None, missing: str
) -> SkeletonDataset:
    return read_shrec(folders[0], classes, on_bad_sample, progress, missing)


def _nw_ucla(folders: Sequence[Path], on_bad_sample: str, progress: Progress | None, missing: str) -> SkeletonDataset:
    return read_nw_ucla(folders[0], on_bad_sample, progress, missing)


def _ntu(
    split: str, folders: Sequence[Path], on_bad_sample: str, progress: Progress | None, missing: str
) -> SkeletonDataset:
    return read_ntu(folders, split, on_bad_sample, progress, missing)


_SHREC_FILES = ("_gestures.txt", "skeletons_world.txt")
_NTU60 = ("nturgb+d_skeletons",)
_NTU120 = (*_NTU60, "nturgb+d_skeletons120")
_NTU_FILES = ENDINGS

DATASETS: dict[str, DatasetEntry] = {
    "shrec14": DatasetEntry(
        "SHREC'17 Track, hand, 14 gestures", ("SHREC17",), _SHREC_FILES, 1960, 840, partial(_shrec, 14)
    ),
    "shrec28": DatasetEntry(
        "SHREC'17 Track, hand, 28 gestures", ("SHREC17",), _SHREC_FILES, 1960, 840, partial(_shrec, 28)
    ),
    "nw-ucla": DatasetEntry(
        "Northwestern-UCLA, 10 actions, cross-view", ("NW-UCLA/all_sqe",), (".json",), 1020, 464, _nw_ucla
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


@dataclass(frozen=True)
class OnlineDatasetEntry:
    """A public data set of continuous recordings; train, test: published number of sequences; clips: the data set of
    trimmed clips that streams are composed of beside it."""

    description: str
    folder: str
    train: int
    test: int
    read: Callable[..., OnlineDataset]
    clips: str | None = None


ONLINE_DATASETS: dict[str, OnlineDatasetEntry] = {
    "shrec21": OnlineDatasetEntry("SHREC'21 Track, hand, 17 gestures in streams", "SHREC21", 108, 72, read_shrec21),
    "hands": OnlineDatasetEntry(
        "SHREC'21, streams composed of SHREC'17's clips, the demo's hand: 23 gestures of lying and of upright hands",
        "SHREC21", 344, 156, read_hand_streams, "shrec14",
    ),
}  # fmt: skip
"""The public data sets of continuous recordings by name; see :mod:`adasgn_edge.data.online`."""


def open_dataset(
    name_or_path: str | Path,
    root: Path | str | None = None,
    cache_dir: Path | str | None = None,
    on_bad_sample: str = "error",
    progress: Progress | None = None,
    missing: str = "fill",
) -> SkeletonDataset:
    """Open a public data set by name, a folder of one's own recordings, or a converted file by path.

    root: the folder that holds the public data sets. By default ``$ADASGN_DATA``; without it the first of ``data`` and
    ``../shared/data`` that has the data set. cache_dir: where conversions are kept, by default ``$ADASGN_CACHE`` or the
    user's cache folder; a conversion is made again when the files, the reader or the cached file have changed, for the
    last of which there is a warning.
    on_bad_sample: "error" raises at the first broken sample, "skip" leaves such samples out and warns, naming them; a
    conversion with samples left out is used again by whoever skips them too.
    missing: what becomes of joints that were not seen, "fill" or "error"; see :mod:`adasgn_edge.data.cleaning`.

    Raises DatasetError. Warns when the number of samples is not the published one, and of one's own recordings what
    :func:`adasgn_edge.data.recordings.read_recordings` warns of.
    """
    check_bad_sample_choice(on_bad_sample)
    if missing not in MISSING_CHOICES:
        raise DatasetError(f"missing: expected one of {', '.join(MISSING_CHOICES)}, found {missing!r}")
    name, path = str(name_or_path), Path(name_or_path)
    if name in DATASETS:
        entry = DATASETS[name]
        folders = _source_folders(name, entry.folders, root)
        path = cached_path(name, root, cache_dir, missing)
        dataset = _converted_once(path, lambda: entry.read(folders, on_bad_sample, progress, missing), on_bad_sample)
        _check_published((entry.train, entry.test), name, dataset.split, "samples")
        _warn_of(doubts_of_dataset(dataset))
        return dataset
    if not is_folder(path):
        return _open_converted(path, missing)
    plan = _plan(path)
    plan.warn()
    path = _kept_plan(plan, cache_dir, missing)
    dataset = _converted_once(path, lambda: plan.read(on_bad_sample, progress, missing), on_bad_sample)
    _remove_older(path)
    _warn_of([*split_notes(dataset), *doubts_of_dataset(dataset)])
    return dataset


def open_online_dataset(name: str, root: Path | str | None = None, progress: Progress | None = None) -> OnlineDataset:
    """Open a public data set of continuous recordings; where it is looked for is said at :func:`open_dataset`.

    It is read anew each time. Raises DatasetError. Warns when the number of sequences is not the published one.
    """
    entry = ONLINE_DATASETS.get(name)
    if entry is None:
        hint = "; it is one of trimmed clips, which open_dataset opens" if name in DATASETS else ""
        raise DatasetError(
            f"unknown data set of continuous recordings {shown(name, 100)}: expected one of "
            f"{', '.join(ONLINE_DATASETS)}{hint}"
        )
    (folder,) = _source_folders(name, (entry.folder,), root)
    if entry.clips is None:
        dataset = entry.read(folder, progress)
    else:
        dataset = entry.read(folder, open_dataset(entry.clips, root, progress=progress), progress)
    _check_published((entry.train, entry.test), name, dataset.split, "sequences")
    return dataset


def _warn_of(notes: Sequence[str]) -> None:
    for note in notes:
        warn(note, stacklevel=3)


def cached_path(
    name_or_path: str | Path,
    root: Path | str | None = None,
    cache_dir: Path | str | None = None,
    missing: str = "fill",
) -> Path:
    """Where the conversion of a public data set's or folder's present files is kept, whether it exists yet or not."""
    name = str(name_or_path)
    if name not in DATASETS:
        return _kept_plan(_plan(Path(name_or_path)), cache_dir, missing)
    source = _fingerprint(_source_folders(name, DATASETS[name].folders, root), DATASETS[name].files)
    return _kept(name, f"{name}/{missing}/{source}", cache_dir)


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


def _open_converted(path: Path, missing: str) -> SkeletonDataset:
    if str(path) in ONLINE_DATASETS:
        raise DatasetError(f"data set {path}: expected one of trimmed clips; {path} is one of continuous recordings")
    if path.suffix != SUFFIX or not is_there(path):
        raise DatasetError(
            f"unknown data set {shown(str(path), 100)}: expected one of {', '.join(DATASETS)}, a folder with "
            f"{LABEL_TABLE}, or a converted file ending in {SUFFIX}"
        )
    dataset = load_dataset(path)
    if missing == "error" and dataset.cleaning.filled_joints:
        raise DatasetError(
            f"{path}: expected no missing joints, found {dataset.cleaning.filled_joints} that were filled when the set "
            "was converted"
        )
    warn_left_out(str(path), dataset.left_out, stacklevel=4)
    return dataset


def _converted_once(path: Path, read: Callable[[], SkeletonDataset], on_bad_sample: str) -> SkeletonDataset:
    """The conversion at `path` if it does, else what `read` gives, kept there."""
    dataset = _load_cached(path)
    # A cached set that lacks broken samples does not do for a caller who wants none broken: reading names the first.
    if dataset is not None and not (dataset.left_out and on_bad_sample == "error"):
        warn_left_out(dataset.name, dataset.left_out, stacklevel=4)
        return dataset
    dataset = read()
    try:
        save_dataset(path, dataset)
    except OSError as error:
        warn(f"{path}: the converted data set cannot be kept: {error.strerror or error}", stacklevel=3)
    return dataset


def _check_published(published: tuple[int, int], name: str, split: NDArray[np.str_], what: str) -> None:
    train, test = (int((split == part).sum()) for part in ("train", "test"))
    if (train, test) != published:
        warn(
            f"{name}: expected {published[0]} training and {published[1]} test {what} as published, found {train} and "
            f"{test}; results cannot be compared with published ones",
            stacklevel=3,
        )


def _plan(path: Path) -> RecordingFolder:
    """A folder of recordings; of the files of a public data set, a DatasetError that says what to write."""
    for name, entry in DATASETS.items() if not (path / LABEL_TABLE).exists() else ():
        needed, inside = Path(entry.folders[0]), path.resolve()
        if inside.match(entry.folders[0]) or (path / needed).is_dir():
            root = inside.parents[len(needed.parts) - 1] if inside.match(entry.folders[0]) else path
            alike = [other for other, known in DATASETS.items() if known.folders[0] == entry.folders[0]]
            raise DatasetError(
                f"{path}: expected the name of a data set, or a folder with {LABEL_TABLE}; found the files of "
                f"{' or '.join(alike)}: write {name} --root {root}"
            )
    return RecordingFolder.open(path)


def _kept(beginning: str, content: str, cache_dir: Path | str | None) -> Path:
    folder = Path(cache_dir) if cache_dir is not None else user_cache_folder()
    return folder / f"{beginning}-{_short_hash(f'{READER_VERSION}/{content}')}{SUFFIX}"


def _kept_plan(plan: RecordingFolder, cache_dir: Path | str | None, missing: str) -> Path:
    beginning = f"{plan.name[:40]}-{_short_hash(str(plan.folder.resolve()))}"
    return _kept(beginning, f"{missing}/{plan.fingerprint}", cache_dir)


def _remove_older(path: Path) -> None:
    """Remove earlier conversions of the folder of recordings whose conversion is kept at `path`."""
    common = path.name.rsplit("-", 1)[0]
    with suppress(OSError):  # of another user, or removed by another process: no harm
        for other in list(path.parent.iterdir()) if path.exists() else ():
            if other.suffix == SUFFIX and other.name.rsplit("-", 1)[0] == common and other != path:
                other.unlink(missing_ok=True)


def _load_cached(path: Path) -> SkeletonDataset | None:
    if not path.exists():
        return None
    try:
        return load_dataset(path)
    except DatasetError as error:
        warn(f"{error}; converting the data set again", stacklevel=3)
        return None


def _source_folders(name: str, folders: Sequence[str], root: Path | str | None) -> list[Path]:
    """Those of the data set's folders that exist; raises DatasetError that says where they were looked for."""
    chosen = root if root is not None else os.environ.get("ADASGN_DATA") or None
    places = [Path(chosen)] if chosen is not None else [Path("data"), Path("..", "shared", "data")]
    for place in places:
        if is_folder(place / folders[0]):
            return [place / folder for folder in folders if is_folder(place / folder)]
    looked = " or ".join(str(place / folders[0]) for place in places)
    inside = next((place.resolve() for place in places if place.resolve().match(folders[0])), None)
    if inside is not None and is_folder(inside):
        root = inside.parents[len(Path(folders[0]).parts) - 1]
        raise DatasetError(
            f"data set {name!r}: expected the folder that holds {folders[0]}, found that itself: --root {root}"
        )
    raise DatasetError(
        f"data set {name!r}: expected its files in {looked}, found no such folder; "
        "say where the data sets are with --root or the environment variable ADASGN_DATA"
    )


def _fingerprint(folders: Sequence[Path], endings: tuple[str, ...]) -> str:
    """Another one when a file is added, removed, renamed or replaced: of all names, sizes and times of change."""
    digest = hashlib.sha256()
    for number, folder in enumerate(folders):
        for name in files_below(folder, lambda name: name.lower().endswith(endings)):
            try:
                status = (folder / name).stat()
            except OSError as error:
                raise DatasetError(f"{folder / name}: {error.strerror or error}") from None
            about = f"{number}/{name}/{status.st_size}/{status.st_mtime_ns}\n"
            digest.update(about.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
