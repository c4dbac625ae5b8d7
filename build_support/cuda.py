"""The CUDA toolkit: whether there is one, and for which architectures to compile. A GPU need not be visible."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from build_support.parts import Absent, BuildError, settle, switch

__all__ = ["Architecture", "Toolkit", "architectures", "find_cuda", "find_nvcc"]

VARIABLE = "ADASGN_BUILD_CUDA"
OLDEST = (12, 0)
"""The first CUDA that compiles the kernels. cmake/adasgn_cuda.cmake has this and the defaults, too."""
DEFAULTS = (80, 86, 87, 89, 90)
CUDA_13_DEFAULTS = (*DEFAULTS, 100, 110, 120)
BOARDS = {"nvidia,tegra234": (87, OLDEST), "nvidia,tegra264": (110, (13, 0))}
"""Jetson Orin and Thor as the device tree names them: capability, and the first CUDA that compiles for it."""
MINIMUM = 80
"""Compute capability that the kernels need (asynchronous copies to shared memory)."""

_INSTALL = "install the CUDA toolkit, or name it with CUDA_HOME or CUDACXX, and install the package again"
_INSTALL_NEWER = _INSTALL.replace("the CUDA toolkit", "a CUDA toolkit {} or newer", 1)


@dataclass(frozen=True)
class Architecture:
    """capability: 87 for 8.7; suffix: "a" or "f" of architecture-specific code; binary: SASS; ptx: PTX."""

    capability: int
    suffix: str = ""
    binary: bool = True
    ptx: bool = False

    def __str__(self) -> str:
        what = "+PTX" if self.binary else " PTX only"
        return f"{self.capability // 10}.{self.capability % 10}{self.suffix}{what if self.ptx else ''}"

    @property
    def flags(self) -> Iterator[str]:
        """nvcc's options."""
        number = f"{self.capability}{self.suffix}"
        if self.binary:
            yield f"-gencode=arch=compute_{number},code=sm_{number}"
        if self.ptx:
            yield f"-gencode=arch=compute_{number},code=compute_{number}"


@dataclass(frozen=True)
class Toolkit:
    """An nvcc that runs, and where its headers and the static runtime are; splits: whether it can work on several
    kernels of one architecture at once."""

    nvcc: Path
    include: Path
    library: Path
    version: tuple[int, int]
    architectures: tuple[Architecture, ...]
    splits: bool = False

    def thread_options(self, threads: int) -> list[str]:
        """Options of an nvcc that may have so many threads: for its architectures, or within its only one."""
        if threads > 1 and len(self.architectures) > 1:
            return [f"--threads={threads}"]
        return [f"--split-compile={threads}"] if threads > 1 and self.splits else []


def find_cuda(environment: Mapping[str, str], sources: bool) -> Toolkit | Absent:
    """The toolkit to build the CUDA part with, or why there is none; BuildError if it was asked for in vain.

    sources: whether this source tree has kernels to compile.
    """
    if switch(VARIABLE, environment) == "off":
        return Absent(f"{VARIABLE}=off was set when it was built", f"install again without {VARIABLE}=off")
    if not sources:
        return settle(VARIABLE, environment, Absent("this version's sources have no CUDA part", "use a later version"))
    nvcc = find_nvcc(environment)
    if isinstance(nvcc, Absent):
        return settle(VARIABLE, environment, nvcc)
    toolkit = _examine(nvcc, environment)
    return settle(VARIABLE, environment, toolkit) if isinstance(toolkit, Absent) else toolkit


def find_nvcc(environment: Mapping[str, str], default: Path = Path("/usr/local/cuda")) -> Path | Absent:
    """nvcc from CUDACXX, CUDA_HOME (CUDA_PATH), PATH or /usr/local/cuda; a variable that is set decides alone."""
    path = environment.get("PATH")
    if named := environment.get("CUDACXX"):
        found = shutil.which(named, path=path)
        return Path(found) if found else Absent(f"CUDACXX={named} is no program", _INSTALL)
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if home := environment.get(variable):
            found = shutil.which("nvcc", path=f"{home}/bin")
            return Path(found) if found else Absent(f"{variable}={home} has no bin/nvcc", _INSTALL)
    found = shutil.which("nvcc", path=path) or shutil.which("nvcc", path=f"{default}/bin")
    return Path(found) if found else Absent("no CUDA toolkit was found when it was built", _INSTALL)


