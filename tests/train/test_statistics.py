"""Intervals and tests against numbers found by hand or in tables."""

import math

import numpy as np
import pytest

from adasgn_edge.train.statistics import (
    accuracy_interval,
    mean_interval,
    seed_interval,
    sign_flip_test,
    student_cdf,
    student_quantile,
    student_test,
    wilson_interval,
)


def test_wilson():
    interval = wilson_interval(8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert (interval.method, interval.covers) == ("Wilson", "other clips")
    assert wilson_interval(0, 5).low == pytest.approx(0, abs=1e-12)
    assert wilson_interval(5, 5).high == pytest.approx(1)
    assert wilson_interval(5, 5).low == pytest.approx(5 / (5 + 1.959964**2), abs=1e-6)


@pytest.mark.parametrize(
    ("freedom", "upper"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (7, 2.3646), (10, 2.2281), (27, 2.0518)]
)
def test_student_as_in_tables(freedom, upper):
    assert student_quantile(0.975, freedom) == pytest.approx(upper, abs=5e-5)
    assert student_quantile(0.025, freedom) == pytest.approx(-upper, abs=5e-5)
    assert student_cdf(upper, freedom) == pytest.approx(0.975, abs=1e-5)
    assert student_cdf(0, freedom) == 0.5


def test_over_seeds():
    interval = seed_interval([0.90, 0.92, 0.94])  # mean .92, deviation .02, t of 2 degrees 4.3027
    assert (interval.low, interval.high) == pytest.approx((0.92 - 0.049683, 0.92 + 0.049683), abs=1e-5)
    assert seed_interval([0.9]) is None
    # 1, 2, 3: t = 2 √3, and of 2 degrees of freedom p = 1 - t / √(2 + t²)
    assert student_test([1, 2, 3]) == pytest.approx(1 - math.sqrt(12 / 14))
    assert student_test([-1, -2, -3]) == pytest.approx(1 - math.sqrt(12 / 14))
    assert student_test([1, -1]) == pytest.approx(1)
    assert [student_test(alike) for alike in ([0.5], [0, 0], [1, 1])] == [None] * 3


@pytest.mark.parametrize("only_first", [0, 1, 3, 5, 20])
@pytest.mark.parametrize("only_second", [0, 1, 5, 11])
def test_of_one_seed_the_sign_flip_test_is_mcnemars(only_first, only_second):
    count, least = only_first + only_second, min(only_first, only_second)
    expected = min(1, 2 * sum(math.comb(count, k) for k in range(least + 1)) / 2**count)
    assert sign_flip_test([1] * only_first + [0] * 7 + [-1] * only_second) == pytest.approx(expected)


def test_sign_flips_counted_by_hand():
    # ±3 ±1 ±2: of the eight sums 6, 2, 4, 0 and their opposites four are at least 4 away from 0
    assert sign_flip_test([3, -1, 2]) == 0.5
    assert sign_flip_test([3, 1, 2]) == 0.25
    assert sign_flip_test([3, -1, -2]) == 1
    assert sign_flip_test([]) == 1
    assert sign_flip_test([2] * 3000) < 1e-300  # rounds to nothing and not to more than 1, or to NaN


def test_by_groups_where_clips_of_a_group_are_alike():
    values = np.repeat([[1, 1, 1, 1, 1, 1, 1, 0, 0, 1]], 20, axis=0).T.reshape(1, -1)  # ten subjects of twenty clips
    subjects = [f"subject {number // 20}" for number in range(200)]
    interval, wilson = accuracy_interval(values > 0, subjects), wilson_interval(160, 200)
    assert interval.covers == "other groups"
    assert interval.low < wilson.low - 0.1
    assert interval.high > wilson.high + 0.05
    assert interval == accuracy_interval(values > 0, subjects), "the same resamples every time"
    shuffled = np.random.default_rng(0).permutation(200)
    again = accuracy_interval(values[:, shuffled] > 0, [subjects[place] for place in shuffled])
    assert (again.low, again.high) == (interval.low, interval.high)


def test_groups_weigh_by_their_clips():
    subjects = ["a"] * 96 + ["b", "c", "d", "e"]
    correct = np.array([[True] * 96 + [False] * 4])
    assert accuracy_interval(correct, subjects).high == pytest.approx(1, abs=0.02)
    assert accuracy_interval(correct, subjects).low == 0, "a resample may lack the large group"


def test_which_interval_is_given():
    correct = np.array([[True, False] * 20])
    assert accuracy_interval(correct, ()) == wilson_interval(20, 40)
    assert accuracy_interval(correct, ["view 1", "view 2"] * 20) == wilson_interval(20, 40), "two groups tell nothing"
    two = np.concatenate([correct, ~correct])
    assert accuracy_interval(two, ()).covers == "other clips and seeds"
    assert accuracy_interval(two, list("abcdefgh") * 5).covers == "other groups and seeds"
    sure = np.ones((3, 40), dtype=bool)
    assert accuracy_interval(sure, list("abcdefgh") * 5) == wilson_interval(40, 40), "no resample differs"


def test_seeds_widen_the_interval():
    random = np.random.default_rng(3)
    one = random.random((1, 400)) < 0.9
    alike, apart = np.repeat(one, 4, axis=0), np.concatenate([one, one & (random.random((3, 400)) < 0.85)])
    subjects = [str(number % 20) for number in range(400)]
    widths = [(lambda i: i.high - i.low)(mean_interval(v.astype(float), subjects)) for v in (one, alike, apart)]
    assert widths[0] == pytest.approx(widths[1], abs=0.005)
    assert widths[2] > widths[0] + 0.02


def test_an_interval_of_zero_differences_has_no_width():
    interval = mean_interval(np.zeros((2, 30)), [str(number % 6) for number in range(30)])
    assert (interval.low, interval.high) == (0, 0)


def test_coverage_of_eight_subjects():
    """Subjects of different accuracy, 105 clips each, as in SHREC'17's test split: the interval by groups covers the
    accuracy over all people about as often as it says; Wilson's, for which clips are independent, does not."""
    random, truth, rounds = np.random.default_rng(0), 0.95, 200
    subjects = np.repeat([str(number) for number in range(8)], 105).tolist()
    by_groups = by_clips = 0
    for _ in range(rounds):
        skill = random.beta(19 * 1.5, 1.5, size=8)  # mean .95, deviation 4 points
        correct = (random.random((8, 105)) < skill[:, None]).reshape(1, -1)
        interval, wilson = accuracy_interval(correct, subjects), wilson_interval(int(correct.sum()), correct.size)
        by_groups += interval.low <= truth <= interval.high
        by_clips += wilson.low <= truth <= wilson.high
    assert by_groups / rounds >= 0.9
    assert by_clips / rounds < 0.75
