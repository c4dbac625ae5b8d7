from __future__ import annotations

import numpy as np
import pytest

from adasgn_edge.data.preprocess import (
    CENTRE,
    OFFSET_RANGE,
    STREAMS,
    as_recording,
    complete_recording,
    make_clip,
    make_clips,
    normalise,
    segment_frames,
    to_stream,
)
from adasgn_edge.errors import ClipError
from adasgn_edge.skeletons import load_layout

HAND, BODY = load_layout("shrec22"), load_layout("ntu25")


def recording(length: int, joints: int = 22, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, joints, 3)).astype(np.float32)


class TestSegmentFrames:
    @pytest.mark.parametrize("frames", [1, 2, 7, 20])
    def test_one_frame_of_each_equal_segment(self, frames):
        segment = np.arange(frames)
        for length in (*range(1, 70), 171, 300, 100_003):
            first = segment_frames(length, frames, 0, segment)
            last = segment_frames(length, frames, OFFSET_RANGE - 1, segment)
            np.testing.assert_array_equal(first, segment * length // frames)
            assert (first <= last).all()
            assert last.max() < length
            assert (last <= np.ceil((segment + 1) * length / frames) - 1).all()

    def test_middle_frames(self):
        assert segment_frames(100, 20, CENTRE, np.arange(20)).tolist() == list(range(2, 100, 5))
        assert segment_frames(20, 20, CENTRE, np.arange(20)).tolist() == list(range(20))

    def test_short_recordings_repeat_frames(self):
        assert segment_frames(1, 20, CENTRE, np.arange(20)).tolist() == [0] * 20
        assert segment_frames(4, 8, CENTRE, np.arange(8)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        for length in range(1, 20):
            assert set(segment_frames(length, 20, CENTRE, np.arange(20)).tolist()) == set(range(length))

    def test_every_frame_of_a_segment_can_be_drawn_equally_often(self):
        offsets = np.arange(OFFSET_RANGE)
        frames, counts = np.unique(segment_frames(40, 8, offsets, 3), return_counts=True)
        assert frames.tolist() == [15, 16, 17, 18, 19]
        assert np.ptp(counts) <= 1

    def test_torch_gives_the_same_frames(self):
        torch = pytest.importorskip("torch")
        random = np.random.default_rng(0)
        length = random.integers(1, 400, (50, 2, 1))
        offset = random.integers(0, OFFSET_RANGE, (50, 2, 20))
        expected = segment_frames(length, 20, offset, np.arange(20))
        found = segment_frames(torch.from_numpy(length), 20, torch.from_numpy(offset), torch.arange(20))
        np.testing.assert_array_equal(found.numpy(), expected)


class TestNormalise:
    def test_hand_wrist_at_zero_and_bone_of_length_one(self):
        recorded = recording(5)
        moved = normalise(recorded, HAND)
        wrist, base = HAND.index("wrist"), HAND.index("middle_base")
        assert moved.dtype == np.float32
        np.testing.assert_array_equal(moved[0, wrist], 0)
        assert np.linalg.norm(moved[0, base]) == pytest.approx(1, abs=1e-6)
        scale = np.linalg.norm(recorded[0, base] - recorded[0, wrist])
        np.testing.assert_allclose(moved * scale + recorded[0, wrist], recorded, atol=1e-5)

    def test_the_mean_of_several_joints_at_zero(self):
        pose, recorded = load_layout("coco17"), recording(5, 17)
        hips, shoulder = [pose.index("left_hip"), pose.index("right_hip")], pose.index("left_shoulder")
        moved = normalise(recorded, pose)
        assert moved.dtype == np.float32
        np.testing.assert_allclose(moved[0, hips].mean(axis=0), 0, atol=1e-6)
        assert np.linalg.norm(moved[0, shoulder] - moved[0, hips[0]]) == pytest.approx(1, abs=1e-6)
        turned = recorded[:, [*range(11), 12, 11, *range(13, 17)]]  # the hips change places: their mean does not
        assert (pose.origin_of(turned[0]) == pose.origin_of(recorded[0])).all()

    def test_body_keeps_its_size(self):
        recorded = recording(5, 25)
        np.testing.assert_array_equal(normalise(recorded, BODY), recorded - recorded[0, BODY.index("spine_mid")])

    def test_reference_of_another_person(self):
        recorded, reference = recording(5), recording(1, seed=1)[0]
        together = normalise(np.concatenate([reference[None], recorded]), HAND)
        np.testing.assert_array_equal(normalise(recorded, HAND, reference), together[1:])

    def test_no_bone_to_scale_by(self):
        recorded = recording(5)
        recorded[0, HAND.index("middle_base")] = recorded[0, HAND.index("wrist")]
        with pytest.raises(ClipError, match="bone from wrist to middle_base to be longer than 1e-6, found 0"):
            normalise(recorded, HAND)


class TestStreams:
    def test_joint_bone_velocity(self):
        clip = recording(20)
        np.testing.assert_array_equal(to_stream(clip, "joint", HAND.parents), clip)
        bone = to_stream(clip, "bone", HAND.parents)
        np.testing.assert_array_equal(bone[:, HAND.index("wrist")], clip[:, HAND.index("wrist")])
        tip, before = HAND.index("index_tip"), HAND.index("index_joint_2")
        np.testing.assert_array_equal(bone[:, tip], clip[:, tip] - clip[:, before])
        velocity = to_stream(clip, "velocity", HAND.parents)
        np.testing.assert_array_equal(velocity[0], 0)
        np.testing.assert_array_equal(velocity[1:], clip[1:] - clip[:-1])

    @pytest.mark.parametrize("stream", STREAMS)
    def test_torch_and_batches_give_the_same_numbers(self, stream):
        torch = pytest.importorskip("torch")
        clips = np.stack([recording(20), recording(20, seed=1)])
        expected = np.stack([to_stream(clip, stream, HAND.parents) for clip in clips])
        np.testing.assert_array_equal(to_stream(clips, stream, HAND.parents), expected)
        found = to_stream(torch.from_numpy(clips), stream, torch.from_numpy(HAND.parents))
        np.testing.assert_array_equal(found.numpy(), expected)

    def test_unknown_stream(self):
        with pytest.raises(ClipError, match="expected a stream among joint, bone, velocity, found 'acceleration'"):
            to_stream(recording(2), "acceleration", HAND.parents)


class TestClip:
    @pytest.mark.parametrize("length", [1, 7, 20, 171])
    def test_is_what_its_parts_give(self, length):
        recorded = recording(length)
        clip = make_clip(recorded, HAND, 20, "bone")
        assert clip.shape == (20, 22, 3)
        assert clip.flags.c_contiguous
        picked = normalise(recorded, HAND)[segment_frames(length, 20, CENTRE, np.arange(20))]
        np.testing.assert_array_equal(clip, to_stream(picked, "bone", HAND.parents))

    @pytest.mark.parametrize(
        ("positions", "message"),
        [
            (np.zeros((5, 21, 3)), r"expected shape \(frames, 22, 3\) for layout 'shrec22', found \(5, 21, 3\)"),
            (np.zeros((5, 22, 2)), r"found \(5, 22, 2\)"),
            (np.zeros((22, 3)), r"found \(22, 3\)"),
            (np.zeros((0, 22, 3)), "with at least one frame, found none"),
            ([[[1, 2], [3]]], r"expected shape \(frames, 22, 3\) .* of numbers"),
            ("wave", r"expected shape \(frames, 22, 3\) .* of numbers"),
            (None, "found"),
        ],
    )
    def test_refused(self, positions, message):
        with pytest.raises(ClipError, match=f"my clip: .*{message}"):
            as_recording(positions, HAND, "my clip")

    @pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
    def test_infinity_is_refused_and_named(self, value):
        recorded = recording(9).astype(np.float64)
        recorded[4, HAND.index("thumb_tip"), 1] = value
        with pytest.raises(ClipError, match=r"my clip: .*found infinity in frame 4, joint 'thumb_tip'"):
            complete_recording(recorded, HAND, "my clip")

    def test_a_clip_has_no_zeros_for_joints_and_nobody_in_no_frame(self):
        recorded = recording(30)
        lacking = np.concatenate([np.zeros_like(recorded[:3]), recorded, np.zeros_like(recorded[:60])])
        lacking[10, 4] = np.nan
        np.testing.assert_allclose(make_clip(lacking, HAND, 20), make_clip(recorded, HAND, 20), atol=0.5)
        assert (make_clip(lacking, HAND, 20)[1:] != 0).all()
        with pytest.raises(ClipError, match="expected somebody in at least one frame"):
            make_clip(np.zeros((30, 22, 3)), HAND, 20)

    def test_masked_joints_are_missing(self):
        recorded = recording(30)
        masked = np.ma.MaskedArray(recorded, mask=np.zeros_like(recorded, dtype=bool))
        masked[5, 3] = np.ma.masked
        masked.data[5, 3] = 1e6
        missing = recorded.copy()
        missing[5, 3] = np.nan
        np.testing.assert_array_equal(make_clip(masked, HAND, 20), make_clip(missing, HAND, 20))

    def test_persons_keep_their_place_beside_the_first(self):
        first, second = recording(30), recording(25, seed=1)
        clips = make_clips([first, second], HAND, 20)
        np.testing.assert_array_equal(clips[0], make_clip(first, HAND, 20))
        np.testing.assert_array_equal(clips[1], make_clip(second, HAND, 20, reference=first[0]))

    def test_integers_and_lists_become_float32(self):
        checked = as_recording(np.ones((2, 22, 3), dtype=int).tolist(), HAND)
        assert checked.dtype == np.float32
        assert checked.shape == (2, 22, 3)
