"""Options of the benchmark as pytest runs it, and what its tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.workplace import Workplace


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a few groups: shows that it works")
    parser.addoption("--only", action="append", default=[], help="a pattern of names of groups (bench/groups.py)")


@pytest.fixture(scope="session")
def workplace() -> Iterator[Workplace]:
    place = Workplace()
    yield place
    place.close()
