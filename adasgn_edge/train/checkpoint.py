"""The state of a stage between two epochs, in one file with a checksum: a kill at any moment loses at most one epoch.

A state and finished weights say what they come from (:class:`Origin`), so that a changed recipe or changed data is
noticed by whoever gives the same command again. The log's rows are in the state: how many there are is the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from adasgn_edge.errors import CheckpointError
from adasgn_edge.model.tensor_file import read_tensors, write_tensors
from adasgn_edge.model.weights import TrainedModel
from adasgn_edge.wording import shown

__all__ = ["AGAIN", "STATE", "Origin", "State", "load_state", "save_state"]

STATE = "state.safetensors"
"""File of the state between two epochs."""
FORMAT = "adasgn_edge.state"
VERSION = 3
"""3: safetensors with the log's rows; 1 and 2 were a pickle of torch's."""

AGAIN = "delete it to start this stage again"
"""What every message about a state ends with."""


@dataclass(frozen=True)
class Origin:
    """What a stage's files come from: the fingerprint of its settings and the digest of its data.

    data: :attr:`SkeletonDataset.digest`; None in weights from before it was noted, which count as of any data.
    """

    settings: str | None
    data: str | None

    @classmethod
    def of(cls, trained: TrainedModel) -> Origin:
        """What weights say of themselves."""
        return cls(trained.provenance.get("fingerprint"), trained.provenance.get("dataset_digest"))

    def check(self, path: Path, found: Origin) -> None:
        """Raise CheckpointError unless what was `found` in the file `path` is this."""
        if found.settings != self.settings:
            raise CheckpointError(
                f"{path}: trained with other settings (expected {self.settings}, found {found.settings}); "
                f"use another --out folder, or {AGAIN}"
            )
        self.check_data(path, found)

    def check_data(self, path: Path, found: Origin) -> None:
        """The same for the data alone."""
        if None not in (self.data, found.data) and found.data != self.data:
            raise CheckpointError(
                f"{path}: trained on other data: clips, labels, split or class names have changed since "
                f"(expected {str(self.data)[:12]}, found {str(found.data)[:12]}); "
                f"use another --out folder, or {AGAIN}"
            )


@dataclass(frozen=True)
class State:
    """Rows of the log, one per finished epoch; tensors by name, all that the next epoch depends on."""

    rows: list[dict[str, Any]]
    tensors: dict[str, Tensor]


def save_state(path: Path, origin: Origin, rows: Sequence[dict[str, Any]], tensors: Mapping[str, Tensor]) -> None:
    """Write the state of the run that `origin` describes, atomically."""
    about = {"version": VERSION, "settings": origin.settings, "data": origin.data, "rows": list(rows)}
    write_tensors(path, tensors, {FORMAT: json.dumps(about)})


def load_state(path: Path, origin: Origin) -> State:
    """Read a state back; raises CheckpointError when it is damaged or belongs to a run of another origin."""
    try:
        file = read_tensors(path, "a complete training state")
        about = json.loads(file.metadata[FORMAT])
        version = about["version"]
        if version == VERSION and not file.sealed:
            raise CheckpointError(f"{path}: expected a training state with a checksum, found one without")
    except CheckpointError as error:
        raise CheckpointError(f"{error}; {AGAIN}") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: expected a training state, found another safetensors file; {AGAIN}") from None
    if version != VERSION:
        raise CheckpointError(
            f"{path}: expected version {VERSION} of the training state, found {shown(str(version), 20)}; {AGAIN}"
        )
    origin.check(path, Origin(about.get("settings"), about.get("data")))
    rows = about.get("rows")
    if not isinstance(rows, list) or [_epoch(row) for row in rows] != list(range(1, len(rows) + 1)):
        raise CheckpointError(f"{path}: expected a row of the log for each epoch, found others; {AGAIN}")
    return State(rows, file.tensors)


def _epoch(row: object) -> object:
    return row.get("epoch") if isinstance(row, dict) else None
