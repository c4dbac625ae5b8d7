"""What a block's work costs: counts of its phases, constants with their ranges, and the time of a launch."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

__all__ = ["Block", "Chain", "Constants", "Launch", "Phase", "Span"]


@dataclass(frozen=True)
class Constants:
    """What counts cost. Clocks unless said otherwise; rates are of a multiprocessor and clock."""

    pace: float  # from one instruction of a warp to its next, where nothing else is waited for
    exact_pace: float  # likewise in the products of f32, whose multiply-adds do not depend on each other
    load: float  # a load from the second-level cache, waited for
    step: float  # a product's 16 inputs: from shared memory to the result of the matrix instruction
    barrier: float  # of a block's eight warps
    code: float  # bytes of instructions a clock, the first time that a multiprocessor comes by
    tensor: float  # multiply-adds on tensor cores
    ordinary: float  # and on the ordinary units
    stream: float  # bytes of weights from the second-level cache, with enough of them on their way
    shared: float  # bytes of shared memory
    issue: float  # instructions of warps, four schedulers together
    node: float  # µs: a node of a graph
    early: float  # µs: likewise of a kernel that starts while the one before it runs
    fill: float  # µs: a node that sets memory to zero
    empty: float  # µs: a graph without a node, from the event before it to the event after it
    flag: float  # clocks from what a block has written and stored a flag for to another block that waited for it
    cooperative_node: float  # µs: a cooperative launch as a node of a graph
    cooperative: float  # µs: a cooperative launch without a graph, from the event before it to the event after it
    call: float  # µs: the host's launch of a graph and its wait, beside the device's time
    copy: float  # µs: a copy of a few kilobytes between the host and the device, in a graph
    dram: float  # GB/s at which weights come where the second-level cache does not keep them; 0: it keeps them


@dataclass(frozen=True)
class Span:
    """The range of each constant."""

    low: Constants  # cheap
    high: Constants  # dear

    @property
    def middle(self) -> Constants:
        """The geometric mean; DRAM as where the cache keeps the weights."""
        values = {}
        for item in fields(Constants):
            low, high = (float(getattr(side, item.name)) for side in (self.low, self.high))
            values[item.name] = 0.0 if item.name == "dram" else math.sqrt(low * high)
        return Constants(**values)

    def at(self, name: str, dear: bool) -> Constants:
        """The middle, but constant `name` cheap or dear."""
        return replace(self.middle, **{name: getattr(self.high if dear else self.low, name)})


@dataclass(frozen=True)
class Phase:
    """What a block does between two barriers. Multiply-adds as the hardware runs them, padding included."""

    warps: int
    instructions: float = 0  # of the warp that has the most
    share: float = 1  # of the warps, that have as many
    exact: float = 0  # those of them in products of f32
    steps: float = 0  # of products, one after another
    loads: float = 0  # from the second-level cache, one waited for after another
    flags: float = 0  # of other blocks, likewise
    tensor: float = 0
    ordinary: float = 0
    weights: float = 0  # bytes from the second-level cache
    trips: float = 0  # of weights, as often as all that a warp has on their way is filled anew
    shared: float = 0  # bytes to and from shared memory
    barriers: int = 0

    def __add__(self, other: Phase) -> Phase:
        """One after the other, without a barrier between."""
        if other.warps != self.warps:
            raise ValueError(f"phases of {self.warps} and of {other.warps} warps")
        total = self.instructions + other.instructions
        issued = self.instructions * self.share + other.instructions * other.share
        counted = ("exact", "steps", "loads", "flags", "tensor", "ordinary", "weights", "trips", "shared", "barriers")
        sums = {name: getattr(self, name) + getattr(other, name) for name in counted}
        return Phase(self.warps, total, issued / total if total else 1, **sums)

    @property
    def issued(self) -> float:
        """Instructions of all warps."""
        return self.instructions * self.share * self.warps

    def chain(self, by: Constants) -> float:
        """Clocks of the longest warp by itself, or of its weights where they are longer under way."""
        waited = self.steps * by.step + self.loads * by.load + self.flags * by.flag
        return max(self.paced(by) + waited, self.under_way(by))

    def under_way(self, by: Constants) -> float:
        """Clocks in which the weights come: as many as are on their way at a time, in the time that one takes."""
        return self.trips * (by.load + by.step)

    def paced(self, by: Constants) -> float:
        """Clocks of the longest warp's instructions."""
        return (self.instructions - self.exact) * by.pace + self.exact * by.exact_pace

    def busy(self, by: Constants) -> dict[str, float]:
        """Clocks that each part of the multiprocessor has to work."""
        return {
            "issue": self.issued / by.issue,
            "tensor cores": self.tensor / by.tensor,
            "ordinary units": self.ordinary / by.ordinary,
            "weights": self.weights / by.stream,
            "shared memory": self.shared / by.shared,
        }

    def clocks(self, by: Constants, together: int) -> float:
        """`together` such blocks on a multiprocessor: each waits for itself, and all share its parts. Two warps a
        scheduler hide one for the other in part: the longest warp's time and the busiest part's add as at right
        angles."""
        return math.hypot(self.chain(by), together * max(self.busy(by).values())) + self.barriers * by.barrier


