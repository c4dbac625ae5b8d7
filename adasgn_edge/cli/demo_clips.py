"""The clips that `adasgn-edge demo` plays: performed by the package's hand, recordings of one's own, or SHREC'17's."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from adasgn_edge.cli.playback import PlayedClip
    from adasgn_edge.replay import Replay

__all__ = ["DEFAULT_COUNT", "chosen_gestures", "clips_to_play", "made_clips"]

RATE = 30.0
"""Frames a second of what has no stamps."""
DEFAULT_COUNT = {"made": 28, "recorded": 100}


def clips_to_play(
    replay: Replay, model: Path, data: Path | None, gestures: str | None, count: int | None, seed: int
) -> list[PlayedClip]:
    """`count` clips of a model's labels; data: a folder of recordings, None for the hand.

    Raises ModelConfigError for a model that does not know them, and that says how its own are played.
    """
    from adasgn_edge.data.label_table import LABEL_TABLE
    from adasgn_edge.hands import GESTURES

    if data is None:
        chosen = chosen_gestures(gestures, _performed(replay, model))
        return made_clips(replay.class_names, chosen, count or DEFAULT_COUNT["made"], seed)
    count = count or DEFAULT_COUNT["recorded"]
    if (data / LABEL_TABLE).is_file():
        return _own_clips(data, replay, gestures, count, seed)
    _expect_shrec(replay)
    return _recorded_clips(data, replay.class_names, chosen_gestures(gestures, GESTURES), count, seed)


def chosen_gestures(text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """Names in a list between commas, whatever their case, of those that are known; all of them for None."""
    if text is None:
        return tuple(known)
    by_name = {name.lower(): name for name in known}
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name.lower() not in by_name:
            raise typer.BadParameter(
                f"expected gestures among {', '.join(known)}, found {name!r}", param_hint="--gestures"
            )
    if not names:
        raise typer.BadParameter("expected at least one gesture, found none", param_hint="--gestures")
    return tuple(by_name[name.lower()] for name in names)


def _performed(replay: Replay, model: Path) -> tuple[str, ...]:
    """The model's labels that the package's hand performs; raises ModelConfigError that says how others are played."""
    from adasgn_edge.errors import ModelConfigError
    from adasgn_edge.hands import GESTURES
    from adasgn_edge.wording import listed

    known = tuple(gesture for gesture in GESTURES if _versions(gesture, replay.class_names))
    if replay.layout.name == "shrec22" and known:
        return known
    raise ModelConfigError(
        f"demo: expected labels that the animated hand performs ({', '.join(GESTURES)}, layout shrec22), found layout "
        f"{replay.layout.name!r} and {listed(replay.class_names)}; play recordings: adasgn-edge demo --model {model} "
        f"--data FOLDER (with labels.csv), or one: adasgn-edge replay CLIP --model {model}"
    )


def _expect_shrec(replay: Replay) -> None:
    """Raise ModelConfigError unless the model knows the 14 or 28 gestures of SHREC'17 on its layout."""
    from adasgn_edge.data.shrec import class_names
    from adasgn_edge.errors import ModelConfigError
    from adasgn_edge.wording import listed

    if replay.layout.name != "shrec22" or replay.class_names not in (class_names(14), class_names(28)):
        raise ModelConfigError(
            "demo: --data: expected a folder with labels.csv, or for the sequences of SHREC'17 a model of its 14 or 28 "
            f"gestures; found a model of layout {replay.layout.name!r} with the labels {listed(replay.class_names)}"
        )


def _versions(gesture: str, class_names: Sequence[str]) -> list[tuple[bool, str, int]]:
    """Ways in which a gesture is performed and the model knows it: with one finger or not, a title, the label."""
    found = []
    for one_finger in (False, True):
        title = f"{gesture} ({'one finger' if one_finger else 'whole hand'})"
        known = [name for name in (title, gesture) if name in class_names]
        if known:
            found.append((one_finger, title, class_names.index(known[0])))
    return found


