"""The node's parameters: types, ranges, descriptions; and what they say, checked. Needs no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from adasgn_edge.data.description import StreamDescription
from adasgn_edge.errors import EngineError, SourceError
from adasgn_edge.wording import shown

__all__ = ["INPUT_TYPES", "PARAMETERS", "Parameter", "Settings"]

INPUT_TYPES = ("pose_array", "zed_objects", "hri_skeleton_2d")
MODES = ("continual", "exact")


@dataclass(frozen=True)
class Parameter:
    """One parameter of the node.

    kind: "string", "bool", "integer" or "double". default: None for one that is unset until it is given. may_be:
    values, in short; required: configuring fails without one. changeable: at any time; others only while the node is
    unconfigured.
    """

    name: str
    kind: str
    description: str
    default: Any = None
    may_be: str = ""
    required: bool = False
    low: float | None = None
    high: float | None = None
    changeable: bool = False


def _required(name: str, kind: str, description: str, may_be: str) -> Parameter:
    return Parameter(name, kind, description, may_be=may_be, required=True)


def _seconds(name: str, default: float, low: float, high: float, description: str) -> Parameter:
    return Parameter(name, "double", f"Seconds {description}", default, low=low, high=high)


PARAMETERS = (
    _required("model", "string", "A causal model.", "a file (.adasgn), or 'hands' or 'stream', which ship"),
    _required("input_type", "string", "The messages that come in.", ", ".join(INPUT_TYPES)),
    _required(
        "source", "string", "Whose joints they are, in which order.", "a source's name, its JSON file or 'model'"
    ),
    _required(
        "axes",
        "string",
        "Where x, y and z point for one who faces the sensor.",
        "'optical', 'ros', 'model' or words such as 'left down back'",
    ),
    _required("units", "string", "Of the positions.", "m, mm, cm, in, ft or metres of one unit"),
    _required("mirrored", "bool", "Whether the picture was mirrored before joints were found in it.", "true or false"),
    _required(
        "gravity",
        "string",
        "Which way things fall, in the source's axes; 'level': along the one that is down.",
        "'level' or numbers such as '0 0.9 0.4'",
    ),
    _required("side", "string", "Which hand it is, or that it is a body.", "'left', 'right' or 'body'"),
    Parameter(
        "effort",
        "double",
        "How often a model that escalates takes a dearer branch; unset: the model's own.",
        low=0.0,
        high=1.0,
        changeable=True,
    ),
    Parameter("device", "string", "What runs the model.", "cpu", may_be="cpu, cuda or cuda:1, the second GPU"),
    Parameter("mode", "string", "How steps are computed.", "continual", may_be=" or ".join(MODES)),
    Parameter("max_tracks", "integer", "Bodies at once; more are not received.", 8, low=1, high=4096),
    _seconds("gap", 0.3, 0.02, 10.0, "without a usable frame after which a track is lost."),
    Parameter(
        "frame_id",
        "string",
        "Frame that messages must be in, as positions would jump otherwise; empty: that of the first message.",
        "",
    ),
    _seconds("deadline", 0.02, 0.0005, 10.0, "that a message may take, publishing included; longer ones are counted."),
    _seconds("silence", 1.0, 0.05, 3600.0, "without a message after which diagnostics warn."),
    Parameter("detections", "bool", "Publish Detection3DArray and LabelInfo, which need vision_msgs.", True),
    Parameter("markers", "bool", "Publish MarkerArray.", True),
    Parameter("depth", "bool", "Place the joints of a 2-D skeleton by a registered depth image.", False),
    Parameter(
        "rectified",
        "bool",
        "With depth: whether picture and depth image are rectified (P of camera_info) or not (K and D).",
        may_be="true or false",
    ),
    _seconds("depth_tolerance", 0.02, 0.0, 1.0, "between the stamps of a skeleton and of its depth image, at most."),
    Parameter(
        "min_confidence",
        "double",
        "Of a joint of a 2-D skeleton, below which it was not seen.",
        0.3,
        low=0.0,
        high=1.0,
    ),
)


@dataclass(frozen=True)
class Settings:
    """The parameters' values, checked; description: what the source's positions are."""

    description: StreamDescription
    model: str
    input_type: str
    effort: float | None
    device: str
    mode: str
    max_tracks: int
    gap: float
    frame_id: str
    deadline: float
    silence: float
    detections: bool
    markers: bool
    depth: bool
    rectified: bool
    depth_tolerance: float
    min_confidence: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """From the values by name, None where unset.

        Raises SourceError that names everything that is missing, or what is wrong; EngineError for another mode.
        """
        wanted = [known for known in PARAMETERS if known.required or (known.name == "rectified" and values["depth"])]
        missing = [f"{known.name}: {known.may_be}" for known in wanted if values.get(known.name) in (None, "")]
        if missing:
            raise SourceError(f"parameters: expected also {'; '.join(missing)}")
        input_type = values["input_type"]
        if input_type not in INPUT_TYPES:
            raise SourceError(f"input_type: expected one of {', '.join(INPUT_TYPES)}, found {shown(input_type)}")
        if values["mode"] not in MODES:
            raise EngineError(f"mode: expected {' or '.join(MODES)}, found {shown(values['mode'])}")
        if input_type == "hri_skeleton_2d" and not values["depth"]:
            raise SourceError(
                "input_type: hri_skeleton_2d has no depth, and models know movements in space; expected 'depth: true' "
                "with a registered depth image on depth/image and depth/camera_info, or an input_type with positions"
            )
        if values["depth"] and input_type != "hri_skeleton_2d":
            raise SourceError(f"depth: expected false, as {input_type} has positions already; found true")
        stated = {name: values[name] for name in ("axes", "units", "mirrored", "gravity", "side")}
        stated |= {"joints": values["source"], "units": _units(values["units"]), "gravity": _gravity(values["gravity"])}
        description = StreamDescription.from_dict(stated)
        if description.side == "track":
            raise SourceError(f"side: expected left, right or body, as {input_type} tells none; found 'track'")
        if values["depth"] and description != StreamDescription.from_dict(stated | {"axes": "optical", "units": "m"}):
            raise SourceError("depth: expected axes 'optical' and units 'm', as joints placed by depth have")
        kept: dict[str, Any] = {part.name: values[part.name] for part in fields(cls) if part.name in values}
        return cls(description, **kept)


def _units(text: str) -> str | float:
    """A unit's name, or a number."""
    try:
        return float(text)
    except ValueError:
        return text


def _gravity(text: str) -> str | list[float]:
    """ "level", or the three numbers of a direction."""
    if text == "level":
        return text
    try:
        return [float(part) for part in text.replace(",", " ").strip("[] ").split()]
    except ValueError:
        raise SourceError(f"gravity: expected 'level' or three numbers such as '0 -1 0', found {shown(text)}") from None
