"""What a source's positions are, stated: joints, axes, units, mirrored or not, gravity, side. Nothing is assumed.

Said by the first line of a stream, by options of a command, or in Python. What each statement means:

==============  =====================================================================================================
``joints``      a source (:mod:`adasgn_edge.data.sources`), or ``"model"``: the layout's own joints
``axes``        where x, y and z point (:mod:`adasgn_edge.data.axes`), as if no picture had been mirrored
``units``       metres of one unit
``mirrored``    whether the picture was mirrored before joints were found in it, as live views do. All in it is seen the
                wrong way round: positions are mirrored, a right hand looks like a left one, and a body's left wrist
                is called the right one. That is undone first, so what follows is true of the performer again
``gravity``     which way things fall, in the axes of the source (an accelerometer at rest reads the opposite, and is
                not mirrored when the picture is). None, written ``"level"``: along the axis that is down; the sensor
                stands upright
``side``        which hand of the performer's own it is, whatever it looks like in a mirrored picture: ``"left"`` is
                mirrored to a right one, the only kind that models know. ``"track"``: each track says so. ``"body"``
``intrinsics``  of the camera, where tracks are landmarks of image and world
==============  =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adasgn_edge.data.axes import (
    AXES_MAY_BE,
    NAMED_AXES,
    UNITS_MAY_BE,
    Axes,
    axes_text,
    handedness,
    parse_axes,
    parse_direction,
    parse_units,
    units_text,
)
from adasgn_edge.data.perspective import Intrinsics
from adasgn_edge.data.sources import Source, is_hand, load_source
from adasgn_edge.errors import SourceError
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import listed, nearest, shown

__all__ = ["LEVEL", "MODEL", "SIDES", "StreamDescription", "described"]

MODEL = "model"
"""The joints of the model's layout itself."""
SOURCE = "source"
"""The axes, and units, that a source's own file states."""
LEVEL = "level"
SIDES = ("left", "right", "track", "body")
REQUIRED = {
    "joints": "the name of a source, such as 'mediapipe-hand-21', or 'model'",
    "axes": AXES_MAY_BE,
    "units": UNITS_MAY_BE,
    "mirrored": "true or false: whether the picture was mirrored before joints were found in it",
    "gravity": "'level', or three numbers that say which way things fall, in these axes",
    "side": "'right', 'left' or 'track' (each track says so) of hands, 'body' of bodies",
}
"""Keys of a description and what each may be."""
OPTIONAL = ("handedness", "intrinsics")


