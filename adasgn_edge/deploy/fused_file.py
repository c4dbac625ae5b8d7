"""Models of several input streams in one file, whose probabilities are averaged (the paper's "3s").

A ``.fused`` file is a ZIP archive, not compressed, of a model file for each stream: ``joint.adasgn``, ``bone.adasgn``,
``velocity.adasgn``, two of them at least. Any program for archives takes it apart for an engine that runs one model.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from adasgn_edge.data.streams import STREAMS
from adasgn_edge.deploy.model_container import MAX_FILE
from adasgn_edge.errors import ModelFileError
from adasgn_edge.files import atomic_path
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.regular_file import read_regular_file, shown_path
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import listed, shown

if TYPE_CHECKING:
    from adasgn_edge.deploy.model_file import ModelFile

__all__ = ["FUSED_ENDING", "Described", "check_fusable", "read_fused_file", "write_fused_file"]

FUSED_ENDING = ".fused"
"""What the name of such a file ends in."""
MEMBERS = {f"{stream}.adasgn": stream for stream in STREAMS}
DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that the same models make the same file."""


class Described(Protocol):
    """What is known of a model: a :class:`ModelFile` or an engine's description."""

    @property
    def stream(self) -> str:
        """Its input."""

    @property
    def layout(self) -> SkeletonLayout:
        """Whose joints."""

    @property
    def config(self) -> ModelConfig:
        """Its shape."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """What it tells apart."""


def check_fusable(models: Sequence[Described]) -> None:
    """Raise ModelFileError unless models can be averaged: of different streams, and alike in all else."""
    streams = [model.stream for model in models]
    _expect(len(models) >= 2, "two or more models, one of each stream", len(models))
    _expect(len(set(streams)) == len(streams), "models of different streams", listed(streams))
    first = models[0]
    for model in models[1:]:
        who = f"{model.stream} as {first.stream} has"
        found = f"{model.layout.name!r} and {first.layout.name!r}"
        _expect(model.layout == first.layout, f"the layout of {who}", found)
        _expect(model.class_names == first.class_names, f"the class names of {who}", "others")
        found = f"{' '.join(model.config.branch_names)} and {' '.join(first.config.branch_names)}"
        _expect(model.config == first.config, f"the branches and frames of {who}", found)


def write_fused_file(path: str | Path, models: Sequence[ModelFile]) -> None:
    """Write models of different streams as one file, atomically.

    Raises ModelFileError for models that cannot be averaged or stored, OutputError for a place that cannot be written.
    """
    path, content = Path(path), io.BytesIO()
    try:
        check_fusable(models)
        with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
            for model in sorted(models, key=lambda model: STREAMS.index(model.stream)):
                member = zipfile.ZipInfo(f"{model.stream}.adasgn", DATE)
                member.external_attr = 0o644 << 16
                archive.writestr(member, model.to_bytes())
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getvalue())


def read_fused_file(path: str | bytes | os.PathLike[Any]) -> dict[str, bytes]:
    """The content of each stream's model file; what is in them is for their reader to check.

    Raises ModelFileError that names the file, what was expected and what was found.
    """
    content = read_regular_file(path, "a fused file", len(STREAMS) * MAX_FILE, ModelFileError)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            ok = len(set(names)) == len(names) >= 2 and set(names) <= set(MEMBERS)
            _expect(ok, f"two or more of {', '.join(MEMBERS)}, each once", shown(listed(names), 200))
            for member in members:
                stored = member.compress_type == zipfile.ZIP_STORED and member.file_size == member.compress_size
                size = member.file_size
                _expect(stored, f"{member.filename} without compression", f"it compressed to {member.compress_size}")
                _expect(size <= min(MAX_FILE, len(content)), f"{member.filename} whole, {size} bytes", len(content))
            found = {MEMBERS[member.filename]: archive.read(member) for member in members}
    except ModelFileError as error:
        raise ModelFileError(f"{shown_path(path)}: {error}") from None
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, struct.error) as error:
        raise ModelFileError(
            f"{shown_path(path)}: expected a fused file, an archive of model files, found {shown(str(error), 120)}"
        ) from None
    return found


def _expect(ok: bool, expected: str, found: object) -> None:
    if not ok:
        raise ModelFileError(f"expected {expected}, found {found}")
