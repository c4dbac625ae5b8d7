"""The tables that `python -m bench.predict` prints, as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from adasgn_edge.model.config import ModelConfig
from bench.predict.boards import BOARDS, MEASURED_BY, Board, span
from bench.predict.costs import Constants, Launch
from bench.predict.measured import MEASURED, Measurement, chosen_times
from bench.predict.prediction import (
    COPIES,
    STREAM_COPIES,
    Prediction,
    device_microseconds,
    predict,
    predict_streaming,
    sensitivity,
)
from bench.predict.schedule import Schedule, choose, launches, schedules

__all__ = [
    "before_and_after", "comparison", "constants_table", "instruction_table", "launch_table", "prediction_lines",
    "schedule_table", "settle_table", "streaming_table", "summary",
]  # fmt: skip

BEFORE = Path(__file__).with_name("before.json")
BATCHES = (1, 2, 4, 8, 16, 64, 256, 1024)
TRACKS = (1, 8, 100)
CLOSE = 1.05
"""A choice is as good as the best where it is predicted to take at most this many times as long."""


def _range(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.0f} … {pair[1]:.0f}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def summary(
    models: dict[str, ModelConfig],
    batches: Sequence[int],
    precisions: Sequence[str],
    shares: Sequence[float],
    going_on: float,
) -> Iterable[str]:
    """Every board: dense, with a policy, and escalating, where nobody goes on and where a share of the clips does (the
    mean of such runs)."""
    some = f"{going_on:.0%} go on"
    columns = ("dense", "policy", "escalating, none goes on", some, "array to result: policy", f"escalating, {some}")
    yield f"| board | clips | precision | {' | '.join(f'{column}, µs' for column in columns)} |"
    yield f"|---|---|---|{'---|' * len(columns)}"
    for name, board in BOARDS.items():
        for batch in batches:
            for precision in precisions:
                dense, policy, few, more = (
                    predict(models[key], board, batch, precision, shares, share)
                    for key, share in (("dense", 0), ("adasgn", 0), ("escalating", 0), ("escalating", going_on))
                )
                times = (one.device for one in (dense, policy, few, more))
                cells = [_range(pair) for pair in (*times, policy.end_to_end, more.end_to_end)]
                yield f"| {name} | {batch} | {precision} | {' | '.join(cells)} |"


def streaming_table(config: ModelConfig) -> Iterable[str]:
    """One new frame of some tracks, on every board, in both precisions."""
    yield "| board | tracks | f16, device, µs | array to result, µs | a track, µs | f32, device, µs |"
    yield "|---|---|---|---|---|---|"
    for name, board in BOARDS.items():
        for tracks in TRACKS:
            half, whole = (predict_streaming(config, board, tracks, precision) for precision in ("f16", "f32"))
            low, high = half.end_to_end
            cells = [_range(half.device), _range(half.end_to_end), f"{low / tracks:.1f} … {high / tracks:.1f}"]
            yield f"| {name} | {tracks} | {' | '.join(cells)} | {_range(whole.device)} |"


def launch_table(prediction: Prediction, board: Board) -> Iterable[str]:
    """What was counted of each launch, the microseconds that it and its node take, and where its dearest block's go."""
    counted = (
        ("tensor", 1e6, 2), ("ordinary", 1e6, 2), ("weights", 1e3, 0), ("shared", 1e3, 0), ("issued", 1e3, 0)
    )  # fmt: skip
    header = ("launch", "blocks", "tensor M MACs", "ordinary M MACs", "weights KB", "shared KB", "k instructions")
    yield f"| {' | '.join(header)} | low | high | of the dearest block |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    middle = span(board).middle
    for launch, (low, high) in zip(prediction.run.launches, prediction.each, strict=True):
        cells = [f"{launch.mean('blocks'):.1f}"]
        cells += [f"{launch.mean(name) / unit:.{digits}f}" for name, unit, digits in counted]
        yield f"| {launch.name} | {' | '.join(cells)} | {low:.1f} | {high:.1f} | {_limits(launch, middle)} |"


