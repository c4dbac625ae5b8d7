"""The sides of ``python -m bench`` as pytest-benchmark's own tests: ``python -m pytest bench --benchmark-enable``.

The same groups, sides and validation, and pytest-benchmark's way of timing: one side after another, so that ratios of
these times suffer from whatever the machine does meanwhile. For ratios take ``python -m bench``.
"""

from __future__ import annotations

import itertools

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from adasgn_edge.bench.interleave import Side
from bench.groups import Group, plan
from bench.workplace import Workplace


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    try:
        groups = plan(metafunc.config.getoption("--quick"), metafunc.config.getoption("--only"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    sides = [(group, side) for group in groups for side in group.sides]
    names = [f"{group.name}-{side}".replace(" ", "_") for group, side in sides]
    metafunc.parametrize(("group", "side"), sides, ids=names, scope="module")


@pytest.fixture(scope="module")
def sides(group: Group, workplace: Workplace) -> dict[str, Side]:
    """The group's sides, which compute what they should."""
    made = workplace.sides(group)
    workplace.validate(group, made)
    return {side.name: side for side in made}


def test_speed(group: Group, side: str, sides: dict[str, Side], benchmark: BenchmarkFixture) -> None:
    benchmark.group = group.name
    benchmark.extra_info.update(side=side, batch=group.batch, threads=group.threads, macs=sides[side].macs)
    numbers = itertools.count()
    benchmark(lambda: sides[side].call(next(numbers)))
