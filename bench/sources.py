"""What axes, side, units and joint orders are worth: ``python -m bench.sources``.

Clips of SHREC'17 are made into what each source of hands would have given of the same hands, in its own joints, axes
and units, and come back through the package's adapter, as `classify --source NAME --axes source` does; the model is the
one that ships. A source's joint that the mapping copies is the layout's own; the others are not seen, as nothing rests
on them. Then conventions that nobody stated, beside the same ones stated. Prints two tables and writes them as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.data.adapter import Adapter
from adasgn_edge.data.axes import NAMED_AXES, axes_text, to_model, units_text
from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.perspective import Intrinsics, place
from adasgn_edge.data.preprocess import make_clips
from adasgn_edge.data.registry import open_dataset
from adasgn_edge.data.sources import Source, builtin_sources, load_source
from adasgn_edge.deploy.model_file import shipped_model
from adasgn_edge.errors import SourceError
from adasgn_edge.files import write_text
from adasgn_edge.progress import RichProgress
from adasgn_edge.skeletons import SkeletonLayout
from bench.markdown import table

__all__ = ["CASES", "as_given", "hand_sources", "main"]

Track = NDArray[np.float32]
FORMAT = "adasgn_edge.sources.1"
ROLL = np.radians(30)
CAMERA = Intrinsics.from_fov(640, 480, 60.0)
MIRROR, DOWN, OPTICAL = np.diag([-1, 1, 1]), np.diag([1, -1, 1]), np.diag([-1, -1, 1])
ROLLED = np.array([[np.cos(ROLL), np.sin(ROLL), 0], [-np.sin(ROLL), np.cos(ROLL), 0], [0, 0, 1]])
FALLS = [0, -1, 0] @ ROLLED


def hand_sources(layout: SkeletonLayout) -> list[Source]:
    """The built-in sources that are mapped onto a layout."""
    return [source for source in map(load_source, builtin_sources()) if layout.name in source.mappings]


def description_of(source: Source) -> StreamDescription:
    """A source as it comes, of a right hand; places in a picture as lifted by a depth image: optical axes, metres."""
    axes = source.axes or NAMED_AXES["optical"]
    return StreamDescription(source.name, axes, source.units or 1.0, False, None, "right")


def as_given(track: Track, source: Source, layout: SkeletonLayout) -> Track:
    """What the source would have given (L, S, 3) of a hand (L, V, 3) of the layout; NaN: joints that nothing needs."""
    matrix, said = source.matrix(layout), description_of(source)
    given = np.full((len(track), len(source.joints), 3), np.nan, dtype=np.float32)
    for joint, weights in enumerate(matrix):
        if (weights != 0).sum() == 1:
            given[:, weights.argmax()] = track[:, joint]
    needed = (matrix != 0).any(axis=0)
    assert np.isfinite(given[:, needed]).all(), f"{source.name}: a joint that no joint of the layout is a copy of"
    return (given @ np.linalg.inv(said.units * to_model(said.axes))).astype(np.float32)


def _linear(turn: NDArray[Any]) -> Callable[[Track], Track]:
    return lambda track: (track @ turn).astype(np.float32)


def _centred(track: Track) -> Track:
    return track - track.mean(axis=1, keepdims=True)


def _flat(track: Track) -> Track:
    return track * np.float32([1, 1, 0])


def _palm_first(track: Track) -> Track:
    return track[:, [1, 0, *range(2, track.shape[1])]]


def _placed(track: Track) -> Track:
    """A hand placed by its shape and by where whole pixels of the picture show it, back in the layout's axes."""
    optical = track @ OPTICAL
    image = np.round(CAMERA.project(optical))
    world = optical - optical.mean(axis=1, keepdims=True)
    return np.stack([place(shape, seen, CAMERA) for shape, seen in zip(world, image, strict=True)]) @ OPTICAL


Spoil = Callable[[Track], Track]
CASES: dict[str, tuple[Spoil, dict[str, Any] | None]] = {
    "y down": (_linear(DOWN), {"axes": ("right", "down", "back")}),
    "optical axes: x right in the picture, y down, z away": (_linear(OPTICAL), {"axes": "optical"}),
    "z towards the camera": (_linear(np.diag([1, 1, -1])), {"axes": ("right", "up", "forward")}),
    "a picture that was mirrored": (_linear(MIRROR), {"mirrored": True}),
    "left hands": (_linear(MIRROR), {"side": "left"}),
    "a sensor rolled by 30°": (_linear(ROLLED), {"gravity": tuple(FALLS.tolist())}),
    "millimetres": (_linear(1000 * np.eye(3)), {"units": "mm"}),
    "the palm before the wrist": (_palm_first, None),
    "z = 0": (_flat, None),
    "the middle of the hand taken away in each frame": (_centred, None),
    "the same, placed again by the picture (whole pixels)": (_placed, None),
}
"""What is done to a hand, and what a description says of it; None where nothing that it says mends it."""


