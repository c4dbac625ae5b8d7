"""Latency of the CUDA engine on a board that is not at hand: `python -m bench.predict --board orin-nano --batch 1`.

Counts, from the kernels' own tile geometry, what every launch of a run multiplies, reads from the second-level cache,
issues and waits for, and turns the counts into a low and a high estimate (docs/performance.md explains the model).
Symbols: N frames, V_i joints of a branch, T frames of a clip, K classes, A branches.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np

from adasgn_edge.errors import AdaSGNError
from adasgn_edge.model.config import COORDINATES, EMBEDDING, FEATURE, NODE, TAPS, TEMPORAL, Branch, ModelConfig
from adasgn_edge.model_file import read_model_file

BLOCK, WARPS, THREADS = 16, 8, 256  # kernels/launch.h: kBlock, kWarps, kThreads
POLICY_FRAMES = 8  # kernels/launch.h: kPolicyFrames
FRAMES_PER_MULTIPROCESSOR = 2  # csrc/adasgn/cuda/device_engine.cpp: kFramesPerMultiprocessor
SHREC = ModelConfig(joints=22, classes=14, joint_sets=(1, 11, 22))
SHREC_MIX = (0.121, 0.158, 0.380, 0.310, 0.017, 0.014)  # docs/results.md, adasgn-a1 on the test set
DRAWS = 50  # routings drawn from the mix


@dataclass(frozen=True)
class Board:
    """SMs, clock in GHz, DRAM in GB/s, second-level cache in MB, as NVIDIA's data sheets have them."""

    multiprocessors: int
    clock: float
    dram: float
    cache: float


BOARDS = {
    "orin-nano": Board(8, 0.625, 68, 2),
    "orin-nano-super": Board(8, 1.020, 102, 2),
    "orin-nx": Board(8, 0.918, 102, 2),
    "orin-nx-super": Board(8, 1.173, 102, 2),
    "agx-orin": Board(16, 1.300, 205, 4),
}


@dataclass(frozen=True)
class Assumptions:
    """What the counts cost. Per multiprocessor and clock unless said otherwise."""

    tensor: float  # multiply-adds
    ordinary: float
    cache_bytes: float
    issue: float  # warp instructions
    overlap: bool  # arithmetic, issue and the cache's bytes at the same time; else one after the other
    barrier: float  # clocks
    step: float  # clocks that a product's 16 inputs take at least, for their loads are waited for
    code: float  # bytes of instructions fetched the first time; 0: they are there
    node: float  # microseconds from one graph node to the next
    launch: float  # microseconds from the host's call to the first node, and from the last node to the host
    weights_from_dram: bool


LOW = Assumptions(1024, 128, 64, 4, True, 20, 30, 0, 1.0, 8, False)
HIGH = Assumptions(512, 128, 24, 2.5, False, 100, 90, 16, 3.0, 25, True)


@dataclass(frozen=True)
class Work:
    """Of one thread block; multiply-adds as the hardware runs them, padding included."""

    tensor: float = 0  # multiply-adds on tensor cores
    ordinary: float = 0  # and on the ordinary units
    cache_bytes: float = 0
    instructions: float = 0  # of all its warps
    barriers: int = 0
    steps: int = 0  # of 16 inputs, one after another
    code_bytes: float = 0

    def __add__(self, other: Work) -> Work:
        """One after the other."""
        return Work(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(Work)))

    def clocks(self, by: Assumptions) -> float:
        """On a multiprocessor of its own."""
        parts = (
            self.tensor / by.tensor,
            self.ordinary / by.ordinary,
            self.instructions / by.issue,
            self.cache_bytes / by.cache_bytes,
        )
        busy = max(parts) if by.overlap else sum(parts)
        waiting = self.barriers * by.barrier + self.steps * by.step
        return max(busy, waiting) if by.overlap else busy + waiting + (self.code_bytes / by.code if by.code else 0)


