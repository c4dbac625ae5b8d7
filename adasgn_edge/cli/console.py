"""What the commands share on the terminal: the console, and a live view of training."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from adasgn_edge.cli.terminal import printable

__all__ = ["SafeConsole", "TrainingView", "console", "plain_warnings"]


class SafeConsole(Console):
    """A console on which control characters of names (of files, classes, joints) are seen and not obeyed.

    Nor is anything in a text taken for rich's markup or the name of an emoji; styles are given beside it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable() or segment.text == "\n":
                yield segment
            else:
                lines = segment.text.split("\n")
                yield Segment("\n".join(map(printable, lines)), segment.style)


console = SafeConsole(width=None if sys.stdout.isatty() else 140)
"""Standard output; a pipe or file has no width, so tables get enough to be read whole."""


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings meant for users as a line on standard error, without the place in the source that gave them."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if category is UserWarning:
                text = f"warning: {message}"
                SafeConsole(stderr=True).print(text, style="yellow", soft_wrap=True, highlight=False)
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


class TrainingView:
    """A :class:`adasgn_edge.train.course.Reporter` for people: a live bar on a terminal, a line an epoch elsewhere.

    fold: shown before each stage's name; its clips are then called held out.
    """

    def __init__(self, fold: str = "") -> None:
        self._fold, self._live = fold, sys.stdout.isatty()
        self._stage, self._epochs, self._done = "", 0, 0
        self._bar = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[metrics]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not self._live,
        )
        self._task = self._bar.add_task("", total=1, metrics="", visible=False)

    def __enter__(self) -> TrainingView:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, stage: str, epochs: int, done: int) -> None:
        """Show a new stage, `done` of its epochs behind it."""
        stage = f"{self._fold}, {stage}" if self._fold else stage
        self._stage, self._epochs, self._done = stage, epochs, done
        self._bar.reset(self._task, total=epochs, completed=done, description=stage, metrics="", visible=True)
        if done:
            console.print(f"{stage}: resumed after epoch {done} of {epochs}")

    def step(self, fraction: float) -> None:
        """Move the bar within an epoch."""
        self._bar.update(self._task, completed=self._done + fraction)

    def epoch(self, row: dict[str, Any]) -> None:
        """Show an epoch's figures."""
        self._done = row["epoch"]
        parts = [f"loss {row['loss']:.3f}", f"train {row['train_accuracy']:.1%}"]
        if "test_accuracy" in row:
            parts.append(f"{'held out' if self._fold else 'test'} {row['test_accuracy']:.1%}")
        if "kept_train_accuracy" in row:
            parts.append(f"train, averaged {row['kept_train_accuracy']:.1%}")
        if "raw_test_accuracy" in row:
            parts.append(f"(not averaged {row['raw_test_accuracy']:.1%})")
        if "test_gflops" in row:
            parts.append(f"{row['test_gflops']:.3f} GFLOPs")
        text = "  ".join(parts)
        self._bar.update(self._task, completed=self._done, metrics=text)
        if "warning" in row:
            text = f"{self._stage}: warning: {row['warning']}"
            console.print(text, style="yellow", soft_wrap=True, highlight=False)
        if not self._live:
            line = f"{self._stage} {self._done}/{self._epochs}  {text}  {row['seconds']:.1f} s"
            print(printable(line), flush=True)
        elif self._done == self._epochs:
            console.print(Text.assemble((self._stage, "bold"), f"  {text}"))
