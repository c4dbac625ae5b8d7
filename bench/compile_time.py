"""How long the CUDA kernels take to compile for one architecture, here and on a board, by measured processor seconds.

    python -m bench.compile_time [--architecture 87] [--cores 6] [--slower 4] [--others SECONDS]

Each file is compiled by nvcc with as many threads as the board has cores, and every thread's processor time is read, so
that a busy machine with few cores tells as much as an idle one with many. A file's chain is what no number of cores
shortens: of each program that nvcc starts, the main thread and the longest of the others, as if these never ran at
once. The estimate is the longest chain or all seconds shared among the cores, whichever is more, times how much slower
one core of the board is, which is assumed, not measured. Needs nvcc and Linux, no GPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from .kernel_report.compiler import FLAGS, ROOT, ToolError, find_toolkit

POLL_SECONDS = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class FileTime:
    """Processor seconds of one source: all of them, and of its chain."""

    source: str
    total: float
    chain: float


def estimate(files: list[FileTime], others: float, cores: int, slower: float) -> float:
    """Seconds on a board; others: processor seconds here of what is compiled beside the kernels."""
    shared = (sum(file.total for file in files) + others) / cores
    return slower * max(shared, *(file.chain for file in files))


def chain(threads: dict[int, dict[int, float]]) -> float:
    """Seconds of processes one after another, each its main thread, then the longest other; by process and thread."""
    return sum(
        seconds.get(process, 0.0) + max((s for thread, s in seconds.items() if thread != process), default=0.0)
        for process, seconds in threads.items()
    )


def measure(command: list[str], source: str) -> FileTime:
    """Run a compilation to its end; ToolError if it fails."""
    threads: dict[int, dict[int, float]] = defaultdict(dict)
    with tempfile.TemporaryFile("w+") as said:
        compiler = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while compiler.poll() is None:
            for process in _started_by(compiler.pid):
                for thread, seconds in _thread_seconds(process):
                    threads[process][thread] = seconds
            time.sleep(POLL_SECONDS)
        if compiler.returncode != 0:
            said.seek(0)
            raise ToolError(f"{source}: nvcc failed\n{said.read()[-4000:]}")
    return FileTime(source, sum(sum(one.values()) for one in threads.values()), chain(threads))


def _started_by(process: int) -> list[int]:
    """Processes below this one, children of children included."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:  # it has ended
        return []
    return found + [below for child in found for below in _started_by(child)]


def _thread_seconds(process: int) -> list[tuple[int, float]]:
    found = []
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            fields = (thread / "stat").read_text().rpartition(")")[2].split()
            found.append((int(thread.name), (int(fields[11]) + int(fields[12])) / TICKS))
    except OSError:  # it has ended
        pass
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the table and the estimate."""
    parser = argparse.ArgumentParser(prog="python -m bench.compile_time", description=__doc__.partition("\n")[0])
    parser.add_argument("--architecture", default="87", help="such as 87, the default: Orin")
    parser.add_argument("--cores", type=int, default=6, help="of the board (default 6)")
    parser.add_argument("--slower", type=float, default=4.0, help="how many times slower one is (default 4, assumed)")
    parser.add_argument("--others", type=float, default=0.0, help="processor seconds here of the C++ files")
    options = parser.parse_args(arguments)
    target = f"-gencode=arch=compute_{options.architecture},code=sm_{options.architecture}"
    files = []
    try:
        nvcc = str(find_toolkit() / "bin" / "nvcc")
        with tempfile.TemporaryDirectory() as folder:
            for source in sorted((ROOT / "kernels").glob("*.cu")):
                threads = f"--split-compile={options.cores}"
                command = [nvcc, *FLAGS, target, threads, "-c", str(source), "-o", f"{folder}/{source.stem}.o"]
                files.append(measure(command, source.name))
    except ToolError as error:
        print(f"compile_time: {error}", file=sys.stderr)
        return 2
    print(f"| source (sm_{options.architecture}) | processor, s | chain, s |\n| --- | --- | --- |")
    for file in files:
        print(f"| {file.source} | {file.total:.0f} | {file.chain:.0f} |")
    seconds = estimate(files, options.others, options.cores, options.slower)
    print(
        f"\n{options.cores} cores, each {options.slower:g} times slower, with {options.others:.0f} s of other files: "
        f"{seconds:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
