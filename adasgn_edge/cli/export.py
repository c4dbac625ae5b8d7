"""``adasgn-edge export``: trained weights to one deployable file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adasgn_edge.cli.terminal import printable

if TYPE_CHECKING:
    from adasgn_edge.data.dataset import SkeletonDataset

__all__ = ["command"]


def command(
    checkpoint: Annotated[
        Path, typer.Argument(help="Trained weights (model.safetensors): AdaSGN, dense SGN or a single branch.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The model file to write.")] = Path("model.adasgn"),
    half: Annotated[bool, typer.Option("--half", help="Store the matrices in half precision.")] = False,
    window: Annotated[
        float | None,
        typer.Option(
            help="Seconds that a clip spans when streaming.  [default: the median training clip's where the frame rate "
            "is known, else 2]"
        ),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Measure how often AdaSGN's policy picks each branch, which the CUDA engine plans by: on the training "
            "clips of this data set, a public one's name, a folder of recordings or a .skeletons file.  [default: what "
            "training noted in the weights]",
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the data sets, for --calibrate.  [default: $ADASGN_DATA]")
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option(help="Also write ONNX: a file ending in .onnx, or for AdaSGN a folder of its graphs."),
    ] = None,
) -> None:
    """Write trained weights as one `.adasgn` file that runs without torch.

    Example: `adasgn-edge export runs/shrec14/seed-1/adasgn-a1/model.safetensors -o gestures.adasgn`
    """
    from functools import partial

    from adasgn_edge.errors import OutputError
    from adasgn_edge.export import MODEL_ENDING, export_weights
    from adasgn_edge.files import check_output
    from adasgn_edge.progress import RichProgress

    check_output(out, (MODEL_ENDING,), "--out", "ONNX is written by --onnx")
    if onnx is not None:
        check_onnx_output(onnx)
    for path in filter(None, (out, onnx)):
        if path.exists() and checkpoint.exists() and path.samefile(checkpoint):
            raise OutputError(f"{path}: expected another file than the weights that are read")
    calibration = partial(_open, calibrate, root) if calibrate is not None else None
    model = export_weights(checkpoint, out, window, half, calibration, RichProgress())
    config = model.config
    source = "given" if window is not None else "from training" if "window" in model.provenance else "default"
    typer.echo(
        f"{printable(out)}: {model.kind}, {out.stat().st_size / 1e6:.2f} MB, {model.precision}; "
        f"layout {printable(model.layout.name)}, stream {model.stream}, "
        f"{config.frames} frames in {model.window:g} s ({source}), {config.classes} classes"
    )
    columns = dict(model.costs)
    heads = [f"{name:>8s}" for name in columns]
    rows = [[f"{count / 1e6:8.2f}" for count in row] for row in zip(*columns.values(), strict=True)]
    if model.action_shares is not None:
        heads.append(f"{'frames %':>10s}")
        rows = [[*row, f"{100 * share:10.2f}"] for row, share in zip(rows, model.action_shares, strict=True)]
    typer.echo(f"cost of a clip in 1e6 MACs, all frames in one branch\n{'':8s}{' '.join(heads)}")
    for name, row in zip(config.branch_names, rows, strict=True):
        typer.echo(f"{name:8s}{' '.join(row)}")
    if config.adaptive and model.action_shares is None:
        typer.echo("How often the policy picks each branch is not known: --calibrate DATA measures it.")
    if onnx is not None:
        from adasgn_edge.model.weights import load_weights
        from adasgn_edge.onnx_graphs import write_onnx

        for path in write_onnx(load_weights(checkpoint).model, onnx, RichProgress()):
            typer.echo(f"{printable(path)}: {path.stat().st_size / 1e6:.2f} MB")


def _open(data: str, root: Path | None) -> SkeletonDataset:
    """The data set of --calibrate."""
    from adasgn_edge.cli.console import plain_warnings
    from adasgn_edge.data.registry import open_dataset
    from adasgn_edge.progress import RichProgress

    with plain_warnings():
        return open_dataset(data, root, progress=RichProgress())


def check_onnx_output(onnx: Path) -> None:
    """Raise OutputError for a name that is neither a file's ending in .onnx nor a folder's."""
    from adasgn_edge.errors import OutputError
    from adasgn_edge.files import check_output

    if onnx.suffix == ".onnx":
        check_output(onnx, option="--onnx")
    elif onnx.suffix and not onnx.is_dir():
        raise OutputError(f"--onnx: expected a file ending in .onnx or a folder, found {str(onnx)!r}")
    else:
        check_output(onnx / "policy.onnx", option="--onnx")
