"""What the demo shows while it plays: one picture of one moment, made for the size of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from adasgn_edge.cli.canvas import SkeletonPicture, View
from adasgn_edge.replay import Replay, Update

__all__ = ["LabelBars", "Moment", "Screen", "bar", "branch_style"]

_BRANCH_COLOURS = ("#2fb36c", "#8cc63f", "#3fa7d6", "#3b6fd4", "#f0a202", "#d1383d")
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_TRAIL_FRAMES = 45


@dataclass(frozen=True)
class Moment:
    """What is to be shown. truth: the label, None where nobody knows it; paper_ratio, full_ratio: running means of cost
    over dense."""

    title: str
    truth: int | None
    update: Update
    finished: bool
    correct: int
    played: int
    paper_ratio: float
    full_ratio: float
    frames_per_second: float
    milliseconds: float


def branch_style(action: int) -> str:
    """Colour of a branch, cheap ones green, dear ones red; they repeat in models of more than six branches."""
    return _BRANCH_COLOURS[action % len(_BRANCH_COLOURS)]


def bar(share: float, width: int) -> str:
    """A bar of `width` characters, filled to an eighth of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


class Screen:
    """Draws the moments of one recording, a track (L, V, 3) for each person; the first one's branches are shown."""

    def __init__(self, replay: Replay, tracks: Sequence[NDArray[np.float32]], skeleton: bool) -> None:
        recording, *self._others = tracks
        self._replay, self._recording, self._skeleton = replay, recording, skeleton
        self._length = max(map(len, tracks))
        self._view = View(np.concatenate(tracks), replay.layout)
        self._farthest = int(np.argmax(np.ptp(recording, axis=0).max(axis=-1)))  # the joint whose trail is drawn
        self._marks = [replay.layout.group_averages(branch.joints) for branch in replay.config.branches]

    def draw(self, moment: Moment) -> RenderableType:
        """The whole screen."""
        layout, body = Layout(), Layout(name="body")
        bars = LabelBars(self._replay.class_names, moment.update.probabilities, moment.truth)
        scores = Panel(bars, title="label", border_style="bright_black")
        if self._skeleton:
            picture = Panel(
                self._picture(moment.update), title=Text(self._replay.layout.name), border_style="bright_black"
            )
            body.split_row(Layout(picture, ratio=5), Layout(scores, ratio=4, minimum_size=34))
        else:
            body.update(scores)
        layout.split_column(
            Layout(self._header(moment), size=1),
            body,
            Layout(self._branches(moment.update), size=4),
            Layout(self._costs(moment), size=5),
        )
        return layout

    def _header(self, moment: Moment) -> Text:
        text = Text(f" {moment.title}", style="bold", no_wrap=True, overflow="ellipsis")
        if moment.finished and moment.truth is not None:
            right = moment.update.label == moment.truth
            text.append("  recognised" if right else "  not recognised", "bold green" if right else "bold red")
        else:
            text.append(f"  frame {moment.update.frames} of {self._length}", "not bold bright_black")
        return text

    def _picture(self, update: Update) -> SkeletonPicture:
        """The newest frame, with the joints that its branch sees (before training moved them) as large dots."""
        newest = min(update.frames, len(self._recording)) - 1  # who left stays where they were last
        action = int(update.actions[0, -1])
        joints = self._recording[newest]
        trail = self._recording[max(0, newest - _TRAIL_FRAMES) : newest + 1, self._farthest]
        marks = self._marks[action] @ joints
        others = tuple(track[min(update.frames, len(track)) - 1] for track in self._others)
        return SkeletonPicture(self._view, self._replay.layout, joints, marks, trail, branch_style(action), others)

    def _branches(self, update: Update) -> RenderableType:
        names, actions = self._replay.branch_names, update.actions[0]
        strip = Text("oldest ", "bright_black", no_wrap=True)
        for action in actions:
            strip.append(f" {action} ", f"bold black on {branch_style(int(action))}")
        strip.append(" newest", "bright_black")
        legend = Text(no_wrap=True, overflow="ellipsis")
        for action, (name, share) in enumerate(zip(names, self._replay.shares(actions), strict=True)):
            legend.append(f"{action}", f"bold black on {branch_style(action)}")
            legend.append(f" {name} {share:4.0%}  ")
        return Panel(Group(strip, legend), title="branch that each frame of the clip took", border_style="bright_black")

    def _costs(self, moment: Moment) -> RenderableType:
        cost = moment.update.cost
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(justify="right", no_wrap=True)
        rows = (
            ("paper's count", cost.paper, cost.dense_paper, cost.paper_ratio, moment.paper_ratio),
            ("full count", cost.full, cost.dense_full, cost.full_ratio, moment.full_ratio),
        )
        for name, macs, dense, ratio, running in rows:
            figures = f"{macs / 1e9:.3f} of {dense / 1e9:.3f} GMAC {ratio:4.0%}  running {running:4.0%}"
            table.add_row(name, _Bar(ratio, "#3fa7d6"), figures)
        score = f"{moment.correct} of {moment.played} right  ·  " if moment.played else "first clip  ·  "
        pace = f"{moment.frames_per_second:.0f} fps  ·  model {moment.milliseconds:.1f} ms an update  ·  Ctrl-C ends"
        status = pace if moment.truth is None else score + pace
        table_and_status = Group(table, Text(status, "bright_black", no_wrap=True, overflow="ellipsis"))
        return Panel(table_and_status, title="cost against dense SGN", border_style="bright_black")


@dataclass(frozen=True)
class _Bar:
    """A bar over the width it is given."""

    share: float
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(bar(self.share, options.max_width), f"{self.style} on grey15", no_wrap=True, end="")


@dataclass(frozen=True)
class LabelBars:
    """Classes with bars of their probabilities, in the order of the labels; as many as fit, the most probable ones.

    marked: a class that is shown in any case, with a mark.
    """

    class_names: tuple[str, ...]
    probabilities: NDArray[np.floating]
    marked: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        best = int(self.probabilities.argmax())
        rows = min(options.height or len(self.class_names), len(self.class_names))
        shown = np.argsort(-self.probabilities, kind="stable")[:rows].tolist()
        if self.marked is not None and self.marked not in shown:
            shown[-1] = self.marked
        name_width = min(max(map(len, self.class_names)), max(8, options.max_width // 2))
        bar_width = max(1, options.max_width - name_width - 8)
        lines = Text(no_wrap=True)
        for label in sorted(shown):
            probability = float(self.probabilities[label])
            name = self.class_names[label]
            short = name if len(name) <= name_width else name[: name_width - 1] + "…"
            colour = "green" if self.probabilities[best] >= 0.5 else "yellow"
            lines.append("▸" if label == self.marked else " ", "bold")
            lines.append(short.ljust(name_width + 1), f"bold {colour}" if label == best else "none")
            lines.append(bar(probability, bar_width), colour if label == best else "bright_black")
            lines.append(f" {probability:4.0%}\n", "bold" if label == best else "bright_black")
        lines.rstrip()
        yield lines
