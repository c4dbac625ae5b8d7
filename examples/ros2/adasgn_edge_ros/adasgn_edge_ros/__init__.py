"""A ROS 2 lifecycle node around :class:`adasgn_edge.Recogniser`; only ``recogniser_node.py`` needs rclpy."""
