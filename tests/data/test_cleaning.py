"""Absent persons, absent frames, missing joints, bad first frames: what is made good, counted, refused."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from adasgn_edge.data.cleaning import Cleaning, clean_recording, fill_track
from adasgn_edge.data.persons import Body, whole_body
from adasgn_edge.errors import ClipError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout

HAND, BODY = load_layout("shrec22"), load_layout("kinect20")
BARE = dataclasses.replace(BODY, bones=())


def hand(seed: int = 3, gesture: str = "Swipe Up") -> NDArray[np.float32]:
    return animate(gesture, one_finger=False, seed=seed, rate=30.0)


def clean(*tracks: NDArray[np.float32], layout=HAND, missing: str = "fill"):
    return clean_recording([whole_body(track) for track in tracks], layout, missing, "wave.csv")


def test_what_is_whole_stays_as_it_is():
    recorded = hand()
    (track,), cleaning = clean(recorded)
    np.testing.assert_array_equal(track, recorded)
    assert not cleaning
    assert str(cleaning) == ""


@pytest.mark.parametrize("mark", [0.0, np.nan])
class TestMissing:
    def test_scattered_joints_are_filled_near_where_they_were(self, mark):
        recorded = hand()
        lacking = recorded.copy()
        lost = np.random.default_rng(1).random(recorded.shape[:2]) < 0.1
        lacking[lost] = mark
        (track,), cleaning = clean(lacking)
        assert cleaning == Cleaning(filled_joints=int(lost.sum()))
        np.testing.assert_array_equal(track[~lost], recorded[~lost])
        assert np.linalg.norm(track - recorded, axis=-1)[lost].max() < 0.01  # metres; the hand moves 0.3

    def test_a_joint_follows_its_neighbour_where_it_is_lost_at_the_end(self, mark):
        recorded = np.repeat(hand()[:1], 40, axis=0) + np.linspace(0, 1, 40)[:, None, None].astype(np.float32)
        lacking = recorded.copy()
        lacking[30:, HAND.index("index_tip")] = mark
        lacking[:5, HAND.index("thumb_tip")] = mark
        (track,), _ = clean(lacking)
        np.testing.assert_allclose(track, recorded, atol=1e-5)

    def test_a_joint_never_seen_lies_on_its_neighbour(self, mark):
        lacking = hand()
        lacking[:, HAND.index("index_tip")] = mark
        (track,), cleaning = clean(lacking)
        np.testing.assert_array_equal(track[:, HAND.index("index_tip")], track[:, HAND.index("index_joint_2")])
        assert cleaning.filled_joints == len(lacking)

    def test_without_bones_a_joint_is_interpolated_by_itself(self, mark):
        recorded = np.cumsum(np.ones((9, 20, 3), dtype=np.float32), axis=0)
        lacking = recorded.copy()
        lacking[3:5, 2] = mark
        (track,), _ = clean(lacking, layout=BARE)
        np.testing.assert_allclose(track, recorded)

    def test_absent_frames_are_left_out(self, mark):
        recorded = hand()
        nobody = np.full_like(recorded[:4], mark)
        (track,), cleaning = clean(np.concatenate([nobody, recorded[:20], nobody, recorded[20:], nobody]))
        np.testing.assert_array_equal(track, recorded)
        assert cleaning == Cleaning(absent_frames=12)

    def test_absent_persons_are_no_persons(self, mark):
        tracks, cleaning = clean(np.full_like(hand(), mark), hand())
        assert len(tracks) == 1
        assert cleaning == Cleaning(absent_persons=1)

    def test_nobody_is_an_error(self, mark):
        with pytest.raises(ClipError, match=r"wave.csv: expected somebody in at least one frame"):
            clean(np.full_like(hand(), mark))

    def test_more_missing_than_seen_is_an_error_that_names_joints(self, mark):
        lacking = hand()
        lacking[:, 2:16] = mark
        with pytest.raises(ClipError, match=r"wave.csv: .* 64% missing; never seen: thumb_base, .* \(14 in all\)"):
            clean(lacking)

    def test_a_scale_without_its_bone_is_an_error(self, mark):
        lacking = hand()
        lacking[:, HAND.index("middle_base")] = mark
        with pytest.raises(ClipError, match="expected joint 'middle_base', by which the size is measured"):
            clean(lacking)

    def test_by_choice_missing_is_refused_and_named(self, mark):
        lacking = hand()
        lacking[7, HAND.index("ring_tip")] = mark
        with pytest.raises(ClipError, match=r"wave.csv: .* found 1 missing .* 'ring_tip' in frame 7.*--missing fill"):
            clean(lacking, missing="error")
        (track,), _ = clean(np.concatenate([hand(), np.full_like(hand()[:9], mark)]), missing="error")
        np.testing.assert_array_equal(track, hand())  # frames with nobody are no missing joints


def test_coordinates_relative_to_a_joint_keep_its_zeros():
    relative = hand() - hand()[:, :1]
    (track,), cleaning = clean(np.concatenate([relative, np.zeros_like(relative[:5])]))
    np.testing.assert_array_equal(track, relative)
    assert cleaning == Cleaning(absent_frames=5)
    tip = HAND.index("index_tip")
    (track,), cleaning = clean(hand() - hand()[:, tip : tip + 1])  # a finger tip that is zero was not seen
    assert cleaning.filled_joints == len(track)


def test_one_coordinate_that_is_zero_is_no_mark():
    recorded = hand()
    recorded[:, 3, 0] = 0
    (track,), cleaning = clean(recorded)
    np.testing.assert_array_equal(track, recorded)
    assert not cleaning


def test_an_unknown_choice_is_refused():
    with pytest.raises(ClipError, match="missing: expected one of fill, error, found 'drop'"):
        clean(hand(), missing="drop")


class TestFirstFrames:
    """All normalisation rests on the first frame: one bad one must not ruin it."""

    @pytest.mark.parametrize("joint", ["wrist", "middle_base"])
    @pytest.mark.parametrize("frames", [1, 2])
    def test_a_joint_that_jumps_is_filled(self, joint, frames):
        recorded = hand()
        wrong = recorded.copy()
        wrong[:frames, HAND.index(joint)] += np.float32([0.06, -0.08, 0])
        (track,), cleaning = clean(wrong)
        assert len(track) == len(recorded)
        assert cleaning == Cleaning(jumps=frames)
        assert np.linalg.norm(track - recorded, axis=-1).max() < 0.01

    def test_a_frame_of_somewhere_else_is_left_out(self):
        wrong = hand()
        wrong[0] += np.float32([0, 0, 1])
        (track,), cleaning = clean(wrong)
        np.testing.assert_array_equal(track, wrong[1:])
        assert cleaning == Cleaning(jumps=1)

    def test_joints_that_were_not_seen_are_no_jump(self):
        lacking = hand()
        lacking[0, 6:] = np.nan  # only wrist, palm and thumb
        lacking[1, 1:12] = np.nan
        (track,), cleaning = clean(lacking)
        assert cleaning == Cleaning(filled_joints=16 + 11)
        assert np.linalg.norm(track - hand(), axis=-1).max() < 0.01

    def test_bones_that_were_not_seen_do_not_tell(self):
        wrong = hand()
        wrong[0, HAND.index("wrist")] += np.float32([0.06, -0.08, 0])
        wrong[:, HAND.index("thumb_base")] = np.nan
        wrong[0, HAND.index("palm")] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, cleaning = clean(wrong)
        assert cleaning == Cleaning(filled_joints=len(wrong) + 1)

    def test_quick_starts_stay(self):
        for seed in range(3):
            for gesture in ("Swipe Left", "Shake", "Swipe X", "Grab"):
                recorded = hand(seed, gesture)
                for skipped in (0, 8, 16):  # in the middle of the movement
                    (track,), cleaning = clean(recorded[skipped:])
                    np.testing.assert_array_equal(track, recorded[skipped:])
                    assert not cleaning

    def test_two_or_three_frames_do_not_tell_which_is_wrong(self):
        wrong = hand()[:3]
        wrong[0] += 1
        (track,), _ = clean(wrong)
        np.testing.assert_array_equal(track, wrong)


def test_clean_recordings_stay_as_they_are(data_root):
    from adasgn_edge.data.registry import open_dataset

    dataset = open_dataset("shrec14", data_root)
    assert not dataset.cleaning
    assert len(dataset) == 2800


class TestPersons:
    def test_the_order_in_the_file_has_no_say(self):
        gesturing, resting = hand(), np.repeat(hand(4)[:1] + np.float32(0.5), 61, axis=0)
        for tracks in ((gesturing, resting), (resting, gesturing)):
            found, _ = clean(*tracks)
            np.testing.assert_array_equal(found[0], gesturing)
            np.testing.assert_array_equal(found[1], resting)

    @pytest.mark.parametrize("pieces", [2, 5])
    def test_new_numbers_for_the_same_hand_are_one_person(self, pieces):
        recorded = hand()
        parts = np.array_split(np.arange(len(recorded)), pieces)
        bodies = [Body(frames, recorded[frames]) for frames in parts]
        (track,), cleaning = clean_recording(bodies[::-1], HAND)
        np.testing.assert_array_equal(track, recorded)
        assert cleaning == Cleaning(joined=pieces - 1)

    def test_two_whose_numbers_are_swapped_are_told_apart(self):
        left, right = hand(1), hand(2) + np.float32([0.5, 0, 0])
        length = min(len(left), len(right))
        left, right = left[:length], right[:length]
        for swap in (5, length // 2):
            one = np.concatenate([left[:swap], right[swap:]])
            other = np.concatenate([right[:swap], left[swap:]])
            tracks, _ = clean(one, other)
            assert {track.tobytes() for track in tracks} == {left.tobytes(), right.tobytes()}

    def test_a_jump_beside_somebody_else_is_no_other_person(self):
        jumping, other = hand(1), hand(2) + np.float32([0, 3, 0])
        jumping[30:] += np.float32([0.5, 0, 0])
        tracks, cleaning = clean(jumping, other)
        assert {track.tobytes() for track in tracks} == {jumping.tobytes(), other.tobytes()}
        assert not cleaning

    def test_who_jumps_all_the_time_stays_one(self):
        noise = hand(1) + np.random.default_rng(0).normal(0, 1, (len(hand(1)), 1, 3)).astype(np.float32)
        tracks, _ = clean(noise, hand(2))
        assert sorted(len(track) for track in tracks)[0] > 50

    def test_somebody_else_later_and_elsewhere_is_somebody_else(self):
        first, second = hand(1), hand(2) + np.float32([2, 0, 0])
        frames = np.arange(len(first), len(first) + len(second))
        tracks, cleaning = clean_recording([whole_body(first), Body(frames, second)], HAND)
        assert len(tracks) == 2
        assert not cleaning

    def test_who_is_lost_longer_may_come_back_farther_away(self):
        recorded, moved = hand(1), hand(1) + np.float32([0.25, 0, 0])
        near = Body(np.arange(len(recorded), 2 * len(recorded)), moved)
        late = Body(near.frames + 40, moved)
        assert len(clean_recording([whole_body(recorded), near], HAND)[0]) == 2
        assert len(clean_recording([whole_body(recorded), late], HAND)[0]) == 1

    def test_a_stray_detection_is_left_out(self):
        recorded = hand()
        stray = Body(np.array([9]), recorded[9:10] + np.float32([0.4, 0, 0]))
        (track,), cleaning = clean_recording([stray, whole_body(recorded)], HAND)
        np.testing.assert_array_equal(track, recorded)
        assert cleaning == Cleaning(strays=1)

    def test_a_short_recording_is_no_stray(self):
        tracks, cleaning = clean(hand()[:3], hand()[:5] + np.float32([1, 0, 0]))
        assert [len(track) for track in tracks] in ([3, 5], [5, 3])
        assert not cleaning

    def test_many_bodies_take_no_time(self):
        bodies = [Body(np.arange(i, i + 5), hand()[:5] + np.float32(i)) for i in range(400)]
        tracks, _ = clean_recording(bodies, HAND)
        assert len(tracks) <= 64


def test_a_wrong_joint_count_is_refused():
    with pytest.raises(ClipError, match=r"wave.csv: expected shape \(frames, 22, 3\) .*, found \(5, 21, 3\)"):
        clean(np.ones((5, 21, 3), dtype=np.float32))


def test_filling_needs_no_second_look():
    lacking = hand()
    lacking[4:9, 7] = np.nan
    filled, count = fill_track(lacking, HAND)
    assert count == 5
    again, none = fill_track(filled, HAND)
    np.testing.assert_array_equal(again, filled)
    assert none == 0


def test_counts_add_up_and_speak():
    total = Cleaning(filled_joints=1, strays=2) + Cleaning(filled_joints=2, absent_frames=1)
    assert total == Cleaning(filled_joints=3, absent_frames=1, strays=2)
    assert str(total) == "3 missing joints filled, 1 frame without anybody left out, 2 stray detections left out"
