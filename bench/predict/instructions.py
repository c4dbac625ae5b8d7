"""Instructions of the kernels' parts, read off the machine code that `python -m bench.kernel_report --counts` counted.

Loops of products are found by what they hold; what follows products is the slope over the heights of tiles: the same
source, with more rows, has so many more instructions outside of its loops.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bench.kernel_report.compiler import ToolError
from bench.kernel_report.machine_code import MULTIPLIES, Code, Loop, read
from bench.predict.geometry import BLOCK, TEMPORAL_SHAPES

__all__ = [
    "adjacency",
    "branch_kernel",
    "causal",
    "code",
    "frame_kernel",
    "mix",
    "pose_kernel",
    "refill",
    "result_block",
    "split",
    "step",
    "temporal_kernel",
]

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


def frame_kernel(precision: str) -> str:
    """The readable name."""
    return f"frame_blocks<{precision}, 16 or 32 rows>"


def temporal_kernel(kernel: str, precision: str, rows: int, stride: int) -> str:
    """The readable name; kernel: across_frames or widen_and_pool."""
    warps, blocks, _ = TEMPORAL_SHAPES[precision, rows]
    with_stride = f", {stride}" if kernel == "across_frames" else ""
    return f"{kernel}<{precision}, {rows} rows x {warps * blocks * BLOCK} columns{with_stride}>"


def pose_kernel(precision: str, rows: int) -> str:
    """The readable name."""
    return f"pose_tiles<{precision}, {rows} rows>"


@cache
def step(architecture: str, kernel: str, tiles: int, blocks: int, precision: str) -> float:
    """Of 16 inputs of a product: `tiles` x 16 rows by `blocks` x 16 columns of one warp."""
    found = []
    for loop in code(architecture, kernel).loops:
        if times := _steps(loop, tiles, blocks, precision):
            found.append(loop.instructions / times)
    if not found and precision == "f16":  # short products are compiled without a loop
        return 2 * tiles * blocks + tiles + blocks * (1 + refill(architecture, kernel))
    if not found:
        raise ToolError(
            f"{FILE.name}: {architecture}: {kernel}: expected a loop of a product of {16 * tiles} rows by "
            f"{16 * blocks} columns, found none"
        )
    return sum(found) / len(found)


@cache
def refill(architecture: str, kernel: str) -> float:
    """Instructions that go with the load of one more block of weights: addresses, counts, predicates."""
    found = [
        (loop.instructions - loop["HMMA"] - loop["LDSM"] - loop["LDG.128"]) / loop["LDG.128"]
        for loop in code(architecture, kernel).loops
        if loop["HMMA"] and loop["LDG.128"] and not loop["MUFU"]
    ]
    if not found:
        raise ToolError(f"{FILE.name}: {architecture}: {kernel}: expected a loop of a product, found none")
    return sum(found) / len(found)


def _steps(loop: Loop, tiles: int, blocks: int, precision: str) -> int:
    """How many steps a pass through the loop is; 0: it is no such product."""
    kind, each, fetched = ("HMMA", 2, 1) if precision == "f16" else ("FFMA", 128, 2)
    times, rest = divmod(loop[kind], each * tiles * blocks)
    weights = loop["LDGSTS"] or loop["LDG.128"]
    left = loop["LDSM"] == tiles * times and not loop["MUFU"] if precision == "f16" else loop["HMMA"] == 0
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
    if (
        precision == "f32"
    ):  # 16 inputs a joint tile: the left side's rows, two pairs of columns, multiply-adds, the loop's
        return joint_tiles * BLOCK * (2 * joint_tiles + blocks * (2 + 8 * joint_tiles) + 4)
    kernel = branch_kernel(precision, 32)  # a block per frame has no loop over frames to be found by
    # Both cases of a frame's joints in one loop, of which a frame takes one.
    found = [
        loop
        for loop in code(architecture, kernel).loops
        if loop["HMMA"] == 10 * blocks and not loop["LDG.128"] and not loop["MUFU"]
    ]
    if not found:
        raise ToolError(f"{FILE.name}: {architecture}: {kernel}: expected the loop of sums over neighbours, found none")
    return {1: 0.55, 2: 0.75}[joint_tiles] * sum(loop.instructions for loop in found) / len(found)


@cache
def result_block(architecture: str, precision: str) -> float:
    """After a product, for 16 x 16 results of a warp: constants, sums, ReLU, conversion, stores."""
    if precision == "f32":  # one height alone; in f16 there is a conversion besides
        return result_block(architecture, "f16")
    low, high = (_beside_products(code(architecture, branch_kernel(precision, rows))) for rows in (64, 128))
    return (high - low) / (RESULT_BLOCKS * (128 - 64) / BLOCK)


def _beside_products(of: Code) -> float:
    """Instructions outside of loops, without those of products that have none: half a load for each multiplication."""
    multiplied = of.kinds.get("HMMA", 0) - sum(loop.times * loop["HMMA"] for loop in of.loops)
    return of.outside - 1.5 * multiplied


@cache
def split(architecture: str, kernel: str, steps: int) -> tuple[float, float]:
    """(instructions, those of them in products of f32) of a warp of a kernel that divides columns among blocks: what
    runs once, and in f32 a pass of the product's loop for each 16 inputs."""
    of = code(architecture, kernel)
    name, precision = kernel.split("<")
    exact = 0.0
    if precision.startswith("f32"):
        products = [loop.instructions for loop in of.loops if loop["FFMA"] >= MULTIPLIES]
        exact = steps * sum(products) / len(products)
    once = of.instructions - sum(loop.instructions for loop in of.loops) if name == "hidden_split" else of.outside
    if name == "hidden_split" and not exact:  # the loop over its inputs is all of it, and most have one pass
        once = of.instructions
    return once * SPLIT_SHARES.get(name, 1) + exact, exact


@cache
def causal(architecture: str, kernel: str) -> dict[str, tuple[float, float]]:
    """The same of causal_step's parts, "layer" each of them, "widen" both halves."""
    of = code(architecture, kernel)
    shares = CAUSAL_SHARES[kernel.removeprefix("causal_step")]
    if kernel.startswith("causal_step<f16"):
        return {part: (share * of.instructions, 0.0) for part, share in shares.items()}
    products = [loop.instructions for loop in of.loops if loop["FFMA"] >= MULTIPLIES]
    each = 2 * sum(products) / len(products)  # a loop of 16 inputs goes round twice
    exact = {part: times * each for part, times in (("hidden", 1), ("feature", 1), ("layer", 3), ("widen", 2))}
    return {part: (share * of.outside + exact.get(part, 0.0), exact.get(part, 0.0)) for part, share in shares.items()}


CAUSAL_SHARES = {
    "<f16, 1>": {"start": 0.09, "hidden": 0.26, "feature": 0.10, "layer": 0.17, "widen": 0.17, "classify": 0.10},
    "<f16, 2>": {"start": 0.08, "hidden": 0.40, "feature": 0.10, "layer": 0.22, "widen": 0.20, "classify": 0.09},
    "<f32, 1>": {"start": 0.08, "hidden": 0.26, "feature": 0.10, "layer": 0.25, "widen": 0.18, "classify": 0.11},
}
"""Of causal_step's code, in f32 of what is outside of loops, as its listings have it for sm_87 and sm_90: with the
second round for rows 16 to 31 in hidden, without pools and what a frame that is wrong takes."""

SPLIT_SHARES = {"across_split": 0.73, "widen_split": 0.17}
"""Of code outside of loops, what every block runs, by what ncu found on an H100: the rest is of lists of clips, and in
widen_split the classifier and what settles a sample of a model that escalates, in a sample's last block."""
