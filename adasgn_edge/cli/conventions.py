"""What a command's input is, in joints, axes, side and units: the options that `classify` and `stream` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adasgn_edge.data.description import StreamDescription
    from adasgn_edge.skeletons import SkeletonLayout

__all__ = [
    "AxesOption", "FlipOption", "GravityOption", "MirrorOption", "MirroredOption", "ScaleOption", "SideOption",
    "SourceOption", "UnitsOption", "check_rate", "description_of",
]  # fmt: skip

SourceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Whose joints the input has: mediapipe-hand-21, leap-20, openxr-26, azure-kinect-32, …, the path of a "
        "description of your own, or model for the model's own. With --axes, and what else only you can know.",
        show_default=False,
    ),
]
AxesOption = Annotated[
    str | None,
    typer.Option(
        metavar="AXES",
        help="Where x, y and z point: source (as that source gives them, in its units), model (all was changed "
        "already), optical, ros, or words such as 'left down back', of somebody who faces the sensor.",
        show_default=False,
    ),
]
UnitsOption = Annotated[
    str | None,
    typer.Option(metavar="UNITS", help="m, cm, mm, in, ft, or the metres of one unit.", show_default=False),
]
MirroredOption = Annotated[
    bool | None,
    typer.Option(
        "--mirrored/--not-mirrored",
        help="Whether pictures were mirrored before joints were found in them.",
        show_default=False,
    ),
]
GravityOption = Annotated[
    str | None,
    typer.Option(
        metavar="X,Y,Z",
        help="Which way things fall, in these axes, where the sensor is tilted (an accelerometer at rest reads the "
        "opposite).  [default: level]",
        show_default=False,
    ),
]
SideOption = Annotated[
    str | None,
    typer.Option(
        metavar="left|right",
        help="Which hand it is; a left one is mirrored. In streams also track, where each says so.",
        show_default=False,
    ),
]
FlipOption = Annotated[
    str, typer.Option(metavar="AXES", help="Then negate these axes, such as y where y points down.", show_default=False)
]
MirrorOption = Annotated[bool, typer.Option("--mirror", help="Then mirror left and right.")]
SLOWEST, FASTEST = 1e-3, 1e6


def check_rate(value: float, option: str) -> None:
    """Raise BadParameter for what is no frames a second, and no speed either: infinity and NaN too."""
    if not SLOWEST <= value <= FASTEST:
        raise typer.BadParameter(
            f"expected a positive number, {SLOWEST:g} to {FASTEST:g}, found {value:g}", param_hint=option
        )


ScaleOption = Annotated[float, typer.Option(metavar="FACTOR", help="Then multiply coordinates.")]


def description_of(
    layout: SkeletonLayout,
    source: str | None,
    axes: str | None,
    units: str | None,
    mirrored: bool | None,
    gravity: str | None,
    side: str | None,
) -> StreamDescription | None:
    """What the options say, None when they say nothing. Raises SourceError and LayoutError."""
    from adasgn_edge.data.description import MODEL, described

    if all(value is None for value in (source, axes, units, mirrored, gravity, side)):
        return None
    return described(layout, source or MODEL, axes=axes, units=units, mirrored=mirrored, gravity=gravity, side=side)
