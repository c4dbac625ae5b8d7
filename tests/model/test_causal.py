"""Causal models: shapes, exact folding, the same numbers wherever a window begins, and their place in a model file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from adasgn_edge.deploy.fold_weights import fold
from adasgn_edge.deploy.model_file import ModelFile
from adasgn_edge.effort import EffortPoint, EffortTable
from adasgn_edge.errors import ModelConfigError, ModelFileError, RecognitionError
from adasgn_edge.model.adasgn import SGN, AnyModel, EscalatingSGN, build_model
from adasgn_edge.model.config import Branch, CausalShape, ModelConfig
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.spatial import causal_motion
from adasgn_edge.recognition import Decision, Recognition
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
SHAPE = CausalShape(trail=(2, 4, 8), dilations=(1, 2, 4), pool=3, origin=1)
POSE, SMALL, BIG = Branch(25, "pose"), Branch(14, "small"), Branch(25, "big")
SINGLE = ModelConfig(25, 18, (POSE,), SHAPE.frames, adaptive=False, causal=SHAPE)
SEVERAL = ModelConfig(25, 18, (POSE, SMALL, BIG), SHAPE.frames, adaptive=False, escalates=True, causal=SHAPE)
DENSE = ModelConfig.dense(25, 18, SHAPE.frames, SHAPE)
CONFIGS = [SINGLE, SEVERAL, DENSE]


def random_model(config: ModelConfig, seed: int = 0) -> AnyModel:
    """A model whose batch norms have seen something, in float64."""
    torch.manual_seed(seed)
    model = build_model(config, LAYOUT).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


def windows(config: ModelConfig, count: int, more: int = 0) -> torch.Tensor:
    shape = (count, config.clip_frames + more, config.recorded_joints, 3)
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("config", CONFIGS)
def test_shape_and_dictionary(config: ModelConfig) -> None:
    assert (SHAPE.lead, SHAPE.frames) == (9, 3 + 2 * 7)
    assert (config.recorded_joints, config.clip_frames) == (22, 26)
    assert ModelConfig.from_dict(config.to_dict()) == config
    assert "causal" not in ModelConfig.dense(22, 14).to_dict()


@pytest.mark.parametrize("config", CONFIGS)
def test_folding_is_exact(config: ModelConfig) -> None:
    model, clips = random_model(config), windows(config, 3)
    threshold = 0.3 if config.escalates else 0.0
    folded = fold(model.state_dict(), config).forward(clips.numpy(), threshold=threshold)
    with torch.no_grad():
        expected = model(clips, threshold) if isinstance(model, EscalatingSGN) else model(clips)
    np.testing.assert_allclose(folded.logits, expected.logits.numpy(), atol=1e-11)
    np.testing.assert_array_equal(folded.actions, expected.actions.numpy())


@pytest.mark.parametrize("config", CONFIGS)
def test_rows_of_a_sequence_are_those_of_windows(config: ModelConfig) -> None:
    """What a frame is given does not depend on where a window begins, so it may be kept."""
    model, sequence = random_model(config), windows(config, 2, more=5)
    with torch.no_grad():
        if isinstance(model, EscalatingSGN):
            uniform = torch.rand(2, config.frames + 5, len(config.branches), dtype=torch.float64)
            rows = model.forward_rows(sequence, uniform)
            branch = 1
        else:
            assert isinstance(model, SGN)
            rows, branch = model.forward_rows(sequence), 0
        assert rows.shape[1:] == (2, 6, 18)
        for start in range(6):
            window = sequence[:, start : start + config.clip_frames]
            forced = torch.full((2, config.frames), branch)
            logits = model(window) if isinstance(model, SGN) else model.forward_forced(window, forced)
            torch.testing.assert_close(rows[branch, :, start], logits.logits, atol=1e-11, rtol=0)


def test_frames_do_not_know_where_they_are() -> None:
    clip = windows(SINGLE, 2)
    moved = clip + torch.tensor([5.0, -3.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(causal_motion(clip, SHAPE), causal_motion(moved, SHAPE), atol=1e-12, rtol=0)


def test_motion_by_hand() -> None:
    """The joints relative to the origin joint now, the trail behind them, and the velocity of what was recorded."""
    shape = CausalShape(trail=(2,), dilations=(1,), origin=0)
    clip = torch.zeros(1, 4, 2, 3)
    clip[0, :, 0, 0] = torch.tensor([1.0, 2.0, 4.0, 7.0])  # the origin joint's x
    clip[0, :, 1, 0] = torch.tensor([0.0, 0.0, 0.0, 10.0])
    moving = causal_motion(clip, shape)
    assert moving.shape == (1, 1, 3, 6)
    assert moving[0, 0, :, 0].tolist() == [0.0, 3.0, 2.0 - 7.0]
    assert moving[0, 0, :, 3].tolist() == [3.0, 10.0, 1.0]


def test_recognition_of_before_there_was_a_delay() -> None:
    late = Recognition(50_000_000, 17, delay=200_000_000)
    assert Recognition.from_json(late.to_json()) == late
    older = {key: value for key, value in late.to_json().items() if key != "delay"}
    assert Recognition.from_json(older) == Recognition(50_000_000, 17)
    for wrong in (-50_000_000, 30_000_000, 50_000_000.0, None, True):
        with pytest.raises(RecognitionError, match="delay: nanoseconds, whole steps of 50000000"):
            Recognition.from_json({**older, "delay": wrong})


def test_costs() -> None:
    table = CostTable(SINGLE)
    assert table.step.tolist() == [6 * 25 * 256 + 256 * 256 + 3 * 3 * 256 * 256 + 256 * 512 + 512 * 18]
    rows = (15 + 11 + 3) * 3 * 256 * 256 + 3 * 256 * 512
    assert table.temporal_convolutions == rows
    with pytest.raises(ModelConfigError, match="causal"):
        _ = CostTable(ModelConfig.dense(22, 14)).step


def model_file(config: ModelConfig) -> ModelFile:
    points = (EffortPoint(0.0, 0.0, 100, None), EffortPoint(1.0, 2.0, 200, None))
    return ModelFile(
        fold(random_model(config).state_dict(), config).astype(np.float32),
        LAYOUT,
        (*(f"gesture {number}" for number in range(17)), "none"),
        "joint",
        config.clip_frames * 0.05,
        effort=EffortTable(points, 0.0) if config.escalates else None,
        recognition=Recognition(50_000_000, 17, Decision(start=0.8)),
    )


@pytest.mark.parametrize("config", CONFIGS)
def test_model_file(config: ModelConfig) -> None:
    file = model_file(config)
    content = file.to_bytes()
    again = ModelFile.from_bytes(content)
    assert (again.config, again.recognition, again.to_bytes()) == (config, file.recognition, content)
    assert b'"version":"3"' in content


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"recognition": None}, "recognition of a causal model, found none"),
        ({"recognition": Recognition(50_000_000, 18)}, "class without gesture from 0 to 17, found 18"),
        ({"recognition": Recognition(50_000_000, 17, delay=1_450_000_000)}, "delay within the window, at most 1"),
        ({"stream": "bone"}, "stream joint"),
    ],
)
def test_model_file_that_does_not_fit(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ModelFileError, match=expected):
        replace(model_file(SINGLE), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"frames": 20}, "17 frames, found 20"),
        ({"stride": 2}, "stride 1, found 2"),
        ({"causal": replace(SHAPE, origin=22)}, "origin among 22 joints, found 22"),
    ],
)
def test_shapes_that_do_not_fit(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ModelConfigError, match=expected):
        replace(SINGLE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"trail": (4, 2)}, {"trail": (0,)}, {"dilations": ()}, {"pool": 0}, {"origin": -1}])
def test_causal_shapes_that_are_none(change: dict[str, object]) -> None:
    with pytest.raises(ModelConfigError, match="causal model: expected"):
        replace(SHAPE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [{"start": 1.5}, {"start": float("nan")}, {"end": 0.9}, {"smoothing": 0.0}, {"minimum": -1}, {"cool_down": 0.5}],
)
def test_decisions_that_are_none(change: dict[str, object]) -> None:
    with pytest.raises(RecognitionError, match="recognition: expected decision"):
        replace(Decision(), **change)  # type: ignore[arg-type]
