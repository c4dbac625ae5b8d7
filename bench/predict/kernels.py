"""What a block of each kernel does, phase by phase: one function a kernel, following the sources in kernels/."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from adasgn_edge.model.config import (
    COORDINATES,
    EMBEDDING,
    FEATURE,
    NODE,
    POSE_HIDDEN,
    TAPS,
    TEMPORAL,
    Branch,
    ModelConfig,
)
from bench.predict import instructions
from bench.predict.costs import Block, Phase
from bench.predict.geometry import (
    BLOCK,
    BLOCKS_AHEAD,
    COUNTS_AT_ONCE,
    FRAME_ROWS,
    LANES,
    PACKED_JOINTS,
    POSE_INPUTS,
    SLOTS,
    SPLIT_ROWS,
    STAGED,
    TEMPORAL_SHAPES,
    THREADS,
    TRANSFORM_AHEAD,
    WARPS,
    block_bytes,
    element,
    split_tiles,
)

__all__ = [
    "Tile", "branch_kernel_tile", "branch_of_frame", "branch_tile", "causal_block", "causal_kernel", "classify_block",
    "find_tile", "frame_block", "listed_block", "policy_block", "pose_inputs", "pose_split_block", "pose_tile",
    "route_block", "settle_block", "split_block", "split_kernel", "surplus_block", "temporal_block", "tiles_of",
]  # fmt: skip


BRANCH_START, POLICY_START = 450, 250
"""Instructions of a warp around what is counted: addresses, first loads. What ncu found on an H100 beyond the rest."""
LOGIT = 110
"""Instructions of a warp for a frame's logit of one action."""


@dataclass(frozen=True)
class Tile:
    """Where products are compiled: sm_87 …, the kernel, the tile's rows and precision, and how many blocks of weights
    are on their way."""

    architecture: str
    kernel: str
    rows: int
    precision: str
    slots: int  # blocks of weights, of a warp

    @property
    def tiles(self) -> int:
        """Of 16 rows."""
        return self.rows // BLOCK


def branch_kernel_tile(architecture: str, precision: str, rows: int) -> Tile:
    """A tile of branch_tiles.cu."""
    return Tile(architecture, instructions.branch_kernel(precision, rows), rows, precision, SLOTS[precision, rows])


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
        shared = warps * steps * left
    under_way = tile.slots - (tile.precision == "f32")  # a ring has one block in use
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
        trips=fetched / (warps * under_way * block_bytes(tile.precision)),
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


def _stage(frames: int, input_joints: int) -> Phase:
    """Coordinates of frames to shared memory (kernels/frame_coordinates.h), two values of a thread at a time."""
    rounds = math.ceil(frames * input_joints * COORDINATES / THREADS)
    return Phase(
        WARPS,
        instructions=60 + 45 * rounds,
        share=min(1, frames * input_joints * COORDINATES / THREADS / rounds),
        loads=1 + math.ceil(rounds / 2),
        shared=frames * input_joints * COORDINATES * 2 * 4,
        barriers=1,
    )


def _pool(tile: Tile, joints: int, frames: int, listed: bool) -> Phase:
    """Maxima over each frame's rows: half a warp a frame."""
    rounds = math.ceil(frames / 2)
    return Phase(
        WARPS,
        instructions=rounds * (joints * 8 + 20),
        loads=rounds if listed else 0,
        shared=tile.rows * FEATURE * element(tile.precision),
    )


