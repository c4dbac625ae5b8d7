"""What this installation was built with: the facts that the build wrote to ``_build.json``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adasgn_edge.errors import EngineError
from adasgn_edge.text_file import read_json

PACKAGE = Path(__file__).parents[1]
"""The folder of the package, with the compiled modules and `_build.json`."""

__all__ = ["PACKAGE", "REBUILD", "BuildInfo", "Part", "fits_gpu", "read_build", "same_torch"]

VERSION = 1

REBUILD = "pip install --no-build-isolation --no-deps --no-cache-dir --force-reinstall adasgn-edge"
"""Builds the package anew beside the torch and the toolkit that are here now; without --no-cache-dir pip may take a
wheel that it built beside others."""


@dataclass(frozen=True)
class Part:
    """A part of the installation; of one that is not built, why and what brings it.

    version: of what it was built against (CUDA, torch); architectures: of a CUDA part, "8.7" or "9.0+PTX".
    """

    built: bool
    version: str = ""
    architectures: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Part:
        """From its entry in the file."""
        return cls(
            bool(record["built"]),
            str(record.get("version", "")),
            tuple(record.get("architectures", ())),
            str(record.get("reason", "")),
            str(record.get("remedy", "")),
        )


NOT_NOTED = Part(False, reason="this installation was built before it could have one", remedy=REBUILD)


@dataclass(frozen=True)
class BuildInfo:
    """compiler: its version line; flags: of all files; instruction_sets: flags by name, the best first; tensorrt: the
    plugin, its version that of the headers it was compiled with."""

    machine: str
    compiler: str
    flags: str
    instruction_sets: dict[str, str]
    cuda: Part
    torch: Part
    torch_cuda: Part
    tensorrt: Part = NOT_NOTED


def read_build(folder: Path | None = None) -> BuildInfo:
    """The facts beside this file (or in `folder`); EngineError where the package was never built."""
    path = (folder or PACKAGE) / "_build.json"
    if not path.exists():
        raise EngineError(
            f"{path}: expected what the build notes, found nothing; install the package with `pip install .`, or build "
            "in place with `python setup.py build_ext --inplace`"
        )
    try:
        record = read_json(path, "what the build notes", EngineError)
        if record["version"] != VERSION:
            raise EngineError(f"{path}: expected version {VERSION}, found {record['version']}")
        torch = record["torch"]
        return BuildInfo(
            machine=record["machine"],
            compiler=record["compiler"],
            flags=record["flags"],
            instruction_sets=dict(record["instruction_sets"]),
            cuda=Part.from_record(record["cuda"]),
            torch=Part.from_record(torch),
            torch_cuda=Part.from_record(torch["cuda"] if torch["built"] else torch),
            tensorrt=Part.from_record(record["tensorrt"]) if "tensorrt" in record else NOT_NOTED,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, EngineError):
            raise
        raise EngineError(
            f"{path}: expected what the build notes, found something else ({repr(error)[:200]})"
        ) from None


def same_torch(built: str, found: str) -> bool:
    """Whether ops built against one torch can be loaded into another, both as `torch.__version__` has them.

    torch promises no C++ compatibility between releases, so they must be equal. Of a release the part after "+" (cpu,
    cu130) says only how it was packaged; of a snapshot (2.5.0a0+git…) it says which one it is.
    """
    release = re.compile(r"\d+(\.\d+)*(\.post\d+)?")
    built_release, found_release = built.partition("+")[0], found.partition("+")[0]
    if release.fullmatch(built_release) and release.fullmatch(found_release):
        return built_release == found_release
    return built == found


def fits_gpu(architecture: str, capability: tuple[int, int]) -> str | None:
    """How code for an architecture ("8.6", "9.0a", "9.0+PTX", "9.0 PTX only") runs on a GPU: "binary", "ptx" or None.

    Machine code runs on the same major and an equal or higher minor capability, PTX on any later GPU after compiling.
    """
    match = re.fullmatch(r"(\d+)\.(\d)([af]?)(\+PTX| PTX only)?", architecture)
    if match is None:
        raise EngineError(f"architecture: expected one like 8.7 or 9.0+PTX, found {architecture!r}")
    made = int(match[1]), int(match[2])
    if match[3] == "a":
        return "binary" if made == capability and match[4] != " PTX only" else None
    if match[4] != " PTX only" and made[0] == capability[0] and made[1] <= capability[1]:
        return "binary"
    return "ptx" if match[4] and not match[3] and made <= capability else None
