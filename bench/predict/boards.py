"""Boards, and the ranges of what counts cost on each."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bench.gpu import constants as gpu_constants
from bench.kernel_report.__main__ import MULTIPROCESSORS
from bench.predict.costs import Constants, Span

__all__ = ["BOARDS", "MEASURED_BY", "ROOT", "Board", "calibrated", "keep_calibration", "span"]

ROOT = Path(__file__).resolve().parents[2]
H100 = ROOT / "bench" / "results" / "gpu" / "h100" / "constants.json"
CALIBRATION = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True)
class Board:
    """SMs, clock in GHz, DRAM in GB/s, second-level cache in MB, as NVIDIA's data sheets have them (the H100's clock as
    it ran); the architecture whose machine code it runs."""

    multiprocessors: int
    clock: float
    dram: float
    cache: float
    architecture: str = "sm_87"

    @property
    def starts_early(self) -> bool:
        """Whether a kernel may start beside the one before it (kernels/device_cuda.h: launches_overlap)."""
        return int(self.architecture.removeprefix("sm_")) >= 90

    def resident(self, threads: int, registers: int, shared: int) -> int:
        """Blocks of a kernel that fit a multiprocessor."""
        limits = MULTIPROCESSORS[int(self.architecture.removeprefix("sm_"))]
        by_registers = 65536 // (-(-registers // 8) * 8 * threads)
        return max(1, min(limits.threads // threads, by_registers, limits.shared // (shared + 1024)))


BOARDS = {
    "orin-nano": Board(8, 0.625, 68, 2),
    "orin-nano-super": Board(8, 1.020, 102, 2),
    "orin-nx": Board(8, 0.918, 102, 2),
    "orin-nx-super": Board(8, 1.173, 102, 2),
    "agx-orin": Board(16, 1.300, 205, 4),
    "h100": Board(132, 1.92, 3350, 50, "sm_90"),
}

MEASURED_BY = {
    "pace": "`python -m bench.gpu`, then `python -m bench.predict --board … --calibrate gpu.json`",
    "exact_pace": "likewise",
    "load": "`python -m bench.gpu.constants`: latency/second-level cache",
    "step": "`python -m bench.gpu.constants`: latency/ldmatrix + latency/mma",
    "barrier": "`python -m bench.gpu.constants`: barrier/256",
    "code": "`python -m bench.gpu.constants`: code/first pass; then as pace",
    "tensor": "`python -m bench.gpu.constants`: rate/mma/8",
    "ordinary": "`python -m bench.gpu.constants`: rate/ffma/8",
    "stream": "`python -m bench.gpu.constants`: stream/registers, 16",
    "shared": "`python -m bench.gpu.constants`: rate/shared stores/8",
    "issue": "four schedulers a multiprocessor; times in f32 show what is lost",
    "node": "`python -m bench.gpu.constants`: graph, idle: each node",
    "early": "likewise: each of dependent kernels",
    "fill": "`python -m bench.gpu.constants`: copies/fill+kernel less graph/1, idle",
    "empty": "`python -m bench.gpu.constants`: graph, idle: without a node",
    "flag": "`python -m bench.gpu.constants`: flag/handed over; not measured yet",
    "cooperative_node": "`python -m bench.gpu.constants`: graph/cooperative/1/idle less graph, idle: without a node; "
    "not measured yet",
    "cooperative": "`python -m bench.gpu.constants`: cooperative/idle; not measured yet",
    "call": "`python -m bench.gpu.constants`: graph, wall less graph, idle",
    "copy": "`python -m bench.gpu.constants`: copies/up+kernel and kernel writes the host's memory, less graph/1",
    "dram": "`python -m bench.gpu`: a run after others that fill the cache, against one after itself",
}
"""What settles a constant, on the board itself."""


RATES = ("code", "stream", "shared", "tensor")
"""More of these is cheaper."""


NARROW = ("pace", "exact_pace", "load", "step", "barrier", "node", "early", "fill", "empty", *RATES)
"""What an H100's range leaves open."""


