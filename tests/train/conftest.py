"""A tiny learnable data set: three movements of a three-joint stick."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.skeletons import SkeletonLayout

STICK = SkeletonLayout.from_dict(
    {
        "name": "stick",
        "joints": ["foot", "hip", "head"],
        "bones": [["hip", "foot"], ["head", "hip"]],
        "origin": "foot",
        "scale_bone": ["foot", "hip"],
        "joint_sets": {"1": [["foot", "hip", "head"]]},
    }
)


def stick_dataset(samples: int = 96, persons: int = 1, seed: int = 0) -> SkeletonDataset:
    """Class c moves the head along axis c; a sample has 1 to `persons` persons doing the same."""
    random = np.random.default_rng(seed)
    builder = DatasetBuilder("stick", STICK, ["x", "y", "z"])
    for i in range(samples):
        tracks = []
        for _ in range(1 + i % persons):
            length = int(random.integers(5, 40))
            track = np.tile(np.array([[0, 0, 0], [0, 1, 0], [0, 2, 0]], dtype=np.float32), (length, 1, 1))
            track += random.normal(0, 0.05, track.shape).astype(np.float32)
            track[:, 2, i % 3] += np.linspace(0, 1.5, length)
            tracks.append(track.astype(np.float32))
        builder.add(f"sample{i}", i % 3, "test" if i % 4 == 0 else "train", tracks)
    return builder.build()


def stick_subjects(samples: int = 96, subjects: int = 6, seed: int = 0) -> SkeletonDataset:
    """The same of so many training subjects with clips of every class; two others test."""
    dataset = stick_dataset(samples, seed=seed)
    groups = [f"test {1 + i // 4 % 2}" if i % 4 == 0 else f"subject {1 + i // 4 % subjects}" for i in range(samples)]
    return dataclasses.replace(dataset, groups=tuple(groups))


def write_recordings(folder: Path, dataset: SkeletonDataset) -> Path:
    """The data set as a folder of recordings."""
    folder.mkdir(parents=True)
    rows = ["file,label,split" + (",subject" if dataset.groups else "")]
    for index, (name, label, tracks) in enumerate(dataset):
        np.savez(folder / f"{name}.npz", positions=tracks[0])
        subject = f",{dataset.groups[index]}" if dataset.groups else ""
        rows.append(f"{name}.npz,{dataset.class_names[label]},{dataset.split[index]}{subject}")
    (folder / "labels.csv").write_text("\n".join(rows))
    (folder / "layout.json").write_text(json.dumps(STICK.to_dict()))
    return folder


@pytest.fixture
def dataset() -> SkeletonDataset:
    return stick_dataset()