@cache
def branch_tile(branch: Branch, tile: Tile, frames: int, input_joints: int, listed: bool = False) -> Block:
    """One tile of a branch (kernels/branch.h) holding `frames` frames; listed: the router's list says which."""
    joints, big, several = branch.joints, branch.size == "big", branch.joints > 1
    one = tile.kernel.startswith("frame_blocks")  # all weights of the transform are on their way before coordinates are
    staged = Phase(WARPS, instructions=BRANCH_START) + _stage(frames, input_joints)
    rounds = math.ceil(2 * COORDINATES * tile.rows / THREADS)
    batches = math.ceil(input_joints / STAGED) if one else math.ceil(input_joints / TRANSFORM_AHEAD)
    transform = Phase(
        WARPS,
        instructions=rounds * (40 + (100 if one else 0) + 4 * input_joints),
        share=min(1, 2 * COORDINATES * tile.rows / THREADS),
        loads=rounds * (0 if one else 1 + batches),
        shared=rounds * THREADS * input_joints * 4,
        barriers=1,
    )
    hidden = Phase(
        WARPS,
        instructions=20 + tile.rows / WARPS * 30,
        shared=2 * tile.rows * EMBEDDING * element(tile.precision),
        barriers=1,
    )
    half = _half_product(tile)
    phases = [staged, transform, hidden, replace(half + half, barriers=1)]
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


FIND, FIND_BRANCH = 85, 59
"""Instructions of a warp that looks for its block's tile, and of each branch on the way (two divisions), by the listing
of branch_tiles."""


@cache
def find_tile(branches: int, at_once: int = COUNTS_AT_ONCE) -> Block:
    """What a block of branch_tiles.cu does to find its tile in one of so many branches, or that there is none for it:
    it fetches the counts of some branches together, then looks at one after another."""
    return Block((Phase(WARPS, instructions=FIND + FIND_BRANCH * branches, loads=math.ceil(branches / at_once)),))


def one_joint(rows: int, input_joints: int) -> tuple[Phase, ...]:
    """Features of a small branch of one joint, of `rows` frames (kernels/one_joint.h): a thread has a column of each
    product, a half of the inputs of an output layer. With up to four rows all weights are on their way from the start,
    else 16 at a time."""
    ahead = rows <= 4
    half = EMBEDDING // 2
    staged = Phase(WARPS, instructions=POLICY_START) + _stage(rows, input_joints)
    sums = math.ceil(rows * 2 * COORDINATES / LANES)
    moved = Phase(WARPS, instructions=20 + sums * 70, loads=1 + sums, barriers=1)
    hidden = Phase(WARPS, instructions=math.ceil(rows / 2) * 16, barriers=1)

    def product(inputs: int) -> Phase:
        return Phase(
            WARPS,
            instructions=inputs + rows * (inputs + inputs / 4 + 6),
            exact=rows * (inputs + inputs / 4),
            loads=0 if ahead else inputs / 16,
            ordinary=float(THREADS * inputs * rows),
            weights=THREADS * inputs * 4,
            shared=rows * inputs * 4 * WARPS + rows * THREADS * 4,
            barriers=1,
        )

    added = Phase(WARPS, instructions=math.ceil(rows / 4) * 20, barriers=1)
    return staged, moved, hidden, product(half), added, product(EMBEDDING)


@cache
def policy_block(rows: int, branches: int, input_joints: int) -> Block:
    """kernels/route.cu, policy_frames: features of `rows` frames, actions and lists of all but two."""
    frames = rows - 2
    rounds = math.ceil(branches / WARPS)
    logits = Phase(
        WARPS,
        instructions=rounds * (60 + rows * 8 + frames * (3 * FEATURE / LANES + 14)),
        share=branches / WARPS / rounds,
        loads=rounds,
        shared=rounds * branches * rows * FEATURE * 4,
        barriers=1,
    )
    put = Phase(WARPS, instructions=40, share=1 / WARPS, barriers=1)
    phases = (*one_joint(rows, input_joints), logits, put, _list_frames(branches))
    static = sum(phase.instructions for phase in phases)
    return Block(phases, ((f"policy_frames<{rows}>", 16 * static),))


def _looked_at(features: int) -> Phase:
    """Features that the policy looks at, of so many frames, on their way from device memory to a warp's registers."""
    return Phase(WARPS, instructions=POLICY_START, loads=1, weights=WARPS * features * FEATURE * 4)


