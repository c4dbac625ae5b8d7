"""Scores of online recognition, rule by rule, on cases made by hand."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from adasgn_edge.errors import ScoreError
from adasgn_edge.scoring import FIGURES, ClassScore, Detection, Gesture, Percentiles, Score, over_seeds, score

NAMES = ("wave", "tap", "grab")
WAVE, TAP, GRAB = range(3)


def of(detections, gestures, seconds=60.0) -> Score:
    return score(detections, gestures, seconds, NAMES)


def found(label, start, end, decided=None) -> Detection:
    return Detection(label, start, end, end if decided is None else decided)


def counts(result: Score, label=None):
    own = result.total if label is None else result.classes[label]
    return own.gestures, own.hits, own.false


class TestHits:
    @pytest.mark.parametrize(
        ("start", "end", "hit"),
        [
            (10.0, 12.0, True),
            (11.0, 12.0, True),  # exactly half
            (11.001, 12.0, False),
            (11.0, 13.0, True),
            (9.0, 11.0, True),
            (9.0, 10.999, False),
            (10.5, 11.5, True),  # within it, half as long
            (10.501, 11.5, False),
            (12.5, 13.0, False),
        ],
    )
    def test_at_least_half_of_the_gesture(self, start, end, hit):
        result = of([found(WAVE, start, end)], [Gesture(WAVE, 10.0, 12.0)])
        assert counts(result) == (1, int(hit), int(not hit))

    @pytest.mark.parametrize(
        ("start", "end", "hit"), [(8.0, 12.0, True), (9.0, 13.0, True), (8.0, 12.001, False), (7.9, 12.0, False)]
    )
    def test_at_most_twice_as_long(self, start, end, hit):
        result = of([found(WAVE, start, end)], [Gesture(WAVE, 10.0, 12.0)])
        assert counts(result) == (1, int(hit), int(not hit))

    @pytest.mark.parametrize("rate", [50.0, 30.0, 29.97])
    def test_both_boundaries_whatever_binary_fractions_do(self, rate):
        for first, last in itertools.product(range(300, 340), range(340, 360)):
            gesture = Gesture(WAVE, first / rate, last / rate)
            if (last - first) % 2 == 0:
                half = found(WAVE, (first + last) // 2 / rate, last / rate)
                assert counts(of([half], [gesture])) == (1, 1, 0), (first, last)
            double = found(WAVE, first / rate, (2 * last - first) / rate)
            assert counts(of([double], [gesture])) == (1, 1, 0), (first, last)

    def test_the_label_must_be_the_same(self):
        result = of([found(TAP, 10.0, 12.0)], [Gesture(WAVE, 10.0, 12.0)])
        assert counts(result, WAVE) == (1, 0, 0)
        assert counts(result, TAP) == (0, 0, 1), "a wrong label is the false one's"
        assert result.detection_rate == 0
        assert result.false_positive_rate == 1

    def test_a_gesture_is_hit_once(self):
        result = of([found(WAVE, 10.0, 11.2), found(WAVE, 11.0, 12.0)], [Gesture(WAVE, 10.0, 12.0)])
        assert counts(result) == (1, 1, 1)

    def test_the_first_decided_hits_whatever_the_order(self):
        early, late = found(WAVE, 11.0, 12.0, decided=11.5), found(WAVE, 10.0, 12.0, decided=11.9)
        for detections in ([early, late], [late, early]):
            result = of(detections, [Gesture(WAVE, 10.0, 12.0)])
            assert counts(result) == (1, 1, 1)
            assert result.delays_start == (1.5,)

    def test_a_detection_hits_one_gesture(self):
        gestures = [Gesture(WAVE, 10.0, 11.0), Gesture(WAVE, 11.1, 12.0)]
        result = of([found(WAVE, 10.3, 12.0, decided=12.0)], gestures)
        assert counts(result) == (2, 1, 0)
        assert result.delays_end == (0.0,), "the one that it shares most with"

    def test_two_gestures_of_a_class_each_with_its_detection(self):
        gestures = [Gesture(WAVE, 10.0, 11.0), Gesture(WAVE, 20.0, 22.0)]
        result = of([found(WAVE, 20.0, 21.5), found(WAVE, 10.0, 11.0)], gestures)
        assert counts(result) == (2, 2, 0)
        assert sorted(result.delays_start) == [1.0, 1.5]

    def test_a_hit_gesture_leaves_the_other_to_the_next(self):
        gestures = [Gesture(WAVE, 10.0, 11.0), Gesture(WAVE, 10.5, 11.5)]
        detections = [found(WAVE, 10.0, 11.1, decided=1.0), found(WAVE, 10.1, 11.1, decided=2.0)]
        assert counts(of(detections, gestures)) == (2, 2, 0)

    def test_a_gesture_of_one_frame(self):
        gesture = Gesture(WAVE, 10.0, 10.0)
        assert counts(of([found(WAVE, 10.0, 10.0)], [gesture])) == (1, 1, 0)
        assert counts(of([found(WAVE, 9.0, 11.0)], [gesture])) == (1, 0, 1), "more than twice as long as nothing"
        assert counts(of([found(WAVE, 11.0, 11.0)], [gesture])) == (1, 0, 1)


class TestFigures:
    GESTURES = (Gesture(WAVE, 10, 12), Gesture(TAP, 20, 21), Gesture(WAVE, 30, 32), Gesture(TAP, 40, 41))
    DETECTIONS = (
        found(WAVE, 10.0, 12.0, 11.0),  # hits
        found(TAP, 20.5, 21.5, 21.25),  # hits, half an overlap
        found(TAP, 30.0, 32.0, 31.0),  # wrong label
        found(GRAB, 50.0, 51.0, 50.5),  # nothing there
    )

    def test_rates(self):
        result = of(self.DETECTIONS, self.GESTURES, seconds=90.0)
        assert counts(result) == (4, 2, 2)
        assert result.detection_rate == 0.5
        assert result.false_positive_rate == 0.5
        assert result.false_per_minute == pytest.approx(2 / 1.5)

    def test_jaccard_counts_gestures_class_by_class(self):
        result = of(self.DETECTIONS, self.GESTURES)
        assert [own.jaccard for own in result.classes] == [1 / 2, 1 / 3, 0]
        assert result.jaccard == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)

    def test_jaccard_of_time_class_by_class(self):
        result = of(self.DETECTIONS, self.GESTURES)
        # Wave: 2 of 4 s; tap: 0.5 s shared, of 20 to 21.5, 30 to 32, 40 to 41; grab: found where nothing is.
        assert [own.time_jaccard for own in result.classes] == pytest.approx([2 / 4, 0.5 / 4.5, 0])
        assert result.time_jaccard == pytest.approx((2 / 4 + 0.5 / 4.5) / 3)

    def test_time_that_detections_share_counts_once(self):
        result = of([found(WAVE, 10, 12), found(WAVE, 11, 13)], [Gesture(WAVE, 10, 14)])
        assert result.classes[WAVE].time_jaccard == pytest.approx(3 / 4)

    def test_a_class_that_never_occurs_is_no_part_of_the_means(self):
        result = of([found(WAVE, 10, 12)], [Gesture(WAVE, 10, 12)])
        assert math.isnan(result.classes[GRAB].jaccard)
        assert result.jaccard == result.time_jaccard == 1

    def test_delays(self):
        result = of(self.DETECTIONS, self.GESTURES)
        assert result.delays_start == (1.0, 1.25)
        assert result.delays_end == (-1.0, 0.25)
        assert result.delay_start == Percentiles(1.125, pytest.approx(1.2375))
        assert result.delay_end.p50 == pytest.approx(-0.375)

    def test_nothing_found(self):
        result = of([], self.GESTURES)
        assert (result.detection_rate, result.false_positive_rate, result.false_per_minute) == (0, 0, 0)
        assert result.jaccard == 0
        assert math.isnan(result.delay_start.p50)

    def test_nothing_there(self):
        result = of([found(WAVE, 1, 2)], [], seconds=30)
        assert math.isnan(result.detection_rate)
        assert result.false_per_minute == 2
        assert math.isnan(of([], []).jaccard)

    def test_perfect(self):
        result = of([found(g.label, g.start, g.end) for g in self.GESTURES], self.GESTURES)
        assert (result.detection_rate, result.false_positive_rate, result.jaccard, result.time_jaccard) == (1, 0, 1, 1)


class TestJoining:
    def test_sequences_together(self):
        one = of(TestFigures.DETECTIONS, TestFigures.GESTURES, 30.0)
        other = of([found(WAVE, 0, 1), found(WAVE, 5, 6)], [Gesture(WAVE, 0, 1), Gesture(GRAB, 2, 3)], 45.0)
        both = Score.combine([one, other])
        assert counts(both) == (6, 3, 3)
        assert counts(both, WAVE) == (3, 2, 1)
        assert both.seconds == 75
        assert both.delays_start == (1.0, 1.25, 1.0)
        assert both.classes[WAVE].time_jaccard == pytest.approx(3 / 6)
        assert both.jaccard == pytest.approx((2 / 4 + 1 / 3 + 0 / 2) / 3)

    def test_the_time_of_a_class_is_that_of_all_sequences(self):
        """Not the mean over sequences: 1 of 1 s and 0 of 3 s are a quarter."""
        hit, miss = of([found(WAVE, 0, 1)], [Gesture(WAVE, 0, 1)]), of([], [Gesture(WAVE, 0, 3)])
        assert (hit + miss).time_jaccard == pytest.approx(1 / 4)

    def test_other_classes_or_none(self):
        with pytest.raises(ScoreError, match="expected a score over"):
            of([], []) + score([], [], 1.0, ("a",))
        with pytest.raises(ScoreError, match="expected at least one score"):
            Score.combine([])

    def test_seeds(self):
        rates = (
            of([found(WAVE, 10, 12)], [Gesture(WAVE, 10, 12), Gesture(TAP, 20, 21)]),
            of([found(WAVE, 10, 12), found(TAP, 20, 21)], [Gesture(WAVE, 10, 12), Gesture(TAP, 20, 21)]),
        )
        spread = over_seeds(rates)
        assert tuple(spread) == FIGURES
        assert spread["detection_rate"].mean == 0.75
        assert spread["detection_rate"].deviation == pytest.approx(np.std([0.5, 1.0], ddof=1))
        assert spread["detection_rate"].to_dict() == {"mean": 0.75, "deviation": pytest.approx(0.35355339), "count": 2}
        assert math.isnan(over_seeds(rates[:1])["jaccard"].deviation)
        assert over_seeds(rates[:1])["jaccard"].to_dict() == {"mean": 0.5, "deviation": None, "count": 1}


def test_json():
    result = json.loads(json.dumps(of(TestFigures.DETECTIONS, TestFigures.GESTURES).to_dict(), allow_nan=False))
    assert set(result) == {*FIGURES, "gestures", "hits", "false", "seconds", "classes"}
    assert result["classes"]["tap"]["hits"] == 1
    assert result["classes"]["grab"]["detection_rate"] is None
    assert json.dumps(of([], []).to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("detections", "gestures", "seconds", "message"),
    [
        ([found(3, 0, 1)], [], 1, "detection: expected a label from 0 to 2, found 3"),
        ([], [Gesture(-1, 0, 1)], 1, "gesture: expected a label from 0 to 2, found -1"),
        ([found(0, 2, 1)], [], 1, "detection: expected an end after its start, found 2 to 1 s"),
        ([], [Gesture(0, 0, math.inf)], 1, "gesture: expected an end after its start"),
        ([found(0, math.nan, 1)], [], 1, "detection: expected an end after its start"),
        ([found(0, 0, 1, math.nan)], [], 1, "expected a finite time of its decision"),
        ([], [], 0, "seconds: expected how long the sequence lasts, found 0"),
        ([], [], math.inf, "seconds: expected"),
    ],
)
def test_what_cannot_be(detections, gestures, seconds, message):
    with pytest.raises(ScoreError, match=message):
        of(detections, gestures, seconds)


def test_class_scores_add():
    assert ClassScore(1, 1, 0, 0.5, 1.0) + ClassScore(2, 0, 3, 0.25, 2.0) == ClassScore(3, 1, 3, 0.75, 3.0)


def cells(intervals, label, count=400):
    """Which whole seconds a label takes."""
    taken = np.zeros(count, dtype=bool)
    for one in intervals:
        if one.label == label:
            taken[int(one.start) : int(one.end)] = True
    return taken


@pytest.mark.parametrize("seed", range(30))
def test_the_rules_written_another_way_on_random_sequences(seed):
    """Times are whole seconds, so that a set of seconds is what an interval is."""
    random = np.random.default_rng(seed)

    def interval():
        start = int(random.integers(0, 380))
        return int(random.integers(3)), start, start + int(random.integers(1, 20))

    gestures = [Gesture(*interval()) for _ in range(40)]
    detections = []
    for _ in range(40):
        label, start, end = interval()
        if random.uniform() < 0.6:  # near a gesture
            own = gestures[random.integers(len(gestures))]
            label, start = own.label, max(0, int(own.start + random.integers(-3, 4)))
            end = max(start + 1, int(own.end + random.integers(-3, 4)))
        detections.append(Detection(label, start, end, end + random.uniform(0, 5)))

    hit: dict[int, int] = {}
    for number in sorted(range(40), key=lambda number: detections[number].decided):
        own = cells([detections[number]], detections[number].label)
        best = (0.0, -1)
        for place, gesture in enumerate(gestures):
            its = cells([gesture], detections[number].label)
            if place not in hit.values() and 2 * (own & its).sum() >= its.sum() > 0 and own.sum() <= 2 * its.sum():
                best = max(best, (float((own & its).sum()), -place))
        if best[0] > 0:
            hit[number] = -best[1]

    result = of(detections, gestures, seconds=400)
    assert len(hit) > 5
    assert counts(result) == (40, len(hit), 40 - len(hit))
    assert sorted(result.delays_start) == sorted(detections[d].decided - gestures[g].start for d, g in hit.items())
    for label in range(3):
        found_there, there = cells(detections, label), cells(gestures, label)
        expected = (found_there & there).sum() / (found_there | there).sum()
        assert result.classes[label].time_jaccard == pytest.approx(expected)
        assert result.classes[label].hits == sum(gestures[g].label == label for g in hit.values())
