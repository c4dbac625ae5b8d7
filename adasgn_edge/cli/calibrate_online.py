"""``adasgn-edge calibrate`` of causal models: thresholds and efforts, chosen on sequences held out of training."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adasgn_edge.online_calibration import Choice

__all__ = ["calibrate_online"]


def calibrate_online(
    folds: Path, into: list[Path], default: float | None, root: Path | None, json_file: Path | None
) -> None:
    """Choose the thresholds of a run on folds, keep them in `into`. Arguments as of ``calibrate``."""
    import json

    import typer

    from adasgn_edge.cli.console import console, plain_warnings
    from adasgn_edge.cli.terminal import printable
    from adasgn_edge.data.registry import open_online_dataset
    from adasgn_edge.effort import DEFAULT_EFFORT
    from adasgn_edge.errors import CheckpointError
    from adasgn_edge.files import write_text
    from adasgn_edge.model.weights import load_weights
    from adasgn_edge.online_calibration import (
        THRESHOLDS,
        choose_decision,
        held_out_streams,
        stream_effort,
        write_recognition,
    )
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.report import find_weights

    stages = sorted({path.parent.name for path in find_weights(folds)})
    if len(stages) > 1:
        raise CheckpointError(f"{folds}: expected models of one stage, found {', '.join(stages)}")
    (stage,) = stages
    with plain_warnings():
        name = str(load_weights(find_weights(folds)[0]).provenance["dataset"])
        dataset = open_online_dataset(name, root, RichProgress())
    config, recognition, streams = held_out_streams(folds, dataset, progress=RichProgress(), stage=stage)
    chosen = choose_decision(recognition, streams, dataset.class_names, RichProgress())
    recognition = replace(recognition, decision=chosen.decision)
    console.print(_table(chosen, len(streams)))
    table = None
    if config.escalates:
        others = [threshold for threshold in THRESHOLDS if threshold > 0]
        played = {
            threshold: held_out_streams(folds, dataset, threshold, RichProgress(), stage)[2] for threshold in others
        }
        effort = DEFAULT_EFFORT if default is None else default
        table = stream_effort(chosen.decision, recognition, {0.0: streams, **played}, dataset.class_names, effort)
        for point in table.points:
            console.print(
                f"effort {point.effort:g}: below {point.threshold:g}, {point.macs / 1e6:.3f} M MACs a step, Jaccard "
                f"{100 * (point.accuracy or 0):.2f} %"
            )
    if json_file is not None:
        result: dict[str, Any] = {"recognition": recognition.to_json(), "score": chosen.score.to_dict()}
        if len(chosen.scores) > 1:
            result["scores"] = {source: score.to_dict() for source, score in chosen.scores.items()}
        result["effort"] = None if table is None else table.to_json()
        write_text(json_file, json.dumps(result, indent=1) + "\n")
    for target in into:
        for path in find_weights(target):
            if path.parent.name == stage or target.is_file():
                write_recognition(path, config, recognition, table)
                typer.echo(f"{printable(path)}: thresholds kept")


def _table(chosen: Choice, sequences: int) -> object:
    from rich.table import Table

    shown = Table(title=f"chosen on {sequences} sequences held out")
    shown.add_column("threshold")
    shown.add_column("value", justify="right")
    for name, value in asdict(chosen.decision).items():
        shown.add_row(name.replace("_", " "), f"{value / 1e9:g} s" if isinstance(value, int) else f"{value:g}")
    for source, score in sorted(chosen.scores.items()):
        shown.add_section()
        if source:
            shown.add_row(f"on {source}", "")
        figures = score.figures()
        for name in ("detection_rate", "false_positive_rate", "jaccard", "time_jaccard"):
            shown.add_row(name.replace("_", " "), f"{100 * figures[name]:.1f} %")
        shown.add_row("false labels a minute", f"{figures['false_per_minute']:.2f}")
        shown.add_row("start to decision, median", f"{figures['delay_start_p50']:.2f} s")
    return shown
