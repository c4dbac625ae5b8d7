"""The shapes of the kernels, as their sources state them."""

from __future__ import annotations

from bench.predict.kernel_source import shapes, whole

LAUNCH, TILE = "kernels/launch.h", "kernels/tile.h"

BLOCK, WARPS, LANES = whole(LAUNCH, "kBlock"), whole(LAUNCH, "kWarps"), 32
THREADS = WARPS * LANES
POLICY_ROWS = tuple(whole(LAUNCH, name) for name in ("kFewPolicyRows", "kMorePolicyRows", "kManyPolicyRows"))
NEIGHBOURS = 3
"""Frames that the policy's convolution sees."""
ROUTED = whole(LAUNCH, "kRoutedFrames")
"""Frames of a block of route_frames."""
SPLIT_ROWS = whole(LAUNCH, "kSplitFrames")
"""A block of kernels/split.h has up to so many frames, in the temporal module of a clip, and 16 columns."""
POSE_INPUTS = whole(LAUNCH, "kPoseInputs")
CAUSAL_ROWS = whole(LAUNCH, "kCausalRows")
"""Tracks of the smallest group of kernels/causal.cu."""
STAGED = whole("kernels/frame_coordinates.h", "kStaged")
COUNTS_AT_ONCE = whole("kernels/branch_tiles.cu", "kAtOnce")
"""Branches whose counts of frames a block of tiles fetches together."""
MAX_BRANCHES = whole("csrc/adasgn/constants.h", "kMaxBranches")
PACKED_JOINTS = whole(LAUNCH, "kMaxBranchJoints")

BRANCH_ROWS = {"f16": (32, 64, 128), "f32": (32,)}
"""Rows of the tiles of kernels/branch_tiles.cu."""
FRAME_ROWS = (16, 32)
"""Of a block per frame: up to 16 joints, and more."""
SLOTS = {tile: slots for tile, (slots,) in shapes(TILE, "Tile").items()}
"""Blocks of weights that a warp has on their way, by precision and rows: in registers in f16, in a ring in shared
memory in f32."""

TEMPORAL_SHAPES = {
    tile: (warps, blocks, slots)
    for tile, (slots, warps, blocks) in shapes("kernels/temporal.cu", "TemporalTile").items()
}
"""By precision and rows: warps, blocks of 16 columns a warp, slots."""

TRANSFORM_AHEAD = 8
"""Joints whose weights the transform has under way together where a tile has several frames (kernels/branch.h)."""
BLOCKS_AHEAD = 4
"""Blocks of results whose constants are loaded together after a product."""


def temporal_rows(precision: str) -> tuple[int, ...]:
    """Rows of the temporal module's tiles; 32: a block for a clip and 16 columns."""
    return (SPLIT_ROWS, *(rows for kind, rows in TEMPORAL_SHAPES if kind == precision))


def split_tiles(rows: int) -> int:
    """Of 16 rows, that a block of 16 columns multiplies."""
    return 1 if rows <= BLOCK else SPLIT_ROWS // BLOCK


def result_rows(temporal_frames: int, stride: int) -> int:
    """Rows of results that a clip takes in a tile of the temporal module's convolution."""
    return temporal_frames + 2 // stride


def element(precision: str) -> int:
    """Bytes of a weight or activation."""
    return 4 if precision == "f32" else 2


def block_bytes(precision: str) -> int:
    """Of 16 x 16 packed weights."""
    return BLOCK * BLOCK * element(precision)


def stride(width: int, precision: str) -> int:
    """Bytes from one row of activations to the next."""
    return width * element(precision) + 16


def ring_bytes(slots: int, precision: str) -> int:
    """Shared memory of a warp's weights on their way."""
    return slots * block_bytes(precision) if precision == "f32" else 0


def tile_bytes(rows: int, precision: str) -> int:
    """Shared memory of a branch's tile."""
    widths = stride(256, precision) + 2 * stride(128, precision) + stride(PACKED_JOINTS, precision)
    return rows * widths + WARPS * ring_bytes(SLOTS[precision, rows], precision)


def one_joint_bytes(rows: int) -> int:
    """Shared memory of kernels/one_joint.h."""
    return 4 * rows * (2 * 64 + 4 * 64 + 64 + 256 + 6)


def frame_bytes(precision: str) -> int:
    """Shared memory of a block per frame: its highest tile or the policy's, a logit for each branch."""
    return max(tile_bytes(FRAME_ROWS[1], precision), one_joint_bytes(3)) + 4 * MAX_BRANCHES


def policy_bytes(rows: int) -> int:
    """Shared memory of a block of policy_frames."""
    return one_joint_bytes(rows) + 4 * (rows + MAX_BRANCHES)


def temporal_bytes(rows: int, precision: str) -> int:
    """Shared memory of a tile of the temporal module."""
    warps, _, slots = TEMPORAL_SHAPES[precision, rows]
    return (rows + 2) * stride(256, precision) + warps * ring_bytes(slots, precision) + 8 * rows


def split_bytes(precision: str, rows: int = SPLIT_ROWS) -> int:
    """Shared memory of a block of so many rows and 16 columns: each warp's channels of all rows, and its sums."""
    return WARPS * (rows + 2) * stride(256 // WARPS, precision) + WARPS * rows * (BLOCK + 2) * 4


def causal_rows(precision: str, tracks: int) -> int:
    """Tracks of a group of kernels/causal.cu, where there are so many in all."""
    return CAUSAL_ROWS if precision == "f32" or tracks <= CAUSAL_ROWS else SPLIT_ROWS


def causal_bytes(precision: str, rows: int) -> int:
    """Shared memory of its block: also a slot and a frame's number of each track."""
    return split_bytes(precision, rows) + 8 * rows
