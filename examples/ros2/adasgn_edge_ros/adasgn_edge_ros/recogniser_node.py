"""``recogniser_node``: gestures in a stream of skeletons, as a ROS 2 lifecycle node.

Thin on purpose: what is done with a message is in ``pipeline.py``, what messages are in ``conversions.py``. Topics,
parameters and states are described in ``docs/ros2.md``.
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

from adasgn_edge.errors import AdaSGNError, MissingDependencyError
from adasgn_edge_ros.conversions import (
    event_text,
    write_detections,
    write_diagnostics,
    write_labels,
    write_markers,
)
from adasgn_edge_ros.health import ERROR, OK
from adasgn_edge_ros.parameters import PARAMETERS, Parameter, Settings
from adasgn_edge_ros.pipeline import Pipeline
from adasgn_edge_ros.scene import Refusal, Scene

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

__all__ = ["RecogniserNode", "main"]

INPUTS = {
    "pose_array": "geometry_msgs/msg/PoseArray",
    "zed_objects": "zed_msgs/msg/ObjectsStamped",
    "hri_skeleton_2d": "hri_msgs/msg/Skeleton2D",
}
DEPTH_INPUTS = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo")
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SKELETONS = "skeletons"
NO_NUMBER = (1 << 64) - 1
"""What a middleware gives that does not number messages."""
DIAGNOSTICS_PERIOD = 1.0
"""Seconds."""
THROTTLE = 5.0
"""Seconds between two lines of the log about messages that are refused."""
KINDS = {
    "string": RosParameter.Type.STRING,
    "bool": RosParameter.Type.BOOL,
    "integer": RosParameter.Type.INTEGER,
    "double": RosParameter.Type.DOUBLE,
}


def message_class(name: str) -> Any:
    """The class of "package/msg/Type"; MissingDependencyError where its package is not there."""
    package, _, kind = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind)
    except ImportError as error:
        raise MissingDependencyError(f"{name}: expected ROS package {package}, found none ({error})") from None


class RecogniserNode(LifecycleNode):
    """Reads skeletons while it is active; publishes detections, labels, markers and events, diagnostics always."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recogniser", **options)
        self._classes: dict[str, Any] = {}
        self._pipeline: Pipeline | None = None
        self._outputs: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._state = "unconfigured"
        self._trouble = ""  # why it could not be configured, or why it failed
        for known in PARAMETERS:
            descriptor = _descriptor(known)
            if known.default is None:
                self.declare_parameter(known.name, KINDS[known.kind], descriptor)
            else:
                self.declare_parameter(known.name, known.default, descriptor)
        self.add_on_set_parameters_callback(self._on_parameters)
        diagnostics = message_class("diagnostic_msgs/msg/DiagnosticArray")
        self._diagnostics = self.create_publisher(diagnostics, "/diagnostics", RELIABLE)
        # Not the node's clock: under simulated time that may stand still, and nobody would hear why.
        self._timer = self.create_timer(
            DIAGNOSTICS_PERIOD, self._diagnose, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    # -- transitions -----------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and make the publishers; fails, with the reason in the log, where something is missing."""
        try:
            self._configure()
        except AdaSGNError as error:
            self._fail(f"cannot configure: {type(error).__name__}: {error}")
            self._release()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._fail(f"cannot configure: {type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        return self._reached("inactive", super().on_configure(state))

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to read."""
        result = super().on_activate(state)  # first: lifecycle publishers are silent until then
        if result != TransitionCallbackReturn.SUCCESS:
            return result
        try:
            self._listen()
        except Exception as error:  # rclpy would make an error of it too, but say nothing
            self._fail(f"cannot activate: {type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        return self._reached("active", result)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop reading; the model stays loaded."""
        self._stop_listening()
        return self._reached("inactive", super().on_deactivate(state))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything."""
        result = super().on_cleanup(state)
        self._release()
        return self._reached("unconfigured", result)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, for good."""
        result = super().on_shutdown(state)
        self._release()
        return self._reached("finalized", result)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a transition that went wrong: let go of everything, so that the node can be configured again."""
        self._release()
        self._state = "unconfigured"
        return TransitionCallbackReturn.SUCCESS

    def _reached(self, state: str, result: TransitionCallbackReturn) -> TransitionCallbackReturn:
        if result == TransitionCallbackReturn.SUCCESS:
            self._state, self._trouble = state, ""
            self.get_logger().info(state)
        return result

    def _fail(self, reason: str) -> None:
        self._trouble = reason
        self.get_logger().error(reason)

    def _configure(self) -> None:
        values = {known.name: self.get_parameter_or(known.name).value for known in PARAMETERS}
        settings = Settings.of(values)
        for name in (INPUTS[settings.input_type], *(DEPTH_INPUTS if settings.depth else ())):
            message_class(name)
        wanted = {"events": ("std_msgs/msg/String", RELIABLE)}
        if settings.markers:
            wanted["markers"] = ("visualization_msgs/msg/MarkerArray", RELIABLE)
        if settings.detections:
            wanted["detections"] = ("vision_msgs/msg/Detection3DArray", RELIABLE)
            wanted["labels"] = ("vision_msgs/msg/LabelInfo", LATCHED)
            try:
                message_class("vision_msgs/msg/Detection3DArray")
            except MissingDependencyError as error:
                raise MissingDependencyError(f"{error}; or set parameter detections to false") from None
        self._pipeline = Pipeline(settings)
        for topic, (name, qos) in wanted.items():
            self._outputs[topic] = self.create_lifecycle_publisher(message_class(name), f"~/{topic}", qos)

    def _listen(self) -> None:
        assert self._pipeline is not None
        settings = self._pipeline.settings
        if "labels" in self._outputs:
            now = self.get_clock().now().nanoseconds
            labels = write_labels(self._make, self._pipeline.recogniser.labels, self._pipeline.threshold, now)
            self._outputs["labels"].publish(labels)
        self._pipeline.health.awake()
        if settings.depth:  # first: what comes together is then handled in this order
            image, camera_info = map(message_class, DEPTH_INPUTS)
            sensor = qos_profile_sensor_data
            self._inputs.append(self.create_subscription(image, "depth/image", self._pipeline.take_depth, sensor))
            self._inputs.append(
                self.create_subscription(camera_info, "depth/camera_info", self._on_camera_info, sensor)
            )
        self._inputs.append(self._subscribe_to_skeletons(message_class(INPUTS[settings.input_type])))

    def _subscribe_to_skeletons(self, kind: Any) -> Any:
        arguments = (kind, SKELETONS, self._on_skeletons, qos_profile_sensor_data)
        try:
            events = SubscriptionEventCallbacks(message_lost=self._on_lost)
            return self.create_subscription(*arguments, event_callbacks=events)
        except UnsupportedEventTypeError:
            return self.create_subscription(*arguments)

    def _stop_listening(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs.clear()

    def _release(self) -> None:
        self._stop_listening()
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs.clear()
        self._pipeline = None

    # -- messages --------------------------------------------------------------------------------------------------

    def _on_skeletons(self, message: Any, info: Any) -> None:
        began = time.perf_counter()
        if self._pipeline is None:  # taken before the transition that was handled first
            return
        number = info.get("publication_sequence_number", NO_NUMBER)  # Humble does not have it
        if number != NO_NUMBER:
            self._pipeline.health.sequence(number)
        scene = self._pipeline.take(message)
        if isinstance(scene, Refusal):
            self._tell(scene)
        else:
            self._publish(scene)
        self._pipeline.health.handled(time.perf_counter() - began)

    def _publish(self, scene: Scene) -> None:
        assert self._pipeline is not None
        for event in scene.events:
            text = self._make("std_msgs/msg/String")
            text.data = event_text(event)
            self._outputs["events"].publish(text)
        if self._is_heard("detections"):
            self._outputs["detections"].publish(write_detections(self._make, scene))
        if scene.bodies and self._is_heard("markers"):  # the dearest message by far
            pipeline = self._pipeline
            markers = write_markers(self._make, scene, pipeline.bones, pipeline.up, pipeline.settings.gap)
            self._outputs["markers"].publish(markers)

    def _is_heard(self, topic: str) -> bool:
        return topic in self._outputs and self._outputs[topic].get_subscription_count() > 0

    def _on_camera_info(self, message: Any) -> None:
        if self._pipeline is None:
            return
        refusal = self._pipeline.take_camera_info(message)
        if refusal is not None:
            self._tell(refusal)

    def _on_lost(self, event: Any) -> None:
        if self._pipeline is not None:
            self._pipeline.health.lost(event.total_count_change)

    def _tell(self, refusal: Refusal) -> None:
        self.get_logger().warning(f"refused ({refusal.kind}): {refusal.reason}", throttle_duration_sec=THROTTLE)

    def _diagnose(self) -> None:
        level, message, values = OK, self._state, [("state", self._state)]
        if self._pipeline is not None:
            if self._inputs:
                self._pipeline.health.publishers = self.count_publishers(self._inputs[-1].topic_name)
            report = self._pipeline.report(self._state)
            level, message, values = report.level, report.message, report.values
        if self._trouble:
            level, message = ERROR, self._trouble
        name, now = self.get_fully_qualified_name().lstrip("/"), self.get_clock().now().nanoseconds
        self._diagnostics.publish(write_diagnostics(self._make, name, "none", level, message, values, now))

    def _make(self, name: str) -> Any:
        """An empty message."""
        found = self._classes.get(name)
        if found is None:
            found = self._classes[name] = message_class(name)
        return found()

    # -- parameters ------------------------------------------------------------------------------------------------

    def _on_parameters(self, parameters: list[RosParameter]) -> SetParametersResult:
        """Refuse what would not be heeded; the effort is taken at once."""
        own = {known.name: known for known in PARAMETERS}
        if self._pipeline is None:
            return SetParametersResult(successful=True)
        for parameter in parameters:
            known = own.get(parameter.name)
            if known is not None and not known.changeable:
                reason = f"{parameter.name}: expected to be set while the node is unconfigured, found it {self._state}"
                return SetParametersResult(successful=False, reason=reason)
        for parameter in parameters:
            if parameter.name == "effort":
                try:
                    if parameter.type_ == RosParameter.Type.NOT_SET:
                        raise AdaSGNError("effort: expected a number from 0 to 1, found none")
                    self._pipeline.set_effort(parameter.value)
                except AdaSGNError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def _descriptor(known: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=known.description, additional_constraints=known.may_be)
    if known.low is not None and known.high is not None:
        if known.kind == "integer":
            limits = IntegerRange(from_value=int(known.low), to_value=int(known.high), step=1)
            descriptor.integer_range = [limits]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=known.low, to_value=known.high, step=0.0)]
    return descriptor


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is told to stop; 2 is the status where a parameter's value cannot be."""
    rclpy.init(args=arguments)
    try:
        node = RecogniserNode()
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        rclpy.shutdown()
        print(f"recogniser_node: {error}", file=sys.stderr)
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        if rclpy.ok():
            rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
