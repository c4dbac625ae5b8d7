"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

POLICY_WEIGHTS = (
    Path(__file__).parents[1] / "bench" / "results" / "shrec14-joint" / "seed-1" / "adasgn-a1" / "model.safetensors"
)
"""AdaSGN with a policy, the paper's six branches, trained on the 14 gestures of SHREC'17."""

# The tests' models are tiny: threads only get in each other's way, and results do not depend on their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionstart() -> None:
    """What tests start is no worker of pytest-xdist, even where it is pytest: pytest-benchmark would record nothing."""
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets: ``$ADASGN_DATA``, else ``../shared/data`` of the repository; skips without it."""
    root = Path(os.environ.get("ADASGN_DATA") or Path(__file__).parents[2] / "shared" / "data").resolve()
    if not root.is_dir():
        pytest.skip(
            f"no real data: {root} does not exist; set ADASGN_DATA to the folder that holds SHREC17 and NW-UCLA"
        )
    return root
