"""``adasgn-edge classify``: labels for clips of one's own."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adasgn_edge.cli.conventions import (
    AxesOption,
    FlipOption,
    GravityOption,
    MirroredOption,
    MirrorOption,
    ScaleOption,
    SideOption,
    SourceOption,
    UnitsOption,
    description_of,
)
from adasgn_edge.cli.device import DeviceOption, EffortOption, PrecisionOption

if TYPE_CHECKING:
    from adasgn_edge.replay import Replay, Update

__all__ = ["command"]


NO_CLIPS = ("labels.csv", "classes.txt", "readme.txt", "layout.json")
"""Files of a folder of recordings that have the ending of a clip."""


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Clips: .csv, .tsv, .txt (also .gz), .npz, .npy, .json, .skeleton; or a folder of them.",
            show_default=False,
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model file (.adasgn), fused streams (.fused), weights, or a run folder with one model.  [default: "
            "the shipped model file]",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "cpu",
    precision: PrecisionOption = None,
    effort: EffortOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many labels to give for a clip.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line in place of a table.")] = False,
    source: SourceOption = None,
    axes: AxesOption = None,
    units: UnitsOption = None,
    mirrored: MirroredOption = None,
    gravity: GravityOption = None,
    side: SideOption = None,
    flip: FlipOption = "",
    mirror: MirrorOption = False,
    scale: ScaleOption = 1.0,
    missing: Annotated[
        str, typer.Option(metavar="fill|error", help="Fill in missing joints, or refuse clips that have some.")
    ] = "fill",
) -> None:
    """Label clips: a line a frame with x y z of every joint, columns by name where they have names; or an array.

    The scores of several persons in a clip are averaged. Without --source joints are the model's, x to the subject's
    right, y up, z away from the camera, metres, a right hand. --flip, --mirror and --scale correct by hand, last. A
    file that cannot be used is named on standard error, the others are still labelled, and the exit status is 1.

    Examples:

    `adasgn-edge classify wave.csv --json`

    `adasgn-edge classify --source mediapipe-hand-21 --axes optical --units m --mirrored --side left hand.csv`

    `adasgn-edge classify --model my-bodies.adasgn --source azure-kinect-32 --axes source --not-mirrored body.csv`
    """
    from adasgn_edge.cli.terminal import complain, json_line
    from adasgn_edge.data.adapter import Adapter
    from adasgn_edge.data.cleaning import MISSING_CHOICES
    from adasgn_edge.data.clips import read_recording
    from adasgn_edge.data.plausibility import doubts
    from adasgn_edge.data.sources import Orientation
    from adasgn_edge.deploy.model_file import model_called
    from adasgn_edge.errors import AdaSGNError, ClipError
    from adasgn_edge.replay import Replay

    if missing not in MISSING_CHOICES:
        raise ClipError(f"--missing: expected one of {', '.join(MISSING_CHOICES)}, found {missing!r}")
    orientation = Orientation(flip, mirror, scale)
    path = model_called(model)
    replay = Replay.load(path, threads=1, device=device, precision=precision, effort=effort)
    description = description_of(replay.layout, source, axes, units, mirrored, gravity, side)
    if description is not None:
        Adapter(description, replay.layout)  # what does not fit is one error, not one for each file
    rows = []
    failed = False
    for argument in files:
        try:
            paths = _clips_in(argument) if argument.is_dir() else [argument]
        except (AdaSGNError, OSError, ValueError) as error:  # OSError, ValueError: a name that no file can have
            message = str(error) if str(argument) in str(error) else f"{argument}: {error}"
            complain(message)
            failed = True
            continue
        for path in paths:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    tracks, cleaning = read_recording(
                        path, replay.layout, missing=missing, description=description, orientation=orientation
                    )
                    for text in doubts(tracks, replay.layout):
                        warnings.warn(text, stacklevel=1)
                    row = _row(path, len(tracks), replay.classify(tracks), replay, top)
                except AdaSGNError as error:
                    message = str(error) if str(path) in str(error) else f"{path}: {error}"
                    complain(message)
                    failed = True
                    continue
            said = list(dict.fromkeys(str(warning.message).removeprefix(f"{path}: ") for warning in caught))
            for text in said:
                complain(f"{path}: warning: {text}")
            row |= {"cleaning": asdict(cleaning), "warnings": said}
            rows.append(row)
            if as_json:
                print(json_line(row), flush=True)
    if rows and not as_json:
        _print_table(rows)
    if failed:
        raise typer.Exit(1)


def _clips_in(folder: Path) -> list[Path]:
    """The clip files in and below a folder, in order of their names; raises DatasetError when there are none."""
    from adasgn_edge.data.clips import CLIP_ENDINGS, is_clip_name
    from adasgn_edge.data.walking import files_below
    from adasgn_edge.errors import DatasetError

    files = sorted(folder / name for name in files_below(folder, lambda _: True))
    clips = [path for path in files if is_clip_name(path.name) and path.name.lower() not in NO_CLIPS]
    if not clips:
        others = f"{len(files)} other files, such as {files[0].relative_to(folder)}" if files else "no files"
        raise DatasetError(f"{folder}: expected clips ({', '.join(CLIP_ENDINGS)}) in the folder, found {others}")
    return clips


def _row(path: Path, persons: int, update: Update, replay: Replay, top: int) -> dict[str, Any]:
    """One clip's result as plain values; cost in MACs."""
    names, cost = replay.class_names, update.cost
    shares = dict(zip(replay.branch_names, replay.shares(update.actions).tolist(), strict=True))
    return {
        "file": str(path),
        "label": names[update.label],
        "confidence": round(update.confidence, 6),
        "top": [{"label": names[label], "confidence": round(value, 6)} for label, value in update.top(top)],
        "persons": persons,
        "frames": update.frames,
        "device": replay.device,
        "precision": replay.precision,
        "action_shares": shares,
        "cost": {
            "paper": cost.paper,
            "full": cost.full,
            "dense_paper": cost.dense_paper,
            "dense_full": cost.dense_full,
        },
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from adasgn_edge.cli.console import SafeConsole

    table = Table(show_lines=True)
    table.add_column("file", overflow="fold")
    table.add_column("label", no_wrap=True)
    table.add_column("frames by branch; cost, share of dense SGN's")
    for row in rows:
        cost = row["cost"]
        labels = Text("\n").join(
            Text(f"{entry['confidence']:6.1%}  {entry['label']}", "" if place else "bold")
            for place, entry in enumerate(row["top"])
        )
        shares = "  ".join(f"{name} {share:.0%}" for name, share in row["action_shares"].items() if share > 0)
        persons = f", {row['persons']} persons" if row["persons"] > 1 else ""
        cleaned = "".join(f"\n{what.replace('_', ' ')}: {count}" for what, count in row["cleaning"].items() if count)
        table.add_row(
            Text(f"{row['file']}\n{row['frames']} frames{persons}{cleaned}"),
            labels,
            f"{shares}\n"
            f"paper's count {cost['paper'] / 1e9:.4f} GMAC, {cost['paper'] / cost['dense_paper']:.0%}\n"
            f"full count    {cost['full'] / 1e9:.4f} GMAC, {cost['full'] / cost['dense_full']:.0%}",
        )
    SafeConsole().print(table)
