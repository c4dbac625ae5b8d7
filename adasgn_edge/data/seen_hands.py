"""Hands that an estimator found in one picture after another: whose is whose, which side it is, where it is in space.

Estimators such as MediaPipe give, for each picture, the places of a hand's joints in it, the hand's shape in metres
about its own middle, and a guess which side it is. They do not say which hand of the last picture it was (the order of
hands changes), the guess about the side flips while the hand turns, and how far away the hand is follows from a shape
whose size changes from picture to picture. All joints are in MediaPipe's order, ``mediapipe-hand-21``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.perspective import Intrinsics, place
from adasgn_edge.errors import SourceError

__all__ = ["HandTracks", "SeenHand", "TrackedHand"]

PALM = [0, 5, 9, 13, 17]
"""The wrist and the bases of the four fingers, which move little against each other."""
REACH = 2.0
"""How far, in lengths of its palm in the picture, a hand may be from where it was expected."""
SAME = 0.35
"""The same of two hands found at once that are one."""
WRONG_SIDE = 0.5
"""Lengths of a palm that a hand counts as farther off for being of another side than a track is sure to be."""
SURE = 4.0
"""Logarithm of the odds at which a side is sure."""
MOST_SURE = 30.0
"""The same at most; a picture adds 1 at most. So a hand that is called the other side for a second, as happens when it
turns its back, stays what it was."""
FORGET = 0.5
"""Seconds unseen after which a hand that comes is a new one."""
SETTLING = 2
"""Pictures in which a hand that was just found is not placed yet: its first landmarks are of a coarser finder."""
DEPTH_TIME = 0.25
"""Time constant, seconds, over which the distance from the camera is averaged; places in the picture are not."""
SHAPE_SHARE = 0.5
"""How much of the distance follows from the palm's average shape, rather than from its shape as it is seen now."""
SHAPE_PICTURES = 150
"""Pictures that a palm's shape is averaged over."""


@dataclass(frozen=True)
class SeenHand:
    """A hand in a picture: places (21, 2) in pixels, shape (21, 3) in metres, optical axes, about its own middle.

    right: how likely it is the performer's right hand, 0 to 1.
    """

    image: NDArray[np.float64]
    world: NDArray[np.float64]
    right: float


@dataclass(frozen=True)
class TrackedHand:
    """A hand that was followed: its name, its side, its joints (21, 3) in metres, optical axes; and as it was seen."""

    name: str
    side: str
    joints: NDArray[np.float64]
    seen: SeenHand


class HandTracks:
    """Follows hands from picture to picture and places them in space.

    How far away a hand is, is the geometric mean of two estimates, as their errors differ: that of :func:`place`, from
    the palm's shape as it was seen now; and how large its average shape, which does not change, appears now. It is
    averaged over DEPTH_TIME, for most of its error changes from picture to picture.
    """

    def __init__(self, intrinsics: Intrinsics) -> None:
        self._intrinsics = intrinsics
        self._tracks: list[_Track] = []
        self._named = 0

    def update(self, stamp_ns: int, hands: Sequence[SeenHand]) -> list[TrackedHand]:
        """The hands of the next picture that are followed and placed; stamps rise.

        A hand that turns out to be of the other side than was thought gets a new name, so that nobody takes the two for
        one movement.
        """
        self._tracks = [track for track in self._tracks if stamp_ns - track.stamp_ns <= 1e9 * FORGET]
        unseen = list(self._tracks)
        hands = _without_doubles(hands)
        found = []
        for hand, track in zip(hands, self._matched(stamp_ns, hands), strict=True):
            if track is None:
                track = _Track(stamp_ns, hand)
                self._tracks.append(track)
            else:
                unseen.remove(track)
            joints = track.take(stamp_ns, hand, self._intrinsics)
            if joints is None:
                continue
            if track.side != track.named_side:
                track.name, track.named_side, self._named = str(self._named), track.side, self._named + 1
            found.append(TrackedHand(track.name, track.side, joints, hand))
        for track in unseen:
            track.pictures = 0
        return found

    def _matched(self, stamp_ns: int, hands: Sequence[SeenHand]) -> list[_Track | None]:
        """The track of each hand: nearest pairs first."""
        pairs = sorted(
            (self._tracks[track].distance(stamp_ns, hands[hand]), hand, track)
            for hand, track in product(range(len(hands)), range(len(self._tracks)))
        )
        matched: list[_Track | None] = [None] * len(hands)
        taken: set[int] = set()
        for distance, hand, track in pairs:
            if distance <= REACH and matched[hand] is None and track not in taken:
                matched[hand] = self._tracks[track]
                taken.add(track)
        return matched


