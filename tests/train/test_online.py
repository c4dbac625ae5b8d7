"""Training of causal models on continuous recordings: recipes, crops, the loop, thresholds from folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from adasgn_edge.data.online import OnlineDataset, plan_sequence_folds
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.errors import CheckpointError, DatasetError, ModelConfigError, RecipeError
from adasgn_edge.model.config import Branch
from adasgn_edge.model.weights import load_weights
from adasgn_edge.online_calibration import (
    CHOICES,
    choose_decision,
    held_out_streams,
    judge,
    stream_effort,
    write_recognition,
)
from adasgn_edge.skeletons import SkeletonLayout, load_layout
from adasgn_edge.train.log import LOG, read_log
from adasgn_edge.train.online.loop import OnlineTrainer
from adasgn_edge.train.online.recipe import (
    LabelSection,
    OnlineAugmentSection,
    OnlineRecipe,
    OnlineStage,
    is_online,
    load_online_recipe,
    plan_online_stages,
)
from adasgn_edge.train.online.sampler import CropSampler
from adasgn_edge.train.recipe import load_recipe
from tests.cli.conftest import status_of
from tests.data.online_sets import CLASSES, online_dataset
from tests.train.test_loop import Stopping

NONE = len(CLASSES)
BONE = 0.09


def gestures_at(*starts: int) -> list[tuple[int, int, int]]:
    return [(number % len(CLASSES), start, start + 60) for number, start in enumerate(starts)]


def resting_hand(layout: SkeletonLayout) -> NDArray[np.float64]:
    """(V, 3) metres; its scale bone is 9 cm long."""
    hand = np.random.default_rng(1).normal(scale=0.05, size=(layout.joint_count, 3))
    hand[layout.index("middle_base")] = hand[layout.index("wrist")] + (0, BONE, 0)
    return hand


def dataset() -> OnlineDataset:
    """Six recordings of a hand that rests, but for gestures in which its index finger goes a way of its own."""
    names = {f"{number}": gestures_at(80, 220, 360) for number in range(6)}
    plain = online_dataset(names, frames=500, test=("5",))
    layout = plain.layout
    tremble = np.random.default_rng(2).normal(scale=5e-4, size=plain.positions.shape)
    positions = np.tile(resting_hand(layout), (len(plain.positions), 1, 1)) + tremble
    way = 0.05 * np.sin(np.linspace(0, np.pi, 61))
    for start, own in zip(plain.start, plain.annotations, strict=True):
        for gesture in own:
            rows = slice(start + gesture.first, start + gesture.last + 1)
            positions[rows, layout.index("index_tip"), gesture.label] += way
    return replace(plain, positions=positions.astype(np.float32))


def recipe(**changes: object) -> OnlineRecipe:
    values: dict[str, object] = {
        "name": "toy",
        "kind": "online",
        "dataset": "shrec21",
        "model": {"dilations": [1, 2], "origin": "palm", "dropout": 0.1},
        "labels": {"late": 0.1, "after": 0.1},
        "augment": {"rotation": [5, 5, 5], "scale": 0.1, "speed": 0.1, "bones": 0.01, "noise": 0.01, "thin": 2},
        "schedule": {"epochs": 3, "steps": 6, "batch": 4, "rows": 24, "learning_rate": 3e-3, "warmup_steps": 2,
                     "ema": 0.5},
    }  # fmt: skip
    return OnlineRecipe.model_validate({**values, **changes})


def stage_of(run: OnlineRecipe, name: str = "stream") -> OnlineStage:
    (stage,) = plan_online_stages(run, dataset().layout, len(CLASSES), (name,))
    return stage


def test_the_built_in_recipe() -> None:
    assert is_online("shrec21")
    assert not is_online("shrec14")
    loaded = load_online_recipe("shrec21", {"schedule": {"epochs": 3}})
    assert (loaded.dataset, loaded.schedule.epochs, loaded.step_ns) == ("shrec21", 3, 50_000_000)
    with pytest.raises(RecipeError, match="continuous recordings"):
        load_recipe("shrec21")


def test_stages() -> None:
    run = recipe(model={"branches": ["P", "S-14"], "dilations": [1, 2], "origin": "palm"})
    stage = stage_of(run)
    assert stage.config.branches == (Branch(25, "pose"), Branch(14, "small"))
    assert stage.config.escalates
    assert stage.config.causal is not None
    assert stage.config.causal.origin == 1
    dense = stage_of(run, "stream-sgn")
    assert dense.config.branches == (Branch(25, "big"),)
    assert not dense.config.transform
    with pytest.raises(RecipeError, match="expected stages among stream, stream-sgn, found 'sgn'"):
        stage_of(run, "sgn")
    with pytest.raises(RecipeError, match="origin"):
        stage_of(recipe(model={"origin": "elbow"}))


def test_a_layout_whose_origin_is_several_joints_needs_one_named() -> None:
    pose = load_layout("coco17")
    with pytest.raises(RecipeError, match=r"model.origin: .*expected one origin joint, found the mean of left"):
        plan_online_stages(recipe(model={"origin": None}), pose, 3)
    (stage,) = plan_online_stages(recipe(model={"origin": "left_shoulder"}), pose, 3)
    assert stage.config.causal is not None
    assert stage.config.causal.origin == pose.index("left_shoulder")


def test_a_misspelt_key_is_named() -> None:
    with pytest.raises(RecipeError, match=r"augment\.rotations"):
        load_online_recipe("shrec21", {"augment": {"rotations": [1, 2, 3]}})


@pytest.mark.parametrize("delay", [0.17, 1.2, 5.0])
def test_a_delay_is_whole_steps_within_the_window(delay: float) -> None:
    late = load_online_recipe("shrec21", {"labels": {"delay": delay}})
    with pytest.raises(RecipeError, match=r"labels.delay: expected whole steps of 0\.05 s, at most 23 of them"):
        stage_of(late)


def sampler(late: float = 0.1, after: float = 0.1, delay: int = 0) -> CropSampler:
    return CropSampler(dataset(), (0, 1, 2), 0.05, LabelSection(late=late, after=after), NONE, delay)


def test_delayed_labels_are_of_earlier_frames() -> None:
    change = OnlineAugmentSection(speed=0.3)
    on_time, late = (sampler(delay=delay).draw(64, 5, 20, 0.5, change, 1, np.random.default_rng(0)) for delay in (0, 3))
    torch.testing.assert_close(on_time.frames, late.frames)
    torch.testing.assert_close(late.labels[:, 3:], on_time.labels[:, :-3])
    inside = (on_time.weights[:, 5:-3] > 0) & (late.weights[:, 8:] > 0)
    assert inside.sum() > 100
    assert (late.weights[:, :5] == 0).all()


def test_crops_without_changes_are_the_recording_on_the_grid() -> None:
    crops = sampler().draw(64, 5, 20, 0.0, None, 1, np.random.default_rng(0))
    assert crops.frames.shape == (64, 25, 22, 3)
    assert crops.frames.dtype == torch.float32
    assert (crops.weights[:, :5] == 0).all()
    bone = crops.frames[:, :, 10] - crops.frames[:, :, 0]  # middle base from wrist: the scale bone
    torch.testing.assert_close(bone.norm(dim=-1).median(), torch.tensor(1.0), atol=0.02, rtol=0)
    layout = load_layout("shrec22")
    tip, wrist, hand = layout.index("index_tip"), layout.index("wrist"), resting_hand(layout)
    moved = (crops.frames[:, :, tip] - crops.frames[:, :, wrist]).numpy() - (hand[tip] - hand[wrist]) / BONE
    moving = torch.from_numpy(np.abs(moved).max(-1) > 0.1)
    sure = crops.weights > 0
    agreement = (moving == (crops.labels < NONE))[sure].float().mean()
    assert agreement > 0.9  # at its very beginning and end a gesture hardly moves


def test_what_is_no_lesson() -> None:
    strict = sampler(late=0.0, after=0.0).draw(64, 5, 20, 1.0, None, 1, np.random.default_rng(0))
    lenient = sampler(late=0.4, after=0.4).draw(64, 5, 20, 1.0, None, 1, np.random.default_rng(0))
    torch.testing.assert_close(strict.frames, lenient.frames)
    assert lenient.weights.sum() < strict.weights.sum()
    dropped = (strict.weights > 0) & (lenient.weights == 0)
    assert set(lenient.labels[dropped].unique().tolist()) == {0, 1, 2, NONE}
    assert (strict.labels < NONE).any(1).float().mean() > 0.9  # crops about gestures hold one


def test_augmentation_keeps_what_it_should() -> None:
    change = OnlineAugmentSection(rotation=(30, 30, 30))
    plain = sampler().draw(8, 5, 20, 1.0, None, 1, np.random.default_rng(3))
    turned = sampler().draw(8, 5, 20, 1.0, change, 1, np.random.default_rng(3))
    lengths = [(crops.frames[:, :, 1:] - crops.frames[:, :, :1]).norm(dim=-1) for crops in (plain, turned)]
    torch.testing.assert_close(*lengths, atol=1e-4, rtol=0)
    assert (plain.frames - turned.frames).abs().max() > 0.1
    torch.testing.assert_close(plain.labels, turned.labels)


def test_joined_data_sets_are_drawn_from_alike() -> None:
    """The first three of six recordings are one source's, the last another's, which is a quarter of all."""
    own = replace(dataset(), sources=("a", "a", "a", "b", "b", "b"))
    own.positions[own.start[3] :] *= 1.5  # the scale bone is taken out again, so that no crop tells by its size
    own.positions[own.start[3] :, :, 2] += 9.0
    for share in (0.0, 1.0):
        drawn = CropSampler(own, (0, 1, 2, 3), 0.05, LabelSection(), NONE)
        crops = drawn.draw(2000, 5, 20, share, None, 1, np.random.default_rng(0))
        of_b = crops.frames[..., 2].mean(dim=(1, 2)) > 9.0
        assert 0.45 < of_b.float().mean() < 0.55


def test_recordings_that_cannot_be_learnt_from() -> None:
    empty = online_dataset({"a": [], "b": []})
    with pytest.raises(DatasetError, match="expected gestures"):
        CropSampler(empty, (0, 1), 0.05, LabelSection(), NONE)
    holes = dataset()
    holes.positions[3, 4] = np.nan
    with pytest.raises(DatasetError, match="expected every joint seen"):
        CropSampler(holes, (0,), 0.05, LabelSection(), NONE)


def train(out: Path, run: OnlineRecipe | None = None, **options: object) -> Path:
    chosen = run or recipe()
    return OnlineTrainer(chosen, dataset(), out, **options).train(stage_of(chosen))  # type: ignore[arg-type]


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_weights(path).model.state_dict()


def test_training_learns_and_says_where_its_weights_come_from(tmp_path: Path) -> None:
    run = recipe(schedule={**recipe().schedule.model_dump(), "epochs": 8}, labels={"delay": 0.1})
    path = train(tmp_path, run)
    rows = read_log(path.parent / LOG)
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1]["train_accuracy"] > 0.7
    trained = load_weights(path)
    assert trained.class_names == (*CLASSES, "none")
    assert trained.recognition is not None
    assert trained.recognition.none == NONE
    assert trained.recognition.delay == run.delay_steps * trained.recognition.step > 0
    assert trained.provenance["dataset_digest"] == dataset().digest
    model = to_model_file(trained)
    assert model.window == pytest.approx(model.config.clip_frames * 0.05)


def test_products_in_bfloat16(tmp_path: Path) -> None:
    paths = {}
    for precision in ("float32", "bfloat16"):
        run = recipe(precision=precision)
        paths[precision] = train(tmp_path / precision, run)
        assert load_weights(paths[precision]).provenance["precision"] == precision
    exact, rounded = (read_log(path.parent / LOG) for path in paths.values())
    assert rounded[0]["loss"] != exact[0]["loss"]
    assert rounded[0]["loss"] == pytest.approx(exact[0]["loss"], rel=0.02)
    assert {tensor.dtype for tensor in weights_of(paths["bfloat16"]).values()} <= {torch.float32, torch.int64}


@pytest.mark.parametrize("branches", [["P"], ["P", "S-14"]])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, branches: list[str]) -> None:
    run = recipe(model={"branches": branches, "dilations": [1, 2], "origin": "palm", "dropout": 0.1})
    whole = train(tmp_path / "whole", run)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", run, reporter=Stopping(2))
    torch.manual_seed(99)
    resumed = train(tmp_path / "parts", run)
    first, second = weights_of(whole), weights_of(resumed)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
    assert train(tmp_path / "parts", run) == resumed  # left alone
    with pytest.raises(CheckpointError, match="other settings"):
        train(tmp_path / "parts", recipe(labels={"late": 0.0}))


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folds")
    run = recipe(
        model={"branches": ["P", "S-14"], "dilations": [1, 2], "origin": "palm"},
        schedule={**recipe().schedule.model_dump(), "epochs": 6, "steps": 10},
    )
    for fold in plan_sequence_folds(dataset(), 2):
        OnlineTrainer(run, dataset(), out, fold=fold).train(stage_of(run))
    return out


def test_thresholds_from_folds(folds: Path, tmp_path: Path) -> None:
    data = dataset()
    config, recognition, streams = held_out_streams(folds, data)
    assert len(streams) == 5  # every training sequence once
    assert all(len(stream.stamps) == len(stream.probabilities) > 100 for stream in streams)
    chosen = choose_decision(recognition, streams, CLASSES)
    for name, values in CHOICES.items():
        assert getattr(chosen.decision, name) in values, name
    assert chosen.score.detection_rate > 0.5
    assert judge(chosen.decision, recognition, streams, CLASSES).figures() == chosen.score.figures()
    # However few streams a source has, it counts as much as another.
    parted = [replace(stream, source="few" if number == 0 else "many") for number, stream in enumerate(streams)]
    scores = choose_decision(recognition, parted, CLASSES).scores
    assert scores["few"].total.gestures == len(streams[0].gestures)
    assert scores["many"].total.gestures == sum(len(stream.gestures) for stream in streams[1:])
    dear = held_out_streams(folds, data, 2.0)[2]
    table = stream_effort(chosen.decision, recognition, {0.0: streams, 2.0: dear}, CLASSES, 0.0)
    assert [point.effort for point in table.points] == [0.0, 1.0]
    assert table.points[1].macs > 2 * table.points[0].macs

    run = recipe(model={"branches": ["P", "S-14"], "dilations": [1, 2], "origin": "palm"})
    path = train(tmp_path, run)
    kept = write_recognition(path, config, replace(recognition, decision=chosen.decision), table)
    again = load_weights(path)
    assert (again.recognition, again.effort) == (kept.recognition, kept.effort)
    other = train(tmp_path / "other")
    with pytest.raises(ModelConfigError, match="another configuration"):
        write_recognition(other, config, recognition, table)


def test_folds_that_are_not_whole(folds: Path) -> None:
    with pytest.raises(CheckpointError, match="expected all 2 folds of seed 1, found none for 2"):
        held_out_streams(folds / "fold-1-of-2", dataset())


@pytest.mark.parametrize(
    "option", ["--variant=paper", "--stream=bone", "--alpha=1", "--over=all", "--missing=error", "--no-compile"]
)
def test_options_of_recipes_of_clips_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("train", "shrec21", option) != 0
    assert "expected a recipe of clips, found shrec21" in " ".join(capsys.readouterr().err.replace("│", " ").split())
