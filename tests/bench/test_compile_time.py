"""The estimate of compile time: what a chain is, how cores share the rest, what is measured of a command."""

from __future__ import annotations

import shlex
import sys

import pytest

from bench.compile_time import FileTime, chain, estimate, measure
from bench.kernel_report.compiler import ToolError

BUSY = """\
import threading, time
def work():
    end = time.thread_time() + {seconds}
    while time.thread_time() < end:
        pass
others = [threading.Thread(target=work) for _ in range({others})]
for other in others: other.start()
work()
for other in others: other.join()
"""


def test_a_chain_is_main_threads_and_the_longest_others():
    assert chain({7: {7: 1.0, 8: 5.0, 9: 3.0}, 10: {10: 2.0}}) == 1 + 5 + 2
    assert chain({}) == 0


def test_the_estimate_is_what_binds():
    files = [FileTime("long.cu", 60.0, 50.0), FileTime("short.cu", 6.0, 6.0)]
    assert estimate(files, 0.0, cores=6, slower=2.0) == 100  # the longest chain
    assert estimate(files, 534.0, cores=6, slower=2.0) == 200  # all that there is, shared


def test_a_command_is_measured_with_what_it_starts():
    program = shlex.join([sys.executable, "-c", BUSY.format(seconds=0.5, others=2)])
    found = measure(["sh", "-c", f"{program}; true"], "threads")
    assert 1.2 < found.total < 3
    assert 0.7 < found.chain < found.total


def test_a_command_that_fails_is_named():
    with pytest.raises(ToolError, match=r"broken\.cu: nvcc failed\nno such kernel"):
        measure(["sh", "-c", "echo no such kernel; exit 1"], "broken.cu")
