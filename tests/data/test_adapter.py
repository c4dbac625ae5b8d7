"""Joints of a described source to those of a layout: axes, units, mirrored pictures, gravity, left hands, 2-D data."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest

from adasgn_edge.data.adapter import Adapter, turn_down
from adasgn_edge.data.axes import handedness, to_model
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.persons import Body
from adasgn_edge.data.sources import builtin_sources, load_source, other_side
from adasgn_edge.data.stream_frames import WATCHED
from adasgn_edge.errors import LayoutError, SourceError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import SkeletonLayout, load_layout

HAND, BODY = load_layout("shrec22"), load_layout("ntu25")
CLIP = animate("Swipe Up", seed=3)[:20] + np.float32([0.1, -0.2, 0.5])
MIRROR = np.float32([-1, 1, 1])
ALL_AXES = [
    tuple(words)
    for order in permutations((("right", "left"), ("up", "down"), ("back", "forward")))
    for words in product(*order)
]


def described(layout: Any = HAND, **changes: Any) -> Adapter:
    said = {**StreamDescription.as_model(layout).to_dict(), **changes}
    return Adapter(StreamDescription.from_dict(said), layout)


def rolled(degrees: float, axis: int = 2) -> np.ndarray:
    """(3, 3), from the right of positions: turned about an axis."""
    angle = np.radians(degrees)
    first, second = [other for other in range(3) if other != axis]
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = np.sin(angle), -np.sin(angle)
    return turn


def test_what_is_as_the_model_expects_stays_to_the_last_bit() -> None:
    adapter = Adapter(StreamDescription.as_model(HAND), HAND)
    assert adapter.source is None
    assert adapter.joints == HAND.joints
    np.testing.assert_array_equal(adapter.convert_track(CLIP), CLIP)
    found = adapter.convert(CLIP[3].tolist())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, CLIP[3])


@pytest.mark.parametrize("axes", ALL_AXES)
def test_all_axes(axes: tuple[str, str, str]) -> None:
    """48 ways to lay three axes; half of them left-handed."""
    given = CLIP @ to_model(axes).T.astype(np.float32)
    np.testing.assert_allclose(described(axes=list(axes)).convert_track(given), CLIP, atol=1e-7)
    assert sum(handedness(other) == "left" for other in ALL_AXES) == 24 == len(ALL_AXES) / 2


def test_units() -> None:
    np.testing.assert_allclose(described(units="mm").convert_track(CLIP * 1000), CLIP, rtol=1e-5)
    np.testing.assert_allclose(described(units=0.5).convert_track(CLIP * 2), CLIP, rtol=1e-6)


class TestMirroredPictures:
    @pytest.mark.parametrize("axes", ["model", "optical", "ros", "right up forward"])
    def test_a_hand(self, axes: str) -> None:
        """Whatever is seen in a mirrored picture has its left and right changed about."""
        unmirrored = np.linalg.inv(to_model(StreamDescription.from_dict(
            {**StreamDescription.as_model(HAND).to_dict(), "axes": axes}).axes))  # fmt: skip
        seen = (CLIP * MIRROR) @ unmirrored.astype(np.float32)
        np.testing.assert_allclose(described(axes=axes, mirrored=True).convert_track(seen), CLIP, atol=1e-7)

    def test_a_left_hand_in_a_mirrored_picture_looks_like_a_right_one(self) -> None:
        left = CLIP * MIRROR
        np.testing.assert_allclose(described(side="left").convert_track(left), CLIP, atol=1e-7)
        np.testing.assert_allclose(described(side="left", mirrored=True).convert_track(left * MIRROR), CLIP, atol=1e-7)

    @pytest.mark.parametrize("joints", ["model", "mediapipe-pose-33"])
    def test_a_body_whose_left_wrist_is_called_the_right_one(self, joints: str) -> None:
        source = None if joints == "model" else load_source(joints)
        names = BODY.joints if source is None else source.joints
        body = np.random.default_rng(0).normal(size=(len(names), 3)).astype(np.float32)
        others = [names.index(name.replace("left", "L").replace("right", "left").replace("L", "right"))
                  for name in names]  # fmt: skip
        found = described(BODY, joints=joints, mirrored=True).convert(body[others] * MIRROR)
        np.testing.assert_allclose(found, described(BODY, joints=joints).convert(body), atol=1e-6)
        assert np.abs(found - described(BODY, joints=joints).convert(body * MIRROR)).max() > 0.5

    def test_there_is_none_behind_a_headset(self) -> None:
        with pytest.raises(SourceError, match="mirrored: expected false of source 'openxr-26'"):
            described(joints="openxr-26", mirrored=True)


class TestSides:
    def test_a_left_hand_becomes_a_right_one(self) -> None:
        np.testing.assert_allclose(described(side="left").convert(CLIP[0] * MIRROR), CLIP[0], atol=1e-7)
        np.testing.assert_array_equal(described(side="right").convert(CLIP[0]), CLIP[0])

    def test_each_track_may_say_its_own(self) -> None:
        adapter = described(side="track")
        np.testing.assert_allclose(adapter.convert(CLIP[0] * MIRROR, side="left"), CLIP[0], atol=1e-7)
        np.testing.assert_array_equal(adapter.convert(CLIP[0], side="right"), CLIP[0])
        for wrong in (None, "body", "track", "Left"):
            with pytest.raises(SourceError, match="side: expected 'left' or 'right' of every track"):
                adapter.convert(CLIP[0], side=wrong)
        with pytest.raises(SourceError, match="side: expected 'left' or 'right'"):
            adapter.apply(Body(np.arange(len(CLIP)), CLIP))

    def test_contradictions(self) -> None:
        np.testing.assert_array_equal(described().convert(CLIP[0], side="right"), CLIP[0])
        with pytest.raises(SourceError, match="side: expected 'right', as the source is described; found 'left'"):
            described().convert(CLIP[0], side="left")
        with pytest.raises(SourceError, match="expected 'right', 'left' or 'track' of the hands"):
            described(side="body")
        with pytest.raises(SourceError, match="side: expected 'body' of the bodies of layout 'ntu25', found 'left'"):
            described(BODY, side="left")


class TestGravity:
    @pytest.mark.parametrize("axes", ["model", "optical", "ros"])
    @pytest.mark.parametrize("degrees", [30, -90, 150, 180])
    def test_a_rolled_sensor_is_undone(self, axes: str, degrees: float) -> None:
        """A sensor turned about the axis that it looks along sees everything turned the other way, gravity too."""
        from_model = np.linalg.inv(to_model(described(axes=axes).description.axes))
        seen = (CLIP @ rolled(degrees) @ from_model).astype(np.float32)
        gravity = [0, -9.81, 0] @ rolled(degrees) @ from_model
        level = described(axes=axes).convert_track(seen)
        assert np.abs(level - CLIP).max() > 0.1
        found = described(axes=axes, gravity=gravity.tolist()).convert_track(seen)
        np.testing.assert_allclose(found, CLIP, atol=1e-6)
        np.testing.assert_allclose(described(axes=axes).convert_track(seen, gravity=gravity), CLIP, atol=1e-6)

    def test_a_sensor_that_looks_down(self) -> None:
        seen = (CLIP @ rolled(40, axis=0)).astype(np.float32)
        found = described(gravity=([0, -1, 0] @ rolled(40, axis=0)).tolist()).convert_track(seen)
        np.testing.assert_allclose(found, CLIP, atol=1e-6)

    def test_a_mirrored_picture_does_not_mirror_the_accelerometer(self) -> None:
        seen = (CLIP @ rolled(30)).astype(np.float32) * MIRROR
        gravity = ([0, -1, 0] @ rolled(30)).tolist()
        np.testing.assert_allclose(described(mirrored=True, gravity=gravity).convert_track(seen), CLIP, atol=1e-6)

    def test_a_left_hand_is_turned_before_it_is_mirrored(self) -> None:
        seen = ((CLIP * MIRROR) @ rolled(30)).astype(np.float32)
        gravity = ([0, -1, 0] @ rolled(30)).tolist()
        np.testing.assert_allclose(described(side="left", gravity=gravity).convert_track(seen), CLIP, atol=1e-6)

    def test_every_direction_ends_down_by_a_rotation(self) -> None:
        for gravity in np.random.default_rng(0).normal(size=(500, 3)):
            turn = turn_down(gravity.tolist())
            np.testing.assert_allclose(gravity @ turn, [0, -np.linalg.norm(gravity), 0], atol=1e-9)
            np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
            assert np.linalg.det(turn) > 0
            cosine = -gravity[1] / np.linalg.norm(gravity)
            if cosine > -0.7:  # the smallest: its angle is that between gravity and down
                assert (np.trace(turn) - 1) / 2 == pytest.approx(cosine, abs=1e-9)
        for noise in (1e-9, -1e-9):  # hanging upside down, the outcome does not hang on noise
            np.testing.assert_allclose(turn_down([noise, 1, noise]), np.diag([-1, -1, 1]), atol=1e-8)

    @pytest.mark.parametrize("gravity", [[0, 0, 0], [np.nan, 0, 1], [0, 1], "up", 3])
    def test_no_direction(self, gravity: Any) -> None:
        with pytest.raises(SourceError, match="gravity: expected three numbers"):
            described().convert(CLIP[0], gravity=gravity)


def test_joints_that_were_not_seen() -> None:
    adapter = described(joints="mediapipe-hand-21", axes="optical", side="track")
    joints = np.random.default_rng(0).normal(5, 1, size=(2, 21, 3)).astype(np.float32)
    joints[1, 0, 1] = np.nan  # of the wrist, from which the palm is made too
    joints[1, 20] = np.inf
    found = adapter.convert_track(joints, side="right")
    assert np.isfinite(found[0]).all()
    lost = {HAND.joints[joint] for joint in np.flatnonzero(np.isnan(found[1]).any(axis=-1))}
    assert lost == {"wrist", "palm", "little_tip"}
    assert np.isnan(found[1][np.isnan(found[1]).any(axis=-1)]).all()
    np.testing.assert_array_equal(adapter.convert(joints[1], side="right"), found[1])
    assert np.isnan(adapter.convert(np.full((21, 3), np.nan), side="left")).all()


class TestTwoDimensions:
    @pytest.mark.parametrize("z", [None, 0, np.nan])
    def test_are_refused_with_the_ways_out(self, z: float | None) -> None:
        flat = CLIP[..., :2] if z is None else np.concatenate([CLIP[..., :2], np.full((20, 22, 1), z)], axis=-1)
        for convert, joints in ((described().convert, flat[0]), (described().convert_track, flat)):
            with pytest.raises(SourceError, match=r"expected x, y and z, found .*does not know 2-D ones.*lift"):
                convert(joints)

    def test_nobody_is_not_flat(self) -> None:
        assert (described().convert(np.zeros((22, 3))) == 0).all()
        one = np.full((22, 3), np.nan)
        one[4] = [0.1, 0.2, 0]
        assert np.isfinite(described().convert(one)).any(axis=-1).sum() == 1


@pytest.mark.parametrize("name", builtin_sources())
def test_every_source_onto_every_layout(name: str) -> None:
    source = load_source(name)
    joints = np.random.default_rng(0).normal(5, 1, size=(3, len(source.joints), 3)).astype(np.float32)
    for target in source.mappings:
        layout = load_layout(target)
        adapter = described(layout, joints=name, axes="ros", units="cm")
        expected = np.einsum("vs,lsc->lvc", source.matrix(layout), joints)[..., [1, 2, 0]] * 0.01
        np.testing.assert_allclose(adapter.convert_track(joints), expected, atol=1e-6)
        body = Body(np.arange(3), joints)
        np.testing.assert_allclose(adapter.apply(body).positions, expected, atol=1e-6)
        assert adapter.joint_count == len(adapter.joints) == len(source.joints)
        if source.camera:
            mirrored = described(layout, joints=name, axes="ros", units="cm", mirrored=True)
            found = mirrored.convert_track(joints)
            np.testing.assert_allclose(mirrored.apply(body).positions, found, atol=1e-6)
            np.testing.assert_allclose(found, expected[:, other_side(layout)] * MIRROR, atol=1e-6)


def test_what_does_not_fit() -> None:
    with pytest.raises(LayoutError, match="a body has not the joints of a hand"):
        described(joints="azure-kinect-32")
    with pytest.raises(LayoutError, match="a hand has not the joints of a body"):
        described(BODY, joints="mediapipe-hand-21")
    with pytest.raises(LayoutError, match="expected one of azure-kinect-32"):
        described(joints="mediapip")
    with pytest.raises(SourceError, match=r"expected shape \(22, 3\) of layout 'shrec22', .* found \(21, 3\)"):
        described().convert(CLIP[0, :21])
    with pytest.raises(SourceError, match=r"expected shape \(21, 3\) of source 'mediapipe-hand-21'"):
        described(joints="mediapipe-hand-21").convert(CLIP[0])
    for ragged in ([None, [1, 2, 3]], "joints", {"wrist": [1, 2, 3]}, [[1, 2, 3], [1, 2]]):
        with pytest.raises(SourceError, match="joints: expected numbers, x, y and z of every joint"):
            described().convert(ragged)
    for wrong in (CLIP, 3, [[]]):
        with pytest.raises(SourceError, match=r"expected shape \(22, 3\)"):
            described().convert(wrong)


class TestPaths:
    """Coordinates that go with the body, of sources that are known to come so."""

    @pytest.mark.parametrize("centre", ["middle", "wrist"])
    def test_are_refused(self, centre: str) -> None:
        adapter = described(joints="mediapipe-hand-21")
        clip = CLIP[:, [joint for joint in range(22) if joint != 1]]
        given = clip - (clip.mean(axis=1, keepdims=True) if centre == "middle" else clip[:, :1])
        for convert in (adapter.convert_track, lambda joints: adapter.apply(Body(np.arange(len(joints)), joints))):
            with pytest.raises(
                SourceError, match=r"source 'mediapipe-hand-21': .* the path is lost.*perspective\.place"
            ):
                convert(given)
            convert(clip)
        described().convert_track(CLIP - CLIP.mean(axis=1, keepdims=True))  # not known to come so

    def test_of_real_recordings(self, data_root: Any) -> None:
        """A sensor's recordings are never taken for such ones, whole or by their first frames; centred ones always."""
        from adasgn_edge.data.registry import open_dataset

        adapter = described(joints="mediapipe-hand-21")
        for name in ("shrec14", "nw-ucla"):
            dataset = open_dataset(name, data_root)
            for sample in dataset.indices("train")[::5].tolist():
                track = dataset.tracks(sample)[0]
                for part in (track, track[:WATCHED]):
                    adapter.expect_path(part)
                    for centre in (track.mean(axis=1, keepdims=True), track[:, :1]):
                        with pytest.raises(SourceError, match="the path is lost"):
                            adapter.expect_path((track - centre)[: len(part)])


