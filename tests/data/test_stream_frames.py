"""Frames of a live stream: lines that are read, lines that are named as no frame, recordings played as if live."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adasgn_edge.data.clips import read_clip
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.perspective import Intrinsics
from adasgn_edge.data.playing import recorded_frames
from adasgn_edge.data.sources import Orientation, load_source
from adasgn_edge.data.stream_frames import (
    FrameParser,
    StreamFrame,
    frame_line,
    has_header,
    header_line,
    is_frame_line,
)
from adasgn_edge.errors import ClipError, LayoutError, RecognitionError, SourceError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
HAND = animate("Tap", seed=1)[0]


MODEL = StreamDescription.as_model(LAYOUT)
HEADER = {
    "joints": "mediapipe-hand-21", "axes": "optical", "units": "m", "mirrored": False, "gravity": "level",
    "side": "track",
}  # fmt: skip


def text(line: object) -> str | bytes:
    return line if isinstance(line, str | bytes) else json.dumps(line)


def parse(line: object, description: StreamDescription = MODEL, **options: Any) -> StreamFrame:
    frame = FrameParser(LAYOUT, description, **options).parse(text(line))
    assert frame is not None
    return frame


def described(**changes: Any) -> StreamDescription:
    return StreamDescription.from_dict({**HEADER, **changes})


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_both_kinds_of_line_and_all_kinds_of_joints() -> None:
    joints = HAND.tolist()
    frame = parse({"stamp_ns": 5, "tracks": {"7": joints, "left": joints}, "frame_id": "camera"})
    assert frame.stamp_ns == 5
    assert list(frame.tracks) == ["7", "left"]
    same(frame.tracks["left"], HAND)
    frame = parse({"t": 1.5, "joints": joints})
    assert frame.stamp_ns == 1_500_000_000
    same(frame.tracks["0"], HAND)
    by_name = {name: dict(zip("xyz", joint, strict=True)) for name, joint in zip(LAYOUT.joints, joints, strict=True)}
    for kind in (by_name, HAND.ravel().tolist(), [dict(zip("xyz", joint, strict=True)) for joint in joints]):
        same(parse({"t": 0, "joints": kind}).tracks["0"], HAND)
    assert parse({"t": 0, "tracks": {}}).tracks == {}
    assert parse({"t": 0, "tracks": {"1": None}}).tracks == {}


def test_what_was_not_seen_is_nan() -> None:
    joints = HAND.tolist()
    expected = HAND.copy()
    joints[3], joints[5], joints[7] = None, [0.1, None, 0.2], [float("nan")] * 3
    expected[[3, 5, 7]] = np.nan
    same(parse({"t": 0, "joints": joints}).tracks["0"], expected)
    assert np.isnan(parse({"t": 0, "joints": [None] * 22}).tracks["0"]).all()
    sure = [{"x": x, "y": y, "z": z, "confidence": 0.0 if i == 2 else 0.5} for i, (x, y, z) in enumerate(HAND.tolist())]
    assert np.isnan(parse({"t": 0, "joints": sure}).tracks["0"]).any(axis=-1).tolist() == [i == 2 for i in range(22)]
    unfilled = [{**joint, "confidence": 0} for joint in sure]  # MediaPipe's visibility of hands
    same(parse({"t": 0, "joints": unfilled}).tracks["0"], HAND)


def test_zeros_are_missing_joints_unless_they_are_the_origin() -> None:
    parser, wrist = FrameParser(LAYOUT, MODEL), HAND - HAND[0]

    def joints(positions: np.ndarray) -> np.ndarray:
        return parser.parse(json.dumps({"t": 0, "joints": positions.tolist()})).tracks["0"]

    same(joints(wrist), wrist)  # relative to the wrist, which is always zero
    lost = wrist.copy()
    lost[9] = 0
    assert np.isnan(joints(lost)).any(axis=-1).tolist() == [joint == 9 for joint in range(22)]
    assert np.isnan(joints(np.zeros_like(wrist))).any(axis=-1).sum() == 21
    joints(wrist + 0.1)  # not relative to it after all
    assert np.isnan(joints(wrist))[0].all()
    assert np.isnan(
        FrameParser(LAYOUT, MODEL).parse(json.dumps({"t": 0, "joints": [[0, 0, 0]] * 22})).tracks["0"]
    ).all()


def test_a_source_and_axes_are_those_of_recordings() -> None:
    source = load_source("leap-20")
    leap = described(joints="leap-20", axes="right up forward", units=0.5, side="right")
    joints = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    expected = source.matrix(LAYOUT) @ joints * np.array([0.5, 0.5, -0.5])
    np.testing.assert_allclose(parse({"t": 0, "joints": joints.tolist()}, leap).tracks["0"], expected, atol=1e-6)
    body = parse({"t": 0, "joints": joints.tolist()}, leap, orientation=Orientation("y", True, 2)).tracks["0"]
    np.testing.assert_allclose(body, expected * [-2, -2, 2], atol=1e-6)  # corrections by hand come last
    lost = [None, *joints.tolist()[1:]]  # the palm, of which the wrist and the base of the thumb are made
    missing = np.isnan(parse({"t": 0, "joints": lost}, leap).tracks["0"]).any(axis=-1)
    assert {LAYOUT.joints[joint] for joint in np.flatnonzero(missing)} == {"wrist", "palm", "thumb_base"}
    with pytest.raises(LayoutError, match="expected a mapping"):
        FrameParser(load_layout("ntu25"), leap)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "expected a JSON object, found '{'"),
        (b"\xff{}", "expected a JSON object, found"),
        ("[" * 100_000, "too deep"),
        ("[1, 2]", "expected a JSON object, found [1, 2]"),
        ({"joints": []}, "expected either 'stamp_ns' (nanoseconds) or 't' (seconds), found the keys 'joints'"),
        ({"t": 1, "stamp_ns": 1, "joints": []}, "found both"),
        ({"stamp_ns": 1.5, "joints": []}, "stamp_ns: expected a whole number of nanoseconds, found 1.5"),
        ({"stamp_ns": True, "joints": []}, "found True"),
        ({"stamp_ns": 1 << 63, "joints": []}, "64 bits"),
        ({"t": "1", "joints": []}, "t: expected seconds as a number, found '1'"),
        ('{"t": NaN, "joints": []}', "t: expected seconds"),
        ('{"t": 1e300, "joints": []}', "t: expected seconds"),
        ({"t": 1}, "expected 'tracks', 'joints' or 'image' and 'world', found the keys 't'"),
        ({"t": 1, "tracks": [], "joints": []}, "found both 'tracks' and 'joints'"),
        ({"t": 1, "joints": [], "world": []}, "found both 'joints' and 'world'"),
        ({"joints": [], "source": "camera"}, "expected either 'stamp_ns' (nanoseconds) or 't' (seconds)"),
        ({"t": 1, "tracks": {"a": {"joints": 1, "world": 1}}}, "expected 'joints' or 'image' and 'world', found both"),
        ({"t": 1, "tracks": []}, "tracks: expected an object of joints by identity, found []"),
        ({"t": 1, "tracks": {str(i): [] for i in range(2000)}}, "at most 1024, found 2000"),
        ({"t": 1, "joints": [[1, 2, 3]] * 21}, "--source interhand-21, mano-21, mano-21-joint-order, mediapipe"),
        ({"t": 1, "joints": [[1, 2, 3, 4]] * 22}, "expected the 22 joints of layout 'shrec22'"),
        ({"t": 1, "joints": [[1, 2]] * 21 + [[1, 2, 3]]}, "expected the 22 joints of layout 'shrec22'"),
        ({"t": 1, "tracks": {"a": {"joints": [], "side": "left"}}}, "side: expected 'right', as the stream is des"),
        ({"t": 1, "joints": [["1", "2", "3"]] * 22}, "expected the 22 joints"),
        ({"t": 1, "joints": []}, "expected the 22 joints"),
        ({"t": 1, "joints": 7}, "expected the 22 joints"),
        ({"t": 1, "joints": [[1, 2, 1e39]] * 22}, "expected finite coordinates, found infinity in 'wrist'"),
        ({"t": 1, "joints": [[1, 2, 10**400]] * 22}, "infinity"),
        ('{"t": 1, "tracks": {"a": [[1, 2, Infinity]' + ", [1, 2, 3]" * 21 + "]}}", "track 'a': expected finite"),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_named(line: object, said: str) -> None:
    with pytest.raises(RecognitionError) as raised:
        parse(line)
    assert said in str(raised.value)
    assert len(str(raised.value)) < 400


KEYS = ["t", "stamp_ns", "tracks", "joints", "image", "world", "source"]


@settings(suppress_health_check=[HealthCheck.too_slow])  # texts are slow to draw at first, on a busy machine
@given(st.text() | st.binary() | st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=3), lambda v: (
    st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(KEYS), v)
), max_leaves=20))  # fmt: skip
def test_any_line_is_a_frame_or_a_named_error(value: object) -> None:
    with contextlib.suppress(RecognitionError, SourceError):
        FrameParser(LAYOUT, MODEL).parse(text(value))


@given(
    st.integers(-(2**63) + 1, 2**63 - 1),
    arrays(np.float32, (22, 3), elements=st.floats(width=32, allow_infinity=False)),
)
def test_a_frame_written_and_read_is_the_same_frame(stamp: int, joints: np.ndarray) -> None:
    joints[np.isnan(joints).any(axis=-1)] = np.nan
    joints[joints == 0] = 0.5
    frame = parse(frame_line(StreamFrame(stamp, {"wörd\n": joints})))
    assert frame.stamp_ns == stamp
    same(frame.tracks["wörd\n"], joints)


def test_files_of_frames_are_told_from_recordings_without_stamps() -> None:
    assert is_frame_line('{"stamp_ns": 1, "tracks": {}}')
    assert is_frame_line(b'{"t": 1, "joints": []}\n')
    assert is_frame_line('{"t": 1, "image": [], "world": []}')
    assert is_frame_line(header_line(MODEL))
    for other in ("[[1, 2, 3]]", '{"frame": 1, "joints": []}', '{"t": 1, "bodies": []}', "t,x,y", ""):
        assert not is_frame_line(other)


def played(path: Path, rate: float = 30.0) -> list[StreamFrame]:
    return list(recorded_frames(path, LAYOUT, None, rate))


def test_recordings_come_at_their_rate_or_with_their_own_stamps(tmp_path: Path) -> None:
    clip, path = animate("Swipe V", seed=4), tmp_path / "clip.npz"
    np.savez(path, positions=clip)
    frames = played(path, 50.0)
    assert [frame.stamp_ns for frame in frames] == [20_000_000 * number for number in range(len(clip))]
    same(np.stack([frame.tracks["0"] for frame in frames]), clip)
    stamps = np.arange(len(clip)) * 33_333_333 + 1_700_000_000_000_000_000
    np.savez(path, positions=clip, stamps_ns=stamps)
    assert [frame.stamp_ns for frame in played(path)] == stamps.tolist()
    for wrong in (stamps[1:], stamps * 0.5):
        np.savez(path, positions=clip, stamps_ns=wrong)
        with pytest.raises(ClipError, match="stamps_ns: expected whole nanoseconds, one for each of"):
            played(path)


def test_bodies_come_and_go_as_the_tracker_saw_them(tmp_path: Path) -> None:
    clip, path = animate("Tap", seed=2), tmp_path / "two.npz"
    both = np.stack([clip, clip + np.float32(0.3)])
    both[1, :5] = 0  # the second one comes later
    both[0, 7, 3] = np.nan
    np.savez(path, positions=both)
    frames = played(path)
    assert [list(frame.tracks) for frame in frames] == [["0"]] * 5 + [["0", "1"]] * (len(clip) - 5)
    assert np.isnan(frames[7].tracks["0"]).any(axis=-1).tolist() == [joint == 3 for joint in range(22)]


class TestHeaders:
    def test_a_stream_says_what_it_is(self) -> None:
        parser = FrameParser(LAYOUT)
        assert parser.parse(json.dumps({"source": HEADER})) is None
        assert parser.parse(json.dumps({"source": HEADER})) is None  # as where two recordings are joined
        joints = np.random.default_rng(0).normal(3, 1, size=(21, 3)).astype(np.float32)
        tracks = {name: {"joints": joints.tolist(), "side": side} for name, side in (("a", "right"), ("b", "Left"))}
        frame = parser.parse(json.dumps({"t": 0, "tracks": {**tracks, "c": {"joints": None}}}))
        assert frame is not None
        expected = load_source("mediapipe-hand-21").matrix(LAYOUT) @ joints * np.float32([-1, -1, 1])
        np.testing.assert_allclose(frame.tracks["a"], expected, atol=1e-6)
        np.testing.assert_allclose(frame.tracks["b"], expected * np.float32([-1, 1, 1]), atol=1e-6)
        assert list(frame.tracks) == ["a", "b"]
        assert frame.left == {"b"}
        alone = parser.parse(json.dumps({"t": 0, "joints": joints.tolist(), "side": "left"}))
        assert alone is not None
        np.testing.assert_array_equal(alone.tracks["0"], frame.tracks["b"])

    def test_nothing_is_assumed(self) -> None:
        parser = FrameParser(LAYOUT)
        with pytest.raises(RecognitionError):
            parser.parse("no")
        with pytest.raises(SourceError) as caught:
            parser.parse(frame_line(StreamFrame(0, {"a": HAND})))
        for part in ('{"source": {"joints": "model"', "--source NAME and --axes", "--source model"):
            assert part in str(caught.value)
        header = re.search(r"\{\"source\".*?\}\}", str(caught.value))
        assert header is not None
        assert parser.parse(header[0]) is None  # what the message shows is a header
        with pytest.raises(SourceError, match="expected also mirrored: true or false"):
            FrameParser(LAYOUT).parse(json.dumps({"source": {key: HEADER[key] for key in HEADER if key != "mirrored"}}))

    def test_one_description_of_a_stream(self) -> None:
        parser = FrameParser(LAYOUT, described(side="right"))
        assert parser.parse(header_line(described(side="right"))) is None
        with pytest.raises(SourceError, match=r"expected one description .*: side 'left', not 'right'"):
            parser.parse(header_line(described(side="left")))

    @pytest.mark.parametrize(
        ("track", "said"),
        [
            ({}, "found none"),
            ({"side": "both"}, "found 'both'"),
            ({"side": 1}, "found 1"),
            ({"side": "track"}, "'track'"),
        ],
    )
    def test_sides_of_tracks_are_said(self, track: dict[str, Any], said: str) -> None:
        line = {"t": 0, "tracks": {"a": {"joints": [[1, 2, 3]] * 21, **track}}}
        with pytest.raises(RecognitionError, match=f"track 'a': side: expected 'left' or 'right', .*{said}"):
            parse(line, described())

    def test_a_recorded_stream_is_a_clip_too(self, tmp_path: Path) -> None:
        clip, path = animate("Swipe V", seed=4), tmp_path / "clip.jsonl"
        mirrored = clip * np.float32([-1, 1, 1])
        header = StreamDescription.from_dict({**MODEL.to_dict(), "side": "left"})
        lines = [
            header_line(header),
            "",
            *(frame_line(StreamFrame(n, {"7": joints})) for n, joints in enumerate(mirrored)),
        ]
        path.write_text("\n".join(lines))
        assert has_header(path)
        with pytest.warns(UserWarning, match="a left hand, mirrored to a right one"):
            (track,) = read_clip(path, LAYOUT)
        same(track, clip)
        with pytest.raises(SourceError, match=r"line 1: source: expected one description .*: side 'left', not 'right'"):
            read_clip(path, LAYOUT, source="model")
        path.write_text("\n".join([*lines, "{}"]))
        with pytest.raises(ClipError, match=f"line {len(lines) + 1}: expected either 'stamp_ns'"):
            read_clip(path, LAYOUT)
        path.write_text("\n".join(lines[1:]))
        assert not has_header(path)


class TestLandmarks:
    CAMERA = Intrinsics(600.0, 610.0, 330.0, 235.0, 640, 480, (0.05, -0.02, 0.001, -0.002))
    RIGHT = np.array([joint for joint in LAYOUT.joints if joint != "palm"])

    def landmarks(self, hand: np.ndarray, mirrored: bool = False) -> dict[str, Any]:
        """What an estimator says of a hand (22, 3), metres in optical axes, whose picture may have been mirrored."""
        joints = hand[[LAYOUT.index(name) for name in self.RIGHT]].astype(np.float64)
        image = self.CAMERA.project(joints)
        world = joints - joints.mean(axis=0)
        if mirrored:
            image[:, 0] = self.CAMERA.width - image[:, 0]
            world[:, 0] = -world[:, 0]
        return {"image": image.tolist(), "world": world.tolist()}

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("side", ["right", "left"])
    def test_are_placed_before_the_camera(self, mirrored: bool, side: str) -> None:
        hand = HAND + np.float32([0.02, -0.03, 0.5])
        seen = hand * np.float32([1, 1, 1] if side == "right" else [-1, 1, 1]) * np.float32([-1, -1, 1])
        header = described(mirrored=mirrored, intrinsics=self.CAMERA.to_dict())
        frame = parse({"t": 0, **self.landmarks(seen, mirrored), "side": side}, header)
        others = [LAYOUT.index(name) for name in self.RIGHT]
        np.testing.assert_allclose(frame.tracks["0"][others], hand[others], atol=1e-4)
        assert frame.left == (frozenset("0") if side == "left" else frozenset())

    def test_one_without_the_other(self) -> None:
        both = self.landmarks((HAND + np.float32([0, 0, 0.5])) * np.float32([-1, -1, 1]))
        header = described(intrinsics=self.CAMERA.to_dict())
        for kept, said in (("world", "the path is lost"), ("image", "does not know 2-D ones")):
            with pytest.raises(SourceError, match=said):
                parse({"t": 0, kept: both[kept], "side": "right"}, header)
        with pytest.raises(SourceError, match="expected the camera's 'intrinsics' in the stream's header"):
            parse({"t": 0, **both, "side": "right"}, described())
        for wrong in (7, [], [[1, 2, 3]] * 21, [["a", 2]] * 21, [[1, 2]] * 20):
            with pytest.raises(RecognitionError, match=r"track '0': image: expected 21 joints of \[u, v\] pixels"):
                parse({"t": 0, "image": wrong, "world": both["world"], "side": "right"}, header)
        with pytest.raises(RecognitionError, match=r"track '0': .*expected joints that are apart"):
            parse({"t": 0, "image": [[5, 5]] * 21, "world": both["world"], "side": "right"}, header)
        lost = {"image": [None, *both["image"][1:]], "world": both["world"], "side": "right"}
        assert np.isfinite(parse({"t": 0, **lost}, header).tracks["0"]).all()

    def test_of_the_world_alone_are_told_by_what_they_are(self) -> None:
        clip = (animate("Swipe Left", seed=1) + np.float32([0, 0, 0.5])) * np.float32([-1, -1, 1])
        header = described(side="right")
        for parser, centred in ((FrameParser(LAYOUT, header), True), (FrameParser(LAYOUT, header), False)):
            parsed = 0
            for number, hand in enumerate(clip):
                landmarks = self.landmarks(hand)["world"] if centred else hand[1:].tolist()
                line = json.dumps({"t": number / 30, "joints": landmarks})
                if centred and number == 14:
                    with pytest.raises(SourceError, match=r"found the origin inside the body .*--camera"):
                        parser.parse(line)
                    break
                parser.parse(line)
                parsed += 1
            assert parsed == (14 if centred else len(clip))


def test_two_dimensions_end_a_stream() -> None:
    for joints in ([[0.1 * n, 0.2] for n in range(22)], [[0.1 * n, 0.2, 0] for n in range(22)]):
        with pytest.raises(SourceError, match="a model of 3-D recordings does not know 2-D ones"):
            parse({"t": 0, "joints": joints})
