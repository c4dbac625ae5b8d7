"""Clips cut on the device are those of the NumPy path; augmentation does what it says."""

import numpy as np
import pytest
import torch

from adasgn_edge.data.dataset import DatasetBuilder
from adasgn_edge.data.preprocess import STREAMS, make_clip, make_clips
from adasgn_edge.skeletons import load_layout
from adasgn_edge.train.sampler import Augmentation, ClipSampler
from tests.train.conftest import STICK, stick_dataset


@pytest.mark.parametrize("stream", STREAMS)
def test_test_clips_equal_the_streaming_path(dataset, stream):
    sampler = ClipSampler(dataset, "test", 20, stream, "cpu")
    clips = sampler.clips(torch.arange(len(sampler)), generator=None).numpy()
    for clip, index in zip(clips, dataset.indices("test"), strict=True):
        np.testing.assert_array_equal(clip, make_clip(dataset.tracks(index)[0], STICK, 20, stream))


@pytest.mark.parametrize("stream", STREAMS)
def test_an_origin_of_several_joints_is_the_same_on_both_paths(stream):
    layout, random = load_layout("coco17"), np.random.default_rng(0)
    builder = DatasetBuilder("poses", layout, ["a", "b"])
    for sample in range(6):
        tracks = [random.normal(size=(random.integers(4, 30), 17, 3)).astype(np.float32) for _ in range(2)]
        builder.add(f"{sample}", sample % 2, "test" if sample % 3 else "train", tracks)
    dataset = builder.build()
    sampler = ClipSampler(dataset, "test", 20, stream, "cpu")
    clips = sampler.clips(torch.arange(len(sampler)), generator=None).view(len(sampler), 2, 20, 17, 3).numpy()
    for clip, index in zip(clips, dataset.indices("test"), strict=True):
        np.testing.assert_array_equal(clip, make_clips(dataset.tracks(index), layout, 20, stream))


