"""A whole run: inputs, contenders shown to be right, times in turns, processes of their own, a loop; one report."""

from __future__ import annotations

import datetime
import importlib.util
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.bench import machine
from adasgn_edge.bench.board import Board, PowerMeter
from adasgn_edge.bench.ceilings import fma_side
from adasgn_edge.bench.clips import Clips, animated_hands, made_bodies, recorded
from adasgn_edge.bench.contenders import CHECKED, Absent, Contender, Field, clip_contenders, split_models
from adasgn_edge.bench.control_loop import run_loop
from adasgn_edge.bench.fresh import GROWTH_SECONDS, STARTS, measure_fresh
from adasgn_edge.bench.interleave import REST, Pace, Side, interleave
from adasgn_edge.bench.report import FORMAT
from adasgn_edge.bench.settings import Settings
from adasgn_edge.bench.streams import BODIES, StreamContender, grid_step, stream_contenders
from adasgn_edge.bench.timing import histogram, ratio, rounds, short, summary
from adasgn_edge.deploy.model_file import ModelFile
from adasgn_edge.engine import instruction_sets
from adasgn_edge.errors import BenchError, DatasetError

__all__ = ["View", "measure"]

POWER_SECONDS, IDLE_SECONDS = 2.0, 1.0
HANDS = 280
"""Animated hands: each gesture twenty times."""

TABLE = "effort table of the model file: clips held out in training"

AnyContender = Contender | StreamContender


class View(Protocol):
    """Who watches a run, and may end it."""

    @property
    def stopped(self) -> bool:
        """Whether it is to end after what it is at."""

    def stage(self, what: str) -> None:
        """It begins with something else."""

    def progress(self, share: float) -> None:
        """So much of it is done."""


@dataclass
class Run:
    """A run that goes on. report: so far, plain values; folder: for files; macs: of a clip, by contender."""

    settings: Settings
    view: View
    board: Board
    report: dict[str, Any]
    folder: Path
    macs: dict[str, float] = field(default_factory=dict)

    def go_on(self, share: float) -> bool:
        """Tell how far it is; whether to go on."""
        self.view.progress(share)
        return not self.view.stopped


