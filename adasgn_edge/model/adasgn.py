"""AdaSGN and SGN: the models a recipe trains and every engine is tested against (paper, Sections 3.1-3.2).

Shapes: B clips, T frames, V joints, C = 3, A = number of branches (K·L).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from adasgn_edge.errors import ModelConfigError
from adasgn_edge.model.config import FEATURE, Branch, ModelConfig
from adasgn_edge.model.spatial import build_branch, motion
from adasgn_edge.model.temporal import TemporalConvolution, TemporalModule
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["SGN", "AdaSGN", "Prediction", "build_model", "gumbel_straight_through"]


class Prediction(NamedTuple):
    """logits (B, classes); actions (B, T) int64, the branch each frame took, or None where all branches ran."""

    logits: Tensor
    actions: Tensor | None


def gumbel_straight_through(action_logits: Tensor, temperature: Tensor | float, uniform: Tensor) -> Tensor:
    """A sampled one-hot action whose gradient is that of the relaxed sample (Eqs. 6-7).

    action_logits (…, A); uniform (…, A) in (0, 1), the U_t,i of the paper. Returns (…, A).
    """
    gumbel = -torch.log(-torch.log(uniform))
    relaxed = ((action_logits.log_softmax(-1) + gumbel) / temperature).softmax(-1)
    one_hot = F.one_hot(relaxed.argmax(-1), relaxed.shape[-1]).to(relaxed.dtype)
    return one_hot + relaxed - relaxed.detach()


def _initialise(model: nn.Module) -> None:
    """He initialisation by fan-out, as SGN; the graph layers' neighbour weights start at zero."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and not name.endswith("classify"):
            nn.init.normal_(module.weight, 0.0, (2.0 / module.weight.shape[0]) ** 0.5)
        if name.endswith("neighbours"):
            nn.init.zeros_(module.weight)