@cache
def calibrated() -> tuple[float, float, float]:
    """(pace, exact_pace, code) as fitted to the H100's times."""
    found = json.loads(CALIBRATION.read_text())
    return float(found["pace"]), float(found["exact_pace"]), float(found["code"])


def keep_calibration(pace: float, exact_pace: float, code: float, how: str, path: Path = CALIBRATION) -> None:
    """For `calibrated`."""
    found = {"pace": round(pace, 3), "exact_pace": round(exact_pace, 3), "code": round(code, 2), "how": how}
    path.write_text(json.dumps(found, indent=1) + "\n")
    calibrated.cache_clear()


@cache
def h100() -> Constants:
    """As measured."""
    known = gpu_constants.read(H100)
    pace, exact_pace, code = calibrated()
    idle, wall = known.graph("idle"), known.graph("wall")

    return Constants(  # of an H100
        pace=pace,
        exact_pace=exact_pace,
        load=known["latency/second-level cache"],
        step=known["latency/ldmatrix"] + known["latency/mma"],
        barrier=known["barrier/256"],
        code=code,
        tensor=known["rate/mma/8"],
        ordinary=known["rate/ffma/8"],
        stream=known["stream/registers, 16/132"],
        shared=known["rate/shared stores/8"],
        issue=4,
        node=idle[1],
        early=known.graph("idle", dependent=True)[1],
        fill=known["copies/fill+kernel/idle"] - known["graph/1/idle"],
        empty=idle[0],
        flag=known.get("flag/handed over", 3 * known["latency/second-level cache"]),
        cooperative_node=known.get("graph/cooperative/1/idle", idle[0] + idle[1]) - idle[0],
        cooperative=known.get("cooperative/idle", idle[0] + idle[1]),
        call=wall[0] - idle[0],
        copy=known["copies/up+kernel/wall"]
        + known["copies/kernel writes the host's memory/wall"]
        - 2 * known["graph/1/wall"],
        dram=0,
    )


def span(board: Board) -> Span:
    """The H100's constants are its own, ±10 %; an Orin's are the H100's where both architectures are alike, wider, and
    what its documents bound elsewhere. What no GPU has timed: a cooperative launch takes as long as a node of a graph
    or as a graph of one node, in a graph as long as one node or two; a flag as long as two loads to four: a fence, its
    way there, and the looks until it is seen."""
    known = h100()
    if board.architecture == "sm_90":
        low, high = known, known
        for name in (
            "pace",
            "exact_pace",
            "load",
            "step",
            "barrier",
            "code",
            "stream",
            "shared",
            "tensor",
            "node",
            "early",
            "fill",
            "empty",
        ):
            cheap, dear = (1.1, 1 / 1.1) if name in RATES else (1 / 1.1, 1.1)
            value = getattr(known, name)
            low, high = replace(low, **{name: value * cheap}), replace(high, **{name: value * dear})
        low = replace(low, flag=2 * low.load, cooperative=low.node, cooperative_node=low.node)
        high = replace(high, flag=4 * high.load, cooperative=high.empty + high.node, cooperative_node=2 * high.node)
        return Span(low, replace(high, call=known.call + 10))
    low = Constants(
        pace=0.85 * known.pace,
        exact_pace=0.85 * known.exact_pace,
        load=200,
        step=55,
        barrier=20,
        code=1.5 * known.code,
        tensor=1024,
        ordinary=128,
        stream=56,
        shared=128,
        issue=4,
        node=0.8,
        early=0.8,
        fill=0.8,
        empty=2,
        flag=400,
        cooperative_node=0.8,
        cooperative=0.8,
        call=4,
        copy=1.5,
        dram=0,
    )
    high = Constants(
        pace=1.15 * known.pace,
        exact_pace=1.15 * known.exact_pace,
        load=350,
        step=85,
        barrier=40,
        code=0.75 * known.code,
        tensor=512,
        ordinary=112,
        stream=28,
        shared=112,
        issue=3.2,
        node=2,
        early=2,
        fill=3,
        empty=5,
        flag=1400,
        cooperative_node=4,
        cooperative=7,
        call=15,
        copy=4,
        dram=board.dram,
    )
    return Span(low, high)
