"""Hands in streams, lying and held up: SHREC'21's recordings, streams composed of SHREC'17's clips, the demo's hand.

SHREC'21's hands lie flat over a Leap. SHREC'17's are held up before a depth camera, and so is the hand with which this
package performs SHREC'17's gestures. Eight gestures are in both data sets under other names; together they are 23.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from adasgn_edge.data.composed import compose_streams
from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.online import Annotation, OnlineDataset
from adasgn_edge.data.shrec21 import read_shrec21
from adasgn_edge.errors import DatasetError
from adasgn_edge.hands import GESTURES, perform, shuffled
from adasgn_edge.progress import Progress
from adasgn_edge.skeletons import load_layout

__all__ = ["FIRST_PERFORMER", "STREAM_NAMES", "join_streams", "performed_streams", "read_hand_streams", "renamed"]

STREAM_NAMES = {
    "Swipe Right": "Right", "Swipe Left": "Left", "Swipe Up": "Up", "Swipe Down": "Down", "Swipe X": "Cross",
    "Swipe +": "Plus", "Swipe V": "V",
}  # fmt: skip
"""What gestures of SHREC'17 are called here: where both data sets have one, as in SHREC'21."""
FIRST_PERFORMER = 1000
"""Seed of the first imaginary person; smaller ones are the demo's and the tests', who must be people not learnt."""
PERFORMERS = 40


def read_hand_streams(shrec21: Path, clips: SkeletonDataset, progress: Progress | None = None) -> OnlineDataset:
    """SHREC'21 below a folder, SHREC'17's 14 gestures, opened, and made ones as one data set with three sources."""
    recorded = read_shrec21(shrec21, progress)
    streams = [compose_streams(clips, rate=recorded.rate), performed_streams(recorded.rate)]
    return join_streams("hands", [recorded, *(renamed(stream, STREAM_NAMES) for stream in streams)])


def performed_streams(rate: float, performers: int = PERFORMERS) -> OnlineDataset:
    """What so many imaginary people perform, at `rate` frames a second: each every gesture of the demo, both versions.

    All of it is to train with; the same numbers give the same streams.
    """
    seeds = range(FIRST_PERFORMER, FIRST_PERFORMER + performers)
    made = [perform(shuffled(GESTURES, 2 * len(GESTURES), seed), seed=seed, rate=rate) for seed in seeds]
    names = tuple(f"made {number}" for number in range(1, performers + 1))
    return OnlineDataset.of_recordings(
        [performance.positions for performance in made],
        name="made",
        layout=load_layout("shrec22"),
        rate=rate,
        annotations=tuple(
            tuple(Annotation(GESTURES.index(own.gesture), own.first, own.last) for own in performance.performed)
            for performance in made
        ),
        names=names,
        split=np.full(performers, "train"),
        class_names=tuple(GESTURES),
        groups=names,
    )


def renamed(dataset: OnlineDataset, names: Mapping[str, str]) -> OnlineDataset:
    """The data set with other class names where `names` has one."""
    return replace(dataset, class_names=tuple(names.get(name, name) for name in dataset.class_names))


def join_streams(name: str, datasets: Sequence[OnlineDataset]) -> OnlineDataset:
    """Data sets of one layout and rate as one, each a source of it; classes of the same name are one class.

    Raises DatasetError where layouts or rates differ.
    """
    first = datasets[0]
    for other in datasets[1:]:
        if other.layout != first.layout or other.rate != first.rate:
            raise DatasetError(
                f"data set {name!r}: expected data sets of one layout and rate, found {first.name!r} "
                f"({first.layout.name}, {first.rate:g} Hz) and {other.name!r} ({other.layout.name}, {other.rate:g} Hz)"
            )
    classes = tuple(dict.fromkeys(label for dataset in datasets for label in dataset.class_names))
    annotations: list[tuple[Annotation, ...]] = []
    groups: list[str] = []
    for dataset in datasets:
        places = [classes.index(label) for label in dataset.class_names]
        annotations += [
            tuple(Annotation(places[own.label], own.first, own.last) for own in gestures)
            for gestures in dataset.annotations
        ]
        groups += [f"{dataset.name}, {group}" for group in dataset.groups or dataset.names]
    return OnlineDataset.of_recordings(
        [dataset.frames(sequence) for dataset in datasets for sequence in range(len(dataset))],
        name=name,
        layout=first.layout,
        rate=first.rate,
        annotations=tuple(annotations),
        names=tuple(own for dataset in datasets for own in dataset.names),
        split=np.concatenate([dataset.split for dataset in datasets]),
        class_names=classes,
        corrected=tuple(text for dataset in datasets for text in dataset.corrected),
        groups=tuple(groups),
        sources=tuple(dataset.name for dataset in datasets for _ in dataset.names),
    )
