"""The engine's choice of schedules beside its twin in bench.predict: every board, model, precision and batch."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

from adasgn_edge.deploy.model_file import read_model_file, shipped_model
from adasgn_edge.model.config import Branch, ModelConfig, branch_grid
from bench.kernel_report.__main__ import MULTIPROCESSORS
from bench.predict.__main__ import SHREC, SHREC_MIX
from bench.predict.boards import BOARDS
from bench.predict.schedule import Schedule, choose, choose_level, has_frame_blocks, policy_rows

BATCHES = (*range(1, 41), 48, 63, 64, 65, 100, 128, 131, 132, 133, 200, 256, 300, 512, 777, 1000, 1024, 2048, 4096)
POSE = Branch(22, "pose")
NTU = ModelConfig(25, 60, branch_grid((1, 9, 25)))
MODELS: dict[str, tuple[ModelConfig, Sequence[float] | None]] = {
    "dense": (ModelConfig.dense(22, 14), None),
    "dense of 25 joints": (ModelConfig.dense(25, 60), None),
    "long clips": (ModelConfig.dense(22, 14, 50), None),
    "longer clips": (ModelConfig.dense(22, 14, 100), None),
    "a pose branch": (ModelConfig(22, 14, (POSE,), adaptive=False, stride=2), None),
    "policy": (SHREC, SHREC_MIX),
    "policy, other shares": (SHREC, (0.4, 0.3, 0.2, 0.1, 0.0, 0.0)),
    "policy, shares not known": (SHREC, None),
    "policy of 25 joints": (NTU, (0.05, 0.05, 0.1, 0.2, 0.2, 0.4)),
    "policy of two branches": (ModelConfig(22, 14, (Branch(1, "small"), Branch(22, "big"))), (0.7, 0.3)),
    "policy that looks at a pose branch": (
        ModelConfig(22, 14, (POSE, Branch(11, "small"), Branch(22, "big")), stride=2),
        (0.7, 0.2, 0.1),
    ),
    "policy between a pose branch and another": (
        ModelConfig(22, 14, (POSE, Branch(11, "small")), stride=2),
        (0.8, 0.2),
    ),
    "policy that looks at several joints": (ModelConfig(22, 14, branch_grid((11, 22))), (0.1, 0.2, 0.3, 0.4)),
}
LEVELS = {
    "shipped": read_model_file(shipped_model("clips")).folded.config,
    "three levels": ModelConfig(
        22, 14, (Branch(1, "small"), Branch(11, "big"), Branch(22, "big")), adaptive=False, escalates=True
    ),
}


def on_board(emulated: ModuleType, name: str) -> Any:
    board = BOARDS[name]
    limits = MULTIPROCESSORS[int(board.architecture.removeprefix("sm_"))]
    return emulated.DeviceTraits(board.multiprocessors, limits.shared_per_block)


def workload(emulated: ModuleType, config: ModelConfig, shares: Sequence[float] | None = None) -> Any:
    """As csrc/adasgn/cuda/device_engine.cpp makes it."""
    branches = config.branches
    return emulated.Workload(
        clip_frames=config.frames,
        adaptive=config.adaptive,
        may_take_frame_blocks=has_frame_blocks(config) and not config.escalates,
        pose=branches[0].pose,
        joints=[branch.joints for branch in branches],
        big=[branch.size == "big" for branch in branches],
        shares=list(shares or ()),
    )


def as_schedule(found: tuple[bool, int, int, bool]) -> Schedule:
    """A block per frame has no rows of tiles."""
    per_frame, branch_rows, temporal_rows, whole_clips = found
    return Schedule(per_frame, 32 if per_frame else branch_rows, temporal_rows, whole_clips)


@pytest.mark.parametrize("board", BOARDS)
def test_the_engine_chooses_what_is_predicted(emulated: ModuleType, board: str) -> None:
    device, units = on_board(emulated, board), BOARDS[board].multiprocessors
    for name, (config, shares) in MODELS.items():
        model = workload(emulated, config, shares)
        for precision in ("f16", "f32"):
            for batch in BATCHES:
                frames = batch * config.frames
                expected = choose(config, units, frames, shares, precision)
                found = emulated.choose_schedule(model, precision == "f16", device, frames)
                assert as_schedule(found) == expected, (name, precision, batch)


@pytest.mark.parametrize("board", BOARDS)
def test_the_engine_chooses_for_each_level_what_is_predicted(emulated: ModuleType, board: str) -> None:
    device, units = on_board(emulated, board), BOARDS[board].multiprocessors
    for name, config in LEVELS.items():
        model = workload(emulated, config)
        for level in range(len(config.branches)):
            for precision in ("f16", "f32"):
                for batch in BATCHES:
                    frames = batch * config.frames
                    expected = choose_level(config, level, units, frames, precision)
                    found = emulated.choose_level(model, level, precision == "f16", device, frames)
                    assert as_schedule(found) == expected, (name, level, precision, batch)


@pytest.mark.parametrize("board", BOARDS)
def test_the_policys_blocks_have_the_rows_that_are_predicted(emulated: ModuleType, board: str) -> None:
    device, units = on_board(emulated, board), BOARDS[board].multiprocessors
    for frames in range(1, 4000, 7):
        assert emulated.policy_rows(device, frames) == policy_rows(units, frames), frames
