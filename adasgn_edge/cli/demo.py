"""``adasgn-edge demo``: gestures recognised from a stream, in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adasgn_edge.cli.conventions import check_rate
from adasgn_edge.cli.device import DeviceOption, EffortOption, PrecisionOption
from adasgn_edge.cli.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

    from adasgn_edge.cli.playback import PlayedClip, Tally
    from adasgn_edge.replay import Replay

__all__ = ["command"]


class ViewChoice(str, Enum):
    """What is drawn beside the branches and the cost."""

    skeleton = "skeleton"
    bars = "bars"


def command(
    view: Annotated[ViewChoice, typer.Option(help="Draw the skeleton, or only the bars of all classes.")] = (
        ViewChoice.skeleton
    ),
    speed: Annotated[float, typer.Option(help="1 is real time; 2 plays twice as fast.")] = 1.0,
    gestures: Annotated[
        str | None,
        typer.Option(help="Only these gestures, e.g. `Grab,Swipe Left`.  [default: all]", show_default=False),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="How many clips.  [default: 28; with --data 100]", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Another seed performs or picks other clips.")] = 0,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model file (.adasgn) or weights, or a shipped one: hands, clips, stream.  [default: hands, with "
            "--data clips]",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "cpu",
    precision: PrecisionOption = None,
    effort: EffortOption = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Play and score recordings: of your own, a folder with labels.csv, or test sequences of SHREC'17 "
            "below this folder.",
            show_default=False,
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live/--no-live", help="Without, or without a terminal: a line for each clip.")
    ] = True,
    emit: Annotated[
        bool,
        typer.Option(
            "--emit",
            help="In place of a sensor: write the hand as JSON lines to standard output, for `record` and `stream`. "
            "A seed is a person.",
        ),
    ] = False,
    every: Annotated[
        float,
        typer.Option(
            help="With --emit: a gesture begins every so many seconds, the first after 3.2 s; as `record` asks for "
            "them."
        ),
    ] = 5.0,
) -> None:
    """Recognise hand gestures in a stream of skeletons.

    A kinematic hand in this package performs them, so nothing needs a download. It is one continuous stream, in which
    the model tells where gestures begin and end (docs/streaming.md). Models that are not causal (`--model clips`), and
    --data, which plays real recordings, label trimmed clips: each new frame updates the label, and the large dots on
    the hand are the joints that the newest frame's branch looks at. Ctrl-C ends with the summary so far.

    Of a model of your own the hand performs those labels that are gestures of its own; all others are played from
    recordings, of any layout: `adasgn-edge demo --model my-gestures.adasgn --data my-gestures`.
    """

    from adasgn_edge.cli.console import SafeConsole
    from adasgn_edge.cli.demo_clips import DEFAULT_COUNT, chosen_gestures, clips_to_play
    from adasgn_edge.cli.playback import Tally, play_live
    from adasgn_edge.deploy.model_file import model_called
    from adasgn_edge.hands import GESTURES
    from adasgn_edge.replay import Replay

    check_rate(speed, "--speed")
    if emit:
        from adasgn_edge.cli.demo_stream import emit_stream

        chosen = chosen_gestures(gestures, GESTURES)
        emit_stream(chosen, count or DEFAULT_COUNT["made"], seed, every=every, speed=speed)
        return
    path = model_called(model, "hands" if data is None else "clips")
    if _is_causal(path):
        from adasgn_edge.cli.demo_stream import play_stream, the_performance

        _expect_no_data(data)
        if view is not ViewChoice.skeleton:
            raise typer.BadParameter("of clips alone (--model clips)", param_hint="--view")
        chosen = chosen_gestures(gestures, GESTURES)
        performance = the_performance(chosen, count or DEFAULT_COUNT["made"], seed)
        on_terminal = live and sys.stdout.isatty()
        play_stream(
            SafeConsole(), path, performance, live=on_terminal, speed=speed, gestures=chosen, device=device,
            precision=precision, effort=effort,
        )  # fmt: skip
        return
    replay = Replay.load(path, threads=1, device=device, precision=precision, effort=effort)
    clips = clips_to_play(replay, path, data, gestures, count, seed)
    console, tally, interrupted = SafeConsole(), Tally(), False
    try:
        replay.classify(clips[0].tracks)  # the first call is slow and would spoil the times
        if live and sys.stdout.isatty():
            play_live(console, replay, clips, tally, speed, view is ViewChoice.skeleton)
        else:
            _play_lines(replay, clips, tally)
    except KeyboardInterrupt:
        interrupted = True
        console.print(f"ended after {len(tally.results)} of {len(clips)} clips")
    _print_summary(console, replay, tally)
    if interrupted:
        raise typer.Exit(130)


# -- models ----------------------------------------------------------------------------------------------------------


def _is_causal(model: Path) -> bool:
    """Whether a model is one for streams; weights are played as clips."""
    from adasgn_edge.deploy.model_file import read_model_file

    return model.suffix == ".adasgn" and read_model_file(model).config.causal is not None


def _expect_no_data(data: Path | None) -> None:
    """Raise ModelConfigError: a causal model performs what is made by code."""
    from adasgn_edge.errors import ModelConfigError

    if data is not None:
        raise ModelConfigError("demo: expected a model for clips, which --data plays, found a causal model")


# -- playing ----------------------------------------------------------------------------------------------------------


def _play_lines(replay: Replay, clips: Sequence[PlayedClip], tally: Tally) -> None:
    """Classify whole clips and print a line for each."""
    for number, clip in enumerate(clips, 1):
        started = time.perf_counter()
        update = replay.classify(clip.tracks)
        tally.seconds.append(time.perf_counter() - started)
        tally.results.append((clip, update))
        verdict = "right" if update.label == clip.label else "WRONG"
        line = (
            f"{number:{len(str(len(clips)))}}/{len(clips)}  {verdict}  {clip.title}: "
            f"{replay.class_names[update.label]} {update.confidence:.1%}, {clip.length} frames, "
            f"{update.cost.paper / 1e9:.3f} GMAC ({update.cost.paper_ratio:.0%} of dense SGN)"
        )
        print(printable(line), flush=True)


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
