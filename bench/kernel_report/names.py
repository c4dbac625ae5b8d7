"""Kernels' names for readers: `branch_tiles<f16, 128 rows>`."""

from __future__ import annotations

import re

from .compiler import run_tool

PRECISIONS = {"Binary16": "f16", "Binary32": "f32"}


def readable_names(mangled: list[str]) -> dict[str, str]:
    """By mangled name. Names of the unnamed namespace come out alike whichever compilation they are from."""
    demangled = run_tool(["c++filt"], "\n".join(mangled) + "\n").splitlines()
    return {name: readable(text) for name, text in zip(mangled, demangled, strict=True)}


def readable(demangled: str) -> str:
    """`void adasgn::cuda::(anonymous namespace)::f<…>(…)` without what all kernels share; tiles by their rows."""
    text = demangled.replace("(anonymous namespace)::", "").replace("adasgn::cuda::", "").removeprefix("void ")
    if text.endswith(")"):
        text = text[: text.rindex("(")]

    def tile(match: re.Match[str]) -> str:
        return f"{PRECISIONS[match[1]]}, {16 * int(match[2])} rows"

    def temporal_tile(match: re.Match[str]) -> str:
        columns = 16 * int(match[3]) * int(match[4])
        return f"{PRECISIONS[match[1]]}, {16 * int(match[2])} rows x {columns} columns"

    text = re.sub(r"TemporalTile<(Binary\d+), (\d+), \d+, (\d+), (\d+)>", temporal_tile, text)
    text = re.sub(r"\bTile<(Binary\d+), (\d+), \d+(?:, \w+)?>", tile, text)
    text = re.sub(r"FrameBlock<(f\d+), (\d+) rows, f\d+, (\d+) rows *>", r"\1, \2 or \3 rows", text)
    text = re.sub(r"\bBinary\d+\b", lambda match: PRECISIONS[match[0]], text)
    return re.sub(r" +>", ">", text)
