"""Instructions of the kernels' parts, read off the machine code that `python -m bench.kernel_report --counts` counted.

Loops of products are found by what they hold; what follows products is the slope over the heights of tiles: the same
source, with more rows, has so many more instructions outside of its loops.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bench.kernel_report.compiler import ToolError
from bench.kernel_report.machine_code import Code, Loop, read
from bench.predict.geometry import BLOCK, TEMPORAL_SHAPES

__all__ = ["adjacency", "branch_kernel", "code", "frame_kernel", "mix", "result_block", "step", "temporal_kernel"]

FILE = Path(__file__).with_name("machine_code.json")
RESULT_BLOCKS = 22
"""Blocks of 16 x 16 results, for each 16 rows of a tile and warp, after all products of the four kinds of branch: one
joint small 1/2 + 1/2 + 2, big 1/2 + 1/2 + 1 + 2 + 2; several joints small 3/2 + 2 + 2, big 3/2 + 1 + 1 + 2 + 2."""


@cache
def _all() -> dict[str, dict[str, Code]]:
    return read(FILE)


def code(architecture: str, kernel: str) -> Code:
    """Of a kernel by its readable name."""
    kernels = _all()[architecture]
    if kernel not in kernels:
        raise ToolError(f"{FILE.name}: expected {kernel}, found {', '.join(sorted(kernels))}")
    return kernels[kernel]


def branch_kernel(precision: str, rows: int) -> str:
    """The readable name (bench/kernel_report/names.py)."""
    return f"branch_tiles<{precision}, {rows} rows>"


def frame_kernel(precision: str, policy_joints: int) -> str:
    """The readable name."""
    return f"frame_blocks<{precision}, 16 or 32 rows; policy {16 if policy_joints == 1 else 32} rows>"


def temporal_kernel(kernel: str, precision: str, rows: int) -> str:
    """The readable name; kernel: across_frames or widen_and_pool."""
    warps, blocks, _ = TEMPORAL_SHAPES[precision, rows]
    return f"{kernel}<{precision}, {rows} rows x {warps * blocks * BLOCK} columns>"


@cache
def step(architecture: str, kernel: str, tiles: int, blocks: int, precision: str) -> float:
    """Of 16 inputs of a product: `tiles` x 16 rows by `blocks` x 16 columns of one warp."""
    found = []
    for loop in code(architecture, kernel).loops:
        if times := _steps(loop, tiles, blocks, precision):
            found.append(loop.instructions / times)
    if not found:
        raise ToolError(
            f"{FILE.name}: {architecture}: {kernel}: expected a loop of a product of {16 * tiles} rows by "
            f"{16 * blocks} columns, found none"
        )
    return sum(found) / len(found)


def _steps(loop: Loop, tiles: int, blocks: int, precision: str) -> int:
    """How many steps a pass through the loop is; 0: it is no such product."""
    kind, each, fetched = ("HMMA", 2, 1) if precision == "f16" else ("FFMA", 128, 2)
    times, rest = divmod(loop[kind], each * tiles * blocks)
    weights = loop["LDGSTS"] or loop["LDG.128"]
    left = loop["LDSM"] == tiles * times if precision == "f16" else loop["HMMA"] == 0
    return times if times and not rest and left and weights == fetched * blocks * times else 0


@cache
def adjacency(architecture: str, kernel: str, precision: str) -> float:
    """Of one unit: 16 rows of a frame's adjacency."""
    loops = code(architecture, kernel).loops
    if precision == "f16":
        found = [loop.instructions for loop in loops if loop["HMMA"] == 32 and loop["MUFU"]]
        if found:
            return sum(found) / len(found)
    else:  # two loops of 64 inputs, then the softmax, of which there is one in each kind of branch
        products = [loop for loop in loops if loop["FFMA"] == 64]
        if products:
            return 64 / 4 * 2 * sum(loop.instructions for loop in products) / len(products) + SOFTMAX
    raise ToolError(f"{FILE.name}: {architecture}: {kernel}: expected the loop of the adjacency, found none")


SOFTMAX = 250
"""Of an adjacency's unit in f32, after its products; in f16 they are one loop."""


@cache
def mix(architecture: str, blocks: int, joint_tiles: int, precision: str) -> float:
    """Of one frame's sums over neighbours, `blocks` x 16 columns of one warp, in whichever kernel."""
    kernel = branch_kernel(precision, 32)  # a block per frame has no loop over frames to be found by
    loops = code(architecture, kernel).loops
    if precision == "f16":  # both cases of a frame's joints in one loop, of which a frame takes one
        most = 10 * blocks
        found = [loop for loop in loops if loop["HMMA"] == most and not loop["LDGSTS"] and not loop["MUFU"]]
        scale = {1: 0.55, 2: 0.75}[joint_tiles]
    else:
        multiplied = 32 * joint_tiles * blocks  # a pass of one input
        found = [
            loop
            for loop in loops
            if loop["FFMA"] and loop["FFMA"] % multiplied == 0 and not loop["LDGSTS"] and not loop["LDG.128"]
            and loop["FFMA"] == 128
        ]  # fmt: skip
        scale = joint_tiles * BLOCK * multiplied / 128
    if not found:
        raise ToolError(f"{FILE.name}: {architecture}: {kernel}: expected the loop of sums over neighbours, found none")
    return scale * sum(loop.instructions for loop in found) / len(found)


@cache
def result_block(architecture: str, precision: str) -> float:
    """After a product, for 16 x 16 results of a warp: constants, sums, ReLU, conversion, stores."""
    if precision == "f32":  # one height alone; in f16 there is a conversion besides
        return result_block(architecture, "f16")
    low, high = (code(architecture, branch_kernel(precision, rows)) for rows in (32, 128))
    return (high.outside - low.outside) / (RESULT_BLOCKS * (128 - 32) / BLOCK)
