"""Which samples of one's own data test, when nobody said; and what would make the figures measured on them untrue."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.wording import listed, shown

__all__ = ["default_splits", "split_notes"]

TEST_SHARE = 0.2


def default_splits(labels: Sequence[int], subjects: Sequence[str]) -> tuple[list[str], str]:
    """Split of each sample where the table names none, and a sentence that says how it was made.

    subjects: one for each sample, or empty texts. With two or more subjects whole subjects test: from the last in the
    table on, as long as that brings the share of test samples nearer to a fifth and leaves every class a training
    sample. Otherwise the last fifth of each class in the order of the table tests: rounded, at least one sample where
    a class has two or more.
    """
    if len(set(subjects)) > 1:
        held = _held_out(labels, subjects)
        splits = ["test" if subject in held else "train" for subject in subjects]
        return splits, f"no column split: the clips of {listed(sorted(held))} test ({_count(splits)})"
    splits = ["train"] * len(labels)
    for label in set(labels):
        places = [place for place, found in enumerate(labels) if found == label]
        count = max(1, round(len(places) * TEST_SHARE)) if len(places) > 1 else 0
        for place in places[len(places) - count :]:
            splits[place] = "test"
    why = "; a column subject would keep the clips of one person together" if not any(subjects) else ""
    return splits, f"no column split: the last fifth of each class tests ({_count(splits)}){why}"


def split_notes(dataset: SkeletonDataset) -> list[str]:
    """What is wrong with the splits of a data set, a sentence each.

    A split without samples, a class that is tested and not trained, a subject in both, the same recording twice.
    """
    notes = []
    where = f"data set {dataset.name!r}"
    train, test = (dataset.split == split for split in ("train", "test"))
    for split, chosen in (("training", train), ("test", test)):
        if not chosen.any():
            notes.append(f"{where}: no {split} clips")
    untrained = np.setdiff1d(dataset.labels[test], dataset.labels[train])
    if train.any() and len(untrained):
        names = listed([dataset.class_names[label] for label in untrained])
        notes.append(f"{where}: classes with test clips but no training clip: {names}")
    if dataset.groups:
        both = {*np.asarray(dataset.groups)[train].tolist()} & {*np.asarray(dataset.groups)[test].tolist()} - {""}
        if both:
            notes.append(
                f"{where}: subjects in both splits: {listed(sorted(both))}; "
                "what is measured on people known from training is better than on others"
            )
    return notes + _repeated(dataset, where)


def _held_out(labels: Sequence[int], subjects: Sequence[str]) -> set[str]:
    """The subjects that test."""
    clips = {subject: Counter[int]() for subject in subjects}  # of each class, subjects in the table's order
    for label, subject in zip(labels, subjects, strict=True):
        clips[subject][label] += 1
    left, target = Counter(labels), TEST_SHARE * len(labels)

    def leaves_every_class(subject: str) -> bool:
        return all(left[label] > count for label, count in clips[subject].items())

    held: list[str] = []
    count = 0
    for subject in reversed(clips):
        more = clips[subject].total()
        if abs(count + more - target) < abs(count - target) and leaves_every_class(subject):
            held.append(subject)
            count, left = count + more, left - clips[subject]
    if not held:  # all have too many clips, or the only ones of a class
        held = [min(reversed(clips), key=lambda subject: (not leaves_every_class(subject), clips[subject].total()))]
    return set(held)


def _count(splits: Sequence[str]) -> str:
    return f"{splits.count('test')} of {len(splits)} clips"


def _repeated(dataset: SkeletonDataset, where: str) -> list[str]:
    """Notes on recordings with the same content: in both splits, with two labels, or just twice."""
    first: dict[bytes, int] = {}
    across, labels, same = [], [], []
    for sample in range(len(dataset)):
        digest = hashlib.sha256()
        for track in dataset.tracks(sample):
            digest.update(len(track).to_bytes(8, "little") + track.tobytes())
        other = first.setdefault(digest.digest(), sample)
        if other == sample:
            continue
        pair = f"{dataset.names[other]} = {dataset.names[sample]}"
        if dataset.labels[other] != dataset.labels[sample]:
            one, two = (shown(dataset.class_names[dataset.labels[place]]) for place in (other, sample))
            labels.append(f"{pair} ({one} and {two})")
        elif dataset.split[other] != dataset.split[sample]:
            across.append(pair)
        else:
            same.append(pair)
    kinds = (
        (labels, "recordings with the same content and different labels"),
        (across, "recordings with the same content in both splits, so that the test measures what was learnt by heart"),
        (same, "recordings with the same content in one split"),
    )
    return [f"{where}: {what}: {listed(pairs, 3)}" for pairs, what in kinds if pairs]
