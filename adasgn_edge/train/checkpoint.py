"""The state of a run between two epochs: written atomically, so a kill at any moment loses at most one epoch.

A state and finished weights say what they come from (:class:`Origin`), so that a changed recipe or changed data is
noticed by whoever gives the same command again.
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adasgn_edge.errors import CheckpointError
from adasgn_edge.files import atomic_path
from adasgn_edge.model.weights import TrainedModel

__all__ = ["Origin", "load_state", "save_state"]

VERSION = 2
"""2: the moving average counts its updates, and the data set's digest stands beside the settings'."""


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
                "use another --out folder, or delete it to start again"
            )
        self.check_data(path, found)

    def check_data(self, path: Path, found: Origin) -> None:
        """The same for the data alone."""
        if None not in (self.data, found.data) and found.data != self.data:
            raise CheckpointError(
                f"{path}: trained on other data: clips, labels, split or class names have changed since "
                f"(expected {str(self.data)[:12]}, found {str(found.data)[:12]}); "
                "use another --out folder, or delete it to start again"
            )


def save_state(path: Path, origin: Origin, epoch: int, **states: Any) -> None:
    """Write the state after `epoch` finished epochs of the run that `origin` describes."""
    about = {"version": VERSION, "settings": origin.settings, "data": origin.data, "epoch": epoch}
    with atomic_path(path) as temporary:
        torch.save({**about, **states}, temporary)


def load_state(path: Path, origin: Origin, device: torch.device) -> dict[str, Any]:
    """Read a state back; raises CheckpointError when it is damaged or belongs to a run of another origin."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        version = state["version"]
        found = Origin(state["settings"], state["data"]) if version == VERSION else None
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: expected a complete checkpoint, found a damaged one ({reason}); "
            "delete it to start this stage again"
        ) from None
    if found is None:
        raise CheckpointError(
            f"{path}: expected version {VERSION} of the checkpoint format, found {version}; "
            "delete it to start this stage again"
        )
    origin.check(path, found)
    return state
