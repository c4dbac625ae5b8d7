"""The ROS package is no part of adasgn_edge: its folder is put on the path, as a workspace would."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "examples" / "ros2" / "adasgn_edge_ros"
sys.path.insert(0, str(PACKAGE))
