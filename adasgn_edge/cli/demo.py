"""``adasgn-edge demo``: gestures recognised from a stream, in the terminal."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adasgn_edge.cli.device import DeviceOption, EffortOption, PrecisionOption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from adasgn_edge.replay import Replay, Update

__all__ = ["command"]

_RATE = 30.0  # frames a second of the clips
_DEFAULT_COUNT = {"made": 28, "recorded": 100}
_PAUSE = 0.8  # seconds that a finished clip stays on the screen, at speed 1


class ViewChoice(str, Enum):
    """What is drawn beside the branches and the cost."""

    skeleton = "skeleton"
    bars = "bars"


@dataclass(frozen=True)
class DemoClip:
    """A recording (L, V, 3) whose label is known."""

    title: str
    label: int
    positions: NDArray[np.float32]


@dataclass
class Tally:
    """What the finished clips came to: each clip and its last update; seconds: of each call of the model."""

    results: list[tuple[DemoClip, Update]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def correct(self) -> int:
        """How many clips were recognised."""
        return sum(clip.label == update.label for clip, update in self.results)

    def ratio(self, convention: str, current: Update | None = None) -> float:
        """Mean cost of the clips, `current` included, over dense SGN's; convention: "paper" or "full"."""
        costs = [update.cost for _, update in self.results] + ([current.cost] if current else [])
        dense = sum(getattr(cost, f"dense_{convention}") for cost in costs)
        return sum(getattr(cost, convention) for cost in costs) / dense


def command(
    view: Annotated[ViewChoice, typer.Option(help="Draw the skeleton, or only the bars of all classes.")] = (
        ViewChoice.skeleton
    ),
    speed: Annotated[float, typer.Option(help="1 is real time; 2 plays twice as fast.")] = 1.0,
    gestures: Annotated[
        str | None, typer.Option(help="Only these gestures, e.g. `Grab,Swipe Left`.  [default: all 14]")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many clips.  [default: 28; with --data 100]", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed performs or picks other clips.")] = 0,
    model: Annotated[
        Path | None,
        typer.Option(help="Model file (.adasgn) or weights.  [default: the shipped model file]", show_default=False),
    ] = None,
    device: DeviceOption = "cpu",
    precision: PrecisionOption = None,
    effort: EffortOption = None,
    data: Annotated[
        Path | None, typer.Option(help="Play test sequences of SHREC'17 below this folder and score them.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live/--no-live", help="Without, or without a terminal: a line for each clip.")
    ] = True,
) -> None:
    """Recognise hand gestures from a stream of skeletons.

    Clips are performed by a kinematic hand in this package, so nothing needs a download; --data plays real
    recordings. Each new frame updates the label; the large dots on the hand are the joints that the newest frame's
    branch looks at. Ctrl-C ends with the summary so far.
    """
    from rich.console import Console

    from adasgn_edge.replay import Replay

    if not 0 < speed < float("inf"):
        raise typer.BadParameter(f"expected a positive number, found {speed}", param_hint="--speed")
    chosen = _choose_gestures(gestures)
    if model is None:
        from adasgn_edge.model_file import shipped_model

        model = shipped_model()
    replay = Replay.load(model, threads=1, device=device, precision=precision, effort=effort)
    _expect_gestures_model(replay)
    if data is None:
        clips = _made_clips(replay.class_names, chosen, count or _DEFAULT_COUNT["made"], seed)
    else:
        clips = _recorded_clips(data, replay.class_names, chosen, count or _DEFAULT_COUNT["recorded"], seed)

    console = Console()
    tally = Tally()
    try:
        replay.classify(clips[0].positions)  # the first call is slow and would spoil the times
        if live and sys.stdout.isatty():
            _play_live(console, replay, clips, tally, speed, view is ViewChoice.skeleton)
        else:
            _play_lines(replay, clips, tally)
    except KeyboardInterrupt:
        console.print(f"ended after {len(tally.results)} of {len(clips)} clips")
    _print_summary(console, replay, tally)


