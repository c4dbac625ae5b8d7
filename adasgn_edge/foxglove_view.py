"""A live stream for Foxglove, on a socket that its app connects to or in an MCAP file that it opens: skeletons,
probabilities, events. Needs the extra ``view`` (foxglove-sdk), which is loaded when a view is made.

Foxglove rather than Rerun: it is much the smaller and quicker of the two, and its files are the robot's
own recording format.

==============  ========================  ===========================================================================
topic           schema                    what
==============  ========================  ===========================================================================
``/skeletons``  foxglove.SceneUpdate      spheres at joints, lines along bones, the gesture that goes on beside them
``/steps``      JSON                      a step's result, as ``stream --json --steps`` prints it
``/events``     JSON                      a gesture that started, goes on or ended, as ``stream --json`` prints it
==============  ========================  ===========================================================================

Log times are the stream's stamps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import MissingDependencyError, OutputError
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import printable

if TYPE_CHECKING:
    import foxglove
    from foxglove.messages import SceneEntity

__all__ = ["DEFAULT_PORT", "FoxgloveView"]

DEFAULT_PORT = 8765
FRAME = "sensor"
"""The frame of reference that skeletons are in: x to the performer's right, y up, z away from the sensor."""
UNSEEN = 500_000_000
"""Nanoseconds after which a skeleton that is not shown again goes."""
JOINT, BONE = 0.12, 0.05
"""Diameter and thickness, in radii of the body."""
COLOURS = ((0.2, 0.6, 1.0), (1.0, 0.55, 0.1), (0.35, 0.8, 0.35), (0.8, 0.4, 0.9))
"""Of bodies, in turn."""


