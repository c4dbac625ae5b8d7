"""``adasgn-edge eval``: accuracy, cost and action shares of trained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adasgn_edge.model.config import Branch
    from adasgn_edge.train.report import Measurement, Summary

__all__ = ["command"]


def command(
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Weights files or run folders.  [default: the shipped model]", show_default=False),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set to measure on.  [default: the one each model was trained on]")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.  [default: $ADASGN_DATA]")] = None,
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    policy: Annotated[
        str, typer.Option(help="argmax (the model's own), random, fuse, or a branch that every frame takes, e.g. B-22.")
    ] = "argmax",
    seeds: Annotated[
        str | None, typer.Option(help="Only these seeds of a run folder, e.g. `1,2`.  [default: all]")
    ] = None,
    stages: Annotated[str | None, typer.Option(help="Only these stages of a run folder, e.g. `sgn,adasgn-a4`.")] = None,
    fuse: Annotated[
        bool, typer.Option("--fuse", help="Average the scores of the models given: three-stream fusion.")
    ] = False,
    per_class: Annotated[bool, typer.Option("--per-class", help="Also accuracy and shares of each class.")] = False,
    confusion: Annotated[bool, typer.Option("--confusion", help="Also the confusion matrix.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything to this file.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Measure MODELS on a data set's test split, in float32: the columns of the paper's Table 3.

    Accuracy is that of the last epoch, with the middle frame of each segment and argmax routing; beside it stands the
    best epoch of the log, marked as such (the figure that selecting on the test set would report). Costs are 1e9 MACs a
    clip: `paper` counts convolutions only, `full` everything, the policy included.

    Examples: `adasgn-edge eval runs/shrec14-joint --per-class` · `adasgn-edge eval --fuse joint/ bone/ velocity/`
    """
    import json

    from adasgn_edge.cli.console import console
    from adasgn_edge.cli.train import numbers
    from adasgn_edge.data.registry import open_dataset
    from adasgn_edge.files import check_output, write_text
    from adasgn_edge.model.weights import load_weights, shipped_weights
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.loop import choose_device
    from adasgn_edge.train.report import find_weights, fuse_streams, measure, summarise

    if json_file is not None:
        check_output(json_file, option="--json")
    target = str(choose_device(device))
    wanted_stages = set(stages.split(",")) if stages else None
    wanted_seeds = set(numbers(seeds, int, "--seeds")) if seeds else None
    datasets, measured = {}, []
    for path in [weights for model in models or [shipped_weights()] for weights in find_weights(model)]:
        provenance = load_weights(path).provenance
        if wanted_stages is not None and provenance.get("stage") not in wanted_stages:
            continue
        if wanted_seeds is not None and provenance.get("seed") not in wanted_seeds:
            continue
        name = data or provenance.get("dataset")
        if name is None:
            raise typer.BadParameter(f"{path} does not say what it was trained on; give --data")
        if name not in datasets:
            datasets[name] = open_dataset(name, root, progress=RichProgress())
        measured.append(measure(path, datasets[name], _policy(policy), split, target, RichProgress()))
    if not measured:
        raise typer.BadParameter("no model with these stages and seeds was found")

    summaries = summarise(measured)
    console.print(_table(f"{split} split, {policy} routing", summaries, measured))
    result: dict[str, object] = {
        "policy": policy,
        "split": split,
        "models": [summary.to_dict() for summary in summaries],
    }
    if fuse:
        fusion = fuse_streams([m.evaluation for m in measured])
        console.print(
            f"{len(measured)} streams fused: accuracy {fusion.accuracy:.2%}, {fusion.paper_gflops:.4f} GFLOPs (paper), "
            f"{fusion.full_gflops:.4f} (full)"
        )
        result["fusion"] = fusion.__dict__
    for m in measured:
        if per_class:
            console.print(_class_table(m))
        if confusion:
            console.print(_confusion_table(m))
    result["each"] = [_details(m) for m in measured]
    if json_file is not None:
        write_text(json_file, json.dumps(result, indent=1) + "\n")


def _policy(text: str) -> str | Branch:
    from adasgn_edge.model.config import Branch
    from adasgn_edge.train.evaluate import POLICIES

    return text if text in POLICIES else Branch.parse(text)


def _table(title: str, rows: Sequence[Summary], measured: Sequence[Measurement]) -> object:
    from rich.table import Table

    branches = max((m.trained.model.config.branch_names for m in measured), key=len)
    table = Table(title=title)
    for column in ("model", "seeds", "accuracy %", "(best epoch)", "GFLOPs: paper", "full"):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    adaptive = len(branches) > 1
    if adaptive:
        table.add_column(" ".join(f"{name:>5s}" for name in branches) + "  %", no_wrap=True)
    for row in rows:
        deviation = f" ± {100 * row.accuracy_deviation:.2f}" if row.seeds > 1 else ""
        best = "" if row.best_epoch != row.best_epoch else f"{100 * row.best_epoch:.2f}"
        cells = [row.name, str(row.seeds), f"{100 * row.accuracy:.2f}{deviation}", best]
        cells += [f"{row.paper_gflops:.4f}", f"{row.full_gflops:.4f}"]
        if adaptive:
            cells.append(" ".join(f"{100 * share:5.1f}" for share in row.shares) if len(row.shares) > 1 else "")
        table.add_row(*cells)
    return table


def _class_table(m: Measurement) -> object:
    from rich.table import Table

    evaluation = m.evaluation
    table = Table(title=f"{m.stage}: per class")
    table.add_column("class")
    for column in ("samples", "accuracy %", *(f"{name} %" for name in m.trained.model.config.branch_names)):
        table.add_column(column, justify="right")
    matrix = evaluation.confusion
    for label, name in enumerate(m.trained.class_names):
        count = int(matrix[label].sum())
        accuracy = f"{100 * matrix[label, label] / count:.1f}" if count else "–"
        table.add_row(name, str(count), accuracy, *(f"{100 * share:.1f}" for share in evaluation.class_shares[label]))
    return table


def _confusion_table(m: Measurement) -> object:
    from rich.table import Table

    table = Table(title=f"{m.stage}: confusion (rows: true class, columns: class given)")
    table.add_column("class")
    for label in range(len(m.trained.class_names)):
        table.add_column(str(label + 1), justify="right")
    for label, name in enumerate(m.trained.class_names):
        table.add_row(f"{label + 1} {name}", *(str(n) if n else "·" for n in m.evaluation.confusion[label]))
    return table


def _details(m: Measurement) -> dict[str, object]:
    evaluation = m.evaluation
    return {
        "path": str(m.path),
        "stage": m.stage,
        "seed": m.trained.provenance.get("seed"),
        "accuracy": evaluation.accuracy,
        "best_epoch": m.best_epoch,
        "paper_gflops": evaluation.paper_gflops,
        "full_gflops": evaluation.full_gflops,
        "branches": m.trained.model.config.branch_names,
        "shares": evaluation.shares.tolist(),
        "class_names": m.trained.class_names,
        "class_shares": evaluation.class_shares.tolist(),
        "confusion": evaluation.confusion.tolist(),
    }