def test_training_takes_a_random_frame_of_each_segment(dataset):
    sampler = ClipSampler(dataset, "train", 4, "joint", "cpu")
    generator = torch.Generator().manual_seed(0)
    sample = torch.zeros(500, dtype=torch.int64)
    clips = sampler.clips(sample, generator)  # (500, 4, V, C)
    start, length = int(sampler.start[0, 0]), int(sampler.length[0, 0])
    frames = sampler.positions[start : start + length]
    seen = [{int((frames == clip[t]).all((1, 2)).nonzero()[0, 0]) for clip in clips} for t in range(4)]
    assert set().union(*seen) == set(range(length))
    for segment, indices in enumerate(seen):
        assert min(indices) >= segment * length // 4
        assert max(indices) <= -(-(segment + 1) * length // 4)


def test_persons_are_averaged_and_the_absent_do_not_count():
    dataset = stick_dataset(persons=2)
    sampler = ClipSampler(dataset, "train", 5, "joint", "cpu")
    clips = sampler.clips(torch.arange(len(sampler)), generator=None).view(len(sampler), 2, 5, 3, 3)
    alone = torch.as_tensor((dataset.length[dataset.indices("train")] > 0).sum(1) == 1)
    assert alone.any()
    assert not alone.all()
    torch.testing.assert_close(clips[alone, 0], clips[alone, 1], rtol=0, atol=0)
    assert not torch.equal(clips[~alone, 0], clips[~alone, 1])
    logits = torch.arange(12.0).view(4, 3)  # two samples of two persons
    torch.testing.assert_close(sampler.average_persons(logits), torch.tensor([[1.5, 2.5, 3.5], [7.5, 8.5, 9.5]]))


def test_second_person_is_placed_relative_to_the_first():
    dataset = stick_dataset(persons=2)
    sample = int(np.flatnonzero((dataset.length > 0).all(1))[0])
    first, second = dataset.tracks(sample)
    shifted = dataset.normalised_positions()[dataset.start[sample, 1]]
    scale = np.linalg.norm(first[0, 1] - first[0, 0])
    np.testing.assert_allclose(shifted, (second[0] - first[0, 0]) / scale, rtol=1e-5, atol=1e-6)


def test_augmentation_rotates_scales_and_is_seeded():
    clip = torch.randn(3, 2, 4, 5, 3)

    def generator():
        return torch.Generator().manual_seed(7)

    turned = Augmentation(rotation=(30, 20, 10))(clip, generator())
    torch.testing.assert_close(turned.norm(dim=-1), clip.norm(dim=-1))
    assert not torch.allclose(turned, clip, atol=1e-3)
    torch.testing.assert_close(Augmentation(rotation=(30, 20, 10))(clip, generator()), turned, rtol=0, atol=0)
    scaled = Augmentation(scale=0.2)(clip, generator()) / clip
    assert (scaled.amin((1, 2, 3, 4)) - scaled.amax((1, 2, 3, 4))).abs().max() < 1e-4, "one factor a sample"
    assert scaled.min() > 0.8 - 1e-4
    assert scaled.max() < 1.2 + 1e-4
    moved = Augmentation(jitter=0.1)(clip, generator()) - clip
    assert moved.std(dim=2).max() < 1e-6, "the same offset in every frame"
    torch.testing.assert_close(Augmentation()(clip, generator()), clip, rtol=0, atol=0)


def test_rotation_about_one_axis_keeps_that_coordinate():
    clip = torch.randn(2, 1, 3, 4, 3)
    for axis in range(3):
        angles = [0.0, 0.0, 0.0]
        angles[axis] = 45.0
        turned = Augmentation(rotation=tuple(angles))(clip, torch.Generator().manual_seed(1))
        torch.testing.assert_close(turned[..., axis], clip[..., axis])


def test_crops_and_warps_stay_inside_and_in_order(dataset):
    sampler = ClipSampler(dataset, "train", 8, "joint", "cpu")
    augment = Augmentation(crop=0.5, warp=0.9)
    generator = torch.Generator().manual_seed(0)
    places = augment.times((2000, 1, 8), generator, torch.device("cpu"))
    assert places.min() >= 0
    assert places.max() <= 1
    assert (places.diff(dim=-1) > 0).all()
    span = places[..., -1] - places[..., 0]
    assert span.min() < 0.5
    assert span.max() > 0.9
    clips = sampler.clips(torch.zeros(500, dtype=torch.int64), generator, augment)
    start, length = int(sampler.start[0, 0]), int(sampler.length[0, 0])
    frames = sampler.positions[start : start + length]
    at = [[int((frames == frame).all((1, 2)).nonzero()[0, 0]) for frame in clip] for clip in clips]
    assert all(row == sorted(row) for row in at)
    assert {row[0] for row in at} > {0}, "a crop begins anywhere"


def test_bones_change_their_length_and_not_their_direction(dataset):
    sampler = ClipSampler(dataset, "train", 4, "joint", "cpu")
    generator = torch.Generator().manual_seed(0)
    sample = torch.arange(len(sampler))
    before = sampler.clips(sample, None).view(-1, 1, 4, 3, 3)
    parents = torch.as_tensor(STICK.parents)
    after = Augmentation(bones=0.1)(before, generator, parents)
    root = int((parents == torch.arange(3)).nonzero()[0, 0])
    torch.testing.assert_close(after[..., root, :], before[..., root, :])
    for joint, parent in enumerate(STICK.parents.tolist()):
        if joint == parent:
            continue
        old, new = (clip[..., joint, :] - clip[..., parent, :] for clip in (before, after))
        factor = (new * old).sum(-1) / (old * old).sum(-1)  # (B, 1, T)
        torch.testing.assert_close(new, factor.unsqueeze(-1) * old, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(factor, factor[..., :1].expand_as(factor), atol=1e-4, rtol=1e-4)
        assert 0.05 < factor[..., 0].std() < 0.2
    with pytest.raises(ValueError, match="parent"):
        Augmentation(bones=0.1)(before, generator)
