"""Clips in one launch (kernels/whole_clip.cu): what its blocks do until others may go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from adasgn_edge.model.config import FEATURE, ModelConfig
from bench.predict.costs import Block, Chain, Phase
from bench.predict.geometry import BLOCK, NEIGHBOURS, WARPS
from bench.predict.kernels import branch_of_frame, frame_block, split_block

__all__ = ["clip_blocks", "whole_clips"]

CLIP_HEADS = FEATURE // BLOCK
"""Blocks of a clip that have the temporal module's columns, 16 each."""


def clip_blocks(config: ModelConfig) -> int:
    """Thread blocks of one clip (kernels/launch.h)."""
    first = max(CLIP_HEADS, config.frames) if config.adaptive else CLIP_HEADS
    return first + config.frames * (len(config.branches) - 1 if config.adaptive else 1)


def whole_clips(config: ModelConfig, architecture: str, clips: int, shares: Sequence[float], draws: int) -> Chain:
    """A launch of clips that all run at once, with so many routings drawn from the shares. What blocks do that leave
    half way is counted in full; they have left long before the last one counts."""
    random = np.random.default_rng(0)
    frames = clips * config.frames
    spatial = [_until_its_feature(config, action, architecture) for action in range(len(config.branches))]
    across, widen = _head(config, architecture)
    heads = CLIP_HEADS * clips
    every = [*(block for block in spatial for _ in range(frames)), *[across] * heads, *[widen] * heads]
    stages = []
    for _ in range(draws if config.adaptive else 1):
        taken = {0}  # of a policy its own block runs in any case
        if config.adaptive:
            taken |= {*random.choice(len(shares), frames, p=shares).tolist()}
        stages.append([[spatial[action] for action in sorted(taken)], [across], [widen]])
    return Chain("whole_clip", [every] * len(stages), stages=stages)


@cache
def _until_its_feature(config: ModelConfig, action: int, architecture: str) -> Block:
    """A frame's block, up to where its feature may be read: the policy's, action 0, or a branch's, which does not wait
    for an action to begin."""
    if config.adaptive and action == 0:
        block = frame_block(config, 0, NEIGHBOURS, architecture, "f16")
    else:
        block = branch_of_frame(config.branches[action], config.joints, architecture, "f16")
    return block + Block((Phase(WARPS, flags=1, barriers=1),))


@cache
def _head(config: ModelConfig, architecture: str) -> tuple[Block, Block]:
    """What the blocks with the temporal module's columns do when features are there: the convolution, up to where its
    rows may be read; and widening, twice 16 columns, and classes. Weights and instructions are there."""
    rows = config.temporal_frames
    across = split_block("across_split", architecture, "f16", config.stride, rows)
    widen = split_block("widen_split", architecture, "f16", config.stride, rows, config.classes)
    first, *rest = widen.phases
    written = (replace(across.phases[0], loads=1), Phase(WARPS, flags=1, barriers=1))
    return Block(written), Block((replace(first, loads=1, barriers=0), replace(first, loads=0), *rest))