@dataclass(eq=False)
class _Track:
    """One hand that is followed. middle, speed: of its palm in the picture, pixels and pixels a second."""

    stamp_ns: int
    seen: SeenHand
    name: str = ""
    named_side: str = ""
    middle: NDArray[np.float64] = field(init=False)
    speed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    right: float = 0.0  # logarithm of the odds that it is a right hand
    pictures: int = 0  # in a row
    shape: _PalmShape = field(default_factory=lambda: _PalmShape())
    depth: float = math.nan  # logarithm of metres, of the palm's middle
    depth_ns: int = 0

    def __post_init__(self) -> None:
        self.middle = _middle(self.seen)

    @property
    def side(self) -> str:
        return "right" if self.right >= 0 else "left"

    def distance(self, stamp_ns: int, hand: SeenHand) -> float:
        """How far a hand is from where this one is expected, in lengths of a palm."""
        expected = self.middle + self.speed * (1e-9 * (stamp_ns - self.stamp_ns))
        far = float(np.linalg.norm(_middle(hand) - expected)) / max(_length(self.seen), _length(hand), 1.0)
        other_side = min(1.0, max(0.0, -self.right * (2 * hand.right - 1)) / SURE)
        return far + WRONG_SIDE * other_side

    def take(self, stamp_ns: int, hand: SeenHand, intrinsics: Intrinsics) -> NDArray[np.float64] | None:
        """The joints in space (21, 3) of this hand as it is seen now; None while it settles or cannot be placed."""
        seconds = 1e-9 * (stamp_ns - self.stamp_ns)
        middle = _middle(hand)
        if seconds > 0:
            self.speed = (middle - self.middle) / seconds
        self.stamp_ns, self.seen, self.middle = stamp_ns, hand, middle
        odds = math.log(max(hand.right, 1e-3) / max(1 - hand.right, 1e-3))
        self.right = min(MOST_SURE, max(-MOST_SURE, self.right + min(1.0, max(-1.0, odds))))
        self.pictures += 1
        if self.pictures <= SETTLING:
            return None
        return self._placed(stamp_ns, hand, intrinsics)

    def _placed(self, stamp_ns: int, hand: SeenHand, intrinsics: Intrinsics) -> NDArray[np.float64] | None:
        weights = np.zeros(len(hand.world))
        weights[PALM] = 1
        try:
            now = float(place(hand.world, hand.image, intrinsics, weights)[PALM, 2].mean())
        except SourceError:  # edge-on, in one point: not seen well enough
            return None
        seen = intrinsics.directions(hand.image)
        size = self.shape.apparent_size(hand.world[PALM], seen[PALM])
        if not (math.isfinite(size) and size > 0):
            return None
        measured = (1 - SHAPE_SHARE) * math.log(now) - SHAPE_SHARE * math.log(size)
        if math.isnan(self.depth):
            self.depth = measured
        else:
            share = 1 - math.exp(-1e-9 * (stamp_ns - self.depth_ns) / DEPTH_TIME)
            self.depth += share * (measured - self.depth)
        self.depth_ns = stamp_ns
        depth = hand.world[:, 2:] - hand.world[PALM, 2].mean() + math.exp(self.depth)  # (21, 1)
        if not (depth > 0).all():
            return None
        nearness = weights[:, None] / depth**2  # least squares in pixels
        across = (nearness * (seen * depth - hand.world[:, :2])).sum(axis=0) / nearness.sum()
        return np.concatenate([hand.world[:, :2] + across, depth], axis=1)


class _PalmShape:
    """The average shape of a palm, which is nearly flat, in its own plane (5, 2), metres."""

    def __init__(self) -> None:
        self._average: NDArray[np.float64] | None = None  # (5, 3) about its middle
        self._pictures = 0

    def apparent_size(self, world: NDArray[np.float64], seen: NDArray[np.float64]) -> float:
        """How large the palm appears: 1 at a distance of 1 m, however it is turned.

        world: (5, 3) its shape as it is seen now, which the average takes in; seen: (5, 2) directions. From afar, a
        turned plane shrinks in one direction only, so the larger singular value of the map from plane to picture is the
        size that it has in the other.
        """
        self._take(world - world.mean(axis=0))
        assert self._average is not None
        _, _, axes = np.linalg.svd(self._average, full_matrices=False)
        flat = self._average @ axes[:2].T
        turned = np.linalg.pinv(flat) @ (seen - seen.mean(axis=0))
        return float(np.linalg.svd(turned, compute_uv=False)[0])

    def _take(self, world: NDArray[np.float64]) -> None:
        self._pictures = min(self._pictures + 1, SHAPE_PICTURES)
        if self._average is None:
            self._average = world
            return
        left, _, right = np.linalg.svd(world.T @ self._average)  # the rotation onto the average (Kabsch)
        turn = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
        self._average = self._average + (world @ turn - self._average) / self._pictures


def _without_doubles(hands: Sequence[SeenHand]) -> list[SeenHand]:
    """Without hands that were found twice."""
    kept: list[SeenHand] = []
    for hand in hands:
        apart = [float(np.linalg.norm(_middle(hand) - _middle(other))) / max(_length(other), 1.0) for other in kept]
        if not any(distance < SAME for distance in apart):
            kept.append(hand)
    return kept


def _middle(hand: SeenHand) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = hand.image[PALM].mean(axis=0)
    return middle


def _length(hand: SeenHand) -> float:
    """Pixels from wrist to knuckles, or across the knuckles where it is seen end on."""
    image = hand.image
    return float(max(np.linalg.norm(image[9] - image[0]), np.linalg.norm(image[17] - image[5])))
