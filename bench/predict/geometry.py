"""The shapes of the kernels, which tests/bench/test_predict.py compares with the sources."""

from __future__ import annotations

BLOCK, WARPS, LANES = 16, 8, 32  # kernels/launch.h: kBlock, kWarps
THREADS = WARPS * LANES
POLICY_FRAMES = 8  # kernels/launch.h: kPolicyFrames
PACKED_JOINTS = 32  # kernels/launch.h: kMaxBranchJoints

BRANCH_ROWS = {"f16": (32, 64, 128), "f32": (32,)}
"""Rows of the tiles of kernels/branch_tiles.cu."""
FRAME_ROWS = (16, 32)
"""Of a block per frame: up to 16 joints, and more."""
RING = {("f16", 16): 8, ("f16", 32): 8, ("f16", 64): 4, ("f16", 128): 4, ("f32", 16): 3, ("f32", 32): 3}
"""Blocks of weights in a warp's ring, by precision and rows (kernels/tile.h)."""

TEMPORAL_SHAPES = {  # kernels/temporal.cu, by precision and rows: warps, blocks of 16 columns a warp, ring
    ("f16", 32): (4, 1, 8),
    ("f16", 64): (8, 2, 4),
    ("f16", 128): (8, 2, 4),
    ("f32", 32): (4, 1, 3),
    ("f32", 64): (8, 2, 3),
}

TRANSFORM_AHEAD = 4
"""Joints whose loads the compiled loop of the transform has under way together."""
BLOCKS_AHEAD = 4
"""Blocks of results whose constants are loaded together after a product."""


def temporal_rows(precision: str) -> tuple[int, ...]:
    """Rows of the temporal module's tiles."""
    return tuple(rows for kind, rows in TEMPORAL_SHAPES if kind == precision)


def element(precision: str) -> int:
    """Bytes of a weight or activation."""
    return 4 if precision == "f32" else 2


def block_bytes(precision: str) -> int:
    """Of 16 x 16 packed weights."""
    return BLOCK * BLOCK * element(precision)


def stride(width: int, precision: str) -> int:
    """Bytes from one row of activations to the next."""
    return width * element(precision) + 16


def tile_bytes(rows: int, precision: str) -> int:
    """Shared memory of a branch's tile."""
    widths = stride(256, precision) + 2 * stride(128, precision) + stride(PACKED_JOINTS, precision)
    return rows * widths + WARPS * RING[precision, rows] * block_bytes(precision)


def frame_bytes(precision: str, policy_joints: int) -> int:
    """Shared memory of a block per frame: its highest tile, three features, a logit for each branch."""
    policy = tile_bytes(16 if policy_joints == 1 else 32, "f32")
    return max(tile_bytes(FRAME_ROWS[1], precision), policy) + 4 * 3 * 256 + 4 * 32


def temporal_bytes(rows: int, precision: str) -> int:
    """Shared memory of a tile of the temporal module."""
    warps, _, ring = TEMPORAL_SHAPES[precision, rows]
    return (rows + 2) * stride(256, precision) + warps * ring * block_bytes(precision) + 8 * rows
