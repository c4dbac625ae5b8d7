"""Hand gestures made by code: a kinematic hand of 22 joints that performs the 14 gestures of SHREC'17.

``animate("Swipe Left", one_finger=True, seed=3)`` is one recording (L, 22, 3) of one imaginary subject;
``perform([("Grab", False), ("Tap", True)])`` is one subject who performs several, with pauses, in one stream. Nothing
is read from a data set: a hand is bone lengths, joint angles and minimum-jerk movements; see the modules for where the
numbers come from.
"""

from __future__ import annotations

from adasgn_edge.hands.animate import animate
from adasgn_edge.hands.choreography import GESTURES
from adasgn_edge.hands.performance import Performance, Performed, perform, shuffled

__all__ = ["GESTURES", "Performance", "Performed", "animate", "perform", "shuffled"]
