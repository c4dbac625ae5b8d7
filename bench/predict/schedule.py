"""Which kernels a run is: the engine's rule (`choose`), and the launches of a run under a schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from adasgn_edge.model.config import FEATURE, TAPS, TEMPORAL, ModelConfig
from bench.predict import instructions
from bench.predict.boards import Board
from bench.predict.costs import Block, Launch
from bench.predict.geometry import (
    BRANCH_ROWS,
    LANES,
    POLICY_FRAMES,
    TEMPORAL_SHAPES,
    THREADS,
    WARPS,
    frame_bytes,
    temporal_bytes,
    temporal_rows,
    tile_bytes,
)
from bench.predict.kernels import (
    Tile,
    branch_kernel_tile,
    classify_block,
    find_tile,
    frame_block,
    route_block,
    temporal_block,
    tiles_of,
)

__all__ = ["Run", "Schedule", "choose", "launches", "schedules", "streaming"]

NEIGHBOURS = 3
"""Frames that the policy's convolution sees."""
TILE_COST = {32: 1.0, 64: 1.37, 128: 2.36}
"""A branch's tile against one of 32 rows, with many of them one after another (measured on an H100)."""
TEMPORAL_COST = {32: 1.0, 64: 1.9, 128: 2.8}
"""Likewise of the temporal module's."""
SMALL_COST = 0.55
"""A tile of a small branch against one of a big branch."""
POLICY_COST = 0.6
"""The policy in a block of its own frame, against the tile of a big branch, 32 rows."""
ROUTER_COST = 0.4
"""Three nodes more, likewise: the counts, the policy's branch, the router."""


@dataclass(frozen=True)
class Schedule:
    """A block per frame, or rows of a branch's tile; rows of the temporal module's tile."""

    block_per_frame: bool
    branch_rows: int
    temporal_rows: int

    def __str__(self) -> str:
        way = "a block per frame" if self.block_per_frame else f"tiles of {self.branch_rows} rows"
        return f"{way}, temporal {self.temporal_rows}"


@dataclass(frozen=True)
class Run:
    """The kernels of a run, and nodes of its graph that are none."""

    launches: Sequence[Launch]
    fills: int


def schedules(config: ModelConfig, precision: str) -> Iterator[Schedule]:
    """All that can run the model."""
    fit = [rows for rows in temporal_rows(precision) if config.frames + TAPS - 1 <= rows]
    for temporal in fit:
        yield Schedule(True, 32, temporal)
        for rows in BRANCH_ROWS[precision]:
            yield Schedule(False, rows, temporal)