# -- clips ------------------------------------------------------------------------------------------------------------


def _choose_gestures(text: str | None) -> tuple[str, ...]:
    """Gestures named in a list between commas, whatever their case; all for None."""
    from adasgn_edge.hands import GESTURES

    if text is None:
        return GESTURES
    known = {gesture.lower(): gesture for gesture in GESTURES}
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name.lower() not in known:
            raise typer.BadParameter(
                f"expected gestures among {', '.join(GESTURES)}, found {name!r}", param_hint="--gestures"
            )
    if not names:
        raise typer.BadParameter("expected at least one gesture, found none", param_hint="--gestures")
    return tuple(known[name.lower()] for name in names)


def _expect_gestures_model(replay: Replay) -> None:
    """Raise ModelConfigError unless the model knows the 14 or 28 gestures of SHREC'17 on its layout."""
    from adasgn_edge.data.shrec import class_names
    from adasgn_edge.errors import ModelConfigError

    if replay.layout.name != "shrec22":
        raise ModelConfigError(f"demo: expected a model for layout shrec22, found one for {replay.layout.name!r}")
    if replay.class_names not in (class_names(14), class_names(28)):
        found = ", ".join(replay.class_names)
        raise ModelConfigError(f"demo: expected a model of the 14 or 28 gestures of SHREC'17, found the labels {found}")


def _made_clips(class_names: Sequence[str], gestures: Sequence[str], count: int, seed: int) -> list[DemoClip]:
    """`count` performances of the kinematic hand: every gesture in both versions, in random order, then again."""
    import numpy as np

    from adasgn_edge.hands import animate

    rng = np.random.default_rng(seed)
    versions = [(gesture, one_finger) for gesture in gestures for one_finger in (False, True)]
    clips: list[DemoClip] = []
    while len(clips) < count:
        for version in rng.permutation(len(versions))[: count - len(clips)]:
            gesture, one_finger = versions[version]
            title = f"{gesture} ({'one finger' if one_finger else 'whole hand'})"
            label = class_names.index(title if title in class_names else gesture)
            performance = int(rng.integers(2**31))
            clips.append(DemoClip(title, label, animate(gesture, one_finger=one_finger, seed=performance, rate=_RATE)))
    return clips


