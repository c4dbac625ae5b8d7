"""Clips played on the whole terminal as they would arrive, for `demo` and `replay`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.replay import Replay, Update

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["PAUSE", "PlayedClip", "Tally", "arrivals", "play_live"]

PAUSE = 0.8
"""Seconds that a finished clip stays on the screen, at speed 1."""


@dataclass(frozen=True)
class PlayedClip:
    """A recording to be played.

    tracks: (L, V, 3) of each person; label: None where nobody knows; rate: frames a second.
    """

    title: str
    label: int | None
    tracks: Sequence[NDArray[np.float32]]
    rate: float = 30.0

    @property
    def length(self) -> int:
        """Frames of the person who is there longest."""
        return max(map(len, self.tracks))


@dataclass
class Tally:
    """What the finished clips came to: each clip and its last update; seconds: of each call of the model."""

    results: list[tuple[PlayedClip, Update]] = field(default_factory=list)
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


def play_live(
    console: Console, replay: Replay, clips: Sequence[PlayedClip], tally: Tally, speed: float, skeleton: bool = True
) -> None:
    """Play the clips on the whole terminal as they would arrive; what they came to goes into `tally`."""
    from rich.live import Live

    from adasgn_edge.cli.screen import Moment, Screen

    with Live(console=console, screen=True, auto_refresh=False) as live:
        for number, clip in enumerate(clips, 1):
            screen = Screen(replay, clip.tracks, skeleton)
            shown = deque([time.perf_counter()], maxlen=30)  # when the last pictures were made
            for frames in arrivals(clip.length, clip.rate * speed):
                started = time.perf_counter()
                update = replay.classify(clip.tracks, frames)
                tally.seconds.append(time.perf_counter() - started)
                finished = frames == clip.length
                if finished:
                    tally.results.append((clip, update))
                shown.append(time.perf_counter())
                moment = Moment(
                    title=f"clip {number} of {len(clips)}  {clip.title}" if len(clips) > 1 else clip.title,
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
            time.sleep(PAUSE / speed)


def arrivals(length: int, rate: float) -> Iterator[int]:
    """How many frames there are, each time the consumer asks: waits for the next one, skips what came meanwhile."""
    started = time.perf_counter()
    frames = 0
    while frames < length:
        arrived = int((time.perf_counter() - started) * rate) + 1
        frames = min(length, max(frames + 1, arrived))
        time.sleep(max(0.0, started + (frames - 1) / rate - time.perf_counter()))
        yield frames
