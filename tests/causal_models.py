"""Causal models with random weights that are sure of something at every step, as model files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from adasgn_edge.deploy.fold_weights import fold
from adasgn_edge.deploy.folded_network import FoldedModel
from adasgn_edge.deploy.model_file import ModelFile, write_model_file
from adasgn_edge.effort import EffortPoint, EffortTable
from adasgn_edge.hands import GESTURES, perform
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import Branch, CausalShape, ModelConfig
from adasgn_edge.model.cost import CostTable
from adasgn_edge.recognition import Decision, Recognition
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
SHAPE = CausalShape(trail=(2, 4), dilations=(1, 2), pool=1, origin=1)
JOINTS = 22 + len(SHAPE.trail)
SPREAD = 4.0
"""Standard deviation of a class's logit over a stream."""
LABELS = ("TAP", "GRAB", "V", "RIGHT", "none")
DECISION = Decision(smoothing=0.6, start=0.5, end=0.4, low=0.3, minimum=100_000_000, maximum=2_000_000_000)
SINGLE = ModelConfig(JOINTS, len(LABELS), (Branch(JOINTS, "pose"),), SHAPE.frames, adaptive=False, causal=SHAPE)
SEVERAL = replace(SINGLE, branches=(Branch(JOINTS, "pose"), Branch(11 + 2, "small")), escalates=True)


def write_causal(
    path: Path, config: ModelConfig = SINGLE, *, decision: Decision = DECISION, step: int = 50_000_000, seed: int = 0
) -> Path:
    """A model file: V = 22 recorded joints, a grid of `step` ns, the last class none."""
    torch.manual_seed(seed)
    model = build_model(config, LAYOUT).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    folded = fold(model.eval().state_dict(), config).astype(np.float32)
    folded = _balanced(folded, config)
    macs = [int(cost) for cost in CostTable(config).full]
    points = (EffortPoint(0.0, 0.0, macs[0], None), EffortPoint(1.0, 2.0, sum(macs), None))
    write_model_file(
        path,
        ModelFile(
            folded,
            LAYOUT,
            LABELS[: config.classes],
            "joint",
            config.clip_frames * step / 1e9,
            effort=EffortTable(points, 0.0) if config.escalates else None,
            recognition=Recognition(step, config.classes - 1, decision),
        ),
    )
    return path


def _balanced(folded: FoldedModel, config: ModelConfig) -> FoldedModel:
    """The model with every class as likely as any other, and sure of itself, on a hand's movements."""
    hand = perform([(gesture, False) for gesture in GESTURES[:6]], rate=20.0).positions / np.float32(0.1)
    starts = range(0, len(hand) - config.clip_frames, 5)
    windows = np.stack([hand[start : start + config.clip_frames] for start in starts])
    logits = folded.forward(windows, np.zeros((len(windows), config.frames), dtype=np.int64)).logits
    factor = (SPREAD / logits.std(axis=0)).astype(np.float32)
    classify = folded.temporal.classify
    bias = factor * (classify.bias - logits.mean(axis=0).astype(np.float32))
    temporal = replace(folded.temporal, classify=replace(classify, weight=classify.weight * factor, bias=bias))
    return replace(folded, temporal=temporal)
