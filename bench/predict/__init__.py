"""Latency of the CUDA engine on a board that is not at hand (docs/performance.md explains the model of cost).

Symbols: N frames, V joints of a clip, V_i of a branch, T frames of a clip, K classes, A branches.
"""
