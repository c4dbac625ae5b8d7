"""Tests that need a GPU, a torch with CUDA and this package built with its CUDA part; elsewhere they are skipped."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from adasgn_edge.installation.build_info import read_build  # noqa: E402
from tests.engine.conftest import pair, pairs, shrec  # noqa: E402

__all__ = ["pair", "pairs", "shrec"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """The hook sees this folder's tests alone."""
    item.add_marker(pytest.mark.gpu)


@pytest.fixture(autouse=True)
def gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    build = read_build()
    if not build.cuda.built:
        pytest.skip(f"no CUDA device for this package, whose CUDA part is missing: {build.cuda.reason}")


@pytest.fixture(params=["first", "last"])
def index(request: pytest.FixtureRequest) -> int:
    """Of the first GPU, and of the last where there are several."""
    last = torch.cuda.device_count() - 1
    if request.param == "last" and last == 0:
        pytest.skip("one CUDA device only")
    return 0 if request.param == "first" else last
