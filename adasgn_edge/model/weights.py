"""Trained weights on disk: safetensors with the configuration, the layout and where they came from as metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from adasgn_edge.effort import EffortTable
from adasgn_edge.errors import AdaSGNError, CheckpointError
from adasgn_edge.model.adasgn import AnyModel, build_model
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.model.tensor_file import read_tensors, write_tensors
from adasgn_edge.recognition import Recognition
from adasgn_edge.shipped import shipped_file
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.text_file import parse_json
from adasgn_edge.wording import listed, shown

__all__ = ["WEIGHTS", "TrainedModel", "load_weights", "one_model", "save_weights", "shipped_weights"]

WEIGHTS = "model.safetensors"
"""The name of a stage's weights in the folder of a run."""
FORMAT = "adasgn_edge.weights"
VERSION = 1
Kind = TypeVar("Kind")


@dataclass
class TrainedModel:
    """A model and what is needed to use it.

    stream: its input stream; class_names: one per label; provenance: free-form facts of the training run;
    action_shares: of AdaSGN, (A,) share of training frames that its policy gives to each branch, None if not measured;
    effort: of a model that escalates, measured on held-out clips, None if not measured; recognition: of a causal model,
    its thresholds chosen on held-out sequences.
    """

    model: AnyModel
    layout: SkeletonLayout
    stream: str
    class_names: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    action_shares: tuple[float, ...] | None = None
    effort: EffortTable | None = None
    recognition: Recognition | None = None


def save_weights(path: Path, trained: TrainedModel) -> None:
    """Write `trained` to a ``.safetensors`` file with a checksum, atomically."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "config": trained.model.config.to_dict(),
        "layout": trained.layout.to_dict(),
        "stream": trained.stream,
        "class_names": list(trained.class_names),
        "provenance": trained.provenance,
        "action_shares": trained.action_shares,
        "effort": None if trained.effort is None else trained.effort.to_json(),
    }
    if trained.recognition is not None:
        header["recognition"] = trained.recognition.to_json()
    write_tensors(path, trained.model.state_dict(), {FORMAT: json.dumps(header)})


def load_weights(path: str | Path) -> TrainedModel:
    """Read a weights file; the model is on the CPU and in evaluation mode.

    Raises CheckpointError for a file that is missing, damaged, of another version or of another shape. Of files from
    before they had a checksum only damage to their form is noticed.
    """
    path = Path(path)
    file = read_tensors(path, "a weights file")
    header = _header(path, file.metadata)
    try:
        layout = SkeletonLayout.from_dict(header["layout"])
        model = build_model(ModelConfig.from_dict(header["config"]), layout)
        model.load_state_dict(file.tensors)
        shares = header.get("action_shares")  # weights from before they were measured have none
        trained = TrainedModel(
            model.eval(),
            layout,
            _of_kind(header, "stream", str),
            _names(header),
            _of_kind(header, "provenance", dict) if "provenance" in header else {},
            None if shares is None else _shares(shares),
            None if header.get("effort") is None else EffortTable.from_json(header["effort"]),
            Recognition.from_json(header["recognition"]) if "recognition" in header else None,
        )
    except (AdaSGNError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path}: the weights do not fit their description ({shown(str(error), 300)})") from None
    return trained


def _header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What is said of the weights in the metadata of their file."""
    if FORMAT not in metadata:
        raise CheckpointError(f"{path}: expected weights written by adasgn_edge, found a safetensors file without them")
    header = parse_json(metadata[FORMAT], f"{path}: description:", CheckpointError)
    if not isinstance(header, dict) or header.get("version") != VERSION:
        found = header.get("version") if isinstance(header, dict) else header
        raise CheckpointError(f"{path}: expected version {VERSION} of the weights format, found {shown(found)}")
    return header


def _of_kind(header: dict[str, Any], key: str, kind: type[Kind]) -> Kind:
    value = header[key]
    if not isinstance(value, kind):
        raise TypeError(f"{key}: expected {kind.__name__}, found {shown(value)}")
    return value


def _names(header: dict[str, Any]) -> tuple[str, ...]:
    names = _of_kind(header, "class_names", list)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"class_names: expected names, found {shown(names)}")
    return tuple(names)


def _shares(shares: Any) -> tuple[float, ...]:
    if not isinstance(shares, list) or not all(type(share) in (int, float) and 0 <= share <= 1 for share in shares):
        raise TypeError(f"action_shares: expected shares from 0 to 1, found {shown(shares)}")
    return tuple(shares)


def one_model(path: Path) -> Path:
    """The weights that are meant by a path: the file itself, or the only model that the folder of a run holds.

    Models of folds, which lack a part of the data, count only where there are no others. Raises CheckpointError for a
    folder with no weights, or with several, and names them.
    """
    if not path.is_dir():
        return path
    found = sorted(path.glob(f"**/{WEIGHTS}"))
    if not found:
        raise CheckpointError(f"{path}: expected weights, or the folder of a run with a finished stage, found neither")
    if len(found) > 1:
        whole = [file for file in found if "fold" not in load_weights(file).provenance]
        found = whole or found
    if len(found) > 1:
        names = listed([file.parent.relative_to(path) for file in found])
        raise CheckpointError(f"{path}: expected one model, found {names}: give one of these folders")
    return found[0]


def shipped_weights(kind: str = "clips") -> Path:
    """Path of the trained weights that the shipped model file of this kind was exported from, see
    :func:`adasgn_edge.shipped_model`."""
    return shipped_file(kind, ".safetensors")
