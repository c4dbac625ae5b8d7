"""A process that publishes the package's hand as PoseArray, as a tracker would: ``play_hand.py RATE LOOPS``.

The recording (tests/ros/support.py: 30 frames a second, begun in 2020) is played `LOOPS` times over, as a bag is, at
most `RATE` frames a second. On a machine that is too busy it goes more slowly, as the node's markers tell how far that
has come: what a test expects must not hang on how fast the machine is. The node cannot see that, stamps are the
recording's.
"""

from __future__ import annotations

import sys
import time

import rclpy
from geometry_msgs.msg import Point, Pose, PoseArray
from rclpy.qos import qos_profile_sensor_data
from visualization_msgs.msg import MarkerArray

from tests.ros.support import HAND_FRAME, SECOND, hand, stamp_at

PATIENCE = 60.0
"""Seconds to wait for the node to appear."""
LOSS = 1.0
"""Seconds after which a frame was lost on its way."""
MOST_UNDER_WAY = 2


def main() -> None:
    """Publish once the node listens, and is heard."""
    rate, loops = float(sys.argv[1]), int(sys.argv[2])
    rclpy.init()
    node = rclpy.create_node("hand")
    publisher = node.create_publisher(PoseArray, "skeletons", qos_profile_sensor_data)
    answers: list[MarkerArray] = []
    node.create_subscription(MarkerArray, "recogniser/markers", answers.append, 10)
    executor = rclpy.executors.SingleThreadedExecutor()
    executor.add_node(node)

    until = time.monotonic() + PATIENCE
    while not (publisher.get_subscription_count() and node.count_publishers("recogniser/markers")):
        if time.monotonic() > until:
            sys.exit("play_hand: expected the node to listen, found nobody")
        executor.spin_once(timeout_sec=0.05)
    time.sleep(0.5)  # both know of each other's topics now; the middleware still connects them

    sent, lost, due = 0, 0, time.monotonic()
    for _ in range(loops):
        for number, joints in enumerate(hand().tolist()):
            message = PoseArray()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_at(number), SECOND)
            message.header.frame_id = HAND_FRAME
            message.poses = [Pose(position=Point(x=x, y=y, z=z)) for x, y, z in joints]
            late = max(time.monotonic(), due) + LOSS
            while time.monotonic() < due or sent - lost - len(answers) >= MOST_UNDER_WAY:
                executor.spin_once(timeout_sec=0.002)
                if time.monotonic() > late:
                    lost = sent - len(answers)
            publisher.publish(message)
            sent, due = sent + 1, max(due, time.monotonic() - 1 / rate) + 1 / rate
    print(f"play_hand: {sent} frames, {len(answers)} answers, {lost} lost")
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