def _limits(launch: Launch, by: Constants) -> str:
    blocks = {id(block): block for draw in launch.draws for block in draw}.values()
    if not blocks:
        return "–"
    limits = max(blocks, key=lambda block: block.clocks(by)).limits(by)
    total = sum(limits.values())
    most = sorted(limits, key=lambda name: -limits[name])[:3]
    return ", ".join(f"{limits[name] / total:.0%} {name}" for name in most)


def prediction_lines(title: str, prediction: Prediction, board: Board) -> Iterable[str]:
    """A prediction with its table."""
    yield title
    yield ""
    yield from launch_table(prediction, board)
    yield ""
    yield f"device: {_range(prediction.device)} µs"
    yield f"array to result: {_range(prediction.end_to_end)} µs"
    run = prediction.run
    if not prediction.chosen:
        yield f"{len(run.launches)} launches and {STREAM_COPIES} copy up"
    else:
        yield f"{len(run.launches) + run.fills} graph nodes and {COPIES} copy up"


def settle_table(prediction: Prediction, board: Board) -> Iterable[str]:
    """What each constant's range makes of a run, and the measurement that settles it."""
    yield "| constant | low | high | µs between them | settled by |"
    yield "|---|---|---|---|---|"
    for name, low, high, microseconds in sensitivity(prediction.run, board):
        yield f"| {name} | {_number(low)} | {_number(high)} | {microseconds:.1f} | {MEASURED_BY[name]} |"


def constants_table() -> Iterable[str]:
    """The ranges of all constants, of Orin and of the H100."""
    orin, h100 = span(BOARDS["orin-nano"]), span(BOARDS["h100"])
    yield "| constant | Orin | H100 |"
    yield "|---|---|---|"
    for name in MEASURED_BY:
        cells = []
        for ranges in (orin, h100):
            low, high = (float(getattr(side, name)) for side in (ranges.low, ranges.high))
            cells.append(_number(low) if low == high else f"{_number(low)} … {_number(high)}")
        yield f"| {name} | {' | '.join(cells)} |"


def schedule_table(models: dict[str, ModelConfig], boards: Sequence[str], shares: Sequence[float]) -> Iterable[str]:
    """What the engine chooses for each batch, and what the alternatives are predicted to take."""
    ways = "whole clips | a block per frame | tiles of 32 | 64 | 128"
    yield f"| board | model | clips | chosen | {ways} | chosen against best |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name in boards:
        board = BOARDS[name]
        middle = span(board).middle
        for model, config in models.items():
            for batch in BATCHES:
                chosen = choose(config, board.multiprocessors, batch * config.frames, shares, "f16")
                times = {}
                for schedule in schedules(config, "f16", board.multiprocessors):
                    if schedule.temporal_rows == chosen.temporal_rows:
                        run = launches(config, board, batch, "f16", shares, schedule)
                        times[schedule] = device_microseconds(run, board, middle)
                least = min(times.values())
                cells = []
                columns = (
                    Schedule(True, 32, 0, True),
                    Schedule(True, 32, 0),
                    *(Schedule(False, rows, 0) for rows in (32, 64, 128)),
                )
                for column in columns:
                    key = replace(column, temporal_rows=chosen.temporal_rows)
                    shown = f"{times[key]:.0f}" if key in times else "–"
                    cells.append(f"**{shown}**" if key == chosen else shown)
                ratio = times[chosen] / least
                verdict = "best" if ratio == 1 else f"{ratio:.2f}{'' if ratio <= CLOSE else ' (!)'}"
                yield f"| {name} | {model} | {batch} | {chosen} | {' | '.join(cells)} | {verdict} |"


