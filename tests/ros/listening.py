"""What listens to the node, in this process or in another, and what its tests need of ROS."""

from __future__ import annotations

import importlib.util
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="no rclpy: source a ROS 2, or `make test-ros`, which installs its wheels")

SLOW = 90.0
"""Seconds after which a thing that must happen will not."""
VISION, ZED, HRI = (importlib.util.find_spec(name) is not None for name in ("vision_msgs", "zed_msgs", "hri_msgs"))
needs_vision = pytest.mark.skipif(not VISION, reason="vision_msgs is not installed: in ROS, or by `make test-ros`")
needs_zed = pytest.mark.skipif(not ZED, reason="zed_msgs is not installed: with a ZED's wrapper, or by `make test-ros`")
needs_hri = pytest.mark.skipif(not HRI, reason="hri_msgs is not installed: with ROS4HRI, or by `make test-ros`")


class Listener:
    """A node that keeps what comes from the recogniser of a namespace, by the last word of the topic."""

    def __init__(self, namespace: str = "") -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from std_msgs.msg import String
        from visualization_msgs.msg import MarkerArray

        self.node = rclpy.create_node("listener")
        self.heard: dict[str, list[Any]] = defaultdict(list)
        for kind, topic in (
            (DiagnosticArray, "/diagnostics"),
            (String, f"{namespace}/recogniser/events"),
            (MarkerArray, f"{namespace}/recogniser/markers"),
        ):
            self.node.create_subscription(kind, topic, self.heard[topic.split("/")[-1]].append, 1000)
        if VISION:
            from vision_msgs.msg import Detection3DArray

            detections = f"{namespace}/recogniser/detections"
            self.node.create_subscription(Detection3DArray, detections, self.heard["detections"].append, 1000)

    def statuses(self) -> list[Any]:
        return [message.status[0] for message in self.heard["diagnostics"]]


def spin_until(done: Callable[[], Any], *nodes: Any) -> None:
    """Let the nodes work until something is so."""
    executor = rclpy.executors.SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    until = time.monotonic() + SLOW
    try:
        while not done():
            assert time.monotonic() < until, "it did not happen"
            executor.spin_once(timeout_sec=0.05)
    finally:
        for node in nodes:
            executor.remove_node(node)
        executor.shutdown()


def dict_of(status: Any) -> dict[str, str]:
    """What a diagnostic status tells, by its keys."""
    return {pair.key: pair.value for pair in status.values}
