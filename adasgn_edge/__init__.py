"""adasgn_edge: real-time recognition of actions and gestures from skeleton streams (AdaSGN, ICCV 2021)."""

__version__ = "0.1.0"
