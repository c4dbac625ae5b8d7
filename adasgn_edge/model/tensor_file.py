"""Tensors and texts in one safetensors file that carries a checksum of every byte of it; no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from adasgn_edge.errors import CheckpointError
from adasgn_edge.files import atomic_path
from adasgn_edge.regular_file import read_regular_file
from adasgn_edge.wording import shortened

__all__ = ["TensorFile", "read_tensors", "write_tensors"]

MOST_BYTES = 1 << 30
"""A state of the largest recipe takes about 10 MB."""

_SEAL, _BLANK = "sha256", "0" * 64
_UNREADABLE = (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError)


@dataclass(frozen=True)
class TensorFile:
    """What such a file holds; sealed: whether it had a checksum, which is right then."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]
    sealed: bool


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write such a file, atomically."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(own, {**metadata, _SEAL: _BLANK})
    end = _header_end(content)
    digest = hashlib.sha256(content).hexdigest()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(content[:end].replace(_mark(_BLANK), _mark(digest)))
        file.write(memoryview(content)[end:])


def read_tensors(path: Path, what: str) -> TensorFile:
    """Read a safetensors file, with a checksum or without; the tensors are on the CPU.

    what: what messages call it. Raises CheckpointError for a file that is missing, damaged or none.
    """
    content = read_regular_file(path, what, MOST_BYTES, CheckpointError)
    try:
        tensors = load(content)
        end = _header_end(content)
        metadata = json.loads(content[8:end]).get("__metadata__", {})
        digest = metadata.pop(_SEAL, None)
        if digest is not None and not _fits(content, end, digest):
            raise ValueError("its checksum is another")
        return TensorFile(metadata, tensors, digest is not None)
    except _UNREADABLE as error:
        reason = shortened(str(error).partition("\n")[0] or type(error).__name__, 150)
        raise CheckpointError(f"{path}: expected {what}, found a damaged one ({reason})") from None


def _header_end(content: bytes) -> int:
    """Where the header ends, whose length the first 8 bytes tell."""
    return 8 + int.from_bytes(content[:8], "little")


def _mark(digest: str) -> bytes:
    """How the checksum stands in the header; quotes in texts are escaped there."""
    return f'"{_SEAL}":"{digest}"'.encode()


def _fits(content: bytes, end: int, digest: str) -> bool:
    """Whether a file has the checksum that it carries: that of its bytes with zeros in the checksum's place."""
    head = content[:end]
    if head.count(_mark(digest)) != 1:
        return False
    found = hashlib.sha256(head.replace(_mark(digest), _mark(_BLANK)))
    found.update(memoryview(content)[end:])
    return found.hexdigest() == digest
