"""The node, configured and activated: ros2 launch adasgn_edge_ros recogniser.launch.py params:=… skeletons:=/hand"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

PACKAGE = "adasgn_edge_ros"
TOPICS = ("skeletons", "depth/image", "depth/camera_info")


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory(PACKAGE))
    node = LifecycleNode(
        package=PACKAGE,
        executable="recogniser_node",
        name="recogniser",
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("params")],
        remappings=[(topic, LaunchConfiguration(topic.replace("/", "_"))) for topic in TOPICS],
        output="both",
    )

    def change(transition: int) -> EmitEvent:
        return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))

    configure = OnProcessStart(target_action=node, on_start=[change(Transition.TRANSITION_CONFIGURE)])
    activate = OnStateTransition(
        target_lifecycle_node=node,
        start_state="configuring",
        goal_state="inactive",
        entities=[change(Transition.TRANSITION_ACTIVATE)],
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument("params", default_value=str(share / "config" / "params.yaml")),
            DeclareLaunchArgument("namespace", default_value=""),
            *(DeclareLaunchArgument(topic.replace("/", "_"), default_value=topic) for topic in TOPICS),
            RegisterEventHandler(configure),
            RegisterEventHandler(activate),
            node,
        ]
    )
