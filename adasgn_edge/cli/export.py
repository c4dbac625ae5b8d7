"""``adasgn-edge export``: trained weights to one deployable file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adasgn_edge.cli.terminal import printable

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
    onnx: Annotated[
        Path | None,
        typer.Option(help="Also write ONNX: a file ending in .onnx, or for AdaSGN a folder of its graphs."),
    ] = None,
) -> None:
    """Write trained weights as one `.adasgn` file that runs without torch.

    Example: `adasgn-edge export runs/shrec14/seed-1/adasgn-a1/model.safetensors -o gestures.adasgn`
    """
    from adasgn_edge.errors import OutputError
    from adasgn_edge.export import MODEL_ENDING, export_weights
    from adasgn_edge.files import check_output

    check_output(out, (MODEL_ENDING,), "--out", "ONNX is written by --onnx")
    if onnx is not None:
        check_onnx_output(onnx)
    for path in filter(None, (out, onnx)):
        if path.exists() and checkpoint.exists() and path.samefile(checkpoint):
            raise OutputError(f"{path}: expected another file than the weights that are read")
    model = export_weights(checkpoint, out, window, half)
    config = model.config
    source = "given" if window is not None else "from training" if "window" in model.provenance else "default"
    typer.echo(
        f"{printable(out)}: {model.kind}, {out.stat().st_size / 1e6:.2f} MB, {model.precision}; "
        f"layout {printable(model.layout.name)}, stream {model.stream}, "
        f"{config.frames} frames in {model.window:g} s ({source}), {config.classes} classes"
    )
    columns = " ".join(f"{name:>8s}" for name in model.costs)
    typer.echo(f"cost of a clip in 1e6 MACs, all frames in one branch\n{'':8s}{columns}")
    for name, *macs in zip(config.branch_names, *model.costs.values(), strict=True):
        typer.echo(f"{name:8s}{' '.join(f'{count / 1e6:8.2f}' for count in macs)}")
    if onnx is not None:
        from adasgn_edge.model.weights import load_weights
        from adasgn_edge.onnx_graphs import write_onnx
        from adasgn_edge.progress import RichProgress

        for path in write_onnx(load_weights(checkpoint).model, onnx, RichProgress()):
            typer.echo(f"{printable(path)}: {path.stat().st_size / 1e6:.2f} MB")


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