def made_clips(class_names: Sequence[str], gestures: Sequence[str], count: int, seed: int) -> list[PlayedClip]:
    """`count` performances of the kinematic hand: every gesture in both versions, in random order, then again."""
    import numpy as np

    from adasgn_edge.cli.playback import PlayedClip
    from adasgn_edge.hands import animate

    rng = np.random.default_rng(seed)
    versions = [(gesture, *version) for gesture in gestures for version in _versions(gesture, class_names)]
    clips: list[PlayedClip] = []
    while len(clips) < count:
        for version in rng.permutation(len(versions))[: count - len(clips)]:
            gesture, one_finger, title, label = versions[version]
            performance = int(rng.integers(2**31))
            positions = animate(gesture, one_finger=one_finger, seed=performance, rate=RATE)
            clips.append(PlayedClip(title, label, [positions], RATE))
    return clips


def _own_clips(folder: Path, replay: Replay, gestures: str | None, count: int, seed: int) -> list[PlayedClip]:
    """Up to `count` recordings of one's own in random order, those that test where the table says so, else any."""
    import numpy as np

    from adasgn_edge.cli.console import plain_warnings
    from adasgn_edge.cli.playback import PlayedClip
    from adasgn_edge.data.label_table import LABEL_TABLE, read_label_table
    from adasgn_edge.data.recordings import read_recordings
    from adasgn_edge.errors import ModelConfigError
    from adasgn_edge.progress import RichProgress

    with plain_warnings():
        warnings.filterwarnings("ignore", message=".*: no column split: ")  # no split is made up here
        dataset = read_recordings(folder, progress=RichProgress())
    if dataset.layout != replay.layout:
        raise ModelConfigError(
            f"demo: expected recordings of the model's layout {replay.layout.name!r}, found {dataset.layout.name!r}"
        )
    if unknown := sorted(set(dataset.class_names) - set(replay.class_names)):
        raise ModelConfigError(f"demo: expected labels that the model knows, found {unknown[0]!r} in {folder}")
    chosen = chosen_gestures(gestures, dataset.class_names)
    says_split = read_label_table(folder / LABEL_TABLE).says_split
    samples = [
        sample
        for sample in (dataset.indices("test") if says_split else range(len(dataset)))
        if dataset.class_names[dataset.labels[sample]] in chosen
    ]
    if not samples:
        raise ModelConfigError(f"demo: {folder}: expected clips of {', '.join(chosen)}, found none")
    return [
        PlayedClip(
            f"{name}, {dataset.names[sample]}", replay.class_names.index(name), dataset.tracks(sample),
            dataset.rate or RATE,
        )
        for sample in np.random.default_rng(seed).permutation(samples)[:count].tolist()
        for name in [dataset.class_names[dataset.labels[sample]]]
    ]  # fmt: skip


def _recorded_clips(
    folder: Path, class_names: Sequence[str], gestures: Sequence[str], count: int, seed: int
) -> list[PlayedClip]:
    """Up to `count` random test sequences of SHREC'17; `folder` holds the distributed tree or a folder SHREC17."""
    import numpy as np

    from adasgn_edge.cli.playback import PlayedClip
    from adasgn_edge.data.shrec import GESTURES, read_shrec
    from adasgn_edge.progress import Progress, RichProgress

    progress = RichProgress() if sys.stdout.isatty() else Progress()
    root = folder / "SHREC17" if (folder / "SHREC17").is_dir() else folder
    dataset = read_shrec(root, len(class_names), progress=progress)
    versions = len(class_names) // len(GESTURES)
    samples = [i for i in dataset.indices("test") if GESTURES[dataset.labels[i] // versions] in gestures]
    picked = np.random.default_rng(seed).permutation(samples)[:count]
    return [
        PlayedClip(
            f"{class_names[dataset.labels[i]]}, {dataset.names[i]}", int(dataset.labels[i]), dataset.tracks(int(i))[:1]
        )
        for i in picked
    ]