@cache
def route_block(branches: int, neighbours: int) -> Block:
    """kernels/route.cu, route_frames: actions and lists of a frame a warp, whose features are there."""
    logits = Phase(
        WARPS,
        instructions=branches * LOGIT,
        loads=branches,  # an action's weights after another's
        weights=WARPS * branches * neighbours * FEATURE * 4,
        barriers=1,
    )
    phases = (_looked_at(neighbours), logits, _list_frames(branches))
    return Block(phases, (("route_frames", 16 * sum(phase.instructions for phase in phases)),))


def _list_frames(branches: int) -> Phase:
    """A block's frames to the lists of their branches, by one warp."""
    return Phase(WARPS, instructions=60 + 12 * branches, share=1 / WARPS, loads=2)


@cache
def frame_block(config: ModelConfig, action: int | None, neighbours: int, architecture: str, precision: str) -> Block:
    """A block that takes one frame through policy and branch (kernels/branch_frames.cu).

    action None: dense, no policy; neighbours: frames that the policy's convolution sees, this one among them.
    """
    kernel = instructions.frame_kernel(precision)
    work = Block(())
    if action is not None:
        candidates = math.ceil(len(config.branches) / WARPS)
        logits = Phase(
            WARPS,
            instructions=40 + candidates * LOGIT,
            share=len(config.branches) / WARPS / candidates,
            loads=candidates - 1,  # the first weights set out with the features'
            barriers=1,
        )
        there = config.branches[0].pose  # a kernel before this one has made the features
        phases = (_looked_at(neighbours),) if there else one_joint(neighbours, config.joints)
        static = sum(phase.instructions for phase in (*phases, logits))
        work = Block((*phases, logits), ((f"{kernel} policy", 16 * static),))
        if action == 0:
            return work
    return work + branch_of_frame(config.branches[action or 0], config.joints, architecture, precision)


def branch_of_frame(branch: Branch, input_joints: int, architecture: str, precision: str) -> Block:
    """One frame through a branch (kernels/frame_block.h)."""
    rows = FRAME_ROWS[0] if branch.joints <= FRAME_ROWS[0] else FRAME_ROWS[1]
    tile = Tile(architecture, instructions.frame_kernel(precision), rows, precision, SLOTS[precision, rows])
    return branch_tile(branch, tile, 1, input_joints)


