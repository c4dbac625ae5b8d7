"""``adasgn-edge eval-stream``: how well a model for streams finds gestures in continuous recordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from adasgn_edge.cli.device import PrecisionOption, StreamDeviceOption

if TYPE_CHECKING:
    from adasgn_edge.data.degrade import Degradation
    from adasgn_edge.data.online import OnlineDataset
    from adasgn_edge.online_evaluation import OnlineEvaluation
    from adasgn_edge.scoring import Spread

__all__ = ["command"]


def command(
    models: Annotated[list[Path], typer.Argument(help="Model files (.adasgn) for streams, that differ in their seed.")],
    data: Annotated[str, typer.Option(help="Data set of continuous recordings.")] = "shrec21",
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.  [default: $ADASGN_DATA]")] = None,
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    fold: Annotated[
        str | None,
        typer.Option(
            metavar="k/K",
            help="Of the training sequences those that fold k of K holds out, e.g. `1/4`; in place of --split.",
        ),
    ] = None,
    fold_by: Annotated[
        str | None,
        typer.Option(
            help="What folds divide: single sequences, or whole groups (sequence, group).  [default: groups, where the "
            "data set knows them]"
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(help="Of data sets joined, such as hands, only the sequences of this one.", show_default=False),
    ] = None,
    device: StreamDeviceOption = "cpu",
    precision: PrecisionOption = None,
    mode: Annotated[str, typer.Option(metavar="<mode>,…", help="continual, exact; a row for each.")] = "continual",
    weights: Annotated[str, typer.Option(metavar="f32|bf16", help="What the continual mode keeps weights in.")] = "f32",
    effort: Annotated[
        str | None,
        typer.Option(
            metavar="<float>,…", help="Of models that escalate, 0 to 1; a row for each.  [default: the models' own]"
        ),
    ] = None,
    degrade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER,…",
            help="Spoil every recording first: rate (frames a second), jitter (share of a frame's time), drop "
            "(probability), stamp_error (s), noise (m), missing (probability of a joint), e.g. "
            "`rate=20,jitter=0.3,drop=0.05`; a table for each time that it is given; `none` spoils nothing.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what --degrade draws at random.")] = 0,
    per_class: Annotated[bool, typer.Option("--per-class", help="Also a table of the classes for each row.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything to this file.")] = None,
) -> None:
    """Play recordings through MODELS as live streams and score the gestures found.

    A gesture counts as found when it has the right label, at least half of its time and at most twice its length, and
    each counts once; the other detections are false. Delays run from a found gesture's annotated start, and end, to the
    decision: median and 95th percentile. Jaccard counts gestures, as the SHREC tracks on online gestures do, Jaccard of
    time their overlap. With several models: mean ± standard deviation. Time is that of
    the processor in all pushes from Python, on one thread, by grid steps.

    Choose with --fold, on training sequences that the model has not seen; the test split is for reporting.

    Examples: `adasgn-edge eval-stream model.adasgn` · `adasgn-edge eval-stream seed-*.adasgn --mode continual,exact
    --effort 0,0.3,1 --degrade none --degrade rate=20,jitter=0.3,drop=0.05 --json stream.json`
    """
    import json

    from adasgn_edge.cli.console import console, plain_warnings
    from adasgn_edge.data.registry import open_online_dataset
    from adasgn_edge.files import check_output, write_text
    from adasgn_edge.progress import RichProgress

    if json_file is not None:
        check_output(json_file, option="--json")
    runs = _runs(device, precision, mode, weights, effort, degrade or ["none"])
    with plain_warnings():
        dataset = open_online_dataset(data, root, RichProgress())
    sequences, said = _sequences(dataset, split, fold, fold_by, part)
    found = [[_evaluate(model, dataset, sequences, run, seed) for model in models] for run in runs]
    for degradation in dict.fromkeys(run.degradation for run in runs):
        title = f"{data}, {said}" + ("" if degradation is None else f", {degradation}")
        title += f", {len(models)} models" if len(models) > 1 else ""
        alike = [place for place, run in enumerate(runs) if run.degradation == degradation]
        console.print(_table(title, [runs[place] for place in alike], [found[place] for place in alike]))
    if per_class:
        for run, evaluations in zip(runs, found, strict=True):
            console.print(_class_table(run, evaluations))
    if json_file is not None:
        result = {
            "data": data,
            "digest": dataset.digest,
            "corrected": dataset.corrected,
            "sequences": [dataset.names[sequence] for sequence in sequences],
            "said": said,
            "rows": [_row(run, models, evaluations) for run, evaluations in zip(runs, found, strict=True)],
        }
        write_text(json_file, json.dumps(result, indent=1, allow_nan=False) + "\n")


class _Run(NamedTuple):
    """A row of the table: how the models ran, and on what."""

    device: str
    precision: str | None
    mode: str
    weights: str
    effort: float | None
    degradation: Degradation | None


def _runs(
    device: str, precision: str | None, mode: str, weights: str, effort: str | None, degrade: Sequence[str]
) -> list[_Run]:
    from adasgn_edge.cli.option_values import numbers
    from adasgn_edge.data.degrade import Degradation

    modes = [word.strip() for word in mode.split(",")]
    efforts: Sequence[float | None] = numbers(effort, float, "--effort") if effort is not None else [None]
    spoilt = [None if text.strip() == "none" else Degradation.parse(text) for text in degrade]
    how = (device, precision)
    return [_Run(*how, one, weights, level, worse) for worse in spoilt for one in modes for level in efforts]


def _sequences(
    dataset: OnlineDataset, split: str, fold: str | None, fold_by: str | None, part: str | None
) -> tuple[list[int], str]:
    """The sequences to play, and how they are called."""
    chosen, said = _of_split(dataset, split, fold, fold_by)
    if part is None:
        return chosen, said
    if part not in dataset.sources:
        known = ", ".join(dict.fromkeys(dataset.sources)) or "no parts"
        raise typer.BadParameter(f"--part: expected one of {known}, found {part[:80]!r}")
    chosen = [sequence for sequence in chosen if dataset.sources[sequence] == part]
    return chosen, f"{said}, of which {len(chosen)} of {part}"


def _of_split(dataset: OnlineDataset, split: str, fold: str | None, fold_by: str | None) -> tuple[list[int], str]:
    from adasgn_edge.data.online import plan_sequence_folds

    if fold is None:
        if split not in ("train", "test"):
            raise typer.BadParameter(f"--split: expected train or test, found {split[:80]!r}")
        chosen = dataset.indices(split).tolist()
        return chosen, f"{split} split, {len(chosen)} sequences"
    words = fold.split("/")
    if len(words) != 2 or not all(word.isascii() and word.isdecimal() and len(word) < 6 for word in words):
        raise typer.BadParameter(f"--fold: expected k/K, such as 1/4, found {fold[:80]!r}")
    number, count = map(int, words)
    if not 1 <= number <= count:
        raise typer.BadParameter(f"--fold: expected a fold from 1 to {count}, found {number}")
    held = plan_sequence_folds(dataset, count, fold_by)[number - 1].held
    by = fold_by or ("group" if dataset.groups else "sequence")
    return list(held), f"held out by fold {number} of {count} (by {by}), {len(held)} sequences"


def _evaluate(model: Path, dataset: OnlineDataset, sequences: Sequence[int], run: _Run, seed: int) -> OnlineEvaluation:
    from adasgn_edge.online_evaluation import evaluate
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.recogniser import Recogniser

    def make() -> Recogniser:
        return Recogniser(
            model, device=run.device, precision=run.precision, mode=run.mode, weights=run.weights, effort=run.effort,
            max_tracks=1,
        )  # fmt: skip

    return evaluate(make, dataset, sequences, degradation=run.degradation, seed=seed, progress=RichProgress())


def _row(run: _Run, models: Sequence[Path], evaluations: Sequence[OnlineEvaluation]) -> dict[str, Any]:
    from adasgn_edge.scoring import over_seeds

    spreads = over_seeds([evaluation.score for evaluation in evaluations])
    return {
        "device": run.device,
        "precision": run.precision,
        "mode": run.mode,
        "weights": run.weights,
        "effort": run.effort,
        "degradation": None if run.degradation is None else str(run.degradation),
        "figures": {name: spread.to_dict() for name, spread in spreads.items()},
        "models": [
            {"path": str(model), **evaluation.to_dict()} for model, evaluation in zip(models, evaluations, strict=True)
        ],
    }


_RATES = {
    "detected\n%": "detection_rate",
    "false\n%": "false_positive_rate",
    "Jaccard\n%": "jaccard",
    "of time\n%": "time_jaccard",
}


def _table(title: str, runs: Sequence[_Run], found: Sequence[Sequence[OnlineEvaluation]]) -> object:
    """The runs on recordings that were spoilt alike."""
    from rich.table import Table

    from adasgn_edge.scoring import over_seeds

    table = Table(title=title)
    delays = ("start to\ndecision, s", "end to\ndecision, s")
    for column in ("mode", "effort", *_RATES, "false\na minute", *delays, "1e6 MACs\na step", "µs\na step"):
        table.add_column(column, justify="left" if column == "mode" else "right", no_wrap=True)
    for run, evaluations in zip(runs, found, strict=True):
        spreads = over_seeds([evaluation.score for evaluation in evaluations])
        cells = [run.mode, "own" if run.effort is None else f"{run.effort:g}"]
        cells += [_spread(spreads[name], 100, 1) for name in _RATES.values()]
        cells.append(_spread(spreads["false_per_minute"], 1, 2))
        for side in ("start", "end"):
            middle, late = (spreads[f"delay_{side}_{share}"].mean for share in ("p50", "p95"))
            cells.append("–" if math.isnan(middle) else f"{middle:.2f}, {late:.2f}")
        costs = [evaluation.cost for evaluation in evaluations]
        cells.append(f"{sum(cost.macs_a_step for cost in costs) / len(costs) / 1e6:.3f}")
        cells.append(f"{sum(cost.seconds_a_step for cost in costs) / len(costs) * 1e6:.0f}")
        table.add_row(*cells)
    return table


def _spread(spread: Spread, factor: float, decimals: int) -> str:
    if math.isnan(spread.mean):
        return "–"
    deviation = "" if math.isnan(spread.deviation) else f" ± {factor * spread.deviation:.{decimals}f}"
    return f"{factor * spread.mean:.{decimals}f}{deviation}"


def _class_table(run: _Run, evaluations: Sequence[OnlineEvaluation]) -> object:
    from rich.table import Table

    words = [run.mode, "" if run.effort is None else f"effort {run.effort:g}", str(run.degradation or "")]
    table = Table(title="each class, all models: " + ", ".join(filter(None, words)))
    table.add_column("class")
    for column in ("gestures", "hits", "false", *_RATES):
        table.add_column(column, justify="right")
    for place, name in enumerate(evaluations[0].score.class_names):
        own, *others = (evaluation.score.classes[place] for evaluation in evaluations)
        for other in others:
            own = own + other
        figures = (own.detection_rate, own.false_positive_rate, own.jaccard, own.time_jaccard)
        cells = ["–" if math.isnan(figure) else f"{100 * figure:.1f}" for figure in figures]
        table.add_row(name, str(own.gestures), str(own.hits), str(own.false), *cells)
    return table
