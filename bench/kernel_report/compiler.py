"""nvcc: where it is, one source compiled for one architecture, and what ptxas says of each kernel."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-std=c++17", "-O3", f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'kernels'}"]


class ToolError(Exception):
    """The report cannot be made: a tool is missing or fails."""


@dataclass
class KernelUse:
    """What ptxas gives one kernel on one architecture; bytes of stack and spills are per thread."""

    registers: int = 0
    static_shared: int = 0
    stack: int = 0
    spill_stores: int = 0
    spill_loads: int = 0


@dataclass
class Compiled:
    """One source compiled for one architecture; seconds and the largest process's memory of the compilation."""

    source: str
    architecture: int
    kernels: dict[str, KernelUse] = field(default_factory=dict)  # by mangled name; device functions that stay calls too
    wall_seconds: float = 0
    cpu_seconds: float = 0
    peak_mebibytes: float = 0


def find_toolkit() -> Path:
    """The CUDA toolkit's folder, with bin/nvcc and its headers: CUDA_HOME, CUDA_PATH, PATH, then /usr/local/cuda."""
    named = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    on_path = [str(Path(folder).parent) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for folder in [*named, *on_path, "/usr/local/cuda"]:
        toolkit = Path(folder)  # a bin/nvcc on PATH may be a mere script that calls the real one elsewhere
        if all((toolkit / part).is_file() for part in ("bin/nvcc", "include/cuda_occupancy.h")):
            return toolkit
    raise ToolError("nvcc: expected a CUDA toolkit in CUDA_HOME, on PATH or in /usr/local/cuda, found none")


def run_tool(command: Sequence[str | Path], stdin: str = "", with_errors: bool = False) -> str:
    """Standard output, and standard error if asked for, of a command that must succeed."""
    try:
        done = subprocess.run(list(map(str, command)), input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ToolError(f"{command[0]}: expected on this machine, found nowhere") from None
    if done.returncode != 0:
        raise ToolError(f"{command[0]} failed with status {done.returncode}:\n{(done.stderr or done.stdout)[-4000:]}")
    return done.stdout + done.stderr if with_errors else done.stdout


def compiler_version(toolkit: Path) -> str:
    """Such as "nvcc 13.0"."""
    said = run_tool([toolkit / "bin" / "nvcc", "--version"])
    match = re.search(r"release ([\d.]+)", said)
    if not match:
        raise ToolError(f"nvcc --version: expected a release, found {said[-200:]!r}")
    return f"nvcc {match[1]}"


def parse_ptxas(text: str) -> dict[str, KernelUse]:
    """Functions by mangled name, of the output of `ptxas -v`."""
    found: dict[str, KernelUse] = {}
    current = KernelUse()
    for line in text.splitlines():
        if match := re.search(r"Function properties for (\S+)", line):
            current = found.setdefault(match[1], KernelUse())
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            current.stack, current.spill_stores, current.spill_loads = map(int, match.groups())
        elif match := re.search(r"Used (\d+) registers", line):
            current.registers = int(match[1])
            shared = re.search(r"(\d+) bytes smem", line)
            current.static_shared = int(shared[1]) if shared else 0
    return found


def compile_source(toolkit: Path, source: Path, architecture: int, ptx: bool, folder: Path) -> Compiled:
    """Compile to `folder`/<source>.<architecture>.o, unless that is there already and from the same input."""
    virtual = [f"compute_{architecture}"] if ptx else []
    code = ",".join([f"sm_{architecture}", *virtual])
    generate = f"arch=compute_{architecture},code=[{code}]"
    to = folder / f"{source.stem}.{architecture}.o"
    command = [
        *(str(toolkit / "bin" / "nvcc"), *FLAGS, "-gencode", generate, "-Xptxas", "-v"),
        *("-c", str(source), "-o", str(to)),
    ]
    key = digest(toolkit, source, command)
    note = to.with_suffix(".json")
    if to.exists() and note.exists():
        kept = json.loads(note.read_text())
        if kept.pop("key") == key:
            kept["kernels"] = {name: KernelUse(**use) for name, use in kept["kernels"].items()}
            return Compiled(**kept)
    begin = time.monotonic()
    with (folder / f"{to.stem}.log").open("w+") as log:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)  # with all processes that nvcc started and waited for
        child.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        text = log.read()
    if child.returncode != 0:
        raise ToolError(f"nvcc failed on {source.name} for sm_{architecture}:\n{text[-4000:]}")
    compiled = Compiled(
        source=source.name,
        architecture=architecture,
        kernels=parse_ptxas(text),
        wall_seconds=time.monotonic() - begin,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mebibytes=usage.ru_maxrss / 1024,
    )
    note.write_text(json.dumps({"key": key, **asdict(compiled)}))
    return compiled


def compile_all(
    toolkit: Path, sources: list[Path], architectures: list[int], ptx: int, folder: Path, jobs: int
) -> list[Compiled]:
    """Every source for every architecture, PTX as well for architecture `ptx`."""
    folder.mkdir(parents=True, exist_ok=True)
    work = [(source, architecture) for source in sources for architecture in architectures]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda item: compile_source(toolkit, item[0], item[1], item[1] == ptx, folder), work))


def digest(toolkit: Path, source: Path, command: list[str]) -> str:
    """Of all that decides an object: the source, every header it may include, the command and the compiler."""
    digest = hashlib.sha256("\0".join(command).encode())
    digest.update(run_tool([toolkit / "bin" / "nvcc", "--version"]).encode())
    folders = (ROOT / "kernels", ROOT / "csrc" / "adasgn", ROOT / "csrc" / "adasgn" / "cuda")
    for file in [source, *(header for folder in folders for header in sorted(folder.glob("*.h")))]:
        digest.update(file.read_bytes())
    return digest.hexdigest()
