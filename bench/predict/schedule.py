"""Which kernels a run is: the engine's rule (`choose`), and the launches of a run under a schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adasgn_edge.model.config import FEATURE, TAPS, TEMPORAL, Branch, ModelConfig
from bench.predict import instructions
from bench.predict.boards import Board
from bench.predict.costs import Block, Launch
from bench.predict.geometry import (
    BLOCK,
    BRANCH_ROWS,
    COUNTS_AT_ONCE,
    LANES,
    NEIGHBOURS,
    POLICY_ROWS,
    ROUTED,
    SPLIT_ROWS,
    TEMPORAL_SHAPES,
    THREADS,
    WARPS,
    causal_bytes,
    causal_rows,
    frame_bytes,
    policy_bytes,
    result_rows,
    split_bytes,
    temporal_bytes,
    temporal_rows,
    tile_bytes,
)
from bench.predict.kernel_source import number
from bench.predict.kernels import (
    Tile,
    branch_kernel_tile,
    causal_block,
    causal_kernel,
    classify_block,
    find_tile,
    frame_block,
    listed_block,
    policy_block,
    pose_split_block,
    pose_tile,
    route_block,
    settle_block,
    split_block,
    split_kernel,
    surplus_block,
    temporal_block,
    tiles_of,
)
from bench.predict.whole_clips import clip_blocks, whole_clips

__all__ = [
    "Run", "Schedule", "choose", "choose_level", "chosen_levels", "launches", "levels", "policy_rows", "schedules",
    "streaming",
]  # fmt: skip


def _cost(name: str) -> float:
    """A constant of the engine's own rule."""
    return number("csrc/adasgn/cuda/schedule.cpp", name)


TILE_COST = {32: _cost("kTile32"), 64: _cost("kTile64"), 128: _cost("kTile128")}
"""A wave of tiles against one of 32 rows, as measured on an H100."""
FRAME_COST, FRAME_POLICY_COST, ROUTER_COST = _cost("kFrame"), _cost("kFramePolicy"), _cost("kRouter")
"""Likewise a wave of blocks per frame, its policy in the same blocks; a policy and router of their own."""
SMALL, ONE_JOINT = _cost("kSmall"), _cost("kOneJoint")
"""A tile of a small branch, and of a branch of one joint, against one of a big branch of several joints."""
LAST = _cost("kLast")
"""When tiles differ, a part of the cheapest, which come last, that multiprocessors wait for each other on average."""
SELDOM = _cost("kSeldom")
"""A branch of which fewer tiles than this are expected makes no run longer."""
SPLIT_CLIPS, HIGH_TEMPORAL = _cost("kSplitClips"), _cost("kHighTemporal")
"""Clips a multiprocessor up to which the temporal module divides a clip among blocks, and from which on tiles of 128
rows are better than of 64."""
POSE_COST = {32: _cost("kPoseSplit"), 64: _cost("kPose64"), 128: _cost("kPose128")}
"""A wave of a pose branch's blocks, of 32 frames and 16 columns or of tiles. Not measured yet."""
UNSURE = _cost("kUnsure")
"""Samples that are expected to go on to the next level, of a model that escalates."""
POLICY_BLOCKS = dict(zip(POLICY_ROWS, (_cost("kFewPolicyBlocks"), *[_cost("kPolicyBlocks")] * 2), strict=True))
"""Blocks of the policy's kernel that a multiprocessor runs at once, by their rows."""


@dataclass(frozen=True)
class Schedule:
    """A block per frame, or rows of a branch's tile; rows of the temporal module's tile; whole_clips: all of it in one
    launch, with a block per frame."""

    block_per_frame: bool
    branch_rows: int
    temporal_rows: int
    whole_clips: bool = False

    def __str__(self) -> str:
        way = "a block per frame" if self.block_per_frame else f"tiles of {self.branch_rows} rows"
        return f"{'whole clips' if self.whole_clips else way}, temporal {self.temporal_rows}"


@dataclass(frozen=True)
class Run:
    """The kernels of a run, and nodes of its graph that are none. cooperative: launches whose blocks wait for each
    other."""

    launches: Sequence[Launch]
    fills: int
    graph: bool = True
    cooperative: bool = False


