"""Text and JSON of one small file: read once, of bounded size, whatever is in it a named error."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from adasgn_edge.regular_file import read_regular_file, shown_path
from adasgn_edge.wording import shown

__all__ = ["LARGEST_TEXT", "parse_json", "read_json", "read_text"]

LARGEST_TEXT = 16 << 20
"""Bytes of a layout, a recipe, a log, a report: far above what they have."""


def read_text(
    path: str | os.PathLike[str], what: str, error: Callable[[str], Exception], most: int = LARGEST_TEXT
) -> str:
    """The text of a regular file, UTF-8; what: what it should be, for the message of `error`."""
    content = read_regular_file(path, what, most, error)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        found = f"bytes that are not UTF-8, the first in place {problem.start}"
        raise error(f"{shown_path(path)}: expected {what}, found {found}") from None


def parse_json(text: str | bytes, what: str, error: Callable[[str], Exception]) -> Any:
    """The value of a text of JSON; what: whose text it is, the beginning of the message of `error`."""
    try:
        return json.loads(text)
    except RecursionError:
        found = "lists or objects nested too deeply"
    except (ValueError, MemoryError) as problem:  # bytes that are no text and numbers of thousands of digits too
        found = shown(str(problem), 120).strip("'\"")
    raise error(f"{what} not valid JSON ({found})")


def read_json(path: str | os.PathLike[str], what: str, error: Callable[[str], Exception]) -> Any:
    """The value in a JSON file; raises what `error` makes of a message that names the file."""
    return parse_json(read_text(path, what, error), f"{shown_path(path)}: expected {what}, found a text that is", error)
