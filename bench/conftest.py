"""Options of the benchmark, what its tests share, and what is noted beside the times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench import machine
from bench.workplace import TOLERANCE, Workplace

_workplaces: list[Workplace] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a few groups, a second each: shows that it works")
    parser.addoption("--only", action="append", default=[], help="a pattern of names of groups (bench/groups.py)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[machine.START] = machine.load_average()


@pytest.fixture(scope="session")
def workplace() -> Iterator[Workplace]:
    place = Workplace()
    _workplaces.append(place)
    yield place
    place.close()


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Beside pytest-benchmark's own record of machine and commit."""
    subjects = _workplaces[-1].subjects if _workplaces else {}
    output_json["adasgn_edge"] = {
        "quick": config.getoption("--quick"),
        "tolerance": TOLERANCE,
        "load_average": {"start": config.stash[machine.START], "end": machine.load_average()},
        "frequency": machine.frequency(),
        "versions": machine.versions(),
        "not_installed": machine.missing_peers(),
        "subjects": {name: subject.facts() for name, subject in subjects.items()},
    }
