"""Built engines on disk: found by everything that an engine depends on, in a folder that nobody else can write to.

An engine file is a program that TensorRT runs, so it is trusted input: only files of this user, in a folder of this
user's, are taken. One entry is two files, ``KEY.engine`` (what TensorRT made, which trtexec and C++ programs load, too)
and ``KEY.json`` (what it is for, and its checksum).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from adasgn_edge.data.registry import user_cache_folder
from adasgn_edge.errors import TensorRTError
from adasgn_edge.files import atomic_path, check_output
from adasgn_edge.regular_file import read_regular_file
from adasgn_edge.wording import shown

__all__ = ["ENDING", "EngineCache", "EngineFacts", "read_engine", "write_engine"]

ENDING = ".engine"
FORMAT = "adasgn_edge.tensorrt_engine.1"
MOST_BYTES = 1 << 31
MOST_FACTS = 1 << 16


@dataclass(frozen=True)
class EngineFacts:
    """All that an engine depends on; where anything differs, it is built anew.

    model: SHA-256 of the model file; graph: of the ONNX file that was built in place of the plugin, empty for the
    plugin; precision, effort, max_batch, typical_batch, persons: as of adasgn_edge.tensorrt.load; tensorrt: its full
    version; plugin: SHA-256 of its library, empty for a graph; gpu, capability: "Orin, 16 multiprocessors",
    "8.7"; driver: the CUDA that the driver serves.
    """

    model: str
    graph: str
    precision: str
    effort: float | None
    max_batch: int
    typical_batch: int
    persons: int
    tensorrt: str
    plugin: str
    gpu: str
    capability: str
    driver: str

    @property
    def key(self) -> str:
        """The name of the entry in a cache."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def differences(self, other: EngineFacts) -> list[str]:
        """What another one has different, in words."""
        names = [field.name for field in fields(self) if getattr(self, field.name) != getattr(other, field.name)]
        return [f"{name} {shown(getattr(other, name), 40)} and not {shown(getattr(self, name), 40)}" for name in names]

    @classmethod
    def from_json(cls, values: Any) -> EngineFacts:
        """Raises ValueError for anything but the values of one."""
        types = {"effort": (float, type(None)), "max_batch": (int,), "typical_batch": (int,), "persons": (int,)}
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise ValueError("other names")
        if not all(type(value) in types.get(name, (str,)) for name, value in values.items()):
            raise ValueError("values of other types")
        return cls(**values)


class EngineCache:
    """Engines by their facts in a folder, by default ``$ADASGN_CACHE/tensorrt`` or the user's cache folder's."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else user_cache_folder() / "tensorrt"

    def path(self, facts: EngineFacts) -> Path:
        """Where an engine is kept, whether it is there or not."""
        return self.folder / f"{facts.key}{ENDING}"

    def read(self, facts: EngineFacts) -> tuple[bytes | None, str]:
        """An engine; None with why, where one is there that cannot be taken; None and nothing, where there is none."""
        path = self.path(facts)
        if not path.exists():
            return None, ""
        try:
            self._expect_private()
            plan, found = read_engine(path)
        except TensorRTError as error:
            return None, str(error)
        if different := facts.differences(found):
            return None, f"{path}: expected what its name says, found {', '.join(different)}"
        return plan, ""

    def check(self, facts: EngineFacts) -> None:
        """Raise now what :meth:`write` would raise after minutes of building."""
        check_output(self.path(facts))
        if self.folder.exists():
            self._expect_private()

    def write(self, facts: EngineFacts, plan: bytes) -> Path:
        """Keep an engine; the path of its file. Raises OutputError, and TensorRTError for a folder of somebody else."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._expect_private()
        path = self.path(facts)
        write_engine(path, plan, facts)
        return path

    def _expect_private(self) -> None:
        _expect_own(self.folder, self.folder.lstat(), "folder")


def write_engine(path: Path, plan: bytes, facts: EngineFacts) -> None:
    """Write an engine's two files, for this user alone to change; each atomically, the facts last."""
    facts_path = path.with_suffix(".json")
    facts_path.unlink(missing_ok=True)  # a kill between the two leaves an engine without facts, which is not taken
    record = {"format": FORMAT, "sha256": hashlib.sha256(plan).hexdigest(), "facts": asdict(facts)}
    for file, content in ((path, plan), (facts_path, f"{json.dumps(record, indent=1)}\n".encode())):
        with atomic_path(file) as temporary:
            temporary.chmod(0o600)  # whatever the umask is, which may let a group write
            temporary.write_bytes(content)


def read_engine(path: Path) -> tuple[bytes, EngineFacts]:
    """An engine file of this user's and what it is for.

    Raises TensorRTError for one that is missing, torn, of another format, or that others could have written.
    """

    def refuse(found: str) -> TensorRTError:
        return TensorRTError(f"{path}: expected an engine that `adasgn-edge tensorrt build` wrote, found {found}")

    facts_path = path.with_suffix(".json")
    for file in (path, facts_path):
        try:
            _expect_own(file, file.stat(), "file")
        except FileNotFoundError:
            raise refuse(f"no file {file.name}") from None
    plan = read_regular_file(path, "an engine file", MOST_BYTES, TensorRTError)
    text = read_regular_file(facts_path, "what an engine is for", MOST_FACTS, TensorRTError)
    try:
        record = json.loads(text)
        if record["format"] != FORMAT:
            raise refuse(f"format {shown(record['format'])}")
        facts, digest = EngineFacts.from_json(record["facts"]), record["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, TensorRTError):
            raise
        raise refuse(f"damaged facts in {facts_path.name} ({shown(str(error), 80)})") from None
    if hashlib.sha256(plan).hexdigest() != digest:
        raise refuse("another checksum than its facts say: it is torn or was changed")
    return plan, facts


def _expect_own(path: Path, facts: os.stat_result, what: str) -> None:
    """What others could have written is not loaded."""
    writable = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not hasattr(os, "getuid") or (facts.st_uid == os.getuid() and not writable):
        return
    found = f"rights {stat.S_IMODE(facts.st_mode):o}" if writable else f"one of user {facts.st_uid}"
    raise TensorRTError(
        f"{path}: expected a {what} that only you can write to, as engines are programs, found {found}; "
        f"chmod go-w {path}, if it is yours, or remove it"
    )
