"""Models whose weights have learnt nothing, for what does not depend on them: how long a run takes.

Frames of a policy's model do depend on it, so that its policy is set to take branches as often as a trained one does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.deploy.folded_network import Array, FoldedModel, motion
from adasgn_edge.deploy.model_file import ModelFile
from adasgn_edge.effort import EffortTable
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["POLICY_SHARES", "random_file", "with_shares"]

POLICY_SHARES = (0.121, 0.158, 0.380, 0.310, 0.017, 0.014)
"""How often a policy of the paper's six branches that was trained on SHREC'17 (α = 1) takes each, on the test clips."""
ROUNDS, STEP = 400, 0.5


def random_file(
    config: ModelConfig,
    layout: SkeletonLayout,
    class_names: tuple[str, ...],
    stream: str,
    seed: int = 0,
    effort: EffortTable | None = None,
) -> ModelFile:
    """A model of this shape, its activations neither vanishing nor growing from layer to layer; NumPy alone.

    effort: of one that escalates, which must have a table.
    """
    random = np.random.default_rng(seed)

    def leaf(name: str, shape: tuple[int, ...]) -> Array:
        part = name.rpartition(".")[2]
        if part == "transform":  # each reduced joint is a mean of some
            weights = random.uniform(0.0, 1.0, shape) ** 4
            found: Array = weights / weights.sum(-1, keepdims=True)
        elif part in ("weight", "neighbours", "itself"):
            inputs = int(np.prod(shape[:-1]))
            found = random.normal(0.0, np.sqrt(2.0 / inputs), shape)
        elif part in ("q", "r", "u", "c"):  # logits of the adjacency, of a softmax that is not saturated
            found = random.normal(0.0, 1.0 / 64, shape)
        else:
            found = random.normal(0.0, 0.1, shape)
        return found.astype(np.float32)

    return ModelFile(FoldedModel.build(config, leaf), layout, class_names, stream, window=2.0, effort=effort)


def with_shares(file: ModelFile, clips: NDArray[np.float32], shares: tuple[float, ...]) -> ModelFile:
    """The same model whose policy takes its branches about so often on clips (B, T, V, C): its biases are moved until
    it does."""
    model = file.folded.astype(np.float64)
    assert model.policy is not None
    moving = motion(clips.astype(np.float64)).reshape(-1, file.config.joints, 6)
    logits = model.action_logits(model.policy_features(moving), len(clips)).reshape(-1, len(shares))
    spread = float(logits.std())
    wanted, bias = np.asarray(shares) / np.sum(shares), np.zeros(len(shares))
    for number in range(ROUNDS):
        taken = np.bincount((logits + bias).argmax(-1), minlength=len(shares)) / len(logits)
        bias += STEP * spread * (wanted - taken) / (1 + number / 40)
    policy = replace(file.folded.policy, bias=(model.policy.bias + bias).astype(np.float32))  # type: ignore[type-var]
    return replace(file, folded=replace(file.folded, policy=policy))
