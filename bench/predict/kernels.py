"""What a block of each kernel does, phase by phase: one function a kernel, following the sources in kernels/."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from adasgn_edge.model.config import COORDINATES, EMBEDDING, FEATURE, NODE, TAPS, TEMPORAL, Branch, ModelConfig
from bench.predict import instructions
from bench.predict.costs import Block, Phase
from bench.predict.geometry import (
    BLOCK,
    BLOCKS_AHEAD,
    FRAME_ROWS,
    LANES,
    PACKED_JOINTS,
    POLICY_FRAMES,
    RING,
    TEMPORAL_SHAPES,
    THREADS,
    TRANSFORM_AHEAD,
    WARPS,
    block_bytes,
    element,
)

__all__ = ["Tile", "branch_tile", "classify_block", "frame_block", "route_block", "temporal_block", "tiles_of"]


@dataclass(frozen=True)
class Tile:
    """Where products are compiled: sm_87 …, the kernel, and the tile's rows and precision and its warps' rings."""

    architecture: str
    kernel: str
    rows: int
    precision: str
    ring: int  # blocks of weights

    @property
    def tiles(self) -> int:
        """Of 16 rows."""
        return self.rows // BLOCK


def branch_kernel_tile(architecture: str, precision: str, rows: int) -> Tile:
    """A tile of branch_tiles.cu."""
    return Tile(architecture, instructions.branch_kernel(precision, rows), rows, precision, RING[precision, rows])


def _product(tile: Tile, tiles: int, depth: int, blocks: int, warps: int, share: float = 1) -> Phase:
    """`tiles` x 16 rows x depth times depth x (blocks x 16 columns of each warp), and what follows for its results.

    share: of the warps whose rows exist; the others multiply as well, but keep nothing.
    """
    steps = depth // BLOCK
    count = tiles * blocks
    step = instructions.step(tile.architecture, tile.kernel, tiles, blocks, tile.precision)
    after = instructions.result_block(tile.architecture, tile.precision) * count
    multiplied = float(warps * steps * count * BLOCK**3)
    fetched = float(warps * steps * blocks * block_bytes(tile.precision))
    left = tiles * BLOCK * BLOCK * element(tile.precision)
    if tile.precision == "f32":  # four rows of inputs at a time, for each block anew; a read is at least 128 bytes
        read = 256 * 4 * blocks * (2 * tiles + 4)
        shared = warps * steps * read + fetched
    else:
        shared = warps * steps * left + 2 * fetched
    stored = share * warps * count * BLOCK * BLOCK * element(tile.precision)
    return Phase(
        warps,
        instructions=steps * step + after,
        exact=steps * step if tile.precision == "f32" else 0,
        steps=steps,
        loads=max(1, count / BLOCKS_AHEAD),
        tensor=0 if tile.precision == "f32" else multiplied,
        ordinary=multiplied if tile.precision == "f32" else 0,
        weights=fetched,
        trips=fetched / (warps * (tile.ring - 1) * block_bytes(tile.precision)),
        shared=shared + stored,
    )


def _half_product(tile: Tile) -> Phase:
    """64 columns by four warps, the rows in two halves; each half reads the weights."""
    return _product(tile, (tile.tiles + 1) // 2, EMBEDDING, 1, WARPS, share=min(1, tile.tiles / 2))


def _adjacency(tile: Tile, joints: int, frames: int) -> Phase:
    """A warp per 16 rows of a frame: queries times D, D times u, softmax."""
    units = frames * math.ceil(joints / BLOCK)
    rounds = math.ceil(units / WARPS)
    each = instructions.adjacency(tile.architecture, tile.kernel, tile.precision)
    multiplied = float(units * 2 * BLOCK * PACKED_JOINTS * EMBEDDING)
    inputs = EMBEDDING // BLOCK if tile.precision == "f16" else EMBEDDING // 4
    return Phase(
        WARPS,
        instructions=rounds * each,
        exact=rounds * each if tile.precision == "f32" else 0,
        share=units / (rounds * WARPS),
        steps=rounds * 2 * inputs,
        loads=rounds * 2,  # u, c
        tensor=multiplied if tile.precision == "f16" else 0,
        ordinary=multiplied if tile.precision == "f32" else 0,
        weights=units * PACKED_JOINTS * EMBEDDING * element(tile.precision),
        shared=units * 4 * BLOCK * EMBEDDING * element(tile.precision) * 2,
    )


def _mix(tile: Tile, joints: int, frames: int, width: int) -> Phase:
    """Sums over neighbours, frame by frame, each warp's columns."""
    blocks, joint_tiles = width // WARPS // BLOCK, math.ceil(joints / BLOCK)
    multiplied = float(frames * (joint_tiles * BLOCK) ** 2 * width)
    each = instructions.mix(tile.architecture, blocks, joint_tiles, tile.precision)
    beyond = (tile.rows - frames * joints) * width / WARPS / 2 / LANES * 8  # rows that become zeros
    moved = joint_tiles * BLOCK * (joint_tiles * BLOCK * WARPS + 2 * width) * element(tile.precision)
    return Phase(
        WARPS,
        instructions=frames * each + beyond,
        exact=frames * each if tile.precision == "f32" else 0,
        steps=frames * joint_tiles * (1 if tile.precision == "f16" else BLOCK / 4),
        tensor=multiplied if tile.precision == "f16" else 0,
        ordinary=multiplied if tile.precision == "f32" else 0,
        shared=frames * moved,
    )


