"""How a command that runs for ever ends: by Ctrl-C, by SIGTERM, or because nobody reads its output any more."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Stopping"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """While it is entered, a signal asks the loop to end after what it is at; the second one interrupts it.

    signal: that came, None without one. at_once: the first one interrupts it too, as there is nothing yet to keep.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.at_once = False
        self._before: dict[int, Any] = {}
        self._output: select.poll | None = None

    def __enter__(self) -> Stopping:
        self._before = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        self._output = _watched_output()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self.at_once or self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    @property
    def status(self) -> int:
        """The exit status of what a signal ended, as shells have it."""
        return 0 if self.signal is None else 128 + self.signal

    def expect_reader(self) -> None:
        """Raise BrokenPipeError when standard output is a pipe that nobody reads any more: writing would tell as well,
        but a stream in which nothing happens writes nothing."""
        if self._output is not None and any(found & select.POLLERR for _, found in self._output.poll(0)):
            raise BrokenPipeError


def _watched_output() -> select.poll | None:
    """A poll that tells of standard output's reader; None where it is no pipe."""
    try:
        descriptor = sys.stdout.fileno()
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return None
    except (OSError, ValueError):  # closed, or no file at all
        return None
    watched = select.poll()
    watched.register(descriptor, 0)
    return watched
