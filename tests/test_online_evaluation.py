"""Playing recordings through a recogniser and scoring what it finds."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from adasgn_edge.data.degrade import Degradation
from adasgn_edge.errors import DatasetError
from adasgn_edge.online_evaluation import Cost, evaluate, gestures_of, play
from adasgn_edge.recogniser import Recogniser
from adasgn_edge.recognition import Decision, Recognition
from adasgn_edge.scoring import Detection, Gesture
from tests.data.online_sets import CLASSES, online_dataset
from tests.model.test_causal import SEVERAL, SINGLE, model_file
from tests.scripted_recogniser import SECOND, ScriptedRecogniser

LABELS = ("none", "grab", "wave", "tap")
"""Another order than the data set's."""
GRAB, WAVE, TAP = 1, 2, 3


def recording(count=200, rate=50.0):
    stamps = np.rint(np.arange(count) * SECOND / rate).astype(np.int64)
    return stamps, np.random.default_rng(0).normal(size=(count, 22, 3)).astype(np.float32)


class TestPlay:
    def test_events_become_detections(self):
        recogniser = ScriptedRecogniser(LABELS, [(WAVE, 0.5, 1.5, 0.9), (TAP, 2.0, 2.4, 2.1)])
        played = play(recogniser, *recording())
        assert played.detections == [Detection(WAVE, 0.5, 1.5, 0.9), Detection(TAP, 2.0, 2.4, 2.1)]

    def test_one_that_goes_on_ends_with_the_recording(self):
        recogniser = ScriptedRecogniser(LABELS, [(WAVE, 3.0, None, 3.5)])
        assert play(recogniser, *recording()).detections == [Detection(WAVE, 3.0, 3.98, 3.5)]

    def test_what_is_never_decided_is_not_found(self):
        assert play(ScriptedRecogniser(LABELS, [(WAVE, 3.0, None, 3.99)]), *recording()).detections == []

    def test_every_frame_is_pushed_with_its_stamp_and_nothing_seen_as_nobody(self):
        stamps, frames = recording(6)
        frames[2] = np.nan
        frames[3, 1:] = np.nan
        recogniser = ScriptedRecogniser(LABELS, [])
        play(recogniser, stamps, frames, track=7)
        assert [stamp for stamp, _ in recogniser.pushed] == stamps.tolist()
        assert [list(tracks) for _, tracks in recogniser.pushed] == [[7], [7], [], [7], [7], [7]]
        assert np.array_equal(recogniser.pushed[3][1][7], frames[3], equal_nan=True)

    def test_cost(self):
        cost = play(ScriptedRecogniser(LABELS, [], step=2), *recording(20)).cost
        assert (cost.steps, cost.ready) == (10, 6)
        # Steps 5 to 10 are ready; the odd ones take the second branch.
        assert cost.actions == (3, 3)
        assert cost.shares == (0.5, 0.5)
        assert cost.macs_a_step == 1500
        assert 0 < cost.seconds_a_step < 0.1

    def test_costs_join(self):
        assert Cost(2, 1, 10, 100, (1,)) + Cost(3, 2, 20, 50, (0, 2)) == Cost(5, 3, 30, 150, (1, 2))
        assert math.isnan(Cost().macs_a_step)
        assert Cost().to_dict() == {
            "steps": 0, "ready": 0, "macs_a_step": None, "seconds_a_step": None, "shares": (),
        }  # fmt: skip


SEQUENCES = {
    "a": [(0, 25, 75), (2, 100, 150)],  # wave 0.5 to 1.5 s, grab 2 to 3 s
    "b": [(0, 25, 75)],
    "c": [],
}


