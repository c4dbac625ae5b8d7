"""Clips of one label out of a live stream: when each begins and ends, and what looks odd about it.

Whoever performs has both hands busy, so that time alone decides: a pause, whose last seconds are counted down, then a
clip, and so on. All times are those of the stream's stamps; a recorded stream so gives the same clips at any speed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.cleaning import clean_recording
from adasgn_edge.data.persons import Body
from adasgn_edge.data.plausibility import doubts
from adasgn_edge.data.preprocess import normalise
from adasgn_edge.data.stream_frames import StreamFrame
from adasgn_edge.errors import ClipError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["Begin", "Broken", "Clip", "Count", "Pace", "Rest", "Take", "Takes", "look_at"]

LATE = 1.0
"""Seconds behind the newest stamp: less is a late frame, which is left out, more a clock that was set back."""
JUMP = 5.0
"""Seconds without a frame after which what was going on is given up, and everybody gets a new pause."""
GAP = 0.3
"""Seconds without a frame that are worth a word."""
FEW_FRAMES = 20
"""Frames that a model looks at: a clip of fewer shows it some of them twice."""
SEEN_SHARE = 0.5
"""A clip in which somebody was seen in fewer of the frames is none."""


@dataclass(frozen=True)
class Pace:
    """seconds: of a clip; pause: before each clip; countdown: whole seconds at the pause's end that are counted."""

    seconds: float = 2.0
    pause: float = 3.0
    countdown: int = 3

    def __post_init__(self) -> None:
        if not 0.2 <= self.seconds <= 600:
            raise ClipError(f"expected clips of 0.2 to 600 seconds, found {self.seconds:g}")
        if not 0 <= self.pause <= 600:
            raise ClipError(f"expected a pause of 0 to 600 seconds, found {self.pause:g}")


@dataclass(frozen=True)
class Rest:
    """A pause begins, of so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Count:
    """So many seconds are left until the clip begins: 3, 2, 1."""

    left: int


@dataclass(frozen=True)
class Begin:
    """The clip has begun: go."""


@dataclass(frozen=True)
class Take:
    """The clip has ended; frames: those that came in it, in order of time."""

    frames: tuple[StreamFrame, ...]


@dataclass(frozen=True)
class Broken:
    """The clip was given up; why: what happened."""

    why: str


class Takes:
    """Cuts a stream, frame by frame, into pauses and clips."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._newest: int | None = None
        self._begin = 0  # when the next clip begins, or this one began
        self._frames: list[StreamFrame] | None = None  # of the clip that is going on
        self._said = 0  # the last number of the countdown

    @property
    def recording(self) -> bool:
        """Whether a clip is going on."""
        return self._frames is not None

    def push(self, frame: StreamFrame) -> Iterator[Rest | Count | Begin | Take | Broken]:
        """What a frame brings about, in order."""
        stamp, before = frame.stamp_ns, self._newest
        if before is not None and before - LATE * 1e9 < stamp <= before:
            return
        self._newest = stamp
        if before is None or not 0 < stamp - before <= JUMP * 1e9:
            if self._frames is not None:
                assert before is not None
                yield Broken(f"the next frame's stamp is {1e-9 * (stamp - before):+.1f} s away")
            yield self._rest(stamp)
        yield from self._step(frame)

    def _step(self, frame: StreamFrame) -> Iterator[Rest | Count | Begin | Take | Broken]:
        while True:
            if self._frames is None:
                left = 1e-9 * (self._begin - frame.stamp_ns)
                if left > 0:
                    if (number := math.ceil(left)) <= self._pace.countdown and number < self._said:
                        self._said = number
                        yield Count(number)
                    return
                self._frames = []
                yield Begin()
            end = self._begin + round(1e9 * self._pace.seconds)
            if frame.stamp_ns < end:
                self._frames.append(frame)
                return
            taken = tuple(self._frames)
            rest = self._rest(end)
            yield Take(taken)
            yield rest

    def _rest(self, stamp: int) -> Rest:
        self._frames, self._begin = None, stamp + round(1e9 * self._pace.pause)
        self._said = self._pace.countdown + 1
        return Rest(self._pace.pause)


@dataclass(frozen=True)
class Clip:
    """stamps_ns (L,) int64; positions (M, L, V, 3) float32, metres: M bodies, NaN = not seen."""

    stamps_ns: NDArray[np.int64]
    positions: NDArray[np.float32]

    @classmethod
    def of(cls, frames: Sequence[StreamFrame], layout: SkeletonLayout) -> Clip:
        """The clip of frames; bodies in the order in which they were first seen."""
        names = list(dict.fromkeys(name for frame in frames for name in frame.tracks))
        positions = np.full((len(names), len(frames), layout.joint_count, 3), np.nan, dtype=np.float32)
        for place, frame in enumerate(frames):
            for name, joints in frame.tracks.items():
                positions[names.index(name), place] = joints
        stamps = np.array([frame.stamp_ns for frame in frames], dtype=np.int64)
        return cls(stamps, positions[_seen(positions).any(axis=1)])

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return 1e-9 * float(self.stamps_ns[-1] - self.stamps_ns[0]) if len(self) else 0.0


def look_at(clip: Clip, layout: SkeletonLayout) -> list[str]:
    """What looks odd about a clip, a sentence each. Raises ClipError for one that nothing can be learnt from: hardly
    anybody in it, or what reading it back would refuse."""
    if len(clip) < 2:
        raise ClipError(f"expected frames, found {len(clip)}")
    seen = int(_seen(clip.positions).any(axis=0).sum())
    if seen < max(2.0, SEEN_SHARE * len(clip)):
        raise ClipError(f"expected somebody in at least half of the frames, found somebody in {seen} of {len(clip)}")
    bodies = [Body(np.arange(len(clip)), body) for body in clip.positions]
    tracks, cleaning = clean_recording(bodies, layout, what="clip")
    normalise(tracks[0], layout, tracks[0][0])
    said = []
    longest = max(1e-9 * float(after - before) for before, after in pairwise(clip.stamps_ns.tolist()))
    if longest > GAP:
        said.append(f"no frame for {longest:.1f} s")
    if len(tracks[0]) < FEW_FRAMES:
        said.append(f"{len(tracks[0])} frames with somebody, fewer than the {FEW_FRAMES} that a model looks at")
    if len(tracks) > 1:
        said.append(f"{len(tracks)} bodies, all of which have this label")
    if cleaning:
        said.append(str(cleaning))
    return said + doubts(tracks, layout)


def _seen(positions: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(M, L) whether somebody has a joint that was seen; positions: (M, L, V, 3)."""
    joints: NDArray[np.bool_] = np.asarray(~np.isnan(positions).any(axis=-1))
    return np.asarray(joints.any(axis=-1))