def architectures(
    environment: Mapping[str, str], version: tuple[int, int], root: Path = Path("/")
) -> tuple[Architecture, ...]:
    """What to compile for: TORCH_CUDA_ARCH_LIST, else CUDAARCHS (as CMake reads it), else the defaults.

    The default on a Jetson is the board's own GPU, soldered beside the processor that compiles, which saves most of
    the time. Elsewhere it is all of them, with PTX of the newest, so that a later GPU can run too. Architectures
    before 8.0 in a list are left out, since the kernels need 8.0; BuildError where nothing is left or an entry cannot
    be read.
    """
    if given := environment.get("TORCH_CUDA_ARCH_LIST", "").strip():
        variable, found = (
            "TORCH_CUDA_ARCH_LIST",
            [_torch_entry(entry) for entry in re.split(r"[;,\s]+", given) if entry],
        )
    elif given := environment.get("CUDAARCHS", "").strip():
        variable, found = "CUDAARCHS", [_cmake_entry(entry) for entry in re.split(r"[;\s]+", given) if entry]
    elif board := _board(version, root):
        return (Architecture(board),)
    else:
        numbers = CUDA_13_DEFAULTS if version >= (13, 0) else DEFAULTS
        return tuple(Architecture(number, ptx=number == numbers[-1]) for number in numbers)
    merged: dict[tuple[int, str], Architecture] = {}
    for one in found:
        known = merged.get(key := (one.capability, one.suffix), Architecture(*key, binary=False))
        merged[key] = Architecture(*key, known.binary or one.binary, known.ptx or one.ptx)
    kept = tuple(merged[key] for key in sorted(merged) if key[0] >= MINIMUM)
    if not kept:
        raise BuildError(f"{variable}: expected an architecture from 8.0 up, found {given!r}")
    return kept


def _board(version: tuple[int, int], root: Path) -> int | None:
    """Capability of the Jetson that this is, if this CUDA compiles for it."""
    try:
        names = (root / "proc/device-tree/compatible").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # no device tree: a PC
        return None
    return next((BOARDS[name][0] for name in names if name in BOARDS and version >= BOARDS[name][1]), None)


def _torch_entry(entry: str) -> Architecture:
    match = re.fullmatch(r"(\d+)\.(\d)([af]?)(\+PTX)?", entry)
    if match is None:
        raise BuildError(f"TORCH_CUDA_ARCH_LIST: expected entries like 8.7 or 8.7+PTX, found {entry!r}")
    return Architecture(int(match[1]) * 10 + int(match[2]), match[3], ptx=match[4] is not None)


def _cmake_entry(entry: str) -> Architecture:
    match = re.fullmatch(r"(\d{2,3})([af]?)(-real|-virtual)?", entry)
    if match is None:
        hint = ", since the GPU of the building machine must not decide" if entry == "native" else ""
        raise BuildError(f"CUDAARCHS: expected entries like 87, 87-real or 87-virtual{hint}, found {entry!r}")
    return Architecture(int(match[1]), match[2], binary=match[3] != "-virtual", ptx=match[3] != "-real")


def _examine(nvcc: Path, environment: Mapping[str, str]) -> Toolkit | Absent:
    try:
        said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
        known = subprocess.run([nvcc, "--help"], capture_output=True, text=True, check=True).stdout
        # nvcc on PATH may be a script or a link: where its parts are only nvcc itself knows
        plan = subprocess.run(
            [nvcc, "--dryrun", "-c", "-x", "cu", "/dev/null", "-o", "/dev/null"],
            capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        return Absent(f"{nvcc} does not run ({error})", _INSTALL)
    release, top = re.search(r"release (\d+)\.(\d+)", said), re.search(r"^#\$ TOP=(.+)$", plan, re.MULTILINE)
    if release is None or top is None:
        return Absent(f"{nvcc} does not say its version and place as nvcc does", _INSTALL)
    home, version = Path(top[1].strip()).resolve(), (int(release[1]), int(release[2]))
    if version < OLDEST:
        found, oldest = (".".join(map(str, one)) for one in (version, OLDEST))
        return Absent(f"CUDA: expected {oldest} or newer, found {found} ({nvcc})", _INSTALL_NEWER.format(oldest))
    targets = [home, *sorted(home.glob("targets/*"))]
    include = next((t / "include" for t in targets if (t / "include/cuda_runtime.h").is_file()), None)
    folders = (t / name for t in targets for name in ("lib64", "lib"))
    library = next((folder for folder in folders if (folder / "libcudart_static.a").is_file()), None)
    if include is None or library is None:
        missing = "include/cuda_runtime.h" if include is None else "libcudart_static.a"
        return Absent(f"the CUDA toolkit in {home} lacks {missing}", _INSTALL)
    splits = re.search(r"^--split-compile\s", known, re.MULTILINE) is not None
    return Toolkit(nvcc, include, library, version, architectures(environment, version), splits)