def measure(settings: Settings, view: View) -> dict[str, Any]:
    """The report (report.py). What is measured when the view stops it, is kept, and `complete` is false.

    Raises BenchError, ModelFileError, EngineError or DatasetError for settings that cannot be had here.
    """
    board = Board(settings.sysfs_root)
    of_clips, of_streams = split_models(settings.models)
    facts = machine.facts()
    load = facts.pop("load_average")
    report: dict[str, Any] = {
        "format": FORMAT,
        "command": " ".join(["adasgn-edge", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "complete": False,
        "settings": settings.to_dict(),
        "machine": {**facts, "load_average": {"start": load, "end": load}, "board": {"start": board.facts()}},
        "limit": {"gmacs": None, "reason": "not measured"},
        "contenders": [],
        "groups": {},
        "frontier": [],
        "cold_start": {},
        "memory": {},
        "loop": None,
    }
    view.stage("inputs")
    clips = _clips(settings, of_clips[0][1])
    report["settings"]["clips"] = clips.source
    with tempfile.TemporaryDirectory(prefix="adasgn-bench-") as name:
        run = Run(settings, view, board, report, Path(name))
        _measure(run, clips, of_clips, of_streams)
    report["machine"]["load_average"]["end"] = machine.load_average()
    report["machine"]["board"]["end"] = board.facts()
    report["complete"] = not view.stopped
    return report


def _measure(
    run: Run, clips: Clips, of_clips: list[tuple[Path, ModelFile]], of_streams: list[tuple[Path, ModelFile]]
) -> None:
    settings, view = run.settings, run.view
    order = np.random.default_rng(0).permutation(len(clips))
    arrays = np.ascontiguousarray(clips.arrays[order])
    view.stage("contenders")
    in_clips = any(map(settings.wants_part, ("clips", "cold-start", "memory")))
    in_streams = any(map(settings.wants_part, ("streams", "cold-start", "memory")))
    shared = Field(settings, Clips(arrays, None, 1, clips.source), run.folder)
    shared.load(of_clips[0][0], max(settings.batches), shared.precisions[0])  # a device and options that can be had
    contenders, absent = clip_contenders(shared, of_clips) if in_clips else ([], [])
    streams = stream_contenders(settings, of_streams) if in_streams else []
    settings.check_names([*shared.names, *(one.name for one in streams)])
    streams = [one for one in streams if settings.wants(one.name)]
    right = _validate(run, contenders, streams, absent, arrays)
    timed = [one for one in contenders if one.name in right]
    stepped = [one for one in streams if one.name in right]
    labels = None if settings.data is None or clips.labels is None else clips.labels
    if labels is not None:
        _accuracies(run, timed, clips, labels)
    if settings.wants_part("clips"):
        for batch in settings.batches:
            if timed and not view.stopped:
                _time_clips(run, timed, arrays, batch)
        run.report["frontier"] = _frontier(run.report, timed)
    if settings.wants_part("streams") and stepped and not view.stopped:
        _time_streams(run, stepped)
    if settings.wants_part("cold-start") or settings.wants_part("memory"):
        _start_fresh(run, [*timed, *stepped], arrays)
    if settings.loop is not None and settings.wants_part("loop") and not view.stopped:
        view.stage(f"a loop at {settings.loop.rate:g} Hz")
        run.report["loop"] = {
            "model": of_streams[0][0].stem,
            **run_loop(of_streams[0][0], settings.loop, settings.threads, run.go_on),
        }


def _clips(settings: Settings, file: ModelFile) -> Clips:
    """Recorded ones where they are asked for, else made by code."""
    frames = file.config.frames
    if settings.data is not None:
        if importlib.util.find_spec("torch") is None:
            raise BenchError("--data: needs torch, which is not installed: pip install 'adasgn-edge[train]'")
        clips = recorded(settings.data, frames, file.stream)
        if clips.persons != 1 or clips.arrays.shape[2] != file.layout.joint_count:
            raise DatasetError(
                f"--data: expected clips of one person with {file.layout.joint_count} joints, found {clips.persons} "
                f"persons with {clips.arrays.shape[2]}"
            )
        return clips
    if file.layout.name == "shrec22":
        hands = animated_hands(HANDS, frames, file.stream)
        return replace(hands, source=f"{HANDS} clips of the package's animated hand")
    return made_bodies(file.layout, frames=frames)


def _validate(
    run: Run,
    contenders: Sequence[Contender],
    streams: Sequence[StreamContender],
    absent: Sequence[Absent],
    arrays: NDArray[np.float32],
) -> set[str]:
    """Names of those that compute what they should; all of them are noted in the report."""
    rows = run.report["contenders"]
    everyone: list[AnyContender] = [*contenders, *streams]
    right = set()
    for number, one in enumerate(everyone):
        if run.view.stopped:
            break
        run.view.stage(f"is it right: {one.title}")
        run.view.progress(number / len(everyone))
        row: dict[str, Any] = {"name": one.name, "title": one.title, "accuracy": None, "reason": "", "remedy": ""}
        if isinstance(one, Contender):
            row |= {"kind": one.kind, "weights": one.weights, "accuracy": _tabled(one)}
        else:
            row |= {"kind": "stream", "weights": f"of {one.path.name}"}
        try:
            error = one.check(arrays[:CHECKED]) if isinstance(one, Contender) else one.check()
        except BenchError as found:
            rows.append({**row, "status": "wrong", "error": None, "reason": str(found)})
            continue
        right.add(one.name)
        rows.append({**row, "status": "right", "error": error})
    for gone in absent:
        rows.append(
            {"name": gone.name, "title": gone.title, "kind": gone.kind, "weights": "", "status": "absent",
             "error": None, "accuracy": None, "reason": gone.reason, "remedy": gone.remedy}
        )  # fmt: skip
    return right


def _tabled(one: Contender) -> dict[str, Any] | None:
    """The accuracy that a model file's effort table has of an effort, where it has one."""
    points = [] if one.file.effort is None else one.file.effort.points
    value = next((point.accuracy for point in points if point.effort == one.effort), None)
    return None if value is None else {"value": value, "source": TABLE, "measured": False}


def _accuracies(run: Run, contenders: Sequence[Contender], clips: Clips, labels: NDArray[np.int64]) -> None:
    """On recorded clips, of contenders whose weights have learnt something."""
    for one in contenders:
        if not one.learnt or run.view.stopped:
            continue
        run.view.stage(f"accuracy: {one.title}")
        call = one.make(64)
        parts = np.array_split(clips.arrays, -(-len(clips) // 64))
        found = np.concatenate([call(part) for part in parts])
        if found.shape[1] <= labels.max():
            continue  # of other classes
        value = float((found.argmax(-1) == labels).mean())
        row = next(row for row in run.report["contenders"] if row["name"] == one.name)
        row["accuracy"] = {"value": value, "source": f"{clips.source}, in this run", "measured": True}


# -- times ------------------------------------------------------------------------------------------------------------


def _pace(settings: Settings, calls: int) -> Pace:
    rest = REST if settings.threads > 1 else 0.0
    return Pace(calls=calls, untimed=1, seconds=settings.group_seconds, least=5, rest=rest)


def _time_clips(run: Run, contenders: Sequence[Contender], arrays: NDArray[np.float32], batch: int) -> None:
    """Whole calls, arrays in and out, so many clips at a time."""
    run.view.stage(f"{batch} clip{'s' * (batch > 1)} at a time: {len(contenders)} sides")
    rows = np.resize(np.arange(len(arrays)), (-(-len(arrays) // batch), batch))
    batches = [np.ascontiguousarray(arrays[row]) for row in rows]

    def side(one: Contender) -> Side:
        call = one.make(batch)
        if one.name not in run.macs:
            run.macs[one.name] = one.macs(arrays)
        return Side(one.name, lambda i: call(batches[i % len(batches)]), batch * run.macs[one.name])

    sides = [side(one) for one in contenders]
    routed = {one.name for one in contenders if one.file.config.routes and (one.effort is None or 0 < one.effort < 1)}
    name, pace = f"clips-{batch}", _pace(run.settings, 6 if batch == 1 else 2)
    _time(run, name, "clip", batch, sides, pace, routed)
    _ratios(run.report["groups"][name], contenders, routed)
    if batch == 1:
        _power(run, name, sides)


def _time_streams(run: Run, streams: Sequence[StreamContender]) -> None:
    run.view.stage(f"steps of a stream: {len(streams)} sides")
    sides = [Side(one.name, one.make(), one.macs if one.mode == "continual" else None) for one in streams]
    _time(run, "streams", "step", 1, sides, _pace(run.settings, 20), set())
    group = run.report["groups"]["streams"]
    for one in streams:
        group["sides"][one.name] |= {"bodies": one.bodies, "period": 1e-9 * grid_step(one.file)}
    _power(run, "streams", sides)


def _time(run: Run, name: str, unit: str, batch: int, sides: Sequence[Side], pace: Pace, routed: set[str]) -> None:
    """One group into the report, the multiply-add loop among its sides where they run on the CPU."""
    on_cpu = run.settings.device == "cpu"
    limit = [fma_side(instruction_sets()[0])] if on_cpu else []
    before = run.board.throttling()
    times = interleave([*sides, *limit], pace, run.go_on)
    peak = None
    if limit:
        (own,) = limit
        assert own.macs is not None
        peak = own.macs / float(times[own.name].min()) / 1e9
        run.report["limit"] = {
            "gmacs": max(peak, run.report["limit"]["gmacs"] or 0.0),
            "instruction_set": instruction_sets()[0],
            "what": "multiply-adds and nothing else on one core, the fastest of its turns",
            "reason": "",
        }
    else:
        run.report["limit"]["reason"] = "of a GPU; `python -m bench.gpu` in a checkout measures it"
    threads = run.settings.threads
    found = {}
    for side in sides:
        seconds = times[side.name]
        typical = float(seconds.mean() if side.name in routed else np.median(seconds))
        rate = None if side.macs is None else side.macs / typical / 1e9
        found[side.name] = {
            **summary(seconds),
            "histogram": histogram(seconds),
            "rounds": rounds(seconds, pace.calls),
            "macs": side.macs,
            "gmacs": rate,
            "of_limit": None if rate is None or peak is None else rate / (peak * threads),
            "millijoules": None,
        }
    run.report["groups"][name] = {
        "unit": unit,
        "batch": batch,
        "threads": threads,
        "calls": pace.calls,
        "rounds": len(next(iter(times.values()))) // pace.calls,
        "throttled": _throttled(before, run.board.throttling()),
        "sides": found,
        "ratios": [],
    }


def _throttled(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> list[str]:
    """What slowed the processor down meanwhile, as far as the board tells."""
    events = [
        f"{name}: {count - before['events'].get(name, 0)} events"
        for name, count in after["events"].items()
        if count > before["events"].get(name, 0)
    ]
    slowed = {name: state for name, state in after["cooling"].items() if state > 0 and "fan" not in name.lower()}
    return events + [f"{name}: state {state}" for name, state in slowed.items()]


def _ratios(group: dict[str, Any], contenders: Sequence[Contender], routed: set[str]) -> None:
    """Every model of ours over dense SGN in our engine, and over it and dense SGN in every runtime; of means where
    clips of one of the two take different branches."""
    sides = group["sides"]
    dense = [one.name for one in contenders if one.kind == "dense"]
    others = [one.name for one in contenders if one.kind == "framework"]
    for one in contenders:
        if one.kind == "framework":
            continue
        for other in others if one.kind == "dense" else [*dense, *others]:
            of = "mean" if one.name in routed else "median"
            found = ratio(sides[one.name]["rounds"], sides[other]["rounds"], of=of, paired=True)
            group["ratios"].append({"of": one.name, "to": other, "statistic": of, **found})


def _power(run: Run, name: str, sides: Sequence[Side]) -> None:
    """Energy of a call of each side, where the board has rails: each runs alone for a while, as turns are too short."""
    if not run.board.rails:
        return
    group = run.report["groups"][name]
    span = min(POWER_SECONDS, run.settings.group_seconds)
    with PowerMeter(run.board) as idle:
        time.sleep(min(IDLE_SECONDS, span))
    idle_watts, rails = idle.total()
    group["idle_watts"], group["rails"] = idle_watts, rails
    for number, side in enumerate(sides):
        if not run.go_on(number / len(sides)):
            return
        calls = 0
        with PowerMeter(run.board) as meter:
            began = time.perf_counter()
            while (passed := time.perf_counter() - began) < span:
                side.call(calls)
                calls += 1
        watts, _ = meter.total()
        if watts is not None:
            group["sides"][side.name]["millijoules"] = 1e3 * watts * passed / calls
            group["sides"][side.name]["watts"] = meter.watts
            if idle_watts is not None:
                group["sides"][side.name]["millijoules_above_idle"] = 1e3 * (watts - idle_watts) * passed / calls


# -- accuracy beside time ---------------------------------------------------------------------------------------------


def _frontier(report: dict[str, Any], contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """Accuracies that are known, beside times of one clip in this run.

    Of a model with an effort table: each of its rows, at the time that is expected where as many clips escalate as did
    on the clips on which its accuracy was measured, from the times at effort 0 and 1. Of recorded clips in this run:
    the mean of the times.
    """
    sides = report["groups"].get("clips-1", {"sides": {}})["sides"]
    found = []
    for one in contenders:
        accuracy = next(row for row in report["contenders"] if row["name"] == one.name)["accuracy"]
        if accuracy is not None and accuracy["measured"] and one.name in sides:
            label = one.title if one.effort is None else f"effort {one.effort:g}"
            found.append(
                {
                    "model": one.name,
                    "series": "in this run",
                    "seconds": sides[one.name]["mean"],
                    "accuracy": accuracy["value"],
                    "label": label,
                    "source": accuracy["source"],
                }
            )
    for low in contenders:
        high = next((one for one in contenders if one.file is low.file and one.effort == 1.0
                     and one.precision == low.precision), None)  # fmt: skip
        if low.effort != 0.0 or high is None or low.name not in sides or high.name not in sides:
            continue
        if len(low.file.config.branches) != 2:
            continue  # a row's MACs do not say how many clips took which of more than two
        assert low.file.effort is not None
        points = low.file.effort.points
        cheap, dear = points[0].macs, points[-1].macs
        for point in points:
            if point.accuracy is None:
                continue
            share = (point.macs - cheap) / (dear - cheap) if dear > cheap else 0.0
            seconds = (1 - share) * sides[low.name]["mean"] + share * sides[high.name]["mean"]
            found.append(
                {
                    "model": low.name.partition("@")[0],
                    "series": "effort table",
                    "seconds": float(short([seconds])[0]),
                    "accuracy": point.accuracy,
                    "label": f"effort {point.effort:g}",
                    "source": f"{TABLE}; the time that is expected where as many clips escalate",
                }
            )
    return found


# -- processes of their own -------------------------------------------------------------------------------------------


def _start_fresh(run: Run, contenders: Sequence[AnyContender], arrays: NDArray[np.float32]) -> None:
    """Cold start and memory of one contender of a kind: dense SGN everywhere, each model at its own effort, streams."""
    settings = run.settings
    clips = run.folder / "clips.npy"
    np.save(clips, arrays[:64])
    chosen = [one for one in contenders if _starts(one)]
    cold, memory = settings.wants_part("cold-start"), settings.wants_part("memory")
    starts = (1 if settings.quick else STARTS) if cold else 1
    for number, one in enumerate(chosen):
        if run.view.stopped:
            return
        run.view.stage(f"a process of its own: {one.title}")
        run.view.progress(number / len(chosen))
        inputs = {"clips": str(clips)}
        if isinstance(one, StreamContender):
            frames = run.folder / "frames.npy"
            np.save(frames, one.frames)
            inputs = {"frames": str(frames)}
        seconds = (1.0 if settings.quick else GROWTH_SECONDS) if memory else 0.0
        try:
            found = measure_fresh(
                {**one.fresh, **inputs}, starts=starts, seconds=seconds, go_on=lambda: not run.view.stopped
            )
        except BenchError as error:
            if run.view.stopped:
                return
            row = next(row for row in run.report["contenders"] if row["name"] == one.name)
            row["reason"] = str(error)
            continue
        if cold:
            run.report["cold_start"][one.name] = found.cold_start
        if memory:
            run.report["memory"][one.name] = found.memory


def _starts(one: AnyContender) -> bool:
    if isinstance(one, StreamContender):
        return one.mode == "continual" and one.arithmetic != "bf16" and one.bodies < BODIES
    if one.kind == "model":
        return one.effort is None or (one.file.effort is not None and one.effort == one.file.effort.default)
    return one.kind in ("framework", "dense", "policy")
