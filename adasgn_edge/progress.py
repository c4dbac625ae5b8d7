"""Progress of long work, for callers that show it and callers that do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from adasgn_edge.wording import printable

__all__ = ["Progress", "RichProgress"]

Item = TypeVar("Item")


class Progress:
    """Shows nothing; the default of library calls."""

    def track(self, items: Sequence[Item], what: str) -> Iterable[Item]:
        """Iterate over `items`, showing how far along `what` is."""
        return items


class RichProgress(Progress):
    """A progress bar on a terminal, nothing elsewhere; needs the package ``rich``."""

    def track(self, items: Sequence[Item], what: str) -> Iterator[Item]:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import track

        console = Console(stderr=True)
        yield from track(
            items, description=escape(printable(what)), transient=True, console=console, disable=not console.is_terminal
        )
