"""Time of a training epoch: ours against the same model as 1x1 ``Conv2d`` layers fed by a DataLoader.

Run: ``python -m bench.training_speed`` (``--help`` for options). Both sides train dense SGN on SHREC'17 (random
recordings of the same lengths where the data is absent) with the same batches of 64, the same loss and Adam, on the
same threads, alternating epoch parts within one run. First the two models are shown to give the same logits.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from adasgn_edge.bench.conv2d_sgn import Conv2dSGN
from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.preprocess import OFFSET_RANGE, normalise, segment_frames
from adasgn_edge.data.registry import open_dataset
from adasgn_edge.errors import DatasetError
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.skeletons import load_layout
from adasgn_edge.train.devices import autocast_dtype, hardware
from adasgn_edge.train.sampler import ClipSampler

FRAMES, BATCH = 20, 64


class ClipDataset(Dataset):
    """One clip at a time, cut on the CPU in NumPy: how a DataLoader is usually fed."""

    def __init__(self, dataset: SkeletonDataset) -> None:
        self.samples = [(dataset.tracks(i)[0], int(dataset.labels[i])) for i in dataset.indices("train")]
        self.layout = dataset.layout

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        track, label = self.samples[index]
        offset = np.random.randint(0, OFFSET_RANGE, FRAMES)
        clip = normalise(track, self.layout)[segment_frames(len(track), FRAMES, offset, np.arange(FRAMES))]
        return torch.from_numpy(clip), label


def random_dataset(samples: int) -> SkeletonDataset:
    """Random recordings with SHREC'17's lengths (7 to 171 frames, median 57)."""
    random = np.random.default_rng(0)
    layout = load_layout("shrec22")
    builder = DatasetBuilder("random", layout, [str(i) for i in range(14)])
    for i in range(samples):
        length = int(np.clip(random.lognormal(np.log(57), 0.45), 7, 171))
        track = random.normal(size=(length, layout.joint_count, 3)).astype(np.float32)
        builder.add(str(i), i % 14, "train", [track])
    return builder.build()


def train(model: torch.nn.Module, batches: Iterator, optimiser: torch.optim.Optimizer, logits: Callable, dtype) -> None:
    for clip, labels in batches:
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            loss = F.cross_entropy(logits(model(clip)).float(), labels, label_smoothing=0.1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=3, help="timed epochs of each side (default 3)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default all)")
    parser.add_argument("--workers", type=int, default=0, help="DataLoader worker processes (default 0)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    try:
        dataset = open_dataset("shrec14")
    except DatasetError:
        print("SHREC'17 is not here: random recordings of the same number and lengths instead")
        dataset = random_dataset(1960)
    ours = build_model(ModelConfig.dense(22, 14), dataset.layout)
    plain = Conv2dSGN(ours)
    sampler = ClipSampler(dataset, "train", FRAMES, "joint", "cpu")

    clip = sampler.clips(torch.arange(8), None)
    with torch.no_grad():
        first, second = ours.eval()(clip).logits, plain.eval()(clip)
    error = ((first - second).norm() / second.norm()).item()
    assert error < 1e-5, f"the two models differ by {error}"
    print(f"same logits from both: relative difference {error:.1e}")

    def our_batches() -> Iterator:
        generator = torch.Generator().manual_seed(0)
        for samples in torch.randperm(len(sampler), generator=generator).split(BATCH):
            yield sampler.clips(samples, generator), sampler.labels[samples]

    loader = DataLoader(ClipDataset(dataset), BATCH, shuffle=True, num_workers=options.workers)
    precisions: dict[str, torch.dtype | None] = {"float32": None}
    automatic = autocast_dtype("auto", torch.device("cpu"))  # what training takes on this machine
    if automatic is not None:
        precisions[str(automatic).removeprefix("torch.")] = automatic
    sides: dict[str, tuple] = {}
    for name, dtype in precisions.items():
        optimiser = torch.optim.Adam(plain.parameters(), 1e-3)
        sides[f"Conv2d + DataLoader, {name}"] = (plain, lambda: loader, optimiser, dtype)
    for name, dtype in precisions.items():
        optimiser = torch.optim.Adam(ours.parameters(), 1e-3, fused=True)
        sides[f"ours, {name}"] = (ours, our_batches, optimiser, dtype)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for epoch in range(options.epochs + 1):  # the first warms up
        for name, (model, batches, optimiser, dtype) in sides.items():
            model.train()
            started = time.perf_counter()
            logits = (lambda y: y) if model is plain else (lambda y: y.logits)
            train(model, batches(), optimiser, logits, dtype)
            if epoch:
                times[name].append(time.perf_counter() - started)
    print(f"{hardware(torch.device('cpu'))}, torch {torch.__version__}, {len(sampler)} clips an epoch")
    baseline = statistics.median(times["Conv2d + DataLoader, float32"])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:36s} {median:6.2f} s an epoch (min {min(seconds):.2f})   {baseline / median:.2f}x")


if __name__ == "__main__":
    main()