class TestOwnLayouts:
    def layout(self, *joints: str, up: tuple[int, int, int] = (0, 1, 0)) -> SkeletonLayout:
        return SkeletonLayout.from_dict(
            {"name": "own", "joints": list(joints), "bones": [], "origin": joints[0], "up": list(up)}
        )

    @pytest.mark.parametrize(
        "names", [("LShoulder", "RShoulder"), ("l_arm", "r_arm"), ("leftArm", "x"), ("left_a", "b")]
    )
    def test_a_body_is_told_by_its_sides(self, names: tuple[str, str]) -> None:
        layout = self.layout(*names)
        assert StreamDescription.as_model(layout).side == "body"
        joints = np.float32([[1, 2, 3], [4, 5, 6]])
        np.testing.assert_array_equal(described(layout).convert(joints), joints)
        with pytest.raises(LayoutError, match="left"):
            described(layout, mirrored=True)

    def test_a_hand_has_none(self) -> None:
        assert StreamDescription.as_model(self.layout("palm", "ring", "little")).side == "right"

    def test_up_must_be_y_where_axes_are_changed(self) -> None:
        layout = self.layout("palm", "tip", up=(0, 0, 1))
        np.testing.assert_array_equal(described(layout).convert([[1, 2, 3], [4, 5, 6]]), [[1, 2, 3], [4, 5, 6]])
        for changes in ({"axes": "ros"}, {"gravity": [0, 0, -1]}):
            with pytest.raises(LayoutError, match="layout 'own': expected up to be y"):
                described(layout, **changes)
