"""Values worked out once: by whom, and in a child that was forked meanwhile."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from adasgn_edge.lazy import cached_property


class Value:
    def __init__(self, waits: threading.Event | None = None) -> None:
        self.entered, self.waits, self.times = threading.Event(), waits, 0

    @cached_property
    def worked_out(self) -> int:
        """How often it was."""
        self.entered.set()
        if self.waits is not None:
            self.waits.wait(30)
        self.times += 1
        return self.times


def test_it_is_worked_out_once() -> None:
    value = Value()
    assert (value.worked_out, value.worked_out) == (1, 1)
    with pytest.raises(AttributeError):
        _ = Value.worked_out.worked_out


def test_a_forked_child_does_not_wait_for_the_parents_threads() -> None:
    """Python 3.10 and 3.11 have a lock there, which in a child nobody ever leaves."""
    go_on = threading.Event()
    slow = Value(go_on)
    thread = threading.Thread(target=lambda: slow.worked_out)
    thread.start()
    assert slow.entered.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if Value().worked_out == 1 else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    go_on.set()
    thread.join(10)
    assert status == 0
