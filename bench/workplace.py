"""Makes the sides of a group: loads models, writes files and graphs, and shows that all sides compute the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.bench.ceilings import fma_side, sgemm_sides
from adasgn_edge.bench.contenders import logit_error
from adasgn_edge.bench.interleave import Side
from adasgn_edge.bench.peers import Peers
from adasgn_edge.bench.runtimes import installed
from adasgn_edge.engine import Engine
from adasgn_edge.model.adasgn import SGN
from adasgn_edge.model.config import FEATURE
from bench.groups import Group
from bench.models import MODELS, StageCost, Subject, load_subject

__all__ = ["TOLERANCE", "ValidationError", "Workplace"]

TOLERANCE = 1e-5
"""Most that any side's logits may differ from the reference in float64, as a share of their norm."""
CHECKED = 64  # clips that are compared, but for those that engines may route either way
STAGE_CLIPS = 256  # clips that the stages take in turn


class ValidationError(AssertionError):
    """A side does not compute what it should, so its times mean nothing."""


class Workplace:
    """A folder for files and everything that several groups use; close it when done."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="adasgn-bench-")
        self._folder = Path(self._temporary.name)
        self._subjects: dict[str, Subject] = {}
        self._peers: dict[str, Peers] = {}
        self._expected: dict[tuple[str, str], tuple[NDArray[np.float64], NDArray[np.bool_]]] = {}
        self._order: dict[str, NDArray[np.int64]] = {}
        self._compiled_for = ("", 0)

    def close(self) -> None:
        """Remove the files."""
        self._temporary.cleanup()

    @property
    def subjects(self) -> dict[str, Subject]:
        """Those loaded so far, by name."""
        return dict(self._subjects)

    def subject(self, name: str) -> Subject:
        """A subject of bench/models.py, its model files written."""
        if name not in self._subjects:
            subject = self._subjects[name] = load_subject(name)
            subject.write(self._folder)
            self._order[name] = np.random.default_rng(0).permutation(len(subject.clips))
        return self._subjects[name]

    def sides(self, group: Group) -> list[Side]:
        """A group's sides in the order of their names."""
        torch.set_num_threads(group.threads)
        made = self._stages(group) if group.kind == "stages" else self._runs(group)
        for name in group.sides:
            if name.startswith("fma "):
                made.append(fma_side(name.removeprefix("fma ")))
        if "sgemm numpy" in group.sides:
            made += sgemm_sides()
        by_name = {side.name: side for side in made}
        return [by_name[name] for name in group.sides]

    def validate(self, group: Group, sides: Sequence[Side]) -> dict[str, float]:
        """Error of every side that returns logits, relative to their norm; raises ValidationError above TOLERANCE."""
        errors = {}
        for side in sides:
            if side.model:
                calls = max(1, CHECKED // group.batch)
                found = np.concatenate([side.call(number) for number in range(calls)])[:CHECKED]
                expected, decided = self._truth(group.subject, side.model)
                if not decided.any():
                    raise ValidationError(f"{side.name}: expected clips whose routing is clear, found none")
                errors[side.name] = logit_error(found[decided], expected[decided])
        wrong = {name: error for name, error in errors.items() if not error <= TOLERANCE}
        if wrong:
            raise ValidationError(f"{group.name}: expected logits within {TOLERANCE:g} of the reference, found {wrong}")
        return errors

    # -- inputs: the clips in one random order for all groups, so that call number n is on the same clips ------------

    def _batches(self, group: Group) -> list[NDArray[np.float32]]:
        """Batches of clips (B, T, V, C) that together hold every clip."""
        arrays = self.subject(group.subject).clips.arrays
        return [np.ascontiguousarray(arrays[row]) for row in self._rows(group)]

    def _actions(self, group: Group, model: str) -> list[NDArray[np.int32]]:
        """The actions (B, T) of a model on each of these batches."""
        actions = self.subject(group.subject).models[model].actions
        return [actions[row].astype(np.int32) for row in self._rows(group)]

    def _rows(self, group: Group) -> NDArray[np.int64]:
        order = self._order[group.subject]
        return np.resize(order, (-(-len(order) // group.batch), group.batch))

    def _truth(self, name: str, model: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Logits (CHECKED, K) of the first clips by the PyTorch reference in float64, and (CHECKED,) which of them must
        be routed as it does."""
        if (name, model) not in self._expected:
            subject = self.subject(name)
            rows = np.resize(self._order[name], CHECKED)
            one = subject.models[model]
            clips, actions = subject.clips.arrays[rows], one.actions[rows]
            logits = one.reference.scores(clips, actions, one.reference.features(clips, actions))
            self._expected[name, model] = logits, one.decided[rows]
        return self._expected[name, model]

    # -- whole runs ---------------------------------------------------------------------------------------------------

    def _runs(self, group: Group) -> list[Side]:
        subject, batches = self.subject(group.subject), self._batches(group)
        sides = []
        for name in group.sides:
            first, second = name.split(" ")
            if first in installed():
                call = self._peer(group).call(first, second, group.batch, group.threads)
                sides.append(Side(name, _on(call, batches), model="dense"))
            elif first in MODELS[group.subject]:
                engine = self._engine(group, first, second)
                sides.append(_run_side(name, first, engine, subject, batches, self._actions(group, first)))
        return sides

    def _peer(self, group: Group) -> Peers:
        if group.subject not in self._peers:
            folder = self._folder / group.subject
            folder.mkdir()
            dense = self.subject(group.subject).models["dense"].trained.model
            assert isinstance(dense, SGN)
            self._peers[group.subject] = Peers(dense, folder)
        if self._compiled_for != (group.subject, group.threads):  # so that torch.compile never meets its limit
            self._compiled_for = group.subject, group.threads
            torch.compiler.reset()
        return self._peers[group.subject]

    def _engine(self, group: Group, model: str, isa: str) -> Engine:
        self.subject(group.subject)  # writes the files
        path = self._folder / f"{group.subject}-{model}.adasgn"
        return adasgn_edge.load(path, max_batch=group.batch, threads=group.threads, instruction_set=isa)

    # -- stages -------------------------------------------------------------------------------------------------------

    def _stages(self, group: Group) -> list[Side]:
        subject = self.subject(group.subject)
        batches = self._batches(group)[:STAGE_CLIPS]
        frames, before = [batch[0] for batch in batches], [_previous(batch)[0] for batch in batches]  # (T, V, C)
        sides = []
        for model in MODELS[group.subject]:
            engine = self._engine(group, model, group.instruction_set)
            config = subject.models[model].config
            cost = StageCost(config)
            known: list[NDArray[np.float32] | None] = [None] * len(frames)
            actions = self._actions(group, model)[:STAGE_CLIPS]
            taken = [rows[0] for rows in actions]
            if config.adaptive:
                known = [engine.policy_features(*pair) for pair in zip(frames, before, strict=True)]
                sides.append(Side(f"{model} policy features", _on(engine.policy_features, frames, before),
                                  cost.policy_features))  # fmt: skip
                batched = [features[None] for features in known if features is not None]
                sides.append(Side(f"{model} actions", _on(engine.actions, batched), cost.policy))
            of_branches = _on(engine.branch_features, frames, before, taken, known)
            features = [of_branches(i)[None] for i in range(len(frames))]
            sides += [
                *_branch_sides(model, engine, cost, frames, before),
                Side(f"{model} branches", of_branches, cost.branches(np.stack(taken))),
                Side(f"{model} temporal head", _on(engine.temporal_head, features), cost.temporal),
                _run_side(f"{model} run", model, engine, subject, batches, actions),
            ]
        return sides


def _on(call: Callable[..., Any], *columns: Sequence[Any]) -> Callable[[int], Any]:
    """`call` on the arguments number i of each column, round and round."""
    rows = list(zip(*columns, strict=True))
    return lambda i: call(*rows[i % len(rows)])


def _branch_sides(
    model: str, engine: Engine, cost: StageCost, frames: list[NDArray[np.float32]], before: list[NDArray[np.float32]]
) -> list[Side]:
    """Every branch alone, on all frames of a clip."""
    sides = []
    for action, name in enumerate(engine.description.branches):
        taken = [np.full(len(frames[0]), action, np.int32)] * len(frames)
        call = _on(engine.branch_features, frames, before, taken)
        sides.append(Side(f"{model} branch {name}", call, cost.branch(action)))
    return sides


def _previous(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """The frame before each frame of clips (B, T, V, C); the first stands for its own."""
    return np.concatenate([clips[:, :1], clips[:, :-1]], axis=1)


def _run_side(
    name: str,
    model: str,
    engine: Engine,
    subject: Subject,
    batches: list[NDArray[np.float32]],
    actions: list[NDArray[np.int32]],
) -> Side:
    """A whole run, end to end: clips (B, T, V, C) → logits (B, K)."""
    config, count = subject.models[model].config, len(batches)

    def run(i: int) -> NDArray[np.float32]:
        return engine.run(batches[i % count]).logits

    def run_forced(i: int) -> NDArray[np.float32]:
        """The stages one by one: the policy runs, and then its actions are replaced."""
        clips = batches[i % count]
        rows, taken = clips.reshape(-1, *clips.shape[2:]), actions[i % count]
        before = _previous(clips).reshape(rows.shape)
        policy_features = engine.policy_features(rows, before)
        engine.actions(policy_features.reshape(*taken.shape, FEATURE))
        features = engine.branch_features(rows, before, taken.reshape(-1), policy_features)
        return engine.temporal_head(features.reshape(*taken.shape, FEATURE))

    call = run_forced if subject.forced and config.adaptive else run
    return Side(name, call, len(batches[0]) * StageCost(config).clip(np.concatenate(actions)), model)