class TestEvaluate:
    @staticmethod
    def wave():
        return ScriptedRecogniser(LABELS, [(WAVE, 0.6, 1.6, 1.0)])

    def test_scores_of_each_and_all(self):
        dataset = online_dataset(SEQUENCES, frames=200)
        result = evaluate(self.wave, dataset, [0, 1, 2])
        assert result.sequences["a"].total.hits == 1
        assert result.sequences["c"].total.false == 1
        assert (result.score.detection_rate, result.score.false_positive_rate) == (pytest.approx(2 / 3), 1 / 3)
        assert result.score.seconds == 12
        assert result.score.false_per_minute == pytest.approx(5)
        assert result.score.delay_start.p50 == pytest.approx(0.5)
        assert result.score.delay_end.p50 == pytest.approx(-0.5)
        assert result.score.class_names == CLASSES
        assert result.cost.steps == 300
        assert evaluate(self.wave, dataset, [1]).score.detection_rate == 1

    def test_every_sequence_has_a_recogniser_of_its_own(self):
        made = []

        def make():
            made.append(self.wave())
            return made[-1]

        evaluate(make, online_dataset(SEQUENCES, frames=200), [0, 2])
        assert [len(recogniser.pushed) for recogniser in made] == [200, 200]
        assert made[1].pushed[0][0] == 0

    def test_annotations_run_from_stamp_to_stamp(self):
        assert gestures_of(online_dataset(SEQUENCES, frames=200), 1) == [Gesture(0, 0.5, 1.5)]

    def test_degraded_recordings_differ_by_sequence_and_keep_time(self):
        made = []

        def make():
            made.append(self.wave())
            return made[-1]

        dataset = online_dataset(SEQUENCES, frames=200)
        worse = Degradation(rate=20, jitter=0.3, drop=0.05)
        first = evaluate(make, dataset, [0, 1], degradation=worse, seed=3)
        again = evaluate(make, dataset, [0, 1], degradation=worse, seed=3)
        other = evaluate(make, dataset, [0, 1], degradation=worse, seed=4)
        stamps = [[stamp for stamp, _ in recogniser.pushed] for recogniser in made]
        assert stamps[0] == stamps[2] != stamps[4]
        assert stamps[0] != stamps[1]
        assert 60 < len(stamps[0]) <= 80
        assert first.score.detection_rate == again.score.detection_rate == other.score.detection_rate
        assert first.score.seconds == 8

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (("none", "grab", "wave"), "lacks tap and has none"),
            (("grab", "wave", "tap"), "lacks none of them and has no other"),
            (("none", "idle", "grab", "wave", "tap"), "lacks none of them and has idle, none"),
        ],
    )
    def test_other_classes(self, labels, message):
        with pytest.raises(DatasetError, match=message):
            evaluate(lambda: ScriptedRecogniser(labels, []), online_dataset(SEQUENCES, frames=200), [0])

    def test_no_sequences(self):
        with pytest.raises(DatasetError, match="expected sequences to evaluate, found none"):
            evaluate(self.wave, online_dataset(SEQUENCES, frames=200), [])

    def test_json(self):
        result = evaluate(self.wave, online_dataset(SEQUENCES, frames=200), [0, 2]).to_dict()
        result = json.loads(json.dumps(result, allow_nan=False))
        assert result["sequences"] == {
            "a": {"gestures": 2, "hits": 1, "false": 0},
            "c": {"gestures": 0, "hits": 0, "false": 1},
        }
        assert result["score"]["hits"] == 1
        assert result["cost"]["steps"] == 200


class TestRealRecogniser:
    """With random weights: what is found means nothing, but must be the same whichever way it is found."""

    @pytest.fixture
    def dataset(self):
        names = tuple(f"gesture {number}" for number in range(17))
        random = np.random.default_rng(1)
        steps = random.normal(scale=0.01, size=(600, 22, 3))
        hand = 0.1 * random.normal(size=(22, 3))
        positions = (hand + np.cumsum(steps, axis=0)).astype(np.float32)
        gestures = {"a": [(3, 60, 80)], "b": [(5, 20, 100), (16, 200, 260)]}
        return online_dataset(gestures, frames=300, positions=positions, class_names=names)

    @pytest.fixture
    def written(self, tmp_path):
        def write(config):
            eager = Decision(start=0.2, end=0.15, low=0.1, minimum=0)
            file = replace(model_file(config), recognition=Recognition(50_000_000, 17, eager))
            (tmp_path / "model.adasgn").write_bytes(file.to_bytes())
            return tmp_path / "model.adasgn"

        return write

    @pytest.mark.parametrize(("config", "effort"), [(SINGLE, None), (SEVERAL, 0.0), (SEVERAL, 1.0)])
    def test_both_modes_find_the_same(self, dataset, written, config, effort):
        path = written(config)
        continual, exact = (
            evaluate(lambda mode=mode: Recogniser(path, mode=mode, effort=effort), dataset, [0, 1])
            for mode in ("continual", "exact")
        )
        assert continual.score == exact.score
        assert continual.score.total.gestures == 3
        assert continual.score.total.hits + continual.score.total.false > 0, "nothing was found, so nothing was tested"
        assert continual.cost.ready == exact.cost.ready > 0
        assert continual.cost.actions == exact.cost.actions
        assert 0 < continual.cost.macs < exact.cost.macs

    def test_steps_are_those_of_the_grid(self, dataset, written):
        recogniser = Recogniser(written(SINGLE))
        played = play(recogniser, dataset.stamps(0), dataset.frames(0))
        stats = recogniser.stats()
        assert stats.pushes == 300
        # Frames every 20 ms for 5.98 s, a step every 50 ms from the first frame on.
        assert played.cost.steps == stats.steps == 120
        assert played.cost.ready == stats.results == 120 - recogniser.receptive_field + 1
        assert all(0 <= found.start <= found.end <= 5.98 for found in played.detections)
        assert all(found.start <= found.decided for found in played.detections)

    def test_a_worse_source(self, dataset, written):
        path = written(SINGLE)
        worse = Degradation(rate=20, jitter=0.3, drop=0.05)
        result = evaluate(lambda: Recogniser(path), dataset, [0, 1], degradation=worse, seed=1)
        assert 200 < result.cost.steps <= 240
        assert result.score.seconds == 12
