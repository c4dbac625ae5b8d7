"""The effort dial: tables that are none are refused, and a table keeps what it promises of cost."""

import json

import numpy as np
import pytest

from adasgn_edge.effort import EFFORTS, EffortPoint, EffortTable, Levels, calibrate, escalate
from adasgn_edge.errors import EffortError

POINTS = (EffortPoint(0.0, 0.0, 100, 0.9), EffortPoint(0.5, 0.6, 150, None), EffortPoint(1.0, 2.0, 300, 0.95))
TABLE = EffortTable(POINTS, 0.25)


def test_between_two_rows_is_interpolated():
    assert [TABLE.threshold(effort) for effort in (0, 0.25, 0.5, 1)] == pytest.approx([0, 0.3, 0.6, 2])
    assert [TABLE.within(macs) for macs in (100, 125, 150, 225, 300, 1e9)] == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])


@pytest.mark.parametrize("effort", [-0.01, 1.01, float("nan"), float("inf")])
def test_efforts_beyond_the_dial_are_refused(effort):
    with pytest.raises(EffortError, match="expected a number from 0 to 1"):
        TABLE.threshold(effort)


@pytest.mark.parametrize("macs", [99, 0, -1, float("nan")])
def test_a_budget_below_the_cheapest_run_is_refused(macs):
    with pytest.raises(EffortError, match="expected at least 100"):
        TABLE.within(macs)


def test_a_table_survives_json():
    assert EffortTable.from_json(json.loads(json.dumps(TABLE.to_json()))) == TABLE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["table"].pop(0), "rise from 0 to 1"),
        (lambda data: data["table"].pop(), "rise from 0 to 1"),
        (lambda data: data["table"].reverse(), "rise from 0 to 1"),
        (lambda data: data["table"][1].__setitem__(1, 3.0), "thresholds from 0"),
        (lambda data: data["table"][0].__setitem__(1, 0.1), "thresholds from 0"),
        (lambda data: data["table"][1].__setitem__(2, 50), "do not fall"),
        (lambda data: data["table"][1].__setitem__(2, 150.5), "rows of effort"),
        (lambda data: data["table"][1].__setitem__(3, 2.0), "accuracies"),
        (lambda data: data["table"][1].__setitem__(0, True), "rows of effort"),
        (lambda data: data["table"][1].append(0.0), "rows of effort"),
        (lambda data: data.__setitem__("default", 2.0), "default effort"),
        (lambda data: data.__setitem__("default", "0.1"), "expected a default"),
        (lambda data: data.__setitem__("more", 1), "the keys default and table"),
        (lambda data: data.__setitem__("table", {}), "the keys default and table"),
        (lambda data: data.__setitem__("table", data["table"][:1]), "2 to 64 points"),
    ],
)
def test_what_is_no_table_is_refused(change, message):
    data = json.loads(json.dumps(TABLE.to_json()))
    change(data)
    with pytest.raises(EffortError, match=message):
        EffortTable.from_json(data)


def levels(samples=400, classes=6, branches=3, seed=0):
    """Branches that are right more often the dearer they are, and less sure where they are wrong."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=samples)
    logits = random.normal(size=(branches, samples, classes))
    for branch in range(branches):
        logits[branch, np.arange(samples), labels] += 1.5 + branch
    exponentials = np.exp(logits)
    return Levels(exponentials / exponentials.sum(-1, keepdims=True), np.array([10, 40, 110])), labels


def test_escalation_by_hand():
    probabilities = np.array([[[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]], [[0.0, 1.0], [0.2, 0.8], [1.0, 0.0]]])
    found, level = escalate(Levels(probabilities, np.array([1, 2])), 0.6)  # strictly below
    assert level.tolist() == [0, 0, 1]
    np.testing.assert_allclose(found, [[0.9, 0.1], [0.6, 0.4], [0.75, 0.25]])


def test_a_third_branch_is_asked_where_the_mean_of_two_is_unsure():
    found = [escalate(levels()[0], threshold)[1] for threshold in (0.0, 0.5, 2.0)]
    assert set(found[0].tolist()) == {0}
    assert set(found[1].tolist()) == {0, 1, 2}
    assert set(found[2].tolist()) == {2}


def test_calibration_keeps_to_the_cost_of_each_effort():
    held_out, labels = levels()
    table = calibrate(held_out, labels, default=0.2)
    assert tuple(point.effort for point in table.points) == EFFORTS
    for point in table.points:
        probabilities, level = escalate(held_out, point.threshold)
        cost = held_out.cost[level].mean()
        assert cost == pytest.approx(point.macs, abs=0.5)
        allowed = 10 + point.effort * 100
        assert cost <= allowed + 1e-9
        assert cost >= allowed - 110 * 3 / len(labels), "no threshold was looked for between two clips"
        assert point.accuracy == pytest.approx((probabilities.argmax(1) == labels).mean(), abs=1e-4)
    assert table.points[0].threshold == 0
    assert set(escalate(held_out, table.points[-1].threshold)[1].tolist()) == {2}