def choose(config: ModelConfig, multiprocessors: int, frames: int, shares: Sequence[float], precision: str) -> Schedule:
    """What the engine chooses for `frames` frames, of which the branches take `shares` (dense: none are given).

    Tiles come dearest first, so that they take as long as the longest of them, or as all together divided among the
    multiprocessors, or as waves of the cheapest. A block per frame comes in the order of the frames: where they are
    more than the multiprocessors, the longest may come last. The way with the least is taken, of equals the lower tile.
    """
    branches = config.branches
    counts = [frames * share for share in shares] if config.adaptive else [float(frames)]
    costs = [1.0 if branch.size == "big" else SMALL_COST for branch in branches]
    policy = POLICY_COST if config.adaptive else 0.0
    first = 1 if config.adaptive else 0  # branch 0 has its features from the policy
    whole = sum(count * cost for count, cost in zip(counts[first:], costs[first:], strict=True)) + frames * policy
    longest = max(costs) + policy
    by_frame = longest if frames <= multiprocessors else whole / multiprocessors + longest
    best, least = Schedule(True, 32, 0), by_frame
    for rows in BRANCH_ROWS[precision]:
        tiles = [
            max(count / (rows // branch.joints), min(1, count))
            for branch, count in zip(branches[first:], counts[first:], strict=True)
        ]
        present = [cost for cost, count in zip(costs[first:], tiles, strict=True) if count > 0] or [0.0]
        together = sum(count * cost for count, cost in zip(tiles, costs[first:], strict=True)) / multiprocessors
        waves = math.ceil(sum(tiles) / multiprocessors)
        cost = TILE_COST[rows] * max(max(present), together, waves * min(present))
        if config.adaptive:
            policy_tiles = math.ceil(frames / (32 // branches[0].joints))
            cost += math.ceil(policy_tiles / multiprocessors) * policy + ROUTER_COST
        if cost < least:
            best, least = Schedule(False, rows, 0), cost
    return Schedule(best.block_per_frame, best.branch_rows, _temporal(config, multiprocessors, frames, precision))


def _temporal(config: ModelConfig, multiprocessors: int, frames: int, precision: str) -> int:
    clips = math.ceil(frames / config.frames)
    best, least = 0, math.inf
    for rows in temporal_rows(precision):
        if config.frames + TAPS - 1 > rows:
            continue
        warps, blocks, _ = TEMPORAL_SHAPES[precision, rows]
        tiles = math.ceil(clips / (rows // (config.frames + TAPS - 1))) * FEATURE // (warps * blocks * 16)
        waves = math.ceil(tiles * warps / WARPS / multiprocessors)
        if waves * TEMPORAL_COST[rows] < least:
            best, least = rows, waves * TEMPORAL_COST[rows]
    return best


def launches(
    config: ModelConfig, board: Board, batch: int, precision: str, shares: Sequence[float], schedule: Schedule
) -> Run:
    """One run of `batch` clips as csrc/adasgn/cuda/device_engine.cpp makes it."""
    frames = batch * config.frames
    random = np.random.default_rng(0)
    architecture = board.architecture
    if schedule.block_per_frame:
        first, fills = [_frame_blocks(config, board, frames, precision, shares, random)], 0
    else:
        tile = branch_kernel_tile(architecture, precision, schedule.branch_rows)
        resident = _resident_tiles(board, precision, schedule.branch_rows)
        fills = 1  # the lists' counts, or the actions of a dense model, are set to zero
        if config.adaptive:
            policy_tile = branch_kernel_tile(architecture, "f32", 32)  # the policy is exact
            policy = tiles_of(config.branches[0], frames, policy_tile, config.joints)
            route = [route_block(len(config.branches))] * math.ceil(frames / POLICY_FRAMES)
            draws = [
                _sorted_tiles(config, tile, random.multinomial(frames, shares).tolist()) for _ in range(_draws(frames))
            ]
            first = [
                Launch("branch_tiles, policy", [policy], _resident_tiles(board, "f32", 32)),
                Launch("route_frames", [route], _resident_small(board, "route_frames")),
                Launch("branch_tiles", draws, resident),
            ]
        else:
            first = [Launch("branch_tiles", [tiles_of(config.branches[0], frames, tile, config.joints)], resident)]
    return Run([*first, *head(config, board, batch, precision, schedule.temporal_rows)], fills)


def streaming(config: ModelConfig, board: Board, tracks: int, precision: str, shares: Sequence[float]) -> Run:
    """One new frame of each of `tracks` tracks: a block per frame, then the temporal module on whole windows."""
    random = np.random.default_rng(0)
    frames = _frame_blocks(config, board, tracks, precision, shares, random)
    rows = _temporal(config, board.multiprocessors, tracks * config.frames, precision)
    return Run([frames, *head(config, board, tracks, precision, rows)], 0)


def head(config: ModelConfig, board: Board, clips: int, precision: str, rows: int) -> list[Launch]:
    """kernels/temporal.cu."""
    warps, blocks, _ = TEMPORAL_SHAPES[precision, rows]
    found = []
    for kernel, width, clip_rows in (
        ("across_frames", FEATURE, config.frames + TAPS - 1),
        ("widen_and_pool", TEMPORAL, config.frames),
    ):
        size = rows // clip_rows
        block = temporal_block(kernel, board.architecture, precision, rows, min(size, clips), config.frames)
        name = instructions.temporal_kernel(kernel, precision, rows)
        registers = instructions.code(board.architecture, name).registers
        resident = board.resident(warps * LANES, registers, temporal_bytes(rows, precision))
        count = math.ceil(clips / size) * (width // (warps * blocks * 16))
        found.append(Launch(kernel, [[block] * count], resident))
    classes = math.ceil(config.classes / WARPS)
    resident = _resident_small(board, "classify_samples")
    return [*found, Launch("classify_samples", [[classify_block(config.classes)] * (clips * classes)], resident)]


def _sorted_tiles(config: ModelConfig, tile: Tile, counts: Sequence[int]) -> list[Block]:
    """Of the frames that the router has sorted: the dearest branch first, then the blocks that find no tile, as there
    are blocks for the worst case; branch 0 has its features already."""
    blocks: list[Block] = []
    branches = config.branches
    for action in range(len(branches) - 1, 0, -1):
        found = tiles_of(branches[action], counts[action], tile, config.joints, listed=True)
        blocks += _searched(tuple(found), len(branches) - action)
    worst = max(math.ceil(sum(counts) / (tile.rows // branch.joints)) for branch in branches) + len(branches) - 1
    return blocks + [find_tile(len(branches))] * (worst - len(blocks))


def _searched(tiles: Sequence[Block], branches: int) -> list[Block]:
    """The tiles with the search for them; equal ones stay one object."""
    kinds = {id(block): find_tile(branches) + block for block in tiles}
    return [kinds[id(block)] for block in tiles]


def _frame_blocks(
    config: ModelConfig,
    board: Board,
    frames: int,
    precision: str,
    shares: Sequence[float],
    random: np.random.Generator,
) -> Launch:
    draws = []
    for _ in range(_draws(frames) if config.adaptive else 1):
        actions = random.choice(len(shares), frames, p=shares).tolist() if config.adaptive else [None] * frames
        draws.append([frame_block(config, action, NEIGHBOURS, board.architecture, precision) for action in actions])
    policy_joints = config.branches[0].joints if config.adaptive else 1
    registers = instructions.code(board.architecture, instructions.frame_kernel(precision, policy_joints)).registers
    return Launch("frame_blocks", draws, board.resident(THREADS, registers, frame_bytes(precision, policy_joints)))


def _resident_tiles(board: Board, precision: str, rows: int) -> int:
    registers = instructions.code(board.architecture, instructions.branch_kernel(precision, rows)).registers
    return board.resident(THREADS, registers, tile_bytes(rows, precision))


def _resident_small(board: Board, kernel: str) -> int:
    """Of a kernel that needs hardly any shared memory."""
    return board.resident(THREADS, instructions.code(board.architecture, kernel).registers, 0)


def _draws(frames: int) -> int:
    """Routings drawn from the shares: of many frames the counts hardly vary."""
    return max(3, min(50, 4000 // frames))