def _recorded_clips(
    folder: Path, class_names: Sequence[str], gestures: Sequence[str], count: int, seed: int
) -> list[DemoClip]:
    """Up to `count` random test sequences of SHREC'17; `folder` holds the distributed tree or a folder SHREC17."""
    import numpy as np

    from adasgn_edge.data.shrec import GESTURES, read_shrec
    from adasgn_edge.progress import Progress, RichProgress

    progress = RichProgress() if sys.stdout.isatty() else Progress()
    root = folder / "SHREC17" if (folder / "SHREC17").is_dir() else folder
    dataset = read_shrec(root, len(class_names), progress=progress)
    versions = len(class_names) // len(GESTURES)
    samples = [i for i in dataset.indices("test") if GESTURES[dataset.labels[i] // versions] in gestures]
    picked = np.random.default_rng(seed).permutation(samples)[:count]
    return [
        DemoClip(
            f"{class_names[dataset.labels[i]]}, {dataset.names[i]}", int(dataset.labels[i]), dataset.tracks(int(i))[0]
        )
        for i in picked
    ]


# -- playing ----------------------------------------------------------------------------------------------------------


def _play_lines(replay: Replay, clips: Sequence[DemoClip], tally: Tally) -> None:
    """Classify whole clips and print a line for each."""
    for number, clip in enumerate(clips, 1):
        started = time.perf_counter()
        update = replay.classify(clip.positions)
        tally.seconds.append(time.perf_counter() - started)
        tally.results.append((clip, update))
        verdict = "right" if update.label == clip.label else "WRONG"
        print(
            f"{number:{len(str(len(clips)))}}/{len(clips)}  {verdict}  {clip.title}: "
            f"{replay.class_names[update.label]} {update.confidence:.1%}, {len(clip.positions)} frames, "
            f"{update.cost.paper / 1e9:.3f} GMAC ({update.cost.paper_ratio:.0%} of dense SGN)",
            flush=True,
        )


def _play_live(
    console: Console, replay: Replay, clips: Sequence[DemoClip], tally: Tally, speed: float, skeleton: bool
) -> None:
    """Play the clips on the whole terminal as they would arrive."""
    from rich.live import Live

    from adasgn_edge.cli.screen import Moment, Screen

    with Live(console=console, screen=True, auto_refresh=False) as live:
        for number, clip in enumerate(clips, 1):
            screen = Screen(replay, clip.positions, skeleton)
            shown = deque([time.perf_counter()], maxlen=30)  # when the last pictures were made
            for frames in _arrivals(len(clip.positions), _RATE * speed):
                started = time.perf_counter()
                update = replay.classify(clip.positions, frames)
                tally.seconds.append(time.perf_counter() - started)
                finished = frames == len(clip.positions)
                if finished:
                    tally.results.append((clip, update))
                shown.append(time.perf_counter())
                moment = Moment(
                    title=f"clip {number} of {len(clips)}  {clip.title}",
                    truth=clip.label,
                    update=update,
                    finished=finished,
                    correct=tally.correct,
                    played=len(tally.results),
                    paper_ratio=tally.ratio("paper", None if finished else update),
                    full_ratio=tally.ratio("full", None if finished else update),
                    frames_per_second=(len(shown) - 1) / max(shown[-1] - shown[0], 1e-6),
                    milliseconds=1e3 * sum(tally.seconds[-30:]) / len(tally.seconds[-30:]),
                )
                live.update(screen.draw(moment), refresh=True)
            time.sleep(_PAUSE / speed)


def _arrivals(length: int, rate: float) -> Iterator[int]:
    """How many frames there are, each time the consumer asks: waits for the next one, skips what came meanwhile."""
    started = time.perf_counter()
    frames = 0
    while frames < length:
        arrived = int((time.perf_counter() - started) * rate) + 1
        frames = min(length, max(frames + 1, arrived))
        time.sleep(max(0.0, started + (frames - 1) / rate - time.perf_counter()))
        yield frames


# -- summary ----------------------------------------------------------------------------------------------------------


def _print_summary(console: Console, replay: Replay, tally: Tally) -> None:
    import numpy as np
    from rich.table import Table

    if not tally.results:
        console.print("no clip was played to its end")
        return
    played = len(tally.results)
    table = Table(title="summary", show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("accuracy", f"{tally.correct / played:.1%} ({tally.correct} of {played} clips)")
    for name, convention in (("paper's count", "paper"), ("full count", "full")):
        costs = [update.cost for _, update in tally.results]
        mean, dense = (
            sum(getattr(cost, key) for cost in costs) / played for key in (convention, f"dense_{convention}")
        )
        table.add_row(
            f"mean cost, {name}",
            f"{mean / 1e9:.4f} GMAC a clip; dense SGN {dense / 1e9:.4f}: {mean / dense:.0%} of it, "
            f"{1 - mean / dense:.0%} saved",
        )
    shares = replay.shares(np.concatenate([update.actions for _, update in tally.results]))
    table.add_row(
        "frames by branch",
        "  ".join(f"{name} {share:.0%}" for name, share in zip(replay.branch_names, shares, strict=True)),
    )
    milliseconds = 1e3 * float(np.median(tally.seconds))
    table.add_row("time of the model", f"{milliseconds:.1f} ms an update, median ({replay.runtime})")
    mistakes = [
        f"{clip.title}: {replay.class_names[update.label]}"
        for clip, update in tally.results
        if clip.label != update.label
    ]
    if mistakes:
        table.add_row("not recognised", "\n".join(mistakes))
    console.print(table)
