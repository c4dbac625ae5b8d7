"""Percentiles, histograms and ratios of known times."""

from __future__ import annotations

import numpy as np
import pytest

from adasgn_edge.bench.timing import histogram, ratio, rounds, summary


def test_percentiles_only_of_enough_runs() -> None:
    found = summary(np.arange(1, 101) / 1e3)
    assert found["p50"] == pytest.approx(0.0505)
    assert found["p90"] == pytest.approx(0.0901)
    assert found["p99"] == pytest.approx(0.09901)
    assert (found["min"], found["max"], found["runs"]) == (0.001, 0.1, 100)
    few = summary(np.ones(19))
    assert few["p90"] is few["p99"] is None
    assert summary(np.ones(99))["p99"] is None


@pytest.mark.parametrize(
    "times", [[1e-3], [1e-3] * 5, [1e-6, 1e-3, 1.0], np.random.default_rng(0).lognormal(-7, 2, 999)]
)
def test_a_histogram_holds_every_time(times) -> None:
    found = histogram(times)
    assert sum(found["counts"]) == len(times)
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert (np.diff(found["edges"]) > 0).all()
    assert found["edges"][0] <= min(times) * 1.00001
    assert found["edges"][-1] >= max(times) * 0.99999


def test_a_ratio_of_paired_rounds_is_sure_where_the_machine_is_not() -> None:
    random = np.random.default_rng(1)
    machine = random.lognormal(0, 0.5, 60)  # what hits both alike
    fast, slow = (rounds(np.repeat(machine * base * random.normal(1, 0.01, 60), 4), 4) for base in (1e-3, 2e-3))
    paired, apart = (ratio(fast, slow, of="mean", paired=paired) for paired in (True, False))
    for found in (paired, apart):
        assert found["low"] < 0.5 < found["high"]
        assert found["low"] <= found["ratio"] <= found["high"]
    assert paired["high"] - paired["low"] < 0.3 * (apart["high"] - apart["low"])


def test_rounds_are_of_whole_turns() -> None:
    found = rounds([1, 2, 3, 10, 20, 60, 7], 3)
    assert found == {"medians": [2, 20], "means": [2, 30]}
    assert len(rounds(np.ones(3000), 3)["means"]) == 400
