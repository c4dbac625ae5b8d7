"""``adasgn-edge export``: trained weights to one deployable file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adasgn_edge.cli.terminal import printable

if TYPE_CHECKING:
    from adasgn_edge.data.dataset import SkeletonDataset
    from adasgn_edge.deploy.model_file import ModelFile

__all__ = ["command"]


def command(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            metavar="WEIGHTS...",
            help="Trained weights (model.safetensors), or a run folder with one model: AdaSGN, dense SGN or one "
            "branch. Several, each of another input stream, make one fused file.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write.  [default: model.adasgn; of several models.fused]"),
    ] = None,
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
    onnx_precision: Annotated[
        str | None,
        typer.Option(
            metavar="f32|f16",
            help="Of --onnx, branches in binary16, the rest in float32 (default f32); of --tensorrt-onnx, the plugin's "
            "(default f16).",
            show_default=False,
        ),
    ] = None,
    tensorrt_onnx: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.onnx",
            help="Also write the model for TensorRT: one node, the plugin with the model file in it, for trtexec.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write trained weights as one `.adasgn` file that runs without torch.

    Weights of the joint, bone and velocity streams (or two of them) make one `.fused` file, with which `classify`
    and `demo` average the streams' probabilities.

    Examples: `adasgn-edge export runs/my-gestures-joint -o gestures.adasgn` ·
    `adasgn-edge export runs/shrec14-joint/seed-1/adasgn-a1 -o gestures.adasgn` ·
    `adasgn-edge export runs/mine-joint runs/mine-bone runs/mine-velocity -o gestures.fused`
    """
    from functools import cache, partial

    from adasgn_edge.deploy.export import MODEL_ENDING, export_fused, export_weights
    from adasgn_edge.deploy.fused_file import FUSED_ENDING
    from adasgn_edge.errors import ModelConfigError, OutputError
    from adasgn_edge.files import check_output
    from adasgn_edge.model.weights import load_weights, one_model
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.wording import shown

    weights = [one_model(path) for path in checkpoints]
    several = len(weights) > 1
    if several:
        out = out or Path("models.fused")
        check_output(out, (FUSED_ENDING,), "--out", "several models make a fused file")
        for option, path in (("--onnx", onnx), ("--tensorrt-onnx", tensorrt_onnx)):
            if path is not None:
                raise OutputError(f"{option}: expected one model, found {len(weights)}")
    else:
        out = out or Path("model.adasgn")
        check_output(out, (MODEL_ENDING,), "--out", "ONNX is written by --onnx")
    if onnx is not None:
        check_onnx_output(onnx)
    if tensorrt_onnx is not None:
        check_output(tensorrt_onnx, (".onnx",), "--tensorrt-onnx")
    if onnx_precision is not None and (onnx_precision not in ("f32", "f16") or not (onnx or tensorrt_onnx)):
        expected = "f32 or f16" if onnx or tensorrt_onnx else "it beside --onnx or --tensorrt-onnx"
        raise ModelConfigError(f"--onnx-precision: expected {expected}, found {shown(onnx_precision)}")
    for path in filter(None, (out, onnx, tensorrt_onnx)):
        if any(path.exists() and read.exists() and path.samefile(read) for read in weights):
            raise OutputError(f"{path}: expected another file than the weights that are read")
    calibration = cache(partial(_open, calibrate, root)) if calibrate is not None else None
    options = (window, half, calibration, RichProgress())
    models = export_fused(weights, out, *options) if several else [export_weights(weights[0], out, *options)]
    if several:
        typer.echo(f"{printable(out)}: {len(models)} models, {out.stat().st_size / 1e6:.2f} MB")
    for model in models:
        _describe(model, model.stream if several else f"{out}", window is not None)
    written = []
    if onnx is not None:
        from adasgn_edge.deploy.onnx_graphs import write_onnx

        written += write_onnx(load_weights(weights[0]).model, onnx, RichProgress(), onnx_precision or "f32")
    if tensorrt_onnx is not None:
        from adasgn_edge.tensorrt.plugin_graph import write_plugin_graph

        write_plugin_graph(models[0], tensorrt_onnx, onnx_precision or "f16")
        written.append(tensorrt_onnx)
    for path in written:
        typer.echo(f"{printable(path)}: {path.stat().st_size / 1e6:.2f} MB")


def _describe(model: ModelFile, name: str, given: bool) -> None:
    """Say what was written, and what a clip costs; given: whether the window was."""
    config = model.config
    known = model.recognition is not None or "window" in model.provenance
    source = "given" if given else "from training" if known else "default"
    typer.echo(
        f"{printable(name)}: {model.kind}, {len(model.to_bytes()) / 1e6:.2f} MB, {model.precision}; "
        f"layout {printable(model.layout.name)}, stream {model.stream}, "
        f"{config.clip_frames} frames in {model.window:g} s ({source}), {config.classes} classes"
    )
    columns = dict(model.costs)
    heads = [f"{name:>8s}" for name in columns]
    rows = [[f"{count / 1e6:8.2f}" for count in row] for row in zip(*columns.values(), strict=True)]
    if model.action_shares is not None:
        heads.append(f"{'frames %':>10s}")
        rows = [[*row, f"{100 * share:10.2f}"] for row, share in zip(rows, model.action_shares, strict=True)]
    typer.echo(f"cost of a clip in 1e6 MACs, all frames in one branch\n{'':8s}{' '.join(heads)}")
    for branch, row in zip(config.branch_names, rows, strict=True):
        typer.echo(f"{branch:8s}{' '.join(row)}")
    if config.adaptive and model.action_shares is None:
        typer.echo("How often the policy picks each branch is not known: --calibrate DATA measures it.")


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