@dataclass(frozen=True)
class Stage:
    """A launch: for each routing that was drawn, its blocks in the order of launch."""

    name: str
    draws: list[list[Work]]

    def mean(self, value: str) -> float:
        """Of a count, over the draws."""
        return float(np.mean([sum(float(getattr(work, value)) for work in blocks) for blocks in self.draws]))

    def microseconds(self, board: Board, by: Assumptions) -> float:
        """Blocks go to whichever multiprocessor is free first."""
        known = {id(work): work.clocks(by) for blocks in self.draws for work in blocks}
        ends = []
        for blocks in self.draws:
            free = [0.0] * board.multiprocessors
            for work in blocks:
                heapq.heapreplace(free, free[0] + known[id(work)])
            ends.append(max(free))
        return float(np.mean(ends)) / (board.clock * 1e3) + by.node


def element(exact: bool) -> int:
    """Bytes of a weight or activation."""
    return 4 if exact else 2


def multiplied(count: float, exact: bool) -> Work:
    """Multiply-adds on the units of the precision."""
    return Work(ordinary=count) if exact else Work(tensor=count)


def product(rows: int, depth: int, columns: int, warps: int, exact: bool) -> Work:
    """rows x depth times depth x columns, the columns divided among the warps; weights pass through once.

    Instructions of a step are those of the compiled loops for sm_87: 25 around each block of weights, and the
    multiplications and loads; four for each result after it (bias, ReLU, conversion, store).
    """
    tiles, blocks, steps = rows // BLOCK, columns // BLOCK / warps, depth // BLOCK
    inner = (128 * tiles + 60) * blocks if exact else tiles + (2 * tiles + 25) * blocks
    results = tiles * blocks * 8
    return multiplied(rows * depth * columns, exact) + Work(
        cache_bytes=depth * columns * element(exact),
        instructions=warps * (steps * inner + 4 * results),
        steps=math.ceil(steps * blocks),
        code_bytes=16 * (inner + 4 * results),
    )


