"""A model file as a module for torch: what :func:`adasgn_edge.load` offers, with tensors in and out.

Symbols: B clips, P persons, T frames, V joints, C = 3 coordinates, A branches, K classes, N frames of any clips.
Tensors are float32, actions int32 or int64, on the engine's device, with any strides; everything else is refused with a
ValueError that names the argument. Each method is one op, so all of it can be compiled with ``fullgraph=True``.

On a GPU each op launches its work on the current stream and waits for nothing, so what values would have to tell comes
otherwise: a clip with coordinates that are not finite, or with an action that is no branch, gets logits that are NaN,
such a frame features that are NaN. :meth:`TorchEngine.check` waits and says what it was.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from adasgn_edge.deploy.model_container import read_model_bytes
from adasgn_edge.deploy.model_file import ModelFile
from adasgn_edge.engine import ModelDescription, whole_number
from adasgn_edge.errors import ClipError, EngineError, ModelFileError
from adasgn_edge.regular_file import shown_path
from adasgn_edge.torch_ops import fake
from adasgn_edge.wording import shown

__all__ = ["Result", "TorchEngine", "load"]

_MOST = (1 << 31) - 1
"""Larger than any option may be; the engine says how large."""


class Result(NamedTuple):
    """What one run gives.

    logits (B, K), averaged over the persons, of a model that escalates the logarithms of the probabilities averaged
    over its branches; actions (B, T) or (B, P, T) int32, the branch each frame took (of a model that escalates the last
    one), None of a fused run; features (B, T, 256) or (B, P, T, 256), None unless asked for.
    """

    logits: Tensor
    actions: Tensor | None
    features: Tensor | None


class TorchEngine(nn.Module):
    """One model on one device, without parameters or gradients. Calls from several threads wait for each other.

    It belongs to the process that loaded it: in a child made by fork every call raises ValueError.

    engine: the number by which the ops ``torch.ops.adasgn_edge.…`` know it, valid as long as this module lives.
    instruction_set: what the CPU runs it with; None on a GPU.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[Any],
        device: str | torch.device,
        max_batch: int,
        precision: str | None,
        threads: int | None,
        instruction_set: str | None,
    ) -> None:
        """Use :func:`load`."""
        super().__init__()
        try:
            place = torch.device(device)
        except (RuntimeError, TypeError) as error:
            found = f"{shown(device)} ({shown(str(error), 200)})"
            raise EngineError(f"device: expected a name that torch knows, found {found}") from None
        max_batch = whole_number("max_batch", max_batch, 1, _MOST)
        if threads is not None:
            threads = whole_number("threads", threads, 1, _MOST)
        for option, value in (("precision", precision), ("instruction_set", instruction_set)):
            if value is not None and (not isinstance(value, str) or not value.isascii()):
                raise EngineError(f"{option}: expected a name, found {shown(value)}")
        content, file = read_model_bytes(path), shown_path(path)
        try:
            # The same bytes, whatever becomes of the file meanwhile.
            self.description = _describe(ModelFile.from_bytes(content))
        except ModelFileError as error:
            raise ModelFileError(f"{file}: {error}") from None
        try:
            owner = torch.classes.adasgn_edge.Engine(
                torch.frombuffer(bytearray(content), dtype=torch.uint8),
                file, place, max_batch, threads, instruction_set, precision,
            )  # fmt: skip
        except ValueError as error:
            raise EngineError(str(error)) from None
        self.device: torch.device = owner.device()
        self.engine: int = owner.name()
        self.max_batch = max_batch
        self.precision: str = owner.precision()
        self.threads = 1 if threads is None else threads
        self.instruction_set: str | None = owner.instruction_set()
        facts = self.description
        known = fake.Facts(self.device, facts.frames, facts.joints, facts.classes, len(facts.branches))
        fake.LOADED[self.engine] = known
        self._kept = (owner, known)  # in a tuple: torch.export would take the owner itself for a constant of the graph

    def forward(
        self,
        clips: Tensor,
        actions: Tensor | None = None,
        features: bool = False,
        effort: float | None = None,
        max_macs: float | None = None,
    ) -> Result:
        """Recognise clips (B, T, V, C), or (B, P, T, V, C) whose P persons' scores are averaged.

        Each frame takes the branch that the policy picks (the only one of a dense model), or the one in `actions`
        (B, T) or (B, P, T). A model that escalates sends samples that it is unsure of through its next branch, too: at
        `effort` 0 none, at 1 all, by default those of its own effort; or as many as keep the expected cost of a clip
        within `max_macs`. `features=True` returns each frame's feature as well.

        Raises EffortError for an effort or budget that the model does not have.
        """
        threshold = self.description.threshold(effort, max_macs, forced=actions is not None)
        if actions is None:
            given = -1.0 if threshold is None else threshold
            logits, taken, pooled = torch.ops.adasgn_edge.run(clips, self.engine, features, given)
        else:
            forced = self._int32(actions)
            logits, pooled = torch.ops.adasgn_edge.run_forced(clips, forced, self.engine, features)
            taken = forced.clone() if forced is actions else forced
        return Result(logits, taken, pooled if features else None)

    def run_fuse(self, clips: Tensor) -> Result:
        """Every branch on every frame of clips (B, T, V, C) or (B, P, T, V, C), the branches' logits averaged."""
        return Result(torch.ops.adasgn_edge.run_fuse(clips, self.engine), None, None)

    # -- stages, for callers that keep features of their own ------------------------------------------------------

    def policy_features(self, frames: Tensor, previous: Tensor | None = None) -> Tensor:
        """Features (N, 256) of the first branch; frames (N, V, C).

        previous: the frame before each, (N, V, C); equal frames, or None for all, stand for velocity zero.
        """
        return torch.ops.adasgn_edge.policy_features(frames, previous, self.engine)

    def actions(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (B, T) int32 of policy features (B, T, 256), and their logits (B, T, A).

        The highest logit wins, the lowest index on a tie. Of a model without policy all are 0.
        """
        return torch.ops.adasgn_edge.policy_actions(features, self.engine)

    def branch_forward(self, frames: Tensor, previous: Tensor | None, branch: int) -> Tensor:
        """Features (N, 256) of frames (N, V, C), all through one branch; previous: as in :meth:`policy_features`."""
        return torch.ops.adasgn_edge.branch_forward(frames, previous, branch, self.engine)

    def branch_features(
        self, frames: Tensor, previous: Tensor | None, actions: Tensor, policy_features: Tensor | None = None
    ) -> Tensor:
        """Features (N, 256) of frames (N, V, C), each through the branch in actions (N,).

        previous: as in :meth:`policy_features`, whose result (N, 256), if given, serves the frames of action 0.
        """
        return torch.ops.adasgn_edge.branch_features(
            frames, previous, self._int32(actions), policy_features, self.engine
        )

    def temporal_head(self, features: Tensor) -> Tensor:
        """Class logits (B, K) of features (B, T, 256)."""
        return torch.ops.adasgn_edge.temporal_head(features, self.engine)

    def check(self) -> None:
        """Wait for the calls made so far on the current stream and raise ClipError if, since the last check, one met
        values that do not fit. On the CPU the call itself raises, so there is nothing to find.
        """
        try:
            self._kept[0].check()
        except ValueError as error:
            raise ClipError(str(error)) from None

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        facts = self.description
        return f"{facts.kind}, branches {' '.join(facts.branches)}, {facts.classes} classes, {self.device}"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise EngineError("engine: expected to stay where it is loaded, found an attempt to copy or pickle it; "
                          "load the model file again")  # fmt: skip

    def _int32(self, actions: Tensor) -> Tensor:
        if actions.dtype != torch.int64:
            return actions
        return actions.clamp(-1, len(self.description.branches)).to(torch.int32)  # what is out of range stays so


def load(
    path: str | bytes | os.PathLike[Any],
    device: str | torch.device = "cpu",
    *,
    max_batch: int = 64,
    precision: str | None = None,
    threads: int | None = None,
    instruction_set: str | None = None,
) -> TorchEngine:
    """Load a ``.adasgn`` file on a device as a module: "cpu", "cuda" (the current one) or "cuda:<index>".

    max_batch: the most clips (times persons) of one run; memory for them is taken now. precision: one of
    :data:`adasgn_edge.engine.PRECISIONS`, by default "f32" on the CPU, which has no other, and "f16" on a GPU. On the
    CPU only, threads: of this engine, apart from torch's, by default 1; instruction_set: one of
    :func:`adasgn_edge.engine.instruction_sets`, by default the best this processor has. Raises ModelFileError
    for a file that is missing, damaged or of another version, EngineError for a device or options that cannot be had.
    """
    return TorchEngine(path, device, max_batch, precision, threads, instruction_set).eval()


def _describe(model: ModelFile) -> ModelDescription:
    config = model.config
    return ModelDescription(
        kind=model.kind,
        config=config,
        branches=tuple(config.branch_names),
        layout=model.layout,
        class_names=model.class_names,
        stream=model.stream,
        window=model.window,
        precision=model.precision,
        cost=model.costs,
        action_shares=model.action_shares,
        effort=model.effort,
    )