def before_and_after(models: dict[str, ModelConfig], shares: Sequence[float]) -> Iterable[str]:
    """What was measured and predicted of earlier kernels, as it was printed then, beside what is now; binary16."""
    before = json.loads(BEFORE.read_text())
    sides = {"dense": "dense", "adasgn": "adaptive"}
    header = " | ".join(f"{name}, before | now" for name in sides.values())
    now = chosen_times(MEASURED)
    yield f"| measured | {header} |"
    yield "|---|---|---|---|---|"
    for batch, old in before["measured"].items():
        cells = [f"{old[model]} | {now[int(batch)][model]:.1f}" for model in sides]
        yield f"| {_clips(batch)} | {' | '.join(cells)} |"
    yield ""
    yield f"| predicted | | {header} |"
    yield "|---|---|---|---|---|---|"
    for name, batches in before["predicted"].items():
        for batch, old in batches.items():
            times = {model: predict(models[model], BOARDS[name], int(batch), "f16", shares).device for model in sides}
            cells = [f"{_range(old[model])} | {_range(times[model])}" for model in sides]
            yield f"| {name} | {_clips(batch)} | {' | '.join(cells)} |"


def _clips(batch: str) -> str:
    return f"{batch} clip{'' if batch == '1' else 's'}"


def comparison(measurements: Sequence[Measurement], board: Board) -> Iterable[str]:
    """Predicted over measured, for every model, precision and batch and every schedule that was measured."""
    by = span(board).middle
    columns: list[tuple[str, Schedule]] = [
        ("whole clips", Schedule(True, 32, 32, True)),
        ("a block per frame", Schedule(True, 32, 32)),
        *((f"tiles of {rows}", Schedule(False, rows, 32)) for rows in (32, 64, 128)),
        ("64, temporal 64", Schedule(False, 64, 64)),
        ("128, temporal 128", Schedule(False, 128, 128)),
    ]
    yield f"| model | precision | clips | {' | '.join(name for name, _ in columns)} |"
    yield f"|---|---|---|{'---|' * len(columns)}"
    found: dict[tuple[str, str, int], dict[Schedule, str]] = {}
    for one in measurements:
        predicted = device_microseconds(one.run, board, by)
        row = found.setdefault((one.model, one.precision, one.batch), {})
        row[one.schedule] = f"{predicted:.0f} / {one.microseconds:.0f} = {predicted / one.microseconds:.2f}"
    for (model, precision, batch), row in sorted(found.items()):
        cells = [row.get(schedule, "") for _, schedule in columns]
        yield f"| {model} | {precision} | {batch} | {' | '.join(cells)} |"
    yield ""
    yield from _errors(measurements, board, by)


def instruction_table(rows: Iterable[tuple[str, int, str, float, float]]) -> Iterable[str]:
    """Instructions of all warps, as counted and as a profiler found them."""
    yield "| model | clips | kernel | counted | executed | counted over executed |"
    yield "|---|---|---|---|---|---|"
    for model, clips, kernel, counted, executed in rows:
        yield f"| {model} | {clips} | {kernel} | {counted:.0f} | {executed:.0f} | {counted / executed:.3f} |"


def _errors(measurements: Sequence[Measurement], board: Board, by: Constants) -> Iterable[str]:
    yield "| model | precision | measured | within 10 % | error, root of mean square | worst |"
    yield "|---|---|---|---|---|---|"
    groups = sorted({(one.model, one.precision) for one in measurements})
    for model, precision in groups:
        chosen = [one for one in measurements if (one.model, one.precision) == (model, precision)]
        ratios = [device_microseconds(one.run, board, by) / one.microseconds for one in chosen]
        logs = [math.log(ratio) for ratio in ratios]
        worst = max(range(len(chosen)), key=lambda i: abs(logs[i]))
        within = sum(abs(ratio - 1) <= 0.1 for ratio in ratios)
        rms = math.sqrt(sum(value * value for value in logs) / len(logs))
        yield (
            f"| {model} | {precision} | {len(chosen)} | {within} | {rms:.1%} | {ratios[worst]:.2f}: "
            f"{chosen[worst].batch} clips, {chosen[worst].schedule} |"
        )
