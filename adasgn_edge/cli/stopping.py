"""How a command that runs for ever ends: by Ctrl-C, by SIGTERM, or because nobody reads its output any more.

Every command: an interruption that falls into ``import torch`` waits for its end. Torch's C++ calls Python there and
aborts the process on any exception; in other places torch swallows one and goes on without a part.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Stopping", "interrupt"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN = 0.02
"""Seconds after which a signal that came while torch was imported is sent once more."""


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal by a KeyboardInterrupt; while torch is imported, once that is over."""
    if not _imports_torch(frame):
        raise KeyboardInterrupt
    again = threading.Timer(_AGAIN, signal.pthread_kill, (threading.main_thread().ident, number))
    again.daemon = True
    again.start()


def _imports_torch(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "torch":
            return True
        frame = frame.f_back
    return False


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

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.at_once or self.signal is not None:
            interrupt(number, frame)
        else:
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