def schedules(config: ModelConfig, precision: str, multiprocessors: int) -> Iterator[Schedule]:
    """All that can run the model."""
    if has_whole_clips(config, precision) and clip_blocks(config) <= multiprocessors:
        yield Schedule(True, 32, SPLIT_ROWS, True)
    fit = [rows for rows in temporal_rows(precision) if config.frames + (TAPS - 1) * (rows > SPLIT_ROWS) <= rows]
    for temporal in fit:
        if has_frame_blocks(config):
            yield Schedule(True, 32, temporal)
        for rows in BRANCH_ROWS[precision]:
            yield Schedule(False, rows, temporal)


def choose(
    config: ModelConfig, multiprocessors: int, frames: int, shares: Sequence[float] | None, precision: str
) -> Schedule:
    """What the engine chooses for `frames` frames: choose_schedule of csrc/adasgn/cuda/schedule.cpp.

    shares: of the branches; None: not known, as in a model file that does not say them, or of a dense model.
    """
    if not config.adaptive:
        shares = None
    temporal = chosen_temporal_rows(config, multiprocessors, frames, precision)
    if config.branches[0].pose and not config.adaptive:
        return Schedule(False, pose_rows(multiprocessors, frames, precision), temporal)

    router = ROUTER_COST if config.adaptive else 0
    totals = {
        rows: tiles_cost(config, rows, multiprocessors, frames, shares) + router for rows in BRANCH_ROWS[precision]
    }
    rows = min(totals, key=lambda each: totals[each])
    per_frame = has_frame_blocks(config) and frames_cost(config, multiprocessors, frames, shares) < totals[rows]
    whole = config.adaptive and per_frame and temporal == SPLIT_ROWS and has_whole_clips(config, precision)
    whole = whole and frames / config.frames * clip_blocks(config) <= multiprocessors
    return Schedule(per_frame, 32 if per_frame else rows, temporal, whole)


def has_whole_clips(config: ModelConfig, precision: str) -> bool:
    """Whether clips can run in one launch: has_whole_clips of csrc/adasgn/cuda/schedule.cpp."""
    pose = config.branches[0].pose
    return precision == "f16" and has_frame_blocks(config) and not pose and config.frames <= SPLIT_ROWS


def frames_cost(config: ModelConfig, multiprocessors: int, frames: int, shares: Sequence[float] | None) -> float:
    """What a block per frame takes, in units of a tile of 32 rows of a big branch: the policy in all, then waves of
    those that take another branch than its own, as long as the longest of them."""
    if not config.adaptive:
        return _waves(frames, multiprocessors) * FRAME_COST * _kind(config.branches[0])
    branches = config.branches
    expected = [frames * share for share in shares or [1 / len(branches)] * len(branches)]
    costs = [_kind(branch) for branch, each in zip(branches[1:], expected[1:], strict=True) if each >= SELDOM]
    taken = max(frames - expected[0], 0)
    policy = _waves(frames, multiprocessors) * FRAME_POLICY_COST
    return policy + _waves(taken, multiprocessors) * FRAME_COST * max(costs, default=SMALL * ONE_JOINT)


def _kind(branch: Branch) -> float:
    """What a tile of a branch takes against one of a big branch of several joints."""
    return (1 if branch.size == "big" else SMALL) * (ONE_JOINT if branch.joints == 1 else 1)


def _waves(blocks: float, multiprocessors: int) -> int:
    """Of blocks that are all alike, one on each multiprocessor."""
    return max(1, math.ceil(blocks / multiprocessors))


def choose_level(config: ModelConfig, level: int, multiprocessors: int, frames: int, precision: str) -> Schedule:
    """Of a level of a model that escalates: choose_level of csrc/adasgn/cuda/schedule.cpp."""
    clips = math.ceil(frames / config.frames * (UNSURE if level > 0 else 1))
    chosen = choose(_alone(config, level), multiprocessors, clips * config.frames, None, precision)
    return replace(chosen, whole_clips=False)  # levels follow each other


def _alone(config: ModelConfig, level: int) -> ModelConfig:
    return replace(config, branches=(config.branches[level],), escalates=False)