@dataclass(frozen=True)
class Block:
    """A thread block. code: the bytes of instructions that it runs, by name: what ran before is there."""

    phases: tuple[Phase, ...]
    code: tuple[tuple[str, float], ...] = ()

    def __add__(self, other: Block) -> Block:
        return Block(self.phases + other.phases, self.code + other.code)

    def total(self, name: str) -> float:
        """Of a count."""
        return sum(float(getattr(phase, name)) for phase in self.phases)

    def clocks(self, by: Constants, together: int = 1) -> float:
        """With all its code there."""
        return sum(phase.clocks(by, together) for phase in self.phases)

    def limits(self, by: Constants) -> dict[str, float]:
        """Clocks, one block a multiprocessor, divided among what they go to."""
        found: dict[str, float] = {}
        for phase in self.phases:
            busy = phase.busy(by)
            most = max(busy, key=lambda name: busy[name])
            waited = {
                "pace of instructions": phase.paced(by),
                "steps of products": phase.steps * by.step,
                "loads waited for": phase.loads * by.load,
                "flags waited for": phase.flags * by.flag,
            }
            chain = phase.chain(by)
            if phase.under_way(by) == chain > 0:
                waited = {"weights under way": chain}
            both = math.hypot(chain, busy[most])
            parts = {name: clocks * chain / both for name, clocks in waited.items()} if both else {}
            parts[most] = busy[most] ** 2 / both if both else 0
            parts["barriers"] = phase.barriers * by.barrier
            for name, clocks in parts.items():
                found[name] = found.get(name, 0) + clocks
        return found


@dataclass(frozen=True)
class Launch:
    """A kernel: its blocks in the order of launch, for each routing that was drawn; resident: blocks that fit a
    multiprocessor."""

    name: str
    draws: Sequence[Sequence[Block]]
    resident: int = 1
    early: bool = False  # its blocks may start while the kernel before it runs

    def mean(self, name: str) -> float:
        """Of a count over the draws; "blocks" is one too."""
        if name == "blocks":
            return sum(len(blocks) for blocks in self.draws) / len(self.draws)
        return sum(block.total(name) for blocks in self.draws for block in blocks) / len(self.draws)

    def microseconds(self, multiprocessors: int, clock: float, by: Constants) -> float:
        """Without the node's own cost. Blocks go to whichever place is free first."""
        ends = []
        for blocks in self.draws:
            together = min(self.resident, math.ceil(len(blocks) / multiprocessors)) if blocks else 1
            known: dict[int, float] = {}
            free = [(0.0, place) for place in range(multiprocessors * together)]
            there: list[set[str]] = [set() for _ in range(multiprocessors)]
            end = 0.0
            for block in blocks:
                if id(block) not in known:
                    known[id(block)] = block.clocks(by, together)
                at, place = free[0]
                seen = there[place % multiprocessors]
                fetched = sum(size for name, size in block.code if name not in seen)
                seen.update(name for name, _ in block.code)
                at += known[id(block)] + fetched / by.code
                heapq.heapreplace(free, (at, place))
                end = max(end, at)
            ends.append(end)
        return sum(ends) / len(ends) / (clock * 1e3) if ends else 0.0


@dataclass(frozen=True)
class Chain(Launch):
    """A kernel whose blocks all run at once and wait for each other: each draw's blocks by the stage at which they are
    waited for, and a stage is as long as its longest."""

    stages: Sequence[Sequence[Sequence[Block]]] = ()

    def microseconds(self, multiprocessors: int, clock: float, by: Constants) -> float:
        """Without the node's own cost."""
        known: dict[int, float] = {}

        def ends(block: Block) -> float:
            if id(block) not in known:
                known[id(block)] = block.clocks(by) + sum(size for _, size in block.code) / by.code
            return known[id(block)]

        total = sum(max(map(ends, stage)) for stages in self.stages for stage in stages)
        return total / len(self.stages) / (clock * 1e3)
