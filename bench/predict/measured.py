"""Times measured on a GPU beside predicted ones, and the constants that they fit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adasgn_edge.model.config import ModelConfig
from bench.kernel_report.compiler import ToolError
from bench.predict.boards import ROOT, Board, span
from bench.predict.costs import Constants
from bench.predict.geometry import NEIGHBOURS
from bench.predict.kernels import frame_block, policy_block
from bench.predict.prediction import device_microseconds
from bench.predict.schedule import Run, Schedule, launches, levels

__all__ = [
    "CALIBRATED_UP_TO", "MEASURED", "PROFILE", "Measurement", "calibrate", "chosen_times", "counted", "error", "fit",
    "read_measured", "read_schedule",
]  # fmt: skip

MEASURED = ROOT / "bench" / "results" / "gpu" / "h100" / "schedules.json"
PROFILE = MEASURED.with_name("profile.json")
BEFORE_COUNTS_AT_ONCE = "adasgn_edge.gpu_speed.1"
"""Reports of engines that in a run by tiles fetched the branches' counts one after another, and of a dense model
cleared actions that nobody had asked for. The H100's are such."""
CALIBRATED_UP_TO = 64
"""Clips of the largest batch that the constants are fitted to; larger ones are left to show whether they hold."""


@dataclass(frozen=True)
class Measurement:
    """A schedule's time on the device, in microseconds, and its run as the model has it: the median, of a model that
    escalates the mean, which knows those that go on."""

    batch: int
    model: str  # adasgn, escalating or dense
    precision: str
    schedule: Schedule
    microseconds: float
    run: Run


def read_measured(
    path: Path, board: Board, models: dict[str, ModelConfig], shares: Sequence[float]
) -> Iterator[Measurement]:
    """Every schedule's time in a report of bench.gpu."""
    report = json.loads(path.read_text())
    if not str(report.get("format", "")).startswith("adasgn_edge.gpu_speed."):
        raise ToolError(f"{path}: expected a report of bench.gpu, found {report.get('format')!r}")
    for group in report["groups"]:
        for side, schedules in group["schedules"].items():
            model, precision = side.split()
            for name, times in schedules.items():
                if "median" not in times:
                    continue
                config, schedule, batch = models[model], read_schedule(name), group["batch"]
                if config.escalates:
                    stay = report["action_shares"][model][config.branch_names[0]]
                    run = levels(config, board, batch, precision, 1 - stay, schedule)
                elif report["format"] == BEFORE_COUNTS_AT_ONCE:
                    run = launches(config, board, batch, precision, shares, schedule, counts_at_once=1)
                    run = _as_it_was(run, schedule.block_per_frame)
                else:
                    run = launches(config, board, batch, precision, shares, schedule)
                seconds = times["mean" if config.escalates else "median"]
                yield Measurement(batch, model, precision, schedule, 1e6 * seconds, run)


def _as_it_was(run: Run, block_per_frame: bool) -> Run:
    """With the lists emptied by a node, when kernels behind tiles did not start early yet."""
    early = {"widen_split", "output_split"} | ({"across_split"} if block_per_frame else set())
    kernels = [replace(one, early=one.early and one.name in early) for one in run.launches]
    return replace(run, launches=kernels, fills=int(not block_per_frame))


def chosen_times(path: Path) -> dict[int, dict[str, float]]:
    """Microseconds on the device of what the engine chose in binary16, the median, by clips and model."""
    return {
        group["batch"]: {
            side.split()[0]: 1e6 * times["median"] for side, times in group["device"].items() if side.endswith(" f16")
        }
        for group in json.loads(path.read_text())["groups"]
    }


def read_schedule(name: str) -> Schedule:
    """Of its name in a report of bench.gpu; ToolError for another."""
    match = re.fullmatch(r"(?:(whole clips)|a block per frame|tiles of (\d+) rows), temporal (\d+)", name)
    if not match:
        raise ToolError(f"a schedule: expected such as 'tiles of 32 rows, temporal 32', found {name!r}")
    return Schedule(match[2] is None, int(match[2] or 32), int(match[3]), match[1] is not None)


def counted(path: Path, board: Board, models: dict[str, ModelConfig]) -> Iterator[tuple[str, int, str, float, float]]:
    """(model, clips, kernel, instructions of all warps as counted, as the profiler found) of every kernel of a profile
    in f16; of one clip a block per frame, of more by tiles of 128 rows."""
    for row in json.loads(path.read_text())["kernels"]:
        config = models[row["model"]]
        if row["kernel"] == "frame_blocks":
            actions = dict(enumerate(row["actions"])) if "actions" in row else {None: row["clips"] * config.frames}
            issued = sum(
                count * frame_block(config, action, NEIGHBOURS, board.architecture, "f16").total("issued")
                for action, count in actions.items()
            )
        elif match := re.fullmatch(r"policy_frames<(\d+)>", row["kernel"]):
            rows = int(match[1])
            blocks = math.ceil(row["clips"] * config.frames / (rows - 2))
            issued = blocks * policy_block(rows, len(config.branches), config.joints).total("issued")
        else:
            one = row["clips"] == 1
            schedule = Schedule(one, 32 if one else 128, 32 if one else 128)
            shares = [count / sum(row["actions"]) for count in row["actions"]] if "actions" in row else ()
            run = launches(config, board, row["clips"], "f16", shares, schedule)
            issued = next(launch.mean("issued") for launch in run.launches if launch.name == row["kernel"])
        yield row["model"], row["clips"], row["kernel"], issued, float(row["instructions"])


def error(measurements: Sequence[Measurement], board: Board, by: Constants) -> float:
    """Root of the mean square of the logarithm of predicted over measured: 0.1 is 10 %."""
    logs = [math.log(device_microseconds(one.run, board, by) / one.microseconds) for one in measurements]
    return math.sqrt(sum(value * value for value in logs) / len(logs))


def calibrate(measurements: Sequence[Measurement], board: Board) -> tuple[Constants, float]:
    """The board's constants with pace, exact_pace and code fitted, and the error that is left on what was fitted."""
    chosen = [one for one in measurements if one.batch <= CALIBRATED_UP_TO]
    names = ("pace", "exact_pace", "code")
    middle = span(board).middle

    def of(values: Sequence[float]) -> Constants:
        return replace(middle, **dict(zip(names, values, strict=True)))

    values = fit(lambda tried: error(chosen, board, of(tried)), [getattr(middle, name) for name in names])
    return of(values), error(chosen, board, of(values))


def fit(cost: Callable[[Sequence[float]], float], start: Sequence[float]) -> list[float]:
    """Positive values at which the cost is least, one value after another by steps that shrink from 20 % to 0.5 %."""
    values, least = list(start), cost(start)
    step = 1.2
    while step > 1.005:
        better = False
        for i in range(len(values)):
            for factor in (step, 1 / step):
                tried = [*values]
                tried[i] *= factor
                if (found := cost(tried)) < least:
                    values, least, better = tried, found, True
                    break
        if not better:
            step = math.sqrt(step)
    return values
