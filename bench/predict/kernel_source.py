"""Numbers that the kernels and their host code state, read from the sources, so that they stand in one place."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from bench.kernel_report.compiler import ToolError

__all__ = ["number", "shapes", "whole"]

ROOT = Path(__file__).resolve().parents[2]


@cache
def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def number(file: str, name: str) -> float:
    """The value of ``constexpr … name = …;``, a number or a ratio of two, in a file named from the root of the tree.

    Raises ToolError where it is gone.
    """
    found = re.search(rf"constexpr \w+ {name} = ([\d.]+)(?: / ([\d.]+))?;", _text(file))
    if found is None:
        raise ToolError(f"{file}: expected a number {name}, found none")
    return float(found[1]) / float(found[2] or 1)


def whole(file: str, name: str) -> int:
    """The same of a whole number."""
    return int(number(file, name))


def shapes(file: str, template: str) -> dict[tuple[str, int], tuple[int, ...]]:
    """Of every ``using … = template<Binary16 or 32, tiles of 16 rows, numbers…>``: (precision, rows) → the numbers.

    Raises ToolError where there are none.
    """
    found = re.findall(rf"using \w+ = {template}<Binary(\d+), (\d+)((?:, \d+)+)(?:, true)?>;", _text(file))
    if not found:
        raise ToolError(f"{file}: expected {template}<…> with its shapes, found none")
    return {
        (f"f{bits}", 16 * int(tiles)): tuple(int(one) for one in rest.split(",")[1:]) for bits, tiles, rest in found
    }
