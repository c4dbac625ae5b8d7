"""The course of a stage: epoch after epoch, from the first one or from where a kill left it, to its weights.

A stage's folder holds, while it runs, its state (``state.safetensors``), of which the log (``log.jsonl``) is a copy for
people, and a lock; when it is done the weights (``model.safetensors``) and the log.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from adasgn_edge.errors import CheckpointError
from adasgn_edge.files import locked
from adasgn_edge.model.adasgn import AnyModel
from adasgn_edge.model.weights import WEIGHTS, TrainedModel, load_weights, save_weights
from adasgn_edge.train.average import WarmAverage
from adasgn_edge.train.checkpoint import AGAIN, STATE, Origin, load_state, save_state
from adasgn_edge.train.log import LOG, write_log

__all__ = ["Course", "Reporter", "Silent", "finished_weights", "run_course"]

_EARLIER = "state.pt"
"""The state of versions before 0.1, a pickle."""


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

    def state(self) -> dict[str, Tensor]:
        """All that the next epoch depends on. Learning rates and random numbers are not in it: they follow from the
        settings, the seed and the number of the epoch."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": value for name, value in values.items()}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.module.state_dict().items()}
            tensors["updates"] = torch.tensor(self.average.updates)
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of :meth:`state`; raises ValueError or RuntimeError for tensors of another course."""
        if self.average is not None:
            self.average.module.load_state_dict(_below("average.", tensors))
            self.average.updates = int(tensors["updates"])
        self.model.load_state_dict(_below("model.", tensors))
        parameters = [one for group in self.optimiser.param_groups for one in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _below("optimiser.", tensors).items():
            number, _, key = name.partition(".")
            if value.shape not in ((), parameters[int(number)].shape):
                raise ValueError(f"optimiser: {key} of another shape")
            state.setdefault(int(number), {})[key] = value.clone()
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})

    @abstractmethod
    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train one epoch, counted from 0, and return its row for the log."""


C = TypeVar("C", bound=Course)


def finished_weights(path: Path, origin: Origin) -> TrainedModel | None:
    """A stage's final weights, None where there are none yet; raises CheckpointError when they are damaged or come from
    other settings or data."""
    if not path.exists():
        return None
    try:
        trained = load_weights(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; delete it to train this stage again") from None
    origin.check(path, Origin.of(trained))
    return trained


def run_course(
    folder: Path,
    origin: Origin,
    name: str,
    epochs: int,
    begin: Callable[[], C],
    end: Callable[[C, list[dict[str, Any]]], TrainedModel],
    reporter: Reporter,
) -> Path:
    """Train a stage to its last epoch, write its weights and return their path; a finished one is left alone.

    begin: makes the course as before its first epoch; end: the model to keep, given the course after the last one and
    the rows of the log. Raises CheckpointError for files of another origin and for damaged ones, OutputError while
    another process trains the stage.
    """
    weights, state_path = folder / WEIGHTS, folder / STATE
    if finished_weights(weights, origin) is not None and not state_path.exists():
        return weights
    with locked(folder):
        if finished_weights(weights, origin) is None:
            course = begin()
            rows = _resumed(course, folder, origin, epochs)
            reporter.start(name, epochs, len(rows))
            for epoch in range(len(rows), epochs):
                rows.append(course.epoch(epoch))
                save_state(state_path, origin, rows, course.state())
                write_log(folder / LOG, rows)
                reporter.epoch(rows[-1])
            save_weights(weights, end(course, rows))
        state_path.unlink(missing_ok=True)
    return weights


def _resumed(course: Course, folder: Path, origin: Origin, epochs: int) -> list[dict[str, Any]]:
    """Put a course where the folder's state left it, and the log right, whatever is in it; the rows of the log."""
    if (earlier := folder / _EARLIER).exists():
        raise CheckpointError(
            f"{earlier}: expected {STATE}, found the state of an earlier version, which is not read; {AGAIN}"
        )
    path = folder / STATE
    if not path.exists():
        return []
    state = load_state(path, origin)
    try:
        if len(state.rows) > epochs:
            raise ValueError(f"{len(state.rows)} epochs of {epochs}")
        course.load(state.tensors)
    except (RuntimeError, ValueError, LookupError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path}: expected the state of this stage, found another ({reason}); {AGAIN}") from None
    write_log(folder / LOG, state.rows)
    return state.rows


def _below(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
