"""Compiling many files, several at once, each only when something that it is made of has changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from build_support.parts import BuildError

__all__ = ["Unit", "compile_units", "expect_compiler", "leave_out_folders_of_python"]


@dataclass(frozen=True)
class Unit:
    """A file to compile with options of its own; nvcc: the compiler for it, None: the C++ compiler; foreign: which
    packages' headers it includes, with their versions, since their folders may differ from build to build."""

    source: Path
    flags: tuple[str, ...]
    nvcc: Path | None = None
    foreign: str = ""


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


def leave_out_folders_of_python(compiler: Any) -> None:
    """A Python that was built at home may link with -rpath of its own folder, which no module for others may have."""
    for name in ("linker_so", "linker_so_cxx"):
        if (command := getattr(compiler, name, None)) is not None:
            setattr(compiler, name, [part for part in command if not part.startswith(("-Wl,-rpath", "-Wl,--rpath"))])


def compile_units(
    compiler: Any,
    units: Sequence[Unit],
    folder: Path,
    headers: Sequence[Path],
    jobs: int,
    nvcc_options: Sequence[str] = (),
    compiler_version: str = "",
) -> dict[Unit, str]:
    """Object files by unit; compiler: setuptools' own. What is in `folder` from another build of the same source,
    headers, options and compiler is taken as it is, wherever that one was: for another Python, of an unpacked archive.

    nvcc_options: of how nvcc goes about it, which do not matter to that. nvcc's files are begun first, since they take
    longest, then those that `units` name first.
    """
    of_headers = hashlib.sha256()
    for header in sorted(headers):
        of_headers.update(header.read_bytes())
    command = list(getattr(compiler, "compiler_so_cxx", None) or compiler.compiler_so)
    wished = [option for name in ("CPPFLAGS", "CFLAGS", "CXXFLAGS") for option in os.environ.get(name, "").split()]
    # What includes nothing of others is compiled without the options of this Python, so that it serves any.
    program = takewhile(lambda part: not part.startswith("-"), command)  # with ccache or the like before it
    own_command = [*program, "-DNDEBUG", "-fPIC", "-pthread", *wished]

    def work(unit: Unit) -> str:
        options = [flag for flag in unit.flags if not flag.startswith(("-isystem/", "-ffile-prefix-map="))]
        by = [*(command if unit.foreign else own_command), compiler_version]
        if unit.nvcc:
            by = [str(unit.nvcc), *(os.environ.get(f"NVCC_{name}_FLAGS", "") for name in ("PREPEND", "APPEND"))]
        key = hashlib.sha256("\0".join([*options, unit.foreign, *by]).encode()).hexdigest()[:12]
        made = folder / key / unit.source.with_suffix(".o")
        note = made.with_suffix(".from")
        made_of = hashlib.sha256(unit.source.read_bytes() + of_headers.digest()).hexdigest()
        if made.exists() and note.exists() and note.read_text(encoding="utf-8") == made_of:
            return str(made)
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:  # so that another build never sees half of it
            found = f"{place}/made.o"
            file = ["-c", str(unit.source), "-o", found]
            if unit.nvcc:
                _run([str(unit.nvcc), *file, *unit.flags, *nvcc_options], unit.source)
            elif unit.foreign:
                (found,) = compiler.compile([str(unit.source)], output_dir=place, extra_postargs=list(unit.flags))
            else:
                _run([*own_command, *unit.flags, *file], unit.source)
            note.unlink(missing_ok=True)
            Path(found).replace(made)
        note.write_text(made_of, encoding="utf-8")
        return str(made)

    longest_first = sorted(units, key=lambda unit: unit.nvcc is None)
    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(longest_first, pool.map(work, longest_first), strict=True))


def _run(command: list[str], source: Path) -> None:
    print(*command, flush=True)
    if (code := subprocess.run(command).returncode) != 0:
        raise BuildError(f"{command[0]} failed on {source} (exit status {code})")
