"""``adasgn-edge calibrate``: the effort table of a model that escalates, from a run on folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adasgn_edge.data.dataset import SkeletonDataset
    from adasgn_edge.effort import EffortTable
    from adasgn_edge.model.weights import TrainedModel

__all__ = ["command"]


def command(
    folds: Annotated[Path, typer.Argument(help="Folder of a run on folds: `adasgn-edge train RECIPE --folds K`.")],
    into: Annotated[
        list[Path] | None,
        typer.Option(
            help="Weights, or a run folder with some, of the same model trained on all clips: the table is kept there. "
            "May be given several times.  [default: only print it]"
        ),
    ] = None,
    default: Annotated[
        float | None, typer.Option(help="Effort of a run that names none.  [default: the recipe's]")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.  [default: $ADASGN_DATA]")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the table to this file.")] = None,
) -> None:
    """Measure what each effort costs and how accurate it is, on clips held out of training.

    A model that escalates sends every clip through its first branch, and those that it is unsure of through the next.
    Effort 0 stops at the first, 1 sends everything through all; between them it is a scale of expected cost. Which
    confidence that takes is read off the models of folds, each on the people that it was not trained on. Never off the
    test split, whose accuracy would then be chosen and not measured.

    Of a causal model, for streams, the thresholds are chosen by which gestures start and end, on recordings held out.

    Example: `adasgn-edge calibrate runs/shrec14-joint-folds --into runs/shrec14-joint`
    """
    import json

    from adasgn_edge.cli.calibrate_online import calibrate_online
    from adasgn_edge.cli.console import console
    from adasgn_edge.cli.terminal import printable
    from adasgn_edge.effort import DEFAULT_EFFORT
    from adasgn_edge.errors import EffortError
    from adasgn_edge.files import check_output, write_text
    from adasgn_edge.model.weights import load_weights
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.calibration import held_out_levels, write_effort
    from adasgn_edge.train.report import find_weights

    if default is not None and not 0 <= default <= 1:
        raise EffortError(f"--default: expected an effort from 0 to 1, found {default:g}")
    if json_file is not None:
        check_output(json_file, option="--json")
    if load_weights(find_weights(folds)[0]).model.config.causal is not None:
        calibrate_online(folds, into or [], default, root, json_file)
        return
    targets = _targets(into or [])
    opened: dict[str, SkeletonDataset] = {}

    def open_for(trained: TrainedModel) -> SkeletonDataset:
        from adasgn_edge.data.registry import open_dataset

        name = str(trained.provenance["dataset"])
        if name not in opened:
            opened[name] = open_dataset(name, root, progress=RichProgress())
        return opened[name]

    held_out = held_out_levels(folds, open_for, RichProgress())
    table = held_out.table(DEFAULT_EFFORT if default is None else default)
    console.print(_table(table, len(held_out.labels), held_out.models))
    if json_file is not None:
        write_text(json_file, json.dumps(table.to_json(), indent=1) + "\n")
    for path in targets:
        kept = write_effort(path, held_out.config, table, default)
        typer.echo(f"{printable(path)}: effort table kept, default effort {kept.default:g}")


def _targets(into: list[Path]) -> list[Path]:
    """The weights that the table goes to: those of models that escalate."""
    from adasgn_edge.errors import CheckpointError
    from adasgn_edge.model.weights import load_weights
    from adasgn_edge.train.report import find_weights

    result = []
    for path in into:
        chosen = [found for found in find_weights(path) if load_weights(found).model.config.escalates]
        if not chosen:
            raise CheckpointError(f"{path}: expected a model that escalates (stage adasgn-shared), found none")
        result += chosen
    return result


def _table(table: EffortTable, clips: int, models: int) -> object:
    from rich.table import Table

    shown = Table(title=f"{clips} clips held out, judged by {models} models")
    for column in ("effort", "goes on below", "1e6 MACs a clip", "accuracy %"):
        shown.add_column(column, justify="right")
    for point in table.points:
        accuracy = "" if point.accuracy is None else f"{100 * point.accuracy:.2f}"
        threshold = "all" if point.threshold > 1 else f"{point.threshold:.3f}"
        shown.add_row(f"{point.effort:g}", threshold, f"{point.macs / 1e6:.2f}", accuracy)
    return shown