@dataclass(frozen=True)
class StreamDescription:
    """What the positions of a source are; see the module's table. Raises SourceError for what cannot be."""

    joints: str
    axes: Axes
    units: float
    mirrored: bool
    gravity: tuple[float, float, float] | None
    side: str
    intrinsics: Intrinsics | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.joints, str) or not self.joints:
            raise SourceError(f"joints: expected {REQUIRED['joints']}; found {shown(self.joints)}")
        object.__setattr__(self, "axes", parse_axes(self.axes))
        object.__setattr__(self, "units", parse_units(self.units))
        if not isinstance(self.mirrored, bool):
            raise SourceError(f"mirrored: expected true or false; found {shown(self.mirrored)}")
        if self.gravity is not None:
            object.__setattr__(self, "gravity", parse_direction(self.gravity, "gravity"))
        if self.side not in SIDES:
            raise SourceError(f"side: expected {listed(SIDES)}; found {shown(self.side)}")
        if self.intrinsics is not None and (self.axes != NAMED_AXES["optical"] or self.units != 1):
            raise SourceError(
                "intrinsics: expected axes 'optical' and units 'm', as landmarks placed before a camera have; found "
                f"{axes_text(self.axes)} and {units_text(self.units)}"
            )

    @property
    def handedness(self) -> str:
        """Of the coordinates, as follows from the axes: "right" or "left"."""
        return handedness(self.axes)

    @classmethod
    def as_model(cls, layout: SkeletonLayout) -> StreamDescription:
        """Already as the layout expects."""
        return cls(MODEL, NAMED_AXES["model"], 1.0, False, None, "right" if is_hand(layout) else "body")

    @classmethod
    def from_dict(cls, data: Any) -> StreamDescription:
        """From the object of a header; raises SourceError that names every missing key, or the first wrong one.

        The key ``handedness``, "right" or "left" of the coordinates, may be given and must then agree with the axes.
        """
        if not isinstance(data, dict):
            raise SourceError(f"source: expected a JSON object, found {shown(data)}")
        missing = [f"{key}: {may_be}" for key, may_be in REQUIRED.items() if key not in data]
        if missing:
            raise SourceError(f"source: expected also {'; '.join(missing)}")
        known = (*REQUIRED, *OPTIONAL)
        for key in data:
            if key not in known:
                near = nearest(str(key), known)
                hint = f"; did you mean {near!r}?" if near else ""
                raise SourceError(f"source: expected the keys {', '.join(known)}, found also {shown(key)}{hint}")
        intrinsics = None
        if data.get("intrinsics") is not None:
            intrinsics = Intrinsics.from_dict(data["intrinsics"])
        found = cls(
            joints=data["joints"],
            axes=data["axes"],
            units=data["units"],
            mirrored=data["mirrored"],
            gravity=None if data["gravity"] == LEVEL else parse_direction(data["gravity"], "gravity"),
            side=data["side"],
            intrinsics=intrinsics,
        )
        said = data.get("handedness", found.handedness)
        if said != found.handedness:
            raise SourceError(
                f"handedness: expected {found.handedness!r}, as axes that point {' '.join(found.axes)} have; "
                f"found {shown(said)}"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """The object of a header."""
        units = units_text(self.units)
        data: dict[str, Any] = {
            "joints": self.joints,
            "axes": axes_text(self.axes),
            "units": units if units.isalpha() else self.units,
            "mirrored": self.mirrored,
            "gravity": LEVEL if self.gravity is None else list(self.gravity),
            "side": self.side,
        }
        if self.intrinsics is not None:
            data["intrinsics"] = self.intrinsics.to_dict()
        return data


def described(
    layout: SkeletonLayout,
    source: str | Path = MODEL,
    *,
    axes: str | Sequence[str] | None = None,
    units: str | float | None = None,
    mirrored: bool | None = None,
    gravity: str | Sequence[float] | None = None,
    side: str | None = None,
) -> StreamDescription:
    """A description from options; None stands for what was not said.

    source: its name or the path of its JSON file. Of one, axes must be said: ``"source"`` (with units) as its own file
    states, ``"model"`` (in metres, not mirrored) when all was changed already, or which they are; then units too.
    Whether pictures were mirrored must be said where there are some, and the side of hands. Of the model's own joints
    (``"model"``, the default) what is not said is as the layout expects. Gravity is level unless said. Raises
    SourceError that names all that is missing, LayoutError for an unknown source.
    """
    expected = StreamDescription.as_model(layout)
    level = gravity is None or (isinstance(gravity, str) and gravity.strip().lower() == LEVEL)
    falls = None if level else parse_direction(gravity, "gravity")
    if str(source) == MODEL:
        if axes == SOURCE:
            raise SourceError("axes: 'source' says that they are those of a source; which one? --source NAME")
        return StreamDescription(
            MODEL,
            expected.axes if axes is None else parse_axes(axes),
            expected.units if units is None else parse_units(units),
            bool(mirrored),
            falls,
            expected.side if side is None else side,
        )
    origin = load_source(source)
    origin.matrix(layout)
    if axes == SOURCE and origin.dimensions == 2:
        raise SourceError(
            f"axes: source {origin.name!r} gives places in a picture, two numbers a joint, which no model knows. "
            "Lifted by a depth image they are positions: --axes optical --units m"
        )
    if axes == SOURCE and origin.axes is None:
        raise SourceError(f"axes: source {origin.name!r} has none of its own ({origin.axes_note}): {AXES_MAY_BE}")
    if axes == MODEL:
        units, mirrored = 1.0 if units is None else units, bool(mirrored)
    elif axes == SOURCE and units is None:
        units = origin.units
    missing = _missing(origin, axes, units, mirrored, side)
    if missing:
        raise SourceError(f"source {origin.name!r}: expected also {'; '.join(missing)}")
    return StreamDescription(
        str(source),
        origin.axes if axes == SOURCE and origin.axes is not None else parse_axes(axes),
        parse_units(units),
        bool(mirrored),
        falls,
        expected.side if side is None else side,
    )


def _missing(origin: Source, axes: object, units: object, mirrored: bool | None, side: str | None) -> list[str]:
    """What must still be said of a source, as the commands' options are written."""
    missing = []
    if axes is None:
        own = ""
        if origin.dimensions == 3 and origin.axes is not None:
            unit = f", {units_text(origin.units)}" if origin.units is not None else ""
            own = f"--axes source (as it gives them: {axes_text(origin.axes)}{unit}), "
        missing.append(f"{own}--axes model (changed already) or --axes … ({AXES_MAY_BE})")
    if units is None and axes is not None:
        missing.append(f"--units … ({UNITS_MAY_BE})")
    if mirrored is None and origin.camera:
        missing.append(
            "--mirrored or --not-mirrored (the picture, before joints were found in it; not with --axes model)"
        )
    if side is None and origin.hand:
        missing.append("--side left or --side right (which hand of the performer's own)")
    return missing