def half_product(rows: int, exact: bool) -> Work:
    """64 columns by four warps, the rows in two halves; each half reads the weights."""
    half = product((rows // BLOCK + 1) // 2 * BLOCK, EMBEDDING, EMBEDDING, WARPS // 2, exact)
    other = replace(half, steps=0, code_bytes=0)  # at the same time, by the same code
    return half + other


@cache
def branch_tile(branch: Branch, rows: int, frames: int, input_joints: int, exact: bool) -> Work:
    """One tile of a branch (kernels/branch.h) holding `frames` frames."""
    joints, big, several = branch.joints, branch.size == "big", branch.joints > 1
    values = 2 * COORDINATES * rows
    transform = Work(
        cache_bytes=4 * (6 * input_joints * joints + frames * 2 * input_joints * COORDINATES),
        instructions=WARPS * math.ceil(values / THREADS) * input_joints * 6 + WARPS * 2 * rows / WARPS * 12,
        barriers=3,  # moved, hidden layers, d
        code_bytes=16 * 850,
    )
    work = transform + half_product(rows, exact) + half_product(rows, exact)
    layers = [(EMBEDDING, NODE if big else FEATURE)] + ([(NODE, FEATURE), (FEATURE, FEATURE)] if big else [])
    if several:
        tiles = 1 if joints <= BLOCK else 2
        units = frames * math.ceil(joints / BLOCK)
        rounds = math.ceil(units / WARPS)  # a warp per 16 rows of a frame
        logits = 2 * BLOCK * 2 * BLOCK * EMBEDDING  # with packed u and with d, both 32 columns
        adjacency = multiplied(units * logits, exact) + Work(
            cache_bytes=4 * joints * joints + 2 * BLOCK * EMBEDDING * element(exact),
            instructions=units * (1500 if exact else 600),
            barriers=2,  # queries; adjacency and messages
            steps=rounds * 2 * EMBEDDING // BLOCK,
            code_bytes=16 * (900 if exact else 600),
        )
        work += half_product(rows, exact) + adjacency
        for index, (depth, columns) in enumerate(layers):
            work += product(rows, depth, columns, WARPS, exact)
            width = columns if index == 0 else depth
            blocks = width // BLOCK // WARPS
            mixed = multiplied(frames * (tiles * BLOCK) ** 2 * width, exact) + Work(
                instructions=WARPS * frames * (60 + (400 if exact else 40) * tiles * blocks),
                barriers=0 if index == 0 else 1,
                steps=frames * tiles,
                code_bytes=16 * (60 + (400 if exact else 40) * tiles * blocks),
            )
            work += mixed
        work += Work(instructions=WARPS * math.ceil(frames / 2) * joints * 6, barriers=1 if big else 0)  # maxima
    for depth, columns in layers:
        work += product(rows, depth, columns, WARPS, exact)
    biases = 4 * ((joints if several else 1) * layers[0][1] * 2 + joints * EMBEDDING)
    return work + Work(cache_bytes=biases, barriers=2 if big else 0)  # x1, x2


def tiles_of(branch: Branch, count: int, rows: int, input_joints: int, exact: bool) -> list[Work]:
    """All tiles of a branch that `count` frames take."""
    size = rows // branch.joints
    return [branch_tile(branch, rows, min(size, count - first), input_joints, exact) for first in range(0, count, size)]


@cache
def frame_block(config: ModelConfig, action: int | None, neighbours: int, exact: bool) -> Work:
    """A block that takes one frame through policy and branch; action None: dense, no policy."""
    work = Work()
    if action is not None:
        policy = config.branches[0]
        rows = 16 if policy.joints == 1 else 32
        for tile in tiles_of(policy, neighbours, rows, config.joints, True):
            work += tile
        logits = 4 * TAPS * FEATURE * len(config.branches)
        work += Work(cache_bytes=logits, instructions=400 * len(config.branches), barriers=2)
        if action == 0:
            return work
    branch = config.branches[action or 0]
    rows = 16 if branch.joints <= 16 else 32
    return work + branch_tile(branch, rows, 1, config.joints, exact)


def temporal_stages(config: ModelConfig, board: Board, batch: int, exact: bool) -> list[Stage]:
    """kernels/temporal.cu."""
    rows_of_clip = config.frames + TAPS - 1
    highest = 64 if exact else 128
    many = batch >= highest // rows_of_clip * board.multiprocessors
    rows = highest if many or rows_of_clip > 32 else 32
    columns, warps = (64, 4) if rows == 32 else (256, 8)
    stages = []
    for name, depth, width, clip_rows in (
        ("across_frames", TAPS * FEATURE, FEATURE, rows_of_clip),
        ("widen_and_pool", FEATURE, TEMPORAL, config.frames),
    ):
        blocks = math.ceil(batch / (rows // clip_rows)) * width // columns
        loads = Work(cache_bytes=rows * FEATURE * 4, instructions=warps * rows * 8, barriers=1)
        one = product(rows, depth, columns, warps, exact) + loads
        stages.append(Stage(name, [[one] * blocks]))
    classes = math.ceil(config.classes / WARPS)
    dot = Work(
        ordinary=WARPS * TEMPORAL,
        cache_bytes=WARPS * TEMPORAL * 4 * 2,
        instructions=WARPS * 60,
        steps=8,
        code_bytes=16 * 120,
    )
    return [*stages, Stage("classify_samples", [[dot] * (batch * classes)])]


def stages_of(
    config: ModelConfig, board: Board, batch: int, exact: bool, mix: tuple[float, ...]
) -> tuple[list[Stage], int]:
    """The launches of one run as csrc/adasgn/cuda/device_engine.cpp makes them, and how many are not kernels."""
    frames = batch * config.frames
    random = np.random.default_rng(0)
    most_joints = max(branch.joints for branch in config.branches)
    highest = 32 if exact else 128
    many = frames >= highest // most_joints * board.multiprocessors
    rows = highest if many else 32
    others = 0
    if frames <= FRAMES_PER_MULTIPROCESSOR * board.multiprocessors:
        draws = []
        for _ in range(DRAWS if config.adaptive else 1):
            actions = random.choice(len(mix), frames, p=mix).tolist() if config.adaptive else [None] * frames
            draws.append([frame_block(config, action, 3, exact) for action in actions])
        first = [Stage("frame_blocks", draws)]
    elif config.adaptive:
        policy = tiles_of(config.branches[0], frames, 32, config.joints, True)  # exact tiles are 32 rows high
        route = Work(
            ordinary=POLICY_FRAMES * TAPS * FEATURE * len(mix),
            cache_bytes=POLICY_FRAMES * FEATURE * 4 + 4 * TAPS * FEATURE * len(mix),
            instructions=POLICY_FRAMES * (60 * len(mix) + 60),
            barriers=1,
            steps=POLICY_FRAMES // WARPS * len(mix),
            code_bytes=16 * 400,
        )
        draws = []
        for _ in range(DRAWS):
            counts = random.multinomial(frames, mix).tolist()
            blocks: list[Work] = []
            for action in range(len(mix) - 1, 0, -1):  # the dearest first; action 0 has its features
                blocks += tiles_of(config.branches[action], counts[action], rows, config.joints, exact)
            draws.append(blocks)
        first = [
            Stage("branch_tiles, policy", [policy]),
            Stage("route_frames", [[route] * math.ceil(frames / POLICY_FRAMES)]),
            Stage("branch_tiles", draws),
        ]
        others = 1  # the lists' counts are set to zero
    else:
        first = [Stage("branch_tiles", [tiles_of(config.branches[0], frames, rows, config.joints, exact)])]
        others = 1  # actions are set to zero
    return first + temporal_stages(config, board, batch, exact), others


def weight_bytes(config: ModelConfig, exact: bool) -> float:
    """Of all branches and the temporal module, once."""
    total = 0.0
    for index, branch in enumerate(config.branches):
        exact_branch = exact or (config.adaptive and index == 0)
        total += branch_tile(branch, 32, 1, config.joints, exact_branch).cache_bytes
    return total + element(exact) * (TAPS * FEATURE * FEATURE + FEATURE * TEMPORAL) + 4 * TEMPORAL * config.classes


@dataclass(frozen=True)
class Prediction:
    """Microseconds (low, high): on the device from the first node to the last; and from array to result."""

    stages: list[Stage]
    each: list[tuple[float, float]]
    nodes: int
    device: tuple[float, float]
    end_to_end: tuple[float, float]


COPIES = 4  # clips up; actions, scores and checks down (csrc/adasgn/cuda/engine.cpp)


def predict(config: ModelConfig, board: Board, batch: int, exact: bool, mix: tuple[float, ...]) -> Prediction:
    """One run of `batch` clips by a captured graph."""
    stages, others = stages_of(config, board, batch, exact, mix)
    each = [(stage.microseconds(board, LOW), stage.microseconds(board, HIGH)) for stage in stages]
    copied = 4 * batch * (config.frames * (config.joints * COORDINATES + 1) + config.classes)
    device, end_to_end = [], []
    for column, by in enumerate((LOW, HIGH)):
        total = sum(pair[column] for pair in each) + others * by.node
        if by.weights_from_dram:
            total += weight_bytes(config, exact) / (board.dram * 1e3)
        device.append(total)
        end_to_end.append(total + by.launch + COPIES * by.node + copied / (board.dram * 1e3) * 2)
    low, high = device
    return Prediction(stages, each, len(stages) + others, (low, high), (end_to_end[0], end_to_end[1]))


def stage_table(prediction: Prediction) -> Iterable[str]:
    """Markdown: what was counted, and the microseconds it takes."""
    counted = (("tensor", 1e6, 2), ("ordinary", 1e6, 2), ("cache_bytes", 1e3, 0), ("instructions", 1e3, 0))
    yield "| launch | blocks | tensor M MACs | ordinary M MACs | cache KB | k instructions | barriers | low | high |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for stage, (low, high) in zip(prediction.stages, prediction.each, strict=True):
        blocks = float(np.mean([len(draw) for draw in stage.draws]))
        barriers = max((work.barriers for draw in stage.draws for work in draw), default=0)
        cells = [f"{stage.mean(name) / unit:.{digits}f}" for name, unit, digits in counted]
        yield f"| {stage.name} | {blocks:.1f} | {' | '.join(cells)} | {barriers} | {low:.1f} | {high:.1f} |"


def summary_table(batches: list[int]) -> Iterable[str]:
    """Markdown: every board, dense and adaptive, both precisions, SHREC's model and mix."""
    dense = ModelConfig.dense(SHREC.joints, SHREC.classes)
    yield "| board | batch | precision | dense, µs | adaptive, µs | array to result, adaptive, µs |"
    yield "|---|---|---|---|---|---|"
    for name, board in BOARDS.items():
        for batch in batches:
            for precision in ("f16", "f32"):
                exact = precision == "f32"
                one = predict(dense, board, batch, exact, ())
                other = predict(SHREC, board, batch, exact, SHREC_MIX)
                cells = [f"{low:.0f} … {high:.0f}" for low, high in (one.device, other.device, other.end_to_end)]
                yield f"| {name} | {batch} | {precision} | {' | '.join(cells)} |"


def read_mix(text: str, branches: int) -> tuple[float, ...]:
    """Shares of the branches, in percent or fractions, made to add up to one."""
    try:
        shares = [float(part) for part in text.replace("/", ",").split(",")]
    except ValueError:
        raise SystemExit(f"predict: --mix: expected {branches} numbers, found {text!r}") from None
    if len(shares) != branches or min(shares) < 0 or sum(shares) <= 0:
        raise SystemExit(f"predict: --mix: expected {branches} shares, none below zero, found {text!r}")
    return tuple(share / sum(shares) for share in shares)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.predict", description="Predicted latency of the CUDA engine")
    parser.add_argument("--board", choices=sorted(BOARDS), help="default: a summary of all boards")
    parser.add_argument("--batch", type=int, action="append", help="clips of a run (default 1 and 64)")
    parser.add_argument("--precision", choices=("f16", "f32"), default="f16")
    parser.add_argument("--model", type=Path, help="an .adasgn file (default: the shape of SHREC's AdaSGN)")
    parser.add_argument("--mix", help="share of frames of each branch, such as 12.1/15.8/38/31/1.7/1.4")
    parser.add_argument("--dense", action="store_true", help="dense SGN on the model's joints")
    options = parser.parse_args(arguments)
    batches = options.batch or [1, 64]
    if min(batches) < 1:
        raise SystemExit(f"predict: --batch: expected at least 1, found {min(batches)}")
    if options.board is None:
        print("\n".join(summary_table(batches)))
        return 0
    try:
        config = SHREC if options.model is None else read_model_file(options.model).folded.config
    except (AdaSGNError, OSError) as error:
        raise SystemExit(f"predict: {error}") from None
    if options.dense:
        config = ModelConfig.dense(config.joints, config.classes, config.frames)
    branches = len(config.branches)
    if options.mix is None and config.adaptive and branches != len(SHREC_MIX):
        raise SystemExit(f"predict: --mix: expected the shares of the model's {branches} branches, found none")
    mix = read_mix(options.mix, branches) if options.mix else read_mix(",".join(map(str, SHREC_MIX)), len(SHREC_MIX))
    for batch in batches:
        prediction = predict(config, BOARDS[options.board], batch, options.precision == "f32", mix)
        print(f"\n{options.board}, {batch} clips, {options.precision}, {', '.join(config.branch_names)}\n")
        print("\n".join(stage_table(prediction)))
        for name, (low, high) in (("device", prediction.device), ("array to result", prediction.end_to_end)):
            print(f"\n{name}: {low:.0f} … {high:.0f} µs", end="")
        print(f"\n{prediction.nodes} graph nodes and {COPIES} copies")
    return 0


if __name__ == "__main__":
    sys.exit(main())
