"""What must be known of a machine beside its times."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from adasgn_edge.bench.runtimes import PEERS, installed
from adasgn_edge.engine import instruction_sets

__all__ = ["QUIET", "cores", "facts", "flags", "frequency", "load_average", "missing_peers", "processor", "versions"]

QUIET = 0.5
"""Load average (one minute, processes that want to run) above which times are not to be trusted."""


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def load_average() -> list[float]:
    """Over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def _cpuinfo(key: str) -> list[str]:
    """The values of a key of /proc/cpuinfo, one for each core that has it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key]


def processor() -> str:
    """Its name, as the system has it; of a board without one the board's."""
    names = _cpuinfo("model name") or _cpuinfo("Model")
    board = Path("/proc/device-tree/model")
    if not names and board.exists():
        names = [board.read_text(errors="replace").strip("\0\n ")]
    return names[0] if names else platform.processor() or "unknown"


def flags() -> list[str]:
    """What the processor can, as the system lists it."""
    return ((_cpuinfo("flags") or _cpuinfo("Features") or [""])[0]).split()


def frequency() -> str:
    """The cores' clocks as the system tells them, for people; it may not be readable in a virtual machine."""
    scaling = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    if scaling:
        return ", ".join(f"{int(path.read_text()) / 1e3:.0f} MHz" for path in scaling) + " (cpufreq)"
    clocks = _cpuinfo("cpu MHz")
    return ", ".join(f"{float(clock):.0f} MHz" for clock in clocks) + " (cpuinfo)" if clocks else "not readable"


def versions() -> dict[str, str]:
    """Python, the kernel and the packages that are compared."""
    packages = ("adasgn-edge", "numpy", *sorted(set(PEERS.values())))
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


def facts() -> dict[str, Any]:
    """All of it, as plain values; `load_average` is that of now."""
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "cores": cores(),
        "instruction_sets": list(instruction_sets()),
        "clocks": frequency(),
        "load_average": load_average(),
        "versions": versions(),
    }
