"""What a run of the benchmark is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from adasgn_edge.errors import BenchError

__all__ = ["EFFORTS", "PARTS", "LoopSettings", "Settings", "parse_rate"]

PARTS = ("clips", "streams", "cold-start", "memory", "loop")
"""What a run has, by name; `--only` takes these and patterns of contenders."""
EFFORTS = (0.0, 0.5, 1.0)
"""Beside a model's own."""
BATCHES = (1, 8)
RATES = (1.0, 10_000.0)


@dataclass(frozen=True)
class LoopSettings:
    """A control loop: cycles a second, and how many seconds of it."""

    rate: float
    seconds: float


@dataclass(frozen=True)
class Settings:
    """All of it. models: files in place of those that ship; data: a data set whose test clips are recorded ones, None
    for clips made by code; only: parts and patterns of contenders, all if empty; compiled: torch.compile too."""

    device: str = "cpu"
    models: tuple[Path, ...] = ()
    data: str | None = None
    batches: tuple[int, ...] = BATCHES
    threads: int = 1
    seconds: float = 20.0
    quick: bool = False
    only: tuple[str, ...] = ()
    compiled: bool = False
    loop: LoopSettings | None = None
    sysfs_root: Path = Path("/")

    def __post_init__(self) -> None:
        if self.device == "tensorrt":  # whose networks have no stages and one batch size to be good at
            raise BenchError("device: expected cpu or cuda, found tensorrt, which `python -m bench.gpu` times")

    @property
    def group_seconds(self) -> float:
        """How long the sides of a group take turns."""
        return min(self.seconds, 5.0) if self.quick else self.seconds

    def wants_part(self, part: str) -> bool:
        """Whether a part of PARTS is measured: all, those named, and with names of contenders what these are in."""
        named = [only for only in self.only if only in PARTS]
        return part in named or (not named and (part != "loop" or self.loop is not None))

    def wants(self, name: str) -> bool:
        """Whether a contender is measured."""
        patterns = [only for only in self.only if only not in PARTS]
        return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)

    def check_names(self, names: Sequence[str]) -> None:
        """Raise BenchError for a pattern that none of the contenders of the parts that are measured has."""
        if "loop" in self.only and self.loop is None:
            raise BenchError("--only loop: expected a rate beside it (--loop 100Hz), found none")
        for only in self.only:
            if only not in PARTS and not any(fnmatchcase(name, only) for name in names):
                raise BenchError(f"--only: expected one of {', '.join((*PARTS, *names))}, found {only!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the report."""
        return {
            "device": self.device,
            "models": [path.name for path in self.models],
            "data": self.data,
            "batches": list(self.batches),
            "threads": self.threads,
            "seconds": self.group_seconds,
            "quick": self.quick,
            "only": list(self.only),
            "compiled": self.compiled,
            "loop": None if self.loop is None else {"rate": self.loop.rate, "seconds": self.loop.seconds},
        }


def parse_rate(text: str) -> float:
    """Cycles a second of "100Hz", "100 hz" or "100"; BenchError for others, and for rates beyond RATES."""
    number = text.strip().lower().removesuffix("hz").strip()
    try:
        rate = float(number)
    except ValueError:
        rate = float("nan")
    if not RATES[0] <= rate <= RATES[1]:
        raise BenchError(f"--loop: expected a rate from {RATES[0]:g}Hz to {RATES[1]:g}Hz, found {text!r}")
    return rate
