"""The course of a stage: epoch after epoch, from the first one or from where a kill left it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol

import torch

from adasgn_edge.errors import CheckpointError
from adasgn_edge.model.adasgn import AnyModel
from adasgn_edge.train.average import WarmAverage
from adasgn_edge.train.checkpoint import Origin, load_state, save_state
from adasgn_edge.train.log import LOG, read_log, write_log

__all__ = ["STATE", "Course", "Reporter", "Silent", "run_course"]

STATE = "state.pt"
"""File of the state between two epochs."""


class Reporter(Protocol):
    """Hears how training goes; every method may do nothing."""

    def start(self, stage: str, epochs: int, done: int) -> None:
        """A stage begins, `done` of `epochs` epochs already trained."""

    def step(self, fraction: float) -> None:
        """A batch is done; fraction of the epoch so far."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done; the row that goes to the log, with a text under "warning" where something is odd."""


class Silent:
    """A Reporter that shows nothing but warnings."""

    def start(self, stage: str, epochs: int, done: int) -> None: ...
    def step(self, fraction: float) -> None: ...
    def epoch(self, row: dict[str, Any]) -> None:
        """Pass a warning on to Python's own."""
        if "warning" in row:
            warnings.warn(row["warning"], stacklevel=3)


class Course(ABC):
    """A stage in memory: model, optimiser, and the moving average of the weights where `ema` is not 0."""

    def __init__(self, model: AnyModel, optimiser: torch.optim.Optimizer, ema: float) -> None:
        self.model, self.optimiser = model, optimiser
        self.average = WarmAverage(model, ema) if ema else None

    def state(self) -> dict[str, Any]:
        """What :func:`save_state` keeps: all that the next epoch depends on."""
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        if self.average is not None:
            state["average"] = self.average.state_dict()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    @abstractmethod
    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train one epoch, counted from 0, and return its row for the log."""


def run_course(
    course: Course, name: str, epochs: int, folder: Path, origin: Origin, reporter: Reporter, device: torch.device
) -> list[dict[str, Any]]:
    """Train all epochs that are not behind the state in `folder`; returns the rows of all. The caller removes the state
    once the weights are written.

    Raises CheckpointError for a state of another origin, and for one whose log is not there.
    """
    state_path, log_path = folder / STATE, folder / LOG
    rows: list[dict[str, Any]] = []
    if state_path.exists():
        state = load_state(state_path, origin, device)
        course.load(state)
        rows = read_log(log_path)[: state["epoch"]]
        if len(rows) < state["epoch"]:
            raise CheckpointError(
                f"{log_path}: expected the {state['epoch']} epochs that {state_path.name} has behind it, found "
                f"{len(rows)}; delete {state_path.name} to start this stage again"
            )
    reporter.start(name, epochs, len(rows))
    for epoch in range(len(rows), epochs):
        rows.append(course.epoch(epoch))
        # The log goes first: a kill between the two leaves a row too many, which the next start drops.
        write_log(log_path, rows)
        save_state(state_path, origin, epoch + 1, **course.state())
        reporter.epoch(rows[-1])
    return rows