def pose_rows(multiprocessors: int, frames: int, precision: str) -> int:
    """Of a pose branch: 32 where its columns are divided among blocks."""
    if precision == "f32":
        return 32
    blocks = {rows: math.ceil(frames / rows) * (FEATURE // BLOCK if rows == 32 else 1) for rows in POSE_COST}
    return min(POSE_COST, key=lambda rows: _waves(blocks[rows], multiprocessors) * POSE_COST[rows])


def has_frame_blocks(config: ModelConfig) -> bool:
    """Whether a block can take a frame through policy and branch: where the policy looks at a small branch of one
    joint, or at a pose branch, whose features are there then, or there is none."""
    first = config.branches[0]
    return first.pose or _looks_at_one_joint(config) if config.adaptive else not first.pose


def _looks_at_one_joint(config: ModelConfig) -> bool:
    """Whether the policy's kernel computes what the policy looks at."""
    return config.adaptive and config.branches[0].joints == 1 and config.branches[0].size == "small"


def _first_with_tiles(config: ModelConfig) -> int:
    """Of the policy's own branch the features are there."""
    return int(len(config.branches) > 1)


def _expected_tiles(config: ModelConfig, index: int, rows: int, frames: int, shares: Sequence[float] | None) -> float:
    """Tiles that so many frames are expected to make of a branch: its share of them, and half a tile more, which is
    what is empty of the last one, if there is a frame at all; shares: None, not known."""
    with_tiles = len(config.branches) - _first_with_tiles(config)
    expected = frames * (1 / with_tiles if shares is None else shares[index])
    tiles = expected / (rows // config.branches[index].joints)
    alike = shares is None and with_tiles == 1
    return math.ceil(tiles) if alike else tiles + 0.5 * (1 - math.exp(-expected))


def tiles_cost(
    config: ModelConfig, rows: int, multiprocessors: int, frames: int, shares: Sequence[float] | None
) -> float:
    """What the tiles of so many frames are expected to take, in units of a tile of 32 rows of a big branch: the longest
    tile, or the work of all shared out and the wait for the last to finish; shares: None, not known."""
    first, end = _first_with_tiles(config), len(config.branches)
    if end - first == 1:
        tiles = _expected_tiles(config, first, rows, frames, shares)
        return _waves(tiles, multiprocessors) * TILE_COST[rows] * _kind(config.branches[first])
    work, costs = 0.0, []
    for index in range(first, end):
        tiles = _expected_tiles(config, index, rows, frames, shares)
        cost = TILE_COST[rows] * _kind(config.branches[index])
        work += tiles * cost
        if tiles >= SELDOM:
            costs.append(cost)
    wait = LAST * min(costs, default=0) * (multiprocessors - 1)
    return max(*costs, (work + wait) / multiprocessors, 0)


def policy_rows(multiprocessors: int, frames: int) -> int:
    """Rows of the policy's blocks."""
    for rows in POLICY_ROWS[:-1]:
        if frames <= (rows - 2) * POLICY_BLOCKS[rows] * multiprocessors:
            return rows
    return POLICY_ROWS[-1]


def chosen_temporal_rows(config: ModelConfig, multiprocessors: int, frames: int, precision: str) -> int:
    """Of the temporal module."""
    clips = frames / config.frames
    if config.frames <= SPLIT_ROWS and clips <= max(1, SPLIT_CLIPS * multiprocessors):
        return SPLIT_ROWS
    highest = temporal_rows(precision)[-1]
    fits = config.frames + TAPS - 1 <= 64
    return 64 if fits and clips < HIGH_TEMPORAL * multiprocessors else highest


def chosen_levels(config: ModelConfig, multiprocessors: int, frames: int, precision: str) -> tuple[Schedule, ...]:
    """What the engine chooses for each level of a model that escalates."""
    return tuple(
        choose_level(config, level, multiprocessors, frames, precision) for level in range(len(config.branches))
    )


def launches(
    config: ModelConfig,
    board: Board,
    batch: int,
    precision: str,
    shares: Sequence[float],
    schedule: Schedule,
    counts_at_once: int = COUNTS_AT_ONCE,
) -> Run:
    """One run of `batch` clips as csrc/adasgn/cuda/device_engine.cpp makes it, of a model that does not escalate."""
    frames = batch * config.frames
    if schedule.whole_clips:
        at_once = board.multiprocessors // clip_blocks(config)
        rounds = [min(at_once, batch - first) for first in range(0, batch, at_once)]
        draws = _draws(frames)
        found = [whole_clips(config, board.architecture, clips, shares, draws) for clips in rounds]
        return Run(found, 0, cooperative=True)
    if config.adaptive:
        first = _routed(config, board, frames, precision, shares, schedule, counts_at_once)
    elif config.branches[0].pose:
        first = _pose(config, board, frames, precision, schedule.branch_rows)
    elif schedule.block_per_frame:
        first = [_frame_blocks(config, board, frames, precision, shares)]
    else:
        first = [_tiles(config, board, frames, precision, schedule.branch_rows)]
    return Run([*first, *head(config, board, batch, precision, schedule.temporal_rows)], 0)


def _routed(
    config: ModelConfig,
    board: Board,
    frames: int,
    precision: str,
    shares: Sequence[float],
    schedule: Schedule,
    counts_at_once: int,
) -> list[Launch]:
    """Policy and branches. What the policy looks at is made in float, by a pose branch always divided among blocks."""
    if _looks_at_one_joint(config):
        features: list[Launch] = []  # by the policy's own kernel
    elif config.branches[0].pose:
        features = _pose(config, board, frames, "f32", SPLIT_ROWS)
    else:
        features = [_tiles(config, board, frames, "f32", BRANCH_ROWS["f32"][0])]
    if schedule.block_per_frame:
        return [*features, _frame_blocks(config, board, frames, precision, shares)]
    router = (_route if features else _policy)(config, board, frames)
    tile = branch_kernel_tile(board.architecture, precision, schedule.branch_rows)
    random = np.random.default_rng(0)
    draws = [
        _sorted_tiles(config, tile, random.multinomial(frames, shares).tolist(), counts_at_once)
        for _ in range(_draws(frames))
    ]
    resident = _resident_tiles(board, precision, schedule.branch_rows)
    return [*features, router, Launch("branch_tiles", draws, resident, board.starts_early)]


def _tiles(config: ModelConfig, board: Board, frames: int, precision: str, rows: int) -> Launch:
    """All frames in the first branch."""
    tile = branch_kernel_tile(board.architecture, precision, rows)
    tiles = tiles_of(config.branches[0], frames, tile, config.joints)
    return Launch("branch_tiles", [tiles], _resident_tiles(board, precision, rows))


def levels(
    config: ModelConfig,
    board: Board,
    batch: int,
    precision: str,
    going_on: float = 0,
    forced: Schedule | None = None,
) -> Run:
    """A run of a model that escalates. going_on: of the clips at a level, the share that goes on to the next one;
    forced: the schedule of all levels; each has the engine's choice otherwise.

    Every level is launched as for all clips: blocks beyond those that are listed for it read how many there are.
    """
    chosen = chosen_levels(config, board.multiprocessors, batch * config.frames, precision)
    if forced is not None:
        chosen = (forced,) * len(chosen)
    found: list[Launch] = []
    for level, schedule in enumerate(chosen):
        whole = _level(config, level, board, batch, precision, schedule)
        if level > 0:
            counts = reached(batch, going_on**level, _draws(batch * config.frames))
            parts = {n: _level(config, level, board, n, precision, schedule) for n in {*counts} - {0}}
            whole = [
                replace(
                    all_blocks,
                    draws=[_listed(parts[n][i].draws[0] if n else (), len(all_blocks.draws[0])) for n in counts],
                    early=all_blocks.early or (i == 0 and board.starts_early),
                )
                for i, all_blocks in enumerate(whole)
            ]
        found += whole
    return Run(found, 0)


def reached(batch: int, share: float, draws: int) -> list[int]:
    """How many of `batch` clips reach a level that each reaches with probability `share`: so many draws at even
    distances of the binomial distribution, whose mean is close to batch · share."""
    if share in (0, 1):
        return [int(batch * share)] * draws
    total, found, n = 0.0, [], -1
    for i in range(draws):
        while total < (i + 0.5) / draws and n < batch:
            n += 1
            ways = math.lgamma(batch + 1) - math.lgamma(n + 1) - math.lgamma(batch - n + 1)
            total += math.exp(ways + n * math.log(share) + (batch - n) * math.log1p(-share))
        found.append(n)
    return found


def _listed(work: Sequence[Block], blocks: int) -> list[Block]:
    """A kernel of a level whose first blocks have work; equal ones stay one object."""
    return _searched(work, listed_block()) + [surplus_block()] * (blocks - len(work))


def _level(
    config: ModelConfig, level: int, board: Board, clips: int, precision: str, schedule: Schedule
) -> list[Launch]:
    """The launches of a level on so many clips."""
    run = list(launches(_alone(config, level), board, clips, precision, (), schedule).launches)
    if schedule.temporal_rows == SPLIT_ROWS:  # the last block of a clip settles it, too
        last = run[-1].draws[0]
        run[-1] = replace(run[-1], draws=[[*last[:-clips], *[last[-1] + settle_block()] * clips]])
        return run
    resident = _resident_small(board, "settle_samples")
    samples = [settle_block(min(WARPS, clips))] * math.ceil(clips / WARPS)
    return [*run, Launch("settle_samples", [samples], resident, board.starts_early)]


def _pose(config: ModelConfig, board: Board, frames: int, precision: str, rows: int) -> list[Launch]:
    joints, architecture = config.joints, board.architecture
    if rows != SPLIT_ROWS:
        registers = instructions.code(architecture, instructions.pose_kernel(precision, rows)).registers
        resident = board.resident(THREADS, registers, tile_bytes(rows, precision))
        tiles = [pose_tile(architecture, precision, rows, joints)] * math.ceil(frames / rows)
        return [Launch("pose_tiles", [tiles], resident)]
    found = []
    for kernel, early in (("hidden_split", False), ("output_split", True)):
        registers = instructions.code(architecture, f"{kernel}<{precision}>").registers
        resident = board.resident(THREADS, registers, split_bytes(precision))
        blocks = math.ceil(frames / SPLIT_ROWS) * (FEATURE // BLOCK)
        block = pose_split_block(kernel, architecture, precision, joints)
        found.append(Launch(kernel, [[block] * blocks], resident, early and board.starts_early))
    return found


def _policy(config: ModelConfig, board: Board, frames: int) -> Launch:
    rows = policy_rows(board.multiprocessors, frames)
    block = policy_block(rows, len(config.branches), config.joints)
    registers = instructions.code(board.architecture, f"policy_frames<{rows}>").registers
    resident = board.resident(THREADS, registers, policy_bytes(rows))
    return Launch(f"policy_frames<{rows}>", [[block] * math.ceil(frames / (rows - 2))], resident)


def _route(config: ModelConfig, board: Board, frames: int) -> Launch:
    block = route_block(len(config.branches), NEIGHBOURS)
    return Launch("route_frames", [[block] * math.ceil(frames / ROUTED)], _resident_small(board, "route_frames"))


def streaming(config: ModelConfig, board: Board, tracks: int, precision: str) -> Run:
    """One new frame of each of `tracks` tracks through a causal model of a pose branch alone (kernels/causal.cu)."""
    assert config.causal is not None
    rows = causal_rows(precision, tracks)
    registers = instructions.code(board.architecture, causal_kernel(precision, rows)).registers
    resident = board.resident(THREADS, registers, causal_bytes(precision, rows))
    blocks = FEATURE // BLOCK  # of a group
    most = board.multiprocessors * resident // blocks * rows  # tracks of a launch
    found = []
    for first in range(0, tracks, most):
        groups: list[Block] = []
        for begin in range(first, min(first + most, tracks), rows):
            size = min(rows, tracks - begin)
            shape = (precision, rows, config.joints, len(config.causal.dilations), config.classes, size)
            groups += [causal_block(board.architecture, *shape)] * blocks
        found.append(Launch("causal_step", [groups], resident))
    return Run(found, 0, graph=False, cooperative=True)


def head(config: ModelConfig, board: Board, clips: int, precision: str, rows: int) -> list[Launch]:
    """kernels/temporal.cu: where a board can, each kernel starts beside the one before it."""
    if rows == SPLIT_ROWS:
        return _split_head(config, board, clips, precision)
    warps, columns, _ = TEMPORAL_SHAPES[precision, rows]
    found = []
    stride, after = config.stride, config.temporal_frames
    for kernel, width, clip_rows in (
        ("across_frames", FEATURE, stride * result_rows(after, stride)),
        ("widen_and_pool", TEMPORAL, after),
    ):
        size = rows // clip_rows
        block = temporal_block(kernel, board.architecture, precision, rows, min(size, clips), after, stride)
        name = instructions.temporal_kernel(kernel, precision, rows, stride)
        registers = instructions.code(board.architecture, name).registers
        resident = board.resident(warps * LANES, registers, temporal_bytes(rows, precision))
        count = math.ceil(clips / size) * (width // (warps * columns * 16))
        found.append(Launch(kernel, [[block] * count], resident, board.starts_early))
    classes = math.ceil(config.classes / WARPS)
    resident = _resident_small(board, "classify_samples")
    blocks = [classify_block(config.classes)] * (clips * classes)
    return [*found, Launch("classify_samples", [blocks], resident, board.starts_early)]


def _split_head(config: ModelConfig, board: Board, clips: int, precision: str) -> list[Launch]:
    """A clip and 16 columns a block; the last of a clip's blocks classifies it."""
    found = []
    for kernel, width in (("across_split", FEATURE), ("widen_split", TEMPORAL)):
        rows = config.temporal_frames
        name = split_kernel(kernel, precision, config.stride, rows)
        registers = instructions.code(board.architecture, name).registers
        resident = board.resident(THREADS, registers, split_bytes(precision))
        shape = (kernel, board.architecture, precision, config.stride, rows)
        blocks = [split_block(*shape)] * (clips * width // BLOCK)
        if kernel == "widen_split":
            blocks[-clips:] = [split_block(*shape, config.classes)] * clips
        found.append(Launch(kernel, [blocks], resident, board.starts_early))
    return found


def _sorted_tiles(config: ModelConfig, tile: Tile, counts: Sequence[int], at_once: int) -> list[Block]:
    """Of the frames that the router has sorted: the dearest branch first, then the blocks that find no tile, as there
    are blocks for the worst case; branch 0 has its features already."""
    blocks: list[Block] = []
    branches = config.branches
    for action in range(len(branches) - 1, 0, -1):
        found = tiles_of(branches[action], counts[action], tile, config.joints, listed=True)
        blocks += _searched(found, find_tile(len(branches) - action, at_once))
    worst = max(math.ceil(sum(counts) / (tile.rows // branch.joints)) for branch in branches) + len(branches) - 1
    nowhere = math.ceil(len(branches) / at_once) * at_once  # what is fetched together is looked at together
    return blocks + [find_tile(nowhere, at_once)] * (worst - len(blocks))


def _searched(tiles: Sequence[Block], search: Block) -> list[Block]:
    """Blocks with the search for what is theirs before it; equal ones stay one object."""
    kinds = {id(block): search + block for block in tiles}
    return [kinds[id(block)] for block in tiles]


def _frame_blocks(
    config: ModelConfig,
    board: Board,
    frames: int,
    precision: str,
    shares: Sequence[float],
) -> Launch:
    draws, random = [], np.random.default_rng(0)
    for _ in range(_draws(frames) if config.adaptive else 1):
        actions = random.choice(len(shares), frames, p=shares).tolist() if config.adaptive else [None] * frames
        draws.append([frame_block(config, action, NEIGHBOURS, board.architecture, precision) for action in actions])
    registers = instructions.code(board.architecture, instructions.frame_kernel(precision)).registers
    behind = config.adaptive and config.branches[0].pose  # the kernels of what the policy looks at
    resident = board.resident(THREADS, registers, frame_bytes(precision))
    return Launch("frame_blocks", draws, resident, behind and board.starts_early)


def _resident_tiles(board: Board, precision: str, rows: int) -> int:
    registers = instructions.code(board.architecture, instructions.branch_kernel(precision, rows)).registers
    return board.resident(THREADS, registers, tile_bytes(rows, precision))


def _resident_small(board: Board, kernel: str) -> int:
    """Of a kernel that needs hardly any shared memory."""
    return board.resident(THREADS, instructions.code(board.architecture, kernel).registers, 0)


def _draws(frames: int) -> int:
    """Routings drawn from the shares: of many frames the counts hardly vary."""
    return max(3, min(50, 4000 // frames))
