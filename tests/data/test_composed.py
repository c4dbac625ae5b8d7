"""Streams made of trimmed clips: the clips are in them as they were, and what lies between is a possible movement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adasgn_edge.data.composed import Between, compose_streams, resampled
from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.hand_streams import FIRST_PERFORMER, STREAM_NAMES, join_streams, performed_streams, renamed
from adasgn_edge.errors import DatasetError
from adasgn_edge.hands import GESTURES, animate, shuffled
from adasgn_edge.skeletons import load_layout


def clips(performers: int = 2, each: int = 7) -> SkeletonDataset:
    """Clips of the package's own hand, the last performer's for testing."""
    builder = DatasetBuilder("own", load_layout("shrec22"), GESTURES, rate=30.0)
    for performer in range(performers):
        for number in range(each):
            label = (performer + 2 * number) % len(GESTURES)
            split = "test" if performer == performers - 1 else "train"
            track = animate(GESTURES[label], seed=100 * performer + number)
            builder.add(f"{performer}-{number}", label, split, [track], group=f"performer {performer}")
    return builder.build()


def test_every_clip_is_there_once_at_the_rate_asked_for() -> None:
    dataset = clips()
    streams = compose_streams(dataset, rate=50.0, clips=3)
    assert streams.rate == 50.0
    assert streams.class_names == dataset.class_names
    found = []
    for sequence, gestures in enumerate(streams.annotations):
        frames = streams.frames(sequence)
        found += [(gesture.label, frames[gesture.first : gesture.last + 1]) for gesture in gestures]
    assert len(found) == len(dataset)
    left = [(int(label), resampled(tracks[0], 30.0, 50.0)) for _, label, tracks in dataset]
    for label, frames in found:
        (place,) = [
            k for k, (own, track) in enumerate(left) if own == label and track.shape == frames.shape
            and np.array_equal(track, frames)
        ]  # fmt: skip
        left.pop(place)
    assert not left


def test_performers_and_splits_are_kept_apart() -> None:
    streams = compose_streams(clips(3), rate=30.0, clips=4)
    assert set(zip(streams.split.tolist(), streams.groups, strict=True)) == {
        ("train", "performer 0"), ("train", "performer 1"), ("test", "performer 2"),
    }  # fmt: skip


def test_nothing_jumps_and_hands_stay_hands() -> None:
    streams = compose_streams(clips(1, 20), rate=50.0, between=Between(detours=1.0))
    layout = streams.layout
    fastest = max(np.linalg.norm(np.diff(track, axis=0), axis=-1).max() for _, _, (track,) in clips(1, 20)) * 0.6
    for sequence in range(len(streams)):
        frames = streams.frames(sequence)
        steps = np.linalg.norm(np.diff(frames, axis=0), axis=-1).max()
        assert steps < 2.5 * fastest, "frames between clips are no farther apart than a quick gesture's"
        palm = np.linalg.norm(
            frames[:, layout.index("middle_base")] - frames[:, layout.index("wrist")], axis=-1
        )  # the palm is stiff; straight lines between turned hands would crush it
        assert palm.min() > 0.75 * np.median(palm)
        gaps = np.diff([-1, *(place for own in streams.annotations[sequence] for place in (own.first, own.last))])
        assert (gaps[::2] >= 0.7 * 50).all(), "there is a way before every gesture"


def test_rests_tremble_as_clips_do() -> None:
    """Otherwise a model could tell gestures from the rest by their noise alone."""
    streams = compose_streams(clips(1, 20), rate=30.0, between=Between(rest=(2.0, 2.0), detours=0.0))
    frames, gestures = streams.frames(0), streams.annotations[0]
    rest = frames[gestures[0].last + 2 : gestures[0].last + 58]
    own = frames[gestures[0].first : gestures[0].first + 5]
    tremble, noise = (np.abs(np.diff(part, n=2, axis=0)).mean() for part in (rest, own))
    assert 0.3 * noise < tremble < 3 * noise


def test_the_seed_decides() -> None:
    one, same, other = (compose_streams(clips(), rate=50.0, seed=seed) for seed in (1, 1, 2))
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"rate": None}, {"rate": 50.0}, "frames a second"),
        ({}, {"rate": 0.0}, "positive rate"),
        ({}, {"rate": 50.0, "clips": 0}, "number of clips"),
    ],
)
def test_what_makes_no_streams_is_named(changes: dict, options: dict, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        compose_streams(replace(clips(), **changes), **options)


def test_frames_at_another_rate() -> None:
    track = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), dtype=np.float32)
    assert resampled(track, 30.0, 60.0)[:, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert resampled(track, 30.0, 15.0)[:, 0, 0].tolist() == [0, 2]
    assert resampled(track[:1], 30.0, 60.0).shape == (1, 2, 3)


def test_joined_data_sets_share_classes_of_the_same_name() -> None:
    streams = renamed(compose_streams(clips(), rate=50.0), STREAM_NAMES)
    other = renamed(compose_streams(clips(1), rate=50.0, seed=3), {**STREAM_NAMES, "Tap": "Knock"})
    other = replace(other, name="other", names=tuple(f"other {name}" for name in other.names))
    joined = join_streams("both", [streams, other])
    assert joined.class_names == (*streams.class_names, "Knock")
    assert "Right" in joined.class_names
    assert joined.sources == (streams.name,) * len(streams) + ("other",) * len(other)
    assert joined.groups[0] == f"{streams.name}, {streams.groups[0]}"
    assert np.array_equal(joined.frames(len(streams)), other.frames(0))
    back = [other.class_names[own.label].replace("Knock", "Tap") for own in other.annotations[0]]
    there = [joined.class_names[own.label].replace("Knock", "Tap") for own in joined.annotations[len(streams)]]
    assert back == there
    with pytest.raises(DatasetError, match="one layout and rate"):
        join_streams("both", [streams, compose_streams(clips(), rate=30.0)])


def test_what_the_packages_hand_performs() -> None:
    streams = performed_streams(50.0, performers=2)
    assert (len(streams), streams.rate, streams.layout.name) == (2, 50.0, "shrec22")
    assert set(streams.split.tolist()) == {"train"}
    for own in streams.annotations:
        counts = np.bincount([gesture.label for gesture in own], minlength=len(GESTURES))
        assert counts.tolist() == [2] * len(GESTURES)  # the whole hand, one finger
    assert len(set(streams.groups)) == 2
    np.testing.assert_array_equal(streams.positions, performed_streams(50.0, performers=2).positions)
    order = [GESTURES[gesture.label] for gesture in streams.annotations[0]]
    assert order == [gesture for gesture, _ in shuffled(GESTURES, 2 * len(GESTURES), FIRST_PERFORMER)]
    joined = join_streams("hands", [compose_streams(clips(), rate=50.0), streams])
    assert joined.sources[-2:] == ("made", "made")
