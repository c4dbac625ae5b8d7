"""What must be known of a machine beside its times, where pytest-benchmark does not note it already."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import pytest

from bench.peers import PEERS, installed

__all__ = ["QUIET", "START", "cores", "frequency", "load_average", "missing_peers", "versions"]

QUIET = 0.5
"""Load average (one minute, processes that want to run) above which times are not to be trusted."""
START = pytest.StashKey[list[float]]()
"""Load average when the benchmark began."""


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def load_average() -> list[float]:
    """Over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def frequency() -> str:
    """The cores' clocks as the system tells them, for people; it may not be readable in a virtual machine."""
    scaling = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    if scaling:
        return ", ".join(f"{int(path.read_text()) / 1e3:.0f} MHz" for path in scaling) + " (cpufreq)"
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    clocks = [line.partition(":")[2].strip() for line in lines if line.startswith("cpu MHz")]
    return ", ".join(f"{float(clock):.0f} MHz" for clock in clocks) + " (cpuinfo)" if clocks else "not readable"


def versions() -> dict[str, str]:
    """Python, the kernel and the packages that are compared."""
    packages = ("adasgn-edge", "numpy", *sorted(set(PEERS.values())), "pytest-benchmark")
    found = {"python": platform.python_version(), "kernel": platform.release()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed" if package != "adasgn-edge" else "source tree"
    return found


def missing_peers() -> list[str]:
    """Runtimes that cannot be compared with because their packages are not here."""
    return [peer for peer in PEERS if peer not in installed()]
