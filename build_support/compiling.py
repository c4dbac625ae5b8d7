"""Compiling many files, several at once, each only when it or a header has changed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build_support.parts import BuildError

__all__ = ["Unit", "compile_units", "expect_compiler"]


@dataclass(frozen=True)
class Unit:
    """A file to compile with options of its own; nvcc: the compiler for it, None: the C++ compiler."""

    source: Path
    flags: tuple[str, ...]
    nvcc: Path | None = None


def expect_compiler(compiler: Any) -> None:
    """BuildError, which says what to install, where there is no C++ compiler or no Python.h; compiler: setuptools'."""
    compiling = getattr(compiler, "compiler_so_cxx", None) or compiler.compiler_so
    for command in (compiler.compiler_cxx[0], compiling[0]):
        if shutil.which(command) is None:
            raise BuildError(
                f"C++ compiler: expected gcc 11 or newer, or clang, found no {command!r}; "
                "install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++) or name it: CC=… CXX=…"
            )
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        raise BuildError(
            f"Python's headers: expected {include / 'Python.h'}, found none; "
            "install them (Debian, Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel)"
        )


def compile_units(
    compiler: Any,
    units: Sequence[Unit],
    folder: Path,
    headers: Sequence[Path],
    jobs: int,
    nvcc_options: Sequence[str] = (),
) -> dict[Unit, str]:
    """Object files by unit; compiler: setuptools' own. An object is made again when its source or any header is newer.

    Options are part of an object's path, so a build against another torch does not take what was made for the last.
    nvcc_options: of how nvcc goes about it, which are not. nvcc's files are begun first, since they take longest.
    """
    newest_header = max((header.stat().st_mtime for header in headers), default=0.0)

    def work(unit: Unit) -> str:
        key = hashlib.sha256("\0".join([*unit.flags, str(unit.nvcc)]).encode()).hexdigest()[:12]
        made = folder / key / unit.source.with_suffix(".o")
        made.parent.mkdir(parents=True, exist_ok=True)
        if not made.exists() or made.stat().st_mtime < max(newest_header, unit.source.stat().st_mtime):
            if unit.nvcc is None:
                (found,) = compiler.compile(
                    [str(unit.source)], output_dir=str(folder / key), extra_postargs=list(unit.flags)
                )
                if Path(found) != made:
                    raise BuildError(f"object file: expected {made}, found {found}")
            else:
                _run([str(unit.nvcc), "-c", str(unit.source), "-o", str(made), *unit.flags, *nvcc_options])
        return str(made)

    longest_first = sorted(units, key=lambda unit: unit.nvcc is None)
    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(longest_first, pool.map(work, longest_first), strict=True))


def _run(command: list[str]) -> None:
    print(*command, flush=True)
    if (code := subprocess.run(command).returncode) != 0:
        raise BuildError(f"{command[0]} failed on {command[2]} (exit status {code})")
