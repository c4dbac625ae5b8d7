"""SGN, AdaSGN (paper, Sections 3.1-3.2) and a model that escalates: what recipes train and engines are tested against.

Shapes: B clips, T frames, V joints, C = 3, A = number of branches (K·L).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from adasgn_edge.errors import ModelConfigError
from adasgn_edge.model.config import FEATURE, Branch, ModelConfig
from adasgn_edge.model.spatial import build_branch, causal_motion, motion
from adasgn_edge.model.temporal import CausalTemporalModule, TemporalConvolution, TemporalModule
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["SGN", "AdaSGN", "AnyModel", "EscalatingSGN", "Prediction", "build_model", "gumbel_straight_through"]


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


def _moving(config: ModelConfig, clip: Tensor) -> Tensor:
    """What branches take, (B, N, V, 2C), of a clip (B, T, V, C), of a causal model (B, lead + N, V_r, C)."""
    return motion(clip) if config.causal is None else causal_motion(clip, config.causal)


def _temporal(config: ModelConfig, dropout: float) -> TemporalModule | CausalTemporalModule:
    if config.causal is not None:
        return CausalTemporalModule(config.causal, config.classes, dropout)
    return TemporalModule(config.frames, config.classes, dropout, config.stride)


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
        self.temporal = _temporal(config, dropout)
        _initialise(self)

    def features(self, clip: Tensor) -> Tensor:
        """Features of each frame: clip (B, T, V, C) → (B, T, 256)."""
        moving = _moving(self.config, clip)
        return self.spatial(moving.flatten(0, 1)).view(*moving.shape[:2], FEATURE)

    def forward(self, clip: Tensor) -> Prediction:  # (B, T, V, C)
        features = self.features(clip)
        actions = torch.zeros(features.shape[:2], dtype=torch.int64, device=clip.device)
        return Prediction(self.temporal(features), actions)

    def forward_rows(self, clip: Tensor) -> Tensor:
        """Of a causal model, class logits of every frame that has enough before it: a sequence (B, lead + N, V_r, C)
        → (1, B, N - T + 1, classes)."""
        return _rows(self.temporal, self.features(clip).unsqueeze(0))


def _rows(temporal: nn.Module, features: Tensor) -> Tensor:
    """Features (A, B, N, 256) of sequences → logits (A, B, N - T + 1, classes) of their frames."""
    if not isinstance(temporal, CausalTemporalModule):
        raise ModelConfigError("expected a causal model, which has logits of every frame, found one for clips")
    rows = temporal.rows(features.flatten(0, 1))
    return rows.view(*features.shape[:2], *rows.shape[1:])


class _Branches(nn.Module):
    """What models of several branches have in common: the branches, and one temporal module that serves them all.

    transforms: the initial M_i (V_i, V) of each joint set, by V_i.
    """

    def __init__(
        self, config: ModelConfig, transforms: Mapping[int, NDArray[np.float32]], dropout: float = 0.0
    ) -> None:
        super().__init__()
        shapes = {count: (count, config.joints) for count in config.joint_sets}
        found = {count: matrix.shape for count, matrix in transforms.items()}
        if found != shapes:
            raise ModelConfigError(
                f"{type(self).__name__}: expected initial transforms of shapes {shapes}, found {found}"
            )
        self.config = config
        initial = {count: torch.as_tensor(matrix) for count, matrix in transforms.items()}
        self.branches = nn.ModuleList(
            build_branch(config.joints, branch, None if branch.pose else initial[branch.joints])
            for branch in config.branches
        )
        if config.adaptive:  # here, since the order of modules is that in which they draw their initial weights
            self.policy = TemporalConvolution(FEATURE, len(config.branches))
        self.temporal = _temporal(config, dropout)

    def forward_fuse(self, clip: Tensor) -> Prediction:
        """Every branch on every frame; the class logits of the branches averaged (paper, Table 3, "fuse")."""
        return Prediction(self.branch_logits(clip).mean(0), None)

    def forward_forced(self, clip: Tensor, actions: Tensor) -> Prediction:
        """The same network with the given actions (B, T) in place of its own."""
        moving = _moving(self.config, clip).flatten(0, 1)
        features = self.routed_features(moving, actions.flatten(), self.branches[0](moving))
        return Prediction(self.temporal(features.view(*actions.shape, FEATURE)), actions)

    def branch_logits(self, clip: Tensor) -> Tensor:
        """Class logits of every branch on all frames, (A, B, classes)."""
        features = self.branch_features(clip)
        return self.temporal(features.flatten(0, 1)).view(len(features), -1, self.config.classes)

    def branch_features(self, clip: Tensor) -> Tensor:
        """Features of every branch, (A, B, T, 256)."""
        moving = _moving(self.config, clip)
        frames = moving.flatten(0, 1)
        return torch.stack([branch(frames).view(*moving.shape[:2], FEATURE) for branch in self.branches])

    def routed_features(self, moving: Tensor, actions: Tensor, first: Tensor) -> Tensor:
        """Features (N, 256) where each frame goes through its own branch only; actions (N,) (Eq. 8).

        first: features of branch 0 on all frames, which those of action 0 take.
        """
        features = first
        for action, branch in enumerate(self.branches):
            frames = torch.nonzero(actions == action).squeeze(1)
            if action > 0 and len(frames) > 0:
                features = features.index_copy(0, frames, branch(moving[frames]))
        return features


class EscalatingSGN(_Branches):
    """Every sample takes the first branch; while it is unsure it takes the next one too, probabilities averaged.

    transforms: the initial M_i (V_i, V) of each joint set, by V_i.
    """

    def __init__(
        self, config: ModelConfig, transforms: Mapping[int, NDArray[np.float32]], dropout: float = 0.0
    ) -> None:
        if not config.escalates:
            raise ModelConfigError("EscalatingSGN: expected a configuration that escalates, found one that does not")
        super().__init__(config, transforms, dropout)
        _initialise(self)

    def forward(self, clip: Tensor, threshold: float = 0.0, persons: int = 1) -> Prediction:
        """clip (B·persons, T, V, C); samples whose highest probability is below `threshold` go on.

        Returns the logarithm of the averaged probabilities (B, classes), and as actions (B·persons, T) the branch that
        a sample ended at.
        """
        samples, frames = len(clip) // persons, self.config.frames
        moving = _moving(self.config, clip).view(samples, persons * frames, self.config.joints, -1)
        classes = self.config.classes
        probabilities = torch.zeros(samples, classes, dtype=clip.dtype, device=clip.device)
        level = torch.zeros(samples, dtype=torch.int64, device=clip.device)
        unsure = torch.arange(samples, device=clip.device)
        for number, branch in enumerate(self.branches):
            if len(unsure) == 0:
                break
            features = branch(moving[unsure].flatten(0, 1)).view(-1, frames, FEATURE)
            logits = self.temporal(features).view(len(unsure), persons, classes).mean(1)
            mean = (probabilities[unsure] * number + logits.softmax(-1)) / (number + 1)
            probabilities = probabilities.index_copy(0, unsure, mean)
            level[unsure] = number
            unsure = unsure[mean.amax(1) < threshold]
        logits = probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
        return Prediction(logits, level.repeat_interleave(persons).unsqueeze(1).expand(-1, frames))

    def forward_rows(self, clip: Tensor, uniform: Tensor) -> Tensor:
        """The same as :meth:`forward_training` of a causal model on sequences (B, lead + N, V_r, C), uniform (B, N, A):
        logits of every frame that has enough before it, (A + 1, B, N - T + 1, classes)."""
        return _rows(self.temporal, self._with_mixture(self.branch_features(clip), uniform))

    def forward_training(self, clip: Tensor, uniform: Tensor) -> Tensor:
        """Class logits of every branch on all frames and, last, of a random mixture: (A + 1, B, classes).

        uniform (B, T, A) in (0, 1). In a mixture a share of a clip's frames, a random one for each clip, take random
        branches other than the first. All go through the temporal module as one batch, so that its batch norms know one
        space of features and not one for each branch.
        """
        every = self._with_mixture(self.branch_features(clip), uniform)
        return self.temporal(every.flatten(0, 1)).view(len(every), len(clip), -1)

    @staticmethod
    def _with_mixture(features: Tensor, uniform: Tensor) -> Tensor:  # (A, B, T, 256) → (A + 1, B, T, 256)
        others = len(features) - 1
        share = uniform[:, :1, 0]
        other = 1 + (uniform[..., min(1, others - 1)] * others).long().clamp(max=others - 1)
        action = torch.where(uniform[..., -1] < share, other, 0)  # (B, T)
        chosen = action.unsqueeze(-1).expand(-1, -1, FEATURE).unsqueeze(0)
        return torch.cat([features, features.gather(0, chosen)])


class AdaSGN(_Branches):
    """The adaptive model: a policy on the cheapest branch's features picks a branch for each frame.

    transforms: the initial M_i (V_i, V) of each joint set, by V_i.
    """

    def __init__(
        self, config: ModelConfig, transforms: Mapping[int, NDArray[np.float32]], dropout: float = 0.0
    ) -> None:
        if not config.adaptive:
            raise ModelConfigError("AdaSGN: expected an adaptive configuration, found one without policy")
        super().__init__(config, transforms, dropout)
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

    def all_features(self, moving: Tensor, policy_features: Tensor) -> Tensor:
        """Features of every branch on every frame, (N, A, 256)."""
        return torch.stack([policy_features, *(branch(moving) for branch in self.branches[1:])], dim=1)

    # -- whole forwards -------------------------------------------------------------------------------------------

    def forward(self, clip: Tensor) -> Prediction:
        """Inference: the argmax action (lowest index on a tie) for each frame of clip (B, T, V, C)."""
        moving = motion(clip).flatten(0, 1)
        policy_features = self.policy_features(moving)
        actions = self.action_logits(policy_features, len(clip)).argmax(-1)
        features = self.routed_features(moving, actions.flatten(), policy_features)
        return Prediction(self.temporal(features.view(*actions.shape, FEATURE)), actions)

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

    # -- pretrained parts -----------------------------------------------------------------------------------------

    def load_branch(self, branch: Branch, single: SGN) -> None:
        """Take the transform and spatial module of a single model trained for this branch."""
        if single.config != self.config.single(branch):
            raise ModelConfigError(f"branch {branch}: expected a single model {self.config.single(branch)}, "
                                   f"found {single.config}")  # fmt: skip
        self.branches[self.config.branches.index(branch)].load_state_dict(single.spatial.state_dict())


AnyModel: TypeAlias = SGN | AdaSGN | EscalatingSGN


def build_model(config: ModelConfig, layout: SkeletonLayout, dropout: float = 0.0) -> AnyModel:
    """The model of a configuration, transforms initialised to the layout's group averages."""
    if layout.joint_count != config.recorded_joints:
        raise ModelConfigError(
            f"layout {layout.name!r} has {layout.joint_count} joints, but the model expects {config.recorded_joints}"
        )
    transforms = {count: _initial(layout, config, count) for count in config.joint_sets} if config.transform else {}
    if config.adaptive:
        return AdaSGN(config, transforms, dropout)
    if config.escalates:
        return EscalatingSGN(config, transforms, dropout)
    return SGN(config, next(iter(transforms.values()), None), dropout)


def _initial(layout: SkeletonLayout, config: ModelConfig, count: int) -> NDArray[np.float32]:
    """Initial M_i (V_i, V): the layout's group averages, and of a causal model the joints of the trail as they are."""
    recorded = config.recorded_joints
    groups = count - (config.joints - recorded)
    matrix = np.zeros((count, config.joints), dtype=np.float32)
    matrix[:groups, :recorded] = layout.group_averages(groups)
    matrix[groups:, recorded:] = np.eye(count - groups)
    return matrix