def _pool(tile: Tile, joints: int, frames: int, listed: bool) -> Phase:
    """Maxima over each frame's rows: half a warp a frame."""
    rounds = math.ceil(frames / 2)
    return Phase(
        WARPS,
        instructions=rounds * (joints * 6 + 20),
        loads=rounds if listed else 0,
        shared=tile.rows * FEATURE * element(tile.precision),
    )


@cache
def branch_tile(branch: Branch, tile: Tile, frames: int, input_joints: int, listed: bool = False) -> Block:
    """One tile of a branch (kernels/branch.h) holding `frames` frames; listed: the router's list says which."""
    joints, big, several = branch.joints, branch.size == "big", branch.joints > 1
    rounds = math.ceil(2 * COORDINATES * tile.rows / THREADS)
    passes = 1 if tile.rows % LANES == 0 else 2  # a warp with positions and velocities takes both ways
    ahead, alone = divmod(input_joints, TRANSFORM_AHEAD)
    transform = Phase(
        WARPS,
        instructions=60 + rounds * (130 + passes * 23 * input_joints),
        share=min(1, 2 * COORDINATES * tile.rows / THREADS),
        loads=rounds * (2 + listed + passes * (ahead + alone)),
        barriers=1,
    )
    hidden = Phase(
        WARPS,
        instructions=2 * (20 + tile.rows / WARPS * 15),
        loads=2,
        shared=2 * tile.rows * EMBEDDING * element(tile.precision),
        barriers=1,
    )
    half = _half_product(tile)
    phases = [transform, hidden, replace(half + half, barriers=1)]
    layers = [(EMBEDDING, NODE if big else FEATURE)] + ([(NODE, FEATURE), (FEATURE, FEATURE)] if big else [])
    for index, (depth, width) in enumerate(layers):
        product = _product(tile, tile.tiles, depth, width // WARPS // BLOCK, WARPS)
        if several and index == 0:
            phases.append(replace(half, barriers=1))
            phases.append(replace(_adjacency(tile, joints, frames) + product, barriers=1))
            phases.append(_mix(tile, joints, frames, width))
        elif several:
            phases.append(replace(_mix(tile, joints, frames, depth), barriers=1))
            product = product + replace(product, instructions=product.instructions - _after(tile, width), loads=0)
        last = index == len(layers) - 1
        phases.append(replace(product, barriers=1 if not last or (big and several) else 0))
    if several:
        phases.append(_pool(tile, joints, frames, listed))
    static = sum(phase.instructions for phase in phases if phase.steps == 0)
    loops = len(layers) * 2 * 60 + 600 * several
    return Block(tuple(phases), ((f"{tile.kernel} {branch}", 16 * (static / 2 + loops + _straight(tile, layers))),))


def _after(tile: Tile, width: int) -> float:
    return instructions.result_block(tile.architecture, tile.precision) * tile.tiles * width / WARPS / BLOCK


def _straight(tile: Tile, layers: list[tuple[int, int]]) -> float:
    """Instructions after products, each of which runs once."""
    return sum(_after(tile, width) for _, width in layers) + 2 * _after(tile, 2 * EMBEDDING)


def tiles_of(branch: Branch, count: int, tile: Tile, input_joints: int, listed: bool = False) -> list[Block]:
    """All tiles of a branch that `count` frames take."""
    size = tile.rows // branch.joints
    whole, rest = divmod(count, size)
    found = [branch_tile(branch, tile, size, input_joints, listed)] * whole if whole else []
    return [*found, branch_tile(branch, tile, rest, input_joints, listed)] if rest else found


@cache
def find_tile(branches: int) -> Block:
    """What a block of branch_tiles.cu does to find its tile, or that there is none for it: it reads the counts of that
    many branches one after another."""
    return Block((Phase(WARPS, instructions=30 + 20 * branches, loads=branches),))


@cache
def frame_block(config: ModelConfig, action: int | None, neighbours: int, architecture: str, precision: str) -> Block:
    """A block that takes one frame through policy and branch (kernels/branch_frames.cu).

    action None: dense, no policy; neighbours: frames that the policy's convolution sees, this one among them.
    """
    policy = config.branches[0]
    kernel = instructions.frame_kernel(precision, policy.joints if action is not None else 1)
    work = Block(())
    if action is not None:
        rows = 16 if policy.joints == 1 else 32
        tile = Tile(architecture, kernel, rows, "f32", RING["f32", rows])
        for block in tiles_of(policy, neighbours, tile, config.joints):
            work += block
            work += Block((Phase(WARPS, barriers=1),))
        candidates = math.ceil(len(config.branches) / WARPS)
        logits = Phase(
            WARPS,
            instructions=60 + candidates * 180,
            share=len(config.branches) / WARPS / candidates,
            loads=1 + candidates * 2,
            barriers=1,
        )
        work += Block((logits,), ((f"{kernel} logits", 16 * 250),))
        if action == 0:
            return work
    branch = config.branches[action or 0]
    rows = FRAME_ROWS[0] if branch.joints <= FRAME_ROWS[0] else FRAME_ROWS[1]
    tile = Tile(architecture, kernel, rows, precision, RING[precision, rows])
    return work + branch_tile(branch, tile, 1, config.joints)


@cache
def route_block(branches: int) -> Block:
    """kernels/route.cu: a warp per frame, then the block's lists."""
    frames = POLICY_FRAMES // WARPS
    decide = Phase(WARPS, instructions=60 + frames * (60 + 90 * branches), loads=frames * (1 + branches), barriers=1)
    rank = Phase(WARPS, instructions=60 + 12 * branches, share=1 / WARPS, loads=2)
    return Block((decide, rank), (("route_frames", 16 * 500),))


@cache
def temporal_block(kernel: str, architecture: str, precision: str, rows: int, clips: int, frames: int) -> Block:
    """A tile of the temporal module (kernels/temporal.cu); kernel: across_frames or widen_and_pool."""
    warps, blocks, ring = TEMPORAL_SHAPES[precision, rows]
    tile = Tile(architecture, instructions.temporal_kernel(kernel, precision, rows), rows, precision, ring)
    across = kernel == "across_frames"
    each = 4 * 4 if across else 16  # bytes that a thread reads at once
    bytes_ = (rows + 2) * FEATURE * 4 if across else rows * FEATURE * element(precision)
    rounds = math.ceil(bytes_ / each / (warps * LANES))
    load = Phase(
        warps,
        instructions=85 + rounds * (50 if across else 20),
        loads=rounds / 4 + (1 if across else 0),
        weights=bytes_,
        shared=rows * FEATURE * element(precision),
        barriers=1,
    )
    depth = TAPS * FEATURE if across else FEATURE
    product = _product(tile, tile.tiles, depth, blocks, warps)
    phases = [load, product]
    if not across:
        phases[1] = replace(product, barriers=1)
        rounds = math.ceil(clips / (LANES / (blocks * BLOCK / 2)))
        phases.append(Phase(warps, instructions=rounds * (frames * 6 + 20), shared=rows * warps * blocks * BLOCK * 2))
    return Block(tuple(phases), ((tile.kernel, 16 * instructions.code(architecture, tile.kernel).instructions / 2),))


@cache
def classify_block(classes: int) -> Block:
    """A warp per class: one dot product of 512."""
    return Block(
        (
            Phase(
                WARPS,
                instructions=110,
                share=min(1, classes / WARPS),
                loads=3,  # weights, pooled, bias
                weights=min(WARPS, classes) * TEMPORAL * 4 * 2,
            ),
        ),
        (("classify_samples", 16 * 130),),
    )
