"""Worse sources: what comes of a recording at another rate, with jitter, wrong stamps, losses and noise."""

from __future__ import annotations

import numpy as np
import pytest

from adasgn_edge.data.degrade import Degradation, degrade
from adasgn_edge.errors import DatasetError

SECOND = 1_000_000_000


def recording(count: int = 501, rate: float = 50.0, begin: int = 7 * SECOND):
    """Joints on straight lines: where each is says when it was seen."""
    seconds = np.arange(count) / rate
    frames = np.broadcast_to(seconds[:, None, None], (count, 22, 3)).astype(np.float32).copy()
    return frames, begin + np.rint(seconds * SECOND).astype(np.int64)


def after_degrading(text: str, seed: int = 0, **options):
    frames, stamps = recording(**options)
    stamps, result = degrade(frames, stamps, 50.0, Degradation.parse(text), seed)
    return (stamps - 7 * SECOND) / SECOND, result


def test_nothing_is_nothing():
    frames, stamps = recording()
    same_stamps, same = degrade(frames, stamps, 50.0, Degradation(), 0)
    assert np.array_equal(same, frames)
    assert np.array_equal(same_stamps, stamps)
    assert not np.shares_memory(same, frames)


def test_the_recordings_own_rate_gives_its_frames_to_the_bit():
    frames, stamps = recording()
    frames[3, 4] = np.nan
    same_stamps, same = degrade(frames, stamps, 50.0, Degradation(rate=50.0), 0)
    assert np.array_equal(same, frames, equal_nan=True)
    assert np.array_equal(same_stamps, stamps)


@pytest.mark.parametrize("rate", [20.0, 30.0, 100.0, 7.3])
def test_another_rate(rate):
    seconds, frames = after_degrading(f"rate={rate}")
    assert len(seconds) == int(10 * rate) + 1
    assert np.allclose(np.diff(seconds), 1 / rate, atol=2e-9)
    assert np.allclose(frames[:, 5, 1], seconds, atol=1e-6)
    assert frames.dtype == np.float32


def test_jitter_moves_captures_and_their_stamps_alike():
    seconds, frames = after_degrading("rate=20,jitter=0.4")
    steps = np.diff(seconds)
    assert (steps > 0).all()
    assert steps.max() > 0.07
    assert steps.min() < 0.03
    assert np.abs(seconds - np.arange(201) / 20).max() <= 0.4 / 20 + 1e-9
    assert seconds[0] >= 0
    assert seconds[-1] <= 10
    assert np.allclose(frames[:, 5, 1], seconds, atol=1e-6)


def test_a_wrong_stamp_is_not_when_it_was():
    seconds, frames = after_degrading("rate=20,stamp_error=0.01")
    captured = np.arange(201) / 20
    assert np.allclose(frames[:, 0, 0], captured, atol=1e-6)
    assert np.std(seconds - captured) == pytest.approx(0.01, rel=0.2)


def test_frames_that_never_come():
    whole, _ = after_degrading("rate=20", count=20_001)
    seconds, frames = after_degrading("rate=20,drop=0.05", count=20_001)
    assert 1 - len(seconds) / len(whole) == pytest.approx(0.05, abs=0.008)
    assert np.isin(np.rint(seconds * 1e9), np.rint(whole * 1e9)).all()
    assert np.allclose(frames[:, 5, 1], seconds, atol=1e-4)


def test_the_first_frame_always_comes():
    for seed in range(20):
        assert after_degrading("drop=0.99", seed, count=50)[0][0] == 0


def test_noise():
    seconds, frames = after_degrading("noise=0.002")
    assert np.std(frames - seconds[:, None, None]) == pytest.approx(0.002, rel=0.05)


def test_joints_that_are_not_seen():
    _, frames = after_degrading("missing=0.2", count=2001)
    assert np.array_equal(np.isnan(frames).any(-1), np.isnan(frames).all(-1))
    assert np.isnan(frames[..., 0]).mean() == pytest.approx(0.2, abs=0.01)


def test_a_joint_missing_on_either_side_is_missing():
    frames, stamps = recording(101)
    frames[50, 3] = np.nan
    result_stamps, result = degrade(frames, stamps, 50.0, Degradation(rate=40.0), 0)
    missing = np.isnan(result[:, 3, 0])
    near = np.abs(result_stamps - stamps[50]) < SECOND // 50
    assert np.array_equal(missing, near)
    assert not np.isnan(np.delete(result, 3, axis=1)).any()


def test_seeds():
    text = "rate=20,jitter=0.3,drop=0.05,noise=0.001,stamp_error=0.001"
    one, same, other = after_degrading(text, 1), after_degrading(text, 1), after_degrading(text, 2)
    assert np.array_equal(one[0], same[0])
    assert np.array_equal(one[1], same[1])
    assert not np.array_equal(one[0][:50], other[0][:50])


def test_one_frame():
    seconds, frames = after_degrading("rate=20,jitter=0.3,drop=0.5", count=1)
    assert seconds.tolist() == [0]
    assert frames.shape == (1, 22, 3)


def test_as_a_command_writes_it():
    degradation = Degradation.parse(" rate=20, jitter=0.3,drop=0.05,stamp-error=0.01 ")
    assert degradation == Degradation(rate=20, jitter=0.3, drop=0.05, stamp_error=0.01)
    assert str(degradation) == "rate=20,jitter=0.3,stamp_error=0.01,drop=0.05"
    assert Degradation.parse(str(degradation)) == degradation
    assert Degradation.parse("") == Degradation()
    assert str(Degradation()) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate", "expected NAME=NUMBER,.* found 'rate'"),
        ("speed=3", "found 'speed=3'"),
        ("drop=0.1,drop=0.2", "each of rate, .* once, found 'drop=0.2'"),
        ("drop=5%", "degradation, drop: expected a number, found '5%'"),
        ("drop=1", "drop: expected a probability below 1, found 1.0"),
        ("drop=nan", "drop: expected a probability"),
        ("rate=0", "rate: expected frames a second, found 0.0"),
        ("rate=inf", "rate: expected frames a second"),
        ("jitter=0.5", "jitter: expected a share of a frame's time below 0.5"),
        ("missing=1.1", "missing: expected a probability, found 1.1"),
        ("noise=-1", "noise: expected metres"),
        ("stamp_error=inf", "stamp_error: expected seconds"),
    ],
)
def test_what_cannot_be(text, message):
    with pytest.raises(DatasetError, match=message):
        Degradation.parse(text)


def test_stamps_that_cannot_be():
    frames, stamps = recording(5)
    with pytest.raises(DatasetError, match="expected a stamp for each frame"):
        degrade(frames, stamps[:4], 50.0, Degradation(), 0)
    with pytest.raises(DatasetError, match="expected stamps that ascend"):
        degrade(frames, stamps[::-1].copy(), 50.0, Degradation(), 0)
