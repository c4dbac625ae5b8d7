"""Microseconds of a run: low and high, launch by launch, and what each constant's range makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from adasgn_edge.model.config import COORDINATES, FEATURE, POSE_HIDDEN, TAPS, TEMPORAL, ModelConfig
from bench.predict.boards import Board, span
from bench.predict.costs import Constants, Launch
from bench.predict.geometry import element
from bench.predict.kernels import branch_kernel_tile, branch_tile, pose_inputs
from bench.predict.schedule import Run, Schedule, choose, chosen_levels, launches, levels, streaming

__all__ = [
    "COPIES", "STREAM_COPIES", "Prediction", "device_microseconds", "predict", "predict_streaming", "sensitivity",
]  # fmt: skip

COPIES = 1
"""Clips up; actions and scores are written to the host's memory (csrc/adasgn/cuda/engine.cpp)."""


STREAM_COPIES = 1
"""Of a step of a stream, up: frames and which tracks they are of; scores are written to the host's memory."""


@dataclass(frozen=True)
class Prediction:
    """(low, high) in microseconds: of each launch; on the device from first node to last; from array to result.

    chosen: the schedule, of a model that escalates that of each level; none of a step of a stream.
    """

    run: Run
    chosen: tuple[Schedule, ...]
    each: list[tuple[float, float]]
    device: tuple[float, float]
    end_to_end: tuple[float, float]


def device_microseconds(run: Run, board: Board, by: Constants, weights: float = 0) -> float:
    """Of a run. weights: bytes that a run reads once from DRAM where the cache does not keep them."""
    total = by.empty * run.graph + by.fill * run.fills + sum(_launched(run, one, by) for one in run.launches)
    total += sum(launch.microseconds(board.multiprocessors, board.clock, by) for launch in run.launches)
    return total + (weights / (by.dram * 1e3) if by.dram else 0)


def _launched(run: Run, launch: Launch, by: Constants) -> float:
    if run.cooperative:
        return by.cooperative_node if run.graph else by.cooperative
    return by.early if launch.early else by.node


def predict(
    config: ModelConfig,
    board: Board,
    batch: int,
    precision: str,
    shares: Sequence[float],
    going_on: float = 0,
) -> Prediction:
    """One run of `batch` clips by a captured graph, by the engine's own schedule. shares: of frames, of each branch;
    going_on: of clips, of a model that escalates, from a level to the next."""
    frames = batch * config.frames
    if config.escalates:
        chosen = chosen_levels(config, board.multiprocessors, frames, precision)
        return _priced(levels(config, board, batch, precision, going_on), config, board, batch, precision, chosen)
    schedule = choose(config, board.multiprocessors, frames, shares, precision)
    run = launches(config, board, batch, precision, shares, schedule)
    return _priced(run, config, board, batch, precision, (schedule,))


def predict_streaming(config: ModelConfig, board: Board, tracks: int, precision: str) -> Prediction:
    """One new frame of each of `tracks` tracks of a causal model: cooperative launches of the host's, no graph."""
    run = streaming(config, board, tracks, precision)
    found = _priced(run, config, board, 0, precision, ())
    ranges = span(board)
    moved = 4 * tracks * (2 * config.joints * COORDINATES + 2) / (min(board.dram, 20) * 1e3)
    low, high = (
        total + by.call + STREAM_COPIES * by.copy + moved
        for total, by in zip(found.device, (ranges.low, ranges.high), strict=True)
    )
    return replace(found, end_to_end=(low, high))


def sensitivity(run: Run, board: Board) -> list[tuple[str, float, float, float]]:
    """(constant, low, high, microseconds of the run between them, all others in the middle), the greatest first; those
    that the run depends on."""
    ranges = span(board)
    found = []
    for item in fields(Constants):
        low, high = getattr(ranges.low, item.name), getattr(ranges.high, item.name)
        if low != high and item.name not in ("call", "copy", "dram"):
            cheap, dear = (device_microseconds(run, board, ranges.at(item.name, side)) for side in (False, True))
            if cheap != dear:
                found.append((item.name, low, high, dear - cheap))
    return sorted(found, key=lambda row: -row[3])


def weight_bytes(config: ModelConfig, board: Board, precision: str) -> float:
    """Of all branches and the temporal module, once."""
    total = 0.0
    layers = 1 if config.causal is None else len(config.causal.dilations)
    for index, branch in enumerate(config.branches):
        kind = "f32" if config.adaptive and index == 0 else precision
        if branch.pose:
            total += element(kind) * (pose_inputs(config.joints) + POSE_HIDDEN) * FEATURE
            continue
        tile = branch_kernel_tile(board.architecture, kind, 32)
        total += branch_tile(branch, tile, 1, config.joints).total("weights")
    return (
        total
        + element(precision) * (layers * TAPS * FEATURE * FEATURE + FEATURE * TEMPORAL)
        + 4 * TEMPORAL * config.classes
    )


def _priced(
    run: Run, config: ModelConfig, board: Board, batch: int, precision: str, chosen: tuple[Schedule, ...]
) -> Prediction:
    ranges = span(board)
    sides = (ranges.low, ranges.high)
    each = [
        (
            launch.microseconds(board.multiprocessors, board.clock, ranges.low) + _launched(run, launch, ranges.low),
            launch.microseconds(board.multiprocessors, board.clock, ranges.high) + _launched(run, launch, ranges.high),
        )
        for launch in run.launches
    ]
    weights = weight_bytes(config, board, precision)
    low, high = (device_microseconds(run, board, by, weights) for by in sides)
    copied = 4 * batch * (config.frames * (config.joints * COORDINATES + 1) + config.classes)
    moved = copied / (min(board.dram, 20) * 1e3)  # at the rate of PCI Express where that is less than DRAM's
    whole = [total + by.call + COPIES * by.copy + moved for total, by in zip((low, high), sides, strict=True)]
    return Prediction(run, chosen, each, (low, high), (whole[0], whole[1]))
