"""Accuracy on test clips spoilt as sensors and trackers spoil them: ``python -m bench.faults``.

Every test clip of SHREC'17 is spoilt, then read twice: *as coordinates*, zeros and all, each body a person in the order
given; and *cleaned* by the package's rule (:mod:`adasgn_edge.data.cleaning`), as every reader does. The model is the
one that ships. A clip that cannot be read counts as not recognised.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.data.cleaning import Cleaning, clean_recording
from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.persons import Body, whole_body
from adasgn_edge.data.preprocess import CENTRE, make_clips, normalise, segment_frames
from adasgn_edge.data.registry import open_dataset
from adasgn_edge.deploy.model_file import shipped_model
from adasgn_edge.errors import ClipError

__all__ = ["FAULTS", "main"]

Track = NDArray[np.float32]
Fault = Callable[[Track, np.random.Generator], Sequence[Track | Body]]
"""A recording (L, V, 3), which it may change, and random numbers → the bodies of the spoilt one."""

WRIST, MIDDLE_BASE, RING_TIP, LITTLE_TIP = 0, 10, 17, 21
METRE = 1.0


def _direction(rng: np.random.Generator, length: float) -> Track:
    vector = rng.normal(size=3)
    return (length * vector / np.linalg.norm(vector)).astype(np.float32)


def _scattered(share: float, mark: float) -> Fault:
    def spoil(track: Track, rng: np.random.Generator) -> Sequence[Track]:
        track[rng.random(track.shape[:2]) < share] = mark
        return [track]

    return spoil


def _first_frame(joint: int | slice, length: float) -> Fault:
    def spoil(track: Track, rng: np.random.Generator) -> Sequence[Track]:
        track[0, joint] += _direction(rng, length)
        return [track]

    return spoil


def _padded(before: int, total: int) -> Fault:
    def spoil(track: Track, rng: np.random.Generator) -> Sequence[Track]:
        nobody = np.zeros((max(before, total), *track.shape[1:]), dtype=np.float32)
        return [np.concatenate([nobody[:before], track, nobody[: max(0, total - len(track))]])]

    return spoil


def _lost_frames(track: Track, rng: np.random.Generator) -> Sequence[Track]:
    track[rng.random(len(track)) < 0.2] = 0
    return [track]


def _hidden_fingers(track: Track, rng: np.random.Generator) -> Sequence[Track]:
    first = int(rng.integers(max(1, len(track) - 10)))
    track[first : first + 10, 1 + rng.choice(21, 6, replace=False)] = 0
    return [track]


def _never_seen(track: Track, rng: np.random.Generator) -> Sequence[Track]:
    track[:, [RING_TIP, LITTLE_TIP]] = np.nan
    return [track]


def _absent_person(track: Track, rng: np.random.Generator) -> Sequence[Track]:
    return [track, np.zeros_like(track)]


def _renumbered(pieces: int) -> Fault:
    def spoil(track: Track, rng: np.random.Generator) -> Sequence[Body]:
        return [Body(frames, track[frames]) for frames in np.array_split(np.arange(len(track)), pieces) if len(frames)]

    return spoil


def _stray(track: Track, rng: np.random.Generator) -> Sequence[Track | Body]:
    frame = int(rng.integers(len(track)))
    return [Body(np.array([frame]), track[frame : frame + 1] + _direction(rng, METRE / 2)), track]


def _bystander(first: bool) -> Fault:
    def spoil(track: Track, rng: np.random.Generator) -> Sequence[Track]:
        resting = np.repeat(track[:1], len(track), axis=0) + _direction(rng, METRE / 3)
        resting += rng.normal(scale=METRE / 1000, size=track.shape).astype(np.float32)
        return [resting, track] if first else [track, resting]

    return spoil


FAULTS: dict[str, Fault] = {
    "none": lambda track, rng: [track],
    "1 % of the joints zero": _scattered(0.01, 0.0),
    "5 % of the joints zero": _scattered(0.05, 0.0),
    "20 % of the joints NaN": _scattered(0.2, np.nan),
    "40 % of the joints NaN": _scattered(0.4, np.nan),
    "6 joints zero for 10 frames": _hidden_fingers,
    "two finger tips never seen": _never_seen,
    "20 % of the frames zero": _lost_frames,
    "padded with zeros to 300 frames": _padded(0, 300),
    "5 frames of zeros first": _padded(5, 0),
    "an absent person beside": _absent_person,
    "wrist off by 10 cm in the first frame": _first_frame(WRIST, 0.1),
    "scale bone off by 10 cm in the first frame": _first_frame(MIDDLE_BASE, 0.1),
    "first frame off by a metre": _first_frame(slice(None), METRE),
    "a new number half way": _renumbered(2),
    "a new number every eighth": _renumbered(8),
    "a stray detection": _stray,
    "a resting hand, first in the file": _bystander(first=True),
    "a resting hand, second in the file": _bystander(first=False),
}


def as_coordinates(bodies: Sequence[Body], dataset: SkeletonDataset, frames: int) -> NDArray[np.float32]:
    """Clips (persons, T, V, 3) that take every number for a coordinate; ClipError where that cannot be."""
    layout, clips = dataset.layout, []
    for body in bodies:
        moved = normalise(body.positions, layout, bodies[0].positions[0])
        clips.append(moved[segment_frames(len(moved), frames, CENTRE, np.arange(frames))])
    if not np.isfinite(clips).all():
        raise ClipError("NaN")
    return np.stack(clips)


def accuracies(fault: Fault, dataset: SkeletonDataset, engine: adasgn_edge.Engine) -> tuple[float, float, Cleaning]:
    """Share of the test clips that are recognised as coordinates and cleaned, and what was made good."""
    rng, cleaning = np.random.default_rng(1), Cleaning()
    right = [0, 0]
    frames = engine.description.frames
    samples = dataset.indices("test")
    for sample in samples:
        spoilt = fault(dataset.tracks(int(sample))[0].copy(), rng)
        bodies = [one if isinstance(one, Body) else whole_body(one) for one in spoilt]
        clips: list[NDArray[np.float32] | None] = [None, None]
        with suppress(ClipError):
            clips[0] = as_coordinates(bodies, dataset, frames)
        with suppress(ClipError):
            tracks, made_good = clean_recording(bodies, dataset.layout)
            cleaning += made_good
            clips[1] = make_clips(tracks, dataset.layout, frames)
        for which, persons in enumerate(clips):
            if persons is not None:
                logits = engine.run(persons[None]).logits[0]
                right[which] += int(logits.argmax() == dataset.labels[sample])
    return right[0] / len(samples), right[1] / len(samples), cleaning


def main() -> None:
    """Print the table, a line a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of the data sets, by default $ADASGN_DATA")
    dataset = open_dataset("shrec14", parser.parse_args().root)
    engine = adasgn_edge.load(shipped_model())
    print("| fault | as coordinates % | cleaned % | made good, all 840 clips |\n|---|---|---|---|")
    for name, fault in FAULTS.items():
        naive, cleaned, cleaning = accuracies(fault, dataset, engine)
        print(f"| {name} | {100 * naive:.1f} | {100 * cleaned:.1f} | {cleaning} |", flush=True)


if __name__ == "__main__":
    main()
