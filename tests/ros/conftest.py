"""The ROS package is no part of adasgn_edge: its folder is put on the path, as a workspace would."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "examples" / "ros2" / "adasgn_edge_ros"
sys.path.insert(0, str(PACKAGE))


@pytest.fixture(scope="module")
def domain() -> Iterator[None]:
    """A domain of ROS of one's own, on this machine alone."""
    import rclpy

    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rclpy.init()
    yield
    rclpy.try_shutdown()