class Clips:
    """The clips of one side of a data set, and how many of them a model gets right."""

    def __init__(self, dataset: SkeletonDataset, split: str, limit: int | None) -> None:
        self.layout, samples = dataset.layout, dataset.indices(split)[:limit]
        self.tracks = [dataset.tracks(int(sample))[0] for sample in samples]
        self._labels = dataset.labels[samples]
        self._engine = adasgn_edge.load(shipped_model(), threads=1)

    def __len__(self) -> int:
        return len(self.tracks)

    def accuracy(self, change: Spoil) -> float:
        """Percent that are recognised after a change."""
        frames = self._engine.description.frames
        right = 0
        for track, label in zip(self.tracks, self._labels, strict=True):
            changed = np.ascontiguousarray(change(track), dtype=np.float32)
            logits = self._engine.run(make_clips([changed], self.layout, frames)[None]).logits[0]
            right += int(logits.argmax() == label)
        return 100 * right / len(self)


def there_and_back(clips: Clips, source: Source) -> dict[str, Any]:
    """The row of a source of hands."""
    layout, said = clips.layout, description_of(source)
    adapter = Adapter(said, layout)
    return {
        "source": source.name,
        "joints": len(source.joints),
        "made": int(((source.matrix(layout) != 0).sum(axis=1) > 1).sum()),
        "axes": axes_text(said.axes),
        "units": units_text(said.units),
        "lifted": source.dimensions == 2,
        "accuracy": clips.accuracy(lambda track: adapter.convert_track(as_given(track, source, layout))),
    }


def stated_or_not(clips: Clips, name: str) -> dict[str, Any]:
    """The row of a convention: what a model makes of it, and what of it once it is stated."""
    spoil, said = CASES[name]
    stated = None
    if said is not None:
        expected = StreamDescription.as_model(clips.layout).to_dict()
        adapter = Adapter(StreamDescription.from_dict({**expected, **said}), clips.layout)
        stated = clips.accuracy(lambda track: adapter.convert_track(spoil(track)))
    return {"case": name, "not_stated": clips.accuracy(spoil), "stated": stated, "refused": refused(clips, spoil)}


def refused(clips: Clips, spoil: Spoil) -> bool:
    """Whether such hands are refused, all of them, when they are said to be MediaPipe's."""
    source = load_source("mediapipe-hand-21")
    adapter = Adapter(description_of(source), clips.layout)
    for track in clips.tracks:
        with suppress(SourceError):
            adapter.convert_track(as_given(spoil(track), source, clips.layout))
            return False
    return True


def tables(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    sources = [
        [
            f"`{row['source']}`",
            str(row["joints"]),
            str(row["made"]),
            row["axes"],
            row["units"] + (", lifted" if row["lifted"] else ""),
            f"{row['accuracy']:.1f}",
        ]
        for row in report["sources"]
    ]
    cases = []
    for row in report["conventions"]:
        mended = "refused" if row["refused"] else "–" if row["stated"] is None else f"{row['stated']:.1f}"
        cases.append([row["case"], f"{row['not_stated']:.1f}", mended])
    as_recorded = f"As recorded: {report['as_recorded']:.1f} % of {report['clips']} clips ({report['split']} split).\n"
    return "\n".join(
        [
            as_recorded,
            table(["source", "joints", "joints by a rule", "axes", "units", "there and back %"], sources),
            table(["what the hand is like", "not stated %", "stated %"], cases),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, write ``sources.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of the data sets, by default $ADASGN_DATA")
    parser.add_argument("--split", choices=("test", "train"), default="test")
    parser.add_argument("--limit", type=int, help="clips, by default all")
    parser.add_argument("--out", type=Path, default=Path("bench/results/sources"), help="folder of sources.json")
    chosen = parser.parse_args(arguments)
    clips = Clips(open_dataset("shrec14", chosen.root), chosen.split, chosen.limit)
    track = RichProgress().track
    report: dict[str, Any] = {
        "format": FORMAT,
        "dataset": "shrec14",
        "split": chosen.split,
        "clips": len(clips),
        "as_recorded": clips.accuracy(lambda track: track),
        "sources": [there_and_back(clips, source) for source in track(hand_sources(clips.layout), "sources")],
        "conventions": [stated_or_not(clips, name) for name in track(list(CASES), "conventions")],
    }
    print(tables(report))
    write_text(chosen.out / "sources.json", json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
