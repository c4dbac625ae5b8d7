"""The state of a run between two epochs: written atomically, so a kill at any moment loses at most one epoch."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from adasgn_edge.errors import CheckpointError
from adasgn_edge.files import atomic_path

__all__ = ["load_state", "save_state"]

VERSION = 1


def save_state(path: Path, fingerprint: str, epoch: int, **states: Any) -> None:
    """Write the state after `epoch` finished epochs; `fingerprint` names the run that it belongs to."""
    with atomic_path(path) as temporary:
        torch.save({"version": VERSION, "fingerprint": fingerprint, "epoch": epoch, **states}, temporary)


def load_state(path: Path, fingerprint: str, device: torch.device) -> dict[str, Any]:
    """Read a state back; raises CheckpointError when it is damaged or belongs to a run with other settings."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        version, found = state["version"], state["fingerprint"]
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: expected a complete checkpoint, found a damaged one ({reason}); "
            "delete it to start this stage again"
        ) from None
    if version != VERSION:
        raise CheckpointError(f"{path}: expected version {VERSION} of the checkpoint format, found {version}")
    if found != fingerprint:
        raise CheckpointError(
            f"{path}: the checkpoint belongs to a run with other settings; "
            f"expected {fingerprint}, found {found}. Use another --out folder, or delete it to start again"
        )
    return state
