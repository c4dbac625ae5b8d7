"""The times of our engine on a GPU: whole calls, runs on the device alone, and every schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.bench.interleave import Pace, Side, interleave
from adasgn_edge.bench.timing import statistics
from adasgn_edge.engine import PRECISIONS, Engine
from adasgn_edge.errors import EngineError
from bench.gpu.measured import Batches, Measured
from bench.gpu.peers import Peer

__all__ = ["SCHEDULES", "Plan", "Schedule", "measure", "schedule_name"]

Schedule = tuple[bool, int, int, bool]
"""A block per frame; else rows of a branch's tile. Rows of the temporal module's tile. Clips in one launch."""

SCHEDULES: dict[str, tuple[Schedule, ...]] = {
    "f16": (
        (True, 32, 32, True), (True, 32, 32, False), (True, 32, 64, False), (True, 32, 128, False),
        (False, 32, 32, False), (False, 64, 32, False), (False, 128, 32, False), (False, 64, 64, False),
        (False, 128, 128, False),
    ),
    "f32": ((True, 32, 32, False), (True, 32, 64, False), (False, 32, 32, False), (False, 32, 64, False)),
}  # fmt: skip
"""Those that each precision has."""


@dataclass(frozen=True)
class Plan:
    """What is measured: batch sizes, those with aims first; precisions; repeats: of a run on the device, fewer of large
    batches; calls: timed calls of a side's turn; seconds: of the whole calls of one batch size, all sides together;
    schedules: whether each is measured too; checked: clips of whole calls that are compared with the reference."""

    batches: tuple[int, ...] = (1, 1024, 64, 8)
    precisions: tuple[str, ...] = PRECISIONS
    repeats: int = 1000
    calls: int = 10
    seconds: float = 8.0
    schedules: bool = True
    checked: int = 64

    def repeats_of(self, size: int) -> int:
        """For batches of `size`: at least 100, which have a p99, unless there are fewer altogether."""
        return min(self.repeats, max(100, 8 * self.repeats // size))


PeersOf = Callable[[int], Iterator[Peer]]
"""The other runtimes for a batch size, each made when it is its turn."""


def measure(models: Mapping[str, Measured], plan: Plan, peers: PeersOf | None = None) -> Iterator[dict[str, Any]]:
    """A group of plain values for every batch size; times are in seconds. Raises ValidationError,
    EngineError; another runtime that is wrong or fails is left out, and "left_out" says why."""
    for size in plan.batches:
        yield _group(models, plan, size, list(peers(size)) if peers else [])


def _group(models: Mapping[str, Measured], plan: Plan, size: int, peers: Sequence[Peer]) -> dict[str, Any]:
    whole, device, idle, schedules, work = [], {}, {}, {}, {}
    repeats = plan.repeats_of(size)
    errors: dict[str, float] = {}
    for name, model in models.items():
        batches = model.batches(size)
        for precision in plan.precisions:
            side, tolerance = f"{name} {precision}", model.tolerance(precision)
            engine = adasgn_edge.load(model.path, "cuda", max_batch=size, precision=precision)
            errors[side] = _check_calls(side, _call(engine), model, batches, tolerance, plan.checked)
            whole.append(Side(side, _on(_call(engine), batches)))
            for times, wait in ((device, False), (idle, True)):
                times[side] = _on_device(side, engine, model, batches, repeats, wait, tolerance)
            work[side] = dict(zip(("bytes", "macs"), model.work(batches.rows, precision), strict=True))
            if plan.schedules:
                engine = adasgn_edge.load(model.path, "cuda", max_batch=size, precision=precision)  # keeps the last one
                schedules[side] = {
                    schedule_name(one): _of_schedule(side, one, engine, model, batches, repeats, tolerance)
                    for one in SCHEDULES[precision]
                }
    left_out = {}
    for peer in peers:
        model = models[peer.model]
        batches = model.batches(size)
        try:
            if peer.tolerance is not None:
                errors[peer.name] = _check_calls(peer.name, peer.call, model, batches, peer.tolerance, plan.checked)
            if peer.on_device is not None:
                found = [_seconds(peer.on_device(batches.arrays, repeats, wait)) for wait in (False, True)]
                device[peer.name], idle[peer.name] = found
        except Exception as error:  # runtimes raise errors of their own kinds; ours are measured all the same
            left_out[f"{peer.name}, batch {size}"] = " ".join(str(error).split())[:300] or type(error).__name__
        else:
            whole.append(Side(peer.name, _on(peer.call, batches)))
    timed = interleave(whole, Pace(calls=plan.calls, seconds=plan.seconds, least=1))
    return {
        "batch": size,
        "whole": {name: statistics(seconds.tolist()) for name, seconds in timed.items()},
        "device": device,
        "idle": idle,
        "schedules": schedules,
        "work": work,
        "logit_errors": errors,
        "left_out": left_out,
    }


def _call(engine: Engine) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    return lambda clips: engine.run(clips).logits


def _check_calls(
    side: str,
    call: Callable[[Any], NDArray[np.float32]],
    model: Measured,
    batches: Batches,
    tolerance: float,
    checked: int,
) -> float:
    count = min(len(batches.rows), max(1, checked // batches.rows.shape[1]))
    return max(model.validate(side, call(batches.arrays[i]), batches.rows[i], tolerance) for i in range(count))


def _on(call: Callable[[Any], Any], batches: Batches) -> Callable[[int], Any]:
    return lambda i: call(batches.arrays[i % len(batches.arrays)])


def _on_device(
    side: str, engine: Engine, model: Measured, batches: Batches, repeats: int, wait: bool, tolerance: float
) -> dict[str, Any]:
    """Statistics of runs on the device alone; the last run's logits are compared with the reference."""
    threshold = engine.description.threshold(None, None)
    options = {} if threshold is None else {"threshold": threshold}  # as Engine.run
    microseconds, logits = engine._native.time_graph(batches.arrays[:, :, None], repeats, wait, **options)
    model.validate(f"{side} on the device", logits, batches.rows[(repeats - 1) % len(batches.rows)], tolerance)
    return _seconds(microseconds)


def _of_schedule(
    side: str, schedule: Schedule, engine: Engine, model: Measured, batches: Batches, repeats: int, tolerance: float
) -> dict[str, Any]:
    """As _on_device under one schedule, which the engine keeps; {"reason": …} where the device cannot launch it."""
    name = f"{side}, {schedule_name(schedule)}"
    try:
        engine._native.force_schedule(*schedule)
        return _on_device(name, engine, model, batches, repeats, False, tolerance)
    except EngineError as error:
        return {"reason": str(error)}


def schedule_name(schedule: Schedule) -> str:
    """For reports; bench.predict reads it."""
    by_frame, rows, temporal_rows, whole_clips = schedule
    way = "whole clips" if whole_clips else "a block per frame" if by_frame else f"tiles of {rows} rows"
    return f"{way}, temporal {temporal_rows}"


def _seconds(microseconds: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
    return statistics((1e-6 * np.asarray(microseconds)).tolist())
