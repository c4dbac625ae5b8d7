"""Reader of the SHREC'17 Track data set of dynamic hand gestures (De Smedt et al., 3DOR 2017), as distributed.

``gesture_G/finger_F/subject_S/essai_E/skeletons_world.txt``: a line a frame, 22 joints x (x, y, z) in metres, 30 Hz;
``train_gestures.txt`` (1960 lines) and ``test_gestures.txt`` (840 lines): the official split,
``gesture finger subject essai label_14 label_28 length``, labels from 1.
"""

from __future__ import annotations

from pathlib import Path

from adasgn_edge.data.cleaning import clean_recording
from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.persons import whole_body
from adasgn_edge.data.preprocess import as_recording
from adasgn_edge.data.reading import BadSamples, read_lines, read_number_rows
from adasgn_edge.errors import DatasetError
from adasgn_edge.progress import Progress
from adasgn_edge.skeletons import load_layout
from adasgn_edge.wording import shown

__all__ = ["GESTURES", "class_names", "read_shrec"]

GESTURES = (
    "Grab", "Tap", "Expand", "Pinch", "Rotation Clockwise", "Rotation Counter-Clockwise", "Swipe Right", "Swipe Left",
    "Swipe Up", "Swipe Down", "Swipe X", "Swipe +", "Swipe V", "Shake",
)  # fmt: skip
"""The 14 gestures in label order."""
RATE = 30.0
"""Frames a second."""


def class_names(classes: int) -> tuple[str, ...]:
    """Names of the 14 gestures, or of the 28: each with one finger, then with the whole hand."""
    if classes == 14:
        return GESTURES
    return tuple(f"{gesture} ({hand})" for gesture in GESTURES for hand in ("one finger", "whole hand"))


def read_shrec(
    root: Path,
    classes: int = 14,
    on_bad_sample: str = "error",
    progress: Progress | None = None,
    missing: str = "fill",
) -> SkeletonDataset:
    """Read the distributed tree below `root` with the 14 or 28 class labels and the official split.

    on_bad_sample: "error" raises DatasetError at the first broken sample, "skip" names it in a warning and goes on.
    missing: see :mod:`adasgn_edge.data.cleaning`.
    """
    if classes not in (14, 28):
        raise DatasetError(f"SHREC'17: expected 14 or 28 classes, found {classes}")
    layout = load_layout("shrec22")
    builder = DatasetBuilder(f"shrec{classes}", layout, class_names(classes), RATE)
    bad = BadSamples("SHREC'17", on_bad_sample)
    entries = [(split, line) for split in ("train", "test") for line in _split_lines(root / f"{split}_gestures.txt")]
    for split, (where, line) in (progress or Progress()).track(entries, "reading SHREC'17"):
        with bad.guard(where):
            gesture, finger, subject, essai, label14, label28, length = _numbers(where, line)
            expected = (gesture, 2 * gesture - (finger == 1))  # so it is in all 2800 lines
            if (label14, label28) != expected or not 1 <= gesture <= len(GESTURES) or finger not in (1, 2):
                raise DatasetError(
                    f"{where}: expected a gesture from 1 to {len(GESTURES)}, 1 or 2 as finger, and the labels that "
                    f"belong to them, found {shown(line)}"
                )
            label = (label14 if classes == 14 else label28) - 1
            name = f"gesture_{gesture}/finger_{finger}/subject_{subject}/essai_{essai}"
            path = root / name / "skeletons_world.txt"
            rows = read_number_rows(path, columns=layout.joint_count * 3)
            if len(rows) != length:
                raise DatasetError(f"{path}: expected {length} frames ({where}), found {len(rows)}")
            body = whole_body(as_recording(rows.reshape(len(rows), layout.joint_count, 3), layout, str(path)))
            tracks, cleaning = clean_recording([body], layout, missing, str(path))
            builder.add(name, label, split, tracks, cleaning, f"subject {subject}")
    return builder.build(left_out=bad.report())


def _split_lines(path: Path) -> list[tuple[str, str]]:
    """Non-empty lines of a split file, each with "file, line N" for messages."""
    if not path.is_file():
        raise DatasetError(f"{path}: expected the official split list of SHREC'17, found no such file")
    lines = read_lines(path)
    return [(f"{path.name}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def _numbers(where: str, line: str) -> list[int]:
    words = line.split()
    if len(words) != 7 or not all(word.isdecimal() and len(word) < 10 for word in words):
        raise DatasetError(f"{where}: expected 7 whole numbers, found {shown(line)}")
    return [int(word) for word in words]
