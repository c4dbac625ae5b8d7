"""The log of a stage: a line of JSON for each finished epoch (docs/training.md says what is in it)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adasgn_edge.errors import CheckpointError
from adasgn_edge.files import write_text
from adasgn_edge.text_file import read_text
from adasgn_edge.wording import shown

__all__ = ["LOG", "read_log", "write_log"]

LOG = "log.jsonl"


def write_log(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write all rows, atomically."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a training log, one per finished epoch; an empty list when there is none.

    Raises CheckpointError that names the line which is no row.
    """
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(read_text(path, "a training log", CheckpointError).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("epoch"), int):
            raise CheckpointError(f"{path}, line {number}: expected the row of an epoch, found {shown(line)}")
        rows.append(row)
    return rows
