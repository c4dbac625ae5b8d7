"""``adasgn-edge plot``: pictures of a run."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from adasgn_edge.data.dataset import SkeletonDataset
    from adasgn_edge.model.weights import TrainedModel

__all__ = ["command"]


class Kind(str, enum.Enum):
    """What to draw."""

    tradeoff = "tradeoff"
    shares = "shares"
    filmstrip = "filmstrip"
    curves = "curves"


def command(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="tradeoff: accuracy against cost (the paper's Figure 3); shares: branches taken per class; "
            "filmstrip: a clip with the joints kept in each frame (Figure 4); curves: the training log."
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Argument(
            help="A run folder; for tradeoff also a file of `eval --json`; for shares and filmstrip weights, or a "
            "folder with one model.  [default: the shipped model]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Picture to write.  [default: <kind>.png]")] = None,
    convention: Annotated[str, typer.Option(help="Cost counted as in the `paper` or in `full`.")] = "paper",
    sample: Annotated[
        str | None, typer.Option(help="filmstrip: name or number of a test sample, or a clip file.  [default: 0]")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="filmstrip: how many frames to show.")] = 10,
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.  [default: $ADASGN_DATA]")] = None,
) -> None:
    """Draw a picture of results.

    Example: `adasgn-edge eval runs/shrec14-joint --json eval.json && adasgn-edge plot tradeoff eval.json`
    """
    from adasgn_edge import plots
    from adasgn_edge.cli.console import console

    if convention not in ("paper", "full"):
        raise typer.BadParameter(f"--convention: expected paper or full, found {convention}")
    path = out or Path(f"{kind.value}.png")
    plots.check_picture(path)
    if kind is Kind.tradeoff:
        if source is None:
            raise typer.BadParameter("tradeoff needs a run folder, or the file that `eval --json FILE` wrote")
        rows = _measure_models(source, root) if source.is_dir() else _read_models(source)
        figure = plots.accuracy_against_cost(rows, "AdaSGN: accuracy against cost", convention)
    elif kind is Kind.curves:
        figure = plots.training_curves(_read_logs(source or Path("runs")), str(source or "runs"))
    elif kind is Kind.shares:
        figure = _shares(source, root)
    else:
        figure = _filmstrip(source, sample or "0", frames, root)
    plots.save(figure, path)
    console.print(f"wrote {path}")


def _read_models(source: Path) -> list[dict[str, Any]]:
    """The rows of a file of `eval --json`, checked."""
    from adasgn_edge.errors import DatasetError
    from adasgn_edge.text_file import read_json
    from adasgn_edge.wording import shown

    content = read_json(source, "a file written by `adasgn-edge eval --json`", DatasetError)
    expected = f"{source}: expected a file written by `adasgn-edge eval --json`, found"
    try:
        models = content["models"]
        rows = [{**row, "stage": str(row.get("stage", row["name"])), "name": str(row["name"])} for row in models]
        for row in rows:
            for figure in ("accuracy", "paper_gflops", "full_gflops"):
                if not 0 <= row[figure] < float("inf"):
                    raise ValueError(f"{figure} = {row[figure]} in {row['name'][:40]!r}")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{expected} {shown(error, 200)}") from None
    if not rows:
        raise DatasetError(f"{expected} one without models")
    return rows


def _measure_models(run: Path, root: Path | None) -> list[dict[str, Any]]:
    """The models below a run folder, measured as `eval` does."""
    from adasgn_edge.model.weights import load_weights
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.report import find_weights, measure, models_of, summarise

    opened: dict[object, SkeletonDataset] = {}
    measured = []
    for path in find_weights(run):
        trained = load_weights(path)
        name = trained.provenance.get("dataset")
        if name not in opened:
            opened[name] = _open_dataset(trained, path, root)
        measured.append(measure(path, opened[name], progress=RichProgress()))
    return [summary.to_dict() for summary in summarise(models_of(measured))]


def _read_logs(source: Path) -> dict[str, list[dict[str, Any]]]:
    """The logs below a run folder, or one log; named by stage, and where a stage comes twice also by the folders."""
    from adasgn_edge.errors import DatasetError
    from adasgn_edge.train.log import LOG, read_log

    paths = [source] if source.is_file() else sorted(source.glob(f"**/{LOG}"))
    logs = {path: rows for path in paths if (rows := read_log(path))}
    if not logs:
        raise DatasetError(f"{source}: expected a run folder with {LOG} files, found none with an epoch")
    stages = [path.parent.name for path in logs]
    return {
        str(path.parent.relative_to(source)) if stages.count(path.parent.name) > 1 else path.parent.name: rows
        for path, rows in logs.items()
    }


def _open_dataset(trained: TrainedModel, path: Path, root: Path | None) -> SkeletonDataset:
    """The data set that weights were trained on."""
    from adasgn_edge.cli.console import plain_warnings
    from adasgn_edge.data.registry import open_dataset
    from adasgn_edge.errors import DatasetError

    name = trained.provenance.get("dataset")
    if name is None:
        raise DatasetError(f"{path}: the weights do not say what they were trained on")
    with plain_warnings():
        return open_dataset(str(name), root)


def _shares(source: Path | None, root: Path | None) -> Figure:
    from adasgn_edge import plots
    from adasgn_edge.model.weights import load_weights, one_model, shipped_weights
    from adasgn_edge.train.report import measure

    path = one_model(source or shipped_weights())
    dataset = _open_dataset(load_weights(path), path, root)
    m = measure(path, dataset)
    title = f"{m.stage} on {dataset.name}: accuracy {m.evaluation.accuracy:.1%}, {m.evaluation.paper_gflops:.3f} GFLOPs"
    return plots.action_shares(
        m.trained.class_names, m.evaluation.class_shares, m.trained.model.config.branch_names, title
    )


def _filmstrip(source: Path | None, sample: str, frames: int, root: Path | None) -> Figure:
    import torch

    from adasgn_edge import plots
    from adasgn_edge.data.clips import read_clip
    from adasgn_edge.data.preprocess import make_clip
    from adasgn_edge.errors import DatasetError, ModelConfigError
    from adasgn_edge.model.adasgn import AdaSGN
    from adasgn_edge.model.weights import load_weights, one_model, shipped_weights

    path = one_model(source or shipped_weights())
    trained = load_weights(path)
    model, layout = trained.model, trained.layout
    if not isinstance(model, AdaSGN):
        raise ModelConfigError(
            f"{path}: a filmstrip shows the branches that a policy picks for each frame, found a model without policy"
        )
    if any(branch.pose for branch in model.config.branches):
        raise ModelConfigError(f"{path}: a filmstrip shows joints that were kept; a pose branch keeps them all")
    if Path(sample).is_file():
        name, truth, track = Path(sample).name, "", read_clip(Path(sample), layout)[0]
    else:
        dataset = _open_dataset(trained, path, root)
        test = dataset.indices("test")
        if sample.isdigit() and int(sample) < len(test):
            index = int(test[int(sample)])
        elif sample in dataset.names:
            index = dataset.names.index(sample)
        else:
            raise DatasetError(f"expected a sample's name, a number below {len(test)} or a file, found {sample!r}")
        name, truth, track = dataset.names[index], dataset.class_names[dataset.labels[index]], dataset.tracks(index)[0]
    clip = make_clip(track, layout, model.config.frames, trained.stream)
    with torch.no_grad():
        prediction = model(torch.from_numpy(clip)[None])
    assert prediction.actions is not None
    given = trained.class_names[int(prediction.logits.argmax())]
    title = f"{name}: {truth or 'unknown'}, recognised as {given}"
    state = model.state_dict()
    transforms = [state[f"branches.{action}.transform"].numpy() for action in range(len(model.branches))]
    positions = make_clip(track, layout, model.config.frames, "joint")
    actions = prediction.actions[0].numpy()
    return plots.filmstrip(positions, actions, transforms, model.config.branch_names, layout, title, frames)