class SGN(nn.Module):
    """One branch on every frame: dense SGN (B-V without transform) or any single branch with its transform.

    transform: initial M_i (V_i, V), required exactly when the branch has one.
    """

    def __init__(self, config: ModelConfig, transform: NDArray[np.float32] | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        if config.adaptive:
            raise ModelConfigError("SGN: expected a configuration with one branch and no policy, found an adaptive one")
        (branch,) = config.branches
        transformed = config.transform and not branch.pose
        if transformed != (transform is not None):
            raise ModelConfigError(f"SGN: expected {'an' if transformed else 'no'} initial transform for {branch}")
        self.config = config
        matrix = None if transform is None else torch.as_tensor(transform)
        self.spatial = build_branch(config.joints, branch, matrix)
        self.temporal = TemporalModule(config.frames, config.classes, dropout)
        _initialise(self)

    def features(self, clip: Tensor) -> Tensor:
        """Features of each frame: clip (B, T, V, C) → (B, T, 256)."""
        batch, frames = clip.shape[:2]
        return self.spatial(motion(clip).flatten(0, 1)).view(batch, frames, FEATURE)

    def forward(self, clip: Tensor) -> Prediction:  # (B, T, V, C)
        logits = self.temporal(self.features(clip))
        return Prediction(logits, torch.zeros(clip.shape[:2], dtype=torch.int64, device=clip.device))


class AdaSGN(nn.Module):
    """The adaptive model: a policy on the cheapest branch's features picks a branch for each frame.

    transforms: the initial M_i (V_i, V) of each joint set, by V_i.
    """

    def __init__(
        self, config: ModelConfig, transforms: Mapping[int, NDArray[np.float32]], dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not config.adaptive:
            raise ModelConfigError("AdaSGN: expected an adaptive configuration, found one without policy")
        shapes = {count: (count, config.joints) for count in config.joint_sets}
        found = {count: matrix.shape for count, matrix in transforms.items()}
        if found != shapes:
            raise ModelConfigError(f"AdaSGN: expected initial transforms of shapes {shapes}, found {found}")
        self.config = config
        initial = {count: torch.as_tensor(matrix) for count, matrix in transforms.items()}
        self.branches = nn.ModuleList(
            build_branch(config.joints, branch, None if branch.pose else initial[branch.joints])
            for branch in config.branches
        )
        self.policy = TemporalConvolution(FEATURE, len(config.branches))
        self.temporal = TemporalModule(config.frames, config.classes, dropout)
        _initialise(self)
        nn.init.zeros_(self.policy.weight)  # every branch starts equally likely
        nn.init.zeros_(self.policy.bias)

    # -- stages; moving: (N, V, 2C) from `motion`, N = B·T frames ------------------------------------------------

    def policy_features(self, moving: Tensor) -> Tensor:
        """Features of the cheapest branch, (N, 256) (Eq. 4)."""
        return self.branches[0](moving)

    def action_logits(self, policy_features: Tensor, clips: int) -> Tensor:
        """Unnormalised log-probabilities of the actions, (B, T, A), always float32 (Eq. 5)."""
        with torch.autocast(policy_features.device.type, enabled=False):
            return self.policy(policy_features.view(clips, -1, FEATURE))

    def routed_features(self, moving: Tensor, actions: Tensor, policy_features: Tensor) -> Tensor:
        """Features (N, 256) where each frame goes through its own branch only; actions (N,) (Eq. 8).

        Frames of action 0 reuse the policy features.
        """
        features = policy_features
        for action, branch in enumerate(self.branches):
            frames = torch.nonzero(actions == action).squeeze(1)
            if action > 0 and len(frames) > 0:
                features = features.index_copy(0, frames, branch(moving[frames]))
        return features

    def all_features(self, moving: Tensor, policy_features: Tensor) -> Tensor:
        """Features of every branch on every frame, (N, A, 256)."""
        return torch.stack([policy_features, *(branch(moving) for branch in self.branches[1:])], dim=1)

    # -- whole forwards -------------------------------------------------------------------------------------------

    def forward(self, clip: Tensor) -> Prediction:
        """Inference: the argmax action (lowest index on a tie) for each frame of clip (B, T, V, C)."""
        moving = motion(clip).flatten(0, 1)
        policy_features = self.policy_features(moving)
        actions = self.action_logits(policy_features, len(clip)).argmax(-1)
        return self._classify(moving, actions, policy_features)

    def forward_forced(self, clip: Tensor, actions: Tensor) -> Prediction:
        """The same with given actions (B, T) in place of the policy's."""
        moving = motion(clip).flatten(0, 1)
        return self._classify(moving, actions, self.policy_features(moving))

    def forward_fuse(self, clip: Tensor) -> Prediction:
        """Every branch on every frame; the class logits of the branches averaged (paper, Table 3, "fuse")."""
        moving = motion(clip).flatten(0, 1)
        features = self.all_features(moving, self.policy_features(moving))  # (N, A, 256)
        clips, frames = clip.shape[:2]
        per_branch = features.view(clips, frames, -1, FEATURE).transpose(1, 2).flatten(0, 1)
        return Prediction(self.temporal(per_branch).view(clips, len(self.branches), -1).mean(1), None)

    def forward_training(
        self, clip: Tensor, temperature: Tensor | float, uniform: Tensor, fixed_shapes: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Sampled actions with straight-through gradients; uniform (B, T, A) in (0, 1).

        Returns logits (B, classes) and the one-hot actions (B, T, A) that carry the policy's gradient.

        The estimator needs every branch's features as values, since ∂L/∂a_i = g·F_i, but a branch not taken has a
        zero weight and so no gradient of its own. As long as the branches' batch norms use their running statistics
        (frames are then independent) only the frames a branch takes are run with gradient: the same gradients at a
        fraction of the work. With batch statistics every branch runs on every frame, as in the paper; so it does with
        `fixed_shapes`, because a step whose shapes depend on the actions can be neither compiled whole nor captured.
        """
        clips, frames = clip.shape[:2]
        moving = motion(clip).flatten(0, 1)
        policy_features = self.policy_features(moving)
        actions = gumbel_straight_through(self.action_logits(policy_features, clips), temperature, uniform)
        weights = actions.flatten(0, 1).unsqueeze(-1)  # (N, A, 1)
        if fixed_shapes or any(branch.training for branch in self.branches):
            features = (self.all_features(moving, policy_features) * weights).sum(1)
        else:
            with torch.no_grad():
                values = self.all_features(moving, policy_features)
            taken = weights.detach().squeeze(-1).argmax(-1)
            if any(parameter.requires_grad for parameter in self.branches.parameters()):
                features = self.routed_features(moving, taken, policy_features)
            else:
                features = values[torch.arange(len(taken), device=taken.device), taken]
            features = features + (values * (weights - weights.detach())).sum(1)
        return self.temporal(features.view(clips, frames, FEATURE)), actions

    def _classify(self, moving: Tensor, actions: Tensor, policy_features: Tensor) -> Prediction:
        features = self.routed_features(moving, actions.flatten(), policy_features)
        return Prediction(self.temporal(features.view(*actions.shape, FEATURE)), actions)

    # -- pretrained parts -----------------------------------------------------------------------------------------

    def load_branch(self, branch: Branch, single: SGN) -> None:
        """Take the transform and spatial module of a single model trained for this branch."""
        if single.config != self.config.single(branch):
            raise ModelConfigError(f"branch {branch}: expected a single model {self.config.single(branch)}, "
                                   f"found {single.config}")  # fmt: skip
        self.branches[self.config.branches.index(branch)].load_state_dict(single.spatial.state_dict())


def build_model(config: ModelConfig, layout: SkeletonLayout, dropout: float = 0.0) -> SGN | AdaSGN:
    """The model of a configuration, transforms initialised to the layout's group averages."""
    if layout.joint_count != config.joints:
        raise ModelConfigError(
            f"layout {layout.name!r} has {layout.joint_count} joints, but the model expects {config.joints}"
        )
    transforms = {count: layout.group_averages(count) for count in config.joint_sets} if config.transform else {}
    if config.adaptive:
        return AdaSGN(config, transforms, dropout)
    return SGN(config, next(iter(transforms.values()), None), dropout)
