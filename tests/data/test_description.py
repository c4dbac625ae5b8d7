"""What a source's positions are, stated: words for axes and units, headers, and what cannot be."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adasgn_edge.data.axes import DIRECTIONS, NAMED_AXES, handedness, parse_axes, parse_units, to_model
from adasgn_edge.data.description import StreamDescription, described
from adasgn_edge.errors import SourceError
from adasgn_edge.skeletons import load_layout

HEADER = {
    "joints": "mediapipe-hand-21", "axes": "optical", "units": "m", "mirrored": False, "gravity": "level",
    "side": "track",
}  # fmt: skip


def header(**changes: Any) -> StreamDescription:
    return StreamDescription.from_dict({**HEADER, **changes})


def test_words_of_axes() -> None:
    assert parse_axes("optical") == parse_axes("left down back") == parse_axes(["left", "down", "back"])
    assert parse_axes(" Right,UP , back") == NAMED_AXES["model"]
    # Somebody a metre to the right of where they face the sensor from, 2 m away, head 0.5 m above the lens.
    place = {"model": [1, 0.5, 2], "optical": [-1, -0.5, 2], "ros": [2, 1, 0.5]}
    for name, position in place.items():
        np.testing.assert_array_equal(np.array(position) @ to_model(NAMED_AXES[name]), [1, 0.5, 2])
    assert {handedness(axes) for axes in NAMED_AXES.values()} == {"right"}
    assert handedness(parse_axes("right up forward")) == "left"  # Unity


@pytest.mark.parametrize(
    "value",
    ["", "opticl", "left down", "left down down", "left left back", "up down back", 3, None, ["left", "down", 1], {},
     "left down back up", "x y z"],
)  # fmt: skip
def test_wrong_axes(value: Any) -> None:
    with pytest.raises(SourceError, match=r"axes: expected .*found"):
        header(axes=value)


def test_units() -> None:
    assert [parse_units(value) for value in ("m", "MM", "cm", "in", "ft", 0.5, "0.5", 1)] == [
        1.0, 0.001, 0.01, 0.0254, 0.3048, 0.5, 0.5, 1.0,
    ]  # fmt: skip
    for wrong in ("", "parsec", 0, -1, float("nan"), float("inf"), True, None, [1], "1e999", 10**400):
        with pytest.raises(SourceError, match="units: expected m, cm, mm, in, ft, or the metres of one unit"):
            header(units=wrong)
    with pytest.raises(SourceError, match="a model of 3-D recordings does not know a picture's pixels"):
        header(units="px")


def test_a_header_and_back() -> None:
    assert header().to_dict() == HEADER
    other = header(axes="right up forward", units=0.5, mirrored=True, gravity=[0, -9.8, 1], side="left")
    assert other.gravity == (0, -9.8, 1)
    assert StreamDescription.from_dict(other.to_dict()) == other
    assert other.to_dict()["axes"] == "right up forward"
    assert other.handedness == "left"
    assert StreamDescription.from_dict({**other.to_dict(), "handedness": "left"}) == other
    with pytest.raises(SourceError, match="handedness: expected 'left', as axes that point right up forward have"):
        StreamDescription.from_dict({**other.to_dict(), "handedness": "right"})


def test_as_the_model_expects() -> None:
    hand = StreamDescription.as_model(load_layout("shrec22"))
    assert hand.to_dict() == {**HEADER, "joints": "model", "axes": "model", "side": "right"}
    assert StreamDescription.as_model(load_layout("ntu25")).side == "body"


def test_every_missing_key_is_named_with_what_it_may_be() -> None:
    with pytest.raises(SourceError) as caught:
        StreamDescription.from_dict({})
    for part in ("joints: the name of a source", "axes: optical, ros", "units: m, cm", "mirrored: true or false",
                 "gravity: 'level', or three numbers", "side: 'right', 'left' or 'track'"):  # fmt: skip
        assert part in str(caught.value)
    with pytest.raises(SourceError) as caught:
        StreamDescription.from_dict({key: HEADER[key] for key in ("joints", "axes", "units", "side")})
    assert "mirrored: true or false" in str(caught.value)
    assert "axes:" not in str(caught.value)
    assert "gravity: 'level'" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": 21}, "joints: expected the name of a source"),
        ({"joints": ""}, "joints: expected the name of a source"),
        ({"mirrored": "no"}, "mirrored: expected true or false; found 'no'"),
        ({"gravity": [0, 0, 0]}, "gravity: expected three numbers that point somewhere"),
        ({"gravity": [0, 1]}, "gravity: expected three numbers"),
        ({"gravity": "down"}, "gravity: expected three numbers"),
        ({"gravity": [0, float("nan"), 1]}, "gravity: expected three numbers"),
        ({"gravity": None}, "gravity: expected three numbers"),
        ({"gravity": {}}, "gravity: expected three numbers"),
        ({"side": "both"}, "side: expected left, right, track, body; found 'both'"),
        ({"side": []}, "side: expected left, right, track, body"),
        ({"unit": "m"}, "found also 'unit'; did you mean 'units'"),
        ({"handedness": []}, "handedness: expected 'right'"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        header(**changes)
    with pytest.raises(SourceError, match="expected a JSON object"):
        StreamDescription.from_dict([changes])


@given(
    st.dictionaries(
        st.sampled_from([*HEADER, "handedness", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([*HEADER.values(), *DIRECTIONS])
        | st.sampled_from(["", "x y z", "1e999"])
            | st.lists(st.floats() | st.sampled_from(list(DIRECTIONS)), max_size=4),
    )
)  # fmt: skip
def test_any_header_is_a_description_or_a_named_error(changes: dict[str, Any]) -> None:
    with contextlib.suppress(SourceError):
        found = StreamDescription.from_dict({**HEADER, **changes})
        assert StreamDescription.from_dict(found.to_dict()) == found


class TestOptions:
    HAND = load_layout("shrec22")

    def test_the_models_own_joints_are_as_expected_unless_said(self) -> None:
        assert described(self.HAND) == StreamDescription.as_model(self.HAND)
        found = described(self.HAND, axes="ros", units="mm", mirrored=True, gravity="0,0,-1", side="left")
        assert found.to_dict() == {
            "joints": "model", "axes": "ros", "units": "mm", "mirrored": True, "gravity": [0, 0, -1], "side": "left",
        }  # fmt: skip
        for level in ("level", " Level", None):
            assert described(self.HAND, gravity=level).gravity is None
        assert described(self.HAND, gravity=np.float32([0, 0.5, 2])).gravity == (0, 0.5, 2)  # type: ignore[arg-type]
        with pytest.raises(SourceError, match="axes: 'source' says that they are those of a source; which one"):
            described(self.HAND, axes="source")

    def test_as_a_source_gives_them(self) -> None:
        leap = described(self.HAND, "leap-20", axes="source", side="right")
        assert leap == StreamDescription("leap-20", ("right", "up", "forward"), 0.5, False, None, "right")
        azure = described(load_layout("ntu25"), "azure-kinect", axes="source", mirrored=False)
        assert (azure.axes, azure.units, azure.side) == (NAMED_AXES["optical"], 0.001, "body")
        assert described(load_layout("ntu25"), "azure-kinect", axes="source", units="m", mirrored=False).units == 1

    def test_changed_already(self) -> None:
        found = described(self.HAND, "mediapipe-hand-21", axes="model", side="left")
        assert found == StreamDescription("mediapipe-hand-21", NAMED_AXES["model"], 1.0, False, None, "left")

    @pytest.mark.parametrize(
        ("source", "options", "missing"),
        [
            (
                "mediapipe-hand-21",
                {},
                ["--axes source (as it gives them: optical, m)", "--mirrored or", "--side left or"],
            ),
            ("mediapipe-hand-21", {"axes": "source"}, ["--mirrored or", "--side left or"]),
            ("mediapipe-hand-21", {"axes": "ros", "side": "left", "mirrored": False}, ["--units …"]),
            ("leap-20", {}, ["--axes source (as it gives them: right up forward, 0.5)", "--side left or"]),
            ("leap-20", {"axes": "model"}, ["--side left or"]),
            ("interhand-21", {}, ["--axes model", "--mirrored or", "--side left or"]),
        ],
    )
    def test_all_that_is_missing_is_named(self, source: str, options: dict[str, Any], missing: list[str]) -> None:
        with pytest.raises(SourceError, match=f"source '{source}': expected also ") as caught:
            described(self.HAND, source, **options)
        for option in ("--axes source", "--axes model", "--units …", "--mirrored or", "--side left or"):
            named = any(entry.startswith(option) for entry in missing) or (
                option == "--axes model" and any(entry.startswith("--axes source") for entry in missing)
            )
            said = str(caught.value).replace("not with --axes model", "")
            assert (option in said) == named, option
        for entry in missing:
            assert entry in str(caught.value)

    def test_sources_of_pictures_and_without_axes(self) -> None:
        with pytest.raises(SourceError, match="Lifted by a depth image they are positions: --axes optical --units m"):
            described(load_layout("ntu25"), "coco-17", axes="source", mirrored=False)
        lifted = described(load_layout("ntu25"), "coco-17", axes="optical", units="m", mirrored=False)
        assert lifted.side == "body"
        with pytest.raises(SourceError, match="source 'interhand-21' has none of its own"):
            described(self.HAND, "interhand-21", axes="source", mirrored=False, side="left")
