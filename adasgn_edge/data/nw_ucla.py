"""Reader of Northwestern-UCLA Multiview Action 3D (Wang et al., CVPR 2014), in the JSON form as distributed.

``aAA_sSS_eEE_vVV.json``: ``{"file_name", "skeletons": T x 20 x 3 (metres, Kinect v1 order), "label": from 1}``.
The ten actions have the numbers 1-6, 8, 9, 11, 12 in the names and 1-10 as labels. Views 1 and 2 train (1020), view 3
tests (464). Two recordings have a single frame; they belong to the published counts and stay.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.cleaning import clean_recording
from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.persons import whole_body
from adasgn_edge.data.preprocess import as_recording
from adasgn_edge.data.reading import BadSamples, read_lines
from adasgn_edge.errors import DatasetError
from adasgn_edge.progress import Progress
from adasgn_edge.skeletons import load_layout
from adasgn_edge.wording import shown

__all__ = ["ACTIONS", "read_nw_ucla"]

ACTIONS = {
    1: "pick up with one hand", 2: "pick up with two hands", 3: "drop trash", 4: "walk around", 5: "sit down",
    6: "stand up", 8: "donning", 9: "doffing", 11: "throw", 12: "carry",
}  # fmt: skip
"""Action names by their number in the file names; their order is the order of the labels."""
RATE = 30.0
"""Frames a second."""
SPLIT_OF_VIEW = {1: "train", 2: "train", 3: "test"}

_NAME = re.compile(r"a(\d{1,9})_s(\d{1,9})_e(\d{1,9})_v(\d{1,9})", re.ASCII)


def read_nw_ucla(
    root: Path, on_bad_sample: str = "error", progress: Progress | None = None, missing: str = "fill"
) -> SkeletonDataset:
    """Read the folder of JSON files with the cross-view split.

    on_bad_sample: "error" raises DatasetError at the first broken sample, "skip" names it in a warning and goes on.
    missing: see :mod:`adasgn_edge.data.cleaning`.
    """
    layout = load_layout("kinect20")
    builder = DatasetBuilder("nw-ucla", layout, tuple(ACTIONS.values()), RATE)
    bad = BadSamples("NW-UCLA", on_bad_sample)
    paths = sorted(path for path in root.iterdir() if path.suffix.lower() == ".json" and not path.name.startswith("."))
    if not paths:
        raise DatasetError(f"{root}: expected the .json files of NW-UCLA, found none")
    for path in (progress or Progress()).track(paths, "reading NW-UCLA"):
        with bad.guard(str(path)):
            label, split, view = _label_split_view(path)
            content = _read_json(path)
            if content["label"] != label + 1 or content["file_name"] != path.stem:
                raise DatasetError(
                    f"{path}: expected the name {path.stem!r} and label {label + 1} inside the file, "
                    f"found {shown(content['file_name'])} and {shown(content['label'])}"
                )
            body = whole_body(as_recording(_numbers(path, content["skeletons"]), layout, str(path)))
            tracks, cleaning = clean_recording([body], layout, missing, str(path))
            builder.add(path.stem, label, split, tracks, cleaning, f"view {view}")
    return builder.build(left_out=bad.report())


def _label_split_view(path: Path) -> tuple[int, str, int]:
    """Label from 0, split and view, from the file's name."""
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise DatasetError(f"{path}: expected a name such as a01_s01_e00_v01.json")
    action, _, _, view = map(int, match.groups())
    if action not in ACTIONS or view not in SPLIT_OF_VIEW:
        raise DatasetError(
            f"{path}: expected an action among {', '.join(map(str, ACTIONS))} and a view from 1 to 3, "
            f"found action {action}, view {view}"
        )
    return list(ACTIONS).index(action), SPLIT_OF_VIEW[view], view


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads("\n".join(read_lines(path)))
    except RecursionError:
        raise DatasetError(f"{path}: not valid JSON (nested too deeply)") from None
    except ValueError as error:
        raise DatasetError(f"{path}: not valid JSON ({error})") from None
    keys = ("file_name", "skeletons", "label")
    if not isinstance(content, dict) or any(key not in content for key in keys):
        raise DatasetError(f"{path}: expected an object with the keys {', '.join(keys)}")
    return content


def _numbers(path: Path, skeletons: object) -> NDArray[np.float32]:
    """The coordinates as an array, of whatever shape; JSON's null, which stands for NaN, becomes that.

    Raises DatasetError for what is not numbers in lists of equal length.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy before 1.24 only warns of lists of unequal length
            array = np.asarray(skeletons)
        if array.dtype.kind == "O" and all(isinstance(number, int | float | None) for number in array.flat):
            array = array.astype(np.float64)
    except (ValueError, OverflowError, RecursionError, Warning):  # ragged, too large or nested too deeply
        array = np.asarray("")
    if array.dtype.kind not in "iuf":
        raise DatasetError(f"{path}: expected frames x 20 joints x 3 numbers as 'skeletons', found {shown(skeletons)}")
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinity, which is refused
        return array.astype(np.float32)
