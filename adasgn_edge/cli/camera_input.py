"""A camera or a video as the input of `stream`: its options, and what they open."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adasgn_edge.camera import HandCamera
    from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["CalibrationOption", "CameraOption", "FovOption", "camera_name", "check_camera_options", "open_camera"]

CameraOption = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|VIDEO",
        help="Hands that MediaPipe finds in the pictures of a camera (0 is the first) or of a video file, in place of "
        "FILE. With --fov or --calibration and --mirrored or --not-mirrored.",
        show_default=False,
    ),
]
FovOption = Annotated[
    float | None,
    typer.Option(
        metavar="DEGREES",
        help="The camera's field of view from left to right. Data sheets often give the diagonal one, which is larger.",
        show_default=False,
    ),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="In place of --fov: the camera's calibration, as ROS (camera_info) and OpenCV write it, .yaml or .json.",
        show_default=False,
    ),
]


def check_camera_options(
    camera: str | None, fov: float | None, calibration: Path | None, others: Mapping[str, object]
) -> None:
    """Raises BadParameter for options of a camera without one, and for `others` that are given beside one."""
    if camera is None:
        if fov is not None or calibration is not None:
            raise typer.BadParameter("expected --camera with --fov and --calibration", param_hint="--camera")
        return
    given = [name for name, value in others.items() if value]
    if given:
        raise typer.BadParameter(
            f"expected nothing that the camera itself says, found {', '.join(given)}", param_hint="--camera"
        )


def camera_name(camera: str) -> str:
    """What a live view calls it."""
    return f"camera {camera}" if camera.isdecimal() else Path(camera).name


def open_camera(
    camera: str,
    layout: SkeletonLayout,
    *,
    fov: float | None,
    calibration: Path | None,
    mirrored: bool | None,
    gravity: str | None,
    real_time: bool,
    stopped: threading.Event,
) -> HandCamera:
    """The camera or video that the options name. Raises SourceError that names all that was not said."""
    from adasgn_edge.camera import HandCamera, read_calibration
    from adasgn_edge.data.axes import parse_direction
    from adasgn_edge.data.description import LEVEL
    from adasgn_edge.errors import SourceError

    missing = []
    if (fov is None) == (calibration is None):
        missing.append("either --fov DEGREES or --calibration FILE, on which it rests how far hands move")
    if mirrored is None:
        missing.append(
            "--mirrored or --not-mirrored: whether the pictures are, as video calls and selfies make them; cameras "
            "themselves mostly do not"
        )
    if missing:
        raise SourceError(f"--camera: expected {'; '.join(missing)}")
    assert mirrored is not None
    view = fov if calibration is None else read_calibration(calibration)
    assert view is not None
    return HandCamera(
        int(camera) if camera.isdecimal() else Path(camera),
        layout,
        view=view,
        mirrored=mirrored,
        gravity=None if gravity in (None, LEVEL) else parse_direction(gravity, "gravity"),
        real_time=real_time,
        stopped=stopped,
    )
