"""``adasgn-edge export``: trained weights to one deployable file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    from adasgn_edge.export import export_weights

    model = export_weights(checkpoint, out, window, half)
    config = model.config
    source = "given" if window is not None else "from training" if "window" in model.provenance else "default"
    typer.echo(
        f"{out}: {model.kind}, {out.stat().st_size / 1e6:.2f} MB, {model.precision}; layout {model.layout.name}, "
        f"stream {model.stream}, {config.frames} frames in {model.window:g} s ({source}), {config.classes} classes"
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
            typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
