"""Ways to route, compared on clips that neither the branches nor the routing have been trained on.

    python -m bench.routing runs/shrec14-joint-folds

Takes the models that escalate of a run on folds. Their branches share one space of features and one temporal module,
so frames may be routed in any way. The groups that a fold held out are halved: on one half a way of routing is trained
or calibrated, on the other it is measured, and the other way round, so that every clip is judged once, by branches and
by a routing that do not know its group. Ways:

branch         every frame takes this branch
interleaved    the dear branch on every k-th frame, the first one on the others: what any policy must beat
policy         AdaSGN's: a convolution over the first branch's features picks for each frame; trained on these held-out
               clips with straight-through Gumbel samples while a dual variable holds the mean cost at a target
escalation     clips less sure than a threshold also take the dear branch, probabilities averaged
both           such clips take the dear branch on those frames that the policy picks

Costs are 1e6 MACs a clip, full count.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from adasgn_edge.data.folds import fold_dataset
from adasgn_edge.data.registry import open_dataset
from adasgn_edge.files import write_text
from adasgn_edge.model.adasgn import EscalatingSGN, gumbel_straight_through
from adasgn_edge.model.config import FEATURE, TAPS
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.temporal import TemporalConvolution
from adasgn_edge.model.weights import load_weights
from adasgn_edge.progress import RichProgress
from adasgn_edge.train.report import find_weights, fold_of
from adasgn_edge.train.sampler import Augmentation, ClipSampler

VIEWS = 8
"""Random cuts of each clip that a policy is trained on."""
EPOCHS = 60
BATCH = 64
SHARES = (0.1, 0.25, 0.5)
"""Of the way from the first branch's cost to the dear one's, that ways with a dial are set to."""


@dataclass(frozen=True)
class Half:
    """Clips of one half of a fold's groups. features: (A, N, T, 256) of each clip's middle frames; views: the same of
    random cuts, (VIEWS, A, N, T, 256); labels (N,)."""

    features: Tensor
    views: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Verdict:
    """correct (N,) and cost (N,) in MACs."""

    correct: NDArray[np.bool_]
    cost: NDArray[np.float64]


class Routing:
    """Measures ways to route with one fold's model."""

    def __init__(self, model: EscalatingSGN, seed: int) -> None:
        self.model, self.seed = model.eval().requires_grad_(False), seed
        table = CostTable(model.config)
        self.head = table.full_fixed
        self.branches = table.full_spatial.astype(np.float64)
        self.policy_cost = model.config.frames * TAPS * FEATURE * len(self.branches)

    def target(self, share: float) -> float:
        """Cost of a share of the way from the first branch to the last, with one temporal module."""
        return self.head + self.branches[0] + share * self.branches[-1]

    def one_pass(self, half: Half, actions: Tensor, extra: float = 0.0) -> Verdict:
        """Every frame through its action (N, T), the temporal module once."""
        logits = self.model.temporal(_chosen(half.features, actions))
        dear = (actions > 0).double().mean(1).numpy() * self.branches[-1]
        return Verdict(_right(logits, half), self.head + self.branches[0] + dear + extra)

    def branch(self, half: Half, action: int) -> Verdict:
        """All frames through one branch, which alone is paid."""
        logits = self.model.temporal(half.features[action])
        return Verdict(_right(logits, half), np.full(len(half.labels), self.head + self.branches[action]))

    def interleaved(self, half: Half, every: int) -> Verdict:
        """The dear branch on every k-th frame."""
        frames = torch.arange(half.features.shape[2])
        actions = (frames % every == every // 2).long() * (len(half.features) - 1)
        return self.one_pass(half, actions.expand(len(half.labels), -1))

    def escalation(
        self, other: Half, half: Half, share: float, dear: Callable[[Half], tuple[Tensor, NDArray[np.float64]]]
    ) -> Verdict:
        """A share of clips, by a threshold calibrated on the other half, goes on to `dear`: its logits, its costs."""
        first = {id(part): self.model.temporal(part.features[0]).softmax(-1) for part in (other, half)}
        threshold = torch.quantile(first[id(other)].amax(-1), share)
        unsure = first[id(half)].amax(-1) < threshold
        logits, cost = dear(half)
        mean = torch.where(unsure[:, None], (first[id(half)] + logits.softmax(-1)) / 2, first[id(half)])
        paid = self.head + self.branches[0] + unsure.double().numpy() * cost
        return Verdict(_right(mean, half), paid)

    def all_dear(self, half: Half) -> tuple[Tensor, NDArray[np.float64]]:
        """The last branch on all frames."""
        logits = self.model.temporal(half.features[-1])
        return logits, np.full(len(half.labels), self.head + self.branches[-1])

    def picked(self, policy: TemporalConvolution, half: Half) -> Tensor:
        """Actions (N, T) of a policy."""
        return policy(half.features[0]).argmax(-1) * (len(half.features) - 1)

    def policy(self, half: Half, share: float) -> TemporalConvolution:
        """A policy trained on a half, the share of dear frames among its samples held at `share` by a dual variable.

        Then its bias is set so that of the most probable actions, which are what counts, the same share is dear.
        """
        generator = torch.Generator().manual_seed(self.seed)
        policy = TemporalConvolution(FEATURE, 2)
        torch.nn.init.zeros_(policy.weight)
        with torch.no_grad():
            policy.bias.copy_(torch.tensor([0.0, float(np.log(share / (1 - share)))]))
        optimiser = torch.optim.Adam(policy.parameters(), lr=1e-3)
        dual = 0.0
        for epoch in range(EPOCHS):
            temperature = 5 * np.exp(-3 * epoch / EPOCHS)
            for rows in torch.randperm(len(half.labels), generator=generator).split(BATCH):
                view = half.views[int(torch.randint(VIEWS, (), generator=generator))][:, rows]
                uniform = torch.rand((*view.shape[1:3], 2), generator=generator).clamp(1e-6, 1 - 1e-6)
                actions = gumbel_straight_through(policy(view[0]), temperature, uniform)
                mixed = view[0] * actions[..., :1] + view[-1] * actions[..., 1:]
                loss = F.cross_entropy(self.model.temporal(mixed), half.labels[rows], label_smoothing=0.1)
                excess = actions[..., 1].mean() - share
                optimiser.zero_grad()
                (loss + dual * excess).backward()
                optimiser.step()
                dual += 0.05 * float(excess.detach())  # of either sign: the cost is held, not only bounded
        policy.requires_grad_(False)
        logits = policy(half.features[0])
        policy.bias[0] += torch.quantile(logits[..., 1] - logits[..., 0], 1 - share)
        return policy


def _chosen(features: Tensor, actions: Tensor) -> Tensor:
    index = actions[None, ..., None].expand(1, -1, -1, features.shape[-1])
    return features.gather(0, index)[0]


def _right(scores: Tensor, half: Half) -> NDArray[np.bool_]:
    return (scores.argmax(-1) == half.labels).numpy()


@torch.no_grad()
def _halves(model: EscalatingSGN, sampler: ClipSampler, groups: list[str], seed: int) -> tuple[Half, Half]:
    order = sorted(set(groups), key=lambda name: (len(name), name))
    generator = torch.Generator().manual_seed(seed)
    mild = Augmentation(rotation=(15, 15, 15), scale=0.15, crop=0.8, warp=0.3)
    halves = []
    for part in (order[::2], order[1::2]):
        rows = torch.as_tensor([place for place, group in enumerate(groups) if group in part])
        views = torch.stack([model.branch_features(sampler.clips(rows, generator, mild)) for _ in range(VIEWS)])
        features = model.branch_features(sampler.clips(rows, None))
        halves.append(Half(features, views, sampler.labels[rows]))
    return halves[0], halves[1]


def _measure(routing: Routing, other: Half, half: Half) -> dict[str, Verdict]:
    """All ways on one half, trained or calibrated on the other."""
    names = routing.model.config.branch_names
    found = {f"{name} on every frame": routing.branch(half, action) for action, name in enumerate(names)}
    for every in (8, 4, 2):
        found[f"interleaved, 1 in {every}"] = routing.interleaved(half, every)
    for share in SHARES:
        policy = routing.policy(other, share)
        picked = routing.picked(policy, half)
        found[f"policy at {share:.0%}"] = routing.one_pass(half, picked, routing.policy_cost)
        found[f"escalation of {share:.0%}"] = routing.escalation(other, half, share, routing.all_dear)

        def by_policy(part: Half, picked: Tensor = picked) -> tuple[Tensor, NDArray[np.float64]]:
            verdict = routing.one_pass(part, picked, routing.policy_cost)
            return routing.model.temporal(_chosen(part.features, picked)), verdict.cost - routing.branches[0]

        found[f"both, {share:.0%} of frames, 25% of clips"] = routing.escalation(other, half, 0.25, by_policy)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run on folds (adasgn-edge train RECIPE --folds K)")
    parser.add_argument("--root", type=Path, help="folder of the data sets; by default $ADASGN_DATA")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    verdicts: dict[str, list[Verdict]] = {}
    paths = [path for path in find_weights(arguments.run) if load_weights(path).model.config.escalates]
    opened = {}
    for path in RichProgress().track(paths, "folds"):
        trained = load_weights(path)
        fold, name = fold_of(path, trained), trained.provenance["dataset"]
        if fold is None:
            parser.error(f"{path}: expected a model of a fold, found one of all clips")
        if name not in opened:
            opened[name] = open_dataset(name, arguments.root)
        dataset = fold_dataset(opened[name], fold)
        assert isinstance(trained.model, EscalatingSGN)
        if dataset.person_count != 1:
            parser.error(f"{name}: expected clips of one person")
        sampler = ClipSampler(dataset, "test", trained.model.config.frames, trained.stream, "cpu")
        groups = [dataset.groups[sample] for sample in dataset.indices("test")]
        routing = Routing(trained.model, seed=fold.number)
        first, second = _halves(trained.model, sampler, groups, fold.number)
        for other, half in ((first, second), (second, first)):
            for way, verdict in _measure(routing, other, half).items():
                verdicts.setdefault(way, []).append(verdict)
    rows = []
    for way, parts in verdicts.items():
        correct, cost = np.concatenate([v.correct for v in parts]), np.concatenate([v.cost for v in parts])
        rows.append({"way": way, "accuracy": float(correct.mean()), "macs": float(cost.mean()), "clips": len(correct)})
    print(f"{rows[0]['clips']} clips held out, of {len(paths)} models")
    for row in sorted(rows, key=lambda row: row["macs"]):
        print(f"{row['way']:40s} {row['macs'] / 1e6:8.2f}  {100 * row['accuracy']:.2f} %")
    if arguments.json:
        write_text(arguments.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
