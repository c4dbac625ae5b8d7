"""How many compilers run at once: no more than processors, nor than memory holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from build_support.parts import BuildError

__all__ = ["MEMORY_OF_A_JOB", "available_memory", "job_count"]

MEMORY_OF_A_JOB = 1_500_000_000
"""Bytes: nvcc on a large kernel; a C++ file of the torch ops takes about a third of it."""


def job_count(environment: Mapping[str, str], processors: int | None = None, memory: int | None = None) -> int:
    """``MAX_JOBS`` if it is set, else as many as processors and free memory (bytes) allow; at least one."""
    if "MAX_JOBS" in environment:
        text = environment["MAX_JOBS"]
        if not text.isdecimal() or int(text) < 1:
            raise BuildError(f"MAX_JOBS: expected a positive number, found {text!r}")
        return int(text)
    processors = len(os.sched_getaffinity(0)) if processors is None else processors
    memory = available_memory() if memory is None else memory
    return max(1, min(processors, memory // MEMORY_OF_A_JOB))


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that can be had now: what the kernel calls available, within the limit of this container."""
    meminfo = dict(line.split(":", 1) for line in (root / "proc/meminfo").read_text().splitlines())
    free = int(meminfo["MemAvailable"].split()[0]) * 1024
    for limit, used in (
        ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            free = min(free, int((root / limit).read_text()) - int((root / used).read_text()))
        except (OSError, ValueError):  # no such controller, or "max"
            continue
    return max(free, 0)
