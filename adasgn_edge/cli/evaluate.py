"""``adasgn-edge eval``: accuracy, cost and action shares of trained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adasgn_edge.data.dataset import SkeletonDataset
    from adasgn_edge.model.config import Branch
    from adasgn_edge.train.comparison import Comparison
    from adasgn_edge.train.fusion import FusionSummary
    from adasgn_edge.train.report import Measurement, Model, Summary

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
    split: Annotated[
        str, typer.Option(help="train or test; of a model trained on a fold, test is what its fold held out.")
    ] = "test",
    policy: Annotated[
        str, typer.Option(help="argmax (the model's own), random, fuse, or a branch that every frame takes, e.g. B-22.")
    ] = "argmax",
    effort: Annotated[
        str | None,
        typer.Option(
            metavar="<float>,…",
            help="Of models that escalate: a row for each of these efforts, 0 to 1, or `table`, those of its table.  "
            "[default: the model's own]",
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Only these seeds of a run folder, e.g. `1,2`.  [default: all]")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only these stages of a run folder, e.g. `sgn,adasgn-a4`.")] = None,
    fuse: Annotated[
        bool,
        typer.Option(
            "--fuse",
            help="Also average the scores of one model from each path, stage by stage: two or more "
            "runs or files, each of another stream.",
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            help="Test every other model against this one, as the table names it, on the same clips (McNemar). Two "
            "models are compared without it."
        ),
    ] = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Also accuracy and shares of each class.")] = False,
    confusion: Annotated[bool, typer.Option("--confusion", help="Also the confusion matrix.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything to this file.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    on_bad_sample: Annotated[
        str, typer.Option(help="At a broken recording: error, or skip to leave it out and name it.")
    ] = "error",
    missing: Annotated[
        str, typer.Option(help="Joints that were not seen: fill them by the stated rule, or error.")
    ] = "fill",
) -> None:
    """Measure MODELS on a data set's test split, in float32: the columns of the paper's Table 3.

    Accuracy is that of the last epoch, with the middle frame of each segment and argmax routing; beside it stands the
    best epoch of the log, marked as such (the figure that selecting on the test set would report; only where the log
    is of this split, this routing and this data). Costs are 1e9 MACs a clip: `paper` counts convolutions only, `full`
    everything, the policy included.

    Models that differ in nothing but their seed make one row, mean ± standard deviation; all others a row each. The
    95 % interval says where the mean may lie for other subjects (whole subjects, or whatever the data set's groups
    are, are drawn anew) and other seeds; with fewer than five groups for other clips, which is too narrow for people
    the model has not seen.

    A run of `train --folds K` is measured fold by fold, each model on the clips that it was trained without: the
    accuracy over all of them, each once, and mean ± standard deviation over folds; not on the test split.

    Examples: `adasgn-edge eval runs/shrec14-joint --per-class` · `adasgn-edge eval --fuse joint/ bone/ velocity/` ·
    `adasgn-edge eval runs/shrec14-joint-folds --against sgn --json eval.json`
    """
    import json

    from adasgn_edge.cli.console import console
    from adasgn_edge.cli.option_values import numbers
    from adasgn_edge.files import check_output, write_text
    from adasgn_edge.model.weights import shipped_weights
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.devices import choose_device
    from adasgn_edge.train.fusion import fuse as fuse_sources
    from adasgn_edge.train.report import measure, models_of, plain, summarise

    if split not in ("train", "test"):
        raise typer.BadParameter(f"--split: expected train or test, found {split[:80]!r}")
    if json_file is not None:
        check_output(json_file, option="--json")
    route, target = _policy(policy), str(choose_device(device))
    wanted_seeds = set(numbers(seeds, int, "--seeds")) if seeds else None
    sources = _find(models or [shipped_weights()], only, wanted_seeds)
    opened = _Datasets(data, root, on_bad_sample, missing)
    if split == "test":
        sources = _with_test_clips(sources, opened)
    measured: dict[Path, Measurement] = {}
    more: list[Measurement] = []
    for path in [path for _, paths in sources for path in paths]:
        if path not in measured:
            rows = [
                measure(path, opened.of(path), route, split, target, RichProgress(), wanted)
                for wanted in _efforts(path, effort)
            ]
            measured[path], more = rows[0], more + rows[1:]

    found = models_of([*measured.values(), *more])
    summaries = summarise(found)
    on_folds = "held out of folds" if split == "test" else "training clips of folds"
    for title, folds in ((f"{split} split", False), (on_folds, True)):
        if chosen := [pair for pair in zip(summaries, found, strict=True) if bool(pair[1].folds) == folds]:
            console.print(_table(f"{title}, {policy} routing", *zip(*chosen, strict=True)))
    comparisons = _comparisons(found, against)
    for comparison in comparisons:
        console.print(_comparison_table(comparison))
    result: dict[str, object] = {
        "policy": policy,
        "split": split,
        "models": [summary.to_dict() for summary in summaries],
        "comparisons": [comparison.to_dict() for comparison in comparisons],
    }
    if fuse:
        fusions = fuse_sources([(source, [measured[path] for path in paths]) for source, paths in sources])
        console.print(_fusion_table(fusions))
        result["fusion"] = [fusion.to_dict() for fusion in fusions]
    for m in (*measured.values(), *more):
        if per_class:
            console.print(_class_table(m))
        if confusion:
            console.print(_confusion_table(m))
    result["each"] = [_details(m) for m in (*measured.values(), *more)]
    result["clips"] = {
        m.data: {"names": m.names, "groups": m.groups, "labels": m.evaluation.labels} for m in measured.values()
    }
    if json_file is not None:
        write_text(json_file, json.dumps(plain(result), indent=1, allow_nan=False) + "\n")


class _Datasets:
    """Data sets opened once each, by the name that the weights give or `--data`."""

    def __init__(self, data: str | None, root: Path | None, on_bad_sample: str, missing: str) -> None:
        self._data, self._root = data, root
        self._on_bad_sample, self._missing = on_bad_sample, missing
        self._opened: dict[str, SkeletonDataset] = {}

    def of(self, path: Path) -> SkeletonDataset:
        from adasgn_edge.cli.console import plain_warnings
        from adasgn_edge.data.registry import open_dataset
        from adasgn_edge.model.weights import load_weights
        from adasgn_edge.progress import RichProgress
        from adasgn_edge.train.own import all_training, trained_on_all
        from adasgn_edge.wording import warn

        provenance = load_weights(path).provenance
        name = self._data or provenance.get("dataset")
        if name is None:
            raise typer.BadParameter(f"{path} does not say what it was trained on; give --data")
        if name not in self._opened:
            with plain_warnings():
                self._opened[name] = open_dataset(
                    name, self._root, on_bad_sample=self._on_bad_sample, missing=self._missing, progress=RichProgress()
                )
        dataset = self._opened[name]
        if trained_on_all(provenance, dataset):
            return all_training(dataset)
        if (
            "fold" not in provenance
            and self._data is None
            and provenance.get("dataset_digest") not in (None, dataset.digest)
        ):
            with plain_warnings():
                warn(f"{path}: {name} has changed since this model was trained on it", stacklevel=2)
        return dataset


def _find(models: Sequence[Path], stages: str | None, seeds: set[int] | None) -> list[tuple[Path, list[Path]]]:
    """The weights below each path that was given, of the stages and seeds wanted; every one of these must be there."""
    from adasgn_edge.model.weights import load_weights
    from adasgn_edge.train.report import find_weights

    wanted = {name.strip() for name in stages.split(",")} if stages else None
    sources, known_stages, known_seeds = [], set(), set()
    for model in models:
        chosen = []
        for path in find_weights(model):
            provenance = load_weights(path).provenance
            stage, seed = provenance.get("stage"), provenance.get("seed")
            known_stages.add(str(stage))
            known_seeds.add(seed)
            if (wanted is None or stage in wanted) and (seeds is None or seed in seeds):
                chosen.append(path)
        sources.append((model, chosen))
    if wanted is not None and (missing := sorted(wanted - known_stages)):
        raise typer.BadParameter(f"--only: expected among {', '.join(sorted(known_stages))}, found {missing[0]!r}")
    if seeds is not None and (lacking := sorted(seeds - known_seeds)):
        raise typer.BadParameter(f"--seeds: expected among {', '.join(map(str, known_seeds))}, found {lacking[0]}")
    for model, chosen in sources:
        if not chosen:
            raise typer.BadParameter(f"{model}: no model with these stages and seeds was found there")
    return sources


def _with_test_clips(sources: Sequence[tuple[Path, list[Path]]], opened: _Datasets) -> list[tuple[Path, list[Path]]]:
    """The sources without models that `train FOLDER` trained on every clip: those of its folds tell how good it is."""
    from adasgn_edge.cli.console import console

    result = []
    for model, paths in sources:
        left = [path for path in paths if _is_fold(path) or (opened.of(path).split == "test").any()]
        if not left:
            raise typer.BadParameter(
                f"{model}: trained on every clip of its data set, so that none is left to test it; measure the run's "
                "folder, which holds models of folds too, or --split train"
            )
        if len(left) < len(paths):
            passed = ", ".join(str(path) for path in paths if path not in left)
            console.print(f"Trained on every clip, and so judged by the models of folds: {passed}")
        result.append((model, left))
    return result


def _is_fold(path: Path) -> bool:
    from adasgn_edge.model.weights import load_weights

    return "fold" in load_weights(path).provenance


def _efforts(path: Path, text: str | None) -> Sequence[float | None]:
    """The efforts that a model is measured at; None for its own, and for models that have none."""
    from adasgn_edge.cli.option_values import numbers
    from adasgn_edge.model.weights import load_weights

    trained = load_weights(path)
    if text is None or not trained.model.config.escalates:
        return [None]
    if text == "table":
        if trained.effort is None:
            raise typer.BadParameter(f"--effort table: {path} has none; `adasgn-edge calibrate` makes one")
        return [point.effort for point in trained.effort.points]
    return numbers(text, float, "--effort")


def _policy(text: str) -> str | Branch:
    from adasgn_edge.model.config import Branch
    from adasgn_edge.train.evaluate import POLICIES

    return text if text in POLICIES else Branch.parse(text)


def _comparisons(models: Sequence[Model], against: str | None) -> list[Comparison]:
    """Every other model against the one named; without a name two that can be compared, if there are just two."""
    from adasgn_edge.cli.console import console
    from adasgn_edge.errors import ModelConfigError
    from adasgn_edge.train.comparison import compare

    if against is not None:
        reference = next((model for model in models if model.name == against), None)
        if reference is None:
            names = ", ".join(repr(model.name) for model in models)
            raise typer.BadParameter(f"--against: expected one of {names[:400]}, found {against[:80]!r}")
        return [compare(model, reference) for model in models if model is not reference]
    if len(models) != 2:
        return []
    try:
        return [compare(models[1], models[0])]
    except ModelConfigError as error:
        console.print(f"not compared: {error}")
        return []


def _table(title: str, rows: Sequence[Summary], models: Sequence[Model]) -> object:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    branches = max((model.runs[0][0].trained.model.config.branch_names for model in models), key=len)
    folds = any(row.folds for row in rows)
    table = Table(title=title)
    columns = ["model", "seeds", "accuracy %", "95 %", "(best epoch)", "GFLOPs: paper", "full"]
    if folds:
        columns[2:2] = ["folds"]
        columns[5:5] = ["by fold"]
    for column in columns:
        # A name may be as long as a path: it folds, numbers never do.
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=column != "model")
    adaptive = len(branches) > 1
    if adaptive:
        table.add_column(" ".join(f"{name:>5s}" for name in branches) + "  %", no_wrap=True)
    for row in rows:
        deviation = f" ± {100 * row.accuracy_deviation:.2f}" if row.seeds > 1 else ""
        best = "" if row.best_epoch != row.best_epoch else f"{100 * row.best_epoch:.2f}"
        interval = f"{100 * row.interval.low:.1f} – {100 * row.interval.high:.1f}"
        cells = [row.name, str(row.seeds), f"{100 * row.accuracy:.2f}{deviation}", interval, best]
        if row.folds:
            count, number = row.folds["count"], len(row.folds["found"])
            cells[2:2] = [str(count) if number == count else f"{number} of {count}"]
            spread = f" ± {100 * row.folds['deviation']:.2f}" if number > 1 else ""
            cells[5:5] = [f"{100 * row.folds['accuracy']:.2f}{spread}"]
        cells += [f"{row.paper_gflops:.4f}", f"{row.full_gflops:.4f}"]
        if adaptive:
            cells.append(" ".join(f"{100 * share:5.1f}" for share in row.shares) if len(row.shares) > 1 else "")
        table.add_row(*cells)
    measured = {(row.interval.method, row.interval.covers, row.clips, row.groups) for row in rows}
    said = "; ".join(
        f"{method}, for {covers} ({clips} clips{f' of {groups} groups' if groups else ''})"
        for method, covers, clips, groups in sorted(measured)
    )
    return Group(table, Text(f"95 %: {said}"))


def _comparison_table(comparison: Comparison) -> object:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    first, second = comparison.first, comparison.second
    table = Table(title=f"{first} less {second}, on the same {comparison.clips} clips")
    for column in ("seed", f"only {first} right", f"only {second} right", "p (McNemar)"):
        table.add_column(column, justify="right")
    for pair in comparison.pairs:
        alike = pair.first_seed == pair.second_seed
        seed = pair.first_seed if alike else f"{pair.first_seed}, {pair.second_seed}"
        table.add_row("" if seed is None else str(seed), str(pair.only_first), str(pair.only_second), f"{pair.p:.3g}")
    interval = comparison.interval
    kinds = (
        ("clips", comparison.p_clips),
        (f"{comparison.groups} groups", comparison.p_groups),
        (f"{len(comparison.pairs)} seeds", comparison.p_seeds),
    )
    said = (
        f"difference {100 * comparison.difference:+.2f} points, 95 % {100 * interval.low:+.2f} to "
        f"{100 * interval.high:+.2f} for {interval.covers}; p by "
        + ", by ".join(f"{what} {p:.3g}" for what, p in kinds if p is not None)
    )
    return Group(table, Text(said))


def _fusion_table(rows: Sequence[FusionSummary]) -> object:
    from rich.table import Table

    table = Table(title=f"{len(rows[0].streams)} streams fused: {', '.join(rows[0].streams)}")
    for column in ("stage", "seeds", "accuracy %", "GFLOPs: paper", "full"):
        table.add_column(column, justify="left" if column == "stage" else "right", no_wrap=True)
    for row in rows:
        deviation = f" ± {100 * row.accuracy_deviation:.2f}" if row.seeds > 1 else ""
        accuracy = f"{100 * row.accuracy:.2f}{deviation}"
        table.add_row(row.stage, str(row.seeds), accuracy, f"{row.paper_gflops:.4f}", f"{row.full_gflops:.4f}")
    return table


def _title(m: Measurement, what: str) -> str:
    seed = "" if m.seed is None else f", seed {m.seed}"
    fold = "" if m.fold is None else f", {m.fold}"
    return f"{m.stage}{seed}{fold}: {what}"


def _percent(share: float) -> str:
    """A share in per cent; a dash where there is none, since no sample was seen."""
    return f"{100 * share:.1f}" if share == share else "–"


def _class_table(m: Measurement) -> object:
    from rich.table import Table

    evaluation = m.evaluation
    names = m.trained.model.config.branch_names if evaluation.actions is not None else ()
    table = Table(title=_title(m, "per class"))
    table.add_column("class")
    for column in ("samples", "accuracy %", *(f"{name} %" for name in names)):
        table.add_column(column, justify="right")
    matrix = evaluation.confusion
    for label, name in enumerate(m.trained.class_names):
        count = int(matrix[label].sum())
        accuracy = f"{100 * matrix[label, label] / count:.1f}" if count else "–"
        shares = evaluation.class_shares[label][: len(names)]
        table.add_row(name, str(count), accuracy, *map(_percent, shares))
    return table


def _confusion_table(m: Measurement) -> object:
    from rich.table import Table

    table = Table(title=_title(m, "confusion (rows: true class, columns: class given)"))
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
        "seed": m.seed,
        "effort": m.effort,
        "run": str(m.run),
        "fold": m.fold and m.fold.to_dict(),
        "accuracy": evaluation.accuracy,
        "best_epoch": m.best_epoch,
        "paper_gflops": evaluation.paper_gflops,
        "full_gflops": evaluation.full_gflops,
        "branches": m.trained.model.config.branch_names,
        "shares": evaluation.shares.tolist(),
        "class_names": m.trained.class_names,
        "class_shares": evaluation.class_shares.tolist(),
        "confusion": evaluation.confusion.tolist(),
        "data": m.data,
        "correct": evaluation.correct.astype(int).tolist(),
    }
