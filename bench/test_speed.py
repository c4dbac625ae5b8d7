"""Speed of our models beside dense SGN in other runtimes: one test per side of every group.

pytest-benchmark runs its tests one after another, but the sides of a ratio must take turns. So the first test of a
group measures the whole group (bench/interleave.py), and each test hands its side's times to pytest-benchmark through
the timer, which plays them back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from bench.groups import Group, plan
from bench.interleave import Side, interleave
from bench.workplace import Workplace


class Playback:
    """A timer for pytest-benchmark whose time moves on by a recorded duration with each call of `step`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._durations: list[float] = []

    def __call__(self) -> float:
        return self.now

    def step(self) -> None:
        self.now += self._durations.pop()

    def play(self, benchmark: BenchmarkFixture, seconds: NDArray[np.float64]) -> None:
        self.now, self._durations = 0.0, seconds[::-1].tolist()
        benchmark.pedantic(self.step, rounds=len(seconds), iterations=1)


TIMER = Playback()


Outcome = tuple[dict[str, Side], dict[str, float], dict[str, NDArray[np.float64]]]


class Measured:
    """A group's sides, the errors of their logits and their times, measured when first asked for."""

    def __init__(self) -> None:
        self._name = ""
        self._outcome: Outcome | Exception | None = None

    def group(self, group: Group, workplace: Workplace, say: Callable[[str], None]) -> Outcome:
        if self._name != group.name:
            self._name, self._outcome = group.name, None  # the group before is dropped, with its threads and memory
            say(f"measuring {group.name}: {len(group.sides)} sides")
            try:
                sides = workplace.sides(group)
                errors = workplace.validate(group, sides)
                clips = len(workplace.subject(group.subject).clips)
                times = interleave(sides, group.pace(clips))
                self._outcome = {side.name: side for side in sides}, errors, times
            except Exception as error:
                self._outcome = error
        if isinstance(self._outcome, Exception):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome


MEASURED = Measured()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    try:
        groups = plan(metafunc.config.getoption("--quick"), metafunc.config.getoption("--only"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    sides = [(group, side) for group in groups for side in group.sides]
    names = [f"{group.name}-{side}".replace(" ", "_") for group, side in sides]
    metafunc.parametrize(("group", "side"), sides, ids=names)


@pytest.mark.benchmark(timer=TIMER)
def test_speed(
    group: Group, side: str, workplace: Workplace, benchmark: BenchmarkFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def say(text: str) -> None:
        with capfd.disabled():
            print(f"\n{text}", flush=True)

    sides, errors, times = MEASURED.group(group, workplace, say)
    if side not in sides:
        pytest.skip(f"{side}: expected a C++ compiler to measure what the core can do, found none")
    benchmark.group = group.name
    benchmark.extra_info.update(
        kind=group.kind,
        subject=group.subject,
        batch=group.batch,
        threads=group.threads,
        side=side,
        macs=sides[side].macs,
        logit_error=errors.get(side),
    )
    TIMER.play(benchmark, times[side])