@cache
def temporal_block(
    kernel: str, architecture: str, precision: str, rows: int, clips: int, frames: int, stride: int
) -> Block:
    """A tile of the temporal module (kernels/temporal.cu); kernel: across_frames or widen_and_pool, which has clips of
    `frames` rows."""
    warps, blocks, slots = TEMPORAL_SHAPES[precision, rows]
    tile = Tile(architecture, instructions.temporal_kernel(kernel, precision, rows, stride), rows, precision, slots)
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
    product = _product(tile, tile.tiles // (stride if across else 1), depth, blocks, warps)
    phases = [load, product]
    if not across:
        phases[1] = replace(product, barriers=1)
        rounds = math.ceil(clips / (LANES / (blocks * BLOCK / 2)))
        phases.append(Phase(warps, instructions=rounds * (frames * 6 + 20), shared=rows * warps * blocks * BLOCK * 2))
    return Block(tuple(phases), ((tile.kernel, 16 * instructions.code(architecture, tile.kernel).instructions / 2),))


def _divided_product(
    issued: tuple[float, float], precision: str, steps: int, tiles: int, rows: int, read: float
) -> Phase:
    """A product of `tiles` x 16 rows and 16 columns, its inputs divided among the warps, `steps` x 16 each, without
    what is waited for. issued: instructions, and those of them in products of f32; rows: what shared memory holds;
    read: bytes of rows that come from other blocks."""
    multiplied = float(WARPS * steps * tiles * BLOCK**3)
    return Phase(
        WARPS,
        instructions=issued[0],
        exact=issued[1],
        steps=steps,
        tensor=multiplied if precision == "f16" else 0,
        ordinary=multiplied if precision == "f32" else 0,
        weights=WARPS * steps * block_bytes(precision) + read,
        shared=rows * FEATURE * element(precision)
        + WARPS * steps * tiles * BLOCK * BLOCK * element(precision)
        + 2 * WARPS * tiles * BLOCK * BLOCK * 4,
    )


def _split_phase(kernel: str, architecture: str, precision: str, steps: int, tiles: int, read: float) -> Phase:
    """Such a product of a kernel of its own."""
    issued = instructions.split(architecture, kernel, steps)
    phase = _divided_product(issued, precision, steps, tiles, SPLIT_ROWS, read)
    return replace(phase, loads=2, barriers=1)  # weights; rows


def split_kernel(kernel: str, precision: str, stride: int, rows: int) -> str:
    """The readable name of across_split, or of widen_split of clips of so many rows."""
    return f"{kernel}<{precision}, {stride if kernel == 'across_split' else split_tiles(rows)}>"


@cache
def split_block(
    kernel: str, architecture: str, precision: str, stride: int = 1, rows: int = SPLIT_ROWS, classes: int = 0
) -> Block:
    """A clip and 16 columns (kernels/temporal.cu): across_split, or widen_split; rows: of the clip, after the
    convolution. With classes, the block of a sample that is the last to finish and classifies it."""
    name = split_kernel(kernel, precision, stride, rows)
    if kernel == "across_split":
        read = SPLIT_ROWS * FEATURE * 4
        phases = [_split_phase(name, architecture, precision, 6, SPLIT_ROWS // BLOCK // stride, read)]
    else:
        tiles = split_tiles(rows)
        read = tiles * BLOCK * FEATURE * element(precision)
        phases = [_split_phase(name, architecture, precision, 2, tiles, read)]
        phases.append(Phase(WARPS, loads=2, barriers=2))  # what is pooled is seen, then counted
    if classes:
        rounds = math.ceil(classes / WARPS)
        phases.append(
            Phase(
                WARPS,
                instructions=40 + rounds * 60,
                share=classes / WARPS / rounds,
                loads=2 + max(0, rounds - 2),  # pooled, bias; of the first classes the weights are there
                weights=classes * TEMPORAL * 4 * 2,
            )
        )
    return Block(tuple(phases), ((name, 16 * phases[0].instructions),))


def causal_kernel(precision: str, rows: int) -> str:
    """The readable name."""
    return f"causal_step<{precision}, {rows // BLOCK}>"


@cache
def causal_block(
    architecture: str, precision: str, rows: int, joints: int, layers: int, classes: int, tracks: int
) -> Block:
    """16 columns of every product, for a group of up to `rows` tracks (kernels/causal.cu), all blocks at once.

    Of a layer a warp waits for the past's rows, the flag of the blocks that make its channels, and the rows that they
    made, one after another. What is multiplied before the flag was seen is in the chain as well, since all
    blocks are at the same layer.
    """
    name, tiles = causal_kernel(precision, rows), rows // BLOCK
    parts = instructions.causal(architecture, name)

    def product(part: str, steps: int, loads: float, flags: float, barriers: int, read: float) -> Phase:
        phase = _divided_product(parts[part], precision, steps, tiles, rows, read)
        return replace(phase, loads=loads, flags=flags, barriers=barriers)

    row = tracks * FEATURE * element(precision)
    passes = math.ceil(pose_inputs(joints) / FEATURE)
    rounds = math.ceil(tracks * classes / (WARPS * FEATURE // BLOCK))
    phases = [
        Phase(WARPS, instructions=parts["start"][0], loads=1, barriers=1),  # tracks
        product("hidden", 2 * passes, passes * tiles, 0, 2, _read_coordinates(tracks, joints)),
        product("feature", 2, 1, 1, 2, row),
        *[product("layer", 2 * TAPS, 2, 1, 2, TAPS * row)] * layers,
        product("widen", 2 * TEMPORAL // FEATURE, 1, 1, 4, row),
        Phase(
            WARPS,
            instructions=parts["classify"][0] * (1 + rounds) / 2,
            loads=2 * rounds,  # pooled and weights, bias
            flags=1,
            weights=rounds * WARPS * TEMPORAL * 4 * 2,
            barriers=1,
        ),
    ]
    return Block(tuple(phases), ((name, 16 * instructions.code(architecture, name).instructions),))


def pose_inputs(joints: int) -> int:
    """Positions and velocities, filled up."""
    return -(-2 * joints * COORDINATES // POSE_INPUTS) * POSE_INPUTS


def _read_coordinates(frames: int, joints: int) -> float:
    """Bytes: positions, and for velocities a frame and the one before it."""
    return frames * 3 * joints * COORDINATES * 4.0


@cache
def pose_split_block(kernel: str, architecture: str, precision: str, joints: int) -> Block:
    """32 frames and 16 columns (kernels/pose.cu): hidden_split or output_split."""
    name = f"{kernel}<{precision}>"
    tiles = SPLIT_ROWS // BLOCK
    if kernel == "output_split":
        phase = _split_phase(name, architecture, precision, 2, tiles, SPLIT_ROWS * POSE_HIDDEN * element(precision))
    else:
        rounds = math.ceil(pose_inputs(joints) / FEATURE)
        read = _read_coordinates(SPLIT_ROWS, joints)
        phase = replace(_split_phase(name, architecture, precision, 2 * rounds, tiles, read), loads=1 + rounds)
    return Block((phase,), ((name, 16 * phase.instructions),))


@cache
def pose_tile(architecture: str, precision: str, rows: int, joints: int) -> Block:
    """A tile of pose_tiles: inputs, in parts of 32 of 16 frames for a warp, and both layers."""
    inputs = pose_inputs(joints)
    name = instructions.pose_kernel(precision, rows)
    tile = Tile(architecture, name, rows, precision, SLOTS[precision, rows])
    passes = math.ceil(inputs / FEATURE)
    rounds = passes * math.ceil(min(inputs, FEATURE) / LANES * rows / BLOCK / WARPS)
    staged = Phase(
        WARPS,
        instructions=150 + rounds * BLOCK * 20,
        loads=rounds,
        weights=_read_coordinates(rows, joints),
        shared=rows * inputs * element(precision),
        barriers=2 * passes - 1,
    )
    hidden = replace(_product(tile, tile.tiles, inputs, 2, WARPS), barriers=1)
    output = _product(tile, tile.tiles, POSE_HIDDEN, 2, WARPS)
    of = instructions.code(architecture, name)
    return Block((staged, hidden, output), ((name, 16 * of.instructions),))


@cache
def surplus_block() -> Block:
    """A block of a level of a model that escalates, when nothing is listed for it: it reads how many there are."""
    return Block((Phase(WARPS, instructions=60, loads=1),))


@cache
def listed_block() -> Block:
    """What comes before the work of a block that has some: it reads how many there are, then which are its own."""
    return surplus_block() + Block((Phase(WARPS, instructions=10, loads=1),))


SETTLE = 280
"""Instructions of a warp that settles a sample of up to 32 classes, by the listing of settle_samples: no loop's second
round, no slow path of a division."""


@cache
def settle_block(warps: int = 1) -> Block:
    """Whether samples go on, a warp a sample (kernels/temporal.cu: settle): the threshold, scores, the mean of the
    levels."""
    phase = Phase(WARPS, instructions=SETTLE, share=warps / WARPS, loads=3, barriers=1)
    return Block((phase,), (("settle", 16.0 * SETTLE),))


@cache
def classify_block(classes: int) -> Block:
    """A warp per class: one dot product of 512."""
    return Block(
        (
            Phase(
                WARPS,
                instructions=85,
                share=min(1, classes / WARPS),
                loads=3,  # weights, pooled, bias
                weights=min(WARPS, classes) * TEMPORAL * 4 * 2,
            ),
        ),
        (("classify_samples", 16 * 130),),
    )
