"""What a model of trimmed clips finds in continuous recordings: ``python -m bench.naive_stream``.

The baseline of a recogniser: the shipped model of SHREC'17's 14 gestures, ten times a second on the last second of the
72 test sequences of SHREC'21. A label whose probability is high enough for so many looks in a row is a gesture, from
half a second before the first of these looks (the middle of its window) to half a second before the last; it is decided
at the last look that it takes. Gestures of the eight classes that both sets have are looked for, whatever the model
says of its other six is passed over, which is in its favour. Scores are those of :mod:`adasgn_edge.scoring`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.data.online import OnlineDataset
from adasgn_edge.data.preprocess import make_clip
from adasgn_edge.data.registry import open_online_dataset
from adasgn_edge.deploy.folded_network import softmax
from adasgn_edge.deploy.model_file import shipped_model
from adasgn_edge.online_evaluation import gestures_of
from adasgn_edge.progress import RichProgress
from adasgn_edge.scoring import Detection, Gesture, Score, score

__all__ = ["SHARED", "held_labels", "main"]

SHARED = {
    "Grab": "Grab", "Tap": "Tap", "Expand": "Expand", "Pinch": "Pinch", "Swipe Right": "Right", "Swipe Left": "Left",
    "Swipe V": "V", "Swipe X": "Cross",
}  # fmt: skip
"""Classes of the shipped model, and the same gestures in SHREC'21."""
WINDOW, STEP = 1.0, 0.1
"""Seconds."""
RULES = ((0.5, 1), (0.8, 3), (0.9, 3))
"""Probability, and looks in a row."""


def held_labels(
    probabilities: NDArray[np.float32], moments: Sequence[float], threshold: float, looks: int
) -> list[Detection]:
    """The gestures in probabilities (N, classes) of windows that end at these moments, in seconds."""
    labels = np.where(probabilities.max(axis=1) >= threshold, probabilities.argmax(axis=1), -1)
    bounds = np.flatnonzero(np.diff(labels)) + 1
    detections = []
    for begin, end in zip([0, *bounds.tolist()], [*bounds.tolist(), len(labels)], strict=True):
        if labels[begin] >= 0 and end - begin >= looks:
            start, last = (moments[look] - WINDOW / 2 for look in (begin, end - 1))
            detections.append(Detection(int(labels[begin]), start, last, moments[begin + looks - 1]))
    return detections


def _probabilities(
    engine: adasgn_edge.Engine, dataset: OnlineDataset, sequence: int
) -> tuple[NDArray[np.float32], list[float]]:
    """Of each look at a sequence the classes' probabilities, and its moment."""
    frames, window = dataset.frames(sequence), round(WINDOW * dataset.rate)
    ends = range(window, len(frames) + 1, round(STEP * dataset.rate))
    clips = [make_clip(frames[end - window : end], dataset.layout, engine.description.frames) for end in ends]
    logits = np.concatenate([engine.run(np.stack(clips[at : at + 64])).logits for at in range(0, len(clips), 64)])
    return softmax(logits), [(end - 1) / dataset.rate for end in ends]


def main() -> None:
    """Print the table, a line a rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of the data sets, by default $ADASGN_DATA")
    dataset = open_online_dataset("shrec21", parser.parse_args().root)
    engine = adasgn_edge.load(shipped_model())
    names = tuple(SHARED.values())
    known = {engine.description.class_names.index(name): place for place, name in enumerate(SHARED)}
    wanted = {dataset.class_names.index(name): place for place, name in enumerate(names)}
    scores: dict[tuple[float, int], list[Score]] = {rule: [] for rule in RULES}
    for sequence in RichProgress().track(dataset.indices("test").tolist(), "looking"):
        probabilities, moments = _probabilities(engine, dataset, sequence)
        gestures = [
            Gesture(wanted[gesture.label], gesture.start, gesture.end)
            for gesture in gestures_of(dataset, sequence)
            if gesture.label in wanted
        ]
        for rule in RULES:
            found = [
                Detection(known[one.label], one.start, one.end, one.decided)
                for one in held_labels(probabilities, moments, *rule)
                if one.label in known
            ]
            scores[rule].append(score(found, gestures, dataset.seconds([sequence]), names))
    print("| probability, looks | detected % | false % | Jaccard % | false a minute | s from start |")
    print("|---|---|---|---|---|---|")
    for (threshold, looks), parts in scores.items():
        joined = Score.combine(parts)
        rates = (joined.detection_rate, joined.false_positive_rate, joined.jaccard)
        cells = [f"{100 * rate:.1f}" for rate in rates] + [f"{joined.false_per_minute:.2f}"]
        print(f"| {threshold:g}, {looks} | {' | '.join(cells)} | {joined.delay_start.p50:.2f} |")


if __name__ == "__main__":
    main()