class FoxgloveView:
    """Shows a stream; a context, at whose end file and socket are closed.

    port: where the app connects (127.0.0.1, or `host`), 0: any that is free, None: nowhere; mcap: a file to write,
    which must not exist. At least one of them. Raises MissingDependencyError without foxglove-sdk, OutputError for a
    file or a port that cannot be had.
    """

    def __init__(
        self, layout: SkeletonLayout, *, port: int | None = None, mcap: Path | None = None, host: str = "127.0.0.1"
    ) -> None:
        if port is None and mcap is None:
            raise OutputError("foxglove: expected a port or a file, found neither")
        self._layout = layout
        self._sdk = sdk = _foxglove()
        self._context = context = sdk.Context()  # channels end with it
        self._skeletons = sdk.channels.SceneUpdateChannel("/skeletons", context=context)
        self._steps = sdk.Channel("/steps", message_encoding="json", context=context)
        self._events = sdk.Channel("/events", message_encoding="json", context=context)
        self._gestures: dict[str, str] = {}
        self._colours: dict[str, tuple[float, float, float]] = {}
        self._file: _File | None = None
        self._writer: foxglove.MCAPWriter | None = None
        self._server: foxglove.WebSocketServer | None = None
        if mcap is not None:
            try:
                self._file = _File(mcap)
            except OSError as error:
                reason = error.strerror or str(error)
                raise OutputError(f"--mcap: expected a new file that can be written, found {mcap} ({reason})") from None
            self._writer = sdk.open_mcap(self._file, context=context)
        if port is not None:
            try:
                self._server = sdk.start_server(name="adasgn-edge", host=host, port=port, context=context)
            except (OSError, RuntimeError) as error:
                self.close()
                raise OutputError(f"--foxglove: expected a port that is free, found {port} ({error})") from None

    def __enter__(self) -> FoxgloveView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int | None:
        """The port that the app connects to; None without a socket."""
        return None if self._server is None else self._server.port

    def show(
        self,
        stamp_ns: int,
        tracks: Mapping[str, NDArray[np.float32]],
        steps: list[dict[str, Any]],
        events: list[dict[str, Any]],
    ) -> None:
        """A moment: joints (V, 3) of everybody by name, NaN = not seen; steps and events as they are printed.

        Raises OutputError once the file cannot be written any more; what it holds by then stays.
        """
        for event in events:
            if event["type"] == "ended":
                self._gestures.pop(event["track"], None)
            else:
                self._gestures[event["track"]] = f"{event['label']} {event['confidence']:.0%}"
            self._events.log(event, log_time=stamp_ns)
        for step in steps:
            self._steps.log(step, log_time=stamp_ns)
        entities = [self._entity(stamp_ns, name, joints) for name, joints in tracks.items()]
        self._skeletons.log(self._sdk.messages.SceneUpdate(entities=entities), log_time=stamp_ns)
        if self._file is not None:
            self._file.check()

    def close(self) -> None:
        """End the file and the socket; raises OutputError for a file that could not be written to its end."""
        file, writer, server = self._file, self._writer, self._server
        self._file = self._writer = self._server = None
        if server is not None:
            server.stop()
        if file is not None and writer is not None:
            writer.close()
            file.close()
            file.check()

    def _entity(self, stamp_ns: int, name: str, joints: NDArray[np.float32]) -> SceneEntity:
        made = self._sdk.messages
        seen: NDArray[np.bool_] = np.asarray(np.isfinite(joints).all(axis=-1))
        places = joints.astype(np.float64)
        there = places[seen]
        radius = float(np.sqrt(((there - there.mean(axis=0)) ** 2).sum(axis=-1).mean())) if len(there) else 0.0
        red, green, blue = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        colour = made.Color(r=red, g=green, b=blue, a=1.0)
        upright = made.Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)

        def pose(x: float, y: float, z: float) -> Any:
            return made.Pose(position=made.Vector3(x=x, y=y, z=z), orientation=upright)

        size = made.Vector3(x=JOINT * radius, y=JOINT * radius, z=JOINT * radius)
        ends = [
            made.Point3(x=x, y=y, z=z)
            for child, parent in enumerate(self._layout.parents.tolist())
            if child != parent and seen[child] and seen[parent]
            for x, y, z in (places[child].tolist(), places[parent].tolist())
        ]
        lines = made.LinePrimitive(
            type=made.LinePrimitiveLineType.LineList,
            pose=pose(0.0, 0.0, 0.0),
            thickness=BONE * radius,
            points=ends,
            color=colour,
        )
        texts = []
        if name in self._gestures and len(there):
            x, y, z = there.max(axis=0).tolist()
            texts = [
                made.TextPrimitive(
                    pose=pose(x, y, z),
                    billboard=True,
                    font_size=0.4 * radius,
                    color=colour,
                    text=printable(self._gestures[name]),
                )
            ]
        return made.SceneEntity(
            timestamp=made.Timestamp(sec=stamp_ns // 1_000_000_000, nsec=stamp_ns % 1_000_000_000),
            frame_id=FRAME,
            id=printable(name),
            lifetime=made.Duration(sec=0, nsec=UNSEEN),
            spheres=[made.SpherePrimitive(pose=pose(*place), size=size, color=colour) for place in there.tolist()],
            lines=[lines] if ends else [],
            texts=texts,
        )


class _File:
    """A new file for the SDK's writer, which tells nobody but a log of a write that failed: it is kept here."""

    def __init__(self, path: Path) -> None:
        self._path, self._error = path, ""
        self._file = path.open("xb", buffering=0)

    def write(self, data: bytes) -> int:
        """Write all, unless a write has failed; what the SDK is told in either case."""
        left = memoryview(data)
        try:
            while left and not self._error:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._error = error.strerror or str(error)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        self._file.close()

    def check(self) -> None:
        """Raise OutputError after a write that failed."""
        if self._error:
            raise OutputError(f"{self._path}: cannot be written ({self._error})")


def _foxglove() -> Any:
    try:
        import foxglove
        import foxglove.channels
        import foxglove.messages
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"a Foxglove view: expected foxglove-sdk, found no {error.name}: pip install 'adasgn-edge[view]'"
        ) from None
    return foxglove
